//! Owns what the rows of a batch have, column by column, as one call takes them.

use crate::schema::v1;
use crate::views::entry::Entry;
use crate::views::waiting;
use florin_domain::ports::{
    AnnouncingCommit, MovedBy, MovedEntry, PaymentRow, StatusName, entries_of, refunds_of,
};
use tokio_postgres::types::{ToSql, Type};

/// The call, with as many parameters as there are types.
pub(super) const APPLY: &str = "SELECT florin.apply_view($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
    $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39)";

/// Of its parameters.
pub(super) fn types() -> [Type; 39] {
    let (texts, numbers, blobs) = (Type::TEXT_ARRAY, Type::INT8_ARRAY, Type::BYTEA_ARRAY);
    let (flags, places) = (Type::BOOL_ARRAY, Type::INT4_ARRAY);
    [
        Type::INT4,
        Type::INT8,
        Type::INT8,
        Type::INT8,
        Type::INT8,
        Type::BOOL,
        // Payments.
        texts.clone(),
        numbers.clone(),
        texts.clone(),
        flags.clone(),
        numbers.clone(),
        texts.clone(),
        texts.clone(),
        numbers.clone(),
        numbers.clone(),
        numbers.clone(),
        numbers.clone(),
        texts.clone(),
        numbers.clone(),
        numbers.clone(),
        Type::INT2_ARRAY,
        numbers.clone(),
        blobs.clone(),
        // Refunds.
        texts.clone(),
        places.clone(),
        // What moved.
        numbers.clone(),
        blobs.clone(),
        texts.clone(),
        texts.clone(),
        numbers.clone(),
        numbers.clone(),
        places,
        // Announcements.
        numbers.clone(),
        texts.clone(),
        flags,
        numbers.clone(),
        texts,
        numbers,
        blobs,
    ]
}

/// The columns of a batch.
#[derive(Debug, Default)]
pub(super) struct Columns {
    payments: Payments,
    refunds: Vec<String>,
    refund_places: Vec<i32>,
    moved: Moved,
    announced: Announced,
}

#[derive(Debug, Default)]
struct Payments {
    ids: Vec<String>,
    seqs: Vec<i64>,
    merchants: Vec<String>,
    livemodes: Vec<bool>,
    created_at_ms: Vec<i64>,
    statuses: Vec<&'static str>,
    currencies: Vec<&'static str>,
    amounts_minor: Vec<i64>,
    captured_minor: Vec<i64>,
    refunded_minor: Vec<i64>,
    fees_minor: Vec<i64>,
    customers: Vec<Option<String>>,
    customer_digests: Vec<Option<i64>>,
    metadata_masks: Vec<i64>,
    waits_for: Vec<Option<i16>>,
    due_ms: Vec<Option<i64>>,
    states: Vec<Vec<u8>>,
}

#[derive(Debug, Default)]
struct Moved {
    at_ms: Vec<i64>,
    ids: Vec<Vec<u8>>,
    kinds: Vec<&'static str>,
    operations: Vec<String>,
    amounts_minor: Vec<i64>,
    fees_minor: Vec<i64>,
    places: Vec<i32>,
}

#[derive(Debug, Default)]
struct Announced {
    seqs: Vec<i64>,
    merchants: Vec<String>,
    livemodes: Vec<bool>,
    at_ms: Vec<i64>,
    payments: Vec<String>,
    first_numbers: Vec<i64>,
    kinds: Vec<Vec<u8>>,
}

impl Columns {
    pub(super) fn of(rows: &[PaymentRow], announced: &[AnnouncingCommit]) -> Self {
        let mut columns = Self::default();
        // Arrays of the database count from one.
        for (place, row) in (1..).zip(rows) {
            columns.payments.push(row);
            for refund in refunds_of(&row.payment) {
                columns.refunds.push(refund.to_string());
                columns.refund_places.push(place);
            }
            for entry in entries_of(&row.payment) {
                columns.moved.push(&entry, place);
            }
        }
        for commit in announced {
            columns.announced.push(commit);
        }
        columns
    }

