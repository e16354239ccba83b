//! What may be done after a decline, by its code: one table. Whoever answers a merchant, sends a charge to the next provider or
//! counts what a card was declined goes by it, and by nothing else.

use crate::time::Millis;
use std::sync::Arc;

/// What may be done with a charge that was declined so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Nothing: asking again changes nothing, here or elsewhere.
    Never,
    /// The same again, no sooner than after this wait.
    Later(Millis),
    /// As [`Remedy::Later`]; and another provider may be asked at once, where that is wanted.
    NextProvider(Millis),
    /// Only the customer can help.
    AskCustomer(Ask),
}

/// What to ask the customer for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// What is on the card: something of it was wrong.
    CardData,
    /// To be there and to say who it is.
    Authentication,
    /// Another card, or a word with the bank.
    OtherMethod,
}

/// What a merchant is advised, in the words of Stripe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// `do_not_try_again`
    DoNotTryAgain,
    /// `try_again_later`
    TryAgainLater,
    /// `confirm_card_data`
    ConfirmCardData,
}

impl Advice {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::DoNotTryAgain, Self::TryAgainLater, Self::ConfirmCardData];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DoNotTryAgain => "do_not_try_again",
            Self::TryAgainLater => "try_again_later",
            Self::ConfirmCardData => "confirm_card_data",
        }
    }
}

/// Characters of a network's code that are kept.
const NETWORK_CODE_CHARS_MAX: usize = 64;

/// What a card's network said of a decline, in its own codes, where a provider passes that on. Nothing here goes by it: networks give the
/// same code other meanings. It is for people, and for merchants who know their networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkDecline {
    /// Why (`51`).
    pub decline_code: Option<Arc<str>>,
    /// What it advises (`02`).
    pub advice_code: Option<Arc<str>>,
}

/// As many digits may be a card's number.
const CARD_DIGITS_MIN: usize = 12;

impl NetworkDecline {
    /// It said nothing, or nobody passed it on.
    pub const NONE: Self = Self {
        decline_code: None,
        advice_code: None,
    };

    /// By a provider's words: what is no code is left out, as is what may be a card's number, and what is too long is cut.
    pub fn of(decline_code: Option<&str>, advice_code: Option<&str>) -> Self {
        let code = |word: &str| {
            let word = word.trim();
            let is_code =
                !word.is_empty() && word.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
            let digits = word.bytes().filter(u8::is_ascii_digit).count();
            let is_code = is_code && digits < CARD_DIGITS_MIN;
            let kept = word.get(..NETWORK_CODE_CHARS_MAX).unwrap_or(word);
            is_code.then(|| Arc::from(kept.trim_end()))
        };
        Self {
            decline_code: decline_code.and_then(code),
            advice_code: advice_code.and_then(code),
        }
    }

    /// It said nothing.
    pub const fn is_empty(&self) -> bool {
        self.decline_code.is_none() && self.advice_code.is_none()
    }
}

/// Who has spoken, as the card networks' limits on repetitions see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// The issuer, for good: by the networks' rules the same card is not tried for the same again (Visa's category 1).
    ForGood,
    /// The issuer, or a provider in its place.
    Issuer,
    /// Nobody there: Florin itself, an operator, or a customer who did not come.
    Nobody,
}

/// What a decline code means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decline {
    /// What may be done.
    pub remedy: Remedy,
    source: Source,
}

/// The code of a charge that is not sent because its card was declined for good.
pub const NEVER_AGAIN: &str = "retry_not_allowed";
/// The code of a charge that is not sent because its card was declined as often as its network allows within a month.
pub const MONTH_USED_UP: &str = "retry_limit_month";
/// The same within a day.
pub const DAY_USED_UP: &str = "retry_limit_day";

const HOUR: Millis = Millis::from_s(3600);
const DAY: Millis = Millis::from_s(24 * 3600);

const fn row(remedy: Remedy, source: Source) -> Decline {
    Decline { remedy, source }
}

const FOR_GOOD: Decline = row(Remedy::Never, Source::ForGood);
const NEVER: Decline = row(Remedy::Never, Source::Issuer);
const MONEY: Decline = row(Remedy::Later(DAY), Source::Issuer);
const SOFT: Decline = row(Remedy::NextProvider(HOUR), Source::Issuer);
const DATA: Decline = row(Remedy::AskCustomer(Ask::CardData), Source::Issuer);
const PERSON: Decline = row(Remedy::AskCustomer(Ask::Authentication), Source::Issuer);
const OTHER: Decline = row(Remedy::AskCustomer(Ask::OtherMethod), Source::Issuer);

