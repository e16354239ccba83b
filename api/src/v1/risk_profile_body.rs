//! Thresholds of risk as operators see them.

use super::next_version::{DecidedBody, decided_fields, latest_field};
use super::payment_body::score;
use super::risk_profile_request::{limits_shape, share};
use crate::openapi::{Field, array, bounded, count, must, or_null, record, text, word};
use florin_actors::risk_profile_handle::Thresholds;
use florin_domain::money::Currency;
use florin_domain::risk::{Profile, ProfileChange, ProfileVersion};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use utoipa::openapi::schema::ObjectBuilder;

#[derive(Debug, Serialize)]
pub(super) struct ThresholdsBody<'a> {
    object: &'static str,
    /// 0 for the configuration's.
    version: u32,
    block_above: f64,
    review_above: f64,
    hour_count_high: u32,
    /// In minor units.
    amount_limits: BTreeMap<&'static str, i128>,
    /// Why the version in force does not count.
    problem: Option<String>,
    #[serde(flatten)]
    decided: DecidedBody<'a>,
    latest_version: u32,
    to_come: Vec<ToCome<'a>>,
}

/// What will be otherwise than in the configuration; null for what will not be.
#[derive(Debug, Serialize)]
struct ToCome<'a> {
    version: u32,
    block_above: Option<f64>,
    review_above: Option<f64>,
    hour_count_high: Option<u32>,
    amount_limits: BTreeMap<&'static str, Option<i128>>,
    #[serde(flatten)]
    decided: DecidedBody<'a>,
}

impl<'a> ToCome<'a> {
    fn of(version: &'a ProfileVersion) -> Self {
        let ProfileChange {
            block_above_bps,
            review_above_bps,
            hour_count_high,
            amount_limits,
        } = &version.value;
        let limit = |(currency, minor): &(Currency, Option<i128>)| (currency.code(), *minor);
        Self {
            version: version.number,
            block_above: block_above_bps.map(score),
            review_above: review_above_bps.map(score),
            hour_count_high: *hour_count_high,
            amount_limits: amount_limits.iter().map(limit).collect(),
            decided: DecidedBody::of(Some(version)),
        }
    }
}

impl<'a> ThresholdsBody<'a> {
    pub(super) fn of(thresholds: &'a Thresholds) -> Self {
        let profile: &Profile = &thresholds.profile;
        let limit = |(currency, minor): &(Currency, i128)| (currency.code(), *minor);
        Self {
            object: "risk_profile",
            version: thresholds.version,
            block_above: score(profile.block_above_bps),
            review_above: score(profile.review_above_bps),
            hour_count_high: profile.hour_count_high,
            amount_limits: profile.amount_limits.iter().map(limit).collect(),
            problem: thresholds.problem.map(|why| format!("{why}.")),
            decided: DecidedBody::of(thresholds.change.as_ref()),
            latest_version: thresholds.latest,
            to_come: thresholds.to_come.iter().map(ToCome::of).collect(),
        }
    }
}

fn version() -> Field {
    must("version", count("Which one it is; 0 for the configuration's."))
}

fn hour_count() -> ObjectBuilder {
    bounded(
        "Payments of one customer per hour from which velocity is flagged.",
        (1, 1_000_000),
    )
}

pub(super) fn shape() -> ObjectBuilder {
    let mut to_come = vec![
        version(),
        must("block_above", or_null(share("Scores above it are blocked."))),
        must("review_above", or_null(share("Scores above it are reviewed."))),
        must("hour_count_high", or_null(hour_count())),
        must(
            "amount_limits",
            limits_shape("Other limits in minor units by currency, or null for no limit."),
        ),
    ];
    to_come.extend(decided_fields());
    let mut thresholds = vec![
        must("object", word("What it is.", ["risk_profile"])),
        version(),
        must("block_above", share("Scores above it are blocked.")),
        must("review_above", share("Scores above it are reviewed.")),
        must("hour_count_high", hour_count()),
        must(
            "amount_limits",
            limits_shape("The largest amounts that are not flagged, in minor units by currency."),
        ),
        must(
            "problem",
            or_null(text(
                "Why the version does not count, if it makes no sense with the configuration as it is now.",
            )),
        ),
    ];
    thresholds.extend(decided_fields());
    thresholds.push(latest_field());
    thresholds.push(must(
        "to_come",
        array(
            record(to_come),
            "Changes to come, the earliest first: what will be otherwise than in the configuration.",
        ),
    ));
    record(thresholds)
}

pub(super) fn example() -> Value {
    json!({
        "object": "risk_profile", "version": 1, "block_above": 0.75, "review_above": 0.5, "hour_count_high": 10,
        "amount_limits": {"EUR": 100_000, "USD": 100_000}, "problem": null, "effective_at": null,
        "set_by": "key_01m7y92a930001k836eeyy2z3q", "reason": "More chargebacks than usual.", "latest_version": 2,
        "to_come": [{
            "version": 2, "block_above": null, "review_above": null, "hour_count_high": 20, "amount_limits": {"USD": 250_000},
            "effective_at": 1_798_761_600, "set_by": "key_01m7y92a930001k836eeyy2z3q", "reason": "The sales.",
        }],
    })
}
