//! What customers are told of a decline, in plain words, and of how much is asked for. Nothing is told that would help whoever found a card.

use florin_domain::decline::{Ask, Decline, Remedy};
use florin_domain::money::{Currency, decimal_string};
use florin_domain::payment::Failure;

/// A message, and the field of the form that it is about.
pub(super) type Told = (&'static str, Option<&'static str>);

/// Why a card was declined.
pub(super) fn declined(failure: Option<&Failure>) -> Told {
    let Some(code) = failure.and_then(|failure| failure.decline_code.as_deref()) else {
        return (
            "The card was declined. You have not been charged. Try another card.",
            None,
        );
    };
    match code {
        "incorrect_cvc" | "invalid_cvc" => (
            "Your bank says that the security code is wrong. You have not been charged.",
            Some("cvc"),
        ),
        "expired_card" => ("The card has expired. Use another card.", Some("expiry")),
        "invalid_expiry_month" | "invalid_expiry_year" => (
            "Your bank says that the expiry date is wrong. You have not been charged.",
            Some("expiry"),
        ),
        "incorrect_number" | "invalid_number" => ("The card number is wrong.", Some("number")),
        "insufficient_funds" => (
            "There is not enough money on the card. You have not been charged. Try another card.",
            None,
        ),
        "authentication_failed"
        | "authentication_required"
        | "authentication_expired"
        | "authentication_not_handled"
        | "payment_intent_authentication_failure" => (
            "Your bank could not confirm that it is you. You have not been charged. Try again, or use another card.",
            None,
        ),
        "currency_not_supported" | "card_not_supported" => (
            "The card cannot be used for this payment. You have not been charged. Try another card.",
            None,
        ),
        other => (by_remedy(Decline::of(other).remedy), None),
    }
}

const fn by_remedy(remedy: Remedy) -> &'static str {
    match remedy {
        Remedy::NextProvider(_) => {
            "The card was declined. You have not been charged. Try again later, or use another card."
        }
        Remedy::Later(_) | Remedy::Never | Remedy::AskCustomer(Ask::OtherMethod) => {
            "The card was declined. You have not been charged. Use another card, or ask your bank."
        }
        Remedy::AskCustomer(Ask::CardData) => {
            "Your bank says that something of the card is wrong. You have not been charged. Check it, or use another card."
        }
        Remedy::AskCustomer(Ask::Authentication) => {
            "Your bank wants to confirm that it is you. You have not been charged. Try again, or use another card."
        }
    }
}

/// An amount as people read it: `1,234.50 EUR`, `5,000 JPY`.
pub(super) fn amount(minor: i128, currency: Currency) -> String {
    let plain = decimal_string(minor, currency);
    let (whole, decimals) = plain
        .split_once('.')
        .map_or((plain.as_str(), None), |(whole, decimals)| {
            (whole, Some(decimals))
        });
    let mut grouped = String::with_capacity(plain.len().saturating_mul(2));
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && whole.len().saturating_sub(place) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if let Some(decimals) = decimals {
        grouped.push('.');
        grouped.push_str(decimals);
    }
    // They stay on one line.
    format!("{grouped}\u{a0}{}", currency.code())
}

#[cfg(test)]
mod tests {
    use super::*;
    use florin_domain::decline::NetworkDecline;

    #[test]
    fn amounts_have_the_decimals_of_their_currency_and_groups_of_three() {
        for (minor, currency, expected) in [
            (5, Currency::USD, "0.05\u{a0}USD"),
            (100_000, Currency::USD, "1,000.00\u{a0}USD"),
            (99_999, Currency::EUR, "999.99\u{a0}EUR"),
            (123_456_789, Currency::JPY, "123,456,789\u{a0}JPY"),
            (1_234_567, Currency::BHD, "1,234.567\u{a0}BHD"),
            (999_999_999_999, Currency::EUR, "9,999,999,999.99\u{a0}EUR"),
        ] {
            assert_eq!(amount(minor, currency), expected);
        }
    }

    #[test]
    fn a_lost_or_stolen_card_is_declined_like_any_other() {
        let told = |code: &str| {
            declined(Some(&Failure {
                code: "card_declined",
                decline_code: Some(code.into()),
                network: NetworkDecline::default(),
            }))
        };
        let usual = told("do_not_know_this_one");
        for code in ["lost_card", "stolen_card", "pickup_card", "fraudulent"] {
            assert_eq!(told(code), usual, "{code}");
        }
        assert_eq!(told("incorrect_cvc").1, Some("cvc"));
        assert_eq!(told("expired_card").1, Some("expiry"));
        assert!(told("insufficient_funds").0.contains("not enough money"));
        assert_ne!(told("generic_decline"), usual);
        assert!(declined(None).0.contains("declined"));
    }
}
