//! `POST /v1/ledger/accounts`: opens an account. Its name is there once for each currency and mode, so the same request may be sent
//! again without a key.

use super::account_body::AccountBody;
use super::payment_request::metadata;
use crate::auth::Caller;
use crate::errors::{ApiError, Code, Invalid};
use crate::json::{Number, Pairs, Text};
use crate::openapi::{
    Access, Endpoint, OPENED_ACCOUNT_ID, account_type, chapter, count, flag, integer, may, metadata as pairs,
    must, named, strict, text,
};
use crate::reply::{Remembered, Reply, json};
use crate::state::State;
use crate::{body, json as strictly, query};
use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use florin_actors::account_shard::{OpenAccount, Opening};
use florin_actors::admission::Shed;
use florin_actors::ledger_handle::LedgerError;
use florin_domain::ids::{ApiKeyId, ShardId};
use florin_domain::ledger::{AccountLimits, AccountType};
use florin_domain::money::{Balance, Currency};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// Bytes of an account's name.
const NAME_BYTES_MAX: usize = 64;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AccountRequest<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    currency: Text<'a>,
    #[serde(default)]
    livemode: Option<bool>,
    #[serde(default)]
    min_balance: Option<Number>,
    #[serde(default)]
    max_balance: Option<Number>,
    #[serde(borrow, default)]
    metadata: Option<Pairs<'a>>,
    #[serde(default)]
    shard: Option<Number>,
}

pub(crate) async fn handle(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    Reply(create(&state, &request, payload).await)
}

async fn create(state: &State, request: &HttpRequest, payload: Payload) -> Result<HttpResponse, ApiError> {
    let by = Caller::of(state, request)?.operator_id()?;
    query::none(request)?;
    let bytes = body::read_json(state, request, payload).await?;
    let body: AccountRequest<'_> = strictly::read(&bytes)?;
    let mut open = body.check(by)?;
    let asked = shard(body.shard, state.ledger.shards())?;
    let title = (Arc::clone(&open.name), open.currency, open.livemode);
    let placed = state
        .ledger
        .place_account(&title, asked)
        .await
        .map_err(not_agreed)?;
    open.shard = placed.map_err(|unplaced| wrong("shard", format!("`shard`: {unplaced}.")))?;
    let opening = state.ledger.open_account(open).await.map_err(not_agreed)?;
    let existed = matches!(opening, Opening::Existed(_));
    let account = match opening {
        Opening::Opened(account) | Opening::Existed(account) => account,
        Opening::NameTaken(_) => return Err(ApiError::AccountNameTaken),
        Opening::Full => {
            tracing::error!("the shard has as many accounts as it can number");
            return Err(ApiError::Internal);
        }
    };
    let key = account.id.key().ok_or(ApiError::Internal)?;
    let (standing, as_of) = state.ledger.account(key).await?;
    let body = AccountBody::of(key.into(), &standing, as_of).on(Some(&account));
    Ok(Remembered::mark_if(existed, json(StatusCode::OK, &body)?))
}

/// An account that the books did not take, or of which nobody knows whether they did.
fn not_agreed(error: LedgerError) -> ApiError {
    match error {
        LedgerError::Unknown => ApiError::AccountNotAgreed { retry_after_s: 1 },
        LedgerError::Shed(shed @ Shed::NoRoom) => ApiError::AccountNotAgreed {
            retry_after_s: shed.retry_after().as_secs(),
        },
        LedgerError::Shed(_)
        | LedgerError::Busy
        | LedgerError::Gone
        | LedgerError::Read(_)
        | LedgerError::Striped => error.into(),
    }
}

fn wrong(name: &'static str, message: impl Into<String>) -> Invalid {
    Invalid::new(name, Code::ParameterInvalid, message)
}

