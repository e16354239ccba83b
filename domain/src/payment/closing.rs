//! Asking a provider to close a charge that may have been made. That it is asked is journaled before the request leaves, and from then on
//! nothing that charges is sent under the attempt's key: a provider that repeats what it answered before would say of a charge that is
//! closed by now that it was made.
//!
//! For the same reason a word that the charge was made decides nothing while the closing is under way, wherever it comes from: an answer
//! to what was sent before, or a notice, may be older than the closing. It is kept until the provider says how the closing ended. One that
//! was not done leaves the charge standing, and one that was done ends it, whichever is heard of first.

use super::decide::{Decision, Effect};
use super::event::Event;
use super::operation::{Attempt, AttemptState, Operation, OperationKind};
use super::outcome::unresolved_attempt;
use super::record::{CHALLENGE_EXPIRED, find, mismatched, record, take_word};
use super::refusal::Refusal;
use super::reversal::ReversalPlan;
use super::state::{Payment, Status};
use crate::ids::OperationId;
use crate::limits::Lifetimes;
use crate::provider::{Outcome, ProviderReference};
use crate::time::Timestamp;
use std::sync::Arc;

/// What is known of the closing of an attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Closing {
    /// When its provider was first asked to close it.
    pub asked_at: Option<Timestamp>,
    /// By the provider's word it was not closed.
    pub is_refused: bool,
    /// The transaction that was said to be made while the closing was under way.
    pub made: Option<ProviderReference>,
    /// The transaction that the provider closed. That it was made is no news any more.
    pub closed: Option<ProviderReference>,
    /// The challenge ended without the customer.
    pub has_expired: bool,
}

impl Attempt {
    /// Its provider was asked to close it: nothing that charges is sent under its key any more.
    pub const fn is_closing_asked(&self) -> bool {
        self.closing.asked_at.is_some()
    }

    /// The same, and nobody knows yet how that ended: that the charge was made does not say that it stands.
    pub const fn is_closing(&self) -> bool {
        self.is_closing_asked() && !self.closing.is_refused && self.state.is_unresolved()
    }

    /// Its provider tells of two charges under its key: only people can say what became of them.
    pub fn is_doubled(&self) -> bool {
        self.state == AttemptState::Unknown && self.unknown_reason.as_deref() == Some(TWO_CHARGES)
    }

    /// The customer never came back, and the provider does not say that the challenge is over.
    pub fn is_abandoned(&self) -> bool {
        self.state == AttemptState::Unknown && self.unknown_reason.as_deref() == Some(CHALLENGE_ABANDONED)
    }
}

impl Payment {
    /// By its provider's word the object of this attempt was closed, or its challenge was. A hold of it that is told of only now was made
    /// before that, and went with it.
    pub fn has_let_go(&self, operation: OperationId, number: u32) -> bool {
        let attempt = self
            .operation(operation)
            .and_then(|op| op.attempt_numbered(number));
        attempt.is_some_and(|attempt| match attempt.state {
            AttemptState::Cancelled => true,
            // Whatever was tried after it.
            AttemptState::Declined => attempt.closing.has_expired,
            AttemptState::Open
            | AttemptState::Pending
            | AttemptState::ActionRequired
            | AttemptState::Unknown
            | AttemptState::Succeeded
            | AttemptState::NotSent
            | AttemptState::Rejected
            | AttemptState::GivenUp => false,
        })
    }
}

/// What made an attempt unknown whose challenge nobody ended.
const CHALLENGE_ABANDONED: &str =
    "the challenge was abandoned, and the provider does not say that it is over";
/// What made an attempt unknown of which a provider tells two transactions.
const TWO_CHARGES: &str = "the provider tells of two charges";
/// What is kept of a charge that was said to go on while it was being closed.
const BEGUN_AND_CLOSING: &str = "the charge goes on, and the provider was asked to close it";
/// What is kept of a charge that was said to be made while it was being closed.
const MADE_AND_CLOSING: &str = "the charge was made, and the provider was asked to close it";

/// Has the provider asked to close a charge, once that is durable.
pub(super) fn ask(
    payment: &Payment,
    (operation, number): (OperationId, u32),
    at: Timestamp,
) -> Result<Decision, Refusal> {
    let (op, attempt) = find(payment, operation, number)?;
    let charges = matches!(op.kind, OperationKind::Sale | OperationKind::Authorize);
    let is_open = attempt.number == number && attempt.state.is_unresolved();
    if !charges || !is_open || attempt.is_closing_asked() {
        return Ok(Decision::default());
    }
    Ok(Decision {
        events: vec![Event::AttemptClosingAsked {
            operation,
            number,
            at,
        }],
        effects: vec![Effect::Close(operation)],
    })
}

