//! Owns what may be asked of a payment and when, by the checker's own rules: a commit that opens, repeats or ends what it must not is
//! objected to, whatever the provider makes of it.

use florin_domain::ids::OperationId;
use florin_domain::money::{Amount, MinorSum};
use florin_domain::payment::{AttemptState, Event, Operation, OperationKind, Payment, Status};
use florin_domain::time::Timestamp;

/// The reason of a void that ends an authorization whose time is over.
const EXPIRED: &str = "authorization_expired";

/// What these events must not do to a payment that stands like this.
pub(crate) fn broken(before: &Payment, events: &[Event]) -> Vec<String> {
    let mut wrong = Vec::new();
    for event in events {
        let why = match event {
            Event::OperationOpened {
                operation,
                kind,
                amount,
                reason,
                at,
                ..
            } => asked(before, events, (*operation, *kind), *amount)
                .or_else(|| too_early(before, reason.as_deref(), *at)),
            Event::AttemptPlanned { operation, .. } => repeated(before, events, *operation),
            Event::AuthorizationExpired => over(before, events),
            Event::Confirmed { .. } => (!waits_for_confirmation(before)).then_some("it was confirmed before"),
            Event::Amended { amount, method, .. } => {
                let is_about_money = *amount != before.spec.amount || *method != before.method;
                (is_about_money && !waits_for_confirmation(before)).then_some("it is too late to change it")
            }
            Event::OperationGivenUp { operation } => given_up_early(before, events, *operation),
            Event::Created { .. }
            | Event::Drafted { .. }
            | Event::RiskAssessed(_)
            | Event::Blocked
            | Event::ReviewOpened { .. }
            | Event::ReviewApproved
            | Event::ReviewRejected
            | Event::ReviewExpired
            | Event::MethodReplaced { .. }
            | Event::AttemptReferenced { .. }
            | Event::AttemptSucceeded { .. }
            | Event::AttemptDeclined { .. }
            | Event::AttemptActionRequired { .. }
            | Event::AttemptPending { .. }
            | Event::AttemptUnknown { .. }
            | Event::AttemptNotSent { .. }
            | Event::AttemptRejected { .. }
            | Event::AttemptCancelled { .. }
            | Event::LateSuccess { .. }
            | Event::LateReversal { .. }
            | Event::ReversalOpened { .. }
            | Event::Abandoned
            | Event::Requested { .. }
            | Event::ResolutionProposed { .. }
            | Event::ResolutionConfirmed { .. }
            | Event::ListMatched { .. }
            | Event::HeldForReview
            | Event::PostingProfileChosen { .. }
            | Event::Routed { .. }
            | Event::RetryRefused { .. }
            | Event::DeclineRetried { .. }
            | Event::AttemptClosingAsked { .. }
            | Event::AttemptClosingRefused { .. }
            | Event::AttemptToldMade { .. }
            | Event::TransactionClosed { .. }
            | Event::AttemptOverdue { .. }
            | Event::MatterRaised { .. }
            | Event::MattersNoted { .. }
            | Event::AttemptsExhausted => None,
        };
        wrong.extend(why.map(|why| format!("{} as {:?}: {why}", event.name(), before.status)));
    }
    wrong
}

/// Only what certainly was not sent may be told as failed.
fn given_up_early(before: &Payment, events: &[Event], operation: OperationId) -> Option<&'static str> {
    let is_unsent_now =
        |event: &Event| matches!(event, Event::AttemptNotSent { operation: of, .. } if *of == operation);
    let op = before.operation(operation);
    let was_unsent = op.and_then(Operation::state) == Some(AttemptState::NotSent);
    let is_refund = matches!(operation, OperationId::Refund(_));
    let is_doubted = op.is_some_and(|op| !op.late.is_empty());
    if !is_refund || is_doubted || !(was_unsent || events.iter().any(is_unsent_now)) {
        return Some("it may have been given back");
    }
    None
}

/// Nobody was asked for anything on its account, not even whether it is too risky.
fn waits_for_confirmation(payment: &Payment) -> bool {
    let waits = matches!(
        payment.status,
        Status::RequiresPaymentMethod | Status::RequiresConfirmation
    );
    waits && payment.operations.is_empty() && payment.risk.is_none() && payment.failure.is_none()
}

/// Something of this kind is under way, other than `but`.
fn is_under_way(payment: &Payment, kinds: &[OperationKind], but: OperationId) -> bool {
    payment
        .operations
        .iter()
        .any(|operation| operation.id != but && kinds.contains(&operation.kind) && operation.is_open())
}

