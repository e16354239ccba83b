//! `GET /v1/ledger/accounts/{id}/entries`: the lines of an account, newest first. `starting_after` is the `id` of a line.

use super::account_get::visible;
use super::list::{Displayed, List};
use super::payment_body::Metadata;
use super::transfer_get::EXCHANGE_RATE_USUAL;
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
use florin_domain::ids::{PaymentId, Seq};
use florin_domain::ledger::{AccountKey, EffectiveDate, TransferId};
use serde::Serialize;
use serde_json::json;

/// A line of an account.
#[derive(Debug, Serialize)]
struct EntryBody<'a> {
    object: &'static str,
    /// The line's place, for the next page.
    id: String,
    account: Displayed<AccountKey>,
    seq: u64,
    at: u64,
    effective_date: Displayed<EffectiveDate>,
    payment_id: Option<Displayed<PaymentId>>,
    transfer_id: Option<Displayed<TransferId>>,
    side: &'static str,
    amount: i128,
    currency: &'static str,
    balance_after: i128,
    exchange_rate: String,
    description: Option<&'a str>,
    metadata: Metadata<'a>,
    /// What happened to the payment in the same commit.
    events: &'a [&'static str],
}

impl<'a> EntryBody<'a> {
    fn of(entry: &'a AccountEntry) -> Self {
        let notes = entry.notes.as_deref();
        let posting = &entry.line.posting;
        Self {
            object: "entry",
            id: format!("{}-{}", entry.seq.0, entry.place),
            account: Displayed(posting.account),
            seq: entry.seq.0,
            at: entry.at.unix_s(),
            effective_date: Displayed(entry.effective),
            payment_id: entry.payment.map(Displayed),
            transfer_id: entry.transfer.map(Displayed),
            side: posting.side.as_str(),
            amount: posting.amount.minor(),
            currency: posting.account.currency.code(),
            balance_after: entry.line.balance_after.minor(),
            exchange_rate: notes
                .and_then(|notes| notes.exchange_rate)
                .map_or_else(|| EXCHANGE_RATE_USUAL.to_owned(), |rate| rate.to_string()),
            description: notes.and_then(|notes| notes.description.as_deref()),
            metadata: Metadata(notes.map_or(&[], |notes| notes.metadata.as_slice())),
            events: &entry.events,
        }
    }
}

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> Reply {
    Reply(list(&state, &request).await)
}

async fn list(state: &State, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    let caller = Caller::of(state, request)?;
    let page = query::page(request, place)?;
    let found = visible(state, caller.who()?, request).await?;
    let (named, ledger) = (found.named, found.ledger);
    let (entries, has_more) = ledger.entries(named.key, page.starting_after, page.limit).await?;
    let data = entries.iter().map(EntryBody::of).collect();
    json(
        StatusCode::OK,
        &List::new(&format!("/v1/ledger/accounts/{named}/entries"), data, has_more),
    )
}

/// A line's place among those of its account: its commit, and which of the account's lines in it.
fn place(text: &str) -> Option<(Seq, usize)> {
    let (seq, place) = text.split_once('-')?;
    Some((Seq(seq.parse().ok()?), place.parse().ok()?))
}

pub(crate) fn described() -> Endpoint {
    let entry = json!({
        "object": "entry", "id": "6-0", "account": ACCOUNT_ID, "seq": 6, "at": 1_795_238_734, "effective_date": "2026-11-21", "payment_id": PAYMENT_ID, "transfer_id": null, "side": "credit", "amount": 9_680,
        "currency": "USD", "balance_after": 9_680, "exchange_rate": "1.0", "description": null, "metadata": {}, "events": ["attempt.succeeded"],
    });
    let example = list_example(&format!("/v1/ledger/accounts/{ACCOUNT_ID}/entries"), &entry);
    let seq = text("The `id` of a line: only lines before it.").pattern(Some("^[0-9]{1,19}-[0-9]{1,9}$"));
    Endpoint::get("/v1/ledger/accounts/{id}/entries", Access::KeyHolders)
        .called("listEntries", "List the lines of an account", "Newest first.")
        .in_chapter(chapter::LEDGER)
        .path_part("id", account_id(), ACCOUNT_ID)
        .query("limit", limit())
        .query("starting_after", seq)
        .answers(200, "A page.", page_of(named("Entry")), example)
        .refuses(400, &[Code::ParameterInvalidInteger])
        .refuses(404, &[Code::ResourceMissing])
        .refuses(503, &[Code::Overloaded])
}
