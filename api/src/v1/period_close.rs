//! `POST /v1/ledger/periods/close`: nothing more is posted for any day up to one. Closed days stay closed, so no key is needed to send
//! it again.

use super::period_list::{example, shown};
use crate::auth::Caller;
use crate::errors::{ApiError, Code, Invalid};
use crate::json::Text;
use crate::openapi::{Access, Endpoint, chapter, day, flag, may, must, named, strict};
use crate::reply::Reply;
use crate::state::State;
use crate::{body, json as strictly, query};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use florin_domain::ledger::EffectiveDate;
use serde::Deserialize;
use serde_json::json;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CloseRequest<'a> {
    #[serde(borrow)]
    through: Text<'a>,
    #[serde(default)]
    livemode: Option<bool>,
}

pub(crate) async fn handle(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    Reply(close(&state, &request, payload).await)
}

async fn close(state: &State, request: &HttpRequest, payload: Payload) -> Result<HttpResponse, ApiError> {
    let by = Caller::of(state, request)?.operator_id()?;
    query::none(request)?;
    let bytes = body::read_json(state, request, payload).await?;
    let body: CloseRequest<'_> = strictly::read(&bytes)?;
    let wrong = |message: &str| Invalid::new("through", Code::ParameterInvalid, message);
    let through = EffectiveDate::parse(body.through.as_str())
        .ok_or_else(|| wrong("`through` is a day, written as YYYY-MM-DD."))?;
    if through >= EffectiveDate::of(state.ledger.now()) {
        return Err(wrong("`through` is a day that is over (UTC).").into());
    }
    let livemode = body.livemode.unwrap_or(false);
    state.ledger.close_period(through, livemode, by).await?;
    shown(state).await
}

pub(crate) fn described() -> Endpoint {
    let shape = strict([
        must(
            "through",
            day("The last day that is closed; it must be over (UTC)."),
        ),
        may(
            "livemode",
            flag("Whether the books of real money are closed; `false` when absent."),
        ),
    ]);
    let october = json!({"through": "2026-10-31", "livemode": true});
    Endpoint::order("/v1/ledger/periods/close", Access::Operators)
        .called(
            "closePeriod",
            "Close the books up to a day",
            "No transfer is posted for that day or an earlier one from then on. Payments are booked on the day of their record and are not \
             concerned. Closed days stay closed: an earlier day changes nothing.",
        )
        .in_chapter(chapter::LEDGER)
        .takes(shape, &[("October is over", october)])
        .answers(200, "What is closed now.", named("LedgerPeriods"), example())
}
