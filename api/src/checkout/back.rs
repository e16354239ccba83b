//! `GET /pay/{id}/return`: where customers come back to from their bank, and where a page that waits looks again. What a bank gave along is kept
//! until it is known what became of the payment, and is taken from whichever browser the bank led back to.

use super::page;
use super::payment::{Stage, find, parsed, sealed, unsealed};
use super::session::link_key;
use super::view::{MISSING, View, described, for_people, kept, led, own_page, param, proper_place};
use super::words;
use crate::errors::ApiError;
use crate::openapi::{Access, Endpoint, bounded_text, count, text};
use crate::reply::Reply;
use crate::state::State;
use crate::v1::change::submitted;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use florin_actors::payments_handle::{Change, ChangeRequest};
use florin_domain::idempotency::{Fingerprint, KeyDigest};
use florin_domain::payment::Payment;
use florin_domain::payment_link::PaymentLink;
use serde_json::Value;
use std::sync::Arc;

/// As much as providers give a browser along.
const BROUGHT_BYTES_MAX: usize = 4096;
/// So many different details that were brought may be tried at one challenge: a payment takes only so many questions in all.
const BROUGHT_MAX: u8 = 4;

pub(crate) async fn came_back(state: Data<State>, request: HttpRequest) -> Reply {
    for_people(&request, returned(&state, &request).await)
}

