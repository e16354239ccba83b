//! What a command makes happen: events to journal, and what to do once they are durable.

use super::closing;
use super::command::{AttemptPlan, Command, ReviewMode};
use super::draft;
use super::event::Event;
use super::expiry;
use super::increment;
use super::matter::{self, Matter};
use super::operation::{Operation, OperationKind};
use super::record::{refer, take_back, take_word};
use super::redrive;
use super::refusal::Refusal;
use super::review;
use super::state::{CaptureMethod, Payment, Spec, Status};
use super::unsent;
use super::void::void;
use crate::ids::{OperationId, VoidId};
use crate::ledger::PostingProfile;
use crate::limits::{ATTEMPTS_MAX, Lifetimes, OPERATIONS_MAX, SETTLE_TIME};
use crate::method::PaymentMethod;
use crate::money::{Amount, MinorSum};
use crate::risk::{Action, Assessment, CardBar};
use crate::time::Timestamp;
use std::sync::Arc;

/// To be done after the events are durable, never before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send the open attempt of this operation.
    Call(OperationId),
    /// Ask the provider what became of the open attempt of this operation.
    Query(OperationId),
    /// Ask the provider to close the open attempt of this operation.
    Close(OperationId),
    /// Tell an operator.
    Alert(&'static str),
}

/// What a command comes to. No events means that there was nothing to change.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// To be journaled together.
    pub events: Vec<Event>,
    /// To be done once they are durable.
    pub effects: Vec<Effect>,
}

impl Decision {
    /// Adds what else follows from the same word.
    pub(super) fn extend(&mut self, more: Option<Self>) {
        if let Some(Self { events, effects }) = more {
            self.events.extend(events);
            self.effects.extend(effects);
        }
    }

    pub(super) fn events(events: Vec<Event>) -> Self {
        Self {
            events,
            effects: Vec::new(),
        }
    }
}

/// Decides without side effects. `state` is `None` for a payment that does not exist.
pub fn decide(
    state: Option<&Payment>,
    command: Command,
    lifetimes: &Lifetimes,
    now: Timestamp,
) -> Result<Decision, Refusal> {
    let Some(payment) = state else {
        return create(command, lifetimes, now);
    };
    match command {
        Command::Create { .. } | Command::Draft { .. } => Err(Refusal::Exists),
        Command::Amend(amendment) => draft::amend(payment, amendment),
        Command::Confirm {
            method,
            assessment,
            plan,
            barred,
        } => confirm(payment, (method, (assessment, barred), plan), lifetimes, now),
        Command::Redrive { plan, barred } => drive_on(payment, plan, barred),
        Command::Reference {
            operation,
            number,
            reference,
        } => refer(payment, (operation, number), reference),
        Command::Record {
            operation,
            number,
            outcome,
            next,
            reversal,
        } => take_word(
            payment,
            (operation, number),
            outcome,
            (next, reversal),
            lifetimes,
            now,
        ),
        Command::TakeBack(undoing) => take_back(payment, undoing, lifetimes, now),
        Command::AskClosing { operation, number } => closing::ask(payment, (operation, number), now),
        Command::Hear {
            operation,
            number,
            outcome,
            reversal,
        } => closing::hear(payment, (operation, number), outcome, reversal, lifetimes, now),
        Command::ClosingRefused { operation, number } => {
            closing::refused(payment, (operation, number), lifetimes, now)
        }
        Command::GiveUpChallenge { operation, number } => {
            closing::give_up_challenge(payment, (operation, number))
        }
        Command::Capture {
            id,
            amount,
            is_final,
            plan,
        } => {
            let amount = capture_amount(payment, amount)?;
            let kind = (OperationId::Capture(id), OperationKind::Capture);
            open(payment, kind, (amount, is_final, None), plan, now)
        }
        Command::Increment { id, total, plan } => increment::increment(payment, (id, total), plan, now),
        Command::Void { id, plan } => void(payment, OperationId::Void(id), plan, now),
        Command::Refund {
            id,
            amount,
            reason,
            plan,
        } => {
            let amount = refund_amount(payment, amount)?;
            let kind = (OperationId::Refund(id), OperationKind::Refund);
            open(payment, kind, (amount, false, reason), plan, now)
        }
        Command::RedriveOperation { operation, plan } => redrive::again(payment, operation, plan),
        Command::ApproveReview {
            plan,
            barred,
            capture,
        } => review::approve(payment, (plan, barred), capture, now),
        Command::RejectReview { plan, void } => review::reject(payment, plan, void, now),
        Command::Complete => complete(payment),
        Command::Resolve {
            operation,
            resolution,
        } => super::resolution::resolve(payment, operation, resolution, lifetimes, now),
        Command::CheckDeadlines { plan, void } => expired(payment, plan, void, now),
        Command::Refuse {
            operation,
            number,
            reason,
        } => super::record::refused_in_doubt(payment, (operation, number), reason, now),
        Command::Raise { operation, matter } => {
            matter::raise_at(payment, operation, Matter { at: now, ..matter })
        }
        Command::Note {
            operation,
            note,
            seen,
        } => matter::note(payment, operation, (note, seen)),
        Command::CheckOverdue { settle } => {
            let of = |provider| settle.iter().find(|(known, _)| *known == provider);
            let settle = |provider| of(provider).map_or(SETTLE_TIME, |(_, settle)| *settle);
            Ok(matter::check_overdue(payment, settle, now))
        }
    }
}

