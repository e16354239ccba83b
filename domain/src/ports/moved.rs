//! What the index of balance transactions is asked for: what captures and refunds moved, in the order in which they were booked. It lies beside the
//! payments view, and is made of the payments in it. It only ever grows.

use super::{BoxFuture, ListOrder, ViewError};
use crate::ids::{CaptureId, MerchantId, OperationId, PaymentId, RefundId};
use crate::ledger::FeeRecognition;
use crate::money::Currency;
use crate::payment::Payment;
use crate::time::Timestamp;
use std::fmt;
use std::ops::RangeInclusive;

/// Where an entry is in the list: by when it was booked, and then by the id of what moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MovedPlace {
    /// When it was booked.
    pub at: Timestamp,
    /// The id of the payment that was taken at once, of the capture or of the refund.
    pub id: u128,
}

impl MovedPlace {
    /// Before every other.
    pub const FIRST: Self = Self {
        at: Timestamp::from_unix_ms(0),
        id: 0,
    };
    /// Behind every other.
    pub const LAST: Self = Self {
        at: Timestamp::from_unix_ms(u64::MAX),
        id: u128::MAX,
    };

    const fn next(self) -> Option<Self> {
        match (self.id.checked_add(1), self.at.unix_ms().checked_add(1)) {
            (Some(id), _) => Some(Self { at: self.at, id }),
            (None, Some(ms)) => Some(Self {
                at: Timestamp::from_unix_ms(ms),
                id: 0,
            }),
            (None, None) => None,
        }
    }

    const fn before(self) -> Option<Self> {
        match (self.id.checked_sub(1), self.at.unix_ms().checked_sub(1)) {
            (Some(id), _) => Some(Self { at: self.at, id }),
            (None, Some(ms)) => Some(Self {
                at: Timestamp::from_unix_ms(ms),
                id: u128::MAX,
            }),
            (None, None) => None,
        }
    }
}

/// What moved money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MovedBy {
    /// The payment itself, which was authorized and captured at once.
    Sale,
    /// A capture.
    Capture(CaptureId),
    /// A refund.
    Refund(RefundId),
}

impl MovedBy {
    /// Of an operation that may move money.
    const fn of(operation: OperationId) -> Option<Self> {
        match operation {
            OperationId::Authorize(_) => Some(Self::Sale),
            OperationId::Capture(id) => Some(Self::Capture(id)),
            OperationId::Refund(id) => Some(Self::Refund(id)),
            OperationId::Void(_) | OperationId::Increment(_) | OperationId::Reversal(_) => None,
        }
    }

    /// Whether it took money or gave it back.
    pub const fn kind(self) -> MovedKind {
        match self {
            Self::Sale | Self::Capture(_) => MovedKind::Charge,
            Self::Refund(_) => MovedKind::Refund,
        }
    }
}

/// An entry of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MovedRow {
    /// Where it is.
    pub place: MovedPlace,
    /// The payment that it is of.
    pub payment: PaymentId,
    /// What moved.
    pub by: MovedBy,
    /// Money of which currency.
    pub currency: Currency,
}

/// Only entries of this kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MovedKind {
    /// What was taken.
    Charge,
    /// What was given back.
    Refund,
}

/// A stretch of what moved a merchant's money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovedQuery {
    /// Whose.
    pub merchant: MerchantId,
    /// Live or test mode.
    pub livemode: bool,
    /// Only between these.
    pub places: RangeInclusive<MovedPlace>,
    /// Only the capture or the refund with this id. A sale is found by its payment.
    pub operation: Option<u128>,
    /// Only of this kind.
    pub kind: Option<MovedKind>,
    /// Only in this currency.
    pub currency: Option<Currency>,
    /// From which end.
    pub order: ListOrder,
    /// At most so many.
    pub limit: usize,
}

impl MovedQuery {
    /// All of a merchant's, the newest first.
    pub const fn newest(merchant: MerchantId, livemode: bool, limit: usize) -> Self {
        Self {
            merchant,
            livemode,
            places: MovedPlace::FIRST..=MovedPlace::LAST,
            operation: None,
            kind: None,
            currency: None,
            order: ListOrder::NewestFirst,
            limit,
        }
    }

    /// Only what was booked in these seconds since the Unix epoch.
    #[must_use]
    pub fn within_s(mut self, seconds: &RangeInclusive<u64>) -> Self {
        if seconds.is_empty() {
            return self.nothing();
        }
        let first_ms = seconds.start().saturating_mul(1000);
        let last_ms = seconds.end().saturating_mul(1000).saturating_add(999);
        let (first, last) = (
            MovedPlace {
                at: Timestamp::from_unix_ms(first_ms),
                id: 0,
            },
            MovedPlace {
                at: Timestamp::from_unix_ms(last_ms),
                id: u128::MAX,
            },
        );
        self.places = first.max(*self.places.start())..=last.min(*self.places.end());
        self
    }

    /// Only what is older than this, the newest first.
    #[must_use]
    pub fn older_than(mut self, place: MovedPlace) -> Self {
        let Some(last) = place.before() else {
            return self.nothing();
        };
        self.order = ListOrder::NewestFirst;
        self.places = *self.places.start()..=last.min(*self.places.end());
        self
    }

    /// Only what is newer than this, the oldest first.
    #[must_use]
    pub fn newer_than(mut self, place: MovedPlace) -> Self {
        let Some(first) = place.next() else {
            return self.nothing();
        };
        self.order = ListOrder::OldestFirst;
        self.places = first.max(*self.places.start())..=*self.places.end();
        self
    }

