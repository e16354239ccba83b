//! Pages against a model: a view that lags, a tail that knows better, and payments that come and change between and during reads.

use super::{ListError, PaymentsList, listed, merged, one_more};
use crate::projection::Tail;
use florin_domain::idempotency::{Fingerprint, IdempotencyKey, KeyDigest};
use florin_domain::ids::{MerchantId, PaymentId, Seq, ShardId, compose};
use florin_domain::ledger::PostingProfile;
use florin_domain::method::PaymentMethod;
use florin_domain::money::{Amount, Currency, FeeSchedule, MinorSum};
use florin_domain::payment::{CaptureMethod, DeclinePolicy, Device, FeeReturn, Payment, Spec, Status};
use florin_domain::ports::{
    AnnouncingCommit, BoxFuture, EventsPage, EventsQuery, Follower, ListOrder, MovedIndex, MovedPage,
    MovedQuery, PaymentRow, PaymentsFilter, PaymentsPage, PaymentsQuery, ReadError, RefundPlace,
    RefundsQuery, StatusName, ViewError, Views, WaitingQuery,
};
use florin_domain::routing::Wishes;
use florin_domain::time::Timestamp;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::Future;
use std::sync::{Arc, Mutex};

const MERCHANT: MerchantId = MerchantId::from_bits(7);

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

fn id(n: u64) -> PaymentId {
    PaymentId::from_bits(compose(Timestamp::from_unix_ms(1000 * n), ShardId::FIRST, n))
}

fn row(n: u64, status: Status, seq: u64) -> PaymentRow {
    let spec = Spec {
        id: id(n),
        merchant: MERCHANT,
        livemode: false,
        key: IdempotencyKey::parse("k").unwrap(),
        key_digest: KeyDigest([1; 16]),
        fingerprint: Fingerprint([2; 16]),
        amount: Amount::new(i128::from(n) + 1).unwrap(),
        currency: Currency::USD,
        capture_method: CaptureMethod::Automatic,
        after_decline: DeclinePolicy::Fail,
        customer: Some(if n.is_multiple_of(3) { "cus_a" } else { "cus_b" }.into()),
        description: None,
        // Every change turns it over.
        metadata: vec![(
            "turn".into(),
            if seq.is_multiple_of(2) { "even" } else { "odd" }.into(),
        )],
        return_url: None,
        device: Device::default(),
        fee: FeeSchedule::new(290, 0.into()).unwrap(),
        fee_return: FeeReturn::Kept,
        routing: Wishes::default(),
        off_session: false,
        created_at: id(n).drawn_at(),
    };
    let payment = Payment {
        spec: Arc::new(spec),
        method: PaymentMethod::test("pm_card_visa"),
        risk: None,
        status,
        failure: None,
        authorized: MinorSum::ZERO,
        captured: MinorSum::ZERO,
        refunded: MinorSum::ZERO,
        fee_minor: 0,
        held_for_review: false,
        capture_closed: false,
        authorization_expires_at: None,
        operations: Vec::new(),
        late_minor: 0,
        posting_profile: PostingProfile::default(),
        announced: 0,
        requests: Vec::new(),
    };
    PaymentRow {
        seq: Seq(seq),
        payment: Arc::new(payment),
    }
}

fn all(limit: usize) -> PaymentsQuery {
    PaymentsQuery::newest(MERCHANT, false, limit)
}

fn with_status(status: StatusName, limit: usize) -> PaymentsQuery {
    PaymentsQuery {
        filter: PaymentsFilter {
            status: Some(status),
            ..PaymentsFilter::default()
        },
        ..all(limit)
    }
}

/// A view that looks at few payments at a time.
#[derive(Debug, Default)]
struct LaggingView {
    rows: Mutex<BTreeMap<PaymentId, PaymentRow>>,
    reads: Mutex<usize>,
}

const ENTRIES_MAX: usize = 3;

impl Follower for LaggingView {
    fn apply(
        &self,
        rows: Vec<PaymentRow>,
        _: Vec<AnnouncingCommit>,
        _: Seq,
    ) -> BoxFuture<'_, Result<(), ViewError>> {
        let mut held = self.rows.lock().unwrap();
        held.extend(rows.into_iter().map(|row| (row.payment.id(), row)));
        Box::pin(async { Ok(()) })
    }

    fn watermark(&self) -> Result<Seq, ReadError> {
        Ok(Seq::ZERO)
    }
}

