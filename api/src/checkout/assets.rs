//! The page's own script, style and icon. It loads nothing else.

use crate::openapi::{Access, Endpoint, chapter, text};
use crate::reply::Reply;
use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use serde_json::Value;

/// `GET /pay/assets/checkout.css`.
pub(crate) async fn style() -> Reply {
    served("text/css; charset=utf-8", include_str!("checkout.css"))
}

/// `GET /pay/assets/checkout.js`.
pub(crate) async fn script() -> Reply {
    served("text/javascript; charset=utf-8", include_str!("checkout.js"))
}

/// `GET /pay/assets/icon.svg`.
pub(crate) async fn icon() -> Reply {
    served("image/svg+xml", include_str!("icon.svg"))
}

/// A page and its script are of one version: nobody keeps a script that another version's page would run.
fn served(kind: &'static str, body: &'static str) -> Reply {
    let response = HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, HeaderValue::from_static(kind)))
        .insert_header((X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")))
        .insert_header((CACHE_CONTROL, HeaderValue::from_static("no-cache")))
        .insert_header(("cross-origin-resource-policy", "same-origin"))
        .body(body);
    Reply(Ok(response))
}

fn described(path: &'static str, kind: &str, (name, summary): (&str, &str)) -> Endpoint {
    Endpoint::get(path, Access::Everybody)
        .called(name, summary, "Part of what the checkout page loads.")
        .in_chapter(chapter::CHECKOUT)
        .answers_as(kind, 200, "It.", text("As it is."), Value::Null)
}

pub(crate) fn described_style() -> Endpoint {
    let called = ("getCheckoutStyle", "The checkout page's style sheet");
    described("/pay/assets/checkout.css", "text/css", called)
}

pub(crate) fn described_script() -> Endpoint {
    let called = ("getCheckoutScript", "The checkout page's script");
    described("/pay/assets/checkout.js", "text/javascript", called)
}

pub(crate) fn described_icon() -> Endpoint {
    let called = ("getCheckoutIcon", "The checkout page's icon");
    described("/pay/assets/icon.svg", "image/svg+xml", called)
}
