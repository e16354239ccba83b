//! Rule R7: a charge that succeeds after its attempt was closed by proof is given back at its provider by itself. The commit that books
//! the late charge opens the reversal and plans its attempt, so that no crash comes between.
//!
//! A reversal is an operation of its own, but of no money of the payment's: it touches neither status nor sums but what is in suspense, and
//! blocks neither captures nor refunds. It is asked for where the charge was made and nowhere else, in the provider's own words: a refund
//! of what was taken, a void of what was reserved.
//!
//! Left to people: a second transaction of an attempt that has one already (its provider may only have named the first one anew, and both
//! names may be of one object), what shares its object with another attempt, and whatever a provider declines to give back.

use super::command::AttemptPlan;
use super::decide::{Decision, start};
use super::event::Event;
use super::matter::{self, Matter, MatterKind};
use super::operation::{LateCharge, Operation, OperationKind};
use super::record::TAKEN_BACK;
use super::state::Payment;
use crate::ids::{OperationId, ReversalId};
use crate::limits::OPERATIONS_MAX;
use crate::provider::{ProviderId, ProviderReference};
use crate::time::Timestamp;
use std::sync::Arc;

/// What a reversal gives back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reversed {
    /// The operation that was done late.
    pub of: OperationId,
    /// Which attempt of it.
    pub number: u32,
    /// At whom: nobody else can give it back.
    pub provider: ProviderId,
    /// The late transaction.
    pub transaction: ProviderReference,
    /// The provider's object that did it.
    pub reference: ProviderReference,
    /// What the provider is asked for: a refund or a void.
    pub asked: OperationKind,
    /// What it gave back when it succeeded, in minor units: less than its amount if the provider had undone the charge by itself.
    pub given_minor: i128,
}

/// A late charge is to be given back so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReversalPlan {
    /// Identity of the operation that does it.
    pub id: ReversalId,
    /// Under which key; at the provider that made the charge.
    pub plan: AttemptPlan,
}

/// What a reversal of this kind of operation asks its provider for; nothing else is reversed without a person.
pub(super) const fn asked_for(kind: OperationKind) -> Option<OperationKind> {
    match kind {
        OperationKind::Sale => Some(OperationKind::Refund),
        OperationKind::Authorize => Some(OperationKind::Void),
        OperationKind::Capture
        | OperationKind::Void
        | OperationKind::Refund
        | OperationKind::Increment
        | OperationKind::Reversal => None,
    }
}

/// What attempt `number` did, in time or late, less what its provider undid of it, in minor units.
fn done_minor(op: &Operation, number: u32) -> i128 {
    let own = op
        .reverses
        .as_ref()
        .map_or(op.amount.minor(), |reversed| reversed.given_minor);
    let done = if op.has_succeeded_in_time(number) { own } else { 0 };
    let late = op.late.iter().filter(|late| late.number == number);
    late.fold(done, |sum, late| {
        let minor = late.amount.minor();
        if is_undoing(late) {
            sum.saturating_sub(minor)
        } else {
            sum.saturating_add(minor)
        }
    })
}

fn is_undoing(late: &LateCharge) -> bool {
    late.transaction.ends_with(TAKEN_BACK)
}

impl Payment {
    fn reversals(&self, of: OperationId, number: u32) -> impl Iterator<Item = &Operation> {
        self.operations.iter().filter(move |op| {
            let reversed = op.reverses.as_ref();
            reversed.is_some_and(|reversed| (reversed.of, reversed.number) == (of, number))
        })
    }

    /// What still stands of what attempt `number` of `op` did, in minor units: less what its provider undid and what was given back.
    pub(super) fn standing_minor(&self, op: &Operation, number: u32) -> i128 {
        let given_by = |reversal: &Operation| {
            let attempts = 1..=reversal.attempts;
            attempts.fold(0, |sum: i128, number| {
                sum.saturating_add(done_minor(reversal, number))
            })
        };
        self.reversals(op.id, number)
            .map(given_by)
            .fold(done_minor(op, number), i128::saturating_sub)
    }

    /// Every late charge of `op` was given back by a reversal, whole, and nothing was undone besides. Nothing late is nothing to give
    /// back.
    pub(super) fn late_is_reversed(&self, op: &Operation) -> bool {
        op.late.iter().all(|late| {
            let reverses = |reversal: &Operation| {
                let reversed = reversal.reverses.as_ref();
                reversed.is_some_and(|reversed| reversed.transaction == late.transaction)
                    && reversal.late.is_empty()
                    && reversal.has_succeeded_in_time(reversal.attempts)
                    && done_minor(reversal, reversal.attempts) == late.amount.minor()
            };
            !is_undoing(late) && self.reversals(op.id, late.number).any(reverses)
        })
    }

    /// Operations of the payment's own that wait for a provider's word: all but the reversals, which change nothing of it.
    pub(super) fn unresolved_of_its_own(&self) -> impl Iterator<Item = &Operation> {
        self.unresolved()
            .filter(|operation| operation.kind != OperationKind::Reversal)
    }

    /// A success of this attempt would be a late charge that is given back by itself: it was closed by proof, and no other charge of it
    /// is known.
    pub fn would_reverse(&self, operation: OperationId, number: u32) -> Option<ProviderId> {
        let op = self.operation(operation)?;
        asked_for(op.kind)?;
        let attempt = op.attempt_numbered(number)?;
        let is_first = op.late.iter().all(|late| late.number != number);
        let is_free = is_first && self.operations.len() < OPERATIONS_MAX;
        (attempt.state.is_closed_without_charge() && is_free).then_some(attempt.provider)
    }
}

