//! `GET /v1/risk/lists`, newest first.

use super::list::List;
use super::list_entry_body::{ListEntryBody, example, kind_word, list_word, owner, shape};
use crate::auth::Caller;
use crate::errors::{ApiError, Code};
use crate::openapi::{Access, Endpoint, chapter, id, limit, list_example, page_of};
use crate::query;
use crate::reply::{Reply, json};
use crate::state::State;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> Reply {
    Reply(list(&state, &request))
}

fn list(state: &State, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    let caller = Caller::of(state, request)?;
    let query = query::list_entries(request, owner(&caller)?)?;
    let page = state.directory.risk_lists().page(&query);
    let (entries, has_more) = page.ok_or_else(|| query::no_entry("starting_after"))?;
    let data = entries.iter().map(|entry| ListEntryBody::of(entry)).collect();
    json(StatusCode::OK, &List::new("/v1/risk/lists", data, has_more))
}

pub(crate) fn described() -> Endpoint {
    Endpoint::get("/v1/risk/lists", Access::KeyHolders)
        .called(
            "listRiskListEntries",
            "List blocked and allowed things",
            "Newest first, those that have ended included. Merchants see their own entries in the key's mode, operators the platform's.",
        )
        .in_chapter(chapter::PAYMENTS)
        .query("list", list_word())
        .query("kind", kind_word())
        .query("limit", limit())
        .query("starting_after", id("Only entries behind this one.", "rle_"))
        .answers(200, "A page.", page_of(shape()), list_example("/v1/risk/lists", &example()))
        .refuses(400, &[Code::ParameterInvalidInteger])
}