/// Takes a word that may be older than the closing that was asked for.
pub(super) fn hear(
    payment: &Payment,
    (operation, number): (OperationId, u32),
    outcome: Outcome,
    reversal: Option<ReversalPlan>,
    lifetimes: &Lifetimes,
    now: Timestamp,
) -> Result<Decision, Refusal> {
    let target = (operation, number);
    let (op, attempt) = find(payment, operation, number)?;
    if attempt.number == number && attempt.is_doubled() {
        return Ok(Decision::default());
    }
    if attempt.number != number || !attempt.is_closing() {
        return take_word(payment, target, outcome, (None, reversal), lifetimes, now);
    }
    match outcome {
        Outcome::Succeeded {
            reference,
            transaction,
            amount_minor,
        } => {
            if amount_minor != op.amount.minor() {
                return Ok(mismatched(op, attempt, reference));
            }
            Ok(made(op, attempt, reference, transaction))
        }
        // No challenge begins that would end at a closed door.
        Outcome::ActionRequired { reference, .. } | Outcome::Pending { reference } => {
            if attempt.state == AttemptState::ActionRequired || attempt.is_mismatched() {
                return Ok(Decision::default());
            }
            let (reason, reference) = (Arc::from(BEGUN_AND_CLOSING), Some(reference));
            let outcome = Outcome::Unknown { reason, reference };
            record(payment, target, outcome, lifetimes, now)
        }
        // A challenge stays one, whatever cannot be found out.
        Outcome::NotSent { .. }
        | Outcome::RateLimited { .. }
        | Outcome::Rejected { .. }
        | Outcome::Unknown { .. }
            if attempt.state == AttemptState::ActionRequired =>
        {
            Ok(Decision::default())
        }
        // It was charged, by an earlier word: only the end of the closing says whether that stands.
        Outcome::Declined { .. } | Outcome::Cancelled { .. } if attempt.closing.made.is_some() => {
            Ok(Decision {
                events: Vec::new(),
                effects: vec![Effect::Alert("notice_contradicted")],
            })
        }
        outcome @ (Outcome::Declined { .. }
        | Outcome::Cancelled { .. }
        | Outcome::NotSent { .. }
        | Outcome::RateLimited { .. }
        | Outcome::Rejected { .. }
        | Outcome::Unknown { .. }) => take_word(payment, target, outcome, (None, reversal), lifetimes, now),
    }
}

fn made(
    op: &Operation,
    attempt: &Attempt,
    reference: ProviderReference,
    transaction: ProviderReference,
) -> Decision {
    match &attempt.closing.made {
        Some(known) if *known == transaction => Decision::default(),
        Some(_) => two_charges(op, attempt, reference),
        None => Decision::events(vec![Event::AttemptToldMade {
            operation: op.id,
            number: attempt.number,
            reference,
            transaction,
        }]),
    }
}

/// One key, and two charges: nothing is guessed, and a person must look.
fn two_charges(op: &Operation, attempt: &Attempt, reference: ProviderReference) -> Decision {
    if attempt.is_doubled() {
        return Decision::default();
    }
    Decision {
        events: vec![Event::AttemptUnknown {
            operation: op.id,
            number: attempt.number,
            reason: Arc::from(TWO_CHARGES),
            reference: Some(reference),
        }],
        effects: vec![Effect::Alert("two_charges")],
    }
}

/// The provider says that it did not close the charge: what was said of it stands, and what will be said is believed again.
pub(super) fn refused(
    payment: &Payment,
    (operation, number): (OperationId, u32),
    lifetimes: &Lifetimes,
    now: Timestamp,
) -> Result<Decision, Refusal> {
    let (op, attempt) = find(payment, operation, number)?;
    if attempt.number != number || !attempt.is_closing() {
        return Ok(Decision::default());
    }
    let event = Event::AttemptClosingRefused { operation, number };
    let is_clear = !attempt.is_doubled();
    let Some(transaction) = attempt.closing.made.clone().filter(|_| is_clear) else {
        return Ok(Decision::events(vec![event]));
    };
    let reference = attempt.reference.clone();
    let outcome = Outcome::Succeeded {
        reference: reference.unwrap_or_else(|| Arc::clone(&transaction)),
        transaction,
        amount_minor: op.amount.minor(),
    };
    let mut decision = record(payment, (operation, number), outcome, lifetimes, now)?;
    decision.events.insert(0, event);
    Ok(decision)
}

