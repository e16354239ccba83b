//! Faults: which requests of a provider go wrong, how and how often.
//!
//! Faults add up: each one that covers a request draws from its own generator, so what it does depends only on its seed and
//! on how many requests it has covered. Delays add; of everything else that fires, the oldest fault wins. Only requests that
//! would execute something (or a query) are covered: replays of a stored answer and invalid requests are not, and a
//! payment intent that is only created, not confirmed, charges nothing. Faults are not durable.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::witness::Provider;

const FAULTS_MAX: usize = 64;
const DELAY_MS_DEFAULT: u64 = 2_000;
const DELAY_MS_MAX: u64 = 600_000;

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
    /// Executed and answered; its notification is sent twice. Only Adyen sends any.
    DuplicateWebhook,
    /// Executed and answered; its notification is sent so much later, and later ones overtake it. Only Adyen sends any.
    LateWebhook,
    /// Answered with a 500 at once and executed so much later; until then the key is in use. Only at Adyen.
    LateExecution,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Fault {
    id: u64,
    provider: Provider,
    operation: Operation,
    mode: Mode,
    probability: f64,
    seed: u64,
    /// At most so many firings.
    #[serde(rename = "count")]
    firings_max: Option<u64>,
    delay_ms: u64,
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
    /// How often more than once its notification is sent.
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
    pub(crate) fn draw(&mut self, provider: Provider, operation: Operation) -> Drawn {
        let mut drawn = Drawn::default();
        for fault in &mut self.active {
            if fault.provider != provider || fault.operation != operation || !fault.fires() {
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
                Mode::Slow => {
                    drawn.delay_ms = drawn.delay_ms.saturating_add(fault.delay_ms);
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

fn reject(param: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Rejected {
    Rejected {
        param: param.into(),
        message: message.into(),
    }
}

fn parse(body: &[u8]) -> Result<Fault, Rejected> {
    let value: Value =
        serde_json::from_slice(body).map_err(|error| reject("body", format!("not valid JSON: {error}")))?;
    let Value::Object(mut fields) = value else {
        return Err(reject("body", "expected a JSON object"));
    };
    let provider: Provider = named(&mut fields, "provider", "stripe or adyen")?;
    let operation: Operation = named(
        &mut fields,
        "operation",
        "authorize, capture, void, refund or query",
    )?;
    let mode = parse_mode(&mut fields, provider, operation)?;
    let probability = match fields.remove("probability") {
        None => 1.0,
        Some(value) => value
            .as_f64()
            .filter(|probability| (0.0..=1.0).contains(probability))
            .ok_or_else(|| reject("probability", "expected a number from 0 to 1"))?,
    };
    let seed = whole(&mut fields, "seed", 0..=u64::MAX)?.unwrap_or(0);
    let firings_max = whole(&mut fields, "count", 1..=u64::MAX)?;
    let delay_ms = whole(&mut fields, "delay_ms", 0..=DELAY_MS_MAX)?;
    let is_delay = matches!(mode, Mode::Slow | Mode::LateWebhook | Mode::LateExecution);
    if delay_ms.is_some() && !is_delay {
        return Err(reject(
            "delay_ms",
            "only the modes slow, late_webhook and late_execution have a delay",
        ));
    }
    if let Some(unknown) = fields.keys().next() {
        return Err(reject(unknown.clone(), "unknown field"));
    }
    Ok(Fault {
        id: 0,
        provider,
        operation,
        mode,
        probability,
        seed,
        firings_max,
        delay_ms: delay_ms.unwrap_or(if is_delay { DELAY_MS_DEFAULT } else { 0 }),
        covered: 0,
        fired: 0,
        random: SplitMix64(seed),
    })
}

fn parse_mode(
    fields: &mut serde_json::Map<String, Value>,
    provider: Provider,
    operation: Operation,
) -> Result<Mode, Rejected> {
    let expected = "decline, timeout_before, timeout_after_charge, http_500, http_503, rate_limit, slow, drop_connection, duplicate_webhook, late_webhook or late_execution";
    let mode = named(fields, "mode", expected)?;
    if matches!(mode, Mode::DuplicateWebhook | Mode::LateWebhook) && provider != Provider::Adyen {
        return Err(reject("mode", "only the simulated Adyen sends webhooks"));
    }
    if mode == Mode::LateExecution && (provider != Provider::Adyen || operation == Operation::Query) {
        return Err(reject(
            "mode",
            "only the simulated Adyen executes late, and nothing is asked of it",
        ));
    }
    if mode == Mode::Decline && operation == Operation::Query {
        return Err(reject("mode", "decline does not apply to a query"));
    }
    Ok(mode)
}

fn named<T: serde::de::DeserializeOwned>(
    fields: &mut serde_json::Map<String, Value>,
    param: &'static str,
    expected: &str,
) -> Result<T, Rejected> {
    let value = fields
        .remove(param)
        .ok_or_else(|| reject(param, format!("missing; expected {expected}")))?;
    serde_json::from_value(value).map_err(|_| reject(param, format!("expected {expected}")))
}

fn whole(
    fields: &mut serde_json::Map<String, Value>,
    param: &'static str,
    range: std::ops::RangeInclusive<u64>,
) -> Result<Option<u64>, Rejected> {
    let Some(value) = fields.remove(param) else {
        return Ok(None);
    };
    value
        .as_u64()
        .filter(|number| range.contains(number))
        .map(Some)
        .ok_or_else(|| {
            reject(
                param,
                format!(
                    "expected a whole number from {} to {}",
                    range.start(),
                    range.end()
                ),
            )
        })
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
mod tests {
    use super::*;

    fn faults(bodies: &[&str]) -> Faults {
        let mut faults = Faults::default();
        for body in bodies {
            faults.add(body.as_bytes()).unwrap();
        }
        faults
    }

    #[test]
    fn the_generator_matches_the_published_sequence_of_splitmix64() {
        let mut random = SplitMix64(1_234_567);
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn the_same_seed_fires_on_the_same_requests() {
        let body =
            r#"{"provider":"stripe","operation":"authorize","mode":"decline","probability":0.3,"seed":7}"#;
        let run = || -> Vec<bool> {
            let mut faults = faults(&[body]);
            (0..1000)
                .map(|_| faults.draw(Provider::Stripe, Operation::Authorize).hit.is_some())
                .collect()
        };
        let fired = run().iter().filter(|fired| **fired).count();
        assert_eq!(run(), run());
        assert!((200..400).contains(&fired), "{fired} of 1000 fired at 0.3");
    }

    #[test]
    fn a_fault_leaves_other_operations_alone() {
        let mut faults = faults(&[r#"{"provider":"stripe","operation":"capture","mode":"http_500"}"#]);
        assert_eq!(
            faults.draw(Provider::Stripe, Operation::Authorize),
            Drawn::default()
        );
        assert_eq!(
            faults.draw(Provider::Stripe, Operation::Capture).hit,
            Some(Hit::Http500)
        );
    }

    #[test]
    fn delays_add_up_and_the_oldest_hit_wins() {
        let mut faults = faults(&[
            r#"{"provider":"stripe","operation":"refund","mode":"slow","delay_ms":10}"#,
            r#"{"provider":"stripe","operation":"refund","mode":"rate_limit","count":1}"#,
            r#"{"provider":"stripe","operation":"refund","mode":"http_500"}"#,
            r#"{"provider":"stripe","operation":"refund","mode":"slow"}"#,
        ]);
        let draw = |faults: &mut Faults| faults.draw(Provider::Stripe, Operation::Refund);
        assert_eq!(
            draw(&mut faults),
            Drawn {
                delay_ms: 2010,
                hit: Some(Hit::RateLimit),
                ..Drawn::default()
            }
        );
        assert_eq!(
            draw(&mut faults),
            Drawn {
                delay_ms: 2010,
                hit: Some(Hit::Http500),
                ..Drawn::default()
            }
        );
    }

    #[test]
    fn bad_input_names_its_field() {
        let table = [
            ("nonsense", "body"),
            ("[]", "body"),
            (r#"{"operation":"capture","mode":"slow"}"#, "provider"),
            (
                r#"{"provider":"paypal","operation":"capture","mode":"slow"}"#,
                "provider",
            ),
            (r#"{"provider":"stripe","mode":"slow"}"#, "operation"),
            (
                r#"{"provider":"stripe","operation":"sale","mode":"slow"}"#,
                "operation",
            ),
            (r#"{"provider":"stripe","operation":"capture"}"#, "mode"),
            (
                r#"{"provider":"stripe","operation":"capture","mode":"explode"}"#,
                "mode",
            ),
            (
                r#"{"provider":"stripe","operation":"capture","mode":"duplicate_webhook"}"#,
                "mode",
            ),
            (
                r#"{"provider":"stripe","operation":"query","mode":"decline"}"#,
                "mode",
            ),
            (
                r#"{"provider":"stripe","operation":"authorize","mode":"late_execution"}"#,
                "mode",
            ),
            (
                r#"{"provider":"stripe","operation":"capture","mode":"slow","probability":1.5}"#,
                "probability",
            ),
            (
                r#"{"provider":"stripe","operation":"capture","mode":"slow","seed":-1}"#,
                "seed",
            ),
            (
                r#"{"provider":"stripe","operation":"capture","mode":"slow","count":0}"#,
                "count",
            ),
            (
                r#"{"provider":"stripe","operation":"capture","mode":"slow","delay_ms":"1"}"#,
                "delay_ms",
            ),
            (
                r#"{"provider":"stripe","operation":"capture","mode":"decline","delay_ms":1}"#,
                "delay_ms",
            ),
            (
                r#"{"provider":"stripe","operation":"capture","mode":"slow","colour":"red"}"#,
                "colour",
            ),
        ];
        for (body, param) in table {
            let rejected = Faults::default().add(body.as_bytes()).unwrap_err();
            assert_eq!(rejected.param, param, "{body}");
        }
    }
}
