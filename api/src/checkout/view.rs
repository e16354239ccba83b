//! `GET /pay/{id}`: which page a customer is to see. A session is in a cookie of this page alone, so that loading it again goes on with the same
//! payment.

use super::page::{self, Notice};
use super::payment::{Stage, asked_for, find, is_void_of_money, tried_by};
use super::session::Session;
use super::words;
use crate::errors::{ApiError, Code};
use crate::openapi::{Access, Endpoint, chapter, text};
use crate::reply::Reply;
use crate::state::State;
use crate::v1::payment_link_body::refused;
use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT, COOKIE, HeaderValue, LOCATION, RETRY_AFTER, SET_COOKIE};
use actix_web::web::{Data, Query};
use actix_web::{HttpRequest, HttpResponse};
use florin_domain::ids::{PaymentId, PaymentLinkId};
use florin_domain::merchant::Merchant;
use florin_domain::money::{Amount, Currency};
use florin_domain::payment::Payment;
use florin_domain::payment_link::PaymentLink;
use florin_domain::time::Timestamp;
use serde_json::Value;
use std::sync::Arc;

pub(super) const LINK_ID: &str = "plink_01m7y92abt00074ha88rfjdjp2";
const COOKIE_NAME: &str = "florin_checkout";
/// The cookie is no secret of any use by then; the session inside it says how long it may do what.
const COOKIE_AGE_S: u64 = 24 * 3600;
/// Of one that names a payment: longer than any review takes, and written anew as long as the payment is under way.
const PAYMENT_COOKIE_AGE_S: u64 = 40 * 24 * 3600;

/// A link with all that is known of who looks at it.
pub(super) struct View {
    pub(super) link: PaymentLink,
    merchant: Merchant,
    /// Nobody may pay this merchant now.
    pub(super) is_stopped: bool,
    /// What the browser held, if it may still look at what became of its payment.
    held: Option<Session>,
    /// The payment of that, the one payment of the link, or the one that a bank led back to.
    pub(super) payment: Option<Arc<Payment>>,
}

impl View {
    /// Of a link that may be paid often, the payment that a bank led back to comes before what the browser holds.
    pub(super) async fn of(
        state: &State,
        request: &HttpRequest,
        led_to: Option<PaymentId>,
    ) -> Result<Option<Self>, ApiError> {
        let named = request.match_info().get("id").unwrap_or_default();
        let Ok(id) = PaymentLinkId::parse(named) else {
            return Ok(None);
        };
        let Some(link) = state.links.find(id).await.map_err(refused)? else {
            return Ok(None);
        };
        state.rate_limits.take_for_link(id)?;
        let control = state.directory.control();
        let merchant = control
            .merchants
            .iter()
            .find(|known| known.id == link.owner.merchant);
        let Some(merchant) = merchant.cloned() else {
            return Ok(None);
        };
        let now = state.links.now();
        let mut held = held(state, request).filter(|held| held.link == id && held.may_look(now));
        let payment = if link.terms.single_use {
            link.payment
        } else {
            led_to.or_else(|| held.and_then(|held| held.payment()))
        };
        let payment = match payment {
            Some(payment) => find(state, link.owner, payment).await?,
            None => None,
        };
        if let (Some(held), Some(payment), true) = (&mut held, &payment, link.terms.single_use)
            && let Some(method) = tried_by(state, held, payment)
        {
            // The answer that would have told the browser so may be lost.
            *held = held.having_tried(payment.id(), method);
        }
        Ok(Some(Self {
            is_stopped: control.stops.read_only.is_some()
                || control.stops.merchants.contains_key(&merchant.id),
            link,
            merchant,
            held,
            payment,
        }))
    }

    /// How it stands with the payment.
    pub(super) fn stage(&self) -> Option<Stage> {
        self.payment
            .as_deref()
            .map(|payment| Stage::of(&self.link, payment))
    }

