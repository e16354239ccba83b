//! The simulated Stripe's events: which ones a line makes, how they are signed, and when they are due. They live in memory only: what is
//! still to be told when the sandbox stops is forgotten, as nothing may rely on a webhook alone.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::engine::{Answer, Line};
use super::objects::{CaptureMethod, Intent, IntentStatus};
use super::render::{self, Shown, Site};
use crate::clock::UnixMillis;
use crate::due::Due;
use crate::hmac::{hex, hmac_sha256};
use crate::witness::Provider;

/// What waits for an address that never answers is bounded; the oldest is forgotten first.
const WAITING_MAX: usize = 100_000;
const WAIT_MS_MIN: u64 = 200;
const WAIT_MS_MAX: u64 = 60_000;
/// No line makes as many events.
const EVENTS_PER_LINE: u64 = 8;
const SECRET_CHARS_MIN: usize = 8;

/// Where events go, and the secret that signs them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WebhookTarget {
    url: Box<str>,
    secret: Box<str>,
}

/// Reads `{"url": "http://...", "secret": "whsec_..."}`.
pub(crate) fn parse_target(body: &[u8]) -> Result<WebhookTarget, &'static str> {
    let target: WebhookTarget = serde_json::from_slice(body).map_err(|_| "expected `url` and `secret`")?;
    if !target
        .url
        .strip_prefix("http://")
        .is_some_and(|rest| rest.contains('/'))
    {
        return Err("url: expected plain HTTP with a path");
    }
    if target.secret.len() < SECRET_CHARS_MIN || target.secret.contains(',') {
        return Err("secret: expected at least 8 characters and no comma");
    }
    Ok(target)
}

/// How the events of one request are sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Telling {
    /// How often more than once.
    pub(crate) copies: u8,
    pub(crate) delay_ms: u64,
}

#[derive(Debug)]
struct Waiting {
    body: Vec<u8>,
    copies: u8,
    due_ms: u64,
    failures: u32,
    /// Handed out, and not heard of yet.
    is_out: bool,
}

/// Events that nobody has acknowledged, by their number.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    target: Option<WebhookTarget>,
    waiting: BTreeMap<u64, Waiting>,
}

impl Outbox {
    /// From now on events go there.
    pub(crate) fn tell(&mut self, target: WebhookTarget) {
        self.target = Some(target);
    }

    /// Anybody is told.
    pub(crate) fn is_told(&self) -> bool {
        self.target.is_some()
    }

    /// Whatever a line did to its objects, which were `before` that.
    pub(crate) fn put(
        &mut self,
        site: Site<'_>,
        (before, line): (Option<&Intent>, &Line),
        telling: Telling,
        now: UnixMillis,
    ) {
        if !self.is_told() {
            return;
        }
        for (index, (kind, shown)) in (0..).zip(happened(before, line)) {
            let number = line.seq * EVENTS_PER_LINE + index;
            let waiting = Waiting {
                body: render::event_body(site, (number, kind), line.at, shown),
                copies: telling.copies.saturating_add(1),
                due_ms: now.plus_ms(telling.delay_ms).0,
                failures: 0,
                is_out: false,
            };
            self.waiting.insert(number, waiting);
            if self.waiting.len() > WAITING_MAX {
                self.waiting.pop_first();
            }
        }
    }

    pub(crate) fn delivered(&mut self, number: u64) {
        self.waiting.remove(&number);
    }

    /// It was not acknowledged: later again.
    pub(crate) fn failed(&mut self, number: u64, now: UnixMillis) {
        if let Some(waiting) = self.waiting.get_mut(&number) {
            let wait_ms = (WAIT_MS_MIN << waiting.failures.min(16)).min(WAIT_MS_MAX);
            waiting.failures += 1;
            waiting.is_out = false;
            waiting.due_ms = now.plus_ms(wait_ms).0;
        }
    }

