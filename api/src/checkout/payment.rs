//! The payment of a session, or the one payment of a link that is paid once. It begins as a draft, of which nobody is asked for anything, and
//! only the payment that has its place is ever confirmed.

use super::guest::Guest;
use super::session::{Session, link_key};
use crate::errors::ApiError;
use crate::state::State;
use crate::v1::payment_link_body::{refused, url};
use florin_actors::payment::Start;
use florin_actors::payments_handle::NewPayment;
use florin_domain::idempotency::IdempotencyKey;
use florin_domain::ids::{MethodId, PaymentId};
use florin_domain::limits::ATTEMPTS_MAX;
use florin_domain::money::{Amount, Currency};
use florin_domain::payment::{DeclinePolicy, Device, Failure, Payment, Status};
use florin_domain::payment_link::{LINK_METADATA, PaymentLink};
use florin_domain::ports::{ClientSecrets, LinkClaim};
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
    /// The stage of a payment of this link.
    pub(super) fn of(link: &PaymentLink, payment: &Payment) -> Self {
        let is_exhausted = payment.failure.as_ref().is_some_and(Failure::is_exhaustion);
        match &payment.status {
            // A provider may have taken money for it after all: until that is given back nobody may say that there was none.
            Status::RequiresPaymentMethod | Status::RequiresConfirmation | Status::Failed
                if !payment.may_be_confirmed() =>
            {
                Self::Waiting
            }
            Status::Blocked | Status::Voided if payment.late_minor != 0 => Self::Waiting,
            Status::Failed if is_exhausted => Self::Ended,
            // No card would be tried any more.
            _ if payment.may_be_confirmed()
                && payment.next_attempt(payment.authorize_id()) > ATTEMPTS_MAX =>
            {
                Self::Ended
            }
            // The merchant has changed what it costs: that is not what the page asks for.
            Status::RequiresPaymentMethod | Status::RequiresConfirmation | Status::Failed
                if asked_for(link) != (payment.spec.amount, payment.spec.currency) =>
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

/// What the page asks its customers for.
pub(super) const fn asked_for(link: &PaymentLink) -> (Amount, Currency) {
    (link.terms.amount, link.terms.currency)
}

/// Risk forbade it before anybody was asked: it never took and never takes any money, so another payment may have its place.
pub(super) fn is_void_of_money(payment: &Payment) -> bool {
    payment.status == Status::Blocked && payment.operations.is_empty()
}

/// The idempotency key under which a session tries a card, and what it is made of.
pub(super) fn try_key(state: &State, session: &Session, payment: PaymentId, card: &str) -> (String, String) {
    let purpose = format!("attempt {payment} {card}");
    (session.key(&*state.client_secrets, &purpose), purpose)
}

/// The card that was tried last, if it was this session that tried it: it may never have heard so.
pub(super) fn tried_by(state: &State, session: &Session, payment: &Payment) -> Option<MethodId> {
    let (spec, method) = (&payment.spec, payment.method.as_ref()?);
    let (key, _) = try_key(state, session, payment.id(), &method.id);
    payment.request((state.digests.key)(spec.merchant, spec.livemode, &key))?;
    MethodId::parse(&method.id).ok()
}

/// A payment as its bank leads back with it, perhaps into another browser: of this link, named like this in its address.
pub(super) fn sealed(secrets: &dyn ClientSecrets, link: &str, payment: PaymentId) -> String {
    let seal = secrets.checkout_seal(&format!("return {link} {payment}"));
    format!("{payment}.{seal:032x}")
}

/// Reads one that is ours.
pub(super) fn unsealed(secrets: &dyn ClientSecrets, link: &str, text: &str) -> Option<PaymentId> {
    let payment = PaymentId::parse(text.split_once('.')?.0).ok()?;
    (sealed(secrets, link, payment) == text).then_some(payment)
}

/// The payment that this customer's try is for; `kept` is the one that the browser already has of this session.
pub(super) async fn begun(
    state: &State,
    guest: &Guest,
    kept: Option<PaymentId>,
) -> Result<Arc<Payment>, ApiError> {
    let link = &guest.link;
    if !link.terms.single_use {
        let id = if let Some(id) = guest.session.payment().or(kept) {
            id
        } else {
            let key = guest.session.key(&*state.client_secrets, "payment");
            draft(state, guest, &key).await?
        };
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

/// Makes the draft of a key, or finds it. One that is made counts until it has led to something.
async fn draft(state: &State, guest: &Guest, key: &str) -> Result<PaymentId, ApiError> {
    let Guest { link, merchant, .. } = guest;
    let (owner, terms) = (link.owner, &link.terms);
    // Only what never changes: a description that was changed meanwhile makes no other request.
    let asked = link.id.to_string();
    let id = state.payments.draw_id(owner.merchant);
    let of = sealed(&*state.client_secrets, &asked, id);
    let new = NewPayment {
        id: Some(id),
        merchant: owner.merchant,
        livemode: owner.livemode,
        fee: state.directory.fees().due(merchant),
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
        return_url: Some(format!("{}/return?of={of}", url(&state.public_url, link.id)).into()),
        // Behind a proxy every customer has its address, which says nothing of any of them.
        device: Device::default(),
        routing: Wishes::default(),
    };
    state.rate_limits.take_draft(link.id)?;
    let made = state.payments.create(new).await.map_err(ApiError::from);
    let is_made = made
        .as_ref()
        .map_or_else(|error| !error.is_of_the_server(), |answered| !answered.replayed);
    if !is_made {
        state.rate_limits.give_draft_back(link.id);
    }
    Ok(made?.payment.id())
}

fn metadata(link: &PaymentLink) -> Vec<(Arc<str>, Arc<str>)> {
    let mut metadata = link.terms.metadata.clone();
    metadata.push((Arc::from(LINK_METADATA), link.id.to_string().into()));
    metadata
}
