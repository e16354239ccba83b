//! `POST /pay/{id}/attempts`: a card behind a token is tried for the payment of a session. However often the same is sent, it is tried once; and
//! of several cards that are sent together, one is.

use super::guest::Guest;
use super::payment::{self, Stage, begun};
use super::session::Session;
use super::view::cookie;
use super::words;
use crate::errors::{ApiError, Code, Invalid};
use crate::json::{self, Text};
use crate::openapi::{Access, Endpoint, bounded_text, chapter, must, or_null, record, strict, text, word};
use crate::reply::{self, Reply};
use crate::state::State;
use crate::v1::change::submitted;
use crate::v1::payment_link_body::url;
use crate::vault::refused;
use crate::{body, query};
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, HeaderValue, SET_COOKIE};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use florin_actors::payments_handle::{Change, ChangeRequest};
use florin_domain::ids::MethodId;
use florin_domain::payment::{Answer, Payment};
use florin_domain::ports::{VaultError, VaultKey};
use florin_domain::token::CardToken;
use florin_domain::vault::{Once, Profile, SavedMethod, VaultChange, VaultObject, VaultRefusal};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use zeroize::Zeroizing;

/// A token and the names around it are far fewer.
const BODY_BYTES_MAX: usize = 1024;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AttemptRequest<'a> {
    #[serde(borrow)]
    token: Text<'a>,
}

/// What the page's script is told.
#[derive(Debug, Serialize)]
struct Told {
    object: &'static str,
    state: &'static str,
    message: Option<&'static str>,
    field: Option<&'static str>,
    url: Option<String>,
}

impl Told {
    /// Whoever tries many cards to see which are good is told mostly this.
    fn is_in_vain(&self) -> bool {
        matches!(self.state, "declined" | "ended" | "again")
    }
}

/// Nobody was asked for any money.
const NOT_NOW: &str =
    "The payment is not possible right now. You have not been charged. Try again in a moment.";

pub(crate) async fn attempt(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    let attempt = async {
        let guest = Guest::claimed(&state, &request).await?;
        let named = request.match_info().get("id").unwrap_or_default();
        let of_this_link = |guest: &Guest| guest.link.id.to_string() == named;
        let guest = guest.filter(of_this_link).ok_or(ApiError::Unauthenticated)?;
        query::none(&request)?;
        let bytes = body::read_json_up_to(&state, &request, payload, BODY_BYTES_MAX).await?;
        let asked: AttemptRequest<'_> = json::read(&bytes)?;
        let token = CardToken::parse(asked.token.as_str()).map_err(|error| {
            let message = format!("`token`: {error}.");
            ApiError::from(Invalid::new("token", Code::TokenInvalid, message))
        })?;
        state.rate_limits.take_try(guest.link.id)?;
        let (told, session) = tried(&state, &guest, token).await?;
        if !told.is_in_vain() {
            state.rate_limits.give_try_back(guest.link.id);
        }
        let mut response = reply::json(StatusCode::OK, &told)?;
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(session) = session {
            headers.insert(SET_COOKIE, cookie(&state, &session)?);
        }
        Ok::<HttpResponse, ApiError>(response)
    };
    Reply(attempt.await)
}

/// Tries a card; the session afterwards, if it has tried something.
async fn tried(state: &State, guest: &Guest, token: CardToken) -> Result<(Told, Option<Session>), ApiError> {
    let link = &guest.link;
    if !link.is_active {
        return Ok((there(state, guest, "closed"), None));
    }
    // Before anything is journaled: a token that nobody was given is none.
    let known = state.cards.get(link.owner, VaultKey::Token(token)).await;
    match known.map_err(refused)? {
        None => return Err(refused(VaultError::Refused(VaultRefusal::NoSuchToken))),
        // One that another session used is refused before it makes a draft.
        Some(VaultObject::Token(known)) if known.is_used => {
            saved(state, guest, token).await?;
        }
        Some(_) => {}
    }
    let payment = begun(state, guest).await?;
    // What is paid or under way is not paid again: no card is needed to see that.
    if Stage::of(&payment) != Stage::Open {
        return Ok(seen(state, guest, &payment));
    }
    let method = saved(state, guest, token).await?;
    let id = method.id;
    let session = guest.session.having_tried(payment.id(), id);
    match confirmed(state, guest, &payment, &method).await {
        Ok((_, Answer::NoProvider)) => Ok((again(NOT_NOW), Some(session))),
        Ok((payment, _)) => Ok((told(state, guest, &payment, Some(id)), Some(session))),
        // Somebody else was faster: what became of that is what there is to see.
        Err(ApiError::Refused(_) | ApiError::UnexpectedState { .. }) => {
            let now = payment::find(state, link.owner, payment.id()).await?;
            let now = now.ok_or(ApiError::TryAgain)?;
            match Stage::of(&now) {
                Stage::Open => Ok((again(NOT_NOW), None)),
                Stage::Challenged(_) | Stage::Waiting | Stage::Paid | Stage::Ended => {
                    Ok(seen(state, guest, &now))
                }
            }
        }
        Err(error) => Err(error),
    }
}

/// Where a payment stands that was tried before. One of a link that may be paid often is this session's own, also if the browser never heard of
/// it because an answer was lost; that of a link of single use may be anybody's.
fn seen(state: &State, guest: &Guest, payment: &Payment) -> (Told, Option<Session>) {
    let method = payment.method.as_ref().filter(|_| !guest.link.terms.single_use);
    let method = method.and_then(|method| MethodId::parse(&method.id).ok());
    let session = method.map(|method| guest.session.having_tried(payment.id(), method));
    (told(state, guest, payment, method), session)
}

