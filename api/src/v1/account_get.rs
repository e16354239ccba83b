//! `GET /v1/ledger/accounts/{id}`.

use super::account_body::{AccountBody, Named, may_see};
use crate::auth::{Caller, Who};
use crate::errors::{ApiError, Code, Invalid};
use crate::openapi::{ACCOUNT_ID, Access, Endpoint, account_id, chapter, named, text};
use crate::query;
use crate::reply::{Reply, json};
use crate::state::State;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use florin_actors::ledger_handle::{LedgerHandle, PastBalance};
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
        None => AccountBody::of(found.named, &found.state, found.as_of),
        Some(at) => match found.ledger.balance_at(found.named.key, at).await? {
            PastBalance::Stood(balance, as_of) => AccountBody::past(found.named, balance, as_of),
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
    pub(super) named: Named,
    /// The ledger, or the shard whose part was named.
    pub(super) ledger: LedgerHandle,
    pub(super) state: AccountState,
    pub(super) as_of: Option<Seq>,
    /// Its terms, if operators opened it.
    pub(super) opened: Option<GeneralAccount>,
}

/// The account that the path names, if the caller may see it. A merchant's own account stands at zero before its first
/// posting; any other that was neither opened nor touched is not there.
pub(super) async fn visible(state: &State, who: Who<'_>, request: &HttpRequest) -> Result<Visible, ApiError> {
    let missing = ApiError::NoSuchObject { kind: "account" };
    let id = request.match_info().get("id").and_then(Named::parse);
    let Some(named) = id.filter(|named| may_see(who, &named.key)) else {
        return Err(missing);
    };
    let key = named.key;
    if let Some(id) = key.name.general() {
        return opened(state, key, id).await?.ok_or(missing);
    }
    let ledger = match named.part {
        None => Some(state.ledger.clone()),
        Some(shard) => state.ledger.in_shard(shard),
    };
    let Some(ledger) = ledger else { return Err(missing) };
    let (account, as_of) = ledger.account(key).await?;
    match who {
        Who::Operator if account == AccountState::default() => Err(missing),
        Who::Operator | Who::Merchant(..) => Ok(Visible {
            named,
            ledger,
            state: account,
            as_of,
            opened: None,
        }),
    }
}

async fn opened(state: &State, key: AccountKey, id: LedgerAccountId) -> Result<Option<Visible>, ApiError> {
    let ledger = state.ledger.clone();
    let found = ledger.general_account(id).await?;
    Ok(found.map(|(account, state, as_of)| Visible {
        named: Named::from(key),
        ledger,
        state,
        as_of: Some(as_of),
        opened: Some(account),
    }))
}

pub(crate) fn described() -> Endpoint {
    Endpoint::get("/v1/ledger/accounts/{id}", Access::KeyHolders)
        .called(
            "getAccount",
            "Read an account",
            "Its balance, and what is expected to come and go. With `at` the balance that it had then, by what was recorded until then; what was \
             expected then is not kept, and is null. Where there are several shards, each has a part of the accounts that are nobody's own, such as \
             `fee_revenue:USD`; that is the sum, and `fee_revenue:USD@1` the part of shard 1.",
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