/// Sends a charge that reached nobody again, unless it was sent too often or its card's network allows no more.
fn drive_on(payment: &Payment, plan: AttemptPlan, barred: Option<CardBar>) -> Result<Decision, Refusal> {
    if payment.status != Status::RequiresConfirmation || payment.is_draft() {
        return Err(Refusal::WrongStatus);
    }
    check_may_charge(payment)?;
    if payment.has_used_up_attempts() {
        return Ok(Decision::events(vec![Event::AttemptsExhausted]));
    }
    match barred {
        Some(bar) => Ok(Decision::events(vec![retry_refused(bar)])),
        None => again(payment, payment.authorize_id(), plan),
    }
}

/// Makes the payment, if that is what is asked for.
fn create(command: Command, lifetimes: &Lifetimes, now: Timestamp) -> Result<Decision, Refusal> {
    let Command::Create {
        spec,
        method,
        mut assessment,
        plan,
        barred,
        review,
        profile,
    } = command
    else {
        return draft::draft(command);
    };
    let operation = OperationId::Authorize(spec.id);
    let is_held =
        assessment.action == Action::Review && review == ReviewMode::AuthAndHold && barred.is_none();
    let opened = authorization(&spec, is_held, now);
    let mut events = created(spec, method, profile);
    let review_ends = now.plus(lifetimes.review);
    if is_held {
        let listed = assessment.listed.take();
        events.extend(listed.map(|listed| Event::ListMatched { listed }));
        events.extend([Event::RiskAssessed(assessment), Event::HeldForReview, opened]);
        let effects = start(&mut events, operation, 1, plan);
        return Ok(Decision { events, effects });
    }
    Ok(after_risk(events, (assessment, barred), review_ends, |events| {
        events.push(opened);
        start(events, operation, 1, plan)
    }))
}

/// The payment exists. The usual way to book it is said by saying nothing.
fn created(spec: Arc<Spec>, method: PaymentMethod, profile: PostingProfile) -> Vec<Event> {
    let mut events = Vec::with_capacity(4);
    events.push(Event::Created { spec, method });
    if profile != PostingProfile::default() {
        events.push(Event::PostingProfileChosen { profile });
    }
    events
}

/// Opens the operation that charges the payment or reserves for it.
pub(super) fn authorization(spec: &Spec, is_held: bool, at: Timestamp) -> Event {
    let kind = match spec.capture_method {
        CaptureMethod::Automatic if !is_held => OperationKind::Sale,
        CaptureMethod::Automatic | CaptureMethod::Manual => OperationKind::Authorize,
    };
    let (operation, amount) = (OperationId::Authorize(spec.id), spec.amount);
    Event::OperationOpened {
        operation,
        kind,
        amount,
        is_final: false,
        reason: None,
        at,
    }
}

