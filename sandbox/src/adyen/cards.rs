//! Which test card a payment method is, and what happens when it is charged.

use crate::numbers;
use crate::stripe::{ChargeOutcome, Failure, TestMethod};

/// By a stored method's name, or by a test card's number.
pub(crate) fn named(stored: Option<&str>, number: Option<&str>) -> Option<TestMethod> {
    if let Some(name) = stored {
        return TestMethod::named(name);
    }
    let digits = number?.strip_prefix("test_").or(number)?;
    Some(numbers::test_method(digits))
}

/// What charging it leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Charged {
    Authorised,
    /// With the reason and its code.
    Refused(&'static str, &'static str),
    Challenged,
}

/// The holder's name decides first, as on Adyen's test platform.
pub(crate) fn outcome(method: TestMethod, holder: Option<&str>) -> Charged {
    match holder {
        Some("DECLINED") => return Charged::Refused("Refused", "2"),
        Some("NOT_ENOUGH_BALANCE") => return Charged::Refused("Not enough balance", "12"),
        Some(_) | None => {}
    }
    match method.outcome() {
        ChargeOutcome::Approved | ChargeOutcome::ApprovedThenDisputed => Charged::Authorised,
        ChargeOutcome::AuthenticationNeeded => Charged::Challenged,
        ChargeOutcome::Failed(Failure::GenericDecline) => Charged::Refused("Refused", "2"),
        ChargeOutcome::Failed(Failure::InsufficientFunds) => Charged::Refused("Not enough balance", "12"),
        ChargeOutcome::Failed(Failure::ExpiredCard) => Charged::Refused("Expired Card", "6"),
        ChargeOutcome::Failed(Failure::IncorrectCvc) => Charged::Refused("CVC Declined", "24"),
        ChargeOutcome::Failed(Failure::LostCard | Failure::StolenCard) => {
            Charged::Refused("Blocked Card", "5")
        }
        ChargeOutcome::Failed(Failure::ProcessingError) => Charged::Refused("Acquirer Error", "4"),
        ChargeOutcome::Failed(Failure::VelocityExceeded) => {
            Charged::Refused("Withdrawal count exceeded", "29")
        }
        ChargeOutcome::Failed(Failure::Fraudulent) => Charged::Refused("FRAUD", "20"),
        ChargeOutcome::Failed(Failure::AuthenticationRequired) => {
            Charged::Refused("Authentication required", "38")
        }
    }
}
