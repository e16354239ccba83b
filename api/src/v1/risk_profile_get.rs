//! `GET /v1/ops/risk_profile`: the thresholds that payments are assessed by, now and later.

use super::risk_profile_body::{ThresholdsBody, example, shape};
use crate::auth::Caller;
use crate::errors::ApiError;
use crate::openapi::{Access, Endpoint, chapter};
use crate::query;
use crate::reply::{Reply, json};
use crate::state::State;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> Reply {
    Reply(get(&state, &request))
}

fn get(state: &State, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    Caller::of(state, request)?.operator()?;
    query::none(request)?;
    let thresholds = state.directory.risk_profile().thresholds();
    json(StatusCode::OK, &ThresholdsBody::of(&thresholds))
}

pub(crate) fn described() -> Endpoint {
    Endpoint::get("/v1/ops/risk_profile", Access::Operators)
        .called(
            "getRiskProfile",
            "See the thresholds of risk",
            "Those in force, and those to come.",
        )
        .in_chapter(chapter::OPERATIONS)
        .answers(200, "The thresholds.", shape(), example())
}