/// Appends the plan of the next attempt; the call follows once it is durable.
pub(super) fn start(
    events: &mut Vec<Event>,
    operation: OperationId,
    number: u32,
    plan: AttemptPlan,
) -> Vec<Effect> {
    let AttemptPlan {
        provider,
        key,
        deadline,
        route,
    } = plan;
    events.extend(route.map(|route| Event::Routed {
        operation,
        number,
        route,
    }));
    events.push(Event::AttemptPlanned {
        operation,
        number,
        provider,
        key,
        deadline,
    });
    vec![Effect::Call(operation)]
}

/// The card is not tried: the payment is declined without a provider.
pub(super) fn retry_refused(bar: CardBar) -> Event {
    Event::RetryRefused {
        decline_code: Arc::from(bar.decline_code()),
    }
}

fn after_risk(
    mut events: Vec<Event>,
    (mut assessment, barred): (Assessment, Option<CardBar>),
    review_ends: Timestamp,
    go: impl FnOnce(&mut Vec<Event>) -> Vec<Effect>,
) -> Decision {
    let action = assessment.action;
    if let Some(listed) = assessment.listed.take() {
        events.push(Event::ListMatched { listed });
    }
    events.push(Event::RiskAssessed(assessment));
    let effects = match (action, barred) {
        // Nor does a person look at what may not be sent.
        (Action::Allow | Action::Review, Some(bar)) => {
            events.push(retry_refused(bar));
            Vec::new()
        }
        (Action::Allow, None) => go(&mut events),
        (Action::Review, None) => {
            events.push(Event::ReviewOpened {
                deadline: review_ends,
            });
            Vec::new()
        }
        (Action::Block, _) => {
            events.push(Event::Blocked);
            Vec::new()
        }
    };
    Decision { events, effects }
}

fn confirm(
    payment: &Payment,
    (method, assessed, plan): (PaymentMethod, (Assessment, Option<CardBar>), AttemptPlan),
    lifetimes: &Lifetimes,
    now: Timestamp,
) -> Result<Decision, Refusal> {
    if !payment.status.takes_method() {
        return Err(Refusal::WrongStatus);
    }
    check_may_charge(payment)?;
    let operation = payment.authorize_id();
    let number = payment.next_attempt(operation);
    if number > ATTEMPTS_MAX {
        return Err(Refusal::TooManyAttempts);
    }
    let events = vec![if payment.is_draft() {
        Event::Confirmed { method }
    } else {
        Event::MethodReplaced { method }
    }];
    let review_ends = now.plus(lifetimes.review);
    Ok(after_risk(events, assessed, review_ends, |events| {
        if payment.operation(operation).is_none() {
            events.push(authorization(&payment.spec, false, now));
        }
        start(events, operation, number, plan)
    }))
}

/// A challenge ends at the provider; we only ask.
fn complete(payment: &Payment) -> Result<Decision, Refusal> {
    match payment.status {
        Status::RequiresAction(_) => Ok(Decision {
            events: Vec::new(),
            effects: vec![Effect::Query(payment.authorize_id())],
        }),
        Status::RequiresPaymentMethod
        | Status::RequiresConfirmation
        | Status::InReview { .. }
        | Status::Processing
        | Status::Authorized
        | Status::Succeeded
        | Status::Failed
        | Status::Blocked
        | Status::Voided => Err(Refusal::WrongStatus),
    }
}

/// No new charge while a void may still close the payment, nor after a provider has said that it charged after all.
pub(super) fn check_may_charge(payment: &Payment) -> Result<(), Refusal> {
    if payment.may_charge() {
        Ok(())
    } else {
        Err(Refusal::OperationInProgress)
    }
}

pub(super) fn again(
    payment: &Payment,
    operation: OperationId,
    plan: AttemptPlan,
) -> Result<Decision, Refusal> {
    let number = payment.next_attempt(operation);
    if number > ATTEMPTS_MAX {
        return Err(Refusal::TooManyAttempts);
    }
    let mut events = Vec::with_capacity(1);
    let effects = start(&mut events, operation, number, plan);
    Ok(Decision { events, effects })
}

