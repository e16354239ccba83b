//! `POST /v1/risk/lists`: an entry of a block or allow list. There is one entry about one thing on one list: the same again
//! changes nothing, another reason or end replaces the old one, and so no key is needed to send it again.

use super::EXPIRES_AT_MAX_S;
use super::list_entry_body::{ListEntryBody, example, kind_word, list_word, owner, shape};
use crate::auth::Caller;
use crate::errors::{ApiError, Code, Invalid};
use crate::json::{Number, Text};
use crate::openapi::{Access, Endpoint, bounded_text, chapter, may, must, strict, time};
use crate::query::{list_kind, list_name};
use crate::reply::{Reply, json};
use crate::state::State;
use crate::{body, json as strictly, query};
use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use florin_actors::risk_lists_handle::{AddError, NewListEntry};
use florin_domain::risk::{REASON_BYTES_MAX, Target};
use florin_domain::time::{Millis, Timestamp};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryRequest<'a> {
    #[serde(borrow)]
    list: Text<'a>,
    #[serde(borrow)]
    kind: Text<'a>,
    #[serde(borrow)]
    value: Text<'a>,
    #[serde(borrow)]
    reason: Text<'a>,
    #[serde(default)]
    expires_at: Option<Number>,
}

pub(crate) async fn handle(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    Reply(create(&state, &request, payload).await)
}

async fn create(state: &State, request: &HttpRequest, payload: Payload) -> Result<HttpResponse, ApiError> {
    let caller = Caller::of(state, request)?;
    let owner = owner(&caller)?;
    query::none(request)?;
    let bytes = body::read_json(state, request, payload).await?;
    let body: EntryRequest<'_> = strictly::read(&bytes)?;
    let list = list_name(body.list.as_str())?;
    let kind = list_kind(body.kind.as_str())?;
    let unfit = |error| Invalid::new("value", Code::ParameterInvalid, format!("`value` {error}."));
    let target = Target::parse(kind, body.value.as_str()).map_err(unfit)?;
    let new = NewListEntry {
        owner,
        list,
        target,
        reason: reason(&body.reason)?,
        expires_at: body.expires_at.map(end).transpose()?,
        by: caller.key_id(),
    };
    let entry = state.directory.risk_lists().add(new).await.map_err(refused)?;
    json(StatusCode::OK, &ListEntryBody::of(&entry))
}

fn reason(text: &Text<'_>) -> Result<Arc<str>, Invalid> {
    let reason = text.as_str().trim();
    if reason.is_empty() || reason.len() > REASON_BYTES_MAX {
        let message = format!("`reason` is 1 to {REASON_BYTES_MAX} bytes long.");
        return Err(Invalid::new("reason", Code::ParameterInvalid, message));
    }
    Ok(Arc::from(reason))
}

fn end(number: Number) -> Result<Timestamp, Invalid> {
    let seconds = match number {
        Number::Whole(seconds) if (0..=EXPIRES_AT_MAX_S).contains(&seconds) => u64::try_from(seconds).ok(),
        Number::Whole(_) | Number::Beyond { .. } | Number::Float => None,
    };
    let refused = || {
        let message = "`expires_at` is a whole number of seconds since the Unix epoch.";
        Invalid::new("expires_at", Code::ParameterInvalidInteger, message)
    };
    let seconds = seconds.ok_or_else(refused)?;
    Ok(Timestamp::from_unix_ms(0).plus(Millis::from_s(seconds)))
}

fn refused(error: AddError) -> ApiError {
    match error {
        AddError::Ended => {
            let message = "`expires_at` is in the past: the entry would never count.";
            Invalid::new("expires_at", Code::ParameterInvalid, message).into()
        }
        AddError::Full => ApiError::Invalid(Invalid {
            param: None,
            code: Code::RiskListsFull,
            message: "The lists have no room for another entry.".to_owned(),
        }),
        AddError::Ledger(error) => error.into(),
    }
}

pub(crate) fn described() -> Endpoint {
    let shape_in = strict([
        must("list", list_word()),
        must("kind", kind_word()),
        must(
            "value",
            bounded_text(
                "Which one: an address or a range such as `192.0.2.0/24`, a country such as `DE`, 6 to 8 digits, or an id.",
                (1, 255),
            ),
        ),
        must(
            "reason",
            bounded_text(
                "Why. The history of payments that match tells a merchant its own reasons, not the platform's.",
                (1, REASON_BYTES_MAX),
            ),
        ),
        may(
            "expires_at",
            time("From when on it does not count any more; never when absent."),
        ),
    ]);
    let block = json!({
        "list": "block", "kind": "ip", "value": "192.0.2.0/24", "reason": "Card testing in November.",
        "expires_at": 1_798_761_600,
    });
    Endpoint::order("/v1/risk/lists", Access::KeyHolders)
        .called(
            "addRiskListEntry",
            "Block or allow something",
            "A merchant's entry is about its own payments in the key's mode, an operator's about everybody's. There is one entry \
             about one thing on one list: another reason or end replaces what it said.",
        )
        .in_chapter(chapter::PAYMENTS)
        .takes(shape_in, &[("Block a range of addresses", block)])
        .answers(200, "The entry; it is in force.", shape(), example())
        .refuses(400, &[Code::ParameterInvalidInteger, Code::RiskListsFull])
}
