//! Faults: which requests of a provider go wrong, how and how often.
//!
//! Faults add up: each one that covers a request draws from its own generator, so what it does depends only on its seed and
//! on how many requests it has covered. Delays add; of everything else that fires, the oldest fault wins. Only requests that
//! would execute something (or a query) are covered: replays of a stored answer and invalid requests are not, and a
//! payment intent that is only created, not confirmed, charges nothing. Faults are not durable.
//!
//! A fault that names a payment method covers only requests about payments that are made with it, so no queries.

mod parse;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::stripe::TestMethod;
use crate::witness::Provider;
use parse::{parse, reject};

const FAULTS_MAX: usize = 64;

/// How a request fails in an outage, each as likely as the others.
const OUTAGE: [Hit; 4] = [
    Hit::TimeoutBefore,
    Hit::DropConnection,
    Hit::Http503,
    Hit::RateLimit,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Operation {
    /// Covers sales.
    Authorize,
    Capture,
    Void,
    Refund,
    Query,
}

/// What a fault covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Covered {
    Any,
    #[serde(untagged)]
    Only(Operation),
}

impl Covered {
    fn has(self, operation: Operation) -> bool {
        match self {
            Self::Any => true,
            Self::Only(only) => only == operation,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    /// Refused by the issuer; a final answer, stored under the key.
    Decline,
    /// Nothing is executed, and the caller hears nothing until the connection closes.
    TimeoutBefore,
    /// Executed, witnessed and stored, but the caller hears nothing until the connection closes.
    TimeoutAfterCharge,
    /// Not executed; the 500 is stored under the key.
    #[serde(rename = "http_500")]
    Http500,
    /// Not executed; the 503 is not stored.
    #[serde(rename = "http_503")]
    Http503,
    /// 429 with `Retry-After`; neither executed nor stored.
    RateLimit,
    /// Executed at once, answered late.
    Slow,
    /// The connection closes before anything is executed.
    DropConnection,
    /// Not executed: silence, a closed connection, a 503 or a 429, each as likely as the others.
    Outage,
    /// Executed and answered; its notifications are sent twice.
    DuplicateWebhook,
    /// Executed and answered; its notifications are sent so much later, and later ones overtake them.
    LateWebhook,
    /// Answered with a 500 at once and executed so much later; until then the key is in use. Only at Adyen.
    LateExecution,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Fault {
    id: u64,
    provider: Provider,
    operation: Covered,
    mode: Mode,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_method: Option<TestMethod>,
    probability: f64,
    seed: u64,
    /// At most so many firings.
    #[serde(rename = "count")]
    firings_max: Option<u64>,
    delay_ms: u64,
    /// In place of the one delay, if there are any: each as likely as the others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    delays_ms: Vec<u64>,
    /// Requests covered so far.
    covered: u64,
    fired: u64,
    #[serde(skip)]
    random: SplitMix64,
}

/// What the active faults do to one request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Drawn {
    pub(crate) delay_ms: u64,
    pub(crate) hit: Option<Hit>,
    /// How often more than once its notifications are sent.
    pub(crate) notice_copies: u8,
    pub(crate) notice_delay_ms: u64,
    /// It fails now and is executed so much later.
    pub(crate) late_ms: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hit {
    Decline,
    TimeoutBefore,
    TimeoutAfterCharge,
    Http500,
    Http503,
    RateLimit,
    DropConnection,
}

/// Why a fault was not accepted: the field, and what is wrong with it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rejected {
    pub(crate) param: Cow<'static, str>,
    pub(crate) message: String,
}

#[derive(Debug, Default)]
pub(crate) struct Faults {
    active: Vec<Fault>,
    ids_given: u64,
}

impl Faults {
    pub(crate) fn add(&mut self, body: &[u8]) -> Result<&Fault, Rejected> {
        let mut fault = parse(body)?;
        if self.active.len() >= FAULTS_MAX {
            return Err(reject(
                "faults",
                format!("at most {FAULTS_MAX} faults can be active"),
            ));
        }
        self.ids_given += 1;
        fault.id = self.ids_given;
        self.active.push(fault);
        Ok(self.active.last().expect("a fault was just pushed"))
    }

    pub(crate) fn clear(&mut self) -> usize {
        let removed = self.active.len();
        self.active.clear();
        removed
    }

    pub(crate) fn active(&self) -> &[Fault] {
        &self.active
    }

    /// Lets every fault that covers this request draw.
    pub(crate) fn draw(
        &mut self,
        provider: Provider,
        operation: Operation,
        method: Option<TestMethod>,
    ) -> Drawn {
        let mut drawn = Drawn::default();
        for fault in &mut self.active {
            if !fault.covers(provider, operation, method) || !fault.fires() {
                continue;
            }
            let hit = match fault.mode {
                Mode::Decline => Hit::Decline,
                Mode::TimeoutBefore => Hit::TimeoutBefore,
                Mode::TimeoutAfterCharge => Hit::TimeoutAfterCharge,
                Mode::Http500 => Hit::Http500,
                Mode::Http503 => Hit::Http503,
                Mode::RateLimit => Hit::RateLimit,
                Mode::DropConnection => Hit::DropConnection,
                Mode::Outage => fault.failure(),
                Mode::Slow => {
                    drawn.delay_ms = drawn.delay_ms.saturating_add(fault.latency_ms());
                    continue;
                }
                Mode::DuplicateWebhook => {
                    drawn.notice_copies = drawn.notice_copies.saturating_add(1);
                    continue;
                }
                Mode::LateWebhook => {
                    drawn.notice_delay_ms = drawn.notice_delay_ms.saturating_add(fault.delay_ms);
                    continue;
                }
                Mode::LateExecution => {
                    drawn.late_ms = drawn.late_ms.or(Some(fault.delay_ms));
                    continue;
                }
            };
            drawn.hit = drawn.hit.or(Some(hit));
        }
        drawn
    }
}

impl Fault {
    fn covers(&self, provider: Provider, operation: Operation, method: Option<TestMethod>) -> bool {
        self.provider == provider
            && self.operation.has(operation)
            && (self.payment_method.is_none() || self.payment_method == method)
    }

    /// How a request fails in an outage.
    fn failure(&mut self) -> Hit {
        let drawn = self.below(OUTAGE.len()).and_then(|index| OUTAGE.get(index));
        drawn.copied().unwrap_or(Hit::Http503)
    }

    /// The one delay, or one of several.
    fn latency_ms(&mut self) -> u64 {
        let drawn = self.below(self.delays_ms.len());
        let one = drawn.and_then(|index| self.delays_ms.get(index));
        one.copied().unwrap_or(self.delay_ms)
    }

    /// Draws a number below `count`; nothing if there is none.
    fn below(&mut self, count: usize) -> Option<usize> {
        let count = u64::try_from(count).ok().filter(|count| *count > 0)?;
        usize::try_from(self.random.next() % count).ok()
    }

    fn fires(&mut self) -> bool {
        self.covered += 1;
        let fires =
            self.random.next_unit() < self.probability && self.firings_max.is_none_or(|max| self.fired < max);
        if fires {
            self.fired += 1;
        }
        fires
    }
}

#[derive(Debug, Clone)]
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Uniform in [0, 1), in steps of 2^-32.
    fn next_unit(&mut self) -> f64 {
        let high = u32::try_from(self.next() >> 32).expect("a 64-bit number has 32 high bits");
        f64::from(high) / (f64::from(u32::MAX) + 1.0)
    }
}

#[cfg(test)]
mod tests;
