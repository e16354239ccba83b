//! The payments view in memory, for tests and simulation.

use florin_domain::ids::{DrawnIdHasher, MerchantId, PaymentId, RefundId, Seq};
use florin_domain::payment::WaitKind;
use florin_domain::ports::{
    AnnouncingCommit, BoxFuture, EventsPage, EventsQuery, Follower, ListOrder, MovedIndex, MovedPage,
    MovedPlace, MovedQuery, MovedRow, PaymentRow, PaymentsPage, PaymentsQuery, ReadError, RefundPlace,
    RefundsQuery, ViewError, Views, WaitingQuery, moved_of, refunds_of,
};
use florin_domain::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::BuildHasherDefault;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A view that forgets everything with the process.
#[derive(Debug, Default)]
pub struct MemoryViews {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    rows: HashMap<PaymentId, PaymentRow, BuildHasherDefault<DrawnIdHasher>>,
    lists: BTreeSet<(MerchantId, bool, PaymentId)>,
    waiting: HashMap<WaitKind, BTreeSet<(Timestamp, PaymentId)>>,
    announced: BTreeMap<(MerchantId, bool, Seq), AnnouncingCommit>,
    refunds: BTreeMap<(MerchantId, bool, RefundId), PaymentId>,
    moved: BTreeMap<(MerchantId, bool, MovedPlace), MovedRow>,
    watermark: Seq,
}

impl MemoryViews {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn apply(&mut self, rows: Vec<PaymentRow>, announced: Vec<AnnouncingCommit>, up_to: Seq) {
        for commit in announced {
            let place = (commit.merchant, commit.livemode, commit.seq);
            self.announced.entry(place).or_insert(commit);
        }
        for row in rows {
            let spec = &row.payment.spec;
            self.lists.insert((spec.merchant, spec.livemode, spec.id));
            for refund in refunds_of(&row.payment) {
                let place = (spec.merchant, spec.livemode, refund);
                self.refunds.insert(place, spec.id);
            }
            let held = self.rows.get(&spec.id);
            if held.is_none_or(|held| row.seq > held.seq) {
                for moved in moved_of(&row.payment) {
                    let place = (spec.merchant, spec.livemode, moved.place);
                    self.moved.insert(place, moved);
                }
                self.hold(row);
            }
        }
        self.watermark = self.watermark.max(up_to);
    }

    fn hold(&mut self, row: PaymentRow) {
        let (id, waits) = (row.payment.id(), row.payment.waits_for());
        let before = self.rows.insert(id, row);
        if let Some((kind, due)) = before.and_then(|before| before.payment.waits_for()) {
            self.waiting.entry(kind).or_default().remove(&(due, id));
        }
        if let Some((kind, due)) = waits {
            self.waiting.entry(kind).or_default().insert((due, id));
        }
    }

    fn waiting(&self, query: &WaitingQuery) -> Vec<PaymentRow> {
        let after = query.after.map_or(Bound::Unbounded, Bound::Excluded);
        let places = self.waiting.get(&query.kind);
        places
            .into_iter()
            .flat_map(|places| places.range((after, Bound::Unbounded)))
            .take_while(|(due, _)| *due <= query.until)
            .filter_map(|(_, id)| self.rows.get(id))
            .take(query.limit)
            .cloned()
            .collect()
    }

    fn events(&self, query: &EventsQuery) -> EventsPage {
        let mut page = EventsPage::default();
        if query.places.is_empty() || query.limit == 0 {
            return page;
        }
        let place = |seq| (query.merchant, query.livemode, seq);
        let (first, last) = (query.places.start().seq, query.places.end().seq);
        let mut commits = self.announced.range(place(first)..=place(last));
        loop {
            let next = match query.order {
                ListOrder::NewestFirst => commits.next_back(),
                ListOrder::OldestFirst => commits.next(),
            };
            let Some((_, commit)) = next else {
                return page;
            };
            page.look_at(query, commit);
            if page.is_full(query) {
                page.has_more = true;
                return page;
            }
        }
    }