    /// The payment is this browser's, or was tried last with its card: others are told nothing of it, and not where its bank waits.
    pub(super) fn is_own(&self) -> bool {
        if !self.link.terms.single_use {
            let found = self.payment.as_ref().map(|payment| payment.id());
            return found.is_some() && found == self.held.and_then(|held| held.payment());
        }
        let tried = self.held.and_then(|held| held.method());
        let named = self.payment.as_ref().and_then(|payment| payment.method.as_ref());
        tried.is_some_and(|tried| named.is_some_and(|named| *named.id == *tried.to_string()))
    }

    fn notice(&self, state: &'static str, (title, about): (&str, &str)) -> String {
        self.notice_with(state, (title, about), &[])
    }

    pub(super) fn notice_with(
        &self,
        kind: &'static str,
        (title, about): (&str, &str),
        next: &[(&str, &str)],
    ) -> String {
        let notice = Notice {
            kind,
            title,
            about,
            next,
        };
        page::notice((&self.merchant.name, &self.link, self.price()), &notice, None)
    }

    /// It is paid, by this customer or another.
    pub(super) fn paid(&self) -> String {
        if !self.is_own() {
            let about = if self.link.terms.single_use {
                "The link was for one payment, and that has been made. There is nothing more to pay."
            } else {
                "The payment has been made. You need not pay once more."
            };
            return self.notice("paid", ("This has been paid", about));
        }
        let card = self.payment.as_ref().and_then(|payment| payment.method.as_ref());
        let card = card.map_or_else(String::new, |method| format!(" with {}", page::card(method)));
        let about = format!("You have paid {}{card}.", self.merchant.name);
        let again = format!("{}?again=1", own_page(self.link.id));
        let mut next = Vec::new();
        if let Some(place) = &self.link.terms.redirect_url {
            next.push(("Go on", place.as_ref()));
        }
        if !self.link.terms.single_use && self.link.is_active {
            next.push(("Pay once more", again.as_str()));
        }
        self.notice_with("paid", ("Thank you", &about), &next)
    }

    /// What is to be paid, or was.
    fn price(&self) -> (Amount, Currency) {
        let is_tried = matches!(
            self.stage(),
            Some(Stage::Paid | Stage::Waiting | Stage::Challenged(_))
        );
        let tried = self.payment.as_ref().filter(|_| is_tried);
        tried.map_or_else(
            || asked_for(&self.link),
            |tried| (tried.spec.amount, tried.spec.currency),
        )
    }

    /// It is under way. What the customer brought along is still there the next time.
    pub(super) fn waiting(&self, looks: u64, brought: &[String]) -> String {
        let place = format!("{}/return", own_page(self.link.id));
        let query = brought.join("&");
        let (again, next_look) = if query.is_empty() {
            (place.clone(), format!("{place}?looks="))
        } else {
            (format!("{place}?{query}"), format!("{place}?{query}&looks="))
        };
        let (title, about) = (
            "Your payment is being made",
            "This takes a moment. You need not do anything; the page looks again by itself for a while.",
        );
        let notice = Notice {
            kind: "waiting",
            title,
            about,
            next: &[("Look again", &again)],
        };
        let who = (self.merchant.name.as_str(), &self.link, self.price());
        page::notice(who, &notice, Some((looks, &next_look)))
    }

    pub(super) fn ended(&self) -> String {
        let again = format!("{}?again=1", own_page(self.link.id));
        let may_again = self.link.is_active && !self.is_over();
        let title = "The payment was not made";
        let about = if may_again {
            "You have not been charged. Use another card, or ask whoever sent you the link."
        } else {
            "You have not been charged. Ask whoever sent you the link for another one."
        };
        let next = [("Use another card", again.as_str())];
        self.notice_with("closed", (title, about), if may_again { &next } else { &[] })
    }

    /// A link that is paid once has had its payment, and no other can have its place.
    fn is_over(&self) -> bool {
        let payment = self.payment.as_ref();
        self.link.terms.single_use && payment.is_some_and(|payment| !is_void_of_money(payment))
    }

    /// Somebody may begin to pay it now.
    const fn takes_payments(&self) -> bool {
        self.link.is_active && !self.is_stopped
    }

    /// The customer has asked to begin anew where another payment may have the place, and has not tried anything since.
    fn has_begun_anew(&self, now: Timestamp) -> bool {
        let is_fresh = |held: Session| held.payment().is_none() && held.is_open(now);
        self.link.terms.single_use && self.held.is_some_and(is_fresh)
    }
}

