//! Refusals that leave nothing behind.

use florin_domain::payment::Refusal;
use thiserror::Error;

/// Why nothing was stored; the same key may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotStored {
    /// A stage took too long before anything was durable.
    #[error("the {0} stage took too long")]
    StageTimeout(&'static str),
    /// No provider is enabled.
    #[error("no provider is available")]
    NoProvider,
    /// Every provider has as much to do as it may.
    #[error("every provider is busy")]
    Busy,
    /// An operator has stopped the merchant from taking money.
    #[error("the merchant is frozen")]
    MerchantFrozen,
    /// The books cannot take the payment.
    #[error("the ledger cannot take the payment")]
    Ledger,
    /// The actor failed before anything was durable.
    #[error("the payment could not be started")]
    Failed,
    /// The payment's actor failed too often and is set aside.
    #[error("the payment is set aside after repeated failures")]
    Quarantined,
    /// The method that it names is no longer there. Only what was asked under the key before could be answered.
    #[error("the payment method is no longer there")]
    MethodGone,
    /// Refused by the payment itself.
    #[error("{0}")]
    Refused(Refusal),
}