/// Codes that are not in the table are a provider's own words: it may be tried again on another day, and never elsewhere, because
/// nobody knows what they mean.
const UNNAMED: Decline = MONEY;

/// Every code that is known, in the order of the alphabet.
const TABLE: &[(&str, Decline)] = &[
    ("acquirer_error", SOFT),
    ("amount_too_large", NEVER),
    ("amount_too_small", NEVER),
    ("approve_with_id", SOFT),
    (
        "authentication_expired",
        row(Remedy::AskCustomer(Ask::Authentication), Source::Nobody),
    ),
    ("authentication_failed", PERSON),
    ("authentication_not_handled", PERSON),
    ("authentication_required", PERSON),
    ("call_issuer", OTHER),
    (
        "cancelled_by_customer",
        row(Remedy::AskCustomer(Ask::OtherMethod), Source::Nobody),
    ),
    ("card_blocked", FOR_GOOD),
    ("card_not_supported", NEVER),
    ("card_velocity_exceeded", MONEY),
    ("closed_account", FOR_GOOD),
    ("currency_not_supported", NEVER),
    ("do_not_honor", SOFT),
    ("duplicate_transaction", NEVER),
    ("expired_card", DATA),
    ("fraudulent", NEVER),
    ("generic_decline", SOFT),
    ("incorrect_address", DATA),
    ("incorrect_cvc", DATA),
    (
        "incorrect_number",
        row(Remedy::AskCustomer(Ask::CardData), Source::ForGood),
    ),
    ("incorrect_pin", DATA),
    ("incorrect_zip", DATA),
    ("insufficient_funds", MONEY),
    ("invalid_account", FOR_GOOD),
    ("invalid_amount", NEVER),
    (
        "invalid_card_number",
        row(Remedy::AskCustomer(Ask::CardData), Source::ForGood),
    ),
    ("invalid_cvc", DATA),
    ("invalid_expiry_month", DATA),
    ("invalid_expiry_year", DATA),
    (
        "invalid_number",
        row(Remedy::AskCustomer(Ask::CardData), Source::ForGood),
    ),
    ("invalid_pin", DATA),
    ("issuer_not_available", SOFT),
    ("issuer_unavailable", SOFT),
    ("lost_card", FOR_GOOD),
    ("merchant_blacklist", NEVER),
    ("new_account_information_available", DATA),
    ("no_action_taken", SOFT),
    ("not_executed", row(Remedy::Later(Millis(0)), Source::Nobody)),
    ("not_permitted", NEVER),
    ("offline_pin_required", PERSON),
    ("online_or_offline_pin_required", PERSON),
    ("pickup_card", FOR_GOOD),
    ("pin_try_exceeded", OTHER),
    ("processing_error", SOFT),
    ("reenter_transaction", SOFT),
    ("restricted_card", FOR_GOOD),
    (DAY_USED_UP, row(Remedy::Later(DAY), Source::Nobody)),
    (MONTH_USED_UP, row(Remedy::Later(DAY), Source::Nobody)),
    (NEVER_AGAIN, row(Remedy::Never, Source::Nobody)),
    ("revocation_of_all_authorizations", FOR_GOOD),
    ("revocation_of_authorization", FOR_GOOD),
    ("security_violation", NEVER),
    ("service_not_allowed", NEVER),
    ("stolen_card", FOR_GOOD),
    ("stop_payment_order", FOR_GOOD),
    ("testmode_decline", NEVER),
    ("transaction_not_allowed", FOR_GOOD),
    ("try_again_later", SOFT),
    ("withdrawal_count_limit_exceeded", MONEY),
];

impl Decline {
    /// What this code means.
    pub fn of(code: &str) -> Self {
        let found = TABLE.binary_search_by(|(known, _)| (*known).cmp(code));
        found
            .ok()
            .and_then(|index| TABLE.get(index))
            .map_or(UNNAMED, |(_, decline)| *decline)
    }

    /// What to advise the merchant; nothing where no word of Stripe's says it, because the customer must authenticate or pay otherwise.
    pub const fn advice(self) -> Option<Advice> {
        match self.remedy {
            Remedy::Never => Some(Advice::DoNotTryAgain),
            Remedy::Later(_) | Remedy::NextProvider(_) => Some(Advice::TryAgainLater),
            Remedy::AskCustomer(Ask::CardData) => Some(Advice::ConfirmCardData),
            Remedy::AskCustomer(Ask::Authentication | Ask::OtherMethod) => None,
        }
    }

