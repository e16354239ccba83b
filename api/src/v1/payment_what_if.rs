//! `POST /v1/payments/{id}/what_if`: what risk and routing would have come to under other rules. Nothing is stored and nothing is
//! sent, so it takes no `Idempotency-Key`.

use super::list::Displayed;
use super::payment_body::score;
use super::payment_get::{id, past};
use super::risk_profile_request::{ProfileRequest, fields, senseless, share};
use crate::auth::{Caller, Who};
use crate::errors::{ApiError, Code, Invalid};
use crate::json::{self, Object, Text};
use crate::openapi::{
    Access, Endpoint, PAYMENT_ID, array, chapter, count, flag, id as an_id, may, must, or_null, record,
    strict, text, word,
};
use crate::reply::{self, Remembered, Reply};
use crate::state::State;
use crate::{body, query};
use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use florin_actors::payments_handle::{Alternative, Course, WhatIf, WhatIfError};
use florin_domain::ids::PaymentId;
use florin_domain::provider::ProviderId;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::openapi::schema::AnyOfBuilder;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WhatIfRequest<'a> {
    #[serde(borrow, default)]
    risk: Option<Object<ProfileRequest<'a>>>,
    #[serde(borrow, default)]
    providers: Option<Object<ProvidersRequest<'a>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProvidersRequest<'a> {
    #[serde(borrow, default)]
    disabled: Option<Vec<Text<'a>>>,
}

pub(super) fn check(bytes: &[u8]) -> Result<Alternative, Invalid> {
    let body: WhatIfRequest<'_> = json::read(bytes)?;
    let mut alternative = Alternative::default();
    if let Some(Object(risk)) = &body.risk {
        alternative.profile = risk.change("risk.")?;
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
        WhatIfError::Profile(why) => senseless("risk.", why).into(),
        WhatIfError::Past(error) => past(error),
    }
}

fn course(score: f64, action: &str, provider: Option<&str>) -> serde_json::Value {
    json!({"score": score, "action": action, "reasons": ["velocity"], "provider": provider})
}

pub(crate) fn described() -> Endpoint {
    let risk = strict(fields());
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
