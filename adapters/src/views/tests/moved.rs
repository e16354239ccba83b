//! The index of balance transactions, in a file, in a database and in memory.

use super::*;
use florin_domain::ids::{CaptureId, OperationId, RefundId};
use florin_domain::payment::{Attempt, AttemptState, Booked, Closing, Operation, OperationKind};
use florin_domain::ports::{MovedBy, MovedKind, MovedPlace, MovedQuery, MovedRow, moved_of};
use florin_domain::provider::ProviderId;
use std::collections::BTreeMap;

fn operation(id: OperationId, kind: OperationKind, booked_ms: Option<u64>) -> Operation {
    let state = if booked_ms.is_some() {
        AttemptState::Succeeded
    } else {
        AttemptState::Pending
    };
    Operation {
        id,
        kind,
        amount: Amount::new(1).unwrap(),
        is_final: false,
        reason: None,
        // All of them were asked for at once.
        opened_at: Timestamp::from_unix_ms(50),
        attempts: 1,
        attempt: Some(Attempt {
            number: 1,
            provider: ProviderId::parse("stripe").unwrap(),
            key: Arc::from("flo_k"),
            reference: None,
            deadline: Timestamp::from_unix_ms(9_000),
            state,
            unknown_reason: None,
            closing: Closing::default(),
            overdue_since: None,
        }),
        earlier: Vec::new(),
        late: Vec::new(),
        transaction: None,
        proposal: None,
        reverses: None,
        booked: booked_ms.map(|ms| Booked {
            at: Timestamp::from_unix_ms(ms),
            fee_minor: 0,
        }),
        matters: Vec::new(),
        matters_noted: 0,
    }
}

/// A sale that was given back, or a payment with two captures, of which the later one ended first, and then a refund; as commit `seq` left it. Of many
/// payments something was booked in the same moment.
fn lived(n: u64, seq: u64) -> PaymentRow {
    let mut row = row(n, u128::from(n % 2), n.is_multiple_of(3), seq);
    let payment = Arc::make_mut(&mut row.payment);
    payment.captured = MinorSum::from_minor(u64::from(seq > 0).into()).unwrap();
    if n.is_multiple_of(4) {
        Arc::make_mut(&mut payment.spec).currency = Currency::JPY;
    }
    let own = payment.authorize_id();
    let capture = |bits: u64| OperationId::Capture(CaptureId::from_bits((n * 10 + bits).into()));
    let refund = OperationId::Refund(RefundId::from_bits(u128::from(n) + 777));
    let booked = |from: u64, ms: u64| (seq > from).then_some(ms);
    payment.operations = if n.is_multiple_of(5) {
        vec![
            operation(own, OperationKind::Sale, booked(0, 100 + n / 4)),
            operation(refund, OperationKind::Refund, booked(1, 102 + n / 3)),
        ]
    } else {
        vec![
            operation(own, OperationKind::Authorize, None),
            operation(capture(1), OperationKind::Capture, booked(1, 103 + n / 4)),
            operation(capture(2), OperationKind::Capture, booked(0, 101 + n / 4)),
            operation(refund, OperationKind::Refund, booked(2, 104 + n / 3)),
        ]
    };
    row
}

/// Reads on until the list is full or ends.
fn all(views: &dyn Views, mut query: MovedQuery) -> Vec<MovedRow> {
    let mut rows = Vec::new();
    loop {
        let page = wait(views.moved(query.clone())).unwrap();
        assert!(page.rows.len() <= query.limit);
        query.limit -= page.rows.len();
        rows.extend(page.rows);
        match page.stopped_at {
            Some(at) if query.limit > 0 => query = query.behind(at),
            Some(_) | None => return rows,
        }
    }
}

#[test]
fn each_capture_and_refund_is_an_entry_of_its_own_that_stays_where_it_was_booked() {
    each(|views| {
        let mut known: Vec<MovedRow> = Vec::new();
        for (seq, newest) in [(1, 101), (2, 103), (3, 104)] {
            wait(views.apply(vec![lived(2, seq)], Vec::new(), Seq(seq))).unwrap();
            let rows = all(views, MovedQuery::newest(MerchantId::from_bits(0), false, 10));
            assert_eq!(rows[0].place.at.unix_ms(), newest);
            assert_eq!(rows[1..], known, "{seq}");
            known = rows;
        }
        let by: Vec<MovedBy> = known.iter().map(|row| row.by).collect();
        let capture = |bits| MovedBy::Capture(CaptureId::from_bits(bits));
        assert_eq!(
            by,
            [
                MovedBy::Refund(RefundId::from_bits(779)),
                capture(21),
                capture(22)
            ]
        );
    });
}

