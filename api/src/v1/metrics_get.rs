//! `GET /metrics`: everything counted, in the Prometheus text format, for operators: volumes and declines are nobody else's business.

use crate::auth::Caller;
use crate::errors::ApiError;
use crate::openapi::{Access, Endpoint, chapter, text};
use crate::reply::Reply;
use crate::state::State;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::Value;

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> Reply {
    Reply(get(&state, &request))
}

fn get(state: &State, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    Caller::of(state, request)?.operator()?;
    let text = (
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
    );
    Ok(HttpResponse::Ok().insert_header(text).body(state.ops.metrics()))
}

pub(crate) fn described() -> Endpoint {
    Endpoint::get("/metrics", Access::Operators)
        .called(
            "getMetrics",
            "Read the metrics",
            "Everything that is counted, in the text format of Prometheus.",
        )
        .in_chapter(chapter::OPERATIONS)
        .answers_as(
            "text/plain",
            200,
            "The metrics.",
            text("Prometheus text format 0.0.4."),
            Value::Null,
        )
}