/// The provider says that it ended an attempt of which nothing else was heard yet. Which transaction that was is kept.
pub(super) fn ended(
    payment: &Payment,
    (operation, number): (OperationId, u32),
    outcome: Outcome,
    lifetimes: &Lifetimes,
    now: Timestamp,
) -> Result<Decision, Refusal> {
    let (op, attempt) = find(payment, operation, number)?;
    let transaction = closed_transaction(&outcome).cloned();
    // One of two was ended, and the other one stands.
    if attempt.is_doubled() {
        return Ok(Decision::default());
    }
    if let (Some(made), Some(closed)) = (&attempt.closing.made, &transaction)
        && made != closed
    {
        return Ok(two_charges(op, attempt, Arc::clone(closed)));
    }
    // What it closed may have another name than the object of the attempt, by which more may be said of it.
    let outcome = if let Outcome::Cancelled { reference } = outcome {
        let reference = attempt.reference.clone().or(reference);
        Outcome::Cancelled { reference }
    } else {
        outcome
    };
    let mut decision = record(payment, (operation, number), outcome, lifetimes, now)?;
    decision
        .events
        .extend(transaction.map(|transaction| Event::TransactionClosed {
            operation,
            number,
            transaction,
        }));
    Ok(decision)
}

/// The transaction that a closing names, of an attempt that was given up for dead before: hearing later that it was made must not look
/// like a charge. Nothing if that is known, or if the charge is in the books.
pub(super) fn ended_late(op: &Operation, attempt: &Attempt, unheard: Option<&Outcome>) -> Option<Event> {
    let transaction = unheard.and_then(closed_transaction)?;
    let is_news = attempt.state.is_closed_without_charge()
        && attempt.closing.closed.as_ref() != Some(transaction)
        && !op.has_booked(attempt.provider, transaction);
    is_news.then(|| Event::TransactionClosed {
        operation: op.id,
        number: attempt.number,
        transaction: Arc::clone(transaction),
    })
}

/// The same is said of a closing once more.
pub(super) fn is_known(attempt: &Attempt, unheard: Option<&Outcome>) -> bool {
    let transaction = unheard.and_then(closed_transaction);
    transaction.is_some() && attempt.closing.closed.as_ref() == transaction
}

const fn closed_transaction(outcome: &Outcome) -> Option<&ProviderReference> {
    match outcome {
        Outcome::Cancelled { reference } => reference.as_ref(),
        Outcome::Succeeded { .. }
        | Outcome::Declined { .. }
        | Outcome::ActionRequired { .. }
        | Outcome::Pending { .. }
        | Outcome::NotSent { .. }
        | Outcome::RateLimited { .. }
        | Outcome::Rejected { .. }
        | Outcome::Unknown { .. } => None,
    }
}

/// A challenge that can no longer be passed, and that its provider does not say to be over, is for people to end. It was asked to be closed
/// before.
pub(super) fn give_up_challenge(
    payment: &Payment,
    (operation, number): (OperationId, u32),
) -> Result<Decision, Refusal> {
    let (_, attempt) = find(payment, operation, number)?;
    let is_challenged = attempt.number == number && attempt.state == AttemptState::ActionRequired;
    if !is_challenged || !attempt.is_closing_asked() {
        return Ok(Decision::default());
    }
    Ok(Decision {
        events: vec![Event::AttemptUnknown {
            operation,
            number,
            reason: Arc::from(CHALLENGE_ABANDONED),
            reference: None,
        }],
        effects: vec![Effect::Alert("challenge_unresolved")],
    })
}

/// Folds that a charge was said to be made. A challenge stays one: its end is told in its own words.
pub(super) fn told_made(
    payment: &mut Payment,
    (operation, number): (OperationId, u32),
    reference: &ProviderReference,
    transaction: &ProviderReference,
) -> Result<(), &'static str> {
    let attempt = unresolved_attempt(payment, operation, number)?;
    if !attempt.is_closing() {
        return Err("nobody asked to close it");
    }
    attempt.reference = Some(Arc::clone(reference));
    attempt.closing.made = Some(Arc::clone(transaction));
    if attempt.state == AttemptState::ActionRequired {
        return Ok(());
    }
    if !attempt.is_abandoned() {
        attempt.unknown_reason = Some(Arc::from(MADE_AND_CLOSING));
    }
    attempt.state = AttemptState::Unknown;
    payment.status = Status::Processing;
    Ok(())
}

/// Folds that the latest attempt was declined, perhaps because nobody passed its challenge.
pub(super) fn expired(payment: &mut Payment, operation: OperationId, decline_code: &str) {
    let attempt = payment
        .operation_mut(operation)
        .and_then(|op| op.attempt.as_mut());
    if let Some(attempt) = attempt {
        attempt.closing.has_expired = decline_code == CHALLENGE_EXPIRED;
    }
}

/// Folds that a transaction was closed.
pub(super) fn transaction_closed(
    payment: &mut Payment,
    (operation, number): (OperationId, u32),
    transaction: &ProviderReference,
) -> Result<(), &'static str> {
    let op = payment.operation_mut(operation).ok_or("no such operation")?;
    let mut attempts = op.earlier.iter_mut().chain(&mut op.attempt);
    let attempt = attempts
        .find(|attempt| attempt.number == number)
        .ok_or("no such attempt")?;
    if !attempt.state.is_closed_without_charge() {
        return Err("the attempt may have charged");
    }
    attempt.closing.closed = Some(Arc::clone(transaction));
    Ok(())
}
