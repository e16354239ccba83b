//! An entry of a list: besides the id, as much of a payment as decides whether a filtered list shows it. Most payments that a filter
//! leaves out are left out by their entries, which lie densely in the order of the list; states are fetched for the rest.
//!
//! An index per filter would be faster still for rare values, but each is one more page to write per payment, in no order.

use super::mask::Mask;
use super::verdict::Questions;
use florin_domain::ids::{MerchantId, PaymentId};
use florin_domain::payment::Payment;
use florin_domain::ports::{PaymentsFilter, StatusName};
use rusqlite::{Connection, Row};
use std::ops::RangeInclusive;

/// The columns after the id, in this order.
pub(super) const COLUMNS: &str = "status, currency, amount_minor, customer, metadata";
/// The same with their types.
pub(super) const COLUMN_TYPES: &str =
    "status INTEGER NOT NULL, currency INTEGER NOT NULL, amount_minor INTEGER NOT NULL, customer INTEGER,
    metadata INTEGER NOT NULL";

const ALL: &str = "WITH entry AS (SELECT * FROM recent UNION ALL SELECT * FROM listed)
    SELECT id, {entry}, merchant, livemode FROM entry JOIN tenant ON tenant.number = entry.tenant";

/// What the columns hold of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) status: i64,
    pub(super) currency: i64,
    pub(super) amount_minor: i64,
    /// A digest: two customers may share it, so it only ever leaves out.
    pub(super) customer: Option<i64>,
    /// What the metadata can have.
    pub(super) metadata: Mask,
}

impl Entry {
    pub(super) fn of(payment: &Payment) -> Self {
        let spec = &payment.spec;
        Self {
            status: status(StatusName::of(&payment.status)),
            currency: spec.currency.numeric().into(),
            amount_minor: i64::try_from(payment.amount_minor()).unwrap_or(i64::MAX),
            customer: spec.customer.as_deref().map(customer),
            metadata: Mask::of(&spec.metadata),
        }
    }

    /// The entry of a row that begins with an id and the columns.
    pub(super) fn read(row: &Row<'_>) -> Result<Self, rusqlite::Error> {
        Ok(Self {
            status: row.get(1)?,
            currency: row.get(2)?,
            amount_minor: row.get(3)?,
            customer: row.get(4)?,
            metadata: Mask::stored(row.get(5)?),
        })
    }

    /// Whether its amount is one of these; nothing if it did not fit, so that only the state can tell.
    pub(super) fn is_of(&self, amount_minor: &RangeInclusive<u64>) -> Option<bool> {
        (self.amount_minor != i64::MAX)
            .then(|| u64::try_from(self.amount_minor).is_ok_and(|amount| amount_minor.contains(&amount)))
    }
}

/// Looks at every entry with its tenant, in no order.
pub(super) fn each(
    connection: &Connection,
    mut look: impl FnMut((MerchantId, bool), PaymentId, Entry),
) -> Result<(), rusqlite::Error> {
    let mut statement = connection.prepare(&ALL.replace("{entry}", COLUMNS))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let id = PaymentId::from_bits(u128::from_be_bytes(row.get(0)?));
        let merchant = MerchantId::from_bits(u128::from_be_bytes(row.get("merchant")?));
        look((merchant, row.get("livemode")?), id, Entry::read(row)?);
    }
    Ok(())
}

/// Which entries a filter may take.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    filter: &'a PaymentsFilter,
    status: Option<i64>,
    currency: Option<i64>,
    customer: Option<i64>,
    metadata: Mask,
    search: Option<Questions<'a>>,
}

impl<'a> Wanted<'a> {
    pub(super) fn by(filter: &'a PaymentsFilter) -> Self {
        Self {
            filter,
            status: filter.status.map(status),
            currency: filter.currency.map(|currency| currency.numeric().into()),
            customer: filter.customer.as_deref().map(customer),
            metadata: Mask::of(&filter.metadata),
            search: filter.search.as_ref().map(Questions::of),
        }
    }

    /// Whether the state of this payment is worth fetching; columns that nobody asks about are not read.
    pub(super) fn takes(&self, id: PaymentId, row: &Row<'_>) -> Result<bool, rusqlite::Error> {
        let holds = |column: usize, wanted: Option<i64>| match wanted {
            None => Ok(true),
            Some(value) => row
                .get::<_, Option<i64>>(column)
                .map(|found| found == Some(value)),
        };
        if !(holds(1, self.status)? && holds(2, self.currency)? && holds(4, self.customer)?) {
            return Ok(false);
        }
        if !self.filter.metadata.is_empty() && !Mask::stored(row.get(5)?).has(self.metadata) {
            return Ok(false);
        }
        let (range, search) = (&self.filter.amount_minor, &self.search);
        if range.is_none() && search.is_none() {
            return Ok(true);
        }
        Ok(self.may_be(id, &Entry::read(row)?))
    }

    /// The same of an entry that was read as a whole.
    pub(super) fn takes_entry(&self, id: PaymentId, entry: &Entry) -> bool {
        let is_of = |found: i64, wanted: Option<i64>| wanted.is_none_or(|value| found == value);
        is_of(entry.status, self.status)
            && is_of(entry.currency, self.currency)
            && (self.customer.is_none() || entry.customer == self.customer)
            && entry.metadata.has(self.metadata)
            && self.may_be(id, entry)
    }

    /// Whether amount and search let it pass.
    fn may_be(&self, id: PaymentId, entry: &Entry) -> bool {
        let range = self.filter.amount_minor.as_ref();
        range.is_none_or(|range| entry.is_of(range) != Some(false))
            && self
                .search
                .as_ref()
                .is_none_or(|search| search.may_find(id, entry))
    }
}

/// Stored, so numbers are never given anew.
pub(super) const fn status(name: StatusName) -> i64 {
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

/// FNV-1a of 32 bits, so that the column takes four bytes; the same for either case of ASCII, since a search does not tell them apart.
pub(super) fn customer(id: &str) -> i64 {
    let digest = id.bytes().fold(0x811c_9dc5_u32, |digest, byte| {
        (digest ^ u32::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0193)
    });
    i64::from(digest.cast_signed())
}
