//! Operations at a provider and their attempts. At most one attempt of an operation is unresolved or succeeded.

use super::closing::Closing;
use super::matter::Matter;
use super::resolution::Resolution;
use super::reversal::Reversed;
use crate::ids::OperationId;
use crate::limits::ATTEMPTS_MAX;
use crate::money::Amount;
use crate::provider::{ProviderId, ProviderKey, ProviderReference};
use crate::time::Timestamp;
use std::sync::Arc;

/// What is asked of the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationKind {
    /// Authorize and capture at once.
    Sale,
    /// Reserve only.
    Authorize,
    /// Take reserved money.
    Capture,
    /// Release reserved money.
    Void,
    /// Give taken money back.
    Refund,
    /// Reserve more.
    Increment,
    /// Give back a charge that arrived after its attempt was closed. Its provider is asked for a refund or a void.
    Reversal,
}

impl OperationKind {
    /// Whether its success takes money or gives it back.
    pub const fn moves_money(self) -> bool {
        match self {
            Self::Sale | Self::Capture | Self::Refund => true,
            // What a reversal gives back was in suspense, and no merchant's.
            Self::Authorize | Self::Void | Self::Increment | Self::Reversal => false,
        }
    }

    /// Stable word for metrics, histories and the sandbox.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sale => "sale",
            Self::Authorize => "authorize",
            Self::Capture => "capture",
            Self::Void => "void",
            Self::Refund => "refund",
            Self::Increment => "increment",
            Self::Reversal => "reversal",
        }
    }
}

/// How far one attempt has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptState {
    /// Durable, perhaps sent.
    Open,
    /// Accepted, the result comes later.
    Pending,
    /// Waits for the customer.
    ActionRequired,
    /// May have charged: resolved by evidence only, never by a clock.
    Unknown,
    /// The provider did it.
    Succeeded,
    /// Refused; nothing charged.
    Declined,
    /// Never left this process.
    NotSent,
    /// Refused before execution as our mistake.
    Rejected,
    /// Closed at the provider; it can no longer charge.
    Cancelled,
    /// Never left this process, and nobody sends it any more.
    GivenUp,
}

impl AttemptState {
    /// Stable word for lists.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Pending => "pending",
            Self::ActionRequired => "action_required",
            Self::Unknown => "unknown",
            Self::Succeeded => "succeeded",
            Self::Declined => "declined",
            Self::NotSent => "not_sent",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
            Self::GivenUp => "given_up",
        }
    }

    /// The provider may still act or have acted without our knowing the end of it.
    pub const fn is_unresolved(self) -> bool {
        match self {
            Self::Open | Self::Pending | Self::ActionRequired | Self::Unknown => true,
            Self::Succeeded
            | Self::Declined
            | Self::NotSent
            | Self::Rejected
            | Self::Cancelled
            | Self::GivenUp => false,
        }
    }

    /// Proof that it did not charge and will not: another attempt may follow.
    pub const fn is_closed_without_charge(self) -> bool {
        match self {
            Self::Declined | Self::NotSent | Self::Rejected | Self::Cancelled | Self::GivenUp => true,
            Self::Open | Self::Pending | Self::ActionRequired | Self::Unknown | Self::Succeeded => false,
        }
    }
}

/// One attempt at one provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// 1, 2, ...
    pub number: u32,
    /// At whom.
    pub provider: ProviderId,
    /// The key every request of this attempt carries.
    pub key: ProviderKey,
    /// The provider's object, once known.
    pub reference: Option<ProviderReference>,
    /// Until when the request may be repeated; later it is only queried, then cancelled.
    pub deadline: Timestamp,
    /// How far it has come.
    pub state: AttemptState,
    /// What made it unknown the last time, for operators.
    pub unknown_reason: Option<Arc<str>>,
    /// What is known of its closing.
    pub closing: Closing,
    /// Since when its provider owes a word about its end for longer than it usually takes.
    pub overdue_since: Option<Timestamp>,
}

/// A success that a provider reported of an attempt which was closed, or which had succeeded with another transaction; or the undoing
/// of a success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LateCharge {
    /// Of which attempt.
    pub number: u32,
    /// At whom.
    pub provider: ProviderId,
    /// How much, by the provider's word.
    pub amount: Amount,
    /// The transaction.
    pub transaction: ProviderReference,
}

/// That an operation's money was booked. It never changes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Booked {
    /// When: that of the commit that posted it, whenever it was asked for.
    pub at: Timestamp,
    /// What it added to Florin's fee, in minor units; less than zero if it returned some of it.
    pub fee_minor: i128,
}

