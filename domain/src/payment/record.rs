//! What a provider's word about an attempt makes happen.

use super::closing;
use super::command::{AttemptPlan, Undoing};
use super::decide::{Decision, Effect};
use super::event::Event;
use super::expiry::releases_expired;
use super::failover;
use super::matter::{self, Matter, MatterKind};
use super::operation::{Attempt, AttemptState, Operation, OperationKind};
use super::refusal::Refusal;
use super::reversal::{self, ReversalPlan};
use super::state::{Payment, Status};
use super::unsent;
use crate::decline::NetworkDecline;
use crate::ids::OperationId;
use crate::limits::Lifetimes;
use crate::money::Amount;
use crate::provider::{Outcome, ProviderReference};
use crate::time::Timestamp;
use std::sync::Arc;

pub(super) fn find(
    payment: &Payment,
    operation: OperationId,
    number: u32,
) -> Result<(&Operation, &Attempt), Refusal> {
    let op = payment.operation(operation).ok_or(Refusal::NoSuchAttempt)?;
    let attempt = op.attempt.as_ref().ok_or(Refusal::NoSuchAttempt)?;
    if number == 0 || number > attempt.number {
        return Err(Refusal::NoSuchAttempt);
    }
    Ok((op, attempt))
}

/// The request that waited for the object leaves.
pub(super) fn refer(
    payment: &Payment,
    (operation, number): (OperationId, u32),
    reference: ProviderReference,
) -> Result<Decision, Refusal> {
    let (_, attempt) = find(payment, operation, number)?;
    let is_over = attempt.is_closing_asked() || !attempt.state.is_unresolved();
    if attempt.number != number || attempt.reference.is_some() || is_over {
        return Ok(Decision::default());
    }
    Ok(Decision {
        events: vec![Event::AttemptReferenced {
            operation,
            number,
            reference,
        }],
        effects: vec![Effect::Call(operation)],
    })
}

/// Records what came back about an attempt, and what follows from it at once: the charge goes on elsewhere, or a late one is given back.
pub(super) fn take_word(
    payment: &Payment,
    (operation, number): (OperationId, u32),
    outcome: Outcome,
    (next, reversal): (Option<AttemptPlan>, Option<ReversalPlan>),
    lifetimes: &Lifetimes,
    now: Timestamp,
) -> Result<Decision, Refusal> {
    let (op, attempt) = find(payment, operation, number)?;
    let is_for_people = attempt.is_doubled() || (attempt.is_mismatched() && contradicts_a_sum(&outcome));
    if attempt.number == number && is_for_people {
        return Ok(Decision::default());
    }
    if attempt.number == number && attempt.state.is_unresolved() {
        let mut recorded = record(payment, (operation, number), outcome, lifetimes, now)?;
        unsent::without_key(payment, operation, &mut recorded.events);
        let decision = failover::go_on(payment, (operation, number), recorded, next, now);
        return Ok(failover::give_up(payment, (operation, number), decision));
    }
    Ok(late(payment, op, number, outcome, (reversal, now)))
}

/// The customer did not come.
fn challenge_expired(operation: OperationId, number: u32, reference: Option<ProviderReference>) -> Event {
    Event::AttemptDeclined {
        operation,
        number,
        decline_code: Arc::from(CHALLENGE_EXPIRED),
        reference,
        network: NetworkDecline::NONE,
    }
}

