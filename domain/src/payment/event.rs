//! What can happen to a payment.

use super::matter::{Matter, Note};
use super::operation::OperationKind;
use super::request::Request;
use super::resolution::Resolution;
use super::state::Spec;
use crate::decline::NetworkDecline;
use crate::ids::OperationId;
use crate::ledger::PostingProfile;
use crate::method::PaymentMethod;
use crate::money::Amount;
use crate::provider::{ProviderId, ProviderKey, ProviderReference};
use crate::risk::{Assessment, ListMatch};
use crate::routing::Route;
use crate::time::Timestamp;
use std::sync::Arc;

/// One fact about a payment; once journaled it is never changed.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The payment exists.
    Created {
        /// What was asked for.
        spec: Arc<Spec>,
        /// How it will be paid.
        method: PaymentMethod,
    },
    /// Risk looked at it.
    RiskAssessed(Assessment),
    /// Risk forbade it.
    Blocked,
    /// A person must decide.
    ReviewOpened {
        /// When the review ends by itself.
        deadline: Timestamp,
    },
    /// A person let it pass.
    ReviewApproved,
    /// A person forbade it.
    ReviewRejected,
    /// Nobody decided in time.
    ReviewExpired,
    /// Another method takes the declined one's place.
    MethodReplaced {
        /// The new method.
        method: PaymentMethod,
    },
    /// Something is to be asked of a provider.
    OperationOpened {
        /// Identity of the operation.
        operation: OperationId,
        /// What.
        kind: OperationKind,
        /// How much.
        amount: Amount,
        /// A capture after which no other follows.
        is_final: bool,
        /// Why a refund was asked for.
        reason: Option<Arc<str>>,
        /// When.
        at: Timestamp,
    },
    /// A request is about to be sent; durable before it is.
    AttemptPlanned {
        /// Of which operation.
        operation: OperationId,
        /// Which attempt of it.
        number: u32,
        /// To whom.
        provider: ProviderId,
        /// Under which key.
        key: ProviderKey,
        /// Until when it may be repeated.
        deadline: Timestamp,
    },
    /// The provider made an object that cannot charge before it is confirmed.
    AttemptReferenced {
        /// Of which operation.
        operation: OperationId,
        /// Which attempt of it.
        number: u32,
        /// The object.
        reference: ProviderReference,
    },
    /// The provider did it.
    AttemptSucceeded {
        /// Of which operation.
        operation: OperationId,
        /// Which attempt of it.
        number: u32,
        /// The object.
        reference: ProviderReference,
        /// The transaction.
        transaction: ProviderReference,
        /// Until when an authorization stands.
        authorization_expires_at: Option<Timestamp>,
    },
    /// Refused; nothing charged.
    AttemptDeclined {
        /// Of which operation.
        operation: OperationId,
        /// Which attempt of it.
        number: u32,
        /// The network's reason.
        decline_code: Arc<str>,
        /// The object, if one was made.
        reference: Option<ProviderReference>,
        /// The network's own codes, if the provider passed them on.
        network: NetworkDecline,
    },
    /// The customer must act.
    AttemptActionRequired {
        /// Of which operation.
        operation: OperationId,
        /// Which attempt of it.
        number: u32,
        /// The object.
        reference: ProviderReference,
        /// Where to send the customer.
        redirect_url: Option<Arc<str>>,
        /// When the challenge ends.
        expires_at: Timestamp,
    },
    /// Accepted, the result comes later.
    AttemptPending {
        /// Of which operation.
        operation: OperationId,
        /// Which attempt of it.
        number: u32,
        /// The object.
        reference: ProviderReference,
    },
    /// It may have happened.
    AttemptUnknown {
        /// Of which operation.
        operation: OperationId,
        /// Which attempt of it.
        number: u32,
        /// What went wrong.
        reason: Arc<str>,
        /// The object, if known.
        reference: Option<ProviderReference>,
    },
    /// No byte left this process.
    AttemptNotSent {
        /// Of which operation.
        operation: OperationId,
        /// Which attempt of it.
        number: u32,
        /// What went wrong.
        reason: Arc<str>,
    },
    /// Refused before execution as our mistake.
    AttemptRejected {
        /// Of which operation.
        operation: OperationId,
        /// Which attempt of it.
        number: u32,
        /// What the provider said.
        reason: Arc<str>,
    },
    /// Closed at the provider.
    AttemptCancelled {
        /// Of which operation.
        operation: OperationId,
        /// Which attempt of it.
        number: u32,
    },
    /// A charge arrived on an attempt that was already closed: it is in suspense until reversed.
    LateSuccess {
        /// Of which operation.
        operation: OperationId,
        /// Which attempt of it.
        number: u32,
        /// At whom.
        provider: ProviderId,
        /// How much.
        amount: Amount,
        /// The transaction.
        transaction: ProviderReference,
    },
    /// Given up before any provider held money for it.
    Abandoned,
    /// The authorization ran out.
    AuthorizationExpired,
    /// Somebody asked for what follows, under a key of their own.
    Requested {
        /// Who, what and under which key.
        request: Request,
    },
    /// A person says what became of an attempt; a second one must agree.
    ResolutionProposed {
        /// Of which operation.
        operation: OperationId,
        /// Which attempt of it.
        number: u32,
        /// What.
        resolution: Resolution,
    },
    /// A second person agrees.
    ResolutionConfirmed {
        /// Of which operation.
        operation: OperationId,
        /// Which attempt of it.
        number: u32,
        /// What.
        resolution: Resolution,
    },
    /// An entry of a block or allow list decides the assessment that follows.
    ListMatched {
        /// Which entry, and why it was made.
        listed: ListMatch,
    },
    /// A person decides once the money is authorized.
    HeldForReview,
    /// It is booked otherwise than usual, for all of its life.
    PostingProfileChosen {
        /// How.
        profile: PostingProfile,
    },
    /// Routing chose who gets the attempt that is planned next.
    Routed {
        /// Of which operation.
        operation: OperationId,
        /// Which attempt of it.
        number: u32,
        /// Who, who else, and why.
        route: Arc<Route>,
    },
    /// A provider undid what it had done: what had moved went back, and is in suspense until a person settles it.
    LateReversal {
        /// Of which operation.
        operation: OperationId,
        /// Which attempt of it.
        number: u32,
        /// At whom.
        provider: ProviderId,
        /// How much.
        amount: Amount,
        /// The undoing, under a name that no transaction has.
        transaction: ProviderReference,
    },
    /// A late charge is to be given back at its provider.
    ReversalOpened {
        /// The operation that does it.
        operation: OperationId,
        /// The operation that was done late.
        of: OperationId,
        /// Which attempt of it.
        number: u32,
        /// At whom.
        provider: ProviderId,
        /// The late transaction.
        transaction: ProviderReference,
        /// The provider's object that did it.
        reference: ProviderReference,
        /// How much.
        amount: Amount,
        /// When it was opened.
        at: Timestamp,
    },
    /// The charge is not sent: its card was declined for it so often, or so finally, that its network allows no repetition.
    RetryRefused {
        /// Why, as merchants are told.
        decline_code: Arc<str>,
    },
    /// The decline of this attempt is not the payment's end: another provider is asked.
    DeclineRetried {
        /// Of which operation.
        operation: OperationId,
        /// Which attempt of it.
        number: u32,
    },
    /// The provider is about to be asked to close what the attempt may have made: nothing that charges is sent under its key any more.
    AttemptClosingAsked {
        /// Of which operation.
        operation: OperationId,
        /// Which attempt of it.
        number: u32,
        /// When.
        at: Timestamp,
    },
    /// The provider says that it did not close it.
    AttemptClosingRefused {
        /// Of which operation.
        operation: OperationId,
        /// Which attempt of it.
        number: u32,
    },
    /// The charge was said to be made while it was being closed: whether it stands is not known.
    AttemptToldMade {
        /// Of which operation.
        operation: OperationId,
        /// Which attempt of it.
        number: u32,
        /// The object.
        reference: ProviderReference,
        /// The transaction.
        transaction: ProviderReference,
    },
    /// The provider closed this transaction, of which nothing was heard before.
    TransactionClosed {
        /// Of which operation.
        operation: OperationId,
        /// Which attempt of it.
        number: u32,
        /// The transaction.
        transaction: ProviderReference,
    },
    /// A provider has taken it on longer ago than it usually takes it to say how that ended. It stays pending.
    AttemptOverdue {
        /// Of which operation.
        operation: OperationId,
        /// Which attempt of it.
        number: u32,
        /// When that was seen.
        at: Timestamp,
    },
    /// Something that is booked nowhere, and at which a person must look.
    MatterRaised {
        /// About which operation.
        operation: OperationId,
        /// What.
        matter: Matter,
    },
    /// A person has looked at all that was open about an operation.
    MattersNoted {
        /// Which operation.
        operation: OperationId,
        /// Who, and what was done.
        note: Note,
    },
    /// As many attempts to charge were made as there may be, and none of them charged: the payment has failed.
    AttemptsExhausted,
    /// The payment exists, and nothing is asked of anybody before it is confirmed.
    Drafted {
        /// What was asked for.
        spec: Arc<Spec>,
        /// How it will be paid, if that is known.
        method: Option<PaymentMethod>,
    },
    /// The merchant has changed a draft, or what is said about a payment.
    Amended {
        /// How much from now on.
        amount: Amount,
        /// How it will be paid, if that is known.
        method: Option<PaymentMethod>,
        /// Free text.
        description: Option<Arc<str>>,
        /// The merchant's own pairs, in the order sent.
        metadata: Vec<(Arc<str>, Arc<str>)>,
    },
    /// A draft is to be paid.
    Confirmed {
        /// With this method.
        method: PaymentMethod,
    },
    /// A refund that reached nobody is not sent any more: it has failed.
    OperationGivenUp {
        /// Which.
        operation: OperationId,
    },
}