/// Something asked of a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Identity.
    pub id: OperationId,
    /// What.
    pub kind: OperationKind,
    /// How much.
    pub amount: Amount,
    /// A capture after which no other follows.
    pub is_final: bool,
    /// Why a refund was asked for.
    pub reason: Option<Arc<str>>,
    /// When it was asked for.
    pub opened_at: Timestamp,
    /// Attempts made.
    pub attempts: u32,
    /// The latest attempt.
    pub attempt: Option<Attempt>,
    /// Attempts before the latest, each closed by proof; kept because a provider may still say otherwise.
    pub earlier: Vec<Attempt>,
    /// Successes that arrived too late to count as this operation's own, and what was undone after its end.
    pub late: Vec<LateCharge>,
    /// The provider's id of the transaction, once it succeeded.
    pub transaction: Option<ProviderReference>,
    /// What a person says became of the latest attempt; a second one must agree.
    pub proposal: Option<Resolution>,
    /// The late charge that it gives back.
    pub reverses: Option<Reversed>,
    /// That what it took or gave back is in the books; nothing else is ever noted here.
    pub booked: Option<Booked>,
    /// What a person had or has to look at, oldest first.
    pub matters: Vec<Matter>,
    /// How many of those a person has noted, from the first on.
    pub matters_noted: usize,
}

impl Operation {
    /// One that was just asked for.
    pub(super) fn opened(
        (id, kind): (OperationId, OperationKind),
        amount: Amount,
        opened_at: Timestamp,
    ) -> Self {
        Self {
            id,
            kind,
            amount,
            is_final: false,
            reason: None,
            opened_at,
            attempts: 0,
            attempt: None,
            earlier: Vec::new(),
            late: Vec::new(),
            transaction: None,
            proposal: None,
            reverses: None,
            booked: None,
            matters: Vec::new(),
            matters_noted: 0,
        }
    }

    /// The state of the latest attempt.
    pub fn state(&self) -> Option<AttemptState> {
        self.attempt.as_ref().map(|attempt| attempt.state)
    }

    /// Nobody has done anything about it, as far as its latest attempt goes, and whoever asked for it may have it sent under its key: it has not failed.
    pub fn is_unsent(&self) -> bool {
        self.state() == Some(AttemptState::NotSent) && self.attempts < ATTEMPTS_MAX
    }

    /// The attempt with this number, however long ago.
    pub fn attempt_numbered(&self, number: u32) -> Option<&Attempt> {
        self.earlier
            .iter()
            .chain(&self.attempt)
            .find(|attempt| attempt.number == number)
    }

    /// This transaction is in the books already, as the operation's own success or as a late one.
    pub(super) fn has_booked(&self, provider: ProviderId, transaction: &ProviderReference) -> bool {
        let own = self
            .attempt
            .as_ref()
            .is_some_and(|attempt| attempt.state == AttemptState::Succeeded && attempt.provider == provider);
        (own && self.transaction.as_ref() == Some(transaction))
            || self
                .late
                .iter()
                .any(|late| late.provider == provider && late.transaction == *transaction)
    }

    /// What its provider is asked for: a reversal is a refund or a void there.
    pub fn asked_kind(&self) -> OperationKind {
        self.reverses
            .as_ref()
            .map_or(self.kind, |reversed| reversed.asked)
    }

    pub(super) fn has_succeeded_in_time(&self, number: u32) -> bool {
        self.attempt_numbered(number)
            .is_some_and(|attempt| attempt.state == AttemptState::Succeeded)
    }

    /// By the provider's word this attempt did what it was for, in time or late.
    pub(super) fn has_succeeded(&self, number: u32) -> bool {
        self.has_succeeded_in_time(number) || self.late.iter().any(|late| late.number == number)
    }

    /// A person may have to say what becomes of it: its provider was asked in vain or takes its time, or something about it is open.
    pub fn is_for_people(&self) -> bool {
        matches!(self.state(), Some(AttemptState::Unknown | AttemptState::Pending))
            || !self.open_matters().is_empty()
    }

    /// A provider's word is awaited.
    pub fn is_unresolved(&self) -> bool {
        self.state().is_some_and(AttemptState::is_unresolved)
    }

    /// Opened, and neither succeeded nor given up: its amount is reserved against double use.
    pub fn is_open(&self) -> bool {
        self.state().is_none_or(AttemptState::is_unresolved)
    }
}
