//! `GET /pay/{id}` and `GET /pay/{id}/return`: which page a customer is to see. A session is in a cookie of this page alone, so that loading it
//! again goes on with the same payment.

use super::page::{self, Notice};
use super::payment::{Stage, find, is_void_of_money, parsed};
use super::session::Session;
use super::words;
use crate::errors::{ApiError, Code};
use crate::openapi::{Access, Endpoint, bounded_text, chapter, count, text};
use crate::reply::Reply;
use crate::state::State;
use crate::v1::change::submitted;
use crate::v1::payment_link_body::{refused, url};
use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT, COOKIE, HeaderValue, LOCATION, RETRY_AFTER, SET_COOKIE};
use actix_web::web::{Data, Query};
use actix_web::{HttpRequest, HttpResponse};
use florin_actors::payments_handle::{Change, ChangeRequest};
use florin_domain::ids::PaymentLinkId;
use florin_domain::merchant::Merchant;
use florin_domain::payment::Payment;
use florin_domain::payment_link::PaymentLink;
use serde_json::Value;
use std::sync::Arc;

pub(super) const LINK_ID: &str = "plink_01m7y92abt00074ha88rfjdjp2";
const COOKIE_NAME: &str = "florin_checkout";
/// The cookie is no secret of any use by then; the session inside it says how long it may do what.
const COOKIE_AGE_S: u64 = 24 * 3600;
/// As much as providers give a browser along.
const BROUGHT_BYTES_MAX: usize = 4096;

/// A link with all that is known of who looks at it.
struct View {
    link: PaymentLink,
    merchant: Merchant,
    /// Nobody may pay this merchant now.
    is_stopped: bool,
    /// What the browser held, if it may still look at what became of its payment.
    held: Option<Session>,
    /// The payment of that, or the one payment of the link.
    payment: Option<Arc<Payment>>,
}

impl View {
    async fn of(state: &State, request: &HttpRequest) -> Result<Option<Self>, ApiError> {
        let named = request.match_info().get("id").unwrap_or_default();
        let Ok(id) = PaymentLinkId::parse(named) else {
            return Ok(None);
        };
        let Some(link) = state.links.find(id).await.map_err(refused)? else {
            return Ok(None);
        };
        let control = state.directory.control();
        let merchant = control
            .merchants
            .iter()
            .find(|known| known.id == link.owner.merchant);
        let Some(merchant) = merchant.cloned() else {
            return Ok(None);
        };
        let now = state.links.now();
        let held = held(state, request).filter(|held| held.link == id && held.may_look(now));
        let payment = if link.terms.single_use {
            link.payment
        } else {
            held.and_then(|held| held.payment())
        };
        let payment = match payment {
            Some(payment) => find(state, link.owner, payment).await?,
            None => None,
        };
        Ok(Some(Self {
            is_stopped: control.stops.read_only.is_some()
                || control.stops.merchants.contains_key(&merchant.id),
            link,
            merchant,
            held,
            payment,
        }))
    }

    /// The payment was tried last with the card of this browser: others are told nothing of it, and not where its bank waits.
    fn is_own(&self) -> bool {
        let tried = self.held.and_then(|held| held.method());
        let named = self.payment.as_ref().and_then(|payment| payment.method.as_ref());
        tried.is_some_and(|tried| named.is_some_and(|named| *named.id == *tried.to_string()))
    }

    fn notice(&self, state: &'static str, (title, about): (&str, &str)) -> String {
        self.notice_with(state, (title, about), None)
    }

    fn notice_with(
        &self,
        kind: &'static str,
        (title, about): (&str, &str),
        next: Option<(&str, &str)>,
    ) -> String {
        let notice = Notice {
            kind,
            title,
            about,
            next,
        };
        page::notice(&self.merchant.name, &self.link, &notice, None)
    }