    /// The same list behind a place of it, in the order in which it is read.
    #[must_use]
    pub fn behind(self, place: MovedPlace) -> Self {
        match self.order {
            ListOrder::NewestFirst => self.older_than(place),
            ListOrder::OldestFirst => self.newer_than(place),
        }
    }

    fn nothing(mut self) -> Self {
        self.places = MovedPlace::LAST..=MovedPlace::FIRST;
        self
    }

    /// Whether an entry is one of those that are asked for, wherever it is.
    pub fn takes(&self, row: &MovedRow) -> bool {
        let is_meant = self
            .operation
            .is_none_or(|id| row.by != MovedBy::Sale && id == row.place.id);
        let is_of_kind = self.kind.is_none_or(|kind| kind == row.by.kind());
        is_meant && is_of_kind && self.currency.is_none_or(|currency| currency == row.currency)
    }
}

/// A stretch of the index as a store has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MovedPage {
    /// In the order asked for.
    pub rows: Vec<MovedRow>,
    /// The place looked at last, if the store stopped there although there may be more behind it.
    pub stopped_at: Option<MovedPlace>,
}

/// Port of the index of balance transactions.
pub trait MovedIndex: Send + Sync + fmt::Debug {
    /// What moved a merchant's money. Looks at a bounded number of entries, so a page may end before it is full; then it says where.
    fn moved(&self, query: MovedQuery) -> BoxFuture<'_, Result<MovedPage, ViewError>>;
}

/// An entry with what it did to what the merchant is owed. None of it ever changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MovedEntry {
    /// Where it is, and of what.
    pub row: MovedRow,
    /// What was taken, in minor units; less than zero if it was given back.
    pub amount_minor: i128,
    /// What of it is Florin's and not the merchant's, in minor units; less than zero if it was returned.
    pub fee_minor: i128,
}

/// What moved what a payment's merchant is owed, as it was booked: each capture and each refund. Of our own sales nobody is owed anything, so there is
/// nothing of them.
pub fn entries_of(payment: &Payment) -> impl Iterator<Item = MovedEntry> {
    let profile = payment.posting_profile;
    let operations = payment.operations.iter().filter(move |_| profile.owes_merchant());
    operations.filter_map(move |operation| {
        let (booked, by) = (operation.booked?, MovedBy::of(operation.id)?);
        let id = match by {
            MovedBy::Sale => payment.id().bits(),
            MovedBy::Capture(id) => id.bits(),
            MovedBy::Refund(id) => id.bits(),
        };
        let minor = operation.amount.minor();
        Some(MovedEntry {
            row: MovedRow {
                place: MovedPlace { at: booked.at, id },
                payment: payment.id(),
                by,
                currency: payment.spec.currency,
            },
            amount_minor: match by.kind() {
                MovedKind::Charge => minor,
                MovedKind::Refund => minor.saturating_neg(),
            },
            fee_minor: match profile.fee_recognition {
                FeeRecognition::AtPayment => booked.fee_minor,
                // The merchant is owed all of it until it is settled with.
                FeeRecognition::AtSettlement => 0,
            },
        })
    })
}

/// Their rows in the index.
pub fn moved_of(payment: &Payment) -> impl Iterator<Item = MovedRow> {
    entries_of(payment).map(|entry| entry.row)
}

/// The newest entry of what was taken.
pub fn charged_last(payment: &Payment) -> Option<MovedEntry> {
    let taken = entries_of(payment).filter(|entry| entry.row.by.kind() == MovedKind::Charge);
    taken.max_by_key(|entry| entry.row.place)
}

#[cfg(test)]
mod tests {
    //! Tests of the module around it.

    use super::*;

    const fn place(ms: u64, id: u128) -> MovedPlace {
        MovedPlace {
            at: Timestamp::from_unix_ms(ms),
            id,
        }
    }

    fn all() -> MovedQuery {
        MovedQuery::newest(MerchantId::from_bits(1), false, 10)
    }

    #[test]
    fn cursors_leave_out_their_own_entry_and_nothing_else() {
        let middle = place(7, 3);
        assert_eq!(all().older_than(middle).places, MovedPlace::FIRST..=place(7, 2));
        assert_eq!(all().newer_than(middle).places, place(7, 4)..=MovedPlace::LAST);
        assert_eq!(
            all().older_than(place(7, 0)).places,
            MovedPlace::FIRST..=place(6, u128::MAX)
        );
        assert_eq!(
            all().newer_than(place(7, u128::MAX)).places,
            place(8, 0)..=MovedPlace::LAST
        );
        assert!(all().older_than(MovedPlace::FIRST).places.is_empty());
        assert!(all().newer_than(MovedPlace::LAST).places.is_empty());
    }

    #[test]
    fn seconds_are_whole_and_cursors_stay_within_them() {
        let within = all().within_s(&(2..=3));
        assert_eq!(within.places, place(2000, 0)..=place(3999, u128::MAX));
        assert_eq!(
            within.clone().older_than(place(3000, 1)).places,
            place(2000, 0)..=place(3000, 0)
        );
        assert_eq!(
            within.clone().newer_than(place(1, 1)).places,
            place(2000, 0)..=place(3999, u128::MAX)
        );
        assert!(within.older_than(place(5, 0)).places.is_empty());
        assert!(all().within_s(&RangeInclusive::new(3, 2)).places.is_empty());
        assert_eq!(
            all().within_s(&(0..=u64::MAX)).places,
            MovedPlace::FIRST..=MovedPlace::LAST
        );
    }
}