/// Why an operation may not be asked for.
fn asked(
    before: &Payment,
    events: &[Event],
    (id, kind): (OperationId, OperationKind),
    amount: Amount,
) -> Option<&'static str> {
    let changes = [
        OperationKind::Capture,
        OperationKind::Void,
        OperationKind::Increment,
    ];
    let is_approved = events.contains(&Event::ReviewApproved);
    let reserves = before.authorized != MinorSum::ZERO;
    match kind {
        OperationKind::Capture => {
            let is_held = matches!(before.status, Status::InReview { .. }) && is_approved && reserves;
            let may = before.status == Status::Authorized || is_held;
            let is_beside = is_under_way(before, &[OperationKind::Void, OperationKind::Increment], id);
            (!may || is_beside).then_some("nothing can be taken now")
        }
        OperationKind::Increment => {
            let may = before.status == Status::Authorized && before.captured == MinorSum::ZERO;
            (!may || is_under_way(before, &changes, id)).then_some("no more can be reserved now")
        }
        OperationKind::Void => {
            let may = match before.status {
                Status::Authorized | Status::RequiresAction(_) => true,
                Status::InReview { .. } => reserves,
                Status::RequiresPaymentMethod
                | Status::RequiresConfirmation
                | Status::Processing
                | Status::Succeeded
                | Status::Failed
                | Status::Blocked
                | Status::Voided => false,
            };
            (!may || is_under_way(before, &changes, id)).then_some("there is nothing to release")
        }
        OperationKind::Refund => {
            let others = before
                .operations
                .iter()
                .filter(|operation| operation.kind == OperationKind::Refund && operation.is_open());
            let others = others.filter(|operation| operation.id != id);
            let under_way: i128 = others.map(|operation| operation.amount.minor()).sum();
            let left = before.captured.minor() - before.refunded.minor() - under_way;
            (amount.minor() > left).then_some("not so much is left to give back")
        }
        OperationKind::Sale | OperationKind::Authorize => {
            let is_confirmed = |event: &Event| matches!(event, Event::Confirmed { .. });
            if waits_for_confirmation(before) && !events.iter().any(is_confirmed) {
                return Some("nobody has confirmed it");
            }
            (reserves || !before.operations.is_empty()).then_some("it was asked for before")
        }
        OperationKind::Reversal => Some("a reversal is not asked for"),
    }
}

/// Why an attempt may not be planned.
fn repeated(before: &Payment, events: &[Event], id: OperationId) -> Option<&'static str> {
    match id {
        OperationId::Authorize(_) => charged_again(before, id),
        OperationId::Capture(_)
        | OperationId::Void(_)
        | OperationId::Refund(_)
        | OperationId::Increment(_) => {
            let operation = before.operation(id)?;
            asked(before, events, (id, operation.kind), operation.amount)
        }
        OperationId::Reversal(_) => None,
    }
}

/// Nothing is charged beside what may close the payment, nor after what was charged late and not given back.
fn charged_again(before: &Payment, id: OperationId) -> Option<&'static str> {
    if before.authorized != MinorSum::ZERO {
        return Some("it is charged already");
    }
    if before.unresolved().any(|operation| operation.id != id) {
        return Some("something else is under way that may close it");
    }
    let charge = before.operation(id)?;
    let is_given_back = |number: u32| {
        before.operations.iter().any(|operation| {
            let reversed = operation.reverses.as_ref();
            reversed.is_some_and(|reversed| (reversed.of, reversed.number) == (id, number))
                && operation.state() == Some(AttemptState::Succeeded)
        })
    };
    let stands = charge.late.iter().any(|late| !is_given_back(late.number));
    stands.then_some("what was charged late is not given back")
}

fn too_early(before: &Payment, reason: Option<&str>, at: Timestamp) -> Option<&'static str> {
    let is_over = before.authorization_expires_at.is_some_and(|end| end <= at);
    (reason == Some(EXPIRED) && !is_over).then_some("its time is not over")
}

fn ends_it(operation: &Operation) -> bool {
    operation.kind == OperationKind::Void && operation.reason.as_deref() == Some(EXPIRED)
}

/// An authorization ends with the void that releases it, or after many that did not.
fn over(before: &Payment, events: &[Event]) -> Option<&'static str> {
    let released = before.operations.iter().filter(|operation| ends_it(operation));
    let is_released = released.clone().any(|operation| {
        events.iter().any(
            |event| matches!(event, Event::AttemptSucceeded { operation: id, .. } if *id == operation.id),
        )
    });
    let is_given_up = released.count() > 1;
    (before.status != Status::Authorized || !(is_released || is_given_up))
        .then_some("nothing has released it")
}