    /// It is paid, by this customer or another.
    fn paid(&self) -> String {
        if !self.is_own() {
            let words = (
                "This has been paid",
                "The link was for one payment, and that has been made. There is nothing more to pay.",
            );
            return self.notice("paid", words);
        }
        let card = self.payment.as_ref().and_then(|payment| payment.method.as_ref());
        let card = card.map_or_else(String::new, |method| format!(" with {}", page::card(method)));
        let about = format!("You have paid {}{card}.", self.merchant.name);
        let again = format!("/pay/{}?again=1", self.link.id);
        let next = match (&self.link.terms.redirect_url, self.link.terms.single_use) {
            (Some(place), _) => Some(("Go on", place.as_ref())),
            (None, false) if self.link.is_active => Some(("Pay once more", again.as_str())),
            (None, _) => None,
        };
        self.notice_with("paid", ("Thank you", &about), next)
    }

    /// It is under way.
    fn waiting(&self, looks: u64) -> String {
        let place = format!("/pay/{}/return", self.link.id);
        let (title, about) = (
            "Your payment is being made",
            "This takes a moment. You need not do anything; the page looks again by itself for a while.",
        );
        let notice = Notice {
            kind: "waiting",
            title,
            about,
            next: Some(("Look again", &place)),
        };
        page::notice(&self.merchant.name, &self.link, &notice, Some(looks))
    }

    fn ended(&self) -> String {
        let again = format!("/pay/{}?again=1", self.link.id);
        let may_again = self.link.is_active && !self.is_over();
        let title = "The payment was not made";
        let about = if may_again {
            "You have not been charged. Use another card, or ask whoever sent you the link."
        } else {
            "You have not been charged. Ask whoever sent you the link for another one."
        };
        self.notice_with(
            "closed",
            (title, about),
            may_again.then_some(("Use another card", again.as_str())),
        )
    }

    /// A link that is paid once has had its payment, and no other can have its place.
    fn is_over(&self) -> bool {
        let payment = self.payment.as_ref();
        self.link.terms.single_use && payment.is_some_and(|payment| !is_void_of_money(payment))
    }
}

const MISSING: ApiError = ApiError::NoSuchObject { kind: "payment link" };

/// What a person is told is a page as well; programs get refusals as they know them.
fn for_people(request: &HttpRequest, answer: Result<HttpResponse, ApiError>) -> Reply {
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
    let Some(view) = View::of(state, request).await? else {
        return Err(MISSING);
    };
    let stands = view.payment.as_deref().map(Stage::of);
    let begins_anew = param(request, "again").is_some();
    let ok = |html| Ok(page::guarded(StatusCode::OK, html));
    match &stands {
        Some(Stage::Paid) if view.link.terms.single_use || !begins_anew => return ok(view.paid()),
        Some(Stage::Challenged(Some(bank))) if view.is_own() => {
            let words = (
                "Your bank wants to confirm that it is you",
                "Go on to your bank. Afterwards you come back here, and your payment is made.",
            );
            return ok(view.notice_with("waiting", words, Some(("Go to my bank", bank))));
        }
        Some(Stage::Challenged(_) | Stage::Waiting) => return ok(view.waiting(0)),
        Some(Stage::Ended) if view.is_over() || !begins_anew => return ok(view.ended()),
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
            "Nothing can be paid here right now. You have not been charged. Try again later.",
        );
        return ok(view.notice("closed", words));
    }
    let now = state.links.now();
    let goes_on = |held: &Session| held.is_open(now) && (held.payment().is_some() || held.has_time(now));
    let held = view.held.filter(|held| goes_on(held) && !begins_anew);
    let draw = || u128::from(state.entropy.next_u64()) << 64 | u128::from(state.entropy.next_u64());
    let session = held.unwrap_or_else(|| Session::begin(view.link.id, draw(), now));
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

pub(crate) async fn came_back(state: Data<State>, request: HttpRequest) -> Reply {
    for_people(&request, returned(&state, &request).await)
}