pub(super) fn capture_amount(payment: &Payment, amount: Option<Amount>) -> Result<Amount, Refusal> {
    if payment.status != Status::Authorized {
        return Err(Refusal::WrongStatus);
    }
    if is_in_flight(payment, OperationKind::Void) || is_in_flight(payment, OperationKind::Increment) {
        return Err(Refusal::OperationInProgress);
    }
    let ends = |op: &Operation| op.kind == OperationKind::Capture && op.is_final && op.is_open();
    if payment.operations.iter().any(ends) {
        return Err(Refusal::OperationInProgress);
    }
    let left = Amount::new(payment.capturable_minor()).map_err(|_| Refusal::NothingLeft)?;
    match amount {
        Some(amount) if amount > left => Err(Refusal::ExceedsCapturable),
        Some(amount) => Ok(amount),
        None => Ok(left),
    }
}

pub(super) fn refund_amount(payment: &Payment, amount: Option<Amount>) -> Result<Amount, Refusal> {
    if payment.captured == MinorSum::ZERO {
        return Err(Refusal::WrongStatus);
    }
    let left = Amount::new(payment.refundable_minor()).map_err(|_| Refusal::NothingLeft)?;
    match amount {
        Some(amount) if amount > left => Err(Refusal::ExceedsRefundable),
        Some(amount) => Ok(amount),
        None => Ok(left),
    }
}

pub(super) fn is_in_flight(payment: &Payment, kind: OperationKind) -> bool {
    payment
        .operations
        .iter()
        .any(|op| op.kind == kind && op.is_open())
}

/// Something under way takes, releases or adds to what the provider holds.
pub(super) fn changes_what_is_held(payment: &Payment) -> bool {
    payment.operations.iter().any(|op| {
        let changes = match op.kind {
            OperationKind::Capture | OperationKind::Void | OperationKind::Increment => true,
            OperationKind::Sale
            | OperationKind::Authorize
            | OperationKind::Refund
            | OperationKind::Reversal => false,
        };
        changes && op.is_open()
    })
}

pub(super) fn check_provider(payment: &Payment, plan: &AttemptPlan) -> Result<(), Refusal> {
    if payment.holding_provider() == Some(plan.provider) {
        Ok(())
    } else {
        Err(Refusal::WrongProvider)
    }
}

pub(super) fn open(
    payment: &Payment,
    (operation, kind): (OperationId, OperationKind),
    (amount, is_final, reason): (Amount, bool, Option<Arc<str>>),
    plan: AttemptPlan,
    at: Timestamp,
) -> Result<Decision, Refusal> {
    check_provider(payment, &plan)?;
    if payment.operation(operation).is_some() {
        return Err(Refusal::OperationExists);
    }
    if payment.operations.len() >= OPERATIONS_MAX {
        return Err(Refusal::TooManyOperations);
    }
    let mut events = vec![Event::OperationOpened {
        operation,
        kind,
        amount,
        is_final,
        reason,
        at,
    }];
    let effects = start(&mut events, operation, 1, plan);
    Ok(Decision { events, effects })
}

fn expired(payment: &Payment, plan: AttemptPlan, void: VoidId, now: Timestamp) -> Result<Decision, Refusal> {
    let given_up = unsent::overdue(payment, now);
    if !given_up.is_empty() {
        return Ok(Decision::events(given_up));
    }
    match &payment.status {
        Status::InReview { deadline } if *deadline <= now => review::expire(payment, plan, void, now),
        Status::Authorized if payment.authorization_expires_at.is_some_and(|at| at <= now) => {
            expiry::expire(payment, plan, void, now)
        }
        Status::RequiresPaymentMethod
        | Status::RequiresConfirmation
        | Status::RequiresAction(_)
        | Status::InReview { .. }
        | Status::Processing
        | Status::Authorized
        | Status::Succeeded
        | Status::Failed
        | Status::Blocked
        | Status::Voided => Ok(Decision::default()),
    }
}