    /// What is due now, which is then out and signed with this time, and how long it is to the next one.
    pub(crate) fn take(&mut self, now: UnixMillis, limit: usize) -> (Vec<Due>, Option<u64>) {
        let Some(target) = &self.target else {
            return (Vec::new(), None);
        };
        let mut due = Vec::new();
        let mut next_ms: Option<u64> = None;
        for (number, waiting) in &mut self.waiting {
            if waiting.is_out {
                continue;
            }
            if waiting.due_ms > now.0 || due.len() >= limit {
                let wait_ms = waiting.due_ms.saturating_sub(now.0);
                next_ms = Some(next_ms.map_or(wait_ms, |next_ms| next_ms.min(wait_ms)));
                continue;
            }
            waiting.is_out = true;
            due.push(Due {
                of: (Provider::Stripe, *number),
                url: target.url.clone(),
                copies: waiting.copies,
                seal: Some(("stripe-signature", seal(&target.secret, now, &waiting.body))),
                body: waiting.body.clone(),
            });
        }
        (due, next_ms)
    }
}

/// The header: time and signature of time and body.
fn seal(secret: &str, now: UnixMillis, body: &[u8]) -> String {
    let signed_at = now.seconds();
    let payload = [signed_at.to_string().as_bytes(), b".", body].concat();
    format!(
        "t={signed_at},v1={}",
        hex(&hmac_sha256(secret.as_bytes(), &payload))
    )
}

/// The events of a line, in the order in which they happened.
fn happened<'a>(before: Option<&Intent>, line: &'a Line) -> Vec<(&'static str, Shown<'a>)> {
    if let (Some(refund), Some(intent)) = (&line.refund, &line.intent) {
        return vec![
            ("charge.refunded", Shown::Charge(intent)),
            ("refund.created", Shown::Refund(refund)),
        ];
    }
    let Some(after) = &line.intent else {
        return Vec::new();
    };
    let was = before.map(|before| before.status);
    let is_charged_now = after.charge.as_ref().is_some_and(|charge| charge.seq == line.seq);
    let (intent, charge) = (Shown::Intent(after), Shown::Charge(after));
    match after.status {
        IntentStatus::Succeeded if was == Some(IntentStatus::Succeeded) => Vec::new(),
        IntentStatus::Succeeded if after.capture_method == CaptureMethod::Manual => {
            vec![("charge.captured", charge), ("payment_intent.succeeded", intent)]
        }
        IntentStatus::Succeeded => vec![("charge.succeeded", charge), ("payment_intent.succeeded", intent)],
        IntentStatus::RequiresCapture if is_charged_now => vec![
            ("charge.succeeded", charge),
            ("payment_intent.amount_capturable_updated", intent),
        ],
        // It grew, or a part of it was taken; a refusal changes neither.
        IntentStatus::RequiresCapture if line.answer == Answer::Intent => {
            let is_taken = before.is_some_and(|before| before.received_minor() < after.received_minor());
            let taken = is_taken.then_some(("charge.captured", charge));
            let changed = ("payment_intent.amount_capturable_updated", intent);
            taken.into_iter().chain([changed]).collect()
        }
        IntentStatus::RequiresAction if was != Some(IntentStatus::RequiresAction) => {
            vec![("payment_intent.requires_action", intent)]
        }
        IntentStatus::Canceled if was != Some(IntentStatus::Canceled) => {
            vec![("payment_intent.canceled", intent)]
        }
        IntentStatus::RequiresPaymentMethod => {
            let is_failed = is_charged_now
                || after.unauthenticated.is_some() && was == Some(IntentStatus::RequiresAction);
            let failed = is_charged_now.then_some(("charge.failed", charge));
            let told = is_failed.then_some(("payment_intent.payment_failed", intent));
            failed.into_iter().chain(told).collect()
        }
        IntentStatus::RequiresCapture
        | IntentStatus::RequiresAction
        | IntentStatus::Canceled
        | IntentStatus::RequiresConfirmation => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
