//! `GET /v1/ledger/alerts/{id}`: an alert, how it stands, and how it stood before.

use super::alert_body::{ALERT_ID, AlertBody, alert_id, whole_example, whole_shape};
use crate::auth::Caller;
use crate::errors::{ApiError, Code};
use crate::openapi::{Access, Endpoint, chapter};
use crate::query;
use crate::reply::{Reply, json};
use crate::state::State;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use florin_domain::ledger::AlertId;

pub(super) const MISSING: ApiError = ApiError::NoSuchObject { kind: "alert" };

/// The alert that the path names.
pub(super) fn named(request: &HttpRequest) -> Result<AlertId, ApiError> {
    let id = request.match_info().get("id").and_then(AlertId::parse);
    id.ok_or(MISSING)
}

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> Reply {
    Reply(get(&state, &request).await)
}

async fn get(state: &State, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    Caller::of(state, request)?.operator()?;
    query::none(request)?;
    let shown = state.ledger.alert(named(request)?).await?.ok_or(MISSING)?;
    json(StatusCode::OK, &AlertBody::whole(&shown, state.ledger.shards()))
}

pub(crate) fn described() -> Endpoint {
    Endpoint::get("/v1/ledger/alerts/{id}", Access::Operators)
        .called(
            "getAlert",
            "Read an alert",
            "Whether it is raised, since which commit, what the account came to then and comes to now, and when it was raised and armed before.",
        )
        .in_chapter(chapter::LEDGER)
        .path_part("id", alert_id("The alert."), ALERT_ID)
        .answers(200, "The alert.", whole_shape(), whole_example())
        .refuses(404, &[Code::ResourceMissing])
        .refuses(503, &[Code::Overloaded])
}
