//! `POST /v1/payments/{id}/what_if`: what risk and routing would have come to under other rules. Nothing is stored and nothing is
//! sent, so it takes no `Idempotency-Key`.

use super::list::Displayed;
use super::payment_body::score;
use super::payment_get::{id, past};
use crate::auth::{Caller, Who};
use crate::errors::{ApiError, Code, Invalid};
use crate::json::{self, Number, Object, Text};
use crate::openapi::{
    Access, Endpoint, PAYMENT_ID, array, bounded, chapter, count, flag, id as an_id, may, must, or_null,
    record, strict, text, word,
};
use crate::reply::{self, Remembered, Reply};
use crate::state::State;
use crate::{body, query};
use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use florin_actors::payments_handle::{Alternative, Course, WhatIf, WhatIfError};
use florin_domain::ids::PaymentId;
use florin_domain::money::Currency;
use florin_domain::provider::ProviderId;
use florin_domain::risk::{ProfileChange, ProfileError};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::fmt;
use utoipa::openapi::schema::{AdditionalProperties, AnyOfBuilder, ObjectBuilder, Type};

/// The largest limit of an amount, in minor units: that of a payment.
const LIMIT_MINOR_MAX: i128 = 999_999_999_999;
/// As in the configuration.
const HOUR_COUNT_MAX: u32 = 1_000_000;
/// A share of one is written with four decimals.
const BPS_MAX: u32 = 10_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WhatIfRequest<'a> {
    #[serde(borrow, default)]
    risk: Option<Object<RiskRequest<'a>>>,
    #[serde(borrow, default)]
    providers: Option<Object<ProvidersRequest<'a>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RiskRequest<'a> {
    /// Scores as payments show them, from 0 to 1.
    #[serde(default)]
    block_above: Option<f64>,
    #[serde(default)]
    review_above: Option<f64>,
    #[serde(default)]
    hour_count_high: Option<Number>,
    /// In minor units; `null` for no limit.
    #[serde(borrow, default)]
    amount_limits: Option<Limits<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProvidersRequest<'a> {
    #[serde(borrow, default)]
    disabled: Option<Vec<Text<'a>>>,
}

/// Limits by currency, in the order written.
#[derive(Debug)]
struct Limits<'a>(Vec<(Text<'a>, Option<Number>)>);

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

pub(super) fn check(bytes: &[u8]) -> Result<Alternative, Invalid> {
    let body: WhatIfRequest<'_> = json::read(bytes)?;
    let mut alternative = Alternative::default();
    if let Some(Object(risk)) = &body.risk {
        alternative.profile = ProfileChange {
            block_above_bps: threshold("risk.block_above", risk.block_above)?,
            review_above_bps: threshold("risk.review_above", risk.review_above)?,
            hour_count_high: hour_count(risk.hour_count_high)?,
            amount_limits: limits(risk.amount_limits.as_ref())?,
        };
    }
    let disabled = body.providers.and_then(|providers| providers.0.disabled);
    for name in disabled.iter().flatten() {
        let id = ProviderId::parse(name.as_str()).map_err(|_| no_provider())?;
        if !alternative.disabled.contains(&id) {
            alternative.disabled.push(id);
        }
    }
    Ok(alternative)
}