impl MovedIndex for LaggingView {
    fn moved(&self, _: MovedQuery) -> BoxFuture<'_, Result<MovedPage, ViewError>> {
        Box::pin(async { Ok(MovedPage::default()) })
    }
}

impl Views for LaggingView {
    fn payment(&self, id: PaymentId) -> BoxFuture<'_, Result<Option<PaymentRow>, ViewError>> {
        let row = self.rows.lock().unwrap().get(&id).cloned();
        Box::pin(async { Ok(row) })
    }

    fn payments(&self, query: PaymentsQuery) -> BoxFuture<'_, Result<PaymentsPage, ViewError>> {
        *self.reads.lock().unwrap() += 1;
        let (held, ids) = (self.rows.lock().unwrap(), query.ids());
        let mut page = PaymentsPage::default();
        let mut rows: Vec<PaymentRow> = held
            .values()
            .filter(|row| ids.contains(&row.payment.id()))
            .cloned()
            .collect();
        query.sort(&mut rows);
        for (looked_at, row) in (1..).zip(rows) {
            let id = row.payment.id();
            page.rows
                .extend(Some(row).filter(|row| query.filter.takes(&row.payment)));
            if page.rows.len() == query.limit || looked_at == ENTRIES_MAX {
                page.stopped_at = Some(id);
                break;
            }
        }
        Box::pin(async { Ok(page) })
    }

    fn waiting(&self, _: WaitingQuery) -> BoxFuture<'_, Result<Vec<PaymentRow>, ViewError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn events(&self, _: EventsQuery) -> BoxFuture<'_, Result<EventsPage, ViewError>> {
        Box::pin(async { Ok(EventsPage::default()) })
    }

    fn refunds(&self, _: RefundsQuery) -> BoxFuture<'_, Result<Vec<RefundPlace>, ViewError>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

/// What may happen at any time.
#[derive(Clone, Debug)]
enum Step {
    Insert,
    Update(u8, bool),
    /// The view takes the tail; whether the tail has heard of that.
    Apply(bool),
}

#[derive(Debug, Default)]
struct World {
    view: LaggingView,
    tail: HashMap<PaymentId, PaymentRow>,
    truth: BTreeMap<PaymentId, PaymentRow>,
    /// Payments that were in the list at every moment since the start, and those that were at some moment of the read.
    always: BTreeSet<PaymentId>,
    lately: BTreeSet<PaymentId>,
    seq: u64,
    next: u64,
}

impl World {
    fn set(&mut self, n: u64, status: Status) {
        self.seq += 1;
        let row = row(n, status, self.seq);
        self.tail.insert(id(n), row.clone());
        self.truth.insert(id(n), row);
    }

    fn matching(&self, filter: &PaymentsFilter) -> BTreeSet<PaymentId> {
        let rows = self.truth.values().filter(|row| filter.takes(&row.payment));
        rows.map(|row| row.payment.id()).collect()
    }

    fn step(&mut self, step: &Step, filter: &PaymentsFilter) {
        match step {
            Step::Insert => {
                self.next += 1;
                self.set(self.next, Status::Processing);
            }
            Step::Update(which, succeeds) if self.next > 0 => {
                let n = u64::from(*which) % self.next + 1;
                self.set(
                    n,
                    if *succeeds {
                        Status::Succeeded
                    } else {
                        Status::Failed
                    },
                );
            }
            Step::Update(..) => {}
            Step::Apply(is_heard) => {
                let rows = self.tail.values().cloned().collect();
                wait(self.view.apply(rows, Vec::new(), Seq(self.seq))).unwrap();
                if *is_heard {
                    self.tail.clear();
                }
            }
        }
        let matching = self.matching(filter);
        self.always.retain(|id| matching.contains(id));
        self.lately.extend(matching);
    }

    fn page(&mut self, query: &PaymentsQuery, during: &[Step]) -> PaymentsList {
        self.lately = self.matching(&query.filter);
        let stretch = one_more(query.clone());
        let tail = Tail::of(&stretch, self.tail.values());
        for step in during {
            self.step(step, &query.filter);
        }
        let page = wait(merged(&self.view, tail, &stretch, usize::MAX)).unwrap();
        listed(page, &stretch).unwrap()
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Insert),
        4 => (any::<u8>(), any::<bool>()).prop_map(|(which, succeeds)| Step::Update(which, succeeds)),
        2 => any::<bool>().prop_map(Step::Apply),
    ]
}

