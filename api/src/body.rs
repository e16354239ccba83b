//! Reads request bodies: JSON, and forms where Stripe's SDKs send them; bounded in size and in time.

use crate::errors::ApiError;
use crate::state::State;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, TRANSFER_ENCODING};
use actix_web::web::Payload;
use actix_web::{HttpMessage, HttpRequest};
use bytes::Bytes;

/// The whole body of a JSON request.
pub(crate) async fn read_json(
    state: &State,
    request: &HttpRequest,
    payload: Payload,
) -> Result<Bytes, ApiError> {
    read_json_up_to(state, request, payload, state.options.body_limit_bytes).await
}

/// The same of a request that may be larger than most.
pub(crate) async fn read_json_up_to(
    state: &State,
    request: &HttpRequest,
    payload: Payload,
    limit_bytes: usize,
) -> Result<Bytes, ApiError> {
    check_json(request)?;
    limited(state, request, payload, limit_bytes).await
}

/// What a body is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// `a=1&b[c]=2`
    Form,
    /// JSON.
    Json,
}

/// The whole body of a request that may come as a form, as JSON, or not at all.
pub(crate) async fn read_form_or_json(
    state: &State,
    request: &HttpRequest,
    payload: Payload,
) -> Result<(Format, Bytes), ApiError> {
    let content_type = request.content_type();
    let is_form = content_type.eq_ignore_ascii_case("application/x-www-form-urlencoded");
    let is_json = content_type.eq_ignore_ascii_case("application/json");
    if !content_type.is_empty() && !((is_form || is_json) && is_utf8(request.headers())) {
        return Err(ApiError::UnsupportedMedia(
            "Send the body as Content-Type: application/x-www-form-urlencoded or application/json.",
        ));
    }
    check_plain(request)?;
    let bytes = limited(state, request, payload, state.options.body_limit_bytes).await?;
    if content_type.is_empty() && !bytes.is_empty() {
        return Err(ApiError::UnsupportedMedia(
            "Say what the body is written in: Content-Type: application/x-www-form-urlencoded or application/json.",
        ));
    }
    Ok((if is_json { Format::Json } else { Format::Form }, bytes))
}

async fn limited(
    state: &State,
    request: &HttpRequest,
    payload: Payload,
    limit_bytes: usize,
) -> Result<Bytes, ApiError> {
    let announced = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| usize::try_from(length).map_or(true, |length| length > limit_bytes)) {
        return Err(ApiError::BodyTooLarge { limit_bytes });
    }
    let reading = payload.to_bytes_limited(limit_bytes);
    match tokio::time::timeout(state.options.body_timeout, reading).await {
        Err(_) => Err(ApiError::BodyTimeout),
        Ok(Err(_)) => Err(ApiError::BodyTooLarge { limit_bytes }),
        Ok(Ok(Err(_))) => Err(ApiError::BodyBroken),
        Ok(Ok(Ok(bytes))) => Ok(bytes),
    }
}

fn check_json(request: &HttpRequest) -> Result<(), ApiError> {
    if !request.content_type().eq_ignore_ascii_case("application/json") || !is_utf8(request.headers()) {
        return Err(ApiError::UnsupportedMedia(
            "Send the body as Content-Type: application/json.",
        ));
    }
    check_plain(request)
}

fn check_plain(request: &HttpRequest) -> Result<(), ApiError> {
    let encoding = request.headers().get(CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(ApiError::UnsupportedMedia(
            "Send the body without Content-Encoding.",
        ));
    }
    Ok(())
}

/// The whole body of a request that needs none: absent, it is an empty object.
pub(crate) async fn read_optional_json(
    state: &State,
    request: &HttpRequest,
    payload: Payload,
) -> Result<Bytes, ApiError> {
    let headers = request.headers();
    let names_a_type = headers.contains_key(CONTENT_TYPE);
    let names_a_length = headers
        .get(CONTENT_LENGTH)
        .is_some_and(|length| length.as_bytes() != b"0");
    if names_a_type || names_a_length || headers.contains_key(TRANSFER_ENCODING) {
        let bytes = read_json(state, request, payload).await?;
        // Many clients name a type whether they send something or not.
        if !bytes.is_empty() {
            return Ok(bytes);
        }
    }
    Ok(Bytes::from_static(b"{}"))
}

/// No charset is named, or the only one that JSON has.
fn is_utf8(headers: &HeaderMap) -> bool {
    let Some(Ok(value)) = headers.get(CONTENT_TYPE).map(|value| value.to_str()) else {
        return false;
    };
    value
        .split(';')
        .skip(1)
        .all(|parameter| match parameter.split_once('=') {
            Some((name, charset)) if name.trim().eq_ignore_ascii_case("charset") => {
                charset.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
            }
            _ => true,
        })
}
