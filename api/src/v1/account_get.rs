//! `GET /v1/ledger/accounts/{id}`.

use super::account_body::{AccountBody, may_see};
use crate::auth::{Caller, Who};
use crate::errors::{ApiError, Code, Invalid};
use crate::openapi::{ACCOUNT_ID, Access, Endpoint, account_id, chapter, named, text};
use crate::query;
use crate::reply::{Reply, json};
use crate::state::State;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use florin_actors::ledger_handle::PastBalance;
use florin_domain::ids::{LedgerAccountId, Seq};
use florin_domain::ledger::{AccountKey, AccountState, GeneralAccount};

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> Reply {
    Reply(get(&state, &request).await)
}

async fn get(state: &State, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    let caller = Caller::of(state, request)?;
    let at = query::moment(request)?;
    let found = visible(state, caller.who()?, request).await?;
    let body = match at {
        None => AccountBody::of(found.key, &found.state, found.as_of),
        Some(at) => match state.ledger.balance_at(found.key, at).await? {
            PastBalance::Stood(balance, as_of) => AccountBody::past(found.key, balance, as_of),
            PastBalance::Beyond => return Err(unanswerable("`at` has not come yet.")),
            PastBalance::TooFar => {
                return Err(unanswerable(
                    "`at` is too far back among too many entries; read the account's entries instead.",
                ));
            }
        },
    };
    json(StatusCode::OK, &body.on(found.opened.as_ref()))
}

fn unanswerable(message: &str) -> ApiError {
    Invalid::new("at", Code::ParameterInvalid, message).into()
}

/// An account that the caller may see.
#[derive(Debug)]
pub(super) struct Visible {
    pub(super) key: AccountKey,
    pub(super) state: AccountState,
    pub(super) as_of: Seq,
    /// Its terms, if operators opened it.
    pub(super) opened: Option<GeneralAccount>,
}

/// The account that the path names, if the caller may see it. A merchant's own account stands at zero before its first
/// posting; any other that was neither opened nor touched is not there.
pub(super) async fn visible(state: &State, who: Who<'_>, request: &HttpRequest) -> Result<Visible, ApiError> {
    let missing = ApiError::NoSuchObject { kind: "account" };
    let id = request
        .match_info()
        .get("id")
        .and_then(|id| AccountKey::parse(id).ok());
    let Some(key) = id.filter(|key| may_see(who, key)) else {
        return Err(missing);
    };
    if let Some(id) = key.name.general() {
        return opened(state, key, id).await?.ok_or(missing);
    }
    let (account, as_of) = state.ledger.account(key).await?;
    match who {
        Who::Operator if account == AccountState::default() => Err(missing),
        Who::Operator | Who::Merchant(..) => Ok(Visible {
            key,
            state: account,
            as_of,
            opened: None,
        }),
    }
}

async fn opened(state: &State, key: AccountKey, id: LedgerAccountId) -> Result<Option<Visible>, ApiError> {
    let number = usize::try_from(id.number()).unwrap_or(usize::MAX);
    let (found, as_of) = state.ledger.general_accounts(number, 1).await?;
    let found = found.into_iter().find(|(account, _)| account.id == id);
    Ok(found.map(|(account, state)| Visible {
        key,
        state,
        as_of,
        opened: Some(account),
    }))
}

pub(crate) fn described() -> Endpoint {
    Endpoint::get("/v1/ledger/accounts/{id}", Access::KeyHolders)
        .called(
            "getAccount",
            "Read an account",
            "Its balance, and what is expected to come and go. With `at` the balance that it had then, by what was recorded until then; what was \
             expected then is not kept, and is null.",
        )
        .in_chapter(chapter::LEDGER)
        .path_part("id", account_id(), ACCOUNT_ID)
        .query(
            "at",
            text("A commit's sequence number, a time such as `2026-11-21T10:00:00Z`, or a day such as `2026-11-21`, which stands for its end (UTC).")
                .min_length(Some(1)),
        )
        .answers(
            200,
            "The account.",
            named("Account"),
            super::account_list::example(),
        )
        .refuses(404, &[Code::ResourceMissing])
        .refuses(503, &[Code::Overloaded])
}
