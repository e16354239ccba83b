//! `POST /v1/ops/merchants/{id}/freeze` and `/unfreeze`: whether a merchant takes money.

use super::operator_action::{Reason, action, done};
use crate::auth::Caller;
use crate::body::read_optional_json;
use crate::errors::ApiError;
use crate::reply::Reply;
use crate::state::State;
use crate::{json as strict, query};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use florin_domain::ids::MerchantId;
use florin_domain::merchant::{ControlEvent, OperatorAction};

pub(crate) async fn freeze(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    let switched = switch(
        &state,
        &request,
        payload,
        ("merchant.freeze", ControlEvent::MerchantFrozen),
    );
    Reply(switched.await)
}

pub(crate) async fn unfreeze(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    let switched = switch(
        &state,
        &request,
        payload,
        ("merchant.unfreeze", ControlEvent::MerchantUnfrozen),
    );
    Reply(switched.await)
}

async fn switch(
    state: &State,
    request: &HttpRequest,
    payload: Payload,
    (name, event): (&'static str, fn(MerchantId, OperatorAction) -> ControlEvent),
) -> Result<HttpResponse, ApiError> {
    let caller = Caller::of(state, request)?;
    caller.operator()?;
    query::none(request)?;
    let named = request
        .match_info()
        .get("id")
        .and_then(|id| MerchantId::parse(id).ok())
        .filter(|id| state.directory.control().merchant(*id).is_some());
    let merchant = named.ok_or(ApiError::NoSuchObject { kind: "merchant" })?;
    let bytes = read_optional_json(state, request, payload).await?;
    let body: Reason<'_> = strict::read(&bytes)?;
    let action = action(&caller, Some(&body.reason))?;
    let seq = state
        .ledger
        .record_control(event(merchant, action.clone()))
        .await?;
    done(name, Some(&merchant.to_string()), &action, seq)
}
