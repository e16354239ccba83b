//! What a request does: refused, answered from the state, replayed, or executed.
//!
//! Deciding changes no object. What is executed becomes a [`Line`], and [`super::State::apply`] takes it over once it is in the log.
//!
//! Stored under the key: everything that began to execute, so 200, 402, a 500, and refusals that depend on the state of an
//! object. Not stored: invalid parameters, unknown objects, 409 and 429.

use serde::{Deserialize, Serialize};

use super::call::{Call, Command, Query};
use super::error::ApiError;
use super::events::Telling;
use super::keys::{Digest, Idempotency, Known};
use super::methods::TestMethod;
use super::objects::{Intent, Refund};
use super::plan::{Moment, Money, Plan, plan};
use super::render;
use super::state::State;
use crate::clock::UnixMillis;
use crate::faults::{Drawn, Faults, Hit, Operation};
use crate::witness::{Provider, Row, RowOperation};

#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) call: Call,
    /// Only for POST.
    pub(crate) idempotency: Option<Idempotency>,
}

/// What was executed, the objects as they are afterwards, and by that the answer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) seq: u64,
    /// Unix seconds.
    pub(crate) at: u64,
    #[serde(default, rename = "call", skip_serializing_if = "Option::is_none")]
    pub(crate) idempotency: Option<Idempotency>,
    pub(crate) answer: Answer,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) expand_charge: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) intent: Option<Intent>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refund: Option<Refund>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// 200 with the line's intent.
    Intent,
    /// 200 with the line's refund.
    Refund,
    /// The envelope contains the line's intent if there is one.
    Error(ApiError),
}

#[derive(Debug)]
pub(crate) struct Execution {
    pub(crate) row: Option<Row>,
    pub(crate) line: Line,
    pub(crate) telling: Telling,
}

#[derive(Debug)]
pub(crate) enum Decision {
    Query {
        body: Vec<u8>,
        delivery: Delivery,
    },
    Refuse {
        error: ApiError,
        delivery: Delivery,
    },
    /// Answer again what the line at this place says.
    Replay(crate::witness::Span),
    Execute {
        execution: Box<Execution>,
        delivery: Delivery,
    },
    /// Nothing happens, and there is no answer.
    Vanish(Delivery),
}

/// How the answer travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    Now,
    After {
        delay_ms: u64,
    },
    /// Never: the connection stays silent and then closes. The key, if any, is in use until then.
    Silence {
        release: Option<Digest>,
    },
    /// Never: the connection closes at once.
    Close,
}

/// Decides one request. `silence_ms` is how long a silent connection stays open.
pub(crate) fn decide(
    state: &mut State,
    faults: &mut Faults,
    request: &Request,
    now: UnixMillis,
    silence_ms: u64,
) -> Decision {
    if let Some(idempotency) = &request.idempotency {
        match state.keys.look_up(idempotency, now) {
            Known::Free => {}
            Known::Running => return refuse(ApiError::key_in_use(&idempotency.key)),
            Known::Mismatch => return refuse(ApiError::key_reused(&idempotency.key)),
            Known::Answered(span) => return Decision::Replay(span),
        }
    }
    let command = match &request.call {
        Call::Command(command) => command,
        Call::Query(query) => {
            return match answer_query(state, query) {
                Ok(body) => deliver_query(body, faults.draw(Provider::Stripe, Operation::Query, None)),
                Err(error) => refuse(error),
            };
        }
    };
    let idempotency = request.idempotency.as_ref();
    let moment = Moment {
        seq: state.next_seq(),
        at: now.seconds(),
        key: idempotency.map(|idempotency| &*idempotency.key),
    };
    let mut planned = match plan(state, command, moment, false) {
        Ok(planned) => planned,
        Err(error) => return refuse(error),
    };
    let operation = match command {
        Command::Create(create) if !create.confirm => None,
        // Faults are between us and our caller, not between us and the customer.
        Command::Authenticate(_) => None,
        Command::Create(_) | Command::Confirm(_) | Command::Increment(_) => Some(Operation::Authorize),
        Command::Capture(_) => Some(Operation::Capture),
        Command::Cancel(_) => Some(Operation::Void),
        Command::Refund(_) => Some(Operation::Refund),
    };
    let drawn = operation.map_or_else(Drawn::default, |operation| {
        faults.draw(Provider::Stripe, operation, method_of(state, command, &planned))
    });
    let mut run = |duration_ms| {
        if let Some(idempotency) = idempotency {
            state.keys.run(idempotency, now, now.plus_ms(duration_ms));
        }
    };
    if drawn.delay_ms > 0 {
        run(drawn.delay_ms);
    }
    let mut delivery = drawn.delivery();
    match drawn.hit {
        None => {}
        Some(Hit::DropConnection) => return Decision::Vanish(Delivery::Close),
        Some(Hit::TimeoutBefore) => {
            run(silence_ms);
            return Decision::Vanish(Delivery::Silence {
                release: idempotency.map(Idempotency::slot),
            });
        }
        Some(Hit::RateLimit) => {
            return Decision::Refuse {
                error: ApiError::rate_limited(),
                delivery,
            };
        }
        Some(Hit::Http503) => {
            return Decision::Refuse {
                error: ApiError::unavailable(),
                delivery,
            };
        }
        Some(Hit::Http500) => planned = Plan::failed(ApiError::internal()),
        Some(Hit::Decline) => {
            planned = match plan(state, command, moment, true) {
                Ok(planned) => planned,
                Err(error) => return refuse(error),
            };
        }
        // The work is done, so the key is free to be replayed: only this answer is lost.
        Some(Hit::TimeoutAfterCharge) => delivery = Delivery::Silence { release: None },
    }
    let telling = Telling {
        copies: drawn.notice_copies,
        delay_ms: drawn.notice_delay_ms,
    };
    Decision::Execute {
        execution: Box::new(execution(state, planned, (request, telling), now.seconds())),
        delivery,
    }
}

