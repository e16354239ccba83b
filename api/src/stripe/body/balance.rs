//! What a merchant is owed.

use super::{minor, object};
use florin_domain::money::Currency;
use serde_json::{Value, json};

/// The balance. Everything that is booked is available, since nothing waits for a settlement; what goes back to customers and is still on its
/// way is taken off already.
pub fn balance(livemode: bool, owed_minor: impl Iterator<Item = (Currency, i128)>) -> Value {
    let entry = |currency: Currency, amount_minor: i128| {
        let amount = minor(amount_minor);
        json!({
            "amount": amount,
            "currency": currency.code().to_ascii_lowercase(),
            "source_types": {"card": amount},
        })
    };
    let (available, pending): (Vec<Value>, Vec<Value>) = owed_minor
        .map(|(currency, amount_minor)| (entry(currency, amount_minor), entry(currency, 0)))
        .unzip();
    object([
        ("object", "balance".into()),
        ("available", available.into()),
        ("connect_reserved", Value::Null),
        ("instant_available", Value::Null),
        ("issuing", Value::Null),
        ("livemode", livemode.into()),
        ("pending", pending.into()),
        ("refund_and_dispute_prefunding", Value::Null),
    ])
}
