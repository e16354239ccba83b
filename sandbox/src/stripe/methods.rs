//! The test payment methods: which card each one is and what happens when it is charged.

use serde::{Deserialize, Serialize};

/// Serialized as the name that callers use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum TestMethod {
    #[serde(rename = "pm_card_visa")]
    Visa,
    #[serde(rename = "pm_card_mastercard")]
    Mastercard,
    #[serde(rename = "pm_card_amex")]
    Amex,
    #[serde(rename = "pm_card_visa_chargeDeclined")]
    Declined,
    #[serde(rename = "pm_card_visa_chargeDeclinedInsufficientFunds")]
    InsufficientFunds,
    #[serde(rename = "pm_card_visa_chargeDeclinedExpiredCard")]
    ExpiredCard,
    #[serde(rename = "pm_card_visa_chargeDeclinedIncorrectCvc")]
    IncorrectCvc,
    #[serde(rename = "pm_card_visa_chargeDeclinedLostCard")]
    LostCard,
    #[serde(rename = "pm_card_visa_chargeDeclinedStolenCard")]
    StolenCard,
    #[serde(rename = "pm_card_visa_chargeDeclinedProcessingError")]
    ProcessingError,
    #[serde(rename = "pm_card_visa_chargeDeclinedVelocityLimitExceeded")]
    VelocityExceeded,
    #[serde(rename = "pm_card_chargeCustomerFail")]
    CustomerFail,
    #[serde(rename = "pm_card_threeDSecure2Required")]
    ThreeDSecure2Required,
    #[serde(rename = "pm_card_authenticationRequired")]
    AuthenticationRequired,
    #[serde(rename = "pm_card_riskLevelHighest")]
    RiskLevelHighest,
    #[serde(rename = "pm_card_createDispute")]
    CreateDispute,
}

/// What charging a method leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChargeOutcome {
    Approved,
    /// Approved, and disputed by the cardholder at once.
    ApprovedThenDisputed,
    Failed(Failure),
    AuthenticationNeeded,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Failure {
    GenericDecline,
    InsufficientFunds,
    ExpiredCard,
    IncorrectCvc,
    LostCard,
    StolenCard,
    ProcessingError,
    VelocityExceeded,
    /// Blocked before it reached the issuer.
    Fraudulent,
    AuthenticationRequired,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Card {
    pub(crate) brand: &'static str,
    pub(crate) last4: &'static str,
}

impl TestMethod {
    pub(crate) const ALL: [Self; 16] = [
        Self::Visa,
        Self::Mastercard,
        Self::Amex,
        Self::Declined,
        Self::InsufficientFunds,
        Self::ExpiredCard,
        Self::IncorrectCvc,
        Self::LostCard,
        Self::StolenCard,
        Self::ProcessingError,
        Self::VelocityExceeded,
        Self::CustomerFail,
        Self::ThreeDSecure2Required,
        Self::AuthenticationRequired,
        Self::RiskLevelHighest,
        Self::CreateDispute,
    ];

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Visa => "pm_card_visa",
            Self::Mastercard => "pm_card_mastercard",
            Self::Amex => "pm_card_amex",
            Self::Declined => "pm_card_visa_chargeDeclined",
            Self::InsufficientFunds => "pm_card_visa_chargeDeclinedInsufficientFunds",
            Self::ExpiredCard => "pm_card_visa_chargeDeclinedExpiredCard",
            Self::IncorrectCvc => "pm_card_visa_chargeDeclinedIncorrectCvc",
            Self::LostCard => "pm_card_visa_chargeDeclinedLostCard",
            Self::StolenCard => "pm_card_visa_chargeDeclinedStolenCard",
            Self::ProcessingError => "pm_card_visa_chargeDeclinedProcessingError",
            Self::VelocityExceeded => "pm_card_visa_chargeDeclinedVelocityLimitExceeded",
            Self::CustomerFail => "pm_card_chargeCustomerFail",
            Self::ThreeDSecure2Required => "pm_card_threeDSecure2Required",
            Self::AuthenticationRequired => "pm_card_authenticationRequired",
            Self::RiskLevelHighest => "pm_card_riskLevelHighest",
            Self::CreateDispute => "pm_card_createDispute",
        }
    }

    pub(crate) fn outcome(self) -> ChargeOutcome {
        match self {
            Self::Visa | Self::Mastercard | Self::Amex => ChargeOutcome::Approved,
            Self::CreateDispute => ChargeOutcome::ApprovedThenDisputed,
            Self::Declined | Self::CustomerFail => ChargeOutcome::Failed(Failure::GenericDecline),
            Self::InsufficientFunds => ChargeOutcome::Failed(Failure::InsufficientFunds),
            Self::ExpiredCard => ChargeOutcome::Failed(Failure::ExpiredCard),
            Self::IncorrectCvc => ChargeOutcome::Failed(Failure::IncorrectCvc),
            Self::LostCard => ChargeOutcome::Failed(Failure::LostCard),
            Self::StolenCard => ChargeOutcome::Failed(Failure::StolenCard),
            Self::ProcessingError => ChargeOutcome::Failed(Failure::ProcessingError),
            Self::VelocityExceeded => ChargeOutcome::Failed(Failure::VelocityExceeded),
            Self::RiskLevelHighest => ChargeOutcome::Failed(Failure::Fraudulent),
            Self::ThreeDSecure2Required | Self::AuthenticationRequired => ChargeOutcome::AuthenticationNeeded,
        }
    }

    pub(crate) fn card(self) -> Card {
        let (brand, last4) = match self {
            Self::Visa => ("visa", "4242"),
            Self::Mastercard => ("mastercard", "4444"),
            Self::Amex => ("amex", "8431"),
            Self::Declined => ("visa", "0002"),
            Self::InsufficientFunds => ("visa", "9995"),
            Self::ExpiredCard => ("visa", "0069"),
            Self::IncorrectCvc => ("visa", "0127"),
            Self::LostCard => ("visa", "9987"),
            Self::StolenCard => ("visa", "9979"),
            Self::ProcessingError => ("visa", "0119"),
            Self::VelocityExceeded => ("visa", "6975"),
            Self::CustomerFail => ("visa", "0341"),
            Self::ThreeDSecure2Required => ("visa", "3220"),
            Self::AuthenticationRequired => ("visa", "3184"),
            Self::RiskLevelHighest => ("visa", "4954"),
            Self::CreateDispute => ("visa", "0259"),
        };
        Card { brand, last4 }
    }
}