/// Adds the reversal of a late charge to the commit that books it, or says that a person must give it back.
pub(super) fn give_back(
    payment: &Payment,
    op: &Operation,
    mut booked: Decision,
    reference: ProviderReference,
    (reversal, at): (Option<ReversalPlan>, Timestamp),
) -> Decision {
    let [
        Event::LateSuccess {
            number,
            provider,
            amount,
            transaction,
            ..
        },
    ] = booked.events.as_slice()
    else {
        return booked;
    };
    if asked_for(op.kind).is_none() {
        return booked;
    }
    let (number, provider) = (*number, *provider);
    // Giving back what two attempts share could give back the charge that is to stay.
    let is_shared = op.earlier.iter().chain(&op.attempt).any(|other| {
        other.number != number && other.provider == provider && other.reference.as_ref() == Some(&reference)
    });
    let reversal = reversal.filter(|reversal| {
        !is_shared
            && payment.would_reverse(op.id, number) == Some(reversal.plan.provider)
            && payment.operation(OperationId::Reversal(reversal.id)).is_none()
    });
    let Some(ReversalPlan { id, plan }) = reversal else {
        let matter = Matter {
            number,
            kind: MatterKind::NotGivenBack,
            said: transaction.clone(),
            amount_minor: amount.minor(),
            currency: payment.spec.currency,
            at,
        };
        booked.extend(Some(matter::raise(op, matter)));
        return booked;
    };
    let operation = OperationId::Reversal(id);
    let opened = Event::ReversalOpened {
        operation,
        of: op.id,
        number,
        provider,
        transaction: transaction.clone(),
        reference,
        amount: *amount,
        at,
    };
    booked.events.push(opened);
    let effects = start(&mut booked.events, operation, 1, plan);
    booked.effects.extend(effects);
    booked
}

/// What a person must look at after the end of a reversal.
pub(super) fn matter_of_its_end(
    payment: &Payment,
    op: &Operation,
    number: u32,
    (events, at): (&[Event], Timestamp),
) -> Option<Matter> {
    let (reversed, standing_minor) = standing_of_reversed(payment, op)?;
    let is_refused = events.iter().any(|event| {
        matches!(
            event,
            Event::AttemptDeclined { .. } | Event::AttemptRejected { .. } | Event::AttemptCancelled { .. }
        )
    });
    let is_done = events
        .iter()
        .any(|event| matches!(event, Event::AttemptSucceeded { .. }));
    let twice_minor = op.amount.minor().saturating_sub(standing_minor.max(0));
    let (kind, amount_minor) = if is_refused && standing_minor > 0 {
        (MatterKind::NotGivenBack, standing_minor)
    } else if is_done && twice_minor > 0 {
        (MatterKind::GivenBackTwice, twice_minor)
    } else {
        return None;
    };
    Some(matter(payment, reversed, (number, kind, amount_minor), at))
}

/// A reversal is refused although an earlier request of it may have been done: only a person can find that out.
pub(super) fn not_given_back(
    payment: &Payment,
    op: &Operation,
    number: u32,
    at: Timestamp,
) -> Option<Matter> {
    let (reversed, standing_minor) = standing_of_reversed(payment, op)?;
    let what = (number, MatterKind::NotGivenBack, standing_minor);
    (standing_minor > 0).then(|| matter(payment, reversed, what, at))
}

/// What a reversal gives back, and how much of that stands now.
fn standing_of_reversed<'a>(payment: &Payment, op: &'a Operation) -> Option<(&'a Reversed, i128)> {
    let reversed = op.reverses.as_ref()?;
    let charge = payment.operation(reversed.of)?;
    Some((reversed, payment.standing_minor(charge, reversed.number)))
}

fn matter(
    payment: &Payment,
    reversed: &Reversed,
    (number, kind, amount_minor): (u32, MatterKind, i128),
    at: Timestamp,
) -> Matter {
    Matter {
        number,
        kind,
        said: Arc::clone(&reversed.transaction),
        amount_minor,
        currency: payment.spec.currency,
        at,
    }
}

/// Whether a reversal may be opened as an event says, and what it reverses.
pub(super) fn opened(
    payment: &Payment,
    of: OperationId,
    late: &LateCharge,
    reference: &ProviderReference,
) -> Result<Reversed, &'static str> {
    let number = late.number;
    let op = payment.operation(of).ok_or("no such operation")?;
    let asked = asked_for(op.kind).ok_or("only charges are reversed")?;
    if !op.late.contains(late) || is_undoing(late) {
        return Err("no such late charge");
    }
    if payment.reversals(of, number).next().is_some() {
        return Err("the late charge is reversed already");
    }
    Ok(Reversed {
        of,
        number,
        provider: late.provider,
        transaction: late.transaction.clone(),
        reference: reference.clone(),
        asked,
        given_minor: 0,
    })
}

/// The provider gave it back. What it had undone by itself before cannot have come back twice: the books follow what still stands.
pub(super) fn succeed(payment: &mut Payment, op: &Operation) -> Result<(), &'static str> {
    let reversed = op.reverses.as_ref().ok_or("it reverses nothing")?;
    let charge = payment.operation(reversed.of).ok_or("no such operation")?;
    let standing_minor = payment.standing_minor(charge, reversed.number);
    let given_minor = op.amount.minor().min(standing_minor).max(0);
    if reversed.asked == OperationKind::Refund {
        payment.late_minor = payment
            .late_minor
            .checked_sub(given_minor)
            .ok_or("sum overflows")?;
    }
    let op = payment.operation_mut(op.id).ok_or("no such operation")?;
    if let Some(reversed) = &mut op.reverses {
        reversed.given_minor = given_minor;
    }
    Ok(())
}
