//! `POST /v1/ops/read_only`: whether merchants change anything. What was begun goes on, and operators do what they must.

use super::operator_action::{action, done};
use crate::auth::Caller;
use crate::body::read_optional_json;
use crate::errors::ApiError;
use crate::json::Text;
use crate::reply::Reply;
use crate::state::State;
use crate::{json as strict, query};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use florin_domain::merchant::ControlEvent;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadOnlyRequest<'a> {
    enabled: bool,
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
    let bytes = read_optional_json(state, request, payload).await?;
    let body: ReadOnlyRequest<'_> = strict::read(&bytes)?;
    let action = action(&caller, Some(&body.reason))?;
    let (name, event) = if body.enabled {
        ("read_only.enter", ControlEvent::ReadOnlyEntered(action.clone()))
    } else {
        ("read_only.leave", ControlEvent::ReadOnlyLeft(action.clone()))
    };
    let seq = state.ledger.record_control(event).await?;
    done(name, None, &action, seq)
}
