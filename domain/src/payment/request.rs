//! Requests about a payment that exists: who asked what under which idempotency key, and what they can be told.

use super::command::Command;
use super::decide::{Decision, decide};
use super::event::Event;
use super::operation::{AttemptState, OperationKind};
use super::refusal::Refusal;
use super::state::{Answer, Payment, Status};
use crate::idempotency::{Fingerprint, IdempotencyKey, KeyDigest};
use crate::ids::OperationId;
use crate::limits::{AMENDMENTS_MAX, ATTEMPTS_MAX, CHALLENGE_QUESTIONS_MAX, Lifetimes, REQUESTS_MAX};
use crate::time::Timestamp;
use std::sync::Arc;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// Take reserved money.
    Capture,
    /// Release reserved money, or give up before a charge.
    Void,
    /// Give taken money back.
    Refund,
    /// Try again with another method.
    Confirm,
    /// Find out how the customer's challenge ended.
    Complete,
    /// A person lets a reviewed payment pass.
    ApproveReview,
    /// A person forbids it.
    RejectReview,
    /// A person says what became of an attempt.
    Resolve,
    /// Reserve more.
    Increment,
    /// Change a draft, or what is said about the payment.
    Amend,
}

impl RequestKind {
    /// Stable word for histories.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Capture => "capture",
            Self::Void => "void",
            Self::Refund => "refund",
            Self::Confirm => "confirm",
            Self::Complete => "complete",
            Self::ApproveReview => "approve_review",
            Self::RejectReview => "reject_review",
            Self::Resolve => "resolve",
            Self::Increment => "increment",
            Self::Amend => "amend",
        }
    }
}

/// A request with the key that makes it happen once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The key as sent.
    pub key: IdempotencyKey,
    /// Digest of who asks, mode and key.
    pub key_digest: KeyDigest,
    /// Digest of the request.
    pub fingerprint: Fingerprint,
    /// What.
    pub kind: RequestKind,
    /// The operation that it opens, or that it drives on.
    pub operation: OperationId,
    /// The operator who asks; nobody when it is the merchant.
    pub operator: Option<Arc<str>>,
}

/// Decides a request: once for each key. A key that the payment has already changes nothing.
pub fn decide_request(
    payment: Option<&Payment>,
    request: Request,
    command: Command,
    lifetimes: &Lifetimes,
    now: Timestamp,
) -> Result<Decision, Refusal> {
    let known = payment.ok_or(Refusal::NoSuchPayment)?;
    if known.request(request.key_digest).is_some() {
        return Ok(Decision::default());
    }
    if known.requests.len() >= REQUESTS_MAX {
        return Err(Refusal::TooManyOperations);
    }
    if request.kind == RequestKind::Complete {
        let questions = known
            .requests
            .iter()
            .filter(|earlier| earlier.kind == RequestKind::Complete);
        if questions.count() >= CHALLENGE_QUESTIONS_MAX {
            return Err(Refusal::TooManyAttempts);
        }
    }
    if request.kind == RequestKind::Amend {
        let mut amendments = known.requests.iter();
        let amendments = amendments
            .by_ref()
            .filter(|earlier| earlier.kind == RequestKind::Amend);
        if amendments.count() >= AMENDMENTS_MAX {
            return Err(Refusal::TooManyOperations);
        }
    }
    let mut decision = decide(payment, command, lifetimes, now)?;
    decision.events.insert(0, Event::Requested { request });
    Ok(decision)
}

impl Payment {
    /// The request that this payment took under a key.
    pub fn request(&self, key: KeyDigest) -> Option<&Request> {
        self.requests.iter().find(|request| request.key_digest == key)
    }

    /// The customer is not there for the charge that is made now. Whoever confirms the payment afterwards has the customer at hand.
    pub fn is_off_session(&self) -> bool {
        let is_confirmed = |request: &Request| request.kind == RequestKind::Confirm;
        self.spec.off_session && !self.requests.iter().any(is_confirmed)
    }

    /// What whoever waits for a request can be told.
    pub fn request_answer(&self, request: &Request) -> Answer {
        match request.kind {
            // What is held is taken or released by an operation of its own, and that is what answers.
            RequestKind::ApproveReview | RequestKind::RejectReview
                if request.operation != self.authorize_id() =>
            {
                self.operation_answer(request.operation)
            }
            RequestKind::Confirm | RequestKind::ApproveReview | RequestKind::RejectReview => self.answer(),
            // Said is said; what comes of it shows in the payment.
            RequestKind::Resolve | RequestKind::Amend => Answer::Shown,
            RequestKind::Complete => match &self.status {
                // The customer is not done yet: the same key may ask again.
                Status::RequiresAction(_) => Answer::Unresolved,
                Status::RequiresPaymentMethod
                | Status::RequiresConfirmation
                | Status::InReview { .. }
                | Status::Processing
                | Status::Authorized
                | Status::Succeeded
                | Status::Failed
                | Status::Blocked
                | Status::Voided => self.answer(),
            },
            RequestKind::Capture | RequestKind::Void | RequestKind::Refund | RequestKind::Increment => {
                self.operation_answer(request.operation)
            }
        }
    }

    fn operation_answer(&self, id: OperationId) -> Answer {
        let Some(op) = self.operation(id) else {
            // Nothing was to be asked of a provider.
            return self.answer();
        };
        match op.state() {
            Some(AttemptState::Succeeded) => Answer::Shown,
            // A bank takes days to give money back.
            Some(AttemptState::Pending) if op.kind == OperationKind::Refund => Answer::Shown,
            Some(AttemptState::Declined | AttemptState::Rejected | AttemptState::Cancelled) => {
                Answer::Declined
            }
            // Nobody may send it again.
            Some(AttemptState::GivenUp) => Answer::Exhausted,
            Some(AttemptState::NotSent) if op.attempts >= ATTEMPTS_MAX => Answer::Exhausted,
            Some(AttemptState::NotSent) => Answer::NoProvider,
            Some(
                AttemptState::Open
                | AttemptState::Pending
                | AttemptState::ActionRequired
                | AttemptState::Unknown,
            )
            | None => Answer::Unresolved,
        }
    }
}
