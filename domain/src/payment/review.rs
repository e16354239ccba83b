//! A person's decision about a payment that risk does not let pass: before any provider heard of it, or with the money authorized
//! and held. What is held is taken or released at the provider; only what came of that ends the review.

use super::command::AttemptPlan;
use super::decide::{Decision, authorization, check_may_charge, is_in_flight, open, retry_refused, start};
use super::event::Event;
use super::expiry::{REVIEW_EXPIRED, may_release_again};
use super::operation::OperationKind;
use super::record::REVIEW_REJECTED;
use super::refusal::Refusal;
use super::state::{CaptureMethod, Payment, Status};
use super::void::release;
use crate::ids::{CaptureId, OperationId, VoidId};
use crate::money::{Amount, MinorSum};
use crate::risk::CardBar;
use crate::time::Timestamp;

fn check_in_review(payment: &Payment) -> Result<(), Refusal> {
    match payment.status {
        Status::InReview { .. } if is_in_flight(payment, OperationKind::Void) => {
            Err(Refusal::OperationInProgress)
        }
        Status::InReview { .. } => Ok(()),
        Status::RequiresPaymentMethod
        | Status::RequiresConfirmation
        | Status::RequiresAction(_)
        | Status::Processing
        | Status::Authorized
        | Status::Succeeded
        | Status::Failed
        | Status::Blocked
        | Status::Voided => Err(Refusal::WrongStatus),
    }
}

fn is_held(payment: &Payment) -> bool {
    payment.authorized != MinorSum::ZERO
}

/// Charges if the card may still be tried, or captures what is held; what the merchant captures is left to the merchant.
pub(super) fn approve(
    payment: &Payment,
    (plan, barred): (AttemptPlan, Option<CardBar>),
    capture: CaptureId,
    now: Timestamp,
) -> Result<Decision, Refusal> {
    check_in_review(payment)?;
    let mut events = vec![Event::ReviewApproved];
    if is_held(payment) {
        if payment.spec.capture_method == CaptureMethod::Manual {
            return Ok(Decision::events(events));
        }
        let amount = Amount::new(payment.authorized.minor()).map_err(|_| Refusal::NothingLeft)?;
        let kind = (OperationId::Capture(capture), OperationKind::Capture);
        let mut taken = open(payment, kind, (amount, true, None), plan, now)?;
        taken.events.splice(0..0, events);
        return Ok(taken);
    }
    check_may_charge(payment)?;
    if let Some(bar) = barred {
        events.push(retry_refused(bar));
        return Ok(Decision::events(events));
    }
    let operation = payment.authorize_id();
    if payment.operation(operation).is_none() {
        events.push(authorization(&payment.spec, false, now));
    }
    let effects = start(&mut events, operation, payment.next_attempt(operation), plan);
    Ok(Decision { events, effects })
}

/// Blocks the payment, or releases what is held; then the release blocks it.
pub(super) fn reject(
    payment: &Payment,
    plan: AttemptPlan,
    void: VoidId,
    now: Timestamp,
) -> Result<Decision, Refusal> {
    check_in_review(payment)?;
    if is_held(payment) {
        return release(payment, OperationId::Void(void), Some(REVIEW_REJECTED), plan, now);
    }
    Ok(Decision::events(vec![Event::ReviewRejected]))
}

/// Gives the payment up, or releases what is held; a release under way is waited for.
pub(super) fn expire(
    payment: &Payment,
    plan: AttemptPlan,
    void: VoidId,
    now: Timestamp,
) -> Result<Decision, Refusal> {
    if !is_held(payment) {
        return Ok(Decision::events(vec![Event::ReviewExpired]));
    }
    if is_in_flight(payment, OperationKind::Void) || !may_release_again(payment, now) {
        return Ok(Decision::default());
    }
    release(payment, OperationId::Void(void), Some(REVIEW_EXPIRED), plan, now)
}