/// Saves the card of a token, once for this session.
async fn saved(state: &State, guest: &Guest, token: CardToken) -> Result<SavedMethod, ApiError> {
    let (owner, purpose) = (guest.link.owner, format!("card {token}"));
    let key = guest.session.key(&*state.client_secrets, &purpose);
    let once = Once {
        key: (state.digests.key)(owner.merchant, owner.livemode, &key),
        asked: Zeroizing::new(purpose.into_bytes()),
    };
    let said = Profile::default();
    let change = VaultChange::UseToken { token, said };
    let changed = state.cards.change(owner, change, Some(once)).await;
    match changed.map_err(refused)?.object {
        VaultObject::Method(method) => Ok(method),
        VaultObject::Customer(_)
        | VaultObject::CustomerDeleted(_)
        | VaultObject::Token(_)
        | VaultObject::Setup(_)
        | VaultObject::Mandate(_) => Err(ApiError::Internal),
    }
}

/// Has a card tried, once for this session and card.
async fn confirmed(
    state: &State,
    guest: &Guest,
    payment: &Payment,
    method: &SavedMethod,
) -> Result<(Arc<Payment>, Answer), ApiError> {
    let owner = guest.link.owner;
    let purpose = format!("attempt {} {}", payment.id(), method.id);
    let key = guest.session.key(&*state.client_secrets, &purpose);
    let change = ChangeRequest {
        payment: payment.id(),
        owner: Some((owner.merchant, owner.livemode)),
        operator: None,
        key: payment::parsed(&key)?,
        key_digest: (state.digests.key)(owner.merchant, owner.livemode, &key),
        fingerprint: (state.digests.fingerprint)("POST", "/pay/{id}/attempts", purpose.as_bytes()),
        change: Change::Confirm(Some(method.payment_method(state.cards.now()))),
    };
    let answered = submitted(state, change).await?;
    Ok((answered.payment, answered.answer))
}

const fn again(message: &'static str) -> Told {
    Told {
        object: "checkout_attempt",
        state: "again",
        message: Some(message),
        field: None,
        url: None,
    }
}

/// The browser goes to the link's own page and sees.
fn there(state: &State, guest: &Guest, name: &'static str) -> Told {
    Told {
        object: "checkout_attempt",
        state: name,
        message: None,
        field: None,
        url: Some(url(&state.public_url, guest.link.id)),
    }
}

/// Where a payment stands after this session has tried a card, or if it has not.
fn told(state: &State, guest: &Guest, payment: &Payment, tried: Option<MethodId>) -> Told {
    let named = payment.method.as_ref().map(|method| method.id.as_ref());
    let is_own = tried.is_some_and(|tried| named == Some(tried.to_string().as_str()));
    match Stage::of(payment) {
        Stage::Open => {
            let (message, field) = words::declined(payment.failure.as_ref());
            Told {
                state: "declined",
                field,
                ..again(message)
            }
        }
        Stage::Challenged(Some(bank)) if is_own => Told {
            state: "challenge",
            message: None,
            url: Some(bank.to_string()),
            ..again("")
        },
        Stage::Challenged(_) | Stage::Waiting => {
            let there = there(state, guest, "waiting");
            let place = there.url.as_ref().map(|url| format!("{url}/return"));
            Told { url: place, ..there }
        }
        Stage::Paid => {
            let there = there(state, guest, "paid");
            let on = guest.link.terms.redirect_url.as_ref().filter(|_| is_own);
            let place = on.map(ToString::to_string);
            Told {
                url: place.or_else(|| there.url.clone()),
                ..there
            }
        }
        Stage::Ended => there(state, guest, "ended"),
    }
}

pub(crate) fn described_attempt() -> Endpoint {
    let token = bounded_text("What stands for the card.", (1, 64));
    let states = [
        "paid",
        "challenge",
        "waiting",
        "declined",
        "again",
        "ended",
        "closed",
    ];
    let shape = record([
        must("object", word("What it is.", ["checkout_attempt"])),
        must("state", word("Where the payment stands.", states)),
        must("message", or_null(text("For the customer."))),
        must("field", or_null(text("The field of the form that it is about."))),
        must("url", or_null(text("Where the browser goes on."))),
    ]);
    let example = serde_json::json!({
        "object": "checkout_attempt", "state": "declined", "message": "The card has expired. Use another card.", "field": "expiry", "url": null,
    });
    let body = serde_json::json!({"token": crate::vault::TOKEN_ID});
    Endpoint::order("/pay/{id}/attempts", Access::Everybody)
        .called(
            "attemptCheckout",
            "Try a card on the checkout page",
            "For the page's own script: its session is in the place of an API key, and it must come from where the page is. The same token is tried once.",
        )
        .in_chapter(chapter::CHECKOUT)
        .path_part("id", text("The link."), super::view::LINK_ID)
        .takes(strict([must("token", token)]), &[("A card", body)])
        .answers(200, "What became of it; also a decline.", shape, example)
        .refuses(
            400,
            &[
                Code::TokenInvalid,
                Code::TokenAlreadyUsed,
                Code::CardsNotKept,
                Code::IdempotencyKeyReused,
                Code::QueryInvalid,
                Code::ResourceMissing,
            ],
        )
        .refuses(401, &[Code::ApiKeyInvalid])
        .refuses(403, &[Code::MerchantFrozen])
        .refuses(404, &[Code::ResourceMissing])
        .refuses(422, &[Code::IdempotencyKeyReused])
        .refuses(429, &[Code::RateLimited, Code::IdempotencyKeyInUse])
        .refuses(500, &[Code::InternalError])
        .refuses(503, &[Code::ReadOnly])
}