fn steps(max: usize) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 0..max)
}

fn filters() -> impl Strategy<Value = PaymentsFilter> {
    let status = prop_oneof![
        Just(None),
        Just(Some(StatusName::Processing)),
        Just(Some(StatusName::Succeeded)),
        Just(Some(StatusName::Failed)),
    ];
    let customer = prop_oneof![Just(None), Just(Some(Arc::from("cus_a")))];
    let range = prop_oneof![
        Just(None),
        (0_u64..20, 0_u64..30).prop_map(|(from, to)| Some(from..=to))
    ];
    let odd = vec![("turn".into(), "odd".into())];
    let metadata = prop_oneof![2 => Just(Vec::new()), 1 => Just(odd)];
    let parts = (status, customer, range.clone(), range, metadata);
    parts.prop_map(
        |(status, customer, amount_minor, created_s, metadata)| PaymentsFilter {
            status,
            customer,
            amount_minor,
            created_s,
            metadata,
            ..PaymentsFilter::default()
        },
    )
}

proptest! {
    #[test]
    fn whoever_pages_sees_every_lasting_payment_once_and_none_twice(
        before in steps(60),
        pages in prop::collection::vec((steps(6), steps(4)), 60),
        filter in filters(),
        limit in 1_usize..6,
        is_backward: bool,
    ) {
        let mut world = World::default();
        for step in &before {
            world.step(step, &filter);
        }
        world.always = world.matching(&filter);
        let mut query = PaymentsQuery { filter, ..all(limit) };
        if is_backward {
            // Before everything that there is.
            query.ending_before = Some(id(0));
        }
        let mut seen: Vec<PaymentId> = Vec::new();
        // What happens stops after some pages, so that a reader comes to the end.
        let mut pages = pages.into_iter();
        loop {
            let (between, during) = pages.next().unwrap_or_default();
            for step in &between {
                world.step(step, &query.filter);
            }
            let page = world.page(&query, &during);
            let ids: Vec<PaymentId> = page.rows.iter().map(|row| row.payment.id()).collect();
            prop_assert!(ids.iter().rev().is_sorted(), "{:?} is not newest first", ids);
            prop_assert!(ids.len() <= limit);
            prop_assert!(!page.has_more || ids.len() == limit, "a page with more behind it is full");
            for row in &page.rows {
                prop_assert!(query.filter.takes(&row.payment));
                prop_assert!(world.lately.contains(&row.payment.id()), "{} had left", row.payment.id());
            }
            seen.extend(&ids);
            if !page.has_more {
                break;
            }
            if is_backward {
                query.ending_before = ids.first().copied();
            } else {
                query.starting_after = ids.last().copied();
            }
        }
        let distinct: BTreeSet<PaymentId> = seen.iter().copied().collect();
        prop_assert_eq!(distinct.len(), seen.len(), "twice: {:?}", seen);
        prop_assert!(world.always.is_subset(&distinct), "{:?} of {:?}", seen, world.always);
    }

    #[test]
    fn stretches_that_end_early_leave_nothing_out(
        before in steps(60),
        pages in prop::collection::vec((steps(4), steps(3)), 60),
        filter in filters(),
        limit in 1_usize..6,
        reads_max in 1_usize..3,
    ) {
        let mut world = World::default();
        for step in &before {
            world.step(step, &filter);
        }
        world.always = world.matching(&filter);
        let mut query = PaymentsQuery { filter, ..all(limit) };
        let mut seen: Vec<PaymentId> = Vec::new();
        let mut pages = pages.into_iter();
        loop {
            let (between, during) = pages.next().unwrap_or_default();
            for step in &between {
                world.step(step, &query.filter);
            }
            let tail = Tail::of(&query, world.tail.values());
            for step in &during {
                world.step(step, &query.filter);
            }
            let page = wait(merged(&world.view, tail, &query, reads_max)).unwrap();
            seen.extend(page.rows.iter().map(|row| row.payment.id()));
            match page.stopped_at {
                Some(at) => query = query.behind(at),
                None => break,
            }
        }
        prop_assert!(seen.iter().rev().is_sorted_by(|a, b| a < b), "{:?}", seen);
        let seen = BTreeSet::from_iter(seen);
        prop_assert!(world.always.is_subset(&seen), "{:?} of {:?}", seen, world.always);
    }

    #[test]
    fn a_quiet_list_is_exactly_what_matches_now(
        before in steps(60),
        filter in filters(),
        limit in 1_usize..8,
        cursor in prop::option::of(0_u64..30),
    ) {
        let mut world = World::default();
        for step in &before {
            world.step(step, &filter);
        }
        let after = cursor.map(id);
        let query = PaymentsQuery { filter, starting_after: after, ..all(limit) };
        let page = world.page(&query, &[]);
        let matching = world.matching(&query.filter);
        let expected: Vec<PaymentId> =
            matching.into_iter().rev().filter(|id| after.is_none_or(|after| *id < after)).collect();
        let shown: Vec<PaymentId> = page.rows.iter().map(|row| row.payment.id()).collect();
        prop_assert_eq!(&shown[..], &expected[..expected.len().min(limit)]);
        prop_assert_eq!(page.has_more, expected.len() > limit);
        for row in &page.rows {
            prop_assert_eq!(row.seq, world.truth[&row.payment.id()].seq, "its newest state is shown");
        }
    }
}

