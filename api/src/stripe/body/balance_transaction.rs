//! What a capture or a refund did to what the merchant is owed, as it was booked.

use super::{currency, minor, object, text};
use crate::stripe::ids;
use florin_domain::payment::Payment;
use florin_domain::ports::{MovedBy, MovedEntry, MovedKind};
use serde_json::{Value, json};

/// What an entry is called.
pub(crate) fn moved_id(entry: &MovedEntry) -> String {
    match entry.row.by {
        MovedBy::Sale => ids::named(ids::BALANCE_TRANSACTION, entry.row.payment),
        MovedBy::Capture(id) => ids::named(ids::BALANCE_TRANSACTION, id),
        MovedBy::Refund(id) => ids::named(ids::BALANCE_TRANSACTION, id),
    }
}

/// An entry of a payment.
pub fn moved(payment: &Payment, entry: &MovedEntry) -> Value {
    let (amount_minor, fee_minor) = (entry.amount_minor, entry.fee_minor);
    let booked_s = entry.row.place.at.unix_s();
    let kind = match entry.row.by.kind() {
        MovedKind::Charge => "charge",
        MovedKind::Refund => "refund",
    };
    let source = match entry.row.by {
        MovedBy::Sale | MovedBy::Capture(_) => ids::named(ids::CHARGE, payment.id()),
        MovedBy::Refund(id) => ids::named(ids::REFUND, id),
    };
    let fee = json!([{
        "amount": minor(fee_minor),
        "application": null,
        "currency": currency(payment),
        "description": "Florin processing fees",
        "type": "stripe_fee",
    }]);
    object([
        ("id", moved_id(entry).into()),
        ("object", "balance_transaction".into()),
        ("amount", minor(amount_minor)),
        // It is owed from the moment on that it is booked.
        ("available_on", booked_s.into()),
        ("balance_type", "payments".into()),
        ("created", booked_s.into()),
        ("currency", currency(payment)),
        ("description", text(payment.spec.description.as_deref())),
        ("exchange_rate", Value::Null),
        ("fee", minor(fee_minor)),
        ("fee_details", if fee_minor == 0 { json!([]) } else { fee }),
        ("net", minor(amount_minor.saturating_sub(fee_minor))),
        ("reporting_category", kind.into()),
        ("source", source.into()),
        ("status", "available".into()),
        ("type", kind.into()),
    ])
}
