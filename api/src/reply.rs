//! Turns what an endpoint found into a response; refusals take the format that the request asks for.

use crate::errors::ApiError;
use crate::request_id;
use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, Responder};
use serde::Serialize;

/// An answer or a refusal.
#[derive(Debug)]
pub(crate) struct Reply(pub(crate) Result<HttpResponse, ApiError>);

impl Responder for Reply {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        self.0.unwrap_or_else(|error| error.response(request))
    }
}

/// Marks a response that rests on what this process remembers though its request could have changed something: what was done before under the
/// same key, and what changes nothing. It must not go out once another process may have the shards.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Remembered;

impl Remembered {
    /// Marks the response.
    pub(crate) fn mark(response: &mut HttpResponse) {
        response.extensions_mut().insert(Self);
    }

    /// Marks it if so.
    pub(crate) fn mark_if(is_remembered: bool, mut response: HttpResponse) -> HttpResponse {
        if is_remembered {
            Self::mark(&mut response);
        }
        response
    }
}

/// Room for one payment, so that its body is written without growing.
const BODY_BYTES_USUAL: usize = 1024;

/// A body of ours as bytes.
pub(crate) fn body(value: &impl Serialize) -> Result<Vec<u8>, ApiError> {
    let mut bytes = Vec::with_capacity(BODY_BYTES_USUAL);
    match serde_json::to_writer(&mut bytes, value) {
        Ok(()) => Ok(bytes),
        Err(error) => {
            tracing::error!(request_id = request_id::current(), %error, "an answer could not be written");
            Err(ApiError::Internal)
        }
    }
}

/// A JSON answer.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Result<HttpResponse, ApiError> {
    let bytes = body(value)?;
    let json = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(HttpResponse::build(status).insert_header(json).body(bytes))
}