    fn refunds(&self, query: &RefundsQuery) -> Vec<RefundPlace> {
        if query.ids.is_empty() {
            return Vec::new();
        }
        let place = |id| (query.merchant, query.livemode, id);
        let found = self
            .refunds
            .range(place(*query.ids.start())..=place(*query.ids.end()));
        let found = found.map(|((_, _, id), payment)| (*id, *payment));
        match query.order {
            ListOrder::NewestFirst => found.rev().take(query.limit).collect(),
            ListOrder::OldestFirst => found.take(query.limit).collect(),
        }
    }

    fn moved(&self, query: &MovedQuery) -> MovedPage {
        let mut page = MovedPage::default();
        if query.places.is_empty() || query.limit == 0 {
            return page;
        }
        let place = |place| (query.merchant, query.livemode, place);
        let mut rows = self
            .moved
            .range(place(*query.places.start())..=place(*query.places.end()));
        while page.rows.len() < query.limit {
            let next = match query.order {
                ListOrder::NewestFirst => rows.next_back(),
                ListOrder::OldestFirst => rows.next(),
            };
            let Some((_, row)) = next else {
                page.stopped_at = None;
                return page;
            };
            page.rows.extend(query.takes(row).then_some(*row));
            page.stopped_at = Some(row.place);
        }
        page
    }

    fn payments(&self, query: &PaymentsQuery) -> PaymentsPage {
        let (ids, mut page) = (query.ids(), PaymentsPage::default());
        if ids.is_empty() {
            return page;
        }
        let place = |id| (query.merchant, query.livemode, id);
        let mut entries = self.lists.range(place(*ids.start())..=place(*ids.end()));
        while page.rows.len() < query.limit {
            let next = match query.order {
                ListOrder::NewestFirst => entries.next_back(),
                ListOrder::OldestFirst => entries.next(),
            };
            let Some((_, _, id)) = next else {
                page.stopped_at = None;
                return page;
            };
            let row = self.rows.get(id).filter(|row| query.filter.takes(&row.payment));
            page.rows.extend(row.cloned());
            page.stopped_at = Some(*id);
        }
        page
    }
}

impl Follower for MemoryViews {
    fn apply(
        &self,
        rows: Vec<PaymentRow>,
        announced: Vec<AnnouncingCommit>,
        up_to: Seq,
    ) -> BoxFuture<'_, Result<(), ViewError>> {
        Box::pin(async move {
            self.lock().apply(rows, announced, up_to);
            Ok(())
        })
    }

    fn watermark(&self) -> Result<Seq, ReadError> {
        Ok(self.lock().watermark)
    }
}

impl MovedIndex for MemoryViews {
    fn moved(&self, query: MovedQuery) -> BoxFuture<'_, Result<MovedPage, ViewError>> {
        Box::pin(async move { Ok(self.lock().moved(&query)) })
    }
}

impl Views for MemoryViews {
    fn payment(&self, id: PaymentId) -> BoxFuture<'_, Result<Option<PaymentRow>, ViewError>> {
        Box::pin(async move { Ok(self.lock().rows.get(&id).cloned()) })
    }

    fn payments(&self, query: PaymentsQuery) -> BoxFuture<'_, Result<PaymentsPage, ViewError>> {
        Box::pin(async move { Ok(self.lock().payments(&query)) })
    }

    fn waiting(&self, query: WaitingQuery) -> BoxFuture<'_, Result<Vec<PaymentRow>, ViewError>> {
        Box::pin(async move { Ok(self.lock().waiting(&query)) })
    }

    fn events(&self, query: EventsQuery) -> BoxFuture<'_, Result<EventsPage, ViewError>> {
        Box::pin(async move { Ok(self.lock().events(&query)) })
    }

    fn refunds(&self, query: RefundsQuery) -> BoxFuture<'_, Result<Vec<RefundPlace>, ViewError>> {
        Box::pin(async move { Ok(self.lock().refunds(&query)) })
    }
}
