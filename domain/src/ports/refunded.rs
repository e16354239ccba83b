//! What the index of refunds is asked for. It lies beside the payments view, and is made of the payments in it.

use super::ListOrder;
use crate::ids::{MerchantId, OperationId, PaymentId, RefundId};
use crate::payment::Payment;
use std::ops::RangeInclusive;

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

    /// Only those that were asked for before this one, the newest first.
    #[must_use]
    pub fn older_than(mut self, id: RefundId) -> Self {
        self.ids = match id.bits().checked_sub(1) {
            Some(last) => RefundId::from_bits(0)..=RefundId::from_bits(last),
            None => RefundId::from_bits(1)..=RefundId::from_bits(0),
        };
        self
    }

    /// Only those that were asked for after this one, the oldest first.
    #[must_use]
    pub fn newer_than(mut self, id: RefundId) -> Self {
        self.ids = match id.bits().checked_add(1) {
            Some(first) => RefundId::from_bits(first)..=RefundId::from_bits(u128::MAX),
            None => RefundId::from_bits(1)..=RefundId::from_bits(0),
        };
        self.order = ListOrder::OldestFirst;
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
