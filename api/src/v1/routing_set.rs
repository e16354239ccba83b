//! `PUT /v1/ops/routing`: other rules from a time on, if the latest are still those that the operator has seen.

use super::next_version::{Asked, asked_fields, refused as put_refused};
use super::routing_body::{RoutingBody, example, program_shape, shape};
use crate::auth::Caller;
use crate::body::read_json;
use crate::errors::{ApiError, Code, Invalid};
use crate::json::{Lines, Number, Text};
use crate::openapi::{Access, Endpoint, chapter, must, strict};
use crate::reply::{Reply, json};
use crate::state::State;
use crate::{json as strictly, query};
use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use florin_actors::routing_handle::SetError;
use florin_domain::routing::ProgramError;
use serde::Deserialize;
use serde_json::json;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RoutingRequest<'a> {
    #[serde(borrow)]
    program: Lines<'a>,
    expected_version: Number,
    #[serde(default)]
    effective_at: Option<Number>,
    #[serde(borrow)]
    reason: Text<'a>,
}

pub(crate) async fn handle(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    Reply(set(&state, &request, payload).await)
}

async fn set(state: &State, request: &HttpRequest, payload: Payload) -> Result<HttpResponse, ApiError> {
    let caller = Caller::of(state, request)?;
    caller.operator()?;
    query::none(request)?;
    let bytes = read_json(state, request, payload).await?;
    let body: RoutingRequest<'_> = strictly::read(&bytes)?;
    let asked = Asked {
        expected_version: body.expected_version,
        effective_at: body.effective_at,
        reason: &body.reason,
    };
    let routing = state.directory.routing();
    let set = routing.set(body.program.as_str(), asked.by(&caller)?).await;
    let set = set.map_err(|error| match error {
        SetError::Program(why) => refused(&why).into(),
        SetError::Put(error) => put_refused(error, |latest| ApiError::RoutingVersionStale { latest }),
    })?;
    json(StatusCode::OK, &RoutingBody::of(&set, &routing.field()))
}

/// What is wrong with a program, with its line and column.
pub(super) fn refused(why: &ProgramError) -> Invalid {
    Invalid::new("program", Code::ParameterInvalid, format!("`program`, {why}."))
}

pub(crate) fn described() -> Endpoint {
    let program = [must("program", program_shape())];
    let takes = strict(program.into_iter().chain(asked_fields()));
    let visa = json!({
        "program": "visa: brand is visa -> stripe\n", "expected_version": 0, "reason": "A better price.",
    });
    Endpoint::put("/v1/ops/routing", Access::Operators)
        .called(
            "setRouting",
            "Change the routing rules",
            "In force for every charge from its time on, in all shards, once it is answered. Rules that somebody else has changed meanwhile are not \
             overwritten: then it is 409, and `param` says `expected_version`.",
        )
        .in_chapter(chapter::OPERATIONS)
        .takes(takes, &[("Visa to one provider", visa)])
        .answers(200, "They are journaled, and in force from their time on.", shape(), example())
        .refuses(400, &[Code::ParameterInvalidInteger])
        .refuses(409, &[Code::RoutingVersionStale])
}
