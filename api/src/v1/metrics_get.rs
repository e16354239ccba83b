//! `GET /metrics`: everything counted, in the Prometheus text format, for operators: volumes and declines are nobody else's business.

use crate::auth::Caller;
use crate::errors::ApiError;
use crate::reply::Reply;
use crate::state::State;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

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
