//! Sending a capture, void, refund or increment once more after it reached nobody.

use super::command::AttemptPlan;
use super::decide::{self, Decision, capture_amount, check_provider, refund_amount};
use super::increment;
use super::operation::{AttemptState, OperationKind};
use super::refusal::Refusal;
use super::state::Payment;
use super::void::void_amount;
use crate::ids::OperationId;

/// At the same provider, and only what is certain not to have been done there.
pub(super) fn again(payment: &Payment, id: OperationId, plan: AttemptPlan) -> Result<Decision, Refusal> {
    check_provider(payment, &plan)?;
    let op = payment.operation(id).ok_or(Refusal::NoSuchAttempt)?;
    match op.state() {
        Some(AttemptState::NotSent | AttemptState::Rejected | AttemptState::Cancelled)
            if op.late.is_empty() => {}
        Some(AttemptState::Succeeded | AttemptState::Declined | AttemptState::GivenUp) => {
            return Err(Refusal::WrongStatus);
        }
        Some(
            AttemptState::Open
            | AttemptState::Pending
            | AttemptState::ActionRequired
            | AttemptState::Unknown
            | AttemptState::NotSent
            | AttemptState::Rejected
            | AttemptState::Cancelled,
        )
        | None => return Err(Refusal::OperationInProgress),
    }
    match op.kind {
        // Nobody asks for a reversal, and what its provider refused is for people.
        OperationKind::Sale | OperationKind::Authorize | OperationKind::Reversal => {
            return Err(Refusal::WrongStatus);
        }
        OperationKind::Capture => {
            capture_amount(payment, Some(op.amount))?;
        }
        // A provider said something about it that people have to look at first.
        OperationKind::Refund if !op.open_matters().is_empty() => return Err(Refusal::OperationInProgress),
        OperationKind::Refund => {
            refund_amount(payment, Some(op.amount))?;
        }
        OperationKind::Increment => increment::check_again(payment, id)?,
        // What is left to release may have changed since: then another void is due.
        OperationKind::Void if void_amount(payment)? != op.amount => return Err(Refusal::WrongStatus),
        OperationKind::Void => {}
    }
    decide::again(payment, id, plan)
}
