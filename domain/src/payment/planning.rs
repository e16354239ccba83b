//! What a new operation, and a new attempt of one, must meet when it is folded: nothing is asked for twice, and no attempt follows one that
//! may have charged.

use super::evolve::operation_authorizes;
use super::operation::{Attempt, AttemptState, Operation};
use super::state::{Payment, Status};
use crate::ids::OperationId;
use crate::limits::OPERATIONS_MAX;

pub(super) fn open(payment: &mut Payment, operation: Operation) -> Result<(), &'static str> {
    if payment.operation(operation.id).is_some() {
        return Err("the operation exists already");
    }
    if payment.operations.len() >= OPERATIONS_MAX {
        return Err("too many operations");
    }
    if payment.operations.len() < 4 {
        // Most payments have one or two, and they are large.
        payment.operations.reserve_exact(1);
    }
    payment.operations.push(operation);
    Ok(())
}

pub(super) fn plan(payment: &mut Payment, id: OperationId, attempt: Attempt) -> Result<(), &'static str> {
    if operation_authorizes(id) {
        let driven = matches!(payment.status, Status::Processing | Status::RequiresConfirmation);
        if !driven || !payment.may_charge() {
            return Err("it is charged already, or may be");
        }
        payment.status = Status::Processing;
    }
    let op = payment.operation(id).ok_or("no such operation")?;
    if op
        .attempt
        .as_ref()
        .is_some_and(|last| !last.state.is_closed_without_charge())
        || !payment.late_is_reversed(op)
    {
        return Err("the last attempt may have charged");
    }
    let op = payment.operation_mut(id).ok_or("no such operation")?;
    if op
        .reverses
        .as_ref()
        .is_some_and(|reversed| reversed.provider != attempt.provider)
    {
        return Err("nobody else can give it back");
    }
    if op.attempts.checked_add(1) != Some(attempt.number) {
        return Err("attempt numbers have a gap");
    }
    op.attempts = attempt.number;
    op.proposal = None;
    op.earlier.extend(op.attempt.replace(attempt));
    Ok(())
}

/// The decline is taken back, so that the attempt that is planned next may follow.
pub(super) fn retry_elsewhere(
    payment: &mut Payment,
    operation: OperationId,
    number: u32,
) -> Result<(), &'static str> {
    let latest = payment.operation(operation).and_then(|op| op.attempt.as_ref());
    let is_declined =
        latest.is_some_and(|attempt| attempt.number == number && attempt.state == AttemptState::Declined);
    let has_failed = matches!(payment.status, Status::Failed | Status::RequiresPaymentMethod);
    if !is_declined || !has_failed || !operation_authorizes(operation) {
        return Err("no charge was declined just now");
    }
    payment.failure = None;
    payment.status = Status::RequiresConfirmation;
    Ok(())
}
