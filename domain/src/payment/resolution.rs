//! What people decide about an attempt that no provider resolves: one proposes on evidence, another one confirms.

use super::decide::Decision;
use super::event::Event;
use super::operation::{Attempt, AttemptState, Operation};
use super::refusal::Refusal;
use super::state::Payment;
use crate::ids::OperationId;
use crate::limits::Lifetimes;
use crate::provider::Outcome;
use crate::provider::ProviderReference;
use crate::time::Timestamp;
use std::sync::Arc;

/// The decline code of an attempt that people found not to have happened.
const NOT_EXECUTED: &str = "resolved_not_executed";

/// What somebody says became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// The provider's id of the transaction if it happened; `None` if it did not and never will.
    pub transaction: Option<ProviderReference>,
    /// Where this is seen: a report, a ticket, an entry of a statement.
    pub evidence: Arc<str>,
    /// Why it is said.
    pub reason: Arc<str>,
    /// Who says it.
    pub operator: Arc<str>,
}

impl Resolution {
    /// Both say the same of the attempt.
    fn agrees(&self, other: &Self) -> bool {
        self.transaction == other.transaction
    }
}

/// The first person proposes. A second one who says the same resolves it; one who says something else makes a proposal in its place.
pub(super) fn resolve(
    payment: &Payment,
    id: OperationId,
    resolution: Resolution,
    lifetimes: &Lifetimes,
    now: Timestamp,
) -> Result<Decision, Refusal> {
    let (op, attempt) = unresolvable(payment, id)?;
    // Another sum than was asked for moved: booking the sum that was asked for would be false.
    if resolution.transaction.is_some() && attempt.is_mismatched() {
        return Err(Refusal::AmountMismatch);
    }
    let (operation, number) = (id, attempt.number);
    let proposed = op.proposal.as_ref();
    if proposed.is_some_and(|earlier| earlier.operator == resolution.operator) {
        return Err(Refusal::SecondPersonRequired);
    }
    if !proposed.is_some_and(|earlier| earlier.agrees(&resolution)) {
        return Ok(Decision::events(vec![Event::ResolutionProposed {
            operation,
            number,
            resolution,
        }]));
    }
    let outcome = match &resolution.transaction {
        Some(transaction) => Outcome::Succeeded {
            reference: attempt
                .reference
                .clone()
                .unwrap_or_else(|| Arc::clone(transaction)),
            transaction: Arc::clone(transaction),
            amount_minor: op.amount.minor(),
        },
        None => Outcome::declined(Arc::from(NOT_EXECUTED), None),
    };
    let mut decision = super::record::record(payment, (operation, number), outcome, lifetimes, now)?;
    decision.events.insert(
        0,
        Event::ResolutionConfirmed {
            operation,
            number,
            resolution,
        },
    );
    Ok(decision)
}

/// An attempt that a provider was asked about in vain.
fn unresolvable(payment: &Payment, id: OperationId) -> Result<(&Operation, &Attempt), Refusal> {
    let op = payment.operation(id).ok_or(Refusal::NoSuchAttempt)?;
    let attempt = op.attempt.as_ref().ok_or(Refusal::NoSuchAttempt)?;
    match attempt.state {
        AttemptState::Unknown | AttemptState::Pending => Ok((op, attempt)),
        AttemptState::Open | AttemptState::ActionRequired => Err(Refusal::OperationInProgress),
        AttemptState::Succeeded
        | AttemptState::Declined
        | AttemptState::NotSent
        | AttemptState::Rejected
        | AttemptState::Cancelled
        | AttemptState::GivenUp => Err(Refusal::WrongStatus),
    }
}
