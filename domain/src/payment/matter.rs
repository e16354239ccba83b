//! What a person must look at although no provider is asked about it any more: a word that fits no booking, and money that nobody gives
//! back. It is a fact in the journal, so that no restart forgets it, and it is listed until a person has noted it. Nothing is booked for it.

use super::decide::{Decision, Effect};
use super::event::Event;
use super::operation::{Attempt, AttemptState, Operation};
use super::record::find;
use super::refusal::Refusal;
use super::state::Payment;
use crate::ids::OperationId;
use crate::limits::{ATTEMPT_RETRY_WINDOW, MATTERS_MAX};
use crate::money::Currency;
use crate::provider::ProviderId;
use crate::time::{Millis, Timestamp};
use std::sync::Arc;

/// What is the matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatterKind {
    /// Something was done after its attempt's end, in another currency than the payment's.
    DoneInOtherCurrency,
    /// Something was done after its attempt's end, with a sum that no transaction can have.
    DoneWithImpossibleAmount,
    /// Something was undone in another currency than the payment's.
    UndoneInOtherCurrency,
    /// More was undone than still stood: it had been given back, or undone, before.
    UndoneBeyondWhatStood,
    /// What a provider had said to be done it says to be declined.
    DeclinedAfterSuccess,
    /// A late charge is not given back: a person must.
    NotGivenBack,
    /// A provider undid a late charge by itself, and says that it gave it back as well.
    GivenBackTwice,
}

impl MatterKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::DoneInOtherCurrency,
        Self::DoneWithImpossibleAmount,
        Self::UndoneInOtherCurrency,
        Self::UndoneBeyondWhatStood,
        Self::DeclinedAfterSuccess,
        Self::NotGivenBack,
        Self::GivenBackTwice,
    ];

    /// Stable word for lists and histories.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DoneInOtherCurrency => "done_in_other_currency",
            Self::DoneWithImpossibleAmount => "done_with_impossible_amount",
            Self::UndoneInOtherCurrency => "undone_in_other_currency",
            Self::UndoneBeyondWhatStood => "undone_beyond_what_stood",
            Self::DeclinedAfterSuccess => "declined_after_success",
            Self::NotGivenBack => "not_given_back",
            Self::GivenBackTwice => "given_back_twice",
        }
    }

    /// The alert that tells of it.
    pub const fn alert(self) -> &'static str {
        match self {
            Self::DoneInOtherCurrency | Self::DoneWithImpossibleAmount => "late_success_unbooked",
            Self::UndoneInOtherCurrency | Self::UndoneBeyondWhatStood => "late_reversal_unbooked",
            Self::DeclinedAfterSuccess => "notice_contradicted",
            Self::NotGivenBack => "late_charge_not_reversed",
            Self::GivenBackTwice => "late_charge_reversed_twice",
        }
    }
}

/// Something about an attempt that a person must look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matter {
    /// Which attempt of the operation.
    pub number: u32,
    /// What.
    pub kind: MatterKind,
    /// The provider's name for what it is about, or its reason: the same matter is raised once.
    pub said: Arc<str>,
    /// How much, by the provider's word, in minor units of `currency`; it is in no book.
    pub amount_minor: i128,
    /// Of what.
    pub currency: Currency,
    /// When it was heard of.
    pub at: Timestamp,
}

impl Matter {
    fn is_of(&self, other: &Self) -> bool {
        (self.number, self.kind) == (other.number, other.kind) && self.said == other.said
    }
}

/// A person has looked, and says what was done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Where this is seen: a report, a ticket, an entry of a statement.
    pub evidence: Arc<str>,
    /// What was done, or why nothing had to be.
    pub reason: Arc<str>,
    /// Who says it.
    pub operator: Arc<str>,
}

