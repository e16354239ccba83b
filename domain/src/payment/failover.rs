//! Whether a charge that was not made at one provider may be tried at another. Only proof lets it: an unknown outcome never does, and
//! nothing but a charge ever leaves its provider (rules R3 and R6).

use super::command::AttemptPlan;
use super::decide::{Decision, start};
use super::event::Event;
use super::operation::{AttemptState, OperationKind};
use super::state::Payment;
use crate::ids::OperationId;
use crate::limits::ATTEMPTS_MAX;
use crate::time::Timestamp;

impl Payment {
    /// Attempt `number` of `operation` is a charge under way for which another provider may be asked, once it is proven that this
    /// one has not made it and will not. After the attempt's deadline nobody waits for the charge any more.
    pub fn may_go_elsewhere(&self, operation: OperationId, number: u32, now: Timestamp) -> bool {
        let Some(op) = self.operation(operation) else {
            return false;
        };
        let charges = match op.kind {
            OperationKind::Sale | OperationKind::Authorize => true,
            OperationKind::Capture
            | OperationKind::Void
            | OperationKind::Refund
            | OperationKind::Increment => false,
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
            | AttemptState::Cancelled => false,
        });
        // No void may still close the payment, and no provider has said that an attempt given up for dead has charged after all.
        let is_alone = op.late.is_empty() && self.unresolved().all(|other| other.id == operation);
        charges && under_way && number < ATTEMPTS_MAX && is_alone
    }
}

/// Adds the next attempt to what was recorded of attempt `number`, if that proves the charge not made.
pub(super) fn go_on(
    payment: &Payment,
    (operation, number): (OperationId, u32),
    mut recorded: Decision,
    next: Option<AttemptPlan>,
    now: Timestamp,
) -> Decision {
    let is_proven = match recorded.events.as_slice() {
        [Event::AttemptNotSent { .. } | Event::AttemptRejected { .. } | Event::AttemptCancelled { .. }] => {
            payment.may_go_elsewhere(operation, number, now)
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
        let effects = start(&mut recorded.events, operation, number.saturating_add(1), plan);
        recorded.effects.extend(effects);
    }
    recorded
}
