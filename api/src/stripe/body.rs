//! A payment as the objects of Stripe's API. Pure functions of the payment: whatever has no meaning here is null, and nothing is left out,
//! since clients of typed languages read every field.
//!
//! One payment is one intent with at most one charge; that charge shows the latest attempt.

mod balance;
mod balance_transaction;
mod charge;
mod event;
mod payment_intent;
mod refund;
#[cfg(test)]
pub(crate) mod tests;

pub use balance::balance;
pub use balance_transaction::moved;
pub(crate) use balance_transaction::moved_id;
pub use charge::{charge, has_charge};
pub use event::event;
pub use payment_intent::{payment_intent, status};
pub(crate) use refund::newest_first;
pub use refund::{refund, refunds};

use super::expand::Expand;
use florin_domain::payment::{Failure, Payment};
use serde_json::{Map, Value};

/// A payment, with what its objects show that is not in it.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// The payment.
    pub payment: &'a Payment,
    /// What lets the customer's browser act on it; null where it is not to be told.
    pub client_secret: Option<&'a str>,
}

/// An object of these fields.
fn object(fields: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value));
    Value::Object(fields.collect::<Map<_, _>>())
}

/// An amount in minor units. None of a payment is beyond what 64 bits hold.
fn minor(minor: i128) -> Value {
    i64::try_from(minor).unwrap_or(i64::MAX).into()
}

/// A text, or null.
fn text(text: Option<&str>) -> Value {
    text.map_or(Value::Null, Value::from)
}

/// A reference: the id, or the object itself where it is to be expanded.
fn reference(id: String, expand: Option<&Expand>, object: impl FnOnce(&Expand) -> Value) -> Value {
    expand.map_or(Value::String(id), object)
}

fn currency(payment: &Payment) -> Value {
    payment.spec.currency.code().to_ascii_lowercase().into()
}

fn metadata(payment: &Payment) -> Value {
    let pairs = payment.spec.metadata.iter();
    let pairs = pairs.map(|(name, value)| (name.to_string(), Value::from(value.as_ref())));
    Value::Object(pairs.collect())
}

/// The code of a failure: Stripe gives some declines a code of their own.
pub(crate) fn failure_code(failure: &Failure) -> &str {
    card_code(failure.code, failure.decline_code.as_deref())
}

/// The same of a refusal that is being told.
pub(crate) fn card_code<'a>(code: &'a str, decline_code: Option<&'a str>) -> &'a str {
    match decline_code {
        Some(
            own @ ("authentication_required"
            | "expired_card"
            | "incorrect_cvc"
            | "incorrect_number"
            | "invalid_cvc"
            | "invalid_expiry_month"
            | "invalid_expiry_year"
            | "invalid_number"
            | "processing_error"),
        ) => own,
        Some(_) | None => code,
    }
}

/// What a person is told of a decline.
pub(crate) fn decline_message(decline_code: Option<&str>) -> &'static str {
    match decline_code {
        Some("expired_card") => "Your card has expired.",
        Some("incorrect_cvc" | "invalid_cvc") => "Your card's security code is incorrect.",
        Some("incorrect_number" | "invalid_number") => "Your card number is incorrect.",
        Some("insufficient_funds") => "Your card has insufficient funds.",
        Some("processing_error") => {
            "An error occurred while processing your card. Try again in a little bit."
        }
        Some("authentication_required") => {
            "Your card was declined. This transaction requires authentication."
        }
        Some(_) | None => "Your card was declined.",
    }
}
