//! `GET /v1/ledger/accounts/{id}/entries`: the lines of an account, newest first. `starting_after` is a commit's number, and the
//! lines of one commit are never split between pages.

use super::account_get::visible;
use super::list::{Displayed, List};
use crate::auth::Caller;
use crate::errors::{ApiError, Code};
use crate::openapi::{
    ACCOUNT_ID, Access, Endpoint, PAYMENT_ID, account_id, chapter, limit, list_example, named, page_of, text,
};
use crate::query;
use crate::reply::{Reply, json};
use crate::state::State;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use florin_actors::ledger_handle::AccountEntry;
use florin_domain::commit::Body;
use florin_domain::ids::{PaymentId, Seq};
use serde::Serialize;
use serde_json::json;

/// A line of an account.
#[derive(Debug, Serialize)]
struct EntryBody {
    object: &'static str,
    seq: u64,
    at: u64,
    payment_id: Option<Displayed<PaymentId>>,
    side: &'static str,
    amount: i128,
    currency: &'static str,
    balance_after: i128,
    /// What happened to the payment in the same commit.
    events: Vec<&'static str>,
}

impl EntryBody {
    fn of(entry: &AccountEntry) -> Self {
        let posting = &entry.line.posting;
        let (payment_id, events) = match &entry.commit.body {
            Body::Payment(body) => (
                Some(Displayed(body.payment)),
                body.events
                    .iter()
                    .map(florin_domain::payment::Event::name)
                    .collect(),
            ),
            Body::Control(_) => (None, Vec::new()),
        };
        Self {
            object: "entry",
            seq: entry.commit.seq.0,
            at: entry.commit.at.unix_s(),
            payment_id,
            side: posting.side.as_str(),
            amount: posting.amount.minor(),
            currency: posting.account.currency.code(),
            balance_after: entry.line.balance_after.minor(),
            events,
        }
    }
}

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> Reply {
    Reply(list(&state, &request).await)
}

async fn list(state: &State, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    let caller = Caller::of(state, request)?;
    let page = query::page(request, |seq| seq.parse().ok().map(Seq))?;
    let (key, _, _) = visible(state, caller.who()?, request).await?;
    let (entries, has_more) = state.ledger.entries(key, page.starting_after, page.limit).await?;
    let data = entries.iter().map(EntryBody::of).collect();
    json(
        StatusCode::OK,
        &List::new(&format!("/v1/ledger/accounts/{key}/entries"), data, has_more),
    )
}

pub(crate) fn described() -> Endpoint {
    let entry = json!({
        "object": "entry", "seq": 6, "at": 1_795_238_734, "payment_id": PAYMENT_ID, "side": "credit", "amount": 9_680,
        "currency": "USD", "balance_after": 9_680, "events": ["attempt.succeeded"],
    });
    let example = list_example(&format!("/v1/ledger/accounts/{ACCOUNT_ID}/entries"), &entry);
    let seq = text("Only lines of earlier commits than this one.").pattern(Some("^[0-9]{1,19}$"));
    Endpoint::get("/v1/ledger/accounts/{id}/entries", Access::KeyHolders)
        .called(
            "listEntries",
            "List the lines of an account",
            "Newest first. The lines of one commit are never split between pages.",
        )
        .in_chapter(chapter::LEDGER)
        .path_part("id", account_id(), ACCOUNT_ID)
        .query("limit", limit())
        .query("starting_after", seq)
        .answers(200, "A page.", page_of(named("Entry")), example)
        .refuses(400, &[Code::ParameterInvalidInteger])
        .refuses(404, &[Code::ResourceMissing])
        .refuses(503, &[Code::Overloaded])
}