impl AccountRequest<'_> {
    pub(super) fn check(&self, by: ApiKeyId) -> Result<OpenAccount, Invalid> {
        let name = self.name.as_str();
        let is_fit = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b':' | b'-');
        if !(1..=NAME_BYTES_MAX).contains(&name.len()) || !name.bytes().all(is_fit) {
            let message =
                format!("`name` is 1 to {NAME_BYTES_MAX} of a-z, 0-9, underscore, dot, colon and hyphen.");
            return Err(wrong("name", message));
        }
        let account_type = match self.kind.as_str() {
            "asset" => AccountType::Asset,
            "liability" => AccountType::Liability,
            "equity" => AccountType::Equity,
            "revenue" => AccountType::Revenue,
            "expense" => AccountType::Expense,
            _ => {
                let message = "`type` is `asset`, `liability`, `equity`, `revenue` or `expense`.";
                return Err(wrong("type", message));
            }
        };
        let currency = Currency::parse(self.currency.as_str())
            .map_err(|error| wrong("currency", format!("`currency`: {error}.")))?;
        let limits = AccountLimits {
            min_minor: self
                .min_balance
                .map(|number| limit("min_balance", number))
                .transpose()?,
            max_minor: self
                .max_balance
                .map(|number| limit("max_balance", number))
                .transpose()?,
        };
        if let (Some(min), Some(max)) = (limits.min_minor, limits.max_minor)
            && min > max
        {
            return Err(wrong("max_balance", "`max_balance` is not below `min_balance`."));
        }
        let mut metadata = metadata(self.metadata.as_ref())?;
        // The order in which an object is written means nothing.
        metadata.sort();
        Ok(OpenAccount {
            name: Arc::from(name),
            account_type,
            currency,
            livemode: self.livemode.unwrap_or(false),
            limits,
            metadata,
            shard: ShardId::FIRST,
            by,
        })
    }
}

/// The one that is named, if one is.
fn shard(number: Option<Number>, shards: usize) -> Result<Option<ShardId>, Invalid> {
    let last = shards.saturating_sub(1);
    let named = match number {
        None => return Ok(None),
        Some(Number::Whole(number)) => usize::try_from(number).ok().filter(|number| *number <= last),
        Some(Number::Beyond { .. } | Number::Float) => None,
    };
    let named = named.and_then(|number| u16::try_from(number).ok());
    let refused = || {
        let message = format!("`shard` is a whole number from 0 to {last}.");
        Invalid::new("shard", Code::ParameterInvalidInteger, message)
    };
    named.map(|number| Some(ShardId(number))).ok_or_else(refused)
}

fn limit(name: &'static str, number: Number) -> Result<i128, Invalid> {
    match number {
        Number::Whole(minor) if Balance::from_minor(minor).is_ok() => Ok(minor),
        Number::Whole(_) | Number::Beyond { .. } | Number::Float => {
            let message = format!("`{name}` is an integer in minor units that fits 64 bits.");
            Err(Invalid::new(name, Code::ParameterInvalidInteger, message))
        }
    }
}

/// An account that was just opened.
pub(super) fn example() -> Value {
    json!({
        "object": "account", "id": OPENED_ACCOUNT_ID, "type": "liability", "currency": "USD", "livemode": false,
        "balance": 0, "pending_credit": 0, "pending_debit": 0, "available": 0, "shard": 0, "as_of_seq": 7,
        "name": "customer:alice", "min_balance": 0, "max_balance": null, "metadata": {"crm_id": "4711"},
    })
}

pub(crate) fn described() -> Endpoint {
    let name = text("What you call it, such as `customer:alice`; unique with currency and mode.")
        .pattern(Some("^[a-z0-9_.:-]{1,64}$"));
    let shape = strict([
        must("name", name),
        must("type", account_type()),
        must("currency", named("Currency")),
        may(
            "livemode",
            flag("Whether its money is real; `false` when absent."),
        ),
        may(
            "min_balance",
            integer(
                "No less than this may be available, on its normal side, in minor units; 0 forbids an overdraft. No limit when absent.",
            ),
        ),
        may(
            "max_balance",
            integer("No more than this may be held, pending transfers included. No limit when absent."),
        ),
        may("metadata", pairs()),
        may(
            "shard",
            count(
                "The shard that is to have it: where the accounts are that it deals with most. When absent, the one where an account of this name is open; if there is none, the first one, or the one of its name if letters decide (`journal.placement`). It must be said where several shards have one, unless the first shard is one of them and letters do not decide.",
            ),
        ),
    ]);
    let customer = json!({
        "name": "customer:alice", "type": "liability", "currency": "USD", "min_balance": 0,
        "metadata": {"crm_id": "4711"},
    });
    let bank = json!({"name": "bank", "type": "asset", "currency": "USD", "livemode": true});
    Endpoint::order("/v1/ledger/accounts", Access::Operators)
        .called(
            "openAccount",
            "Open an account",
            "For a chart of your own, besides the accounts that payments are booked on. The same terms again are answered with the account that is \
             there.",
        )
        .in_chapter(chapter::LEDGER)
        .takes(
            shape,
            &[
                ("What a customer has, never below zero", customer),
                ("Real money in the bank", bank),
            ],
        )
        .answers(200, "The account; it is open and durable.", named("Account"), example())
        .refuses(400, &[Code::ParameterInvalidInteger, Code::CardNumberMisplaced])
        .refuses(409, &[Code::AccountNameTaken])
        .refuses(503, &[Code::ConsistencyError])
}