/// What the payment is made with. A plan that declines has forgotten it.
fn method_of(state: &State, command: &Command, planned: &Plan) -> Option<TestMethod> {
    let of_intent = planned.intent.as_ref().and_then(|intent| intent.method);
    match command {
        Command::Create(create) => create.method,
        Command::Confirm(confirm) => confirm
            .method
            .or_else(|| state.intent_in_path(&confirm.id).ok()?.method),
        Command::Refund(_) => planned.refund.as_ref().map(|refund| refund.method).or(of_intent),
        Command::Increment(_) | Command::Capture(_) | Command::Cancel(_) | Command::Authenticate(_) => {
            of_intent
        }
    }
}

impl Drawn {
    pub(crate) fn delivery(self) -> Delivery {
        if self.delay_ms == 0 {
            Delivery::Now
        } else {
            Delivery::After {
                delay_ms: self.delay_ms,
            }
        }
    }
}

fn refuse(error: ApiError) -> Decision {
    Decision::Refuse {
        error,
        delivery: Delivery::Now,
    }
}

fn execution(state: &State, plan: Plan, (request, telling): (&Request, Telling), at: u64) -> Execution {
    let Plan {
        answer,
        expand_charge,
        intent,
        refund,
        money,
        witness_key,
    } = plan;
    let seq = state.next_seq();
    let idempotency = request.idempotency.clone();
    let line = Line {
        seq,
        at,
        idempotency,
        answer,
        expand_charge,
        intent,
        refund,
    };
    let row = money.map(|money| row(state, &line, money, witness_key));
    Execution { row, line, telling }
}

fn row(state: &State, line: &Line, money: Money, witness_key: Option<Box<str>>) -> Row {
    let intent = line.intent.as_ref().expect("whatever moves money has an intent");
    let ids = state.ids();
    let id = match money.operation {
        RowOperation::Sale | RowOperation::Authorize => ids.charge(line.seq),
        RowOperation::Capture | RowOperation::Void => ids.transaction(line.seq),
        RowOperation::Refund => ids.refund(line.seq),
    };
    let of_intent = intent.metadata.references();
    let own = line
        .refund
        .as_ref()
        .map(|refund| refund.metadata.references())
        .unwrap_or_default();
    Row {
        id: id.to_string(),
        provider: Provider::Stripe,
        operation: money.operation,
        amount_minor: money.amount_minor,
        currency: intent.currency,
        idempotency_key: line
            .idempotency
            .as_ref()
            .map_or(witness_key, |idempotency| Some(idempotency.key.clone())),
        payment_id: own.payment_id.or(of_intent.payment_id).map(Into::into),
        reference: own.operation_id.or(of_intent.operation_id).map(Into::into),
        at: line.at,
    }
}

fn answer_query(state: &State, query: &Query) -> Result<Vec<u8>, ApiError> {
    let site = state.site();
    match query {
        Query::Retrieve { id, expand_charge } => Ok(render::intent_body(
            site,
            state.intent_in_path(id)?,
            *expand_charge,
        )),
        Query::RetrieveRefund { id } => {
            let refund = state
                .refund(id)
                .ok_or_else(|| ApiError::no_such("refund", id, "refund", true))?;
            Ok(render::refund_body(site, refund))
        }
        Query::ListRefunds(list) => {
            let (page, has_more) = state.list_refunds(list)?;
            Ok(render::refund_list_body(site, &page, has_more))
        }
        Query::List(list) => {
            let (page, has_more) = state.list(list)?;
            Ok(render::list_body(site, &page, has_more, list.expand_charge))
        }
        Query::Search {
            operation_id,
            limit,
            expand_charge,
        } => {
            let (page, has_more) = state.search(operation_id, *limit);
            Ok(render::search_body(site, &page, has_more, *expand_charge))
        }
    }
}

fn deliver_query(body: Vec<u8>, drawn: Drawn) -> Decision {
    let delivery = drawn.delivery();
    match drawn.hit {
        // Declines of queries are refused when the fault is set.
        None | Some(Hit::Decline) => Decision::Query { body, delivery },
        Some(Hit::DropConnection) => Decision::Vanish(Delivery::Close),
        Some(Hit::TimeoutBefore | Hit::TimeoutAfterCharge) => {
            Decision::Vanish(Delivery::Silence { release: None })
        }
        Some(Hit::RateLimit) => Decision::Refuse {
            error: ApiError::rate_limited(),
            delivery,
        },
        Some(Hit::Http503) => Decision::Refuse {
            error: ApiError::unavailable(),
            delivery,
        },
        Some(Hit::Http500) => Decision::Refuse {
            error: ApiError::internal(),
            delivery,
        },
    }
}

#[cfg(test)]
mod tests;