fn no_provider() -> Invalid {
    let message = "`providers.disabled` names a provider that is not configured.";
    Invalid::new("providers.disabled", Code::ParameterInvalid, message)
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

fn hour_count(count: Option<Number>) -> Result<Option<u32>, Invalid> {
    let Some(count) = count else { return Ok(None) };
    let whole = match count {
        Number::Whole(count) => u32::try_from(count).ok(),
        Number::Beyond { .. } | Number::Float => None,
    };
    let within = whole.filter(|count| (1..=HOUR_COUNT_MAX).contains(count));
    let refused = || {
        let message = format!("`risk.hour_count_high` is a whole number from 1 to {HOUR_COUNT_MAX}.");
        Invalid::new("risk.hour_count_high", Code::ParameterInvalidInteger, message)
    };
    within.map(Some).ok_or_else(refused)
}

fn limits(limits: Option<&Limits<'_>>) -> Result<Vec<(Currency, Option<i128>)>, Invalid> {
    const NAME: &str = "risk.amount_limits";
    let mut checked: Vec<(Currency, Option<i128>)> = Vec::new();
    for (code, limit) in limits.iter().flat_map(|limits| &limits.0) {
        let currency = Currency::parse(code.as_str())
            .map_err(|error| Invalid::new(NAME, Code::ParameterInvalid, format!("`{NAME}`: {error}.")))?;
        if checked.iter().any(|(other, _)| *other == currency) {
            let message = format!("`{NAME}` names {} twice.", currency.code());
            return Err(Invalid::new(NAME, Code::ParameterInvalid, message));
        }
        let limit_minor = match limit {
            None => None,
            Some(Number::Whole(minor)) if (0..=LIMIT_MINOR_MAX).contains(minor) => Some(*minor),
            Some(Number::Whole(_) | Number::Beyond { .. } | Number::Float) => {
                let message = format!(
                    "`{NAME}` has whole numbers of minor units from 0 to {LIMIT_MINOR_MAX}, or null for no limit."
                );
                return Err(Invalid::new(NAME, Code::ParameterInvalidInteger, message));
            }
        };
        checked.push((currency, limit_minor));
    }
    Ok(checked)
}

#[derive(Debug, Serialize)]
struct WhatIfBody<'a> {
    object: &'static str,
    payment_id: Displayed<PaymentId>,
    was: CourseBody<'a>,
    would_be: CourseBody<'a>,
    /// Inputs that are not recorded, with what was taken for them.
    assumed: Vec<Assumed<'a>>,
}

#[derive(Debug, Serialize)]
struct CourseBody<'a> {
    score: f64,
    action: &'static str,
    reasons: Vec<&'a str>,
    /// Nobody when risk does not let the payment pass, or when nobody is left.
    provider: Option<Displayed<ProviderId>>,
}

#[derive(Debug, Serialize)]
struct Assumed<'a> {
    input: &'static str,
    value: Value<'a>,
    /// Something else that fits the record would change `would_be`.
    decisive: bool,
    why: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Value<'a> {
    Count(u32),
    Name(&'a str),
    Names(Vec<&'a str>),
}

impl<'a> CourseBody<'a> {
    fn of(course: &'a Course) -> Self {
        let assessment = &course.assessment;
        Self {
            score: score(assessment.score_bps),
            action: assessment.action.as_str(),
            reasons: assessment.reasons.iter().map(AsRef::as_ref).collect(),
            provider: course.provider.map(Displayed),
        }
    }
}

fn assumed(answer: &WhatIf) -> Vec<Assumed<'_>> {
    let mut assumed = Vec::new();
    if let Some(profile) = answer.other_profile {
        assumed.push(Assumed {
            input: "risk.profile",
            value: Value::Name(profile),
            decisive: true,
            why: "Today's profile does not give what was recorded; another one was in force.",
        });
    }
    if let Some(velocity) = answer.velocity {
        let counts = [
            ("velocity.hour_count", velocity.hour_count),
            ("velocity.hour_declines", velocity.hour_declines),
        ];
        assumed.extend(counts.map(|(input, count)| Assumed {
            input,
            value: Value::Count(count),
            decisive: velocity.is_decisive,
            why: "Only whether it was too high is recorded; this is the smallest that fits.",
        }));
    }
    if let Some(candidates) = &answer.candidates {
        assumed.push(Assumed {
            input: "providers.enabled",
            value: Value::Names(candidates.iter().map(ProviderId::as_str).collect()),
            decisive: true,
            why: "Who was enabled then is not recorded with the payment; these are now.",
        });
    }
    assumed
}

pub(crate) async fn handle(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    Reply(what_if(&state, &request, payload).await)
}

async fn what_if(state: &State, request: &HttpRequest, payload: Payload) -> Result<HttpResponse, ApiError> {
    let caller = Caller::of(state, request)?;
    let owner = match caller.who()? {
        Who::Merchant(merchant, livemode) => Some((merchant.id, livemode)),
        Who::Operator => None,
    };
    query::none(request)?;
    let payment = id(request)?;
    let alternative = check(&body::read_optional_json(state, request, payload).await?)?;
    let answer = state.payments.what_if(owner, payment, &alternative).await;
    let answer = answer
        .map_err(refused)?
        .ok_or(ApiError::NoSuchObject { kind: "payment" })?;
    let body = WhatIfBody {
        object: "what_if",
        payment_id: Displayed(payment),
        was: CourseBody::of(&answer.was),
        would_be: CourseBody::of(&answer.would_be),
        assumed: assumed(&answer),
    };
    Ok(Remembered::mark_if(true, reply::json(StatusCode::OK, &body)?))
}

