//! The payments view in memory, for tests and simulation.

use florin_domain::ids::{MerchantId, PaymentId, Seq};
use florin_domain::ports::{BoxFuture, Follower, PaymentRow, PaymentsQuery, ReadError, ViewError, Views};
use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
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

    fn payments(&self, query: &PaymentsQuery) -> Vec<PaymentRow> {
        let place = |id| (query.merchant, query.livemode, id);
        let end = match query.starting_after {
            Some(id) => Bound::Excluded(place(id)),
            None => Bound::Included(place(PaymentId::from_bits(u128::MAX))),
        };
        let start = Bound::Included(place(PaymentId::from_bits(0)));
        let newest_first = self.lists.range((start, end)).rev().take(query.limit);
        newest_first
            .filter_map(|(_, _, id)| self.rows.get(id).cloned())
            .collect()
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

    fn payments(&self, query: PaymentsQuery) -> BoxFuture<'_, Result<Vec<PaymentRow>, ViewError>> {
        Box::pin(async move { Ok(self.lock().payments(&query)) })
    }
}
