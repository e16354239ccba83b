//! `GET /v1/ops/merchants/{id}/providers/{provider}/credentials`: every version there ever was, newest first, without its secrets.

use super::credentials_body::{PATH, VersionBody, described as shared, example, place, refused, shape};
use super::list::List;
use crate::auth::Caller;
use crate::errors::ApiError;
use crate::openapi::{Endpoint, array, flag, list_example, must, record, text, word};
use crate::query;
use crate::reply::{Reply, json};
use crate::state::State;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> Reply {
    Reply(list(&state, &request))
}

fn list(state: &State, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    let caller = Caller::of(state, request)?;
    query::none(request)?;
    let place = place(state, &caller, request)?;
    let versions = state.credentials.list(place.0, place.1).map_err(refused)?;
    let data = versions
        .iter()
        .map(|about| VersionBody::of(place, about))
        .collect();
    json(StatusCode::OK, &List::new(request.path(), data, false))
}

pub(crate) fn described() -> Endpoint {
    let shape = record([
        must("object", word("What it is.", ["list"])),
        must("url", text("Its path.")),
        must("has_more", flag("All of them are here.")),
        must("data", array(shape(), "The versions, newest first.")),
    ]);
    shared(Endpoint::get)
        .called(
            "listCredentials",
            "Which credentials a merchant has",
            "Every version there ever was, newest first, without its secrets.",
        )
        .answers(200, "The versions.", shape, list_example(PATH, &example(2, None)))
}
