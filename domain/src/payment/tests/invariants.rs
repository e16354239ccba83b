//! What holds of every payment after every commit.

use super::super::{
    AttemptState, Decision, Effect, Event, LateCharge, Operation, OperationKind, Payment, Status,
};
use crate::ids::OperationId;

pub(crate) fn check(payment: &Payment) {
    let (authorized, captured) = (payment.authorized.minor(), payment.captured.minor());
    let refunded = payment.refunded.minor();
    let open = |kind| payment.in_flight_minor(kind);
    let asked: i128 = payment
        .operations
        .iter()
        .filter(|op| op.kind == OperationKind::Increment && op.state() == Some(AttemptState::Succeeded))
        .map(|op| op.amount.minor())
        .sum();
    assert!(
        authorized <= payment.spec.amount.minor() + asked,
        "more was reserved than asked for"
    );
    assert!(
        captured + open(OperationKind::Capture) <= authorized,
        "captures exceed what is reserved: {payment:?}"
    );
    assert!(
        refunded + open(OperationKind::Refund) <= captured,
        "refunds exceed what was taken: {payment:?}"
    );
    assert!(payment.fee_minor >= 0);
    check_attempts(payment);
    check_reversals(payment);
    check_status(payment);
    assert!(payment.hold_credit_minor() >= 0 && payment.hold_debit_minor() >= 0);
    if payment.is_settled() {
        assert_eq!(
            (payment.hold_credit_minor(), payment.hold_debit_minor()),
            (0, 0),
            "a hold is left: {payment:?}"
        );
    }
}

fn check_attempts(payment: &Payment) {
    for op in &payment.operations {
        let attempts = op.earlier.iter().chain(&op.attempt);
        assert!(attempts.clone().map(|attempt| attempt.number).eq(1..=op.attempts));
        let live = attempts
            .filter(|attempt| !attempt.state.is_closed_without_charge())
            .count();
        assert!(live <= 1, "two attempts may charge: {op:?}");
        assert_eq!(
            op.transaction.is_some(),
            op.state() == Some(AttemptState::Succeeded)
        );
    }
    let in_flight = |kind| payment.unresolved().filter(|op| op.kind == kind).count();
    assert!(in_flight(OperationKind::Void) <= 1);
    assert!(in_flight(OperationKind::Void) == 0 || in_flight(OperationKind::Capture) == 0);
    let releases = in_flight(OperationKind::Void) + in_flight(OperationKind::Capture);
    assert!(in_flight(OperationKind::Increment) <= 1);
    assert!(in_flight(OperationKind::Increment) == 0 || releases == 0);
}

/// Each reverses one late charge, where that was made, and gives back no more than that was.
fn check_reversals(payment: &Payment) {
    let mut pairs = Vec::new();
    for op in &payment.operations {
        assert_eq!(op.reverses.is_some(), op.kind == OperationKind::Reversal);
        let Some(reverses) = &op.reverses else { continue };
        let of = payment.operation(reverses.of).unwrap();
        let is_meant = |late: &&LateCharge| {
            (late.number, late.provider, &late.transaction)
                == (reverses.number, reverses.provider, &reverses.transaction)
        };
        assert_eq!(
            of.late.iter().find(is_meant).map(|late| late.amount),
            Some(op.amount)
        );
        assert!(reverses.given_minor >= 0 && reverses.given_minor <= op.amount.minor());
        let closed = of.attempt_numbered(reverses.number).unwrap().state;
        assert!(
            closed.is_closed_without_charge(),
            "its own charge is given back: {payment:?}"
        );
        let at = op.attempt.as_ref().map(|attempt| attempt.provider);
        assert!(at.is_none_or(|at| at == reverses.provider));
        pairs.push((reverses.of, reverses.number));
    }
    let all = pairs.len();
    pairs.sort_unstable();
    pairs.dedup();
    assert_eq!(pairs.len(), all, "a late charge is given back twice: {payment:?}");
}

/// The status is what the attempts say, so nothing waits for a word that cannot come.
fn check_status(payment: &Payment) {
    let authorization = payment
        .operation(OperationId::Authorize(payment.spec.id))
        .and_then(Operation::state);
    let left = payment.authorized.minor() - payment.captured.minor();
    match payment.status {
        Status::Processing => assert!(matches!(
            authorization,
            Some(AttemptState::Open | AttemptState::Pending | AttemptState::Unknown)
        )),
        Status::RequiresAction(_) => assert_eq!(authorization, Some(AttemptState::ActionRequired)),
        Status::Authorized => {
            assert_eq!(authorization, Some(AttemptState::Succeeded));
            assert!(left > 0 && !payment.capture_closed && payment.authorization_expires_at.is_some());
        }
        Status::Succeeded => assert!(payment.captured.minor() > 0 && payment.capture_closed),
        Status::RequiresPaymentMethod | Status::RequiresConfirmation | Status::Failed => {
            assert_eq!(payment.authorized.minor(), 0);
            assert!(authorization.is_none_or(AttemptState::is_closed_without_charge));
        }
        // With the money held, or before anybody was asked for it.
        Status::InReview { .. } if payment.authorized.minor() > 0 => {
            assert_eq!(authorization, Some(AttemptState::Succeeded));
            assert!(payment.held_for_review && payment.captured.minor() == 0 && !payment.capture_closed);
        }
        Status::InReview { .. } => assert!(authorization.is_none_or(AttemptState::is_closed_without_charge)),
        Status::Blocked => {
            assert_eq!(payment.captured.minor(), 0);
            assert!(payment.authorized.minor() == 0 || payment.capture_closed);
            assert!(authorization.is_none_or(|state| !state.is_unresolved()));
        }
        Status::Voided => {
            assert_eq!(payment.captured.minor(), 0);
            assert!(authorization.is_none_or(|state| !state.is_unresolved()));
        }
    }
}

/// A request leaves only for an attempt that is in the same commit, or for the object it was just given.
pub(crate) fn check_effects(decision: &Decision, after: &Payment) {
    let planned = decision.events.iter().filter_map(|event| {
        if let Event::AttemptPlanned { operation, .. } | Event::AttemptReferenced { operation, .. } = event {
            Some(*operation)
        } else {
            None
        }
    });
    let called = decision.effects.iter().filter_map(|effect| match effect {
        Effect::Call(operation) => Some(*operation),
        Effect::Query(_) | Effect::Close(_) | Effect::Alert(_) => None,
    });
    assert!(planned.eq(called.clone()));
    for operation in called {
        assert!(after.operation(operation).is_some_and(Operation::is_unresolved));
    }
    for effect in &decision.effects {
        if let Effect::Close(closed) = effect {
            let is_asked = |event: &Event| matches!(event, Event::AttemptClosingAsked { operation, .. } if operation == closed);
            assert!(decision.events.iter().any(is_asked));
        }
    }
    let only_tells = decision
        .effects
        .iter()
        .all(|effect| matches!(effect, Effect::Alert(_)));
    assert!(
        !decision.events.is_empty() || only_tells,
        "an effect without a durable reason"
    );
}
