//! `GET /v1/ops/routing`: the rules in force, and how the providers stand.

use super::routing_body::{RoutingBody, example, shape};
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
    let routing = state.directory.routing();
    json(
        StatusCode::OK,
        &RoutingBody::of(&routing.in_force(), &routing.field()),
    )
}

pub(crate) fn described() -> Endpoint {
    Endpoint::get("/v1/ops/routing", Access::Operators)
        .called(
            "getRouting",
            "See the routing rules",
            "Those in force, as written and as understood, and how the providers stand.",
        )
        .in_chapter(chapter::OPERATIONS)
        .answers(200, "The rules.", shape(), example())
}