/// Records what came back about an attempt that waits for it.
pub(super) fn record(
    payment: &Payment,
    (operation, number): (OperationId, u32),
    outcome: Outcome,
    lifetimes: &Lifetimes,
    now: Timestamp,
) -> Result<Decision, Refusal> {
    let (op, attempt) = find(payment, operation, number)?;
    if attempt.number != number || !attempt.state.is_unresolved() {
        return Ok(late(payment, op, number, outcome, (None, now)));
    }
    let is_open = attempt.state == AttemptState::Open;
    let event = match outcome {
        Outcome::Succeeded {
            reference,
            transaction,
            amount_minor,
        } => {
            if amount_minor != op.amount.minor() {
                return Ok(mismatched(op, attempt, reference));
            }
            let expires = (op.kind == OperationKind::Authorize).then(|| now.plus(lifetimes.authorization));
            let authorization_expires_at = expires;
            Some(Event::AttemptSucceeded {
                operation,
                number,
                reference,
                transaction,
                authorization_expires_at,
            })
        }
        Outcome::Declined {
            decline_code,
            reference,
            network,
        } => Some(Event::AttemptDeclined {
            operation,
            number,
            decline_code,
            reference,
            network,
        }),
        Outcome::ActionRequired {
            reference,
            redirect_url,
        } => {
            // A customer is challenged for a charge, never for what the merchant does with it later.
            let challenges = matches!(op.kind, OperationKind::Sale | OperationKind::Authorize)
                && attempt.state != AttemptState::ActionRequired;
            let expires_at = now.plus(lifetimes.challenge);
            challenges.then_some(Event::AttemptActionRequired {
                operation,
                number,
                reference,
                redirect_url,
                expires_at,
            })
        }
        Outcome::Pending { reference } => {
            (attempt.state != AttemptState::Pending).then_some(Event::AttemptPending {
                operation,
                number,
                reference,
            })
        }
        // Closed because the customer did not come, not by a void: the payment fails, another method may follow.
        Outcome::Cancelled { reference }
            if (attempt.state == AttemptState::ActionRequired || attempt.is_abandoned())
                && payment.in_flight_minor(OperationKind::Void) == 0 =>
        {
            Some(challenge_expired(operation, number, reference))
        }
        Outcome::Cancelled { .. } => Some(Event::AttemptCancelled { operation, number }),
        // Nobody asks again for a reversal that reached nobody, so it stays open: the schedule sends it again under its key.
        Outcome::NotSent { reason, .. } if op.kind == OperationKind::Reversal => {
            unknown(op, attempt, reason, None)
        }
        Outcome::RateLimited { .. } if op.kind == OperationKind::Reversal => {
            unknown(op, attempt, Arc::from(RATE_LIMITED), None)
        }
        // Only an attempt of which nothing was ever sent can be closed by "not sent" or "refused before execution".
        Outcome::NotSent { reason, .. } => is_open.then_some(Event::AttemptNotSent {
            operation,
            number,
            reason,
        }),
        Outcome::RateLimited { .. } => {
            let reason = Arc::from(RATE_LIMITED);
            is_open.then_some(Event::AttemptNotSent {
                operation,
                number,
                reason,
            })
        }
        Outcome::Rejected { reason, .. } if op.kind == OperationKind::Reversal && !is_open => {
            return refused_in_doubt(payment, (operation, number), reason, now);
        }
        Outcome::Rejected { reason, .. } => is_open.then_some(Event::AttemptRejected {
            operation,
            number,
            reason,
        }),
        Outcome::Unknown { reason, reference } => unknown(op, attempt, reason, reference),
    };
    let mut decision = Decision::events(with_review(payment, op, event, lifetimes, now));
    let matter = reversal::matter_of_its_end(payment, op, number, (&decision.events, now));
    decision.extend(matter.map(|matter| matter::raise(op, matter)));
    Ok(decision)
}

/// An attempt is refused after earlier requests of it that may have been done. Its outcome is as unknown as it was; but nobody gives a late
/// charge back whose reversal is refused, unless a person does.
pub(super) fn refused_in_doubt(
    payment: &Payment,
    (operation, number): (OperationId, u32),
    reason: Arc<str>,
    now: Timestamp,
) -> Result<Decision, Refusal> {
    let (op, attempt) = find(payment, operation, number)?;
    if attempt.number != number || !attempt.state.is_unresolved() {
        return Ok(Decision::default());
    }
    let matter = reversal::not_given_back(payment, op, number, now).map(|matter| matter::raise(op, matter));
    let is_news = matter.as_ref().is_some_and(|raised| !raised.events.is_empty());
    let event = if is_news {
        Some(Event::AttemptUnknown {
            operation,
            number,
            reason,
            reference: None,
        })
    } else {
        unknown(op, attempt, reason, None)
    };
    let mut decision = Decision::events(event.into_iter().collect());
    decision.extend(matter);
    Ok(decision)
}

