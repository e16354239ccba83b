//! Whether a charge that was not made at one provider may be tried at another. Only proof lets it: an unknown outcome never does, and
//! nothing but a charge ever leaves its provider (rules R3 and R6). A decline is such proof; whether it is worth another provider is
//! said by its code ([`Decline`]), and whether that is wanted by whoever plans the next attempt.

use super::command::AttemptPlan;
use super::decide::{Decision, start};
use super::event::Event;
use super::operation::{AttemptState, Operation, OperationKind};
use super::state::Payment;
use crate::decline::Decline;
use crate::ids::OperationId;
use crate::limits::ATTEMPTS_MAX;
use crate::provider::Outcome;
use crate::time::Timestamp;

impl Payment {
    /// What came back about attempt `number` of `operation` proves that a charge was not made there and will not be, and another
    /// provider may be asked.
    pub fn may_go_elsewhere(
        &self,
        operation: OperationId,
        number: u32,
        outcome: &Outcome,
        now: Timestamp,
    ) -> bool {
        let state = self.operation(operation).and_then(Operation::state);
        let is_proof = match outcome {
            Outcome::Cancelled { .. } => true,
            // Of what may have been sent before, a request that was not sent says nothing.
            Outcome::NotSent { .. } | Outcome::RateLimited { .. } | Outcome::Rejected { .. } => {
                state == Some(AttemptState::Open)
            }
            // While somebody waits for it: nobody is charged elsewhere long after.
            Outcome::Declined { decline_code, .. } => {
                state == Some(AttemptState::Open) && Decline::of(decline_code).may_go_elsewhere()
            }
            Outcome::Succeeded { .. }
            | Outcome::ActionRequired { .. }
            | Outcome::Pending { .. }
            | Outcome::Unknown { .. } => false,
        };
        is_proof && self.is_leaving(operation, number, now)
    }

    /// Attempt `number` of `operation` is a charge that may leave its provider. After the attempt's deadline nobody waits for it any
    /// more.
    fn is_leaving(&self, operation: OperationId, number: u32, now: Timestamp) -> bool {
        let Some(op) = self.operation(operation) else {
            return false;
        };
        let charges = match op.kind {
            OperationKind::Sale | OperationKind::Authorize => true,
            OperationKind::Capture
            | OperationKind::Void
            | OperationKind::Refund
            | OperationKind::Increment
            | OperationKind::Reversal => false,
        };
        let under_way = op.attempt.as_ref().is_some_and(|attempt| match attempt.state {
            AttemptState::Open | AttemptState::Unknown => attempt.number == number && now < attempt.deadline,
            // Over, or a customer has been sent there, or the provider has taken it on.
            AttemptState::ActionRequired
            | AttemptState::Pending
            | AttemptState::Succeeded
            | AttemptState::Declined
            | AttemptState::NotSent
            | AttemptState::Rejected
            | AttemptState::Cancelled
            | AttemptState::GivenUp => false,
        });
        // No void may still close the payment, and no provider has said that an attempt given up for dead has charged after all: where
        // one has, only somebody who asks for it charges again, even once that was given back.
        let is_alone = op.late.is_empty() && self.unresolved().all(|other| other.id == operation);
        charges && under_way && number < ATTEMPTS_MAX && is_alone
    }
}

impl Payment {
    /// No further attempt to charge may be made.
    pub(super) fn has_used_up_attempts(&self) -> bool {
        self.next_attempt(self.authorize_id()) > ATTEMPTS_MAX
    }
}

/// Adds that the payment has failed to what was recorded of the last attempt that there may be, if that proves the charge not made and
/// nothing else may still make it.
pub(super) fn give_up(
    payment: &Payment,
    (operation, number): (OperationId, u32),
    mut recorded: Decision,
) -> Decision {
    let is_closed = matches!(
        recorded.events.last(),
        Some(Event::AttemptNotSent { .. } | Event::AttemptRejected { .. } | Event::AttemptCancelled { .. })
    );
    let is_last = operation == payment.authorize_id() && number >= ATTEMPTS_MAX;
    let is_alone = payment.unresolved().all(|other| other.id == operation)
        && payment.operation(operation).is_some_and(|op| op.late.is_empty());
    if is_closed && is_last && is_alone {
        recorded.events.push(Event::AttemptsExhausted);
    }
    recorded
}

/// Adds the next attempt to what was recorded of attempt `number`, if that proves the charge not made.
pub(super) fn go_on(
    payment: &Payment,
    (operation, number): (OperationId, u32),
    mut recorded: Decision,
    next: Option<AttemptPlan>,
    now: Timestamp,
) -> Decision {
    let mut is_declined = false;
    let is_proven = match recorded.events.as_slice() {
        [Event::AttemptDeclined { decline_code, .. }] => {
            is_declined = true;
            let state = payment.operation(operation).and_then(Operation::state);
            state == Some(AttemptState::Open)
                && Decline::of(decline_code).may_go_elsewhere()
                && payment.is_leaving(operation, number, now)
        }
        [Event::AttemptNotSent { .. } | Event::AttemptRejected { .. } | Event::AttemptCancelled { .. }] => {
            payment.is_leaving(operation, number, now)
        }
        _ => false,
    };
    let here = payment
        .operation(operation)
        .and_then(|op| op.attempt.as_ref())
        .map(|attempt| attempt.provider);
    if let Some(plan) = next
        && is_proven
        && here != Some(plan.provider)
    {
        if is_declined {
            recorded.events.push(Event::DeclineRetried { operation, number });
        }
        let effects = start(&mut recorded.events, operation, number.saturating_add(1), plan);
        recorded.effects.extend(effects);
    }
    recorded
}
