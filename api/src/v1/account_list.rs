//! `GET /v1/ledger/accounts`: those that payments are booked on in the order of their names, then those that operators opened in
//! the order in which they did.

use super::account_body::{AccountBody, Named};
use super::list::List;
use crate::auth::{Caller, Who};
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
use florin_actors::account_shard::PaymentAccounts;
use florin_domain::ledger::{AccountKey, AccountName};
use serde_json::{Value, json};

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> Reply {
    Reply(list(&state, &request).await)
}

async fn list(state: &State, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    let caller = Caller::of(state, request)?;
    let page = query::page(request, |id| AccountKey::parse(id).ok())?;
    // One more than is shown says whether others follow.
    let wanted = page.limit.saturating_add(1);
    let of = match caller.who()? {
        Who::Operator => None,
        Who::Merchant(merchant, livemode) => Some((AccountName::MerchantPayable(merchant.id), livemode)),
    };
    let last_opened = page.starting_after.and_then(|key| key.name.general());
    let (booked, booked_as_of) = if last_opened.is_some() {
        (Vec::new(), None)
    } else {
        let asked = PaymentAccounts {
            of,
            after: page.starting_after,
            limit: wanted,
        };
        state.ledger.payment_accounts(asked).await?
    };
    let room = wanted.saturating_sub(booked.len());
    let opened = match of {
        None if room > 0 => state.ledger.general_accounts(last_opened, room).await?,
        Some(_) | None => Vec::new(),
    };
    let has_more = booked.len().saturating_add(opened.len()) > page.limit;
    let mut data: Vec<AccountBody<'_>> = booked
        .iter()
        .map(|(key, state)| AccountBody::of(Named::from(*key), state, booked_as_of))
        .collect();
    data.extend(opened.iter().filter_map(|(account, state, as_of)| {
        let body = AccountBody::of(Named::from(account.id.key()?), state, Some(*as_of));
        Some(body.on(Some(account)))
    }));
    data.truncate(page.limit);
    json(StatusCode::OK, &List::new("/v1/ledger/accounts", data, has_more))
}

/// The account of a merchant.
pub(super) fn example() -> Value {
    json!({
        "object": "account", "id": ACCOUNT_ID, "type": "liability", "currency": "USD", "livemode": false,
        "balance": 9_680, "pending_credit": 0, "pending_debit": 0, "available": 9_680, "shard": 0, "as_of_seq": 6,
    })
}

pub(crate) fn described() -> Endpoint {
    Endpoint::get("/v1/ledger/accounts", Access::KeyHolders)
        .called(
            "listAccounts",
            "List accounts",
            "Those that payments are booked on in the order of their names, then those that operators opened in the order in which they did. \
             Merchants see what they are owed, in the mode of their key.",
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
