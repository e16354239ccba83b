//! `PUT /v1/ops/merchants/{id}/fees`: another fee from a time on, if the latest is still the one that the operator has seen.

use super::merchant_fee_body::{FeesBody, example, schedule_fields, shape};
use super::merchant_fee_get::{NO_MERCHANT, merchant};
use super::next_version::{Asked, asked_fields, refused};
use crate::auth::Caller;
use crate::body::read_json;
use crate::errors::{ApiError, Code, Invalid};
use crate::json::{Number, Text};
use crate::openapi::{Access, Endpoint, chapter, id, strict};
use crate::reply::{Reply, json};
use crate::state::State;
use crate::{json as strictly, query};
use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use florin_domain::money::{FeeSchedule, FeeScheduleError};
use serde::Deserialize;
use serde_json::json;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FeeRequest<'a> {
    fee_bps: Number,
    #[serde(borrow)]
    fee_fixed: Text<'a>,
    expected_version: Number,
    #[serde(default)]
    effective_at: Option<Number>,
    #[serde(borrow)]
    reason: Text<'a>,
}

pub(crate) async fn handle(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    Reply(set(&state, &request, payload).await)
}

async fn set(state: &State, request: &HttpRequest, payload: Payload) -> Result<HttpResponse, ApiError> {
    let caller = Caller::of(state, request)?;
    caller.operator()?;
    query::none(request)?;
    let merchant = merchant(request)?;
    let bytes = read_json(state, request, payload).await?;
    let body: FeeRequest<'_> = strictly::read(&bytes)?;
    let schedule = schedule(body.fee_bps, body.fee_fixed.as_str())?;
    let asked = Asked {
        expected_version: body.expected_version,
        effective_at: body.effective_at,
        reason: &body.reason,
    };
    let set = state
        .directory
        .fees()
        .set(merchant, schedule, asked.by(&caller)?)
        .await;
    let overtaken = |latest| ApiError::VersionStale { what: "fee", latest };
    let fees = set
        .map_err(|error| refused(error, overtaken))?
        .ok_or(NO_MERCHANT)?;
    json(StatusCode::OK, &FeesBody::of(&fees))
}

fn schedule(fee_bps: Number, fee_fixed: &str) -> Result<FeeSchedule, Invalid> {
    let whole = match fee_bps {
        Number::Whole(bps) => u32::try_from(bps).ok(),
        Number::Beyond { .. } | Number::Float => None,
    };
    let no_bps = || {
        let message = "`fee_bps` is a whole number of hundredths of a percent from 0 to 10000.";
        Invalid::new("fee_bps", Code::ParameterInvalidInteger, message)
    };
    let no_fixed = || {
        let message = "`fee_fixed` is an amount in major units with at most 8 decimals, such as `0.30`, up to 1000000000.";
        Invalid::new("fee_fixed", Code::ParameterInvalid, message)
    };
    let bps = whole.ok_or_else(no_bps)?;
    FeeSchedule::read(bps, fee_fixed).map_err(|error| match error {
        FeeScheduleError::PercentTooLarge => no_bps(),
        FeeScheduleError::FixedUnreadable
        | FeeScheduleError::FixedNegative
        | FeeScheduleError::FixedTooLarge
        | FeeScheduleError::FixedTooPrecise => no_fixed(),
    })
}

pub(crate) fn described() -> Endpoint {
    let fields = schedule_fields().into_iter().chain(asked_fields());
    let next_year = json!({
        "fee_bps": 250, "fee_fixed": "0.25", "expected_version": 1, "effective_at": 1_798_761_600,
        "reason": "The contract of 2027.",
    });
    Endpoint::put("/v1/ops/merchants/{id}/fees", Access::Operators)
        .called(
            "setMerchantFees",
            "Change what a merchant is charged",
            "Once it is answered, every payment that is asked for from its time on goes by it; payments that were asked for before keep their \
             fee, also for later captures. A fee that somebody else has changed meanwhile is not overwritten: then it is 409, and `param` says \
             `expected_version`.",
        )
        .in_chapter(chapter::OPERATIONS)
        .path_part("id", id("The merchant.", "mer_"), "mer_01m7y92a930001k836eeyy2z3p")
        .takes(strict(fields), &[("From the new year on", next_year)])
        .answers(200, "It is journaled, and in force from its time on.", shape(), example())
        .refuses(400, &[Code::ParameterInvalidInteger])
        .refuses(404, &[Code::ResourceMissing])
        .refuses(409, &[Code::VersionStale])
}
