//! Reserving more than was authorized first: at the same provider, and only while nothing was taken yet, as card networks have it.

use super::command::AttemptPlan;
use super::decide::{Decision, changes_what_is_held, open};
use super::operation::OperationKind;
use super::refusal::Refusal;
use super::state::{Payment, Status};
use crate::ids::{IncrementId, OperationId};
use crate::money::{Amount, MinorSum};
use crate::time::Timestamp;

/// Whether the authorization may grow now.
pub(super) fn check(payment: &Payment) -> Result<(), Refusal> {
    if payment.status != Status::Authorized || payment.captured != MinorSum::ZERO {
        return Err(Refusal::WrongStatus);
    }
    if changes_what_is_held(payment) {
        return Err(Refusal::OperationInProgress);
    }
    Ok(())
}

/// Whether an increment that reached nobody may be sent again. Each was asked for as a total and is kept as a difference, which is
/// true only as long as nothing was added since: so only the latest one.
pub(super) fn check_again(payment: &Payment, id: OperationId) -> Result<(), Refusal> {
    check(payment)?;
    let mut increments = payment.operations.iter();
    let latest = increments.rfind(|op| op.kind == OperationKind::Increment);
    if latest.is_some_and(|latest| latest.id == id) {
        Ok(())
    } else {
        Err(Refusal::WrongStatus)
    }
}

/// Reserves so much more that `total` is reserved in the end.
pub(super) fn increment(
    payment: &Payment,
    (id, total): (IncrementId, Amount),
    plan: AttemptPlan,
    now: Timestamp,
) -> Result<Decision, Refusal> {
    check(payment)?;
    let added_minor = total.minor().saturating_sub(payment.authorized.minor());
    let added = Amount::new(added_minor).map_err(|_| Refusal::NotAnIncrement)?;
    let kind = (OperationId::Increment(id), OperationKind::Increment);
    open(payment, kind, (added, false, None), plan, now)
}
