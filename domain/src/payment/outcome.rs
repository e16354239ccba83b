//! What the end of an attempt does to its payment: sums, fees and status.

use super::evolve::operation_authorizes;
use super::operation::{Attempt, AttemptState, Booked, LateCharge, Operation, OperationKind};
use super::reversal;
use super::state::{Payment, Status};
use crate::ids::OperationId;
use crate::money::{Amount, MinorSum};
use crate::provider::{ProviderId, ProviderReference};
use crate::time::Timestamp;
use std::sync::Arc;

/// Whether an operation was done outside the plan, or undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Done,
    Undone,
}

/// What moved outside the plan.
pub(super) fn late_charge(
    number: u32,
    provider: ProviderId,
    amount: Amount,
    transaction: &ProviderReference,
) -> LateCharge {
    LateCharge {
        number,
        provider,
        amount,
        transaction: Arc::clone(transaction),
    }
}

/// Money that moved at a provider outside the plan: it is in suspense, in the direction in which it moved, and the payment stays
/// as it was.
pub(super) fn late(
    payment: &mut Payment,
    id: OperationId,
    charge: LateCharge,
    direction: Direction,
) -> Result<(), &'static str> {
    let op = payment.operation_mut(id).ok_or("no such operation")?;
    if op.has_booked(charge.provider, &charge.transaction) {
        return Err("the charge is in suspense already");
    }
    let minor = match direction {
        Direction::Done => charge.amount.minor(),
        Direction::Undone if !op.has_succeeded(charge.number) => {
            return Err("nothing was done that could be undone");
        }
        Direction::Undone => charge.amount.minor().saturating_neg(),
    };
    let moved = match op.asked_kind() {
        OperationKind::Sale | OperationKind::Capture => minor,
        OperationKind::Refund => minor.saturating_neg(),
        OperationKind::Authorize
        | OperationKind::Increment
        | OperationKind::Void
        | OperationKind::Reversal => 0,
    };
    op.late.push(charge);
    payment.late_minor = payment.late_minor.checked_add(moved).ok_or("sum overflows")?;
    Ok(())
}

/// No further capture.
pub(super) fn release(payment: &mut Payment) {
    payment.capture_closed = true;
    if payment.status == Status::Blocked {
        return;
    }
    payment.status = if payment.captured == MinorSum::ZERO {
        Status::Voided
    } else {
        Status::Succeeded
    };
}

pub(super) fn unresolved_attempt(
    payment: &mut Payment,
    operation: OperationId,
    number: u32,
) -> Result<&mut Attempt, &'static str> {
    let op = payment.operation_mut(operation).ok_or("no such operation")?;
    let attempt = op.attempt.as_mut().ok_or("no such attempt")?;
    if attempt.number != number {
        return Err("not the latest attempt");
    }
    if !attempt.state.is_unresolved() {
        return Err("the attempt is resolved already");
    }
    Ok(attempt)
}

pub(super) fn settle(
    payment: &mut Payment,
    (operation, number): (OperationId, u32),
    state: AttemptState,
    reference: Option<&ProviderReference>,
) -> Result<(), &'static str> {
    let attempt = unresolved_attempt(payment, operation, number)?;
    attempt.state = state;
    if let Some(reference) = reference {
        attempt.reference = Some(Arc::clone(reference));
    }
    Ok(())
}

pub(super) fn close_attempt(
    payment: &mut Payment,
    operation: OperationId,
    number: u32,
    state: AttemptState,
) -> Result<(), &'static str> {
    settle(payment, (operation, number), state, None)?;
    if operation_authorizes(operation) {
        payment.status = Status::RequiresConfirmation;
    }
    Ok(())
}

/// Ends a payment for which no provider holds money.
pub(super) fn close(payment: &mut Payment) -> Result<(), &'static str> {
    if payment.unresolved_of_its_own().next().is_some() || payment.authorized != MinorSum::ZERO {
        return Err("a provider may hold money for it");
    }
    payment.status = Status::Voided;
    payment.capture_closed = true;
    Ok(())
}

/// What a success does, and when it was booked.
pub(super) fn succeed(payment: &mut Payment, op: &Operation, at: Timestamp) -> Result<(), &'static str> {
    let before = payment.fee_minor;
    done(payment, op)?;
    if op.kind.moves_money() {
        let fee_minor = payment.fee_minor.checked_sub(before).ok_or("sum overflows")?;
        let op = payment.operation_mut(op.id).ok_or("no such operation")?;
        op.booked = Some(Booked { at, fee_minor });
    }
    Ok(())
}

fn done(payment: &mut Payment, op: &Operation) -> Result<(), &'static str> {
    let overflow = |_| "sum overflows";
    match op.kind {
        OperationKind::Sale => {
            let fee = payment.fee_of_capture_minor(op.amount);
            payment.authorized = payment.authorized.checked_add(op.amount).map_err(overflow)?;
            payment.captured = payment.captured.checked_add(op.amount).map_err(overflow)?;
            payment.fee_minor = payment.fee_minor.checked_add(fee).ok_or("sum overflows")?;
            payment.capture_closed = true;
            payment.failure = None;
            payment.status = Status::Succeeded;
        }
        OperationKind::Authorize => {
            payment.authorized = payment.authorized.checked_add(op.amount).map_err(overflow)?;
            payment.failure = None;
            payment.status = Status::Authorized;
        }
        OperationKind::Increment => {
            payment.authorized = payment.authorized.checked_add(op.amount).map_err(overflow)?;
        }
        OperationKind::Capture => {
            let fee = payment.fee_of_capture_minor(op.amount);
            payment.captured = payment.captured.checked_add(op.amount).map_err(overflow)?;
            if payment.captured.minor() > payment.authorized.minor() {
                return Err("captured more than authorized");
            }
            payment.fee_minor = payment.fee_minor.checked_add(fee).ok_or("sum overflows")?;
            if op.is_final || payment.captured == payment.authorized {
                payment.capture_closed = true;
                payment.status = Status::Succeeded;
            }
        }
        OperationKind::Void => {
            let authorize = payment.authorize_id();
            if let Some(attempt) = payment
                .operation_mut(authorize)
                .and_then(|op| op.attempt.as_mut())
                && attempt.state.is_unresolved()
            {
                attempt.state = AttemptState::Cancelled;
                // What it released, by the provider's name, may be told to have been made only now.
                let released = op.attempt.as_ref();
                attempt.closing.closed = released.and_then(|released| released.reference.clone());
            }
            release(payment);
        }
        OperationKind::Refund => {
            let fee = payment.fee_of_refund_minor(op.amount);
            payment.refunded = payment.refunded.checked_add(op.amount).map_err(overflow)?;
            if payment.refunded.minor() > payment.captured.minor() {
                return Err("refunded more than captured");
            }
            payment.fee_minor = payment.fee_minor.checked_sub(fee).ok_or("sum overflows")?;
        }
        OperationKind::Reversal => reversal::succeed(payment, op)?,
    }
    Ok(())
}
