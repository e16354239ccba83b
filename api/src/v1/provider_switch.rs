//! `POST /v1/ops/providers/{id}/disable` and `/enable`: whether a provider gets new charges. What it has already is finished there.

use super::operator_action::{MaybeReason, action, done};
use crate::auth::Caller;
use crate::body::read_optional_json;
use crate::errors::ApiError;
use crate::reply::Reply;
use crate::state::State;
use crate::{json as strict, query};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use florin_domain::merchant::{ControlEvent, OperatorAction};
use florin_domain::provider::ProviderId;

pub(crate) async fn disable(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    let switched = switch(
        &state,
        &request,
        payload,
        ("provider.disable", ControlEvent::ProviderDisabled),
    );
    Reply(switched.await)
}

pub(crate) async fn enable(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    let switched = switch(
        &state,
        &request,
        payload,
        ("provider.enable", ControlEvent::ProviderEnabled),
    );
    Reply(switched.await)
}

async fn switch(
    state: &State,
    request: &HttpRequest,
    payload: Payload,
    (name, event): (&'static str, fn(ProviderId, OperatorAction) -> ControlEvent),
) -> Result<HttpResponse, ApiError> {
    let caller = Caller::of(state, request)?;
    caller.operator()?;
    query::none(request)?;
    let named = request
        .match_info()
        .get("id")
        .and_then(|id| state.directory.provider(id));
    let provider = named.ok_or(ApiError::NoSuchObject { kind: "provider" })?;
    let bytes = read_optional_json(state, request, payload).await?;
    let body: MaybeReason<'_> = strict::read(&bytes)?;
    let action = action(&caller, body.reason.as_ref())?;
    let seq = state
        .ledger
        .record_control(event(provider, action.clone()))
        .await?;
    done(name, Some(provider.as_str()), &action, seq)
}
