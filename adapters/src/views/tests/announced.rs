//! The index of announcements: all views show the same, in either order, whatever was entered twice.

use super::{file, open, open_shared, taken, wait};
use crate::views::MemoryViews;
use florin_domain::announcement::{AnnouncementKind, AnnouncementKinds, EventPlace};
use florin_domain::ids::{MerchantId, PaymentId, Seq};
use florin_domain::ports::{AnnouncingCommit, EventRow, EventsQuery, Follower, ListOrder, Views};
use florin_domain::time::Timestamp;
use proptest::prelude::*;
use std::collections::BTreeMap;
use tempfile::TempDir;

prop_compose! {
    fn commits()(parts in prop::collection::vec(
        (0..3_u64, any::<bool>(), prop::collection::vec(prop::sample::select(AnnouncementKind::ALL), 1..4), 0..5_u64),
        0..40,
    )) -> Vec<AnnouncingCommit> {
        (1..).zip(parts).map(|(seq, (merchant, livemode, kinds, ago_s))| AnnouncingCommit {
            seq: Seq(seq),
            // Clocks of actors are not in the order of the journal.
            at: Timestamp::from_unix_ms((100 + seq - ago_s.min(seq)) * 1000),
            merchant: MerchantId::from_bits(merchant.into()),
            livemode,
            payment: PaymentId::from_bits(u128::from(seq) % 5),
            first_number: seq,
            kinds,
        }).collect()
    }
}

/// Reads on until the stretch is full or ends.
fn all(views: &dyn Views, mut query: EventsQuery) -> Vec<EventRow> {
    let mut rows = Vec::new();
    loop {
        let page = wait(views.events(query.clone())).unwrap();
        assert!(page.rows.len() <= query.limit);
        query.limit -= page.rows.len();
        rows.extend(page.rows);
        match page.last {
            Some(at) if page.has_more && query.limit > 0 => query = query.behind(at),
            Some(_) | None => return rows,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_view_tells_what_was_entered_also_after_reopening(
        commits in commits(),
        cuts in prop::collection::vec((0..40_usize, 0..40_usize), 1..6),
        (from, to) in ((0..45_u64, 0..4_u8), (0..45_u64, 0..4_u8)),
        created in prop::option::of((95..140_u64, 95..140_u64)),
        wanted in prop::option::of(prop::sample::select(AnnouncementKind::ALL)),
        is_oldest_first: bool,
        limit in 0..12_usize,
    ) {
        let dir = TempDir::new().unwrap();
        let memory = MemoryViews::default();
        let mut sqlite = open(&file(&dir));
        let taken = taken();
        let mut shared = open_shared(&taken);
        let mut known: BTreeMap<Seq, AnnouncingCommit> = BTreeMap::new();
        for (a, b) in cuts {
            // Batches overlap, as after a restart of the follower.
            let batch: Vec<_> = commits.iter().skip(a.min(b)).take(a.abs_diff(b)).cloned().collect();
            known.extend(batch.iter().map(|commit| (commit.seq, commit.clone())));
            let up_to = batch.last().map_or(Seq(1), |last| last.seq);
            wait(memory.apply(Vec::new(), batch.clone(), up_to)).unwrap();
            wait(sqlite.apply(Vec::new(), batch.clone(), up_to)).unwrap();
            wait(shared.apply(Vec::new(), batch, up_to)).unwrap();
            drop(sqlite);
            sqlite = open(&file(&dir));
            shared = open_shared(&taken);
            for (merchant, livemode) in [(0, true), (1, false), (2, true), (3, true)] {
                let place = |(seq, index)| EventPlace { seq: Seq(seq), index };
                let query = EventsQuery {
                    kinds: wanted.map_or(AnnouncementKinds::ALL, |kind| AnnouncementKinds::NONE.and(kind)),
                    created_s: created.map(|(from, to)| from..=to),
                    places: place(from)..=place(to),
                    order: if is_oldest_first { ListOrder::OldestFirst } else { ListOrder::NewestFirst },
                    ..EventsQuery::newest(MerchantId::from_bits(merchant), livemode, limit)
                };
                let mut expected: Vec<EventRow> = known
                    .values()
                    .filter(|commit| (commit.merchant, commit.livemode) == (query.merchant, livemode))
                    .flat_map(AnnouncingCommit::rows)
                    .filter(|row| query.takes(row))
                    .collect();
                if !is_oldest_first {
                    expected.reverse();
                }
                expected.truncate(limit);
                prop_assert_eq!(&all(&memory, query.clone()), &expected);
                prop_assert_eq!(&all(&sqlite, query.clone()), &expected);
                prop_assert_eq!(&all(&shared, query), &expected);
            }
        }
    }
}