/// The first word of a matter is journaled and told; later ones say nothing new. Where an operation has as many as it may, it is only
/// told.
pub(super) fn raise(op: &Operation, matter: Matter) -> Decision {
    if op.matters.iter().any(|known| known.is_of(&matter)) {
        return Decision::default();
    }
    let effects = vec![Effect::Alert(matter.kind.alert())];
    if op.matters.len() >= MATTERS_MAX {
        return Decision {
            events: Vec::new(),
            effects,
        };
    }
    let operation = op.id;
    Decision {
        events: vec![Event::MatterRaised { operation, matter }],
        effects,
    }
}

/// Raises what somebody outside has found.
pub(super) fn raise_at(
    payment: &Payment,
    operation: OperationId,
    matter: Matter,
) -> Result<Decision, Refusal> {
    let (op, _) = find(payment, operation, matter.number)?;
    Ok(raise(op, matter))
}

/// Everything that was ever raised about the operation has been looked at: so many matters. What came since was not, and must not leave with
/// them. Those that are open would not tell: as many may be open again after somebody else has noted what was seen.
pub(super) fn note(
    payment: &Payment,
    operation: OperationId,
    (note, seen): (Note, usize),
) -> Result<Decision, Refusal> {
    let op = payment.operation(operation).ok_or(Refusal::NoSuchAttempt)?;
    if op.open_matters().is_empty() {
        return Err(Refusal::WrongStatus);
    }
    if op.matters.len() != seen {
        return Err(Refusal::MattersChanged);
    }
    Ok(Decision::events(vec![Event::MattersNoted { operation, note }]))
}

/// Tells, once for each attempt, which ones a provider has taken on longer ago than it takes it to say how they ended. They stay pending:
/// no clock turns them into anything else.
pub(super) fn check_overdue(
    payment: &Payment,
    settle: impl Fn(ProviderId) -> Millis,
    now: Timestamp,
) -> Decision {
    let mut decision = Decision::default();
    for op in payment.unresolved() {
        let Some(attempt) = &op.attempt else { continue };
        if attempt.overdue_since.is_none() && is_overdue(op, attempt, settle(attempt.provider), now) {
            decision.events.push(Event::AttemptOverdue {
                operation: op.id,
                number: attempt.number,
                at: now,
            });
            decision.effects.push(Effect::Alert("attempt_overdue"));
        }
    }
    decision
}

fn is_overdue(op: &Operation, attempt: &Attempt, settle: Millis, now: Timestamp) -> bool {
    attempt.state == AttemptState::Pending && now >= begun_at(op, attempt).plus(settle)
}

/// When an attempt was planned: the first one with its operation, each later one a whole retry window before its deadline.
fn begun_at(op: &Operation, attempt: &Attempt) -> Timestamp {
    if attempt.number == 1 {
        return op.opened_at;
    }
    let deadline_ms = attempt.deadline.unix_ms();
    Timestamp::from_unix_ms(deadline_ms.saturating_sub(ATTEMPT_RETRY_WINDOW.0))
}

impl Operation {
    /// What a person has still to look at, oldest first.
    pub fn open_matters(&self) -> &[Matter] {
        self.matters.get(self.matters_noted..).unwrap_or_default()
    }
}

impl Payment {
    /// It is on the list of what operators must see to: a provider's word is awaited, or a person's.
    pub fn is_open(&self) -> bool {
        self.operations
            .iter()
            .any(|op| op.is_unresolved() || !op.open_matters().is_empty())
    }
}

/// A matter joins those of its operation.
pub(super) fn raised(op: &mut Operation, matter: &Matter) -> Result<(), &'static str> {
    if matter.number == 0 || matter.number > op.attempts {
        return Err("no such attempt");
    }
    if op.matters.iter().any(|known| known.is_of(matter)) {
        return Err("the matter was raised before");
    }
    op.matters.push(matter.clone());
    Ok(())
}

/// All matters of an operation are noted.
pub(super) fn noted(op: &mut Operation) -> Result<(), &'static str> {
    if op.open_matters().is_empty() {
        return Err("nothing is open about it");
    }
    op.matters_noted = op.matters.len();
    Ok(())
}
