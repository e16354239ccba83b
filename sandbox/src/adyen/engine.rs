//! What a request does: refused, replayed, or executed.
//!
//! Deciding changes no object. What is executed becomes a [`Line`], and [`State::apply`] takes it over once it is in the log. Stored under the key:
//! everything that began to execute, a 500 as well. Not stored: refusals, 429 and 503.

use super::answer::{Refusal, challenge_name};
use super::call::{Call, Request, WebhookTarget};
use super::plan::{Moment, Money, Plan, plan};
use super::state::{Answer, Known, Line, Payment, State, Status};
use crate::clock::UnixMillis;
use crate::faults::{Drawn, Faults, Hit, Operation};
use crate::stripe::Delivery;
use crate::witness::{Provider, Row, Span};

#[derive(Debug)]
pub(crate) struct Execution {
    pub(crate) row: Option<Row>,
    pub(crate) line: Line,
}

#[derive(Debug)]
pub(crate) enum Decision {
    Refuse {
        refusal: Refusal,
        delivery: Delivery,
    },
    /// Answer again what the line at this place says.
    Replay(Span),
    Execute {
        execution: Box<Execution>,
        delivery: Delivery,
    },
    /// Nothing happens, and there is no answer.
    Vanish(Delivery),
}

/// Decides one request.
pub(crate) fn decide(state: &mut State, faults: &mut Faults, request: &Request, now: UnixMillis) -> Decision {
    if let Some(idempotency) = &request.idempotency {
        match state.look_up(idempotency, now) {
            Known::Free => {}
            Known::Running => return refuse(Refusal::KEY_IN_USE),
            Known::Mismatch => {
                let message = "The idempotency key was used for another request";
                return refuse(Refusal::validation("703", message));
            }
            Known::Answered(span) => return Decision::Replay(span),
        }
    }
    let operation = match &request.call {
        Call::Pay(_) | Call::Details { .. } => Operation::Authorize,
        Call::Capture(_) => Operation::Capture,
        Call::Refund(_) => Operation::Refund,
        Call::Cancel(_) | Call::TechnicalCancel { .. } => Operation::Void,
    };
    let idempotency = request.idempotency.as_ref();
    let mut moment = Moment {
        seq: state.next_seq(),
        now,
        key: idempotency.map(|idempotency| &*idempotency.key),
        drawn: Drawn::default(),
    };
    let method = match plan(state, &request.call, moment) {
        Ok(planned) => planned.payment.map(|payment| payment.method),
        Err(refusal) => return refuse(refusal),
    };
    let drawn = faults.draw(Provider::Adyen, operation, method);
    moment.drawn = drawn;
    let mut delivery = drawn.delivery();
    match drawn.hit {
        None | Some(Hit::Decline | Hit::Http500) => {}
        Some(Hit::DropConnection) => return Decision::Vanish(Delivery::Close),
        Some(Hit::TimeoutBefore) => return Decision::Vanish(Delivery::Silence { release: None }),
        Some(Hit::RateLimit) => {
            return Decision::Refuse {
                refusal: Refusal::RATE_LIMITED,
                delivery,
            };
        }
        Some(Hit::Http503) => {
            return Decision::Refuse {
                refusal: Refusal::UNAVAILABLE,
                delivery,
            };
        }
        Some(Hit::TimeoutAfterCharge) => delivery = Delivery::Silence { release: None },
    }
    if let Some(late_ms) = drawn.late_ms {
        state.postpone(request, now.plus_ms(late_ms));
        return Decision::Refuse {
            refusal: Refusal::INTERNAL,
            delivery,
        };
    }
    let planned = if drawn.hit == Some(Hit::Http500) {
        Ok(Plan::answer(500, Refusal::INTERNAL.body()))
    } else {
        plan(state, &request.call, moment)
    };
    let planned = match planned {
        Ok(planned) => planned,
        Err(refusal) => return refuse(refusal),
    };
    if let Some(idempotency) = idempotency
        && drawn.delay_ms > 0
    {
        state.run(idempotency, now.plus_ms(drawn.delay_ms));
    }
    Decision::Execute {
        execution: Box::new(execution(state, planned, request, now)),
        delivery,
    }
}

/// What is executed by now although it was answered with an error, unless it has become impossible meanwhile.
pub(crate) fn late(state: &mut State, now: UnixMillis) -> Option<Execution> {
    while let Some((at, request)) = state.take_late(now) {
        let moment = Moment {
            seq: state.next_seq(),
            now: at,
            key: request.idempotency.as_ref().map(|idempotency| &*idempotency.key),
            drawn: Drawn::default(),
        };
        if let Ok(planned) = plan(state, &request.call, moment) {
            return Some(execution(state, planned, &request, now));
        }
    }
    None
}

fn refuse(refusal: Refusal) -> Decision {
    Decision::Refuse {
        refusal,
        delivery: Delivery::Now,
    }
}

fn execution(state: &State, plan: Plan, request: &Request, now: UnixMillis) -> Execution {
    let seq = state.next_seq();
    let row = plan.money.map(|money| row(state, money, seq, now));
    let line = Line {
        call: request.idempotency.clone(),
        answer: Some(Answer {
            status: plan.status,
            body: plan.body.to_string(),
        }),
        payment: plan.payment,
        notice: plan.notice,
        ..line(seq, now)
    };
    Execution { row, line }
}

fn line(seq: u64, now: UnixMillis) -> Line {
    Line {
        seq,
        at: now.seconds(),
        call: None,
        answer: None,
        payment: None,
        notice: None,
        delivered: None,
        target: None,
    }
}

/// Our own references name payment and operation: `pay_...` or `pay_....cap_...`, each with the end of a key behind.
fn row(state: &State, money: Money, seq: u64, now: UnixMillis) -> Row {
    let parts: Vec<&str> = money.reference.split('.').collect();
    let payment = parts.first().copied().unwrap_or_default();
    let operation = parts.get(1).copied().filter(|part| {
        ["cap_", "ref_", "void_"]
            .iter()
            .any(|prefix| part.starts_with(prefix))
    });
    Row {
        id: state.psp_reference(seq),
        provider: Provider::Adyen,
        operation: money.operation,
        amount_minor: money.value,
        currency: money.currency,
        idempotency_key: money.key,
        payment_id: Some(payment.into()),
        reference: Some(operation.unwrap_or(payment).into()),
        at: now.seconds(),
    }
}

/// The customer presses a button of the challenge. Nothing if there is nothing to press.
pub(crate) fn pressed(state: &State, name: &str, passed: bool, now: UnixMillis) -> Option<Line> {
    let seq = name.strip_prefix("adyen_")?.parse().ok()?;
    let payment = state.payment(seq)?;
    if challenge_name(seq) != name || payment.status != Status::Challenged || payment.passed.is_some() {
        return None;
    }
    Some(Line {
        payment: Some(Payment {
            passed: Some(passed),
            ..payment.clone()
        }),
        ..line(state.next_seq(), now)
    })
}

/// A notice was acknowledged. Nothing if that is known.
pub(crate) fn delivered(state: &State, seq: u64, now: UnixMillis) -> Option<Line> {
    state.outbox.is_waiting(seq).then(|| Line {
        delivered: Some(seq),
        ..line(state.next_seq(), now)
    })
}

/// Notifications go there from now on. Nothing if they do already.
pub(crate) fn subscribed(state: &State, target: WebhookTarget, now: UnixMillis) -> Option<Line> {
    (state.outbox.target.as_ref() != Some(&target)).then(|| Line {
        target: Some(target),
        ..line(state.next_seq(), now)
    })
}

#[cfg(test)]
mod tests;
