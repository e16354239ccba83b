//! `POST /pay/{id}/attempts`: a card behind a token is tried for the payment of a session. However often the same is sent, it is tried once; and
//! of several cards that are sent together, one is.

use super::guest::Guest;
use super::payment::{self, Stage, asked_for, begun, tried_by, try_key};
use super::session::Session;
use super::view::{cookie, held, own_page};
use super::words;
use crate::errors::{ApiError, Code, Invalid};
use crate::json::{self, Text};
use crate::openapi::{Access, Endpoint, bounded_text, chapter, must, or_null, record, strict, text, word};
use crate::reply::{self, Remembered, Reply};
use crate::state::State;
use crate::v1::change::submitted;
use crate::vault::refused;
use crate::{body, query};
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, HeaderValue, SET_COOKIE};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use florin_actors::payments_handle::{Answered, Change, ChangeRequest};
use florin_domain::ids::MethodId;
use florin_domain::payment::{Answer, Payment};
use florin_domain::ports::{VaultError, VaultKey};
use florin_domain::token::CardToken;
use florin_domain::vault::{Once, Profile, SavedMethod, VaultChange, VaultObject, VaultRefusal};
use serde::{Deserialize, Serialize};
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
    /// A card was tried for this very request: what became of it is in the journal.
    #[serde(skip)]
    is_done_now: bool,
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
/// Another request was faster, and nothing is to be seen of it yet.
const MEANWHILE: &str =
    "The payment is not possible right now. Try again in a moment: you are not charged twice.";
/// Shown only if the browser does not keep what it is given.
const UNKNOWN: &str = "Your browser keeps no cookies for this page, and without one you could be charged twice. Allow them and load the page again. You have not \
     been charged.";

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
        let held = held(&state, &request).filter(|held| held.link == guest.link.id);
        // To its end also if the browser leaves: what has come of a try is counted in any case.
        let work = actix_web::rt::spawn({
            let state = Data::clone(&state);
            async move { tried(&state, &guest, held, token).await }
        });
        let (told, session) = work.await.map_err(|_| ApiError::Internal)??;
        let response = reply::json(StatusCode::OK, &told)?;
        let mut response = Remembered::mark_if(!told.is_done_now, response);
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(session) = session {
            headers.insert(SET_COOKIE, cookie(&state, &session)?);
        }
        Ok::<HttpResponse, ApiError>(response)
    };
    Reply(attempt.await)
}