fn refused(error: WhatIfError) -> ApiError {
    match error {
        WhatIfError::NoSuchProvider(_) => no_provider().into(),
        WhatIfError::Profile(ProfileError::ReviewAboveBlock) => {
            let message = "`risk.review_above` would be above `risk.block_above`, and what is blocked is never reviewed.";
            Invalid::new("risk.review_above", Code::ParameterInvalid, message).into()
        }
        WhatIfError::Past(error) => past(error),
    }
}

fn course(score: f64, action: &str, provider: Option<&str>) -> serde_json::Value {
    json!({"score": score, "action": action, "reasons": ["velocity"], "provider": provider})
}

pub(crate) fn described() -> Endpoint {
    let share = |description: &str| {
        ObjectBuilder::new()
            .schema_type(Type::Number)
            .description(Some(description))
            .minimum(Some(0))
            .maximum(Some(1))
    };
    let limits = ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some(
            "Other limits in minor units by currency, or null for no limit.",
        ))
        .additional_properties(Some(AdditionalProperties::RefOr(
            or_null(count("The largest unflagged amount.")).into(),
        )));
    let risk = strict([
        may("block_above", share("Scores above it are blocked.")),
        may("review_above", share("Scores above it are reviewed.")),
        may(
            "hour_count_high",
            bounded(
                "Payments per hour from which velocity is flagged.",
                (1, 1_000_000),
            ),
        ),
        may("amount_limits", limits),
    ]);
    let providers = strict([may(
        "disabled",
        array(text("A configured provider."), "Who gets nothing."),
    )]);
    let shown = || {
        record([
            must("score", share("How suspicious.")),
            must("action", word("What follows.", ["allow", "review", "block"])),
            must("reasons", array(text(""), "What raised the score.")),
            must("provider", or_null(text("Who is asked to charge."))),
        ])
    };
    let assumed = record([
        must("input", text("What is not recorded.")),
        must(
            "value",
            AnyOfBuilder::new()
                .item(count("A number."))
                .item(text("A name."))
                .item(array(text(""), "Names.")),
        ),
        must(
            "decisive",
            flag("Whether something else that fits the record would change `would_be`."),
        ),
        must("why", text("For people; its words may change.")),
    ]);
    let answer = record([
        must("object", word("What it is.", ["what_if"])),
        must("payment_id", an_id("The payment.", "pay_")),
        must("was", shown()),
        must("would_be", shown()),
        must("assumed", array(assumed, "Inputs that are not recorded.")),
    ]);
    let why = "Only whether it was too high is recorded; this is the smallest that fits.";
    let assumption = |input, value| json!({"input": input, "value": value, "decisive": false, "why": why});
    let example = json!({
        "object": "what_if", "payment_id": PAYMENT_ID, "was": course(0.3, "allow", Some("stripe")),
        "would_be": course(0.3, "review", None),
        "assumed": [assumption("velocity.hour_count", 10), assumption("velocity.hour_declines", 0)],
    });
    Endpoint::question("/v1/payments/{id}/what_if", Access::KeyHolders)
        .called(
            "askWhatIf",
            "Ask what other rules would have decided",
            "The latest decision about the payment again, from what was recorded of it, under today's rules with these changes. Changes nothing.",
        )
        .in_chapter(chapter::PAYMENTS)
        .path_part("id", an_id("The payment.", "pay_"), PAYMENT_ID)
        .may_take(
            strict([may("risk", risk), may("providers", providers)]),
            &[
                ("Stricter reviews", json!({"risk": {"review_above": 0.25}})),
                ("Without a provider", json!({"providers": {"disabled": ["stripe"]}})),
            ],
        )
        .answers(200, "What was decided, and what would have been.", answer, example)
        .refuses(400, &[Code::ParameterInvalidInteger])
        .refuses(404, &[Code::ResourceMissing])
}