impl Event {
    /// Stable name for histories.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Created { .. } => "payment.created",
            Self::RiskAssessed(_) => "risk.assessed",
            Self::Blocked => "payment.blocked",
            Self::ReviewOpened { .. } => "review.opened",
            Self::ReviewApproved => "review.approved",
            Self::ReviewRejected => "review.rejected",
            Self::ReviewExpired => "review.expired",
            Self::MethodReplaced { .. } => "payment.method_replaced",
            Self::OperationOpened { .. } => "operation.opened",
            Self::AttemptPlanned { .. } => "attempt.planned",
            Self::AttemptReferenced { .. } => "attempt.referenced",
            Self::AttemptSucceeded { .. } => "attempt.succeeded",
            Self::AttemptDeclined { .. } => "attempt.declined",
            Self::AttemptActionRequired { .. } => "attempt.action_required",
            Self::AttemptPending { .. } => "attempt.pending",
            Self::AttemptUnknown { .. } => "attempt.unknown",
            Self::AttemptNotSent { .. } => "attempt.not_sent",
            Self::AttemptRejected { .. } => "attempt.rejected",
            Self::AttemptCancelled { .. } => "attempt.cancelled",
            Self::LateSuccess { .. } => "attempt.late_success",
            Self::Abandoned => "payment.abandoned",
            Self::AuthorizationExpired => "authorization.expired",
            Self::Requested { .. } => "request.accepted",
            Self::ResolutionProposed { .. } => "resolution.proposed",
            Self::ResolutionConfirmed { .. } => "resolution.confirmed",
            Self::ListMatched { .. } => "risk.list_matched",
            Self::HeldForReview => "review.held",
            Self::PostingProfileChosen { .. } => "payment.posting_profile_chosen",
            Self::Routed { .. } => "attempt.routed",
            Self::LateReversal { .. } => "attempt.late_reversal",
            Self::ReversalOpened { .. } => "reversal.opened",
            Self::RetryRefused { .. } => "payment.retry_refused",
            Self::DeclineRetried { .. } => "attempt.decline_retried",
            Self::AttemptClosingAsked { .. } => "attempt.closing_asked",
            Self::AttemptClosingRefused { .. } => "attempt.closing_refused",
            Self::AttemptToldMade { .. } => "attempt.told_made",
            Self::TransactionClosed { .. } => "attempt.transaction_closed",
            Self::AttemptOverdue { .. } => "attempt.overdue",
            Self::MatterRaised { .. } => "matter.raised",
            Self::MattersNoted { .. } => "matters.noted",
            Self::AttemptsExhausted => "payment.attempts_exhausted",
            Self::Drafted { .. } => "payment.drafted",
            Self::Amended { .. } => "payment.amended",
            Self::Confirmed { .. } => "payment.confirmed",
            Self::OperationGivenUp { .. } => "operation.given_up",
        }
    }
}
