//! `POST /v1/payments`.

use super::answer;
use super::payment_request::{Checked, PaymentRequest};
use crate::auth::Caller;
use crate::body::read_json;
use crate::errors::ApiError;
use crate::reply::Reply;
use crate::state::State;
use crate::{idempotency_key, json as strict, query};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use florin_actors::payments_handle::NewPayment;

const PATH: &str = "/v1/payments";

pub(crate) async fn handle(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    Reply(create(&state, &request, payload).await)
}

async fn create(state: &State, request: &HttpRequest, payload: Payload) -> Result<HttpResponse, ApiError> {
    let caller = Caller::of(state, request)?;
    let (merchant, livemode) = caller.merchant()?;
    query::none(request)?;
    let key = idempotency_key::read(request.headers())?;
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
    answer::payment(&state.payments.create(new).await?, request)
}