/// A success may begin a review, or be what ends one.
fn with_review(
    payment: &Payment,
    op: &Operation,
    event: Option<Event>,
    lifetimes: &Lifetimes,
    now: Timestamp,
) -> Vec<Event> {
    let mut events: Vec<Event> = event.into_iter().collect();
    let Some(Event::AttemptSucceeded { .. }) = events.first() else {
        return events;
    };
    match op.kind {
        OperationKind::Authorize if payment.held_for_review => events.push(Event::ReviewOpened {
            deadline: now.plus(lifetimes.review),
        }),
        OperationKind::Void if releases_expired(op) => events.insert(0, Event::AuthorizationExpired),
        OperationKind::Void if op.reason.as_deref() == Some(REVIEW_REJECTED) => {
            events.insert(0, Event::ReviewRejected);
        }
        OperationKind::Sale
        | OperationKind::Authorize
        | OperationKind::Capture
        | OperationKind::Increment
        | OperationKind::Void
        | OperationKind::Refund
        | OperationKind::Reversal => {}
    }
    events
}

fn unknown(
    op: &Operation,
    attempt: &Attempt,
    reason: Arc<str>,
    reference: Option<Arc<str>>,
) -> Option<Event> {
    let says_nothing = reference.is_none() || reference == attempt.reference || attempt.is_abandoned();
    let nothing_new = attempt.state == AttemptState::Unknown && says_nothing;
    let (operation, number) = (op.id, attempt.number);
    (!nothing_new).then_some(Event::AttemptUnknown {
        operation,
        number,
        reason,
        reference,
    })
}

/// The reason of a void that ends a review after the authorization: only once it is done is the payment blocked.
pub(super) const REVIEW_REJECTED: &str = "review_rejected";

const RATE_LIMITED: &str = "the provider's rate limit was reached";

/// The decline code of a challenge that ended without the customer.
pub(super) const CHALLENGE_EXPIRED: &str = "authentication_expired";

pub(super) const AMOUNT_MISMATCH: &str = "the provider's amount differs from ours";

impl Attempt {
    /// Its provider tells of another sum than was asked for: only people can say what became of that.
    pub fn is_mismatched(&self) -> bool {
        self.state == AttemptState::Unknown && self.unknown_reason.as_deref() == Some(AMOUNT_MISMATCH)
    }
}

/// What says nothing once a provider has told of another sum: neither that it moved none nor that it is still to. That it let go of it again
/// ends the attempt, and what never arrived ends none of which something was heard.
const fn contradicts_a_sum(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Declined { .. }
        | Outcome::ActionRequired { .. }
        | Outcome::Pending { .. }
        | Outcome::Unknown { .. } => true,
        Outcome::Succeeded { .. }
        | Outcome::Cancelled { .. }
        | Outcome::NotSent { .. }
        | Outcome::RateLimited { .. }
        | Outcome::Rejected { .. } => false,
    }
}

/// The provider did something else than it was asked for: neither success nor failure, and a person must look, once.
pub(super) fn mismatched(op: &Operation, attempt: &Attempt, reference: ProviderReference) -> Decision {
    if attempt.is_mismatched() {
        return Decision::default();
    }
    let (operation, number) = (op.id, attempt.number);
    let (reason, reference) = (Arc::from(AMOUNT_MISMATCH), Some(reference));
    Decision {
        events: vec![Event::AttemptUnknown {
            operation,
            number,
            reason,
            reference,
        }],
        effects: vec![Effect::Alert("amount_mismatch")],
    }
}

