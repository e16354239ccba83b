//! `POST /v1/payments`.

use super::payment_body::PaymentBody;
use super::payment_request::{Checked, PaymentRequest};
use crate::auth::Caller;
use crate::body::read_json;
use crate::errors::ApiError;
use crate::reply::{Reply, json};
use crate::state::State;
use crate::{json as strict, query};
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue, LOCATION};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use florin_actors::payments_handle::{Created, NewPayment};
use florin_domain::idempotency::{IdempotencyKey, KeyError};
use florin_domain::payment::{Answer, Payment};

const PATH: &str = "/v1/payments";
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

pub(crate) async fn handle(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    Reply(create(&state, &request, payload).await)
}

async fn create(state: &State, request: &HttpRequest, payload: Payload) -> Result<HttpResponse, ApiError> {
    let caller = Caller::of(state, request)?;
    let (merchant, livemode) = caller.merchant()?;
    query::none(request)?;
    let key = idempotency_key(request.headers())?;
    let bytes = read_json(state, request, payload).await?;
    let checked = strict::read::<PaymentRequest<'_>>(&bytes)?.check(livemode)?;
    let key_digest = (state.digests.key)(merchant.id, livemode, key.as_str());
    let fingerprint = (state.digests.fingerprint)("POST", PATH, &checked.canonical());
    let Checked {
        amount,
        currency,
        method,
        capture_method,
        customer,
        description,
        metadata,
        return_url,
        device,
    } = checked;
    let new = NewPayment {
        merchant: merchant.id,
        livemode,
        fee: merchant.fee,
        key,
        key_digest,
        fingerprint,
        amount,
        currency,
        method,
        capture_method,
        customer,
        description,
        metadata,
        return_url,
        device,
    };
    answer(&state.payments.create(new).await?, request.headers())
}

/// Exactly one key; two would leave it to chance which request this is.
fn idempotency_key(headers: &HeaderMap) -> Result<IdempotencyKey, ApiError> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY);
    let value = values.next().ok_or(ApiError::IdempotencyKey(KeyError::Empty))?;
    if values.next().is_some() {
        return Err(ApiError::IdempotencyKeyUnreadable);
    }
    let text = str::from_utf8(value.as_bytes()).map_err(|_| ApiError::IdempotencyKeyUnreadable)?;
    IdempotencyKey::parse(text.trim()).map_err(ApiError::IdempotencyKey)
}

fn answer(created: &Created, headers: &HeaderMap) -> Result<HttpResponse, ApiError> {
    let payment = created.payment.as_ref();
    let declined = || ApiError::Declined {
        payment: payment.id(),
        decline_code: decline_code(payment),
    };
    let mut response = match created.answer {
        Answer::Shown => json(StatusCode::OK, &PaymentBody::of(payment))?,
        Answer::Declined | Answer::Blocked => declined().response(headers),
        Answer::NoProvider => ApiError::NoProvider {
            payment: Some(payment.id()),
        }
        .response(headers),
        Answer::Unresolved => {
            let mut response = json(StatusCode::ACCEPTED, &PaymentBody::of(payment))?;
            let location = HeaderValue::try_from(format!("{PATH}/{}", payment.id()));
            response
                .headers_mut()
                .insert(LOCATION, location.map_err(|_| ApiError::Internal)?);
            response
        }
    };
    if created.replayed && created.answer.is_final() {
        response
            .headers_mut()
            .insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

fn decline_code(payment: &Payment) -> Option<std::sync::Arc<str>> {
    payment
        .failure
        .as_ref()
        .and_then(|failure| failure.decline_code.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&[u8]]) -> Result<String, ApiError> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IDEMPOTENCY_KEY, HeaderValue::from_bytes(value).unwrap());
        }
        idempotency_key(&headers).map(|key| key.as_str().to_owned())
    }

    #[test]
    fn a_request_carries_exactly_one_usable_key() {
        assert_eq!(read(&[b"a key"]), Ok("a key".to_owned()));
        assert_eq!(read(&["ключ".as_bytes()]), Ok("ключ".to_owned()));
        assert_eq!(read(&["x".repeat(255).as_bytes()]), Ok("x".repeat(255)));
        let nothing: [&[&[u8]]; 3] = [&[], &[b""], &[b"  "]];
        for empty in nothing {
            assert_eq!(read(empty), Err(ApiError::IdempotencyKey(KeyError::Empty)));
        }
        assert_eq!(
            read(&["x".repeat(256).as_bytes()]),
            Err(ApiError::IdempotencyKey(KeyError::TooLong))
        );
        assert_eq!(read(&[b"a", b"b"]), Err(ApiError::IdempotencyKeyUnreadable));
        assert_eq!(read(&[b"\xff"]), Err(ApiError::IdempotencyKeyUnreadable));
    }
}