/// A customer is back from a challenge, or waits: what became of the payment is asked for, and then shown.
async fn returned(state: &State, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    let Some(mut view) = View::of(state, request).await? else {
        return Err(MISSING);
    };
    let challenged = view.payment.clone().filter(|_| view.is_own());
    if let Some(payment) = challenged.filter(|payment| matches!(Stage::of(payment), Stage::Challenged(_))) {
        view.payment = Some(found_out(state, &view.link, &payment, param(request, "redirectResult")).await?);
    }
    let own_page = url(&state.public_url, view.link.id);
    let looks = param(request, "looks").and_then(|looks| looks.parse().ok());
    let place = match view.payment.as_deref().map(Stage::of) {
        Some(Stage::Challenged(_) | Stage::Waiting) => {
            let html = view.waiting(looks.unwrap_or(0).min(page::LOOKS_MAX));
            return Ok(page::guarded(StatusCode::OK, html));
        }
        Some(Stage::Paid) => {
            let on = view.link.terms.redirect_url.as_ref().filter(|_| view.is_own());
            on.map_or(own_page, ToString::to_string)
        }
        Some(Stage::Open | Stage::Ended) | None => own_page,
    };
    let mut response = page::guarded(StatusCode::SEE_OTHER, String::new());
    let place = HeaderValue::try_from(place).map_err(|_| ApiError::Internal)?;
    response.headers_mut().insert(LOCATION, place);
    Ok(response)
}

/// Asks how the challenge ended. While nobody knows, it stays as it is.
async fn found_out(
    state: &State,
    link: &PaymentLink,
    payment: &Arc<Payment>,
    brought: Option<String>,
) -> Result<Arc<Payment>, ApiError> {
    let details = brought.filter(|text| {
        (1..=BROUGHT_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
    });
    let owner = link.owner;
    // One key for each challenge, since there are only so many; it may ask again.
    let purpose = format!(
        "challenge {} {} {}",
        payment.id(),
        payment.declined_charges(),
        details.as_deref().unwrap_or_default()
    );
    let key = super::session::link_key(&*state.client_secrets, link.id, &purpose);
    let change = ChangeRequest {
        payment: payment.id(),
        owner: Some((owner.merchant, owner.livemode)),
        operator: None,
        key: parsed(&key)?,
        key_digest: (state.digests.key)(owner.merchant, owner.livemode, &key),
        fingerprint: (state.digests.fingerprint)("GET", "/pay/{id}/return", purpose.as_bytes()),
        change: Change::Complete {
            details: details.map(Arc::from),
        },
    };
    match submitted(state, change).await {
        Ok(answered) => Ok(answered.payment),
        // It has ended meanwhile, or too many have asked.
        Err(ApiError::Refused(_) | ApiError::UnexpectedState { .. }) => {
            let now = find(state, owner, payment.id()).await?;
            Ok(now.unwrap_or_else(|| Arc::clone(payment)))
        }
        Err(error) => Err(error),
    }
}

/// A parameter of the query; what else providers write there is theirs.
fn param(request: &HttpRequest, name: &str) -> Option<String> {
    let pairs = Query::<Vec<(String, String)>>::from_query(request.query_string()).ok()?;
    pairs
        .into_inner()
        .into_iter()
        .find(|pair| pair.0 == name)
        .map(|pair| pair.1)
}

/// What the browser holds of this page.
fn held(state: &State, request: &HttpRequest) -> Option<Session> {
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
    let cookie = format!(
        "{COOKIE_NAME}={text}; Path=/pay/{}; Max-Age={COOKIE_AGE_S}; HttpOnly; SameSite=Lax{secure}",
        session.link
    );
    HeaderValue::try_from(cookie).map_err(|_| ApiError::Internal)
}

fn described(endpoint: Endpoint) -> Endpoint {
    endpoint
        .in_chapter(chapter::CHECKOUT)
        .path_part("id", text("The link."), LINK_ID)
        .answers_as("text/html", 200, "The page.", text("HTML."), Value::Null)
        .refuses(404, &[Code::ResourceMissing])
        .refuses(500, &[Code::InternalError])
        .refuses(503, &[Code::Overloaded, Code::TemporarilyUnavailable])
}

pub(crate) fn described_page() -> Endpoint {
    described(Endpoint::get("/pay/{id}", Access::Everybody).query("again", text("Begins another payment.")))
        .called(
            "getCheckoutPage",
            "The page under a payment link",
            "For customers. It works on a phone, and loads nothing from elsewhere. Whoever accepts HTML is told also of a refusal in a page.",
        )
}

pub(crate) fn described_return() -> Endpoint {
    let brought = bounded_text("What a provider gave the browser along.", (0, BROUGHT_BYTES_MAX));
    let endpoint = Endpoint::get("/pay/{id}/return", Access::Everybody)
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
