//! `GET /v1/ledger/periods`: up to which day the books are closed, in each mode.

use super::list::Displayed;
use crate::auth::Caller;
use crate::errors::{ApiError, Code};
use crate::openapi::{Access, Endpoint, chapter, named};
use crate::query;
use crate::reply::{Reply, json};
use crate::state::State;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use florin_actors::account_shard::ClosedPeriods;
use florin_domain::ledger::EffectiveDate;
use serde::Serialize;
use serde_json::{Value, json};

#[derive(Debug, Serialize)]
struct PeriodsBody {
    object: &'static str,
    data: [ModeBody; 2],
}

#[derive(Debug, Serialize)]
struct ModeBody {
    livemode: bool,
    closed_through: Option<Displayed<EffectiveDate>>,
}

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> Reply {
    Reply(list(&state, &request).await)
}

async fn list(state: &State, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    Caller::of(state, request)?.operator()?;
    query::none(request)?;
    shown(state).await
}

/// What is closed now.
pub(super) async fn shown(state: &State) -> Result<HttpResponse, ApiError> {
    let ClosedPeriods { test, live } = state.ledger.closed_periods().await?;
    let mode = |livemode, day: Option<EffectiveDate>| ModeBody {
        livemode,
        closed_through: day.map(Displayed),
    };
    json(
        StatusCode::OK,
        &PeriodsBody {
            object: "ledger_periods",
            data: [mode(false, test), mode(true, live)],
        },
    )
}

pub(super) fn example() -> Value {
    json!({
        "object": "ledger_periods",
        "data": [
            {"livemode": false, "closed_through": null},
            {"livemode": true, "closed_through": "2026-10-31"},
        ],
    })
}

pub(crate) fn described() -> Endpoint {
    Endpoint::get("/v1/ledger/periods", Access::Operators)
        .called(
            "listPeriods",
            "Read which days are closed",
            "Nothing is posted for a day that is closed.",
        )
        .in_chapter(chapter::LEDGER)
        .answers(
            200,
            "The last closed day in each mode.",
            named("LedgerPeriods"),
            example(),
        )
        .refuses(503, &[Code::Overloaded])
}
