//! The body of a refusal in either format, and which of them the request asks for.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use serde::Serialize;
use std::borrow::Cow;

/// What is shown of an error, in the names of the Stripe envelope.
#[derive(Debug, Serialize)]
pub(super) struct Shown<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) decline_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) advice_code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) network_decline_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) network_advice_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) retry_after_s: Option<u64>,
    pub(super) message: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) param: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) payment_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) payment_status: Option<&'static str>,
    pub(super) doc_url: &'static str,
}

/// The same in the names of RFC 9457.
#[derive(Debug, Serialize)]
struct Problem<'a> {
    #[serde(rename = "type")]
    uri: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    error_type: &'static str,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    decline_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice_code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network_decline_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network_advice_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    param: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_status: Option<&'static str>,
}

impl Shown<'_> {
    pub(super) fn envelope(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Envelope<'a> {
            error: &'a Shown<'a>,
        }
        serde_json::to_vec(&Envelope { error: self }).unwrap_or_default()
    }

    pub(super) fn problem(&self, status: StatusCode) -> Vec<u8> {
        let problem = Problem {
            uri: self.doc_url,
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: &self.message,
            error_type: self.kind,
            code: self.code,
            decline_code: self.decline_code,
            advice_code: self.advice_code,
            network_decline_code: self.network_decline_code,
            network_advice_code: self.network_advice_code,
            retry_after_s: self.retry_after_s,
            param: self.param.as_deref(),
            payment_id: self.payment_id.as_deref(),
            payment_status: self.payment_status,
        };
        serde_json::to_vec(&problem).unwrap_or_default()
    }
}

/// Whether the caller takes RFC 9457; a weight other than zero is not compared with those of other types.
pub(super) fn wants_problem(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|range| {
            let mut parts = range.split(';').map(str::trim);
            let wanted = parts
                .next()
                .is_some_and(|name| name.eq_ignore_ascii_case("application/problem+json"));
            let refused = |weight: &str| {
                weight
                    .trim_start_matches("q=")
                    .trim_matches(['0', '.'])
                    .is_empty()
            };
            wanted && !parts.any(|part| part.starts_with("q=") && refused(part))
        })
}
