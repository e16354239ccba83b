//! Why something of the vault is not there or not changed, as an answer.

use crate::errors::{ApiError, Code, Invalid};
use crate::request_id;
use florin_domain::card_details::CardFault;
use florin_domain::ports::VaultError;
use florin_domain::vault::VaultRefusal;

pub(crate) fn refused(error: VaultError) -> ApiError {
    match error {
        VaultError::NotConfigured => ApiError::Invalid(Invalid {
            param: None,
            code: Code::CardsNotKept,
            message:
                "This node keeps no customers and cards: it has no key-encryption key (`secrets.kek_file`)."
                    .to_owned(),
        }),
        VaultError::Busy => ApiError::Overloaded { retry_after_s: 1 },
        VaultError::Refused(refusal) => refusal_of(refusal),
        VaultError::Store(why) => {
            tracing::error!(request_id = request_id::current(), %why, "the card vault failed");
            ApiError::Internal
        }
    }
}

fn refusal_of(refusal: VaultRefusal) -> ApiError {
    let state = |name: &str| {
        let message = format!("Refused: {refusal}.");
        Invalid::new(name, Code::PaymentMethodUnexpectedState, message).into()
    };
    match refusal {
        VaultRefusal::Card(fault) => card(fault),
        VaultRefusal::NoSuchCustomer => ApiError::NoSuchObject { kind: "customer" },
        VaultRefusal::NoSuchMethod => ApiError::NoSuchObject {
            kind: "payment method",
        },
        VaultRefusal::NoSuchToken => ApiError::NoSuchObject { kind: "token" },
        VaultRefusal::TokenUsed => {
            let message = "`card[token]` was used before: a token is for one card, once.";
            Invalid::new("card[token]", Code::TokenAlreadyUsed, message).into()
        }
        VaultRefusal::Attached | VaultRefusal::Detached | VaultRefusal::NotTheCustomers => {
            state("payment_method")
        }
        VaultRefusal::NoSuchSetup => ApiError::NoSuchObject { kind: "setup intent" },
        VaultRefusal::SetupIsOver(_) => ApiError::Invalid(Invalid {
            param: None,
            code: Code::SetupIntentUnexpectedState,
            message: format!("Refused: {refusal}."),
        }),
        VaultRefusal::NoMethodNamed => {
            let message = "`payment_method` is required: nobody has said which card is set up.";
            Invalid::new("payment_method", Code::ParameterMissing, message).into()
        }
        VaultRefusal::TooMuch => {
            let message = "So much cannot be said of one thing: leave out some `metadata`.";
            Invalid::new("metadata", Code::ParameterInvalid, message).into()
        }
        VaultRefusal::KeyMismatch => ApiError::KeyReused,
        VaultRefusal::Erased => {
            let message = "What was made under this `Idempotency-Key` has been erased, and a repeated request does not make it again; a new one needs another key.";
            Invalid::new("Idempotency-Key", Code::ResourceMissing, message).into()
        }
    }
}

fn card(fault: CardFault) -> ApiError {
    let (code, param, message) = match fault {
        CardFault::Number(_) => (
            Code::IncorrectNumber,
            "card[number]",
            "Your card number is incorrect.",
        ),
        CardFault::ExpiryMonth => (
            Code::InvalidExpiryMonth,
            "card[exp_month]",
            "Your card's expiration month is invalid.",
        ),
        CardFault::ExpiryYear => (
            Code::InvalidExpiryYear,
            "card[exp_year]",
            "Your card's expiration year is invalid.",
        ),
        CardFault::Expired => (Code::ExpiredCard, "card[exp_year]", "Your card has expired."),
        CardFault::SecurityCode => (
            Code::IncorrectCvc,
            "card[cvc]",
            "Your card's security code is incorrect.",
        ),
        CardFault::Holder => {
            let message = "`billing_details[name]` is too long.";
            return Invalid::new("billing_details[name]", Code::ParameterInvalid, message).into();
        }
    };
    ApiError::CardRefused { code, param, message }
}
