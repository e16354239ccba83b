//! `POST /v1/ops/tree/{actor}/kill`: crashes an actor as a failure would, for drills and for actors that are stuck.

use super::operator_action::{MaybeReason, action, done};
use crate::auth::Caller;
use crate::body::read_optional_json;
use crate::errors::ApiError;
use crate::reply::Reply;
use crate::state::State;
use crate::{json as strict, query};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use florin_domain::ports::KillRefusal;
use std::sync::Arc;

pub(crate) async fn handle(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    Reply(kill(&state, &request, payload).await)
}

async fn kill(state: &State, request: &HttpRequest, payload: Payload) -> Result<HttpResponse, ApiError> {
    let caller = Caller::of(state, request)?;
    caller.operator()?;
    query::none(request)?;
    let bytes = read_optional_json(state, request, payload).await?;
    let body: MaybeReason<'_> = strict::read(&bytes)?;
    let action = action(&caller, body.reason.as_ref())?;
    let actor = request.match_info().get("actor").unwrap_or_default();
    let killed = state.ops.kill(Arc::from(actor), action.clone()).await;
    let seq = killed.map_err(|refusal| match refusal {
        KillRefusal::NoSuchActor => ApiError::NoSuchObject { kind: "actor" },
        KillRefusal::NotRestartable => ApiError::ActorNotRestartable,
        KillRefusal::NotRecorded => ApiError::Overloaded { retry_after_s: 1 },
    })?;
    done("actor.kill", Some(actor), &action, seq)
}
