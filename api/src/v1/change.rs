//! A request about a payment that exists: its key, its payment, its body.

use super::payment_get::id;
use super::unresolved_list;
use crate::auth::Caller;
use crate::body;
use crate::errors::{ApiError, Code, Invalid};
use crate::state::State;
use crate::{idempotency_key, json, query};
use actix_web::HttpRequest;
use actix_web::web::Payload;
use bytes::Bytes;
use florin_actors::payments_handle::{Answered, Change, ChangeRequest};
use florin_domain::idempotency::IdempotencyKey;
use florin_domain::ids::{MerchantId, PaymentId};
use florin_domain::payment::Refusal;
use florin_domain::vault::Owner;
use serde::Deserialize;
use std::sync::Arc;

/// What a body means, with the one form of it that the fingerprint is made of.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) change: Change,
    pub(super) canonical: String,
}

/// Why a payment's own rules may refuse a change, besides the amount.
pub(super) const REFUSED: [Code; 9] = [
    Code::PaymentExists,
    Code::AttemptMissing,
    Code::PaymentUnexpectedState,
    Code::OperationInProgress,
    Code::NothingLeft,
    Code::ProviderMismatch,
    Code::OperationExists,
    Code::TooManyOperations,
    Code::TooManyAttempts,
];

/// A merchant's request that was read and not understood yet.
pub(super) struct Begun {
    caller: Caller,
    pub(super) owner: Owner,
    payment: PaymentId,
    key: IdempotencyKey,
    pub(super) bytes: Bytes,
}

/// Reads a merchant's request about a payment.
pub(super) async fn begin(state: &State, request: &HttpRequest, payload: Payload) -> Result<Begun, ApiError> {
    let caller = Caller::of(state, request)?;
    let (merchant, livemode) = caller.merchant()?;
    let merchant = merchant.id;
    query::none(request)?;
    let payment = id(request)?;
    let key = idempotency_key::read(request.headers())?;
    let bytes = body::read_optional_json(state, request, payload).await?;
    let owner = Owner { merchant, livemode };
    Ok(Begun {
        caller,
        owner,
        payment,
        key,
        bytes,
    })
}

/// Has what a merchant asks made once for its key. `check` says what the body means in live or test mode.
pub(super) async fn make(
    state: &State,
    request: &HttpRequest,
    payload: Payload,
    name: &'static str,
    check: impl FnOnce(&[u8], bool) -> Result<Checked, Invalid>,
) -> Result<Answered, ApiError> {
    let begun = begin(state, request, payload).await?;
    let checked = check(&begun.bytes, begun.owner.livemode)?;
    begun.make(state, name, checked).await
}

impl Begun {
    /// The same once it is known what the body means.
    pub(super) async fn make(
        self,
        state: &State,
        name: &'static str,
        Checked { change, canonical }: Checked,
    ) -> Result<Answered, ApiError> {
        match change {
            Change::Capture { .. }
            | Change::Increment { .. }
            | Change::Confirm(_)
            | Change::ConfirmFor { .. }
            | Change::MethodGone
            | Change::Complete { .. } => {
                self.caller.may_take_money()?;
            }
            Change::Void
            | Change::Refund { .. }
            | Change::ApproveReview
            | Change::RejectReview
            | Change::Amend(_)
            | Change::Resolve { .. }
            | Change::Note { .. } => {}
        }
        let Owner { merchant, livemode } = self.owner;
        let key_digest = (state.digests.key)(merchant, livemode, self.key.as_str());
        let path = format!("/v1/payments/{}/{name}", self.payment);
        let fingerprint = (state.digests.fingerprint)("POST", &path, canonical.as_bytes());
        let change = ChangeRequest {
            payment: self.payment,
            owner: Some((merchant, livemode)),
            operator: None,
            key: self.key,
            key_digest,
            fingerprint,
            change,
        };
        submitted(state, change).await
    }
}

/// Has what an operator orders about any merchant's payment made once for its key. `check` is told the operator's name.
pub(super) async fn order(
    state: &State,
    request: &HttpRequest,
    payload: Payload,
    check: impl FnOnce(&[u8], &Arc<str>) -> Result<Checked, Invalid>,
) -> Result<Answered, ApiError> {
    let operator = Caller::of(state, request)?.operator_id()?;
    query::none(request)?;
    let name = request.match_info().get("id").unwrap_or_default();
    let (payment, _) = unresolved_list::parse(name).ok_or(ApiError::NoSuchObject { kind: "payment" })?;
    let key = idempotency_key::read(request.headers())?;
    let bytes = body::read_optional_json(state, request, payload).await?;
    let operator_name: Arc<str> = operator.to_string().into();
    let Checked { change, canonical } = check(&bytes, &operator_name)?;
    // Operators have keys of their own: no merchant has the bits of an API key as its id.
    let asker = MerchantId::from_bits(operator.bits());
    let key_digest = (state.digests.key)(asker, false, key.as_str());
    let fingerprint = (state.digests.fingerprint)("POST", request.path(), canonical.as_bytes());
    let change = ChangeRequest {
        payment,
        owner: None,
        operator: Some(operator_name),
        key,
        key_digest,
        fingerprint,
        change,
    };
    submitted(state, change).await
}

/// Has it done, and says which status is in the way if one is: the refusal does not know it, so it is read once more.
pub(crate) async fn submitted(state: &State, change: ChangeRequest) -> Result<Answered, ApiError> {
    let (payment, owner, cannot) = (change.payment, change.owner, cannot(&change.change));
    let answered = state.payments.change(change).await.map_err(ApiError::from);
    let refused = ApiError::Refused(Refusal::WrongStatus);
    if answered.as_ref().err() != Some(&refused) {
        return answered;
    }
    let status = if let Some(owner) = owner {
        let row = state.payments.get(owner, payment).await.ok().flatten();
        row.map(|row| row.payment.status.as_str())
    } else {
        let loaded = state.payments.history(None, payment).await.ok().flatten();
        loaded.map(|loaded| loaded.payment.status.as_str())
    };
    Err(status.map_or(refused, |status| ApiError::UnexpectedState { status, cannot }))
}

/// What a payment in another state does not allow, as the end of a sentence about it.
pub(crate) const fn cannot(change: &Change) -> &'static str {
    match change {
        Change::Capture { .. } => "cannot be captured",
        Change::Increment { .. } => "cannot have more reserved: that takes an authorization without captures",
        Change::Void => "cannot be voided",
        Change::Refund { .. } => "cannot be refunded",
        Change::Confirm(Some(_)) | Change::ConfirmFor { .. } => {
            "cannot be confirmed with another payment method"
        }
        Change::Confirm(None) => "cannot be confirmed without naming a payment method",
        Change::MethodGone => "cannot be confirmed with a payment method that is gone",
        Change::Amend(_) => "cannot be changed: it was confirmed already",
        Change::Complete { .. } => "cannot be confirmed: no challenge of the customer is open",
        Change::ApproveReview => "cannot be approved: it is not under review",
        Change::RejectReview => "cannot be rejected: it is not under review",
        Change::Resolve { .. } => "has nothing to resolve here: what became of the attempt is known",
        Change::Note { .. } => {
            "has nothing to note here: nothing is open about the attempt besides its outcome"
        }
    }
}

/// A body that says nothing: the path has said it all.
pub(super) fn nothing(bytes: &[u8], change: Change) -> Result<Checked, Invalid> {
    let Nothing {} = json::read(bytes)?;
    let canonical = "1".to_owned();
    Ok(Checked { change, canonical })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}