impl Failure {
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::GenericDecline
            | Self::InsufficientFunds
            | Self::LostCard
            | Self::StolenCard
            | Self::VelocityExceeded
            | Self::Fraudulent => "card_declined",
            Self::ProcessingError => "processing_error",
            Self::ExpiredCard => "expired_card",
            Self::IncorrectCvc => "incorrect_cvc",
            Self::AuthenticationRequired => "authentication_required",
        }
    }

    pub(crate) fn decline_code(self) -> &'static str {
        match self {
            Self::GenericDecline => "generic_decline",
            Self::InsufficientFunds => "insufficient_funds",
            Self::ExpiredCard => "expired_card",
            Self::IncorrectCvc => "incorrect_cvc",
            Self::LostCard => "lost_card",
            Self::StolenCard => "stolen_card",
            Self::ProcessingError => "processing_error",
            Self::VelocityExceeded => "card_velocity_exceeded",
            Self::Fraudulent => "fraudulent",
            Self::AuthenticationRequired => "authentication_required",
        }
    }

    /// What the card's network says of a decline, and what it advises; of others than this one it says nothing here.
    pub(crate) fn network_codes(decline_code: &str) -> Option<(&'static str, &'static str)> {
        (decline_code == Self::InsufficientFunds.decline_code()).then_some(("51", "02"))
    }

    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::GenericDecline
            | Self::LostCard
            | Self::StolenCard
            | Self::VelocityExceeded
            | Self::Fraudulent => "Your card was declined.",
            Self::ProcessingError => {
                "An error occurred while processing your card. Try again in a little bit."
            }
            Self::InsufficientFunds => "Your card has insufficient funds.",
            Self::ExpiredCard => "Your card has expired.",
            Self::IncorrectCvc => "Your card's security code is incorrect.",
            Self::AuthenticationRequired => {
                "Your card was declined. This transaction requires authentication."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_is_stored_under_the_name_that_callers_use() {
        for method in TestMethod::ALL {
            assert_eq!(TestMethod::named(method.name()), Some(method));
            assert_eq!(serde_json::to_value(method).unwrap(), method.name());
        }
        assert_eq!(TestMethod::named("pm_card_unheardOf"), None);
    }
}
