//! A merchant's fees as operators see them.

use super::list::Displayed;
use super::next_version::{DecidedBody, decided_fields, latest_field};
use crate::openapi::{Field, array, bounded, bounded_text, count, id, must, record, word};
use florin_actors::fees_handle::Fees;
use florin_domain::ids::MerchantId;
use florin_domain::merchant::FeeVersion;
use florin_domain::money::FeeSchedule;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::openapi::schema::ObjectBuilder;

/// Characters of the fixed part at most: ten digits, a point, eight decimals, and some zeros.
const FIXED_CHARS_MAX: usize = 32;

#[derive(Debug, Serialize)]
pub(super) struct FeesBody<'a> {
    object: &'static str,
    merchant_id: Displayed<MerchantId>,
    /// 1 for the first fee.
    version: u32,
    #[serde(flatten)]
    schedule: ScheduleBody,
    #[serde(flatten)]
    decided: DecidedBody<'a>,
    latest_version: u32,
    to_come: Vec<ToCome<'a>>,
}

#[derive(Debug, Serialize)]
struct ToCome<'a> {
    version: u32,
    #[serde(flatten)]
    schedule: ScheduleBody,
    #[serde(flatten)]
    decided: DecidedBody<'a>,
}

#[derive(Debug, Serialize)]
struct ScheduleBody {
    fee_bps: u32,
    /// In major units of the payment's currency.
    fee_fixed: String,
}

impl ScheduleBody {
    fn of(schedule: FeeSchedule) -> Self {
        Self {
            fee_bps: schedule.percent_bps(),
            fee_fixed: schedule.fixed().to_string(),
        }
    }
}

impl<'a> FeesBody<'a> {
    pub(super) fn of(fees: &'a Fees) -> Self {
        let to_come = |version: &'a FeeVersion| ToCome {
            version: version.number,
            schedule: ScheduleBody::of(version.value),
            decided: DecidedBody::of(Some(version)),
        };
        Self {
            object: "merchant_fees",
            merchant_id: Displayed(fees.merchant),
            version: fees.version,
            schedule: ScheduleBody::of(fees.schedule),
            decided: DecidedBody::of(fees.change.as_ref()),
            latest_version: fees.latest,
            to_come: fees.to_come.iter().map(to_come).collect(),
        }
    }
}

/// A fee.
pub(super) fn schedule_fields() -> [Field; 2] {
    [
        must(
            "fee_bps",
            bounded(
                "Of each captured payment, in hundredths of a percent.",
                (0, 10_000),
            ),
        ),
        must(
            "fee_fixed",
            bounded_text(
                "For each payment, in major units of its currency, such as `0.30`; at most 8 decimals.",
                (1, FIXED_CHARS_MAX),
            )
            .pattern(Some(r"^[0-9]+(\.[0-9]+)?$")),
        ),
    ]
}

pub(super) fn shape() -> ObjectBuilder {
    let version = || must("version", count("Which one it is; 1 for the first."));
    let mut to_come = vec![version()];
    to_come.extend(schedule_fields());
    to_come.extend(decided_fields());
    let mut fees = vec![
        must("object", word("What it is.", ["merchant_fees"])),
        must("merchant_id", id("Whose.", "mer_")),
        version(),
    ];
    fees.extend(schedule_fields());
    fees.extend(decided_fields());
    fees.push(latest_field());
    fees.push(must(
        "to_come",
        array(record(to_come), "Changes to come, the earliest first."),
    ));
    record(fees)
}

pub(super) fn example() -> Value {
    json!({
        "object": "merchant_fees", "merchant_id": "mer_01m7y92a930001k836eeyy2z3p", "version": 1, "fee_bps": 290, "fee_fixed": "0.3",
        "effective_at": null, "set_by": null, "reason": null, "latest_version": 2,
        "to_come": [{
            "version": 2, "fee_bps": 250, "fee_fixed": "0.25", "effective_at": 1_798_761_600,
            "set_by": "key_01m7y92a930001k836eeyy2z3q", "reason": "The contract of 2027.",
        }],
    })
}
