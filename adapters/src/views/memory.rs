//! The payments view in memory, for tests and simulation.

use florin_domain::ids::{MerchantId, PaymentId, Seq};
use florin_domain::ports::{
    BoxFuture, Follower, ListOrder, PaymentRow, PaymentsPage, PaymentsQuery, ReadError, ViewError, Views,
    WaitingQuery,
};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A view that forgets everything with the process.
#[derive(Debug, Default)]
pub struct MemoryViews {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    rows: HashMap<PaymentId, PaymentRow>,
    lists: BTreeSet<(MerchantId, bool, PaymentId)>,
    watermark: Seq,
}

impl MemoryViews {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn apply(&mut self, rows: Vec<PaymentRow>, up_to: Seq) {
        for row in rows {
            let spec = &row.payment.spec;
            self.lists.insert((spec.merchant, spec.livemode, spec.id));
            let held = self.rows.entry(spec.id).or_insert_with(|| row.clone());
            if row.seq > held.seq {
                *held = row;
            }
        }
        self.watermark = self.watermark.max(up_to);
    }

    fn waiting(&self, query: &WaitingQuery) -> Vec<PaymentRow> {
        let place = |row: &&PaymentRow| match row.payment.waits_for() {
            Some((kind, due)) if kind == query.kind && due <= query.until => Some((due, row.payment.id())),
            Some(_) | None => None,
        };
        let mut rows: Vec<&PaymentRow> = self
            .rows
            .values()
            .filter(|row| place(row).is_some_and(|place| query.after.is_none_or(|after| place > after)))
            .collect();
        rows.sort_unstable_by_key(place);
        rows.into_iter().take(query.limit).cloned().collect()
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
    fn apply(&self, rows: Vec<PaymentRow>, up_to: Seq) -> BoxFuture<'_, Result<(), ViewError>> {
        Box::pin(async move {
            self.lock().apply(rows, up_to);
            Ok(())
        })
    }

    fn watermark(&self) -> Result<Seq, ReadError> {
        Ok(self.lock().watermark)
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
}
