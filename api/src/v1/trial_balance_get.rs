//! `GET /v1/ledger/trial_balance`: debits against credits per currency and mode, for operators.

use crate::auth::Caller;
use crate::errors::{ApiError, Code};
use crate::openapi::{Access, Endpoint, chapter, named};
use crate::query;
use crate::reply::{Reply, json};
use crate::state::State;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use florin_domain::ledger::CurrencyTotal;
use serde::Serialize;
use serde_json::json;

#[derive(Debug, Serialize)]
struct TrialBalance {
    object: &'static str,
    data: Vec<Total>,
}

#[derive(Debug, Serialize)]
struct Total {
    currency: &'static str,
    livemode: bool,
    debits: i128,
    credits: i128,
    difference: i128,
}

impl Total {
    fn of(total: &CurrencyTotal) -> Self {
        Self {
            currency: total.currency.code(),
            livemode: total.livemode,
            debits: total.debits_minor,
            credits: total.credits_minor,
            difference: total.debits_minor.saturating_sub(total.credits_minor),
        }
    }
}

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> Reply {
    Reply(get(&state, &request).await)
}

async fn get(state: &State, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    Caller::of(state, request)?.operator()?;
    query::none(request)?;
    let data = state
        .ledger
        .trial_balance()
        .await?
        .iter()
        .map(Total::of)
        .collect();
    json(
        StatusCode::OK,
        &TrialBalance {
            object: "trial_balance",
            data,
        },
    )
}

pub(crate) fn described() -> Endpoint {
    let example = json!({
        "object": "trial_balance",
        "data": [{"currency": "USD", "livemode": false, "debits": 10_000, "credits": 10_000, "difference": 0}],
    });
    Endpoint::get("/v1/ledger/trial_balance", Access::Operators)
        .called(
            "getTrialBalance",
            "Read the trial balance",
            "Debits against credits of all accounts.",
        )
        .in_chapter(chapter::LEDGER)
        .answers(200, "The totals.", named("TrialBalance"), example)
        .refuses(503, &[Code::Overloaded])
}
