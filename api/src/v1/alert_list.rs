//! `GET /v1/ledger/alerts`, in the order of their ids.

use super::alert_body::{AlertBody, alert_id, example, shape, state_shape};
use super::list::List;
use crate::auth::Caller;
use crate::errors::{ApiError, Code};
use crate::openapi::{Access, Endpoint, account_id, chapter, limit, list_example, page_of};
use crate::query;
use crate::reply::{Reply, json};
use crate::state::State;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> Reply {
    Reply(list(&state, &request).await)
}

async fn list(state: &State, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    Caller::of(state, request)?.operator()?;
    let (mut page, part) = query::alerts(request)?;
    let limit = page.limit;
    // One more than is shown says whether others follow.
    page.limit = limit.saturating_add(1);
    let mut alerts = state.ledger.alerts(page, part).await?;
    let has_more = alerts.len() > limit;
    alerts.truncate(limit);
    let shards = state.ledger.shards();
    let data = alerts.iter().map(|shown| AlertBody::of(shown, shards)).collect();
    json(StatusCode::OK, &List::new("/v1/ledger/alerts", data, has_more))
}

pub(crate) fn described() -> Endpoint {
    Endpoint::get("/v1/ledger/alerts", Access::Operators)
        .called(
            "listAlerts",
            "List alerts",
            "In the order of their ids, without what they remember.",
        )
        .in_chapter(chapter::LEDGER)
        .query("account", account_id())
        .query("state", state_shape())
        .query("limit", limit())
        .query("starting_after", alert_id("Only alerts behind this one."))
        .answers(
            200,
            "A page.",
            page_of(shape()),
            list_example("/v1/ledger/alerts", &example()),
        )
        .refuses(400, &[Code::ParameterInvalidInteger, Code::ParameterInvalid])
        .refuses(503, &[Code::Overloaded])
}
