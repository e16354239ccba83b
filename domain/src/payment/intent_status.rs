//! Where a payment stands in the words of a payment intent, for whoever knows payments as those. What the words promise decides: whoever sees
//! `requires_payment_method` may confirm with another method, and whoever sees `canceled` may not.

use super::{Failure, OperationKind, Payment, Status};

/// Where an intent stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IntentStatus {
    /// It takes a method.
    RequiresPaymentMethod,
    /// It takes a confirmation.
    RequiresConfirmation,
    /// The customer has to act.
    RequiresAction,
    /// Nobody outside can do anything about it now.
    Processing,
    /// It is held, and may be captured or released.
    RequiresCapture,
    /// It was given up, or is not to be had.
    Canceled,
    /// It is paid.
    Succeeded,
}

impl IntentStatus {
    /// Every status, in the order of an intent's life.
    pub const ALL: [Self; 7] = [
        Self::RequiresPaymentMethod,
        Self::RequiresConfirmation,
        Self::RequiresAction,
        Self::Processing,
        Self::RequiresCapture,
        Self::Canceled,
        Self::Succeeded,
    ];

    /// Of a payment as it stands.
    pub fn of(payment: &Payment) -> Self {
        match &payment.status {
            // A capture or a void that is on its way must not be asked for again.
            Status::Authorized if is_changing(payment) => Self::Processing,
            Status::Authorized => Self::RequiresCapture,
            Status::Succeeded => Self::Succeeded,
            Status::RequiresAction(_) => Self::RequiresAction,
            Status::RequiresConfirmation => Self::RequiresConfirmation,
            // As many attempts were made as there may be: no method helps any more.
            Status::Failed if payment.failure.as_ref().is_some_and(Failure::is_exhaustion) => Self::Canceled,
            // A payment that was made natively has failed, and yet takes another method.
            Status::RequiresPaymentMethod | Status::Failed => Self::RequiresPaymentMethod,
            // Stripe would take another method after its own block; here a block is final.
            Status::Blocked | Status::Voided => Self::Canceled,
            // A person decides; `review` says so.
            Status::InReview { .. } | Status::Processing => Self::Processing,
        }
    }

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RequiresPaymentMethod => "requires_payment_method",
            Self::RequiresConfirmation => "requires_confirmation",
            Self::RequiresAction => "requires_action",
            Self::Processing => "processing",
            Self::RequiresCapture => "requires_capture",
            Self::Canceled => "canceled",
            Self::Succeeded => "succeeded",
        }
    }

    /// The status with this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

fn is_changing(payment: &Payment) -> bool {
    payment.operations.iter().any(|operation| match operation.kind {
        OperationKind::Capture | OperationKind::Void => operation.is_open(),
        OperationKind::Sale
        | OperationKind::Authorize
        | OperationKind::Refund
        | OperationKind::Increment
        | OperationKind::Reversal => false,
    })
}
