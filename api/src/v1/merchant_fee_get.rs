//! `GET /v1/ops/merchants/{id}/fees`: what a merchant is charged, now and later.

use super::merchant_fee_body::{FeesBody, example, shape};
use crate::auth::Caller;
use crate::errors::{ApiError, Code};
use crate::openapi::{Access, Endpoint, chapter, id};
use crate::query;
use crate::reply::{Reply, json};
use crate::state::State;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use florin_domain::ids::MerchantId;

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> Reply {
    Reply(get(&state, &request))
}

/// The merchant that a path names.
pub(super) fn merchant(request: &HttpRequest) -> Result<MerchantId, ApiError> {
    let named = request.match_info().get("id");
    let id = named.and_then(|id| MerchantId::parse(id).ok());
    id.ok_or(NO_MERCHANT)
}

pub(super) const NO_MERCHANT: ApiError = ApiError::NoSuchObject { kind: "merchant" };

fn get(state: &State, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    Caller::of(state, request)?.operator()?;
    query::none(request)?;
    let fees = state.directory.fees().of(merchant(request)?).ok_or(NO_MERCHANT)?;
    json(StatusCode::OK, &FeesBody::of(&fees))
}

pub(crate) fn described() -> Endpoint {
    Endpoint::get("/v1/ops/merchants/{id}/fees", Access::Operators)
        .called(
            "getMerchantFees",
            "See what a merchant is charged",
            "The fee in force, and those to come. A payment keeps the fee that was in force when it was asked for.",
        )
        .in_chapter(chapter::OPERATIONS)
        .path_part("id", id("The merchant.", "mer_"), "mer_01m7y92a930001k836eeyy2z3p")
        .answers(200, "The fees.", shape(), example())
        .refuses(404, &[Code::ResourceMissing])
}