/// Tries a card; the session afterwards, if the browser is to keep it. Nothing is confirmed before the browser has shown that it keeps the
/// payment: were the answer lost, nobody else could tell it what was paid.
async fn tried(
    state: &State,
    guest: &Guest,
    held: Option<Session>,
    token: CardToken,
) -> Result<(Told, Option<Session>), ApiError> {
    let link = &guest.link;
    if !link.is_active {
        return Ok((there(guest, "closed"), None));
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
    let named = held.and_then(|held| held.payment());
    let is_same = held.is_some_and(|held| held.is_same(&guest.session));
    let kept = named.filter(|_| is_same);
    let payment = begun(state, guest, kept).await?;
    if !link.terms.single_use && named.is_some_and(|named| named != payment.id()) {
        // Another page of this browser has begun a payment since: what became of that is to be seen first.
        return Ok((there(guest, "superseded"), None));
    }
    // What is paid or under way is not paid again: no card is needed to see that.
    if Stage::of(link, &payment) != Stage::Open {
        return Ok(seen(state, guest, &payment));
    }
    // The token is this session's from here on, and begins no payment of another one.
    let method = saved(state, guest, token).await?;
    if !link.terms.single_use && kept.is_none() {
        let told = Told {
            state: "begun",
            ..again(UNKNOWN)
        };
        return Ok((told, Some(guest.session.having_begun(payment.id()))));
    }
    counted(state, guest, &payment, &method).await
}

/// Has a card tried, and counts what comes of that.
async fn counted(
    state: &State,
    guest: &Guest,
    payment: &Payment,
    method: &SavedMethod,
) -> Result<(Told, Option<Session>), ApiError> {
    let link = guest.link.id;
    let counted = state.rate_limits.begin_try(link)?;
    let confirmed = confirmed(state, guest, payment, method).await;
    let has_done_it = confirmed.as_ref().is_ok_and(|answered| !answered.replayed);
    // That tells nothing of the card.
    let is_nobody_asked = confirmed
        .as_ref()
        .is_ok_and(|answered| answered.answer == Answer::NoProvider);
    let mut said = said(state, guest, payment, (method.id, confirmed)).await;
    if let Ok((told, _)) = &mut said {
        told.is_done_now = has_done_it;
    }
    let has_led_on = said.as_ref().is_ok_and(|(told, _)| !told.is_in_vain());
    let is_our_fault = said.as_ref().is_err_and(ApiError::is_of_the_server);
    if !(has_led_on || is_nobody_asked || is_our_fault) {
        counted.was_in_vain();
    }
    if has_led_on && has_done_it && payment.operations.is_empty() {
        // The payment was not begun for nothing.
        state.rate_limits.give_draft_back(link);
    }
    said
}

/// What came of a card, and the session afterwards.
async fn said(
    state: &State,
    guest: &Guest,
    payment: &Payment,
    (id, confirmed): (MethodId, Result<Answered, ApiError>),
) -> Result<(Told, Option<Session>), ApiError> {
    let link = &guest.link;
    let session = guest.session.having_tried(payment.id(), id);
    match confirmed {
        Ok(answered) if answered.answer == Answer::NoProvider => Ok((again(NOT_NOW), Some(session))),
        Ok(answered) => Ok((told(guest, &answered.payment, Some(id)), Some(session))),
        // Somebody else was faster: what became of that is what there is to see.
        Err(ApiError::Refused(_) | ApiError::UnexpectedState { .. }) => {
            let now = payment::find(state, link.owner, payment.id()).await?;
            let now = now.ok_or(ApiError::TryAgain)?;
            match Stage::of(link, &now) {
                Stage::Open => Ok((again(MEANWHILE), None)),
                Stage::Challenged(_) | Stage::Waiting | Stage::Paid | Stage::Ended => {
                    Ok(seen(state, guest, &now))
                }
            }
        }
        Err(error) => Err(error),
    }
}

/// Where a payment stands that was tried before. One of a link that may be paid often is this session's own, also if the browser never heard of
/// it because an answer was lost; that of a link of single use may be anybody's, and is this one's if it tried last.
fn seen(state: &State, guest: &Guest, payment: &Payment) -> (Told, Option<Session>) {
    let method = if guest.link.terms.single_use {
        tried_by(state, &guest.session, payment)
    } else {
        let method = payment.method.as_ref();
        method.and_then(|method| MethodId::parse(&method.id).ok())
    };
    let session = method.map(|method| guest.session.having_tried(payment.id(), method));
    (told(guest, payment, method), session)
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
) -> Result<Answered, ApiError> {
    let owner = guest.link.owner;
    let (key, purpose) = try_key(state, &guest.session, payment.id(), &method.id.to_string());
    let change = ChangeRequest {
        payment: payment.id(),
        owner: Some((owner.merchant, owner.livemode)),
        operator: None,
        key: payment::parsed(&key)?,
        key_digest: (state.digests.key)(owner.merchant, owner.livemode, &key),
        fingerprint: (state.digests.fingerprint)("POST", "/pay/{id}/attempts", purpose.as_bytes()),
        change: Change::ConfirmFor {
            method: method.payment_method(state.cards.now()),
            price: asked_for(&guest.link),
        },
    };
    submitted(state, change).await
}

const fn again(message: &'static str) -> Told {
    Told {
        object: "checkout_attempt",
        state: "again",
        message: Some(message),
        field: None,
        url: None,
        is_done_now: false,
    }
}

/// The browser goes to the link's own page and sees, where it has the cookie: not at another address of ours.
fn there(guest: &Guest, name: &'static str) -> Told {
    Told {
        object: "checkout_attempt",
        state: name,
        message: None,
        field: None,
        url: Some(own_page(guest.link.id)),
        is_done_now: false,
    }
}

/// Where a payment stands after this session has tried a card, or if it has not.
fn told(guest: &Guest, payment: &Payment, tried: Option<MethodId>) -> Told {
    let named = payment.method.as_ref().map(|method| method.id.as_ref());
    let is_own = tried.is_some_and(|tried| named == Some(tried.to_string().as_str()));
    match Stage::of(&guest.link, payment) {
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
            let there = there(guest, "waiting");
            let place = there.url.as_ref().map(|url| format!("{url}/return"));
            Told { url: place, ..there }
        }
        Stage::Paid => {
            let there = there(guest, "paid");
            let on = guest.link.terms.redirect_url.as_ref().filter(|_| is_own);
            let place = on.map(ToString::to_string);
            Told {
                url: place.or_else(|| there.url.clone()),
                ..there
            }
        }
        Stage::Ended => there(guest, "ended"),
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
        "begun",
        "superseded",
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
            "For the page's own script: its session is in the place of an API key, and it must come from where the page is. The same token is tried once. After `begun` the same is sent again, with the cookie that came along: only then is a card tried.",
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
