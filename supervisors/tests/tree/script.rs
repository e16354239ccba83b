//! What a scripted provider is to do with a charge of one amount, and what it has really done.

use florin_domain::credentials::KeyOwner;
use florin_domain::ids::{OperationId, PaymentId};
use florin_domain::payment::OperationKind;
use florin_domain::ports::AttemptRequest;
use florin_domain::provider::{KeyRefusal, Outcome, ProviderReference};
use std::sync::Arc;

/// How the provider treats a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Script {
    /// Charges and says so.
    Succeed,
    /// Declines.
    Decline,
    /// Answers its first `times` requests with nothing usable; has charged by then, or not.
    Unknown { charged: bool, times: u32 },
    /// Answers with nothing usable until [`crate::provider::Scripted::tell_the_truth`].
    Mute { charged: bool },
    /// Cannot be reached for the first `times` requests.
    NotSent { times: u32 },
    /// Does not take the platform's key for the first `times` requests.
    KeyRefused { times: u32 },
    /// Charges at the first request and says nothing usable, cannot be reached for the next `times`, then tells.
    ChargedThenNotSent { times: u32 },
    /// Charges, and for the first `times` requests takes the task that asked down with it.
    Panic { times: u32 },
    /// Waits at the latch, then charges.
    Held,
    /// Declines the first attempt, charges the next.
    DeclineFirst,
    /// Charges, and says that it was not sent. Does not hear the first `deaf` requests to give that back.
    Lies { deaf: u32 },
    /// Makes the object twice: each time it waits at a latch of its own, and the second time nothing usable comes back. Charges, and
    /// says so once the latch is open.
    PreparedTwice,
    /// Challenges the customer, who has passed once [`crate::provider::Scripted::tell_the_truth`] was called.
    Challenge,
    /// Challenges the customer, who passes when it is asked for the second time, and says so once the latch is open: the object may have
    /// been closed by then.
    PassedTooLate,
    /// Does it, and says until [`crate::provider::Scripted::tell_the_truth`] only that it has taken it on.
    TakesOn,
    /// Charges, and says that it was not sent. Does not hear the first `deaf` requests to give that back, and refuses the later ones.
    Refuses { deaf: u32 },
    /// Turns the first `times` requests away because of their rate, for so long.
    Limited { times: u32, retry_after_s: u64 },
}

/// What is released is the charge.
pub(crate) fn transaction(request: &AttemptRequest) -> ProviderReference {
    let released = request
        .parent
        .as_ref()
        .filter(|_| request.kind == OperationKind::Void);
    let object = released.map_or_else(|| reference(request), |parent| Arc::clone(&parent.reference));
    Arc::from(format!("ch_{}", object.trim_start_matches("pi_")))
}

pub(crate) fn reference(request: &AttemptRequest) -> ProviderReference {
    Arc::from(format!("pi_{}", request.key))
}

pub(crate) fn declined(code: &str) -> Outcome {
    Outcome::declined(Arc::from(code), None)
}

pub(crate) fn silence() -> Outcome {
    Outcome::Unknown {
        reason: Arc::from("read timeout"),
        reference: None,
    }
}

pub(crate) fn key_refused() -> Outcome {
    Outcome::Rejected {
        reason: Arc::from("401 invalid api key"),
        refused_key: Some(KeyRefusal::Unknown(KeyOwner::Platform)),
    }
}

pub(crate) fn not_sent() -> Outcome {
    Outcome::not_sent("connection refused")
}

/// Something that was really executed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Done {
    pub(crate) payment: PaymentId,
    pub(crate) operation: OperationId,
    pub(crate) kind: OperationKind,
    pub(crate) minor: i128,
}

impl Done {
    /// Charges or reserves for a payment.
    pub(crate) fn is_charge(self) -> bool {
        matches!(self.kind, OperationKind::Sale | OperationKind::Authorize)
    }

    /// Gives a late charge back.
    pub(crate) fn is_reversal(self) -> bool {
        matches!(self.operation, OperationId::Reversal(_))
    }
}
