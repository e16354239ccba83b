//! `GET /metrics`: everything counted, in the Prometheus text format. It names no merchant, so no key is asked for.

use crate::state::State;
use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use actix_web::web::Data;

pub(crate) async fn handle(state: Data<State>) -> HttpResponse {
    let text = (
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
    );
    HttpResponse::Ok().insert_header(text).body(state.ops.metrics())
}