/// Where a link's page is at whichever host the browser has reached us: a browser keeps what it holds of the page for that host alone, and for
/// this path.
pub(super) fn own_page(link: PaymentLinkId) -> String {
    format!("/pay/{link}")
}

/// Where the page is that is asked for, if the address is written otherwise. There the browser would not show what it holds, and would lose it
/// for what the page gives it.
pub(super) fn proper_place(request: &HttpRequest, tail: &str) -> Option<String> {
    let link = PaymentLinkId::parse(request.match_info().get("id")?).ok()?;
    let (path, query) = (request.uri().path(), request.uri().query());
    let place = format!("{}{tail}", own_page(link));
    let query = query.map_or_else(String::new, |query| format!("?{query}"));
    (path != place).then(|| format!("{place}{query}"))
}

pub(super) const MISSING: ApiError = ApiError::NoSuchObject { kind: "payment link" };

/// What a person is told is a page as well; programs get refusals as they know them.
pub(super) fn for_people(request: &HttpRequest, answer: Result<HttpResponse, ApiError>) -> Reply {
    let accepts = request
        .headers()
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok());
    if !accepts.is_some_and(|accept| accept.contains("text/html")) {
        return Reply(answer);
    }
    Reply(Ok(answer.unwrap_or_else(|error| {
        let html = if error == MISSING {
            page::missing()
        } else {
            page::trouble()
        };
        let plain = error.response(request);
        let mut response = page::guarded(plain.status(), html);
        if let Some(wait) = plain.headers().get(RETRY_AFTER) {
            response.headers_mut().insert(RETRY_AFTER, wait.clone());
        }
        response
    })))
}

pub(crate) async fn page(state: Data<State>, request: HttpRequest) -> Reply {
    for_people(&request, shown(&state, &request).await)
}

async fn shown(state: &State, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    if let Some(place) = proper_place(request, "") {
        return led(state, place, None);
    }
    let Some(view) = View::of(state, request, None).await? else {
        return Err(MISSING);
    };
    let now = state.links.now();
    let stands = view.stage();
    let begins_anew = param(request, "again").is_some();
    let ok = |html| Ok(page::guarded(StatusCode::OK, html));
    match &stands {
        Some(Stage::Paid) if view.link.terms.single_use || !begins_anew || !view.takes_payments() => {
            return ok(view.paid());
        }
        Some(Stage::Challenged(Some(bank))) if view.is_own() => {
            let words = (
                "Your bank wants to confirm that it is you",
                "Go on to your bank. Afterwards you come back here, and your payment is made.",
            );
            let html = view.notice_with("waiting", words, &[("Go to my bank", bank)]);
            return kept(state, &view, html);
        }
        Some(Stage::Challenged(_) | Stage::Waiting) => return kept(state, &view, view.waiting(0, &[])),
        Some(Stage::Ended) if view.is_over() => return ok(view.ended()),
        Some(Stage::Ended) if !begins_anew && !view.has_begun_anew(now) => return ok(view.ended()),
        Some(Stage::Open | Stage::Paid | Stage::Ended) | None => {}
    }
    if !view.link.is_active {
        let words = (
            "This link is closed",
            "It cannot be paid any more. Ask whoever sent it to you.",
        );
        return ok(view.notice("closed", words));
    }
    if view.is_stopped {
        let words = (
            "Payments are paused",
            "Nothing can be paid here right now. Try again later.",
        );
        return ok(view.notice("closed", words));
    }
    let draw = || u128::from(state.entropy.next_u64()) << 64 | u128::from(state.entropy.next_u64());
    let begin = || Session::begin(view.link.id, draw(), now);
    if begins_anew {
        // The address must not stay in the browser: each time it was loaded it would begin another payment. While there is one that may still
        // be paid, that is gone on with.
        let has_ended = matches!(stands, Some(Stage::Paid | Stage::Ended));
        let session = has_ended.then(begin);
        return led(state, own_page(view.link.id), session.as_ref());
    }
    let held = view
        .held
        .filter(|held| held.payment().is_some() || held.has_time(now));
    let session = held.map_or_else(begin, |held| held.renewed(now));
    let failure = view.payment.as_ref().and_then(|payment| payment.failure.as_ref());
    // Why another's card was declined is nobody's business.
    let problem = failure.filter(|_| view.is_own() && held.is_some());
    let problem = problem.map(|failure| words::declined(Some(failure)).0);
    let text = session.written(&*state.client_secrets);
    let html = page::form(&view.merchant.name, &view.link, &text, problem);
    let mut response = page::guarded(StatusCode::OK, html);
    response
        .headers_mut()
        .insert(SET_COOKIE, cookie(state, &session)?);
    Ok(response)
}

