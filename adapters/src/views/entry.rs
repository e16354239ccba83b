//! An entry of a list: besides the id, as much of a payment as decides whether a filtered list shows it. Most payments that a filter
//! leaves out are left out by their entries, which lie densely in the order of the list; states are fetched for the rest.
//!
//! An index per filter would be faster still for rare values, but each is one more page to write per payment, in no order.

use florin_domain::payment::Payment;
use florin_domain::ports::{PaymentsFilter, StatusName};
use rusqlite::Row;

/// The columns after the id, in this order.
pub(super) const COLUMNS: &str = "status, currency, amount_minor, customer";
/// The same with their types.
pub(super) const COLUMN_TYPES: &str =
    "status INTEGER NOT NULL, currency INTEGER NOT NULL, amount_minor INTEGER NOT NULL, customer INTEGER";

/// What the columns hold of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) status: i64,
    pub(super) currency: i64,
    pub(super) amount_minor: i64,
    /// A digest: two customers may share it, so it only ever leaves out.
    pub(super) customer: Option<i64>,
}

impl Entry {
    pub(super) fn of(payment: &Payment) -> Self {
        let spec = &payment.spec;
        Self {
            status: status(StatusName::of(&payment.status)),
            currency: spec.currency.numeric().into(),
            amount_minor: i64::try_from(payment.amount_minor()).unwrap_or(i64::MAX),
            customer: spec.customer.as_deref().map(customer),
        }
    }
}

/// Which entries a filter may take.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    filter: &'a PaymentsFilter,
    status: Option<i64>,
    currency: Option<i64>,
    customer: Option<i64>,
}

impl<'a> Wanted<'a> {
    pub(super) fn by(filter: &'a PaymentsFilter) -> Self {
        Self {
            filter,
            status: filter.status.map(status),
            currency: filter.currency.map(|currency| currency.numeric().into()),
            customer: filter.customer.as_deref().map(customer),
        }
    }

    /// Whether the state is worth fetching; columns that nobody asks about are not read.
    pub(super) fn takes(&self, row: &Row<'_>) -> Result<bool, rusqlite::Error> {
        let holds = |column: usize, wanted: Option<i64>| match wanted {
            None => Ok(true),
            Some(value) => row
                .get::<_, Option<i64>>(column)
                .map(|found| found == Some(value)),
        };
        if !(holds(1, self.status)? && holds(2, self.currency)? && holds(4, self.customer)?) {
            return Ok(false);
        }
        let Some(range) = &self.filter.amount_minor else {
            return Ok(true);
        };
        let amount_minor: i64 = row.get(3)?;
        // What does not fit is told apart by the state itself.
        Ok(amount_minor == i64::MAX
            || u64::try_from(amount_minor).is_ok_and(|amount| range.contains(&amount)))
    }
}

/// Stored, so numbers are never given anew.
const fn status(name: StatusName) -> i64 {
    match name {
        StatusName::RequiresPaymentMethod => 1,
        StatusName::RequiresConfirmation => 2,
        StatusName::RequiresAction => 3,
        StatusName::InReview => 4,
        StatusName::Processing => 5,
        StatusName::Authorized => 6,
        StatusName::Succeeded => 7,
        StatusName::Failed => 8,
        StatusName::Blocked => 9,
        StatusName::Voided => 10,
    }
}

/// FNV-1a of 32 bits, so that the column takes four bytes.
fn customer(id: &str) -> i64 {
    let digest = id.bytes().fold(0x811c_9dc5_u32, |digest, byte| {
        (digest ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    i64::from(digest.cast_signed())
}