#[test]
fn a_capture_or_a_refund_is_found_by_its_id_and_by_its_own_merchant_alone() {
    each(|views| {
        // Twice, and enough of them that the first ones are in the large table.
        for seq in [2, 3] {
            let rows = (1..12).map(|n| lived(n, seq)).collect();
            wait(views.apply(rows, Vec::new(), Seq(seq))).unwrap();
        }
        for n in 1..12 {
            let row = lived(n, 3);
            for moved in moved_of(&row.payment) {
                let spec = &row.payment.spec;
                let found = |merchant, livemode| {
                    let mut query = MovedQuery::newest(merchant, livemode, 2);
                    query.operation = Some(moved.place.id);
                    all(views, query)
                };
                let wanted = Vec::from_iter((moved.by != MovedBy::Sale).then_some(moved));
                assert_eq!(found(spec.merchant, spec.livemode), wanted, "{n}");
                assert_eq!(found(spec.merchant, !spec.livemode), []);
                assert_eq!(found(MerchantId::from_bits(7), spec.livemode), []);
            }
        }
    });
}

proptest! {
    #[test]
    fn every_view_lists_the_same_movements_also_after_reopening(
        batches in prop::collection::vec(prop::collection::vec((0..12_u64, 0..4_u64), 0..12), 1..5),
        bounds in (prop::option::of((100..120_u64, 0..100_u128)), any::<bool>()),
        filters in (prop::option::of(any::<bool>()), prop::option::of(any::<bool>())),
        limit in 0..9_usize,
    ) {
        let dir = TempDir::new().unwrap();
        let memory = MemoryViews::default();
        let mut sqlite = open(&file(&dir));
        let taken = taken();
        let mut shared = open_shared(&taken);
        let mut latest: BTreeMap<u64, PaymentRow> = BTreeMap::new();
        for batch in batches {
            let rows: Vec<PaymentRow> = batch.iter().map(|(n, seq)| lived(*n, *seq)).collect();
            for ((n, _), row) in batch.iter().zip(&rows) {
                if latest.get(n).is_none_or(|held| held.seq < row.seq) {
                    latest.insert(*n, row.clone());
                }
            }
            wait(memory.apply(rows.clone(), Vec::new(), Seq(9))).unwrap();
            wait(sqlite.apply(rows.clone(), Vec::new(), Seq(9))).unwrap();
            wait(shared.apply(rows, Vec::new(), Seq(9))).unwrap();
            drop(sqlite);
            sqlite = open(&file(&dir));
            shared = open_shared(&taken);
            for (merchant, livemode) in [(0, true), (0, false), (1, false), (1, true), (7, true)] {
                let mut query = MovedQuery::newest(MerchantId::from_bits(merchant), livemode, limit);
                query.kind = filters.0.map(|taken| if taken { MovedKind::Charge } else { MovedKind::Refund });
                query.currency = filters.1.map(|first| if first { Currency::EUR } else { Currency::JPY });
                if let (Some((ms, id)), is_older) = bounds {
                    let place = MovedPlace { at: Timestamp::from_unix_ms(ms), id };
                    query = if is_older { query.older_than(place) } else { query.newer_than(place) };
                }
                let of_tenant = latest.values().filter(|row| {
                    let spec = &row.payment.spec;
                    (spec.merchant.bits(), spec.livemode) == (merchant, livemode)
                });
                let mut expected: Vec<MovedRow> = of_tenant
                    .flat_map(|row| moved_of(&row.payment).collect::<Vec<_>>())
                    .filter(|row| query.places.contains(&row.place) && query.takes(row))
                    .collect();
                expected.sort_unstable_by_key(|row| row.place);
                if query.order == ListOrder::NewestFirst {
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
