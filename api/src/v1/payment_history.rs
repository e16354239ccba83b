//! `GET /v1/payments/{id}/history`: everything that happened to a payment and every line it posted, oldest first.

use super::history_row::{Row, rows};
use super::list::List;
use super::payment_get::id;
use crate::auth::Caller;
use crate::errors::ApiError;
use crate::query;
use crate::reply::{Reply, json};
use crate::state::State;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> Reply {
    Reply(history(&state, &request).await)
}

async fn history(state: &State, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    let caller = Caller::of(state, request)?;
    let (merchant, livemode) = caller.merchant()?;
    query::none(request)?;
    let id = id(request)?;
    let loaded = state.payments.history((merchant.id, livemode), id).await?;
    let loaded = loaded.ok_or(ApiError::NoSuchObject { kind: "payment" })?;
    let data: Vec<Row<'_>> = loaded
        .commits
        .iter()
        .flat_map(|commit| rows(commit, merchant.id))
        .collect();
    json(
        StatusCode::OK,
        &List::new(&format!("/v1/payments/{id}/history"), data, false),
    )
}
