//! Hostile requests in tables, each with the refusal that it must get.
//!
//! - `fields`: bodies in which one field is wrong; `documents`: bodies that are wrong as a whole.
//! - `requests`: paths, methods, queries and headers; `wire`: bytes that are no proper HTTP.

mod documents;
mod fields;
mod requests;
mod wire;

use crate::deployment::MERCHANT;
use crate::http::{Answer, raw, request};
use std::net::SocketAddr;

/// One request and its refusal.
#[derive(Debug)]
pub(super) struct Hostile {
    /// What it is, unique.
    name: String,
    bytes: Vec<u8>,
    refusal: Refusal,
}

/// What must be answered.
#[derive(Clone, Debug)]
enum Refusal {
    /// By us: status, code, and the parameter at fault.
    Named(u16, &'static str, Option<String>),
    /// By the HTTP server below us, which says no more than a status, or by closing the connection.
    Below,
}

fn named(status: u16, code: &'static str) -> Refusal {
    Refusal::Named(status, code, None)
}

fn at(status: u16, code: &'static str, param: &str) -> Refusal {
    Refusal::Named(status, code, Some(param.to_owned()))
}

/// Headers with which a payment would be made.
fn usual() -> Vec<(&'static str, String)> {
    vec![
        ("Authorization", format!("Bearer {MERCHANT}")),
        ("Content-Type", "application/json".to_owned()),
        ("Idempotency-Key", "the key".to_owned()),
    ]
}

fn bytes(method: &str, path: &str, headers: &[(&'static str, String)], body: &[u8]) -> Vec<u8> {
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    request(method, path, &headers, body)
}

/// A request for a payment with this body.
fn body(name: impl Into<String>, body: impl AsRef<[u8]>, refusal: Refusal) -> Hostile {
    Hostile {
        name: name.into(),
        bytes: bytes("POST", "/v1/payments", &usual(), body.as_ref()),
        refusal,
    }
}

impl Hostile {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Sends it on a connection of its own; what is wrong with the answer, if anything is.
    pub(super) fn send(&self, api: SocketAddr) -> Result<(), String> {
        let answer = raw(api, &self.bytes);
        let fits = match (&self.refusal, &answer) {
            (Refusal::Below, None) => true,
            (Refusal::Below, Some(answer)) => (400..=505).contains(&answer.status) && answer.status != 500,
            (Refusal::Named(..), None) => false,
            (Refusal::Named(status, code, param), Some(answer)) => {
                answer.status == *status && is_named(answer, code, param.as_deref())
            }
        };
        if fits {
            Ok(())
        } else {
            Err(format!(
                "{}: expected {:?}, got {answer:?}",
                self.name, self.refusal
            ))
        }
    }
}

/// The refusal is complete, and says nothing of our inside.
fn is_named(answer: &Answer, code: &str, param: Option<&str>) -> bool {
    let text = answer.text();
    let Ok(body) = serde_json::from_slice::<serde_json::Value>(&answer.body) else {
        return false;
    };
    let error = &body["error"];
    error["code"] == code
        && error["param"].as_str() == param
        && error["message"]
            .as_str()
            .is_some_and(|message| !message.is_empty())
        && error["doc_url"] == format!("/docs/errors/{code}")
        && answer
            .header("request-id")
            .is_some_and(|id| id.starts_with("req_"))
        && ["panicked", "src/", "sqlite", "SELECT "]
            .iter()
            .all(|inside| !text.contains(inside))
}

/// All of them.
pub(super) fn corpus() -> Vec<Hostile> {
    let mut all = fields::all();
    all.extend(documents::all());
    all.extend(requests::all());
    all.extend(wire::all());
    all
}
