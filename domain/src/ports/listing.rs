//! What a list of payments asks for. Both sides of a list, the view and the tail of the journal, decide by these rules, so that they agree.

pub mod search;

use super::PaymentRow;
use crate::ids::{MerchantId, PaymentId, ShardId, compose};
use crate::money::Currency;
use crate::payment::{Payment, Status};
use crate::time::{Millis, Timestamp};
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// Where a payment stands, without what a status may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StatusName {
    /// See [`Status::RequiresPaymentMethod`].
    RequiresPaymentMethod,
    /// See [`Status::RequiresConfirmation`].
    RequiresConfirmation,
    /// See [`Status::RequiresAction`].
    RequiresAction,
    /// See [`Status::InReview`].
    InReview,
    /// See [`Status::Processing`].
    Processing,
    /// See [`Status::Authorized`].
    Authorized,
    /// See [`Status::Succeeded`].
    Succeeded,
    /// See [`Status::Failed`].
    Failed,
    /// See [`Status::Blocked`].
    Blocked,
    /// See [`Status::Voided`].
    Voided,
}

impl StatusName {
    /// Every name, in the order of a payment's life.
    pub const ALL: [Self; 10] = [
        Self::RequiresPaymentMethod,
        Self::RequiresConfirmation,
        Self::RequiresAction,
        Self::InReview,
        Self::Processing,
        Self::Authorized,
        Self::Succeeded,
        Self::Failed,
        Self::Blocked,
        Self::Voided,
    ];

    /// The name of a status.
    pub const fn of(status: &Status) -> Self {
        match status {
            Status::RequiresPaymentMethod => Self::RequiresPaymentMethod,
            Status::RequiresConfirmation => Self::RequiresConfirmation,
            Status::RequiresAction(_) => Self::RequiresAction,
            Status::InReview { .. } => Self::InReview,
            Status::Processing => Self::Processing,
            Status::Authorized => Self::Authorized,
            Status::Succeeded => Self::Succeeded,
            Status::Failed => Self::Failed,
            Status::Blocked => Self::Blocked,
            Status::Voided => Self::Voided,
        }
    }

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RequiresPaymentMethod => "requires_payment_method",
            Self::RequiresConfirmation => "requires_confirmation",
            Self::RequiresAction => "requires_action",
            Self::InReview => "in_review",
            Self::Processing => "processing",
            Self::Authorized => "authorized",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Blocked => "blocked",
            Self::Voided => "voided",
        }
    }

    /// The status with this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.as_str() == word)
    }
}

impl fmt::Display for StatusName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Which payments of a merchant; all of them unless something is said. Of what it looks at, only the status, the amount and the metadata ever change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PaymentsFilter {
    /// Where they stand.
    pub status: Option<StatusName>,
    /// The merchant's customer.
    pub customer: Option<Arc<str>>,
    /// Of what.
    pub currency: Option<Currency>,
    /// Between these amounts, in minor units.
    pub amount_minor: Option<RangeInclusive<u64>>,
    /// Asked for in these seconds since the Unix epoch.
    pub created_s: Option<RangeInclusive<u64>>,
    /// With all of these pairs in their metadata.
    pub metadata: Vec<(Arc<str>, Arc<str>)>,
    /// That this finds.
    pub search: Option<search::Search>,
}

impl PaymentsFilter {
    /// Whether a payment that is or ever was in this state may be in the list in some state.
    pub fn takes_whatever_changes(&self, payment: &Payment) -> bool {
        let spec = &payment.spec;
        is_within(self.created_s.as_ref(), spec.created_at.unix_s().into())
            && self.currency.is_none_or(|currency| currency == spec.currency)
            && self
                .customer
                .as_deref()
                .is_none_or(|customer| spec.customer.as_deref() == Some(customer))
    }

    /// Whether a payment in this state is in the list.
    pub fn takes(&self, payment: &Payment) -> bool {
        let stands = |status| StatusName::of(&payment.status) == status;
        self.status.is_none_or(stands)
            && is_within(self.amount_minor.as_ref(), payment.amount_minor())
            && self.takes_whatever_changes(payment)
            && self
                .metadata
                .iter()
                .all(|(key, value)| under(&payment.spec.metadata, key) == Some(value))
            && self.search.as_ref().is_none_or(|search| search.takes(payment))
    }
}

/// What is under a key of a payment's metadata.
fn under<'a>(metadata: &'a [(Arc<str>, Arc<str>)], key: &str) -> Option<&'a str> {
    metadata
        .iter()
        .find(|(own, _)| **own == *key)
        .map(|(_, value)| &**value)
}

