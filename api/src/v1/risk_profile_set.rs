//! `PUT /v1/ops/risk_profile`: other thresholds from a time on, if the latest are still those that the operator has seen.

use super::next_version::{Asked, asked_fields, refused};
use super::risk_profile_body::{ThresholdsBody, example, shape};
use super::risk_profile_request::{Limits, ProfileRequest, fields, senseless};
use crate::auth::Caller;
use crate::body::read_json;
use crate::errors::{ApiError, Code, Invalid};
use crate::json::{Number, Text};
use crate::openapi::{Access, Endpoint, chapter, strict};
use crate::reply::{Reply, json};
use crate::state::State;
use crate::{json as strictly, query};
use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use florin_actors::risk_profile_handle::ProfileSetError;
use serde::Deserialize;
use serde_json::json;

/// The thresholds stand beside what is said of the version: serde cannot flatten them and refuse what it does not know.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ThresholdsRequest<'a> {
    #[serde(default)]
    block_above: Option<f64>,
    #[serde(default)]
    review_above: Option<f64>,
    #[serde(default)]
    hour_count_high: Option<Number>,
    #[serde(borrow, default)]
    amount_limits: Option<Limits<'a>>,
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
    let bytes = read_json(state, request, payload).await?;
    let body: ThresholdsRequest<'_> = strictly::read(&bytes)?;
    let profile = ProfileRequest {
        block_above: body.block_above,
        review_above: body.review_above,
        hour_count_high: body.hour_count_high,
        amount_limits: body.amount_limits,
    };
    let asked = Asked {
        expected_version: body.expected_version,
        effective_at: body.effective_at,
        reason: &body.reason,
    };
    let (change, next) = (profile.change("")?, asked.by(&caller)?);
    let set = state.directory.risk_profile().set(change, next).await;
    json(StatusCode::OK, &ThresholdsBody::of(&set.map_err(why)?))
}

fn why(error: ProfileSetError) -> ApiError {
    match error {
        ProfileSetError::Profile(why) => senseless("", why).into(),
        ProfileSetError::HourCountTooHigh { most } => {
            let message = format!(
                "`hour_count_high` is at most {most}: so many payments of one customer are remembered."
            );
            Invalid::new("hour_count_high", Code::ParameterInvalid, message).into()
        }
        ProfileSetError::Put(error) => refused(error, |latest| ApiError::VersionStale {
            what: "risk profile",
            latest,
        }),
    }
}

pub(crate) fn described() -> Endpoint {
    let takes = strict(fields().into_iter().chain(asked_fields()));
    let strict_one = json!({
        "block_above": 0.75, "expected_version": 0, "reason": "More chargebacks than usual.",
    });
    Endpoint::put("/v1/ops/risk_profile", Access::Operators)
        .called(
            "setRiskProfile",
            "Change the thresholds of risk",
            "Once it is answered, every payment that is asked for from its time on is assessed by it. What is not named is what the \
             configuration says, whatever the version before said. Thresholds that somebody else has changed meanwhile are not overwritten: then \
             it is 409, and `param` says `expected_version`.",
        )
        .in_chapter(chapter::OPERATIONS)
        .takes(takes, &[("Block more", strict_one)])
        .answers(200, "They are journaled, and in force from their time on.", shape(), example())
        .refuses(400, &[Code::ParameterInvalidInteger])
        .refuses(409, &[Code::VersionStale])
}
