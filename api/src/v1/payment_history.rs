//! `GET /v1/payments/{id}/history`: everything that happened to a payment and every line it posted, oldest first, page by page. A
//! cursor names a row, so a commit may go on on the next page, and nothing of it is skipped or told twice.

use super::history_row::{Row, RowId, rows};
use super::list::List;
use super::payment_get::{id, past};
use crate::auth::{Caller, Who};
use crate::errors::{ApiError, Code};
use crate::openapi::{
    Access, Endpoint, PAYMENT_ID, bounded, chapter, id as an_id, list_example, named, page_of, text,
};
use crate::query;
use crate::reply::{Reply, json};
use crate::state::State;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> Reply {
    Reply(history(&state, &request).await)
}

async fn history(state: &State, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    let caller = Caller::of(state, request)?;
    let owner = match caller.who()? {
        Who::Merchant(merchant, livemode) => Some((merchant.id, livemode)),
        Who::Operator => None,
    };
    let merchant = owner.map(|(merchant, _)| merchant);
    let page = query::long_page(request, RowId::parse)?;
    let id = id(request)?;
    let history = state.payments.history(owner, id);
    let loaded = history.await.map_err(past)?;
    let loaded = loaded.ok_or(ApiError::NoSuchObject { kind: "payment" })?;
    let all = loaded.commits.iter().flat_map(|commit| rows(commit, merchant));
    let mut data: Vec<Row<'_>> = all.collect();
    if let Some(after) = page.starting_after {
        let place = data.iter().position(|row| row.id() == after);
        let place = place.ok_or_else(|| query::no_entry("starting_after"))?;
        data.drain(..=place);
    }
    let has_more = data.len() > page.limit;
    data.truncate(page.limit);
    json(
        StatusCode::OK,
        &List::new(&format!("/v1/payments/{id}/history"), data, has_more),
    )
}

pub(crate) fn described() -> Endpoint {
    let row = json!({
        "id": "4-2", "seq": 4, "type": "operation.opened", "at": 1_795_238_734, "operation_id": PAYMENT_ID, "operation": "sale",
        "amount": 10_000, "is_final": false,
    });
    let example = list_example(&format!("/v1/payments/{PAYMENT_ID}/history"), &row);
    Endpoint::get("/v1/payments/{id}/history", Access::KeyHolders)
        .called(
            "getPaymentHistory",
            "Read what happened to a payment",
            "Every event, every attempt and every journal entry, oldest first.",
        )
        .in_chapter(chapter::PAYMENTS)
        .path_part("id", an_id("The payment.", "pay_"), PAYMENT_ID)
        .query(
            "limit",
            bounded("Rows of a page.", (1, 100)).default(Some(100.into())),
        )
        .query(
            "starting_after",
            text("Only what follows the row with this `id`.").pattern(Some("^[0-9]+-[0-9]+$")),
        )
        .refuses(400, &[Code::ParameterInvalidInteger])
        .answers(200, "The rows.", page_of(named("HistoryRow")), example)
        .refuses(404, &[Code::ResourceMissing])
        .refuses(503, &[Code::Overloaded, Code::TemporarilyUnavailable])
}