#[test]
fn a_page_stays_full_when_the_tail_takes_rows_from_the_view() {
    let mut world = World::default();
    for n in 1..=10 {
        world.set(n, Status::Processing);
    }
    world.step(&Step::Apply(true), &PaymentsFilter::default());
    for n in [10, 9, 7, 6] {
        world.set(n, Status::Succeeded);
    }
    let page = world.page(&with_status(StatusName::Processing, 3), &[]);
    let shown: Vec<PaymentId> = page.rows.iter().map(|row| row.payment.id()).collect();
    assert_eq!((shown, page.has_more), ([8, 5, 4].map(id).to_vec(), true));
    let page = world.page(&with_status(StatusName::Succeeded, 4), &[]);
    let shown: Vec<PaymentId> = page.rows.iter().map(|row| row.payment.id()).collect();
    assert_eq!((shown, page.has_more), ([10, 9, 7, 6].map(id).to_vec(), false));
}

#[test]
fn a_filter_that_finds_nothing_is_given_up_and_one_that_found_something_goes_on() {
    let view = LaggingView::default();
    let rows =
        |hit| (1..=30).map(move |n| row(n, if n == hit { Status::Blocked } else { Status::Failed }, n));
    wait(view.apply(rows(0).collect(), Vec::new(), Seq(30))).unwrap();
    let stretch = one_more(with_status(StatusName::Blocked, 2));
    let read = |view: &LaggingView| wait(merged(view, Tail::default(), &stretch, 4)).unwrap();
    let page = read(&view);
    assert_eq!(*view.reads.lock().unwrap(), 4);
    assert_eq!(
        page.stopped_at,
        Some(id(19)),
        "four times three payments were looked at"
    );
    assert_eq!(listed(page, &stretch).unwrap_err(), ListError::TooRare);
    wait(view.apply(rows(25).collect(), Vec::new(), Seq(60))).unwrap();
    let page = listed(read(&view), &stretch).unwrap();
    assert_eq!((page.rows.len(), page.has_more), (1, true));
    assert_eq!(page.rows[0].payment.id(), id(25));
    // The next page begins where this one was given up, and so comes to what is behind the barren stretch.
    assert_eq!(page.next, Some(id(19)));
    wait(view.apply(vec![row(10, Status::Blocked, 61)], Vec::new(), Seq(61))).unwrap();
    let stretch = stretch.behind(id(19));
    let page = wait(merged(&view, Tail::default(), &stretch, 4)).unwrap();
    let page = listed(page, &stretch).unwrap();
    assert_eq!(page.rows[0].payment.id(), id(10));
}

#[test]
fn backward_pages_end_right_before_the_cursor() {
    let mut world = World::default();
    for n in 1..=6 {
        world.set(n, Status::Processing);
    }
    let query = PaymentsQuery {
        ending_before: Some(id(2)),
        ..all(3)
    };
    assert_eq!(one_more(query.clone()).order, ListOrder::OldestFirst);
    let page = world.page(&query, &[]);
    let shown: Vec<PaymentId> = page.rows.iter().map(|row| row.payment.id()).collect();
    assert_eq!((shown, page.has_more), ([5, 4, 3].map(id).to_vec(), true));
}