    /// In the order of the call.
    pub(super) fn parameters(&self) -> [&(dyn ToSql + Sync); 33] {
        let Self {
            payments,
            refunds,
            refund_places,
            moved,
            announced,
        } = self;
        [
            &payments.ids,
            &payments.seqs,
            &payments.merchants,
            &payments.livemodes,
            &payments.created_at_ms,
            &payments.statuses,
            &payments.currencies,
            &payments.amounts_minor,
            &payments.captured_minor,
            &payments.refunded_minor,
            &payments.fees_minor,
            &payments.customers,
            &payments.customer_digests,
            &payments.metadata_masks,
            &payments.waits_for,
            &payments.due_ms,
            &payments.states,
            refunds,
            refund_places,
            &moved.at_ms,
            &moved.ids,
            &moved.kinds,
            &moved.operations,
            &moved.amounts_minor,
            &moved.fees_minor,
            &moved.places,
            &announced.seqs,
            &announced.merchants,
            &announced.livemodes,
            &announced.at_ms,
            &announced.payments,
            &announced.first_numbers,
            &announced.kinds,
        ]
    }
}

impl Payments {
    fn push(&mut self, row: &PaymentRow) {
        let (payment, spec) = (&row.payment, &row.payment.spec);
        let entry = Entry::of(payment);
        let waits = payment.waits_for();
        let mut state = Vec::new();
        v1::payment::encode(payment, &mut state);
        self.ids.push(spec.id.to_string());
        self.seqs.push(row.seq.0.cast_signed());
        self.merchants.push(spec.merchant.to_string());
        self.livemodes.push(spec.livemode);
        self.created_at_ms.push(waiting::millis(spec.created_at));
        self.statuses.push(StatusName::of(&payment.status).as_str());
        self.currencies.push(spec.currency.code());
        self.amounts_minor.push(entry.amount_minor);
        self.captured_minor.push(minor(payment.captured.minor()));
        self.refunded_minor.push(minor(payment.refunded.minor()));
        self.fees_minor.push(minor(payment.fee_minor));
        self.customers.push(spec.customer.as_deref().map(readable));
        self.customer_digests.push(entry.customer);
        self.metadata_masks.push(entry.metadata.column());
        self.waits_for
            .push(waits.and_then(|(kind, _)| i16::try_from(waiting::number(kind)).ok()));
        self.due_ms.push(waits.map(|(_, due)| waiting::millis(due)));
        self.states.push(state);
    }
}

impl Moved {
    fn push(&mut self, entry: &MovedEntry, place: i32) {
        let row = &entry.row;
        let (kind, operation) = match row.by {
            MovedBy::Sale => (SALE, row.payment.to_string()),
            MovedBy::Capture(id) => (CAPTURE, id.to_string()),
            MovedBy::Refund(id) => (REFUND, id.to_string()),
        };
        self.at_ms.push(waiting::millis(row.place.at));
        self.ids.push(row.place.id.to_be_bytes().to_vec());
        self.kinds.push(kind);
        self.operations.push(operation);
        self.amounts_minor.push(minor(entry.amount_minor));
        self.fees_minor.push(minor(entry.fee_minor));
        self.places.push(place);
    }
}

impl Announced {
    fn push(&mut self, commit: &AnnouncingCommit) {
        self.seqs.push(commit.seq.0.cast_signed());
        self.merchants.push(commit.merchant.to_string());
        self.livemodes.push(commit.livemode);
        self.at_ms.push(commit.at.unix_ms().cast_signed());
        self.payments.push(commit.payment.to_string());
        self.first_numbers.push(commit.first_number.cast_signed());
        self.kinds
            .push(commit.kinds.iter().map(|kind| kind.number()).collect());
    }
}

/// What moved, as the column has it.
pub(super) const SALE: &str = "sale";
/// See [`SALE`].
pub(super) const CAPTURE: &str = "capture";
/// See [`SALE`].
pub(super) const REFUND: &str = "refund";

/// An amount for reports; what does not fit, millions of the largest payments, is shown as the largest number.
fn minor(amount: i128) -> i64 {
    i64::try_from(amount).unwrap_or(if amount < 0 { i64::MIN } else { i64::MAX })
}

/// A text for reports: the database takes every character but one.
fn readable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
