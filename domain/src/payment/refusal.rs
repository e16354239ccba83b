//! Why a command is refused. Closed and coded; a refusal is a reply, never a crash.

use thiserror::Error;

/// Reasons, in the order they are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The payment exists already.
    #[error("the payment exists already")]
    Exists,
    /// There is no such payment.
    #[error("no such payment")]
    NoSuchPayment,
    /// There is no such operation or attempt.
    #[error("no such operation or attempt")]
    NoSuchAttempt,
    /// The payment's status does not allow it.
    #[error("the payment's status does not allow this")]
    WrongStatus,
    /// An earlier operation is still unresolved.
    #[error("an earlier operation on this payment is not resolved yet")]
    OperationInProgress,
    /// More than what is left to capture.
    #[error("the amount exceeds what is left to capture")]
    ExceedsCapturable,
    /// More than what is left to refund.
    #[error("the amount exceeds what is left to refund")]
    ExceedsRefundable,
    /// Not more than is authorized already.
    #[error("the amount is not more than what is authorized already")]
    NotAnIncrement,
    /// Nothing is left.
    #[error("nothing is left to capture or refund")]
    NothingLeft,
    /// Captures, voids and refunds stay with the provider that holds the money.
    #[error("this operation must stay with the provider that authorized the payment")]
    WrongProvider,
    /// The operation's id was used before.
    #[error("the operation exists already")]
    OperationExists,
    /// The payment holds as many operations as it may.
    #[error("too many operations on one payment")]
    TooManyOperations,
    /// A resolution needs somebody else than the one who proposed it.
    #[error("somebody else must confirm this resolution")]
    SecondPersonRequired,
    /// The provider moved another amount than it was asked for.
    #[error("the provider moved another amount than it was asked for")]
    AmountMismatch,
    /// The operation was tried as often as it may be.
    #[error("too many attempts of one operation")]
    TooManyAttempts,
    /// Another number of matters was raised than was looked at.
    #[error("another number of matters was raised than `matters_seen` says")]
    MattersChanged,
    /// It would have more of the merchant's pairs than there may be.
    #[error("`metadata` would hold more than 50 entries")]
    TooMuchMetadata,
}

impl Refusal {
    /// Stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Exists => "payment_exists",
            Self::NoSuchPayment => "resource_missing",
            Self::NoSuchAttempt => "attempt_missing",
            Self::WrongStatus => "payment_unexpected_state",
            Self::OperationInProgress => "operation_in_progress",
            Self::ExceedsCapturable => "amount_exceeds_capturable",
            Self::ExceedsRefundable => "amount_exceeds_refundable",
            Self::NotAnIncrement => "amount_too_small",
            Self::NothingLeft => "nothing_left",
            Self::WrongProvider => "provider_mismatch",
            Self::OperationExists => "operation_exists",
            Self::TooManyOperations => "too_many_operations",
            Self::AmountMismatch => "amount_mismatch",
            Self::SecondPersonRequired => "second_person_required",
            Self::TooManyAttempts => "too_many_attempts",
            Self::MattersChanged => "matters_changed",
            Self::TooMuchMetadata => "parameter_invalid",
        }
    }
}
