//! A request as Stripe's SDKs make it: its key, which may be left out, its parameters, and what is asked of which payment.

use super::answer::{Refused, missing};
use super::expand::{Expand, Kind};
use super::params::Params;
use super::{ids, tree};
use crate::auth::Caller;
use crate::body::{Format, read_form_or_json};
use crate::errors::{ApiError, Code};
use crate::state::State;
use crate::v1::change::{cannot, submitted};
use crate::vault::check_texts;
use crate::{idempotency_key, query, request_id};
use actix_web::HttpRequest;
use actix_web::web::Payload;
use florin_actors::payments_handle::{Answered, Change, ChangeRequest};
use florin_domain::idempotency::{Fingerprint, IdempotencyKey, KeyDigest};
use florin_domain::ids::{MerchantId, PaymentId};
use florin_domain::ports::PaymentRow;
use florin_domain::vault::Once;
use zeroize::Zeroizing;

/// A request that changes something.
#[derive(Debug)]
pub(crate) struct Posted {
    /// Who asks.
    pub(crate) caller: Caller,
    /// Its key, or one of our own that nobody will send again.
    pub(crate) key: IdempotencyKey,
    /// What is left to read.
    pub(crate) params: Params,
    /// What to expand in the answer. It is no part of what is asked, and so another one is no other request.
    pub(crate) expand: Expand,
    /// All that it says, in one form.
    canonical: Vec<u8>,
}

impl Posted {
    /// Reads it. `kind` is what it is answered with.
    pub(crate) async fn read(
        state: &State,
        request: &HttpRequest,
        payload: Payload,
        kind: Kind,
    ) -> Result<Self, Refused> {
        let caller = Caller::of(state, request)?;
        caller.merchant()?;
        query::none(request)?;
        // A header that is there and empty is a mistake of the caller's, whose next try must not be another payment.
        let key = if idempotency_key::is_said(request.headers()) {
            idempotency_key::read(request.headers())?
        } else {
            fresh_key()?
        };
        let (format, bytes) = read_form_or_json(state, request, payload).await?;
        let fields = match format {
            Format::Form => tree::read_form(&bytes, Code::BodyInvalid)?,
            Format::Json => tree::read_json(&bytes)?,
        };
        // What is said here is journaled, listed and shown.
        check_texts(&fields)?;
        let mut params = Params::new(fields);
        let expand = params.expand(kind, false)?;
        let canonical = params.canonical();
        Ok(Self {
            caller,
            key,
            params,
            expand,
            canonical,
        })
    }

    /// Whose it is, and in which mode.
    pub(crate) fn owner(&self) -> Result<(MerchantId, bool), ApiError> {
        let (merchant, livemode) = self.caller.merchant()?;
        Ok((merchant.id, livemode))
    }

    /// The digests that make it happen once.
    pub(crate) fn digests(&self, state: &State, path: &str) -> Result<(KeyDigest, Fingerprint), ApiError> {
        let (merchant, livemode) = self.owner()?;
        let key = (state.digests.key)(merchant, livemode, self.key.as_str());
        Ok((key, (state.digests.fingerprint)("POST", path, &self.canonical)))
    }

    /// Under which key of the vault's own its card is saved once. No key of a caller's has a line break.
    pub(crate) fn once(&self, state: &State, path: &str) -> Result<Once, ApiError> {
        let (merchant, livemode) = self.owner()?;
        let own = format!("{}\npayment_method_data", self.key.as_str());
        let mut asked = Zeroizing::new(format!("POST {path}\n").into_bytes());
        asked.extend_from_slice(&self.canonical);
        Ok(Once {
            key: (state.digests.key)(merchant, livemode, &own),
            asked,
        })
    }

    /// Has a change of a payment made once for its key. `path` is the request's own, with the payment's native name.
    pub(crate) async fn change(
        &self,
        state: &State,
        path: &str,
        payment: PaymentId,
        change: Change,
    ) -> Result<Answered, Refused> {
        let owner = self.owner()?;
        let (key_digest, fingerprint) = self.digests(state, path)?;
        let cannot = cannot(&change);
        let asked = ChangeRequest {
            payment,
            owner: Some(owner),
            operator: None,
            key: self.key.clone(),
            key_digest,
            fingerprint,
            change,
        };
        match submitted(state, asked).await {
            Err(error @ ApiError::UnexpectedState { .. }) => {
                match state.payments.get(owner, payment).await? {
                    None => Err(error.into()),
                    Some(row) => Err(Refused::State {
                        cannot,
                        error,
                        payment: row.payment,
                    }),
                }
            }
            other => Ok(other?),
        }
    }
}

/// A key of our own. The names of requests never repeat, and no caller is told one before its answer.
fn fresh_key() -> Result<IdempotencyKey, ApiError> {
    IdempotencyKey::own(&request_id::current()).map_err(ApiError::IdempotencyKey)
}

/// A question of a merchant, with its query.
pub(crate) fn asked(state: &State, request: &HttpRequest) -> Result<((MerchantId, bool), Params), Refused> {
    let caller = Caller::of(state, request)?;
    let (merchant, livemode) = caller.merchant()?;
    let fields = tree::read_form(request.query_string().as_bytes(), Code::QueryInvalid)?;
    Ok(((merchant.id, livemode), Params::new(fields)))
}

/// The payment whose intent the path names.
pub(crate) fn intent_id(request: &HttpRequest) -> Result<PaymentId, Refused> {
    named(request, ids::payment).ok_or_else(|| missing("payment_intent"))
}

/// The payment whose charge the path names.
pub(crate) fn charge_id(request: &HttpRequest) -> Result<PaymentId, Refused> {
    named(request, ids::charge).ok_or_else(|| missing("charge"))
}

fn named<T>(request: &HttpRequest, read: impl Fn(&str) -> Option<T>) -> Option<T> {
    request.match_info().get("id").and_then(read)
}

/// A payment as it stands.
pub(crate) async fn found(
    state: &State,
    owner: (MerchantId, bool),
    id: PaymentId,
    kind: &'static str,
) -> Result<PaymentRow, Refused> {
    let row = state.payments.get(owner, id).await?;
    row.ok_or_else(|| missing(kind))
}
