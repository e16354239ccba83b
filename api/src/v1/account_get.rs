//! `GET /v1/ledger/accounts/{id}`.

use super::account_body::{AccountBody, may_see};
use crate::auth::{Caller, Who};
use crate::errors::{ApiError, Code};
use crate::openapi::{ACCOUNT_ID, Access, Endpoint, account_id, chapter, named};
use crate::query;
use crate::reply::{Reply, json};
use crate::state::State;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use florin_domain::ids::Seq;
use florin_domain::ledger::{AccountKey, AccountState};

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> Reply {
    Reply(get(&state, &request).await)
}

async fn get(state: &State, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    let caller = Caller::of(state, request)?;
    query::none(request)?;
    let (key, account, as_of) = visible(state, caller.who()?, request).await?;
    json(StatusCode::OK, &AccountBody::of(key, &account, as_of))
}

/// The account that the path names, if the caller may see it. A merchant's own account stands at zero before its first
/// posting; any other that was never touched is not there.
pub(super) async fn visible(
    state: &State,
    who: Who<'_>,
    request: &HttpRequest,
) -> Result<(AccountKey, AccountState, Seq), ApiError> {
    let missing = ApiError::NoSuchObject { kind: "account" };
    let id = request
        .match_info()
        .get("id")
        .and_then(|id| AccountKey::parse(id).ok());
    let Some(key) = id.filter(|key| may_see(who, key)) else {
        return Err(missing);
    };
    let (account, as_of) = state.ledger.account(key).await?;
    match who {
        Who::Operator if account == AccountState::default() => Err(missing),
        Who::Operator | Who::Merchant(..) => Ok((key, account, as_of)),
    }
}

pub(crate) fn described() -> Endpoint {
    Endpoint::get("/v1/ledger/accounts/{id}", Access::KeyHolders)
        .called(
            "getAccount",
            "Read an account",
            "Its balance, and what is expected to come and go.",
        )
        .in_chapter(chapter::LEDGER)
        .path_part("id", account_id(), ACCOUNT_ID)
        .answers(
            200,
            "The account.",
            named("Account"),
            super::account_list::example(),
        )
        .refuses(404, &[Code::ResourceMissing])
        .refuses(503, &[Code::Overloaded])
}
