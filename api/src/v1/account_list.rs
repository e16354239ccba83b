//! `GET /v1/ledger/accounts`, in the order of their names.

use super::account_body::{AccountBody, may_see};
use super::list::List;
use crate::auth::Caller;
use crate::errors::{ApiError, Code};
use crate::openapi::{
    ACCOUNT_ID, Access, Endpoint, account_id, chapter, limit, list_example, named, page_of,
};
use crate::query;
use crate::reply::{Reply, json};
use crate::state::State;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use florin_domain::ledger::AccountKey;
use serde_json::{Value, json};

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> Reply {
    Reply(list(&state, &request).await)
}

async fn list(state: &State, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    let caller = Caller::of(state, request)?;
    let who = caller.who()?;
    let page = query::page(request, |id| AccountKey::parse(id).ok())?;
    let (accounts, as_of) = state.ledger.accounts().await?;
    let mut seen = accounts
        .into_iter()
        .filter(|(key, _)| may_see(who, key) && page.starting_after.is_none_or(|after| *key > after));
    let data = seen
        .by_ref()
        .take(page.limit)
        .map(|(key, state)| AccountBody::of(key, &state, as_of))
        .collect();
    let has_more = seen.next().is_some();
    json(StatusCode::OK, &List::new("/v1/ledger/accounts", data, has_more))
}

/// The account of a merchant.
pub(super) fn example() -> Value {
    json!({
        "object": "account", "id": ACCOUNT_ID, "type": "liability", "currency": "USD", "livemode": false,
        "balance": 9_680, "pending_credit": 0, "pending_debit": 0, "available": 9_680, "as_of_seq": 6,
    })
}

pub(crate) fn described() -> Endpoint {
    Endpoint::get("/v1/ledger/accounts", Access::KeyHolders)
        .called(
            "listAccounts",
            "List accounts",
            "In the order of their names. Merchants see what they are owed, in the mode of their key.",
        )
        .in_chapter(chapter::LEDGER)
        .query("limit", limit())
        .query("starting_after", account_id())
        .answers(
            200,
            "A page.",
            page_of(named("Account")),
            list_example("/v1/ledger/accounts", &example()),
        )
        .refuses(400, &[Code::ParameterInvalidInteger])
        .refuses(503, &[Code::Overloaded])
}
