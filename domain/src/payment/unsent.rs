//! Refunds that reached nobody: the same request may still send one, until nobody can be expected to ask again. Then it has failed, so that
//! whoever looks at it is not left to wait for money that nobody gives back.

use super::event::Event;
use super::operation::{AttemptState, Operation, OperationKind};
use super::state::Payment;
use crate::ids::OperationId;
use crate::limits::IDEMPOTENCY_RETENTION;
use crate::time::Timestamp;

impl Payment {
    /// When the first of its refunds that reached nobody is given up; whoever knows the key may have it sent until then.
    pub fn unsent_refunds_end_at(&self) -> Option<Timestamp> {
        let unsent = self.operations.iter().filter(|op| is_unsent_refund(op));
        unsent.map(given_up_at).min()
    }
}

/// Those whose time is over.
pub(super) fn overdue(payment: &Payment, now: Timestamp) -> Vec<Event> {
    let unsent = payment.operations.iter().filter(|op| is_unsent_refund(op));
    unsent
        .filter(|op| given_up_at(op) <= now)
        .map(|op| Event::OperationGivenUp { operation: op.id })
        .collect()
}

/// Adds the end of a refund whose request had no key of its caller's own: nobody can send it again.
pub(super) fn without_key(payment: &Payment, id: OperationId, recorded: &mut Vec<Event>) {
    let is_refund = payment.operation(id).is_some_and(|op| {
        op.kind == OperationKind::Refund && op.late.is_empty() && op.open_matters().is_empty()
    });
    let mut requests = payment.requests.iter();
    let is_own = requests.any(|request| request.operation == id && request.key.is_own());
    if is_refund && is_own && matches!(recorded.last(), Some(Event::AttemptNotSent { .. })) {
        recorded.push(Event::OperationGivenUp { operation: id });
    }
}

/// Nothing was sent, and from now on nothing is.
pub(super) fn give_up(payment: &mut Payment, id: OperationId) -> Result<(), &'static str> {
    let op = payment.operation_mut(id).ok_or("no such operation")?;
    if !is_unsent_refund(op) {
        return Err("only a refund that reached nobody is given up");
    }
    let attempt = op.attempt.as_mut().ok_or("it has no attempt")?;
    attempt.state = AttemptState::GivenUp;
    Ok(())
}

/// A provider that said otherwise after all is not forgotten: then people decide.
fn is_unsent_refund(op: &Operation) -> bool {
    let is_contradicted = !op.late.is_empty() || !op.open_matters().is_empty();
    op.kind == OperationKind::Refund && op.is_unsent() && !is_contradicted
}

/// As long as answers are kept under a key.
fn given_up_at(op: &Operation) -> Timestamp {
    op.opened_at.plus(IDEMPOTENCY_RETENTION)
}
