//! Thresholds of risk as callers write them: scores from 0 to 1, limits in minor units by currency.

use super::payment_body::score;
use crate::errors::{Code, Invalid};
use crate::json::{self, Number, Text};
use crate::openapi::{Field, bounded, count, may, or_null};
use florin_domain::money::Currency;
use florin_domain::risk::{ProfileChange, ProfileError};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use std::fmt;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Type};

/// The largest limit of an amount, in minor units: that of a payment.
const LIMIT_MINOR_MAX: i128 = 999_999_999_999;
/// As in the configuration.
const HOUR_COUNT_MAX: u32 = 1_000_000;
/// A share of one is written with four decimals.
const BPS_MAX: u32 = 10_000;

/// What is to be otherwise in a risk profile.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProfileRequest<'a> {
    /// Scores as payments show them, from 0 to 1.
    #[serde(default)]
    pub(super) block_above: Option<f64>,
    #[serde(default)]
    pub(super) review_above: Option<f64>,
    #[serde(default)]
    pub(super) hour_count_high: Option<Number>,
    /// In minor units; `null` for no limit.
    #[serde(borrow, default)]
    pub(super) amount_limits: Option<Limits<'a>>,
}

/// Limits by currency, in the order written.
#[derive(Debug)]
pub(super) struct Limits<'a>(Vec<(Text<'a>, Option<Number>)>);

struct LimitsVisitor;

impl<'de> Visitor<'de> for LimitsVisitor {
    type Value = Limits<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(json::INTEGERS)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut limits = Vec::new();
        while let Some(entry) = map.next_entry()? {
            limits.push(entry);
        }
        Ok(Limits(limits))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Limits<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(LimitsVisitor)
    }
}

impl ProfileRequest<'_> {
    /// What it changes. Its fields are named with `prefix` before them.
    pub(super) fn change(&self, prefix: &str) -> Result<ProfileChange, Invalid> {
        let name = |field: &str| format!("{prefix}{field}");
        Ok(ProfileChange {
            block_above_bps: threshold(&name("block_above"), self.block_above)?,
            review_above_bps: threshold(&name("review_above"), self.review_above)?,
            hour_count_high: hour_count(&name("hour_count_high"), self.hour_count_high)?,
            amount_limits: limits(&name("amount_limits"), self.amount_limits.as_ref())?,
        })
    }
}

/// The basis points that are written like this, which is the inverse of how scores are shown.
fn threshold(name: &str, share: Option<f64>) -> Result<Option<u32>, Invalid> {
    let Some(share) = share else { return Ok(None) };
    let bps = (0..=BPS_MAX).find(|bps| score(*bps).to_bits() == share.to_bits());
    let refused = || {
        let message = format!("`{name}` is a number from 0 to 1 with at most four decimals.");
        Invalid::new(name, Code::ParameterInvalid, message)
    };
    bps.map(Some).ok_or_else(refused)
}

fn hour_count(name: &str, count: Option<Number>) -> Result<Option<u32>, Invalid> {
    let Some(count) = count else { return Ok(None) };
    let whole = match count {
        Number::Whole(count) => u32::try_from(count).ok(),
        Number::Beyond { .. } | Number::Float => None,
    };
    let within = whole.filter(|count| (1..=HOUR_COUNT_MAX).contains(count));
    let refused = || {
        let message = format!("`{name}` is a whole number from 1 to {HOUR_COUNT_MAX}.");
        Invalid::new(name, Code::ParameterInvalidInteger, message)
    };
    within.map(Some).ok_or_else(refused)
}

fn limits(name: &str, limits: Option<&Limits<'_>>) -> Result<Vec<(Currency, Option<i128>)>, Invalid> {
    let mut checked: Vec<(Currency, Option<i128>)> = Vec::new();
    for (code, limit) in limits.iter().flat_map(|limits| &limits.0) {
        let currency = Currency::parse(code.as_str())
            .map_err(|error| Invalid::new(name, Code::ParameterInvalid, format!("`{name}`: {error}.")))?;
        if checked.iter().any(|(other, _)| *other == currency) {
            let message = format!("`{name}` names {} twice.", currency.code());
            return Err(Invalid::new(name, Code::ParameterInvalid, message));
        }
        let limit_minor = match limit {
            None => None,
            Some(Number::Whole(minor)) if (0..=LIMIT_MINOR_MAX).contains(minor) => Some(*minor),
            Some(Number::Whole(_) | Number::Beyond { .. } | Number::Float) => {
                let message = format!(
                    "`{name}` has whole numbers of minor units from 0 to {LIMIT_MINOR_MAX}, or null for no limit."
                );
                return Err(Invalid::new(name, Code::ParameterInvalidInteger, message));
            }
        };
        checked.push((currency, limit_minor));
    }
    Ok(checked)
}

/// Why thresholds make no sense together.
pub(super) fn senseless(prefix: &str, why: ProfileError) -> Invalid {
    let ProfileError::ReviewAboveBlock = why;
    let message = format!(
        "`{prefix}review_above` would be above `{prefix}block_above`, and what is blocked is never reviewed."
    );
    Invalid::new(format!("{prefix}review_above"), Code::ParameterInvalid, message)
}

/// A score.
pub(super) fn share(description: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Number)
        .description(Some(description))
        .minimum(Some(0))
        .maximum(Some(1))
}

/// Limits by currency.
pub(super) fn limits_shape(description: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some(description))
        .additional_properties(Some(AdditionalProperties::RefOr(
            or_null(count("The largest unflagged amount.")).into(),
        )))
}

/// The shape of [`ProfileRequest`].
pub(super) fn fields() -> [Field; 4] {
    [
        may("block_above", share("Scores above it are blocked.")),
        may("review_above", share("Scores above it are reviewed.")),
        may(
            "hour_count_high",
            bounded(
                "Payments per hour from which velocity is flagged.",
                (1, 1_000_000),
            ),
        ),
        may(
            "amount_limits",
            limits_shape("Other limits in minor units by currency, or null for no limit."),
        ),
    ]
}
