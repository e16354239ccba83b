//! The same object under two names: `pi_X`, `ch_X` and `pay_X` are one payment, `re_X` and `ref_X` one refund.

use florin_domain::ids::{PaymentId, RefundId};
use std::fmt::Display;

/// What a payment intent's id starts with.
pub(crate) const PAYMENT_INTENT: &str = "pi_";
/// What a charge's id starts with.
pub(crate) const CHARGE: &str = "ch_";
/// What a refund's id starts with.
pub(crate) const REFUND: &str = "re_";
/// What a balance transaction's id starts with.
pub(crate) const BALANCE_TRANSACTION: &str = "txn_";
/// What a review's id starts with.
pub(crate) const REVIEW: &str = "prv_";

/// The payment that is called so, natively or as an intent.
pub(crate) fn payment(text: &str) -> Option<PaymentId> {
    under([PaymentId::PREFIX, PAYMENT_INTENT], text, |id| {
        PaymentId::parse(id).ok()
    })
}

/// The payment whose charge is called so, or that is called so itself.
pub(crate) fn charge(text: &str) -> Option<PaymentId> {
    let own = || under([PaymentId::PREFIX, CHARGE], text, |id| PaymentId::parse(id).ok());
    payment(text).or_else(own)
}

/// The refund that is called so, natively or as Stripe would.
pub(crate) fn refund(text: &str) -> Option<RefundId> {
    under([RefundId::PREFIX, REFUND], text, |id| RefundId::parse(id).ok())
}

/// The payment whose balance transaction is called so, if it is a sale; else it has the bits of a capture's or a refund's id.
pub(crate) fn balance_transaction(text: &str) -> Option<PaymentId> {
    let body = text.strip_prefix(BALANCE_TRANSACTION)?;
    PaymentId::parse(&format!("{}{body}", PaymentId::PREFIX)).ok()
}

fn under<T>([native, other]: [&str; 2], text: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
    match text.strip_prefix(other) {
        Some(body) => parse(&format!("{native}{body}")),
        None => parse(text),
    }
}

/// An id under another prefix: the characters behind it stay.
pub(crate) fn named(prefix: &str, id: impl Display) -> String {
    let text = id.to_string();
    let body = text.split_once('_').map_or(text.as_str(), |(_, body)| body);
    format!("{prefix}{body}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_has_two_names_and_no_third() {
        let id = PaymentId::from_bits(7);
        let body = "00000000000000000000000007";
        assert_eq!(named(PAYMENT_INTENT, id), format!("pi_{body}"));
        assert_eq!(
            named(BALANCE_TRANSACTION, RefundId::from_bits(7)),
            format!("txn_{body}")
        );
        for prefix in ["pay_", "pi_"] {
            assert_eq!(payment(&format!("{prefix}{body}")), Some(id), "{prefix}");
        }
        for prefix in ["pay_", "pi_", "ch_"] {
            assert_eq!(charge(&format!("{prefix}{body}")), Some(id), "{prefix}");
        }
        for prefix in ["re_", "ref_"] {
            assert_eq!(
                refund(&format!("{prefix}{body}")),
                Some(RefundId::from_bits(7)),
                "{prefix}"
            );
        }
        let moved = balance_transaction(&format!("txn_{body}"));
        assert_eq!(moved, Some(id));
        assert_eq!(balance_transaction(&format!("pay_{body}")), None);
        for strange in [
            "",
            "pi_",
            "ch_00000000000000000000000007",
            "pi_pay_00000000000000000000000007",
            "PI_00000000000000000000000007",
        ] {
            assert_eq!(payment(strange), None, "{strange}");
        }
        assert_eq!(refund(&format!("pay_{body}")), None);
    }
}