/// A page about a payment that is under way: the browser keeps it for longer.
pub(super) fn kept(state: &State, view: &View, html: String) -> Result<HttpResponse, ApiError> {
    let mut response = page::guarded(StatusCode::OK, html);
    if let Some(held) = view.held.filter(|held| held.payment().is_some()) {
        response.headers_mut().insert(SET_COOKIE, cookie(state, &held)?);
    }
    Ok(response)
}

/// The browser goes on there, with this session if it gets one.
pub(super) fn led(state: &State, place: String, session: Option<&Session>) -> Result<HttpResponse, ApiError> {
    let mut response = page::guarded(StatusCode::SEE_OTHER, String::new());
    let headers = response.headers_mut();
    let place = HeaderValue::try_from(place).map_err(|_| ApiError::Internal)?;
    headers.insert(LOCATION, place);
    if let Some(session) = session {
        headers.insert(SET_COOKIE, cookie(state, session)?);
    }
    Ok(response)
}

/// A parameter of the query; what else providers write there is theirs.
pub(super) fn param(request: &HttpRequest, name: &str) -> Option<String> {
    let pairs = Query::<Vec<(String, String)>>::from_query(request.query_string()).ok()?;
    pairs
        .into_inner()
        .into_iter()
        .find(|pair| pair.0 == name)
        .map(|pair| pair.1)
}

/// What the browser holds of this page.
pub(super) fn held(state: &State, request: &HttpRequest) -> Option<Session> {
    let texts = request
        .headers()
        .get_all(COOKIE)
        .filter_map(|value| value.to_str().ok());
    let mut pairs = texts.flat_map(|text| text.split(';'));
    let text = pairs.find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == COOKIE_NAME).then_some(value)
    })?;
    Session::read(&*state.client_secrets, text)
}

/// The session, for this page alone, out of the reach of scripts and of other sites' requests.
pub(super) fn cookie(state: &State, session: &Session) -> Result<HeaderValue, ApiError> {
    let text = session.written(&*state.client_secrets);
    let secure = if state.public_url.starts_with("https:") {
        "; Secure"
    } else {
        ""
    };
    let age_s = session.payment().map_or(COOKIE_AGE_S, |_| PAYMENT_COOKIE_AGE_S);
    let cookie = format!(
        "{COOKIE_NAME}={text}; Path={}; Max-Age={age_s}; HttpOnly; SameSite=Lax{secure}",
        own_page(session.link)
    );
    HeaderValue::try_from(cookie).map_err(|_| ApiError::Internal)
}

pub(super) fn described(endpoint: Endpoint) -> Endpoint {
    endpoint
        .in_chapter(chapter::CHECKOUT)
        .path_part("id", text("The link."), LINK_ID)
        .answers_as("text/html", 200, "The page.", text("HTML."), Value::Null)
        .refuses(404, &[Code::ResourceMissing])
        .refuses(429, &[Code::RateLimited])
        .refuses(500, &[Code::InternalError])
        .refuses(503, &[Code::Overloaded, Code::TemporarilyUnavailable])
}

pub(crate) fn described_page() -> Endpoint {
    described(Endpoint::get("/pay/{id}", Access::Everybody).query("again", text("Begins another payment, and leads to the page.")))
        .called(
            "getCheckoutPage",
            "The page under a payment link",
            "For customers. It works on a phone, and loads nothing from elsewhere. Whoever accepts HTML is told also of a refusal in a page.",
        )
        .answers_as("text/html", 303, "Another payment begins there.", text("Nothing."), Value::Null)
}
