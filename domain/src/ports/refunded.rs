//! What the index of refunds is asked for. It lies beside the payments view, and is made of the payments in it.

use super::ListOrder;
use crate::ids::{MerchantId, OperationId, PaymentId, RefundId, ShardId, compose};
use crate::payment::Payment;
use crate::time::{Millis, Timestamp};
use std::ops::RangeInclusive;

/// Between drawing a refund's id and asking for it there is one read of its payment.
const DATING_MAX: Millis = Millis::from_s(60);
/// The last instant that an id can carry.
const ID_MS_MAX: u64 = (1 << 48) - 1;

/// A stretch of a merchant's refunds, in the order in which they were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundsQuery {
    /// Whose.
    pub merchant: MerchantId,
    /// Live or test mode.
    pub livemode: bool,
    /// Only these.
    pub ids: RangeInclusive<RefundId>,
    /// From which end.
    pub order: ListOrder,
    /// At most so many.
    pub limit: usize,
}

impl RefundsQuery {
    /// All refunds of a merchant, the newest first.
    pub const fn newest(merchant: MerchantId, livemode: bool, limit: usize) -> Self {
        Self {
            merchant,
            livemode,
            ids: RefundId::from_bits(0)..=RefundId::from_bits(u128::MAX),
            order: ListOrder::NewestFirst,
            limit,
        }
    }

    /// Only those that were asked for in these seconds since the Unix epoch, and perhaps a few more: a refund is dated by its id here, and
    /// may be asked for a moment after that was drawn.
    #[must_use]
    pub fn about_s(mut self, seconds: &RangeInclusive<u64>) -> Self {
        if seconds.is_empty() {
            return self.nothing();
        }
        let at = |ms: u64, shard, entropy| {
            let at = Timestamp::from_unix_ms(ms.min(ID_MS_MAX));
            RefundId::from_bits(compose(at, ShardId(shard), entropy))
        };
        let first_ms = seconds.start().saturating_mul(1000);
        let last_ms = seconds.end().saturating_add(1).saturating_mul(1000);
        let first = at(first_ms.saturating_sub(DATING_MAX.0), 0, 0);
        self.ids = first.max(*self.ids.start())..=at(last_ms, u16::MAX, u64::MAX).min(*self.ids.end());
        self
    }

    /// Only those that were asked for before this one, the newest first.
    #[must_use]
    pub fn older_than(mut self, id: RefundId) -> Self {
        let Some(last) = id.bits().checked_sub(1) else {
            return self.nothing();
        };
        self.order = ListOrder::NewestFirst;
        self.ids = *self.ids.start()..=RefundId::from_bits(last).min(*self.ids.end());
        self
    }

    /// Only those that were asked for after this one, the oldest first.
    #[must_use]
    pub fn newer_than(mut self, id: RefundId) -> Self {
        let Some(first) = id.bits().checked_add(1) else {
            return self.nothing();
        };
        self.order = ListOrder::OldestFirst;
        self.ids = RefundId::from_bits(first).max(*self.ids.start())..=*self.ids.end();
        self
    }

    /// The same list behind an entry of it, in the order in which it is read.
    #[must_use]
    pub fn behind(self, id: RefundId) -> Self {
        match self.order {
            ListOrder::NewestFirst => self.older_than(id),
            ListOrder::OldestFirst => self.newer_than(id),
        }
    }

    fn nothing(mut self) -> Self {
        self.ids = RefundId::from_bits(1)..=RefundId::from_bits(0);
        self
    }
}

/// The refunds of a payment, in the order in which they were asked for.
pub fn refunds_of(payment: &Payment) -> impl Iterator<Item = RefundId> {
    payment
        .operations
        .iter()
        .filter_map(|operation| match operation.id {
            OperationId::Refund(id) => Some(id),
            OperationId::Authorize(_)
            | OperationId::Capture(_)
            | OperationId::Void(_)
            | OperationId::Increment(_)
            | OperationId::Reversal(_) => None,
        })
}

/// A refund and its payment.
pub type RefundPlace = (RefundId, PaymentId);

#[cfg(test)]
mod tests {
    //! Tests of the module around it.

    use super::*;

    fn id(ms: u64) -> RefundId {
        RefundId::from_bits(compose(Timestamp::from_unix_ms(ms), ShardId(3), 7))
    }

    #[test]
    fn a_stretch_of_time_has_a_margin_before_it_and_cursors_stay_within() {
        let all = RefundsQuery::newest(MerchantId::from_bits(1), false, 10);
        let about = all.clone().about_s(&(100..=101));
        for (ms, is_in) in [(39_999, false), (40_000, true), (101_999, true), (103_000, false)] {
            assert_eq!(about.ids.contains(&id(ms)), is_in, "{ms}");
        }
        let older = about.clone().older_than(id(50_000));
        assert!(older.ids.contains(&id(49_999)) && !older.ids.contains(&id(39_999)));
        let newer = about.clone().newer_than(id(50_000));
        assert!(newer.ids.contains(&id(50_001)) && !newer.ids.contains(&id(103_000)));
        assert!(about.newer_than(id(200_000)).ids.is_empty());
        assert!(all.about_s(&RangeInclusive::new(2, 1)).ids.is_empty());
    }
}
