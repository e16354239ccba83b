//! Whoever shows a session: a customer's browser, from our own page.

use super::session::{PREFIX, Session};
use crate::auth;
use crate::errors::{ApiError, Code, Invalid};
use crate::state::State;
use crate::v1::payment_link_body::refused;
use actix_web::HttpRequest;
use actix_web::http::header::{HOST, ORIGIN};
use florin_domain::merchant::Merchant;
use florin_domain::payment_link::PaymentLink;

const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// A customer who may pay a link.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) link: PaymentLink,
    pub(super) session: Session,
    pub(super) merchant: Merchant,
}

impl Guest {
    /// The customer, if the request comes with a session in the place of an API key. What claims to be one and is none is refused as any other wrong key.
    pub(crate) async fn claimed(state: &State, request: &HttpRequest) -> Result<Option<Self>, ApiError> {
        let secret = auth::secret(request.headers());
        let Some(text) = secret.filter(|secret| secret.starts_with(PREFIX)) else {
            return Ok(None);
        };
        check_origin(state, request)?;
        let session = Session::read(&*state.client_secrets, &text);
        let Some(session) = session else {
            let peer = request.peer_addr().map(|peer| peer.ip());
            return Err(state.rate_limits.refuse_stranger(peer));
        };
        if !session.is_open(state.links.now()) {
            return Err(ApiError::Unauthenticated);
        }
        let link = state.links.find(session.link).await.map_err(refused)?;
        let link = link.ok_or(ApiError::Unauthenticated)?;
        state.rate_limits.take_for_link(link.id)?;
        let merchant = may_pay(state, &link)?;
        Ok(Some(Self {
            link,
            session,
            merchant,
        }))
    }

    /// What stands before this customer's own idempotency keys. No key has a line break, so none of the merchant's and none of another customer's
    /// can be the same.
    pub(crate) fn apart(&self, state: &State) -> String {
        let apart = self.session.key(&*state.client_secrets, "idempotency keys");
        format!("{apart}\n")
    }
}

/// The merchant of a link, if it may be paid now.
fn may_pay(state: &State, link: &PaymentLink) -> Result<Merchant, ApiError> {
    let control = state.directory.control();
    let merchant = link.owner.merchant;
    if control.stops.read_only.is_some() {
        return Err(ApiError::ReadOnly);
    }
    if control.stops.merchants.contains_key(&merchant) {
        return Err(ApiError::MerchantFrozen);
    }
    let merchant = control.merchants.iter().find(|known| known.id == merchant);
    merchant.cloned().ok_or(ApiError::Unauthenticated)
}

/// Refuses what another site's page has a browser send. Every browser says where a POST comes from.
fn check_origin(state: &State, request: &HttpRequest) -> Result<(), ApiError> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let authority = |url: &str| url.split_once("://").map(|(_, authority)| authority.to_owned());
    let origin = header(ORIGIN.as_str()).and_then(authority);
    let host = header(HOST.as_str()).map(str::to_owned);
    let is_ours = origin.is_some() && (origin == host || origin == authority(&state.public_url));
    let is_same = header(SEC_FETCH_SITE).is_none_or(|site| site == "same-origin");
    if is_ours && is_same {
        return Ok(());
    }
    let message = "`Origin` is not where the checkout page is: a session is for that page alone.";
    Err(Invalid::new("Origin", Code::ParameterInvalid, message).into())
}
