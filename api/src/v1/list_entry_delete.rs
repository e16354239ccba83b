//! `DELETE /v1/risk/lists/{id}`.

use super::list::Displayed;
use super::list_entry_body::{ENTRY_ID, owner};
use crate::auth::Caller;
use crate::errors::{ApiError, Code};
use crate::openapi::{Access, Endpoint, chapter, flag, id, must, record, word};
use crate::query;
use crate::reply::{Reply, json};
use crate::state::State;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use florin_domain::ids::ListEntryId;
use serde::Serialize;

#[derive(Debug, Serialize)]
struct Gone {
    object: &'static str,
    id: Displayed<ListEntryId>,
    deleted: bool,
}

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> Reply {
    Reply(delete(&state, &request).await)
}

async fn delete(state: &State, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    let caller = Caller::of(state, request)?;
    let owner = owner(&caller)?;
    query::none(request)?;
    let missing = || ApiError::NoSuchObject { kind: "list entry" };
    let named = request.match_info().get("id");
    let entry = named
        .and_then(|text| ListEntryId::parse(text).ok())
        .ok_or_else(missing)?;
    let lists = state.directory.risk_lists();
    if !lists.remove(owner, entry, caller.key_id()).await? {
        return Err(missing());
    }
    let gone = Gone {
        object: "risk_list_entry",
        id: Displayed(entry),
        deleted: true,
    };
    json(StatusCode::OK, &gone)
}

pub(crate) fn described() -> Endpoint {
    let shape = record([
        must("object", word("What it was.", ["risk_list_entry"])),
        must("id", id("The entry.", "rle_")),
        must("deleted", flag("It is gone.")),
    ]);
    let example = serde_json::json!({"object": "risk_list_entry", "id": ENTRY_ID, "deleted": true});
    Endpoint::delete("/v1/risk/lists/{id}", Access::KeyHolders)
        .called(
            "deleteRiskListEntry",
            "Take an entry away",
            "Payments that it decided keep their decision, and their history still tells of it.",
        )
        .in_chapter(chapter::PAYMENTS)
        .path_part("id", id("The entry.", "rle_"), ENTRY_ID)
        .answers(200, "It is gone.", shape, example)
        .refuses(404, &[Code::ResourceMissing])
}
