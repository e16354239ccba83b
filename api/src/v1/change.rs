//! A request about a payment that exists: its key, its payment, its body.

use super::payment_get::id;
use crate::auth::Caller;
use crate::body;
use crate::errors::{ApiError, Invalid};
use crate::state::State;
use crate::{idempotency_key, query};
use actix_web::HttpRequest;
use actix_web::web::Payload;
use florin_actors::payments_handle::{Answered, Change, ChangeRequest};

/// What a body means, with the one form of it that the fingerprint is made of.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) change: Change,
    pub(super) canonical: String,
}

/// Has what a merchant asks made once for its key. `check` says what the body means in live or test mode.
pub(super) async fn make(
    state: &State,
    request: &HttpRequest,
    payload: Payload,
    name: &'static str,
    check: impl FnOnce(&[u8], bool) -> Result<Checked, Invalid>,
) -> Result<Answered, ApiError> {
    let caller = Caller::of(state, request)?;
    let (merchant, livemode) = caller.merchant()?;
    query::none(request)?;
    let payment = id(request)?;
    let key = idempotency_key::read(request.headers())?;
    let bytes = body::read_optional_json(state, request, payload).await?;
    let Checked { change, canonical } = check(&bytes, livemode)?;
    let key_digest = (state.digests.key)(merchant.id, livemode, key.as_str());
    let path = format!("/v1/payments/{payment}/{name}");
    let fingerprint = (state.digests.fingerprint)("POST", &path, canonical.as_bytes());
    let change = ChangeRequest {
        payment,
        owner: Some((merchant.id, livemode)),
        operator: None,
        key,
        key_digest,
        fingerprint,
        change,
    };
    Ok(state.payments.change(change).await?)
}
