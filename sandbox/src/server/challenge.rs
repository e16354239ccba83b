//! The page on which a customer passes or fails a challenge.

use std::fmt::Write;

use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, LOCATION, REFERRER_POLICY,
};
use http::{Method, Response, StatusCode};

use super::body::AnswerBody;
use crate::stripe::Challenged;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:26rem;margin:4rem auto;padding:0 1rem}\
    form{display:inline-block;margin-right:.5rem}button{font:inherit;padding:.5rem 1rem}";

/// What a request below `/3ds/` asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Visit<'a> {
    pub(crate) intent: &'a str,
    /// None only looks.
    pub(crate) passed: Option<bool>,
}

impl<'a> Visit<'a> {
    pub(crate) fn parse(method: &Method, path: &'a str) -> Option<Self> {
        let rest = path.strip_prefix("/3ds/")?;
        let (intent, passed) = match (method, rest.split_once('/')) {
            (&Method::GET, None) => (rest, None),
            (&Method::POST, Some((intent, "complete"))) => (intent, Some(true)),
            (&Method::POST, Some((intent, "fail"))) => (intent, Some(false)),
            _ => return None,
        };
        Some(Self { intent, passed })
    }
}

/// What the browser is shown, or where it is sent.
pub(crate) fn answer(challenged: Challenged) -> Response<AnswerBody> {
    match challenged {
        Challenged::Unknown => page(
            StatusCode::NOT_FOUND,
            "Nothing here",
            "<p>There is no such challenge.</p>",
        ),
        Challenged::Waiting {
            intent,
            amount_minor,
            currency,
        } => {
            let currency = currency.as_str().to_uppercase();
            let mut content = format!(
                "<p>This is a sandbox. Is it you who pays {amount_minor} minor units of {currency}?</p>"
            );
            for (verb, label) in [
                ("complete", "Complete authentication"),
                ("fail", "Fail authentication"),
            ] {
                write!(
                    content,
                    "<form method=\"post\" action=\"/3ds/{intent}/{verb}\"><button>{label}</button></form>"
                )
                .expect("writing into memory cannot fail");
            }
            page(StatusCode::OK, "Is it you?", &content)
        }
        Challenged::Over { passed, location } => {
            let word = if passed { "passed" } else { "not passed" };
            let content = format!("<p>The challenge was {word}. You can close this window.</p>");
            match location.and_then(|location| HeaderValue::try_from(location).ok()) {
                None => page(StatusCode::OK, "Done", &content),
                Some(location) => {
                    let mut response = page(StatusCode::SEE_OTHER, "Done", &content);
                    response.headers_mut().insert(LOCATION, location);
                    response
                }
            }
        }
    }
}

/// `content` is HTML; whatever in it comes from outside is an id that we gave ourselves, a number or a currency.
fn page(status: StatusCode, title: &str, content: &str) -> Response<AnswerBody> {
    let document = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <style>{STYLE}</style></head><body><h1>{title}</h1>{content}</body></html>"
    );
    let mut response = Response::new(AnswerBody::whole(document));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors *",
        ),
        (REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_page_and_its_two_buttons_exist() {
        let visit = |intent, passed| Some(Visit { intent, passed });
        let table = [
            (Method::GET, "/3ds/pi_1", visit("pi_1", None)),
            (Method::POST, "/3ds/pi_1/complete", visit("pi_1", Some(true))),
            (Method::POST, "/3ds/pi_1/fail", visit("pi_1", Some(false))),
            (Method::POST, "/3ds/pi_1", None),
            (Method::GET, "/3ds/pi_1/complete", None),
            (Method::POST, "/3ds/pi_1/complete/", None),
            (Method::GET, "/3ds", None),
        ];
        for (method, path, expected) in table {
            assert_eq!(Visit::parse(&method, path), expected, "{method} {path}");
        }
    }
}