fn is_within(range: Option<&RangeInclusive<u64>>, value: i128) -> bool {
    range.is_none_or(|range| i128::from(*range.start()) <= value && value <= i128::from(*range.end()))
}

/// From which end a list is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ListOrder {
    /// From the newest payment towards older ones.
    #[default]
    NewestFirst,
    /// From the oldest payment towards newer ones.
    OldestFirst,
}

/// A stretch of the payments of one merchant, which are ordered by their ids and thereby by time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentsQuery {
    /// Whose.
    pub merchant: MerchantId,
    /// Live or test mode.
    pub livemode: bool,
    /// Which of them.
    pub filter: PaymentsFilter,
    /// Only payments older than this one.
    pub starting_after: Option<PaymentId>,
    /// Only payments newer than this one.
    pub ending_before: Option<PaymentId>,
    /// From which end.
    pub order: ListOrder,
    /// At most so many.
    pub limit: usize,
}

/// A payment is dated by its id; the margin is for one that would be dated a moment after its id was drawn.
const DATING_MAX: Millis = Millis::from_s(1);
/// The seconds since the Unix epoch, one of which a payment with this id is dated by.
pub fn dated_s(id: PaymentId) -> RangeInclusive<u64> {
    let drawn_ms = id.drawn_at().unix_ms();
    drawn_ms.saturating_sub(DATING_MAX.0) / 1000..=drawn_ms.saturating_add(DATING_MAX.0) / 1000
}

/// The last instant that an id can carry.
const ID_MS_MAX: u64 = (1 << 48) - 1;

impl PaymentsQuery {
    /// The newest payments of a merchant.
    pub fn newest(merchant: MerchantId, livemode: bool, limit: usize) -> Self {
        Self {
            merchant,
            livemode,
            filter: PaymentsFilter::default(),
            starting_after: None,
            ending_before: None,
            order: ListOrder::NewestFirst,
            limit,
        }
    }

    /// Between which ids a payment of this list is, by the cursors and the times asked for. Empty if the start is behind the end.
    pub fn ids(&self) -> RangeInclusive<PaymentId> {
        let at = |ms: u64, shard, entropy| {
            compose(
                Timestamp::from_unix_ms(ms.min(ID_MS_MAX)),
                ShardId(shard),
                entropy,
            )
        };
        let (mut first, mut last) = (0, u128::MAX);
        if let Some(seconds) = &self.filter.created_s {
            let start_ms = seconds.start().saturating_mul(1000).saturating_sub(DATING_MAX.0);
            let end_ms = seconds
                .end()
                .saturating_add(1)
                .saturating_mul(1000)
                .saturating_add(DATING_MAX.0);
            (first, last) = (at(start_ms, 0, 0), at(end_ms, u16::MAX, u64::MAX));
            if seconds.is_empty() {
                (first, last) = (1, 0);
            }
        }
        if let Some(newer_than) = self.ending_before {
            let next = newer_than.bits().checked_add(1);
            (first, last) = next.map_or((1, 0), |next| (first.max(next), last));
        }
        if let Some(older_than) = self.starting_after {
            let next = older_than.bits().checked_sub(1);
            (first, last) = next.map_or((1, 0), |next| (first, last.min(next)));
        }
        PaymentId::from_bits(first)..=PaymentId::from_bits(last)
    }

    /// Whether a payment is the merchant's and within reach of the list, whatever its status.
    pub fn reaches(&self, payment: &Payment) -> bool {
        let spec = &payment.spec;
        spec.merchant == self.merchant
            && spec.livemode == self.livemode
            && self.ids().contains(&spec.id)
            && self.filter.takes_whatever_changes(payment)
    }

    /// The same list, behind an entry of it.
    #[must_use]
    pub fn behind(mut self, entry: PaymentId) -> Self {
        match self.order {
            ListOrder::NewestFirst => self.starting_after = Some(entry),
            ListOrder::OldestFirst => self.ending_before = Some(entry),
        }
        self
    }

    /// Puts rows into the order of the list.
    pub fn sort(&self, rows: &mut [PaymentRow]) {
        match self.order {
            ListOrder::NewestFirst => rows.sort_unstable_by_key(|row| std::cmp::Reverse(row.payment.id())),
            ListOrder::OldestFirst => rows.sort_unstable_by_key(|row| row.payment.id()),
        }
    }
}

/// A stretch of a list as a store has it.
#[derive(Clone, Debug, Default)]
pub struct PaymentsPage {
    /// In the order asked for.
    pub rows: Vec<PaymentRow>,
    /// The payment looked at last, if the store stopped there although there may be more behind it.
    pub stopped_at: Option<PaymentId>,
}

#[cfg(test)]
mod tests;
