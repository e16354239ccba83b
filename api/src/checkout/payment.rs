//! The payment of a session, or the one payment of a link that is paid once. It begins as a draft, of which nobody is asked for anything, and
//! only the payment that has its place is ever confirmed.

use super::guest::Guest;
use super::session::link_key;
use crate::errors::ApiError;
use crate::state::State;
use crate::v1::payment_link_body::{refused, url};
use florin_actors::payment::Start;
use florin_actors::payments_handle::NewPayment;
use florin_domain::idempotency::IdempotencyKey;
use florin_domain::ids::PaymentId;
use florin_domain::limits::ATTEMPTS_MAX;
use florin_domain::payment::{DeclinePolicy, Device, Failure, Payment, Status};
use florin_domain::payment_link::{LINK_METADATA, PaymentLink};
use florin_domain::ports::LinkClaim;
use florin_domain::routing::Wishes;
use florin_domain::vault::Owner;
use std::sync::Arc;

/// A key of ours.
pub(super) fn parsed(key: &str) -> Result<IdempotencyKey, ApiError> {
    IdempotencyKey::parse(key).map_err(ApiError::IdempotencyKey)
}

/// A payment as it stands.
pub(super) async fn find(
    state: &State,
    owner: Owner,
    id: PaymentId,
) -> Result<Option<Arc<Payment>>, ApiError> {
    let row = state.payments.get((owner.merchant, owner.livemode), id).await?;
    Ok(row.map(|row| row.payment))
}

/// Where a payment stands, as far as its customer can do something about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// A card may be tried.
    Open,
    /// The customer's bank wants to see them, there.
    Challenged(Option<Arc<str>>),
    /// It is under way.
    Waiting,
    /// It is paid, or reserved.
    Paid,
    /// Nothing more comes of it.
    Ended,
}

impl Stage {
    pub(super) fn of(payment: &Payment) -> Self {
        match &payment.status {
            Status::Failed if payment.failure.as_ref().is_some_and(Failure::is_exhaustion) => Self::Ended,
            // No card would be tried any more.
            _ if payment.may_be_confirmed()
                && payment.next_attempt(payment.authorize_id()) > ATTEMPTS_MAX =>
            {
                Self::Ended
            }
            Status::RequiresPaymentMethod | Status::RequiresConfirmation | Status::Failed => Self::Open,
            Status::RequiresAction(action) => Self::Challenged(action.redirect_url.clone()),
            Status::InReview { .. } | Status::Processing => Self::Waiting,
            Status::Authorized | Status::Succeeded => Self::Paid,
            Status::Blocked | Status::Voided => Self::Ended,
        }
    }
}

/// Risk forbade it before anybody was asked: it never took and never takes any money, so another payment may have its place.
pub(super) fn is_void_of_money(payment: &Payment) -> bool {
    payment.status == Status::Blocked && payment.operations.is_empty()
}

/// The payment that this customer's try is for.
pub(super) async fn begun(state: &State, guest: &Guest) -> Result<Arc<Payment>, ApiError> {
    let link = &guest.link;
    if !link.terms.single_use {
        let key = guest.session.key(&*state.client_secrets, "payment");
        let id = draft(state, guest, &key).await?;
        return find(state, link.owner, id).await?.ok_or(ApiError::TryAgain);
    }
    let held = match link.payment {
        Some(held) => Some(find(state, link.owner, held).await?.ok_or(ApiError::TryAgain)?),
        None => None,
    };
    if let Some(held) = held.as_ref().filter(|held| !is_void_of_money(held)) {
        return Ok(Arc::clone(held));
    }
    // The same for all sessions, until there is a payment in the place: of those that come together one draft is made. Were there two all the
    // same, because a key is kept for a day only, the place decides.
    let key = link_key(
        &*state.client_secrets,
        link.id,
        &format!("payment {}", link.claims),
    );
    let claim = LinkClaim {
        link: link.id,
        instead_of: link.payment,
        payment: draft(state, guest, &key).await?,
    };
    let claimed = state.links.claim(claim).await.map_err(refused)?;
    let id = claimed.payment.ok_or(ApiError::TryAgain)?;
    find(state, link.owner, id).await?.ok_or(ApiError::TryAgain)
}

/// Makes the draft of a key, or finds it.
async fn draft(state: &State, guest: &Guest, key: &str) -> Result<PaymentId, ApiError> {
    let Guest { link, merchant, .. } = guest;
    let (owner, terms) = (link.owner, &link.terms);
    // Only what never changes: a description that was changed meanwhile makes no other request.
    let asked = link.id.to_string();
    let new = NewPayment {
        merchant: owner.merchant,
        livemode: owner.livemode,
        fee: merchant.fee,
        key: parsed(key)?,
        key_digest: (state.digests.key)(owner.merchant, owner.livemode, key),
        fingerprint: (state.digests.fingerprint)("POST", "/pay/{id}/attempts", asked.as_bytes()),
        amount: terms.amount,
        currency: terms.currency,
        start: Start::Draft(None),
        // The customer is there.
        off_session: false,
        // Another card may follow.
        after_decline: DeclinePolicy::AwaitMethod,
        capture_method: terms.capture_method,
        customer: terms.customer.clone(),
        description: terms.description.clone(),
        metadata: metadata(link),
        return_url: Some(format!("{}/return", url(&state.public_url, link.id)).into()),
        // Behind a proxy every customer has its address, which says nothing of any of them.
        device: Device::default(),
        routing: Wishes::default(),
    };
    let made = state.payments.create(new).await.map_err(ApiError::from)?;
    Ok(made.payment.id())
}

fn metadata(link: &PaymentLink) -> Vec<(Arc<str>, Arc<str>)> {
    let mut metadata = link.terms.metadata.clone();
    metadata.push((Arc::from(LINK_METADATA), link.id.to_string().into()));
    metadata
}
