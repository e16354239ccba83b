//! Giving up what a provider holds, or what nobody holds anything for yet.

use super::command::AttemptPlan;
use super::decide::{Decision, changes_what_is_held, open};
use super::event::Event;
use super::operation::OperationKind;
use super::refusal::Refusal;
use super::state::{Payment, Status};
use crate::ids::OperationId;
use crate::money::{Amount, MinorSum};
use crate::time::Timestamp;
use std::sync::Arc;

/// Nothing is asked of a provider while none holds anything.
pub(super) fn void(
    payment: &Payment,
    operation: OperationId,
    plan: AttemptPlan,
    now: Timestamp,
) -> Result<Decision, Refusal> {
    match payment.status {
        Status::RequiresPaymentMethod | Status::RequiresConfirmation | Status::InReview { .. }
            if payment.authorized == MinorSum::ZERO =>
        {
            if payment.unresolved_of_its_own().next().is_some() {
                return Err(Refusal::OperationInProgress);
            }
            Ok(Decision::events(vec![Event::Abandoned]))
        }
        Status::RequiresPaymentMethod
        | Status::RequiresConfirmation
        | Status::InReview { .. }
        | Status::Authorized
        | Status::RequiresAction(_)
        | Status::Processing
        | Status::Succeeded
        | Status::Failed
        | Status::Blocked
        | Status::Voided => release(payment, operation, None, plan, now),
    }
}

/// Opens a void at the provider.
pub(super) fn release(
    payment: &Payment,
    operation: OperationId,
    reason: Option<&str>,
    plan: AttemptPlan,
    now: Timestamp,
) -> Result<Decision, Refusal> {
    let amount = void_amount(payment)?;
    let kind = (operation, OperationKind::Void);
    open(payment, kind, (amount, false, reason.map(Arc::from)), plan, now)
}

/// What a void at the provider releases now.
pub(super) fn void_amount(payment: &Payment) -> Result<Amount, Refusal> {
    let left = match payment.status {
        Status::Authorized => payment.capturable_minor(),
        Status::InReview { .. } if payment.authorized != MinorSum::ZERO => payment.authorized.minor(),
        Status::RequiresAction(_) => payment.spec.amount.minor(),
        Status::Processing => return Err(Refusal::OperationInProgress),
        Status::RequiresPaymentMethod
        | Status::RequiresConfirmation
        | Status::InReview { .. }
        | Status::Succeeded
        | Status::Failed
        | Status::Blocked
        | Status::Voided => return Err(Refusal::WrongStatus),
    };
    if changes_what_is_held(payment) {
        return Err(Refusal::OperationInProgress);
    }
    Amount::new(left).map_err(|_| Refusal::NothingLeft)
}
