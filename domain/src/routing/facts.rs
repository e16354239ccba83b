//! What rules may ask about a payment, and whether a condition holds of it.

use super::program::{Among, Condition, Program, Rule};
use crate::ids::MerchantId;
use crate::method::{CardBrand, PaymentMethod};
use crate::money::{Amount, Currency};
use crate::payment::{CaptureMethod, Spec};
use std::sync::Arc;

/// What is paid with. Cards are all that is taken so far; rules may speak of the others already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MethodKind {
    /// A card.
    Card,
    /// A card in a wallet of Apple's.
    ApplePay,
    /// A bank account in the United States.
    UsBankTransfer,
    /// A bank account in the European Union.
    EuBankTransfer,
}

impl MethodKind {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Card,
        Self::ApplePay,
        Self::UsBankTransfer,
        Self::EuBankTransfer,
    ];

    /// The word in rules.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::ApplePay => "apple_pay",
            Self::UsBankTransfer => "us_bank_transfer",
            Self::EuBankTransfer => "eu_bank_transfer",
        }
    }
}

/// What rules may ask about a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts<'a> {
    /// What is paid with.
    pub method: MethodKind,
    /// The card's scheme.
    pub brand: CardBrand,
    /// ISO 3166 alpha-2 of its issuer.
    pub country: [u8; 2],
    /// How much.
    pub amount: Amount,
    /// Of what.
    pub currency: Currency,
    /// Whose payment it is.
    pub merchant: MerchantId,
    /// Its metadata.
    pub metadata: &'a [(Arc<str>, Arc<str>)],
    /// It names a customer.
    pub has_customer: bool,
    /// When the money is taken.
    pub capture: CaptureMethod,
}

impl<'a> Facts<'a> {
    /// Those of a payment and what it is paid with.
    pub fn of(spec: &'a Spec, method: &PaymentMethod) -> Self {
        Self {
            method: MethodKind::Card,
            brand: method.brand,
            country: method.country,
            amount: spec.amount,
            currency: spec.currency,
            merchant: spec.merchant,
            metadata: &spec.metadata,
            has_customer: spec.customer.is_some(),
            capture: spec.capture_method,
        }
    }

    fn is_among(&self, among: &Among) -> bool {
        match among {
            Among::Brand(values) => values.contains(&self.brand),
            Among::Country(values) => values.contains(&self.country),
            Among::Currency(values) => values.contains(&self.currency),
            Among::Merchant(values) => values.contains(&self.merchant),
            Among::Metadata(key, values) => {
                let entry = self.metadata.iter().find(|(name, _)| name == key);
                entry.is_some_and(|(_, value)| values.contains(value))
            }
            Among::Capture(values) => values.contains(&self.capture),
            Among::Method(values) => values.contains(&self.method),
            Among::CustomerPresent => self.has_customer,
        }
    }
}

impl Condition {
    /// Whether it is so.
    pub fn holds(&self, facts: &Facts<'_>) -> bool {
        match self {
            Self::Otherwise => true,
            Self::Among(among) => facts.is_among(among),
            Self::NotAmong(among) => !facts.is_among(among),
            Self::Amount(comparison, minor, currency) => {
                facts.currency == *currency && comparison.holds(facts.amount.minor(), *minor)
            }
            Self::Not(inner) => !inner.holds(facts),
            Self::All(parts) => parts.iter().all(|part| part.holds(facts)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(facts)),
        }
    }
}

impl Program {
    /// The first rule that applies.
    pub fn applying(&self, facts: &Facts<'_>) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.condition.holds(facts))
    }
}