/// A customer is back from a challenge, or waits: what became of the payment is asked for, and then shown.
async fn returned(state: &State, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    if let Some(place) = proper_place(request, "/return") {
        return led(state, place, None);
    }
    let secrets = &*state.client_secrets;
    let named = request.match_info().get("id").unwrap_or_default();
    let led_to = param(request, "of").and_then(|text| unsealed(secrets, named, &text));
    let Some(mut view) = View::of(state, request, led_to).await? else {
        return Err(MISSING);
    };
    let found = view.payment.as_ref().map(|payment| payment.id());
    let led_to = led_to.filter(|led_to| found == Some(*led_to));
    let may_ask = view.is_own() || led_to.is_some();
    let details = param(request, "redirectResult").filter(|text| {
        (1..=BROUGHT_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
    });
    let is_challenged = |view: &View| matches!(view.stage(), Some(Stage::Challenged(_)));
    let asked_about = view.payment.clone().filter(|_| may_ask && is_challenged(&view));
    // Asking may take the money, which an operator may have stopped.
    if let Some(payment) = asked_about.filter(|_| !view.is_stopped) {
        view.payment = Some(found_out(state, &view.link, &payment, details.clone()).await?);
    }
    let ok = |html| Ok(page::guarded(StatusCode::OK, html));
    let own_page = own_page(view.link.id);
    let place = match view.stage() {
        Some(Stage::Challenged(_) | Stage::Waiting) => {
            // What was brought is good for one question; whoever asks again brings it again.
            let details = details.filter(|_| may_ask && is_challenged(&view));
            let details = details.map(|details| format!("redirectResult={}", percent_encoded(&details)));
            let led_to = led_to.map(|led_to| format!("of={}", sealed(secrets, named, led_to)));
            let brought: Vec<String> = details.into_iter().chain(led_to).collect();
            let looks = param(request, "looks").and_then(|looks| looks.parse().ok());
            let html = view.waiting(looks.unwrap_or(0).min(page::LOOKS_MAX), &brought);
            return kept(state, &view, html);
        }
        Some(Stage::Paid) => {
            let on = view.link.terms.redirect_url.as_ref().filter(|_| may_ask);
            match on {
                Some(on) => on.to_string(),
                None if is_elsewhere(&view, led_to.is_some()) => return ok(view.paid()),
                None => own_page,
            }
        }
        Some(Stage::Open) if is_elsewhere(&view, led_to.is_some()) => return ok(refused(&view)),
        Some(Stage::Ended) if is_elsewhere(&view, led_to.is_some()) => return ok(view.ended()),
        Some(Stage::Open | Stage::Ended) | None => own_page,
    };
    led(state, place, None)
}

/// The bank led to a browser that knows nothing of the payment: its own page would have it pay another one.
fn is_elsewhere(view: &View, is_led: bool) -> bool {
    is_led && !view.is_own()
}

/// The card was declined, as it is told where there is no form.
fn refused(view: &View) -> String {
    let failure = view.payment.as_ref().and_then(|payment| payment.failure.as_ref());
    let words = ("The payment was not made", words::declined(failure).0);
    let page = own_page(view.link.id);
    view.notice_with("closed", words, &[("Try again", &page)])
}

/// Under which key it is asked with these details, and what that stands for: each that was brought has one of its own, which may ask again.
/// Nothing if too many others were brought before.
fn question(
    state: &State,
    link: &PaymentLink,
    payment: &Payment,
    details: Option<&str>,
) -> Option<(String, KeyDigest, Fingerprint)> {
    let owner = link.owner;
    let challenge = format!("challenge {} {}", payment.id(), payment.declined_charges());
    let asked = format!("{challenge} {}", details.unwrap_or_default());
    let fingerprint = (state.digests.fingerprint)("GET", "/pay/{id}/return", asked.as_bytes());
    (0..BROUGHT_MAX).find_map(|place| {
        let purpose = format!("{challenge} place {place}");
        let key = link_key(&*state.client_secrets, link.id, &purpose);
        let digest = (state.digests.key)(owner.merchant, owner.livemode, &key);
        let earlier = payment.request(digest);
        let is_ours = earlier.is_none_or(|earlier| earlier.fingerprint == fingerprint);
        is_ours.then_some((key, digest, fingerprint))
    })
}

/// Asks how the challenge ended. While nobody knows, it stays as it is.
async fn found_out(
    state: &State,
    link: &PaymentLink,
    payment: &Arc<Payment>,
    details: Option<String>,
) -> Result<Arc<Payment>, ApiError> {
    let owner = link.owner;
    let question = question(state, link, payment, details.as_deref());
    let question = question.filter(|_| state.rate_limits.may_ask_about(payment.id()));
    let Some((key, key_digest, fingerprint)) = question else {
        return Ok(Arc::clone(payment));
    };
    let change = ChangeRequest {
        payment: payment.id(),
        owner: Some((owner.merchant, owner.livemode)),
        operator: None,
        key: parsed(&key)?,
        key_digest,
        fingerprint,
        change: Change::Complete {
            details: details.map(Arc::from),
        },
    };
    match submitted(state, change).await {
        Ok(answered) => Ok(answered.payment),
        // It has ended meanwhile, or too many have asked, or something else was brought in the same moment.
        Err(ApiError::Refused(_) | ApiError::UnexpectedState { .. } | ApiError::KeyMismatch) => {
            let now = find(state, owner, payment.id()).await?;
            Ok(now.unwrap_or_else(|| Arc::clone(payment)))
        }
        Err(error) => Err(error),
    }
}

/// As it is written in an address.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            let digits = [byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16));
            encoded.extend(
                digits
                    .into_iter()
                    .flatten()
                    .map(|digit| digit.to_ascii_uppercase()),
            );
        }
    }
    encoded
}

pub(crate) fn described_return() -> Endpoint {
    let brought = bounded_text("What a provider gave the browser along.", (0, BROUGHT_BYTES_MAX));
    let endpoint = Endpoint::get("/pay/{id}/return", Access::Everybody)
        .query("of", text("The payment, under our seal."))
        .query("redirectResult", brought)
        .query("looks", count("How often it looked by itself."));
    described(endpoint)
        .called(
            "getCheckoutReturn",
            "Where customers come back to from a challenge",
            "Finds out how it ended and leads on.",
        )
        .answers_as("text/html", 303, "It leads on.", text("Nothing."), Value::Null)
}
