//! Reads a fault as it is posted, and says which field is wrong.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{Covered, Fault, Mode, Operation, Rejected, SplitMix64};
use crate::stripe::TestMethod;
use crate::witness::Provider;

const DELAY_MS_DEFAULT: u64 = 2_000;
const DELAY_MS_MAX: u64 = 600_000;
const DELAYS_MAX: usize = 64;

pub(super) fn reject(param: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Rejected {
    Rejected {
        param: param.into(),
        message: message.into(),
    }
}

pub(super) fn parse(body: &[u8]) -> Result<Fault, Rejected> {
    let value: Value =
        serde_json::from_slice(body).map_err(|error| reject("body", format!("not valid JSON: {error}")))?;
    let Value::Object(mut fields) = value else {
        return Err(reject("body", "expected a JSON object"));
    };
    let provider: Provider = named(&mut fields, "provider", "stripe or adyen")?;
    let operation: Covered = named(
        &mut fields,
        "operation",
        "authorize, capture, void, refund, query or any",
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
    let latencies = delays(&mut fields, mode)?;
    if delay_ms.is_some() && !latencies.is_empty() {
        return Err(reject("delay_ms", "either one delay or delays_ms"));
    }
    let payment_method = method(&mut fields, operation)?;
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
        payment_method,
        probability,
        seed,
        firings_max,
        delay_ms: delay_ms.unwrap_or(if is_delay { DELAY_MS_DEFAULT } else { 0 }),
        delays_ms: latencies,
        covered: 0,
        fired: 0,
        random: SplitMix64(seed),
    })
}

fn parse_mode(
    fields: &mut Map<String, Value>,
    provider: Provider,
    operation: Covered,
) -> Result<Mode, Rejected> {
    let expected = "decline, timeout_before, timeout_after_charge, http_500, http_503, rate_limit, slow, drop_connection, outage, duplicate_webhook, late_webhook or late_execution";
    let mode = named(fields, "mode", expected)?;
    if matches!(mode, Mode::DuplicateWebhook | Mode::LateWebhook)
        && operation == Covered::Only(Operation::Query)
    {
        return Err(reject("mode", "nothing is told of a query"));
    }
    if mode == Mode::LateExecution && (provider != Provider::Adyen || operation.has(Operation::Query)) {
        return Err(reject(
            "mode",
            "only the simulated Adyen executes late, and nothing is asked of it",
        ));
    }
    if mode == Mode::Decline && operation.has(Operation::Query) {
        return Err(reject("mode", "decline does not apply to a query"));
    }
    Ok(mode)
}

/// The latencies of a slow provider.
fn delays(fields: &mut Map<String, Value>, mode: Mode) -> Result<Vec<u64>, Rejected> {
    let Some(value) = fields.remove("delays_ms") else {
        return Ok(Vec::new());
    };
    if mode != Mode::Slow {
        return Err(reject("delays_ms", "only the mode slow has several delays"));
    }
    let each = |delay: &Value| delay.as_u64().filter(|delay_ms| *delay_ms <= DELAY_MS_MAX);
    value
        .as_array()
        .filter(|delays| (1..=DELAYS_MAX).contains(&delays.len()))
        .and_then(|delays| delays.iter().map(each).collect())
        .ok_or_else(|| {
            let message = format!("expected 1 to {DELAYS_MAX} whole numbers from 0 to {DELAY_MS_MAX}");
            reject("delays_ms", message)
        })
}

fn method(fields: &mut Map<String, Value>, operation: Covered) -> Result<Option<TestMethod>, Rejected> {
    if !fields.contains_key("payment_method") {
        return Ok(None);
    }
    if operation == Covered::Only(Operation::Query) {
        return Err(reject("payment_method", "a query is about no payment method"));
    }
    let expected = "a test payment method such as pm_card_visa";
    named(fields, "payment_method", expected).map(Some)
}

fn named<T: serde::de::DeserializeOwned>(
    fields: &mut Map<String, Value>,
    param: &'static str,
    expected: &str,
) -> Result<T, Rejected> {
    let value = fields
        .remove(param)
        .ok_or_else(|| reject(param, format!("missing; expected {expected}")))?;
    serde_json::from_value(value).map_err(|_| reject(param, format!("expected {expected}")))
}

fn whole(
    fields: &mut Map<String, Value>,
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