/// A provider undid by itself what it had done. The payment stays as it was, since what follows from it is for a person to say; what
/// went back is in suspense.
pub(super) fn take_back(
    payment: &Payment,
    undoing: Undoing,
    lifetimes: &Lifetimes,
    now: Timestamp,
) -> Result<Decision, Refusal> {
    let Undoing {
        operation,
        number,
        amount,
        reference,
        unheard,
    } = undoing;
    let (op, latest) = find(payment, operation, number)?;
    if latest.number == number && latest.state.is_unresolved() {
        let outcome = unheard.ok_or(Refusal::OperationInProgress)?;
        return closing::ended(payment, (operation, number), outcome, lifetimes, now);
    }
    let attempt = op.attempt_numbered(number).ok_or(Refusal::NoSuchAttempt)?;
    if let Some(event) = closing::ended_late(op, attempt, unheard.as_ref()) {
        return Ok(Decision::events(vec![event]));
    }
    if closing::is_known(attempt, unheard.as_ref()) {
        return Ok(Decision::default());
    }
    let transaction: ProviderReference = Arc::from(format!("{reference}{TAKEN_BACK}"));
    let provider = attempt.provider;
    // What was released is said to be gone once more.
    let is_gone =
        matches!(op.kind, OperationKind::Sale | OperationKind::Authorize) && payment.status == Status::Voided;
    if is_gone || op.has_booked(provider, &transaction) {
        return Ok(Decision::default());
    }
    // Never more than what was done: the rest was given back, or undone, before, and is for a person.
    let standing_minor = payment.standing_minor(op, number).max(0);
    let mut decision = Decision::default();
    if let Ok(amount) = Amount::new(amount.minor().min(standing_minor)) {
        decision.events.push(Event::LateReversal {
            operation,
            number,
            provider,
            amount,
            transaction,
        });
        decision.effects.push(Effect::Alert("late_reversal"));
    }
    let beyond_minor = amount.minor().saturating_sub(standing_minor);
    if beyond_minor > 0 && op.has_succeeded(number) {
        let matter = Matter {
            number,
            kind: MatterKind::UndoneBeyondWhatStood,
            said: reference,
            amount_minor: beyond_minor,
            currency: payment.spec.currency,
            at: now,
        };
        decision.extend(Some(matter::raise(op, matter)));
    }
    Ok(decision)
}

/// Ends the name of an undoing, so that it is none of a transaction.
pub(super) const TAKEN_BACK: &str = "/taken_back";

/// A word about an attempt that is already resolved: only a success still matters.
fn late(
    payment: &Payment,
    op: &Operation,
    number: u32,
    outcome: Outcome,
    reversal: (Option<ReversalPlan>, Timestamp),
) -> Decision {
    let Outcome::Succeeded {
        reference,
        transaction,
        amount_minor,
    } = outcome
    else {
        return Decision::default();
    };
    let Some(attempt) = op.attempt_numbered(number) else {
        return Decision::default();
    };
    // One that was closed is said to have been made: the words only came in another order.
    if op.has_booked(attempt.provider, &transaction) || attempt.closing.closed.as_ref() == Some(&transaction)
    {
        return Decision::default();
    }
    let Ok(amount) = Amount::new(amount_minor) else {
        let matter = Matter {
            number,
            kind: MatterKind::DoneWithImpossibleAmount,
            said: transaction,
            amount_minor,
            currency: payment.spec.currency,
            at: reversal.1,
        };
        return matter::raise(op, matter);
    };
    let (operation, provider) = (op.id, attempt.provider);
    let booked = Decision {
        events: vec![Event::LateSuccess {
            operation,
            number,
            provider,
            amount,
            transaction,
        }],
        effects: vec![Effect::Alert("late_success")],
    };
    reversal::give_back(payment, op, booked, reference, reversal)
}
