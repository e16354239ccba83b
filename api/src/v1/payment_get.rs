//! `GET /v1/payments/{id}`.

use super::payment_body::PaymentBody;
use crate::auth::Caller;
use crate::errors::ApiError;
use crate::query;
use crate::reply::{Reply, json};
use crate::state::State;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use florin_domain::ids::PaymentId;

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> Reply {
    Reply(get(&state, &request).await)
}

async fn get(state: &State, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    let caller = Caller::of(state, request)?;
    let (merchant, livemode) = caller.merchant()?;
    query::none(request)?;
    let row = state.payments.get((merchant.id, livemode), id(request)?).await?;
    let row = row.ok_or(ApiError::NoSuchObject { kind: "payment" })?;
    json(StatusCode::OK, &PaymentBody::of(&row.payment))
}

/// The payment that the path names; what is no id names none.
pub(super) fn id(request: &HttpRequest) -> Result<PaymentId, ApiError> {
    let id = request
        .match_info()
        .get("id")
        .and_then(|id| PaymentId::parse(id).ok());
    id.ok_or(ApiError::NoSuchObject { kind: "payment" })
}
