//! The pages that a customer sees, and the headers that keep everything else out of them.

use super::html::Html;
use super::payment::asked_for;
use super::words;
use crate::vault::brand_title;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use florin_domain::method::PaymentMethod;
use florin_domain::money::{Amount, Currency};
use florin_domain::payment_link::PaymentLink;

/// Nothing from elsewhere is loaded or run, nothing is sent elsewhere, no form is sent by the browser itself, and nobody frames it.
pub(super) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'none'; \
     frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
const PERMISSIONS_POLICY: &str = "accelerometer=(), autoplay=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), microphone=(), midi=(), \
     payment=(), publickey-credentials-get=(), usb=(), screen-wake-lock=(), xr-spatial-tracking=()";
/// How often a page that waits looks again by itself, and after how many seconds.
pub(super) const LOOKS_MAX: u64 = 20;
const LOOK_AFTER_S: u64 = 3;

/// Everything but the page itself.
pub(super) fn guarded(status: StatusCode, body: String) -> HttpResponse {
    let headers: [(HeaderName, &'static str); 8] = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("permissions-policy"), PERMISSIONS_POLICY),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ];
    let mut response = HttpResponse::build(status);
    for (name, value) in headers {
        response.insert_header((name, HeaderValue::from_static(value)));
    }
    response.body(body)
}

/// A whole document; `head` is what else its head has.
fn document(title: &str, head: &Html, main: &Html) -> String {
    let mut html = Html::default();
    html.put("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">")
        .put("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">")
        .put("<meta name=\"robots\" content=\"noindex\"><title>")
        .text(title)
        .put("</title><link rel=\"icon\" type=\"image/svg+xml\" href=\"/pay/assets/icon.svg\">")
        .put("<link rel=\"stylesheet\" href=\"/pay/assets/checkout.css\">")
        .part(head)
        .put("</head><body><main>")
        .part(main)
        .put("</main></body></html>\n");
    html.into_text()
}

/// To whom, what for and how much: for what a page is about.
pub(super) type Asked<'a> = (&'a str, &'a PaymentLink, (Amount, Currency));

fn summary((merchant, link, (amount, currency)): Asked<'_>) -> Html {
    let terms = &link.terms;
    let mut html = Html::default();
    html.put("<header class=\"summary\">");
    if !link.owner.livemode {
        html.put("<p class=\"test\">Test mode: no real money is moved.</p>");
    }
    html.put("<p class=\"merchant\">").text(merchant).put("</p>");
    html.put("<p class=\"amount\">")
        .text(&words::amount(amount.minor(), currency))
        .put("</p>");
    if let Some(description) = terms.description.as_deref().filter(|text| !text.is_empty()) {
        html.put("<p class=\"description\">")
            .text(description)
            .put("</p>");
    }
    html.put("</header>");
    html
}

/// One field of the form. It has no name, so that no browser would send it by itself.
fn field(
    html: &mut Html,
    (id, label, about): (&'static str, &'static str, &'static str),
    input: &'static str,
) {
    html.put("<div class=\"field\"><label for=\"")
        .put(id)
        .put("\">")
        .put(label)
        .put("</label><input id=\"")
        .put(id)
        .put("\" aria-describedby=\"")
        .put(id)
        .put("-error\" ")
        .put(input)
        .put("><p class=\"hint\">")
        .put(about)
        .put("</p><p class=\"error\" id=\"")
        .put(id)
        .put("-error\"></p></div>");
}

/// The form, hidden until the page's script has it: without the script no card is to be typed.
pub(super) fn form(merchant: &str, link: &PaymentLink, session: &str, problem: Option<&str>) -> String {
    let amount = words::amount(link.terms.amount.minor(), link.terms.currency);
    let mut main = Html::default();
    main.part(&summary((merchant, link, asked_for(link))))
        .put("<h1>Pay by card</h1>")
        .put("<noscript><p class=\"notice\">This page needs JavaScript: your card goes straight to where it is sealed, and the browser alone cannot do that. ")
        .put("Turn it on for this page and load it again.</p></noscript>")
        .put("<div id=\"notice\" class=\"notice\" role=\"alert\">");
    if let Some(problem) = problem {
        main.text(problem);
    }
    main.put("</div><form id=\"card\" novalidate hidden autocomplete=\"on\" data-link=\"")
        .text(&link.id.to_string())
        .put("\" data-session=\"")
        .text(session)
        .put("\">");
    field(
        &mut main,
        ("number", "Card number", ""),
        "type=\"text\" inputmode=\"numeric\" autocomplete=\"cc-number\" placeholder=\"1234 5678 9012 3456\" maxlength=\"23\" required spellcheck=\"false\"",
    );
    main.put("<div class=\"pair\">");
    field(
        &mut main,
        ("expiry", "Expiry date", ""),
        "type=\"text\" inputmode=\"numeric\" autocomplete=\"cc-exp\" placeholder=\"MM / YY\" maxlength=\"9\" required spellcheck=\"false\"",
    );
    field(
        &mut main,
        ("cvc", "Security code", ""),
        "type=\"text\" inputmode=\"numeric\" autocomplete=\"cc-csc\" placeholder=\"123\" maxlength=\"4\" required spellcheck=\"false\"",
    );
    main.put("</div>");
    field(
        &mut main,
        ("name", "Name on the card <span>(optional)</span>", ""),
        "type=\"text\" autocomplete=\"cc-name\" maxlength=\"200\" spellcheck=\"false\"",
    );
    main.put("<button id=\"pay\" type=\"submit\">Pay ")
        .text(&amount)
        .put("</button></form>")
        .put("<p class=\"fine\">Your card is sealed before it is kept. You are charged once, however often you press.</p>");
    let mut head = Html::default();
    head.put("<script src=\"/pay/assets/checkout.js\" defer></script>");
    document(&format!("Pay {merchant}"), &head, &main)
}

/// A page that says how it stands.
pub(super) struct Notice<'a> {
    /// Of the whole page, for its style.
    pub(super) kind: &'static str,
    pub(super) title: &'a str,
    pub(super) about: &'a str,
    /// Where to go on: what is to be pressed, and where it leads.
    pub(super) next: &'a [(&'a str, &'a str)],
}

/// How it stands with a link. A page that looks again by itself knows how often it has, and where; that ends with the number.
pub(super) fn notice(asked: Asked<'_>, notice: &Notice<'_>, looks: Option<(u64, &str)>) -> String {
    let mut main = Html::default();
    main.part(&summary(asked))
        .put("<div class=\"end\" data-state=\"")
        .text(notice.kind)
        .put("\"><span class=\"mark ")
        .text(notice.kind)
        .put("\" aria-hidden=\"true\"></span><h1>")
        .text(notice.title)
        .put("</h1><p>")
        .text(notice.about)
        .put("</p>");
    for (label, place) in notice.next {
        // What leads on is to be seen first; what only stays here is quiet.
        let class = if place.starts_with("/pay/") {
            "button quiet"
        } else {
            "button"
        };
        main.put("<p><a class=\"")
            .put(class)
            .put("\" rel=\"noreferrer\" href=\"")
            .text(place)
            .put("\">")
            .text(label)
            .put("</a></p>");
    }
    main.put("</div>");
    let mut head = Html::default();
    if let Some((looks, place)) = looks.filter(|(looks, _)| *looks < LOOKS_MAX) {
        // Also without a script, and not for ever.
        head.put("<meta http-equiv=\"refresh\" content=\"")
            .number(LOOK_AFTER_S)
            .put(";url=")
            .text(place)
            .number(looks.saturating_add(1))
            .put("\">");
    }
    document(notice.title, &head, &main)
}

/// There is no such link.
pub(super) fn missing() -> String {
    let mut main = Html::default();
    main.put("<div class=\"end\" data-state=\"closed\"><span class=\"mark closed\" aria-hidden=\"true\"></span><h1>There is nothing to pay here</h1>")
        .put("<p>The link is not complete, or it is not there any more. Ask whoever sent it to you.</p></div>");
    document("There is nothing to pay here", &Html::default(), &main)
}

/// The server cannot tell now how it stands.
pub(super) fn trouble() -> String {
    let mut main = Html::default();
    main.put("<div class=\"end\" data-state=\"trouble\"><span class=\"mark closed\" aria-hidden=\"true\"></span><h1>This does not work right now</h1>")
        .put("<p>Load the page again in a moment. If you were paying, you are not charged twice.</p></div>");
    document("This does not work right now", &Html::default(), &main)
}

/// A card as its owner knows it.
pub(super) fn card(method: &PaymentMethod) -> String {
    format!("{} ending in {}", brand_title(method.brand), method.last4())
}