    /// How long to wait before the same is tried again, if it may be.
    pub const fn wait(self) -> Option<Millis> {
        match self.remedy {
            Remedy::Later(wait) | Remedy::NextProvider(wait) => Some(wait),
            Remedy::Never | Remedy::AskCustomer(_) => None,
        }
    }

    /// Another provider may be asked at once, where that is wanted.
    pub const fn may_go_elsewhere(self) -> bool {
        match self.remedy {
            Remedy::NextProvider(_) => true,
            Remedy::Never | Remedy::Later(_) | Remedy::AskCustomer(_) => false,
        }
    }

    /// What the networks count: `None` if nothing reached them, else whether it was for good.
    pub const fn at_network(self) -> Option<bool> {
        match self.source {
            Source::ForGood => Some(true),
            Source::Issuer => Some(false),
            Source::Nobody => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_has_every_code_once() {
        assert!(TABLE.is_sorted_by(|one, other| one.0 < other.0));
        for (code, decline) in TABLE {
            assert_eq!(Decline::of(code), *decline, "{code}");
        }
    }

    #[test]
    fn what_a_network_says_is_kept_if_it_is_a_code_and_cut_if_it_is_long() {
        let of = |word| NetworkDecline::of(Some(word), None).decline_code;
        for (word, kept) in [
            ("51", Some("51")),
            (" N7 ", Some("N7")),
            ("", None),
            ("  ", None),
            ("5\n1", None),
            ("\u{665}", None),
            ("refused 4242 4242 4242 4242", None),
        ] {
            assert_eq!(of(word).as_deref(), kept, "{word:?}");
        }
        assert_eq!(of(&"x".repeat(1_000)).unwrap().len(), NETWORK_CODE_CHARS_MAX);
        let both = NetworkDecline::of(Some("51"), Some("02"));
        assert_eq!(
            (both.advice_code.as_deref(), both.is_empty()),
            (Some("02"), false)
        );
        assert_eq!(NetworkDecline::of(None, Some("")), NetworkDecline::NONE);
        assert!(NetworkDecline::NONE.is_empty());
    }

    #[test]
    fn only_soft_declines_may_go_elsewhere_and_never_money_fraud_or_what_is_for_good() {
        for code in ["do_not_honor", "generic_decline", "issuer_not_available"] {
            assert!(Decline::of(code).may_go_elsewhere(), "{code}");
        }
        for code in [
            "insufficient_funds",
            "fraudulent",
            "security_violation",
            "merchant_blacklist",
            "lost_card",
            "stolen_card",
            "pickup_card",
            "invalid_account",
            "expired_card",
            "incorrect_cvc",
            "authentication_required",
            "a_word_of_a_providers_own",
            NEVER_AGAIN,
            MONTH_USED_UP,
            DAY_USED_UP,
        ] {
            assert!(!Decline::of(code).may_go_elsewhere(), "{code}");
        }
        for (code, decline) in TABLE {
            let is_for_good = decline.at_network() == Some(true);
            assert!(
                !(is_for_good && decline.wait().is_some()),
                "{code} is for good, and is not tried later"
            );
        }
    }

    #[test]
    fn each_code_has_its_advice_and_what_the_networks_count() {
        let cases = [
            ("do_not_honor", Some("try_again_later"), Some(HOUR), Some(false)),
            (
                "insufficient_funds",
                Some("try_again_later"),
                Some(DAY),
                Some(false),
            ),
            ("expired_card", Some("confirm_card_data"), None, Some(false)),
            ("incorrect_number", Some("confirm_card_data"), None, Some(true)),
            ("lost_card", Some("do_not_try_again"), None, Some(true)),
            ("fraudulent", Some("do_not_try_again"), None, Some(false)),
            ("authentication_required", None, None, Some(false)),
            ("authentication_expired", None, None, None),
            ("something_new", Some("try_again_later"), Some(DAY), Some(false)),
            (NEVER_AGAIN, Some("do_not_try_again"), None, None),
            (DAY_USED_UP, Some("try_again_later"), Some(DAY), None),
        ];
        for (code, advice, wait, at_network) in cases {
            let decline = Decline::of(code);
            assert_eq!(decline.advice().map(Advice::as_str), advice, "{code}");
            assert_eq!(
                (decline.wait(), decline.at_network()),
                (wait, at_network),
                "{code}"
            );
        }
    }
}
