//! Read models behind the journal: rebuildable, lagging by a bounded amount, merged with the tail by the reader.

use super::BoxFuture;
use super::announced::{AnnouncingCommit, EventsPage, EventsQuery};
use super::journal::ReadError;
use super::listing::{PaymentsPage, PaymentsQuery};
use super::moved::MovedIndex;
use super::refunded::{RefundPlace, RefundsQuery};
use crate::ids::{MerchantId, PaymentId, Seq};
use crate::payment::{Payment, WaitKind};
use crate::time::Timestamp;
use std::fmt;
use std::sync::Arc;
use thiserror::Error;

/// A payment's latest state and the commit that made it.
#[derive(Clone, Debug)]
pub struct PaymentRow {
    /// The payment's last commit.
    pub seq: Seq,
    /// Its state after that commit.
    pub payment: Arc<Payment>,
}

impl PaymentRow {
    /// Whether it is this merchant's, in this mode.
    pub fn is_of(&self, (merchant, livemode): (MerchantId, bool)) -> bool {
        self.payment.spec.merchant == merchant && self.payment.spec.livemode == livemode
    }
}

/// A payment as a view has it.
pub type PaymentView = PaymentRow;

/// Why a view cannot answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ViewError {
    /// Too many reads wait already.
    #[error("too many reads are waiting")]
    Busy,
    /// The store failed.
    #[error("the view's store failed: {0}")]
    Store(String),
}

/// What follows the journal.
pub trait Follower: Send + Sync + fmt::Debug {
    /// Brings the view up to `up_to`; `rows` are the latest states of all payments touched since the last call, and `announced` all
    /// commits since then that announce something. What it has already, it keeps as it is.
    fn apply(
        &self,
        rows: Vec<PaymentRow>,
        announced: Vec<AnnouncingCommit>,
        up_to: Seq,
    ) -> BoxFuture<'_, Result<(), ViewError>>;

    /// The last commit that the view has.
    fn watermark(&self) -> Result<Seq, ReadError>;
}

/// Payments that wait for the same kind of move, the earliest deadline first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitingQuery {
    /// For what.
    pub kind: WaitKind,
    /// Only deadlines up to this one.
    pub until: Timestamp,
    /// Only what follows this deadline of this payment.
    pub after: Option<(Timestamp, PaymentId)>,
    /// At most so many.
    pub limit: usize,
}

/// Port of the payments view.
pub trait Views: Follower + MovedIndex {
    /// One payment.
    fn payment(&self, id: PaymentId) -> BoxFuture<'_, Result<Option<PaymentRow>, ViewError>>;

    /// Payments of a merchant. Looks at a bounded number of them, so a page may end before it is full; then it says where.
    fn payments(&self, query: PaymentsQuery) -> BoxFuture<'_, Result<PaymentsPage, ViewError>>;

    /// Payments that wait, of all merchants.
    fn waiting(&self, query: WaitingQuery) -> BoxFuture<'_, Result<Vec<PaymentRow>, ViewError>>;

    /// What was announced to a merchant. Looks at a bounded number of announcements, so a page may end before it is full; then it says
    /// where.
    fn events(&self, query: EventsQuery) -> BoxFuture<'_, Result<EventsPage, ViewError>>;

    /// Refunds of a merchant.
    fn refunds(&self, query: RefundsQuery) -> BoxFuture<'_, Result<Vec<RefundPlace>, ViewError>>;
}

/// Port of payments for whoever only shows them. What it tells is as new as the view, but may come from a copy that was made of it, so whatever is
/// decided about money is decided by [`Views`] and the journal.
pub trait ShownPayments: Send + Sync + fmt::Debug {
    /// One payment.
    fn payment_shown(&self, id: PaymentId) -> BoxFuture<'_, Result<Option<PaymentRow>, ViewError>>;
}
