//! What can be asked of a payment. Everything that a decision needs from outside (plans, assessments, the time) is in it.

use super::draft::Amendment;
use super::matter::{Matter, Note};
use super::resolution::Resolution;
use super::reversal::ReversalPlan;
use super::state::Spec;
use crate::ids::{CaptureId, IncrementId, OperationId, RefundId, VoidId};
use crate::ledger::PostingProfile;
use crate::method::PaymentMethod;
use crate::money::Amount;
use crate::provider::{Outcome, ProviderId, ProviderKey, ProviderReference};
use crate::risk::{Assessment, CardBar};
use crate::routing::Route;
use crate::time::{Millis, Timestamp};
use std::sync::Arc;

/// When a person looks at a payment for which risk asks for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReviewMode {
    /// Before any provider hears of it.
    #[default]
    BeforeAuth,
    /// After the money is authorized, before it is taken.
    AuthAndHold,
}

/// Where and under which key the next attempt of an operation goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptPlan {
    /// To whom.
    pub provider: ProviderId,
    /// Under which key.
    pub key: ProviderKey,
    /// Until when it may be repeated.
    pub deadline: Timestamp,
    /// Why it goes there, if that was a choice.
    pub route: Option<Arc<Route>>,
}

/// What a provider undid by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Undoing {
    /// Of which operation.
    pub operation: OperationId,
    /// Which attempt of it.
    pub number: u32,
    /// How much.
    pub amount: Amount,
    /// The provider's id of what was undone, or of the undoing.
    pub reference: ProviderReference,
    /// What it means of an attempt whose success was never heard of; without it, that must be heard of first.
    pub unheard: Option<Outcome>,
}

/// A request to change a payment.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Make the payment.
    Create {
        /// What is asked for.
        spec: Arc<Spec>,
        /// How it is paid.
        method: PaymentMethod,
        /// What risk thinks.
        assessment: Assessment,
        /// Where the charge goes if risk allows it.
        plan: AttemptPlan,
        /// Why the card's network allows no further try of it.
        barred: Option<CardBar>,
        /// When a person looks at it, if risk asks for that.
        review: ReviewMode,
        /// How it is booked.
        profile: PostingProfile,
    },
    /// Make a payment that is to be confirmed later.
    Draft {
        /// What is asked for.
        spec: Arc<Spec>,
        /// How it will be paid, if that is known.
        method: Option<PaymentMethod>,
        /// How it is booked.
        profile: PostingProfile,
    },
    /// Change a draft, or what is said about a payment.
    Amend(Amendment),
    /// Pay a draft, or try again with another method after a decline.
    Confirm {
        /// The method.
        method: PaymentMethod,
        /// What risk thinks of it.
        assessment: Assessment,
        /// Where the charge goes.
        plan: AttemptPlan,
        /// Why the card's network allows no further try of it.
        barred: Option<CardBar>,
    },
    /// Drive a payment that reached no provider once more.
    Redrive {
        /// Where the charge goes.
        plan: AttemptPlan,
        /// Why the card's network allows no further try of it.
        barred: Option<CardBar>,
    },
    /// The provider made an object for an attempt.
    Reference {
        /// Of which operation.
        operation: OperationId,
        /// Which attempt of it.
        number: u32,
        /// The object.
        reference: ProviderReference,
    },
    /// Something came back about an attempt.
    Record {
        /// Of which operation.
        operation: OperationId,
        /// Which attempt of it.
        number: u32,
        /// What.
        outcome: Outcome,
        /// Where the charge goes next if this proves that it was not made here and will not be.
        next: Option<AttemptPlan>,
        /// How this is given back if it is a charge that comes after its attempt was closed.
        reversal: Option<ReversalPlan>,
    },
    /// A provider undid by itself what it had done.
    TakeBack(Undoing),
    /// Close a charge at its provider.
    AskClosing {
        /// Of which operation.
        operation: OperationId,
        /// Which attempt of it.
        number: u32,
    },
    /// Something came back about an attempt that may be older than its closing: a notice, or the answer to a request that charges.
    Hear {
        /// Of which operation.
        operation: OperationId,
        /// Which attempt of it.
        number: u32,
        /// What.
        outcome: Outcome,
        /// How this is given back if it is a charge that comes after its attempt was closed.
        reversal: Option<ReversalPlan>,
    },
    /// The provider did not close a charge.
    ClosingRefused {
        /// Of which operation.
        operation: OperationId,
        /// Which attempt of it.
        number: u32,
    },
    /// Leave to people a challenge that nobody can pass any more and whose provider does not say that it is over.
    GiveUpChallenge {
        /// Of which operation.
        operation: OperationId,
        /// Which attempt of it.
        number: u32,
    },
    /// Take reserved money.
    Capture {
        /// Identity.
        id: CaptureId,
        /// How much; all that is left if `None`.
        amount: Option<Amount>,
        /// No other capture follows.
        is_final: bool,
        /// Under which key at the authorizing provider.
        plan: AttemptPlan,
    },
    /// Reserve more, before anything is taken.
    Increment {
        /// Identity.
        id: IncrementId,
        /// What is to be reserved afterwards, all in all.
        total: Amount,
        /// Under which key at the authorizing provider.
        plan: AttemptPlan,
    },
    /// Release reserved money.
    Void {
        /// Identity.
        id: VoidId,
        /// Under which key at the authorizing provider.
        plan: AttemptPlan,
    },
    /// Give taken money back.
    Refund {
        /// Identity.
        id: RefundId,
        /// How much; all that is left if `None`.
        amount: Option<Amount>,
        /// Why.
        reason: Option<Arc<str>>,
        /// Under which key at the charging provider.
        plan: AttemptPlan,
    },
    /// Try a capture, void or refund once more after it reached nobody.
    RedriveOperation {
        /// Which.
        operation: OperationId,
        /// Under which key at the same provider.
        plan: AttemptPlan,
    },
    /// A person lets it pass.
    ApproveReview {
        /// Where the charge goes, or the capture of what is authorized already.
        plan: AttemptPlan,
        /// Why the card's network allows no try of it any more; of no account for what is authorized already.
        barred: Option<CardBar>,
        /// Identity of that capture.
        capture: CaptureId,
    },
    /// A person forbids it.
    RejectReview {
        /// Under which key what is authorized already is released.
        plan: AttemptPlan,
        /// Identity of the void that does it.
        void: VoidId,
    },
    /// Find out how the customer's challenge ended.
    Complete,
    /// A person says what became of an attempt.
    Resolve {
        /// Of which operation.
        operation: OperationId,
        /// What.
        resolution: Resolution,
    },
    /// A provider refuses an attempt of which an earlier request may have been done: no proof that it was not.
    Refuse {
        /// Of which operation.
        operation: OperationId,
        /// Which attempt of it.
        number: u32,
        /// What the provider said.
        reason: Arc<str>,
    },
    /// A provider said what fits no booking.
    Raise {
        /// About which operation.
        operation: OperationId,
        /// What; it is heard of now.
        matter: Matter,
    },
    /// A person has looked at all that is open about an operation.
    Note {
        /// Which operation.
        operation: OperationId,
        /// Who, and what was done.
        note: Note,
        /// How many matters that person saw.
        seen: usize,
    },
    /// What providers have taken on may be overdue.
    CheckOverdue {
        /// How long each may take to say how that ended; others as long as is usual.
        settle: Vec<(ProviderId, Millis)>,
    },
    /// The time for reviews or authorizations may have run out.
    CheckDeadlines {
        /// Under which key what was authorized for a review is released.
        plan: AttemptPlan,
        /// Identity of the void that does it.
        void: VoidId,
    },
}
