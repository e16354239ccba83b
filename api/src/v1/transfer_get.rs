//! `GET /v1/ledger/transfers/{id}`: a transfer as it was recorded, and what has become of it.

use super::list::Displayed;
use super::payment_body::Metadata;
use crate::auth::Caller;
use crate::errors::{ApiError, Code};
use crate::openapi::{
    Access, Endpoint, OPENED_ACCOUNT_ID, OPENED_ACCOUNT_ID_OTHER, TRANSFER_ID, chapter, named, transfer_id,
};
use crate::query;
use crate::reply::{Reply, json};
use crate::state::State;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use florin_actors::ledger_handle::CrossRecord;
use florin_domain::commit::Commit;
use florin_domain::ledger::{
    AccountKey, CrossOutcome, EffectiveDate, Legs, PendingTransfer, PostedTransfer, Posting, Side,
    TransferId, TransferStep,
};
use florin_domain::time::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

/// The transfer object.
#[derive(Debug, Serialize)]
struct TransferBody<'a> {
    object: &'static str,
    id: Displayed<TransferId>,
    step: &'static str,
    status: &'static str,
    /// Which reservation this one ended.
    pending_id: Option<Displayed<TransferId>>,
    /// Which transfer this one undid, and which one undid it.
    reverts: Option<Displayed<TransferId>>,
    reverted_by: Option<Displayed<TransferId>>,
    expires_at: Option<u64>,
    /// Posted, or reserved.
    postings: Vec<PostingBody>,
    effective_date: Displayed<EffectiveDate>,
    created: u64,
    seq: u64,
    description: Option<&'a str>,
    exchange_rate: String,
    metadata: Metadata<'a>,
}

#[derive(Debug, Serialize)]
struct PostingBody {
    account: Displayed<AccountKey>,
    side: &'static str,
    amount: i128,
    currency: &'static str,
    /// Nothing while it is only reserved.
    balance_after: Option<i128>,
}

/// The rate of a transfer that names none.
pub(super) const EXCHANGE_RATE_USUAL: &str = "1.0";

impl PostingBody {
    fn of(posting: &Posting, balance_after: Option<i128>) -> Self {
        Self {
            account: Displayed(posting.account),
            side: posting.side.as_str(),
            amount: posting.amount.minor(),
            currency: posting.account.currency.code(),
            balance_after,
        }
    }
}

impl<'a> TransferBody<'a> {
    fn of(
        commit: &Commit,
        transfer: &'a PostedTransfer,
        standing: Option<&PendingTransfer>,
        reverted_by: Option<TransferId>,
    ) -> Self {
        let (step, pending_id, expires_at) = match transfer.step {
            TransferStep::Single => ("single", None, None),
            TransferStep::Pending { expires_at } => ("pending", None, expires_at),
            TransferStep::Post { pending } => ("post_pending", Some(Displayed(pending)), None),
            TransferStep::Void { pending } => ("void_pending", Some(Displayed(pending)), None),
            TransferStep::Revert { .. } => ("revert", None, None),
        };
        let reverts = match transfer.step {
            TransferStep::Revert { reverts } => Some(Displayed(reverts)),
            TransferStep::Single
            | TransferStep::Pending { .. }
            | TransferStep::Post { .. }
            | TransferStep::Void { .. } => None,
        };
        let status = match (transfer.step, standing) {
            (TransferStep::Single | TransferStep::Post { .. } | TransferStep::Revert { .. }, _) => "posted",
            (TransferStep::Void { .. }, _) => "voided",
            (TransferStep::Pending { .. }, Some(_)) => "pending",
            (TransferStep::Pending { .. }, None) => "ended",
        };
        let postings = match &transfer.legs {
            Legs::Reserved(postings) => postings
                .iter()
                .map(|posting| PostingBody::of(posting, None))
                .collect(),
            Legs::Pair(_) | Legs::Many(_) | Legs::Released => transfer
                .lines()
                .iter()
                .map(|line| PostingBody::of(&line.posting, Some(line.balance_after.minor())))
                .collect(),
        };
        let notes = transfer.notes.as_deref();
        Self {
            object: "transfer",
            id: Displayed(transfer.id),
            step,
            status,
            pending_id,
            reverts,
            reverted_by: reverted_by.map(Displayed),
            expires_at: expires_at.map(Timestamp::unix_s),
            postings,
            effective_date: Displayed(transfer.effective),
            created: commit.at.unix_s(),
            seq: commit.seq.0,
            description: notes.and_then(|notes| notes.description.as_deref()),
            exchange_rate: notes
                .and_then(|notes| notes.exchange_rate)
                .map_or_else(|| EXCHANGE_RATE_USUAL.to_owned(), |rate| rate.to_string()),
            metadata: Metadata(notes.map_or(&[], |notes| notes.metadata.as_slice())),
        }
    }
}

impl<'a> TransferBody<'a> {
    /// One between accounts of two shards. A balance is there once its half is posted.
    fn between_shards(crossed: &'a CrossRecord) -> Self {
        let transfer = &crossed.transfer;
        let posting = |account, side| {
            let posting = Posting {
                account,
                side,
                amount: transfer.amount,
            };
            let mut lines = crossed.lines.iter();
            let line = lines.find(|line| line.posting == posting);
            PostingBody::of(&posting, line.map(|line| line.balance_after.minor()))
        };
        let (seq, at) = crossed.recorded;
        let notes = transfer.notes.as_deref();
        Self {
            object: "transfer",
            id: Displayed(transfer.id),
            step: "single",
            status: match crossed.outcome {
                None => "undecided",
                Some(CrossOutcome::Decided) => "posted",
                Some(CrossOutcome::Aborted(_)) => "refused",
            },
            pending_id: None,
            reverts: None,
            reverted_by: None,
            expires_at: None,
            postings: vec![
                posting(transfer.debit, Side::Debit),
                posting(transfer.credit, Side::Credit),
            ],
            effective_date: Displayed(transfer.effective),
            created: at.unix_s(),
            seq: seq.0,
            description: notes.and_then(|notes| notes.description.as_deref()),
            exchange_rate: notes
                .and_then(|notes| notes.exchange_rate)
                .map_or_else(|| EXCHANGE_RATE_USUAL.to_owned(), |rate| rate.to_string()),
            metadata: Metadata(notes.map_or(&[], |notes| notes.metadata.as_slice())),
        }
    }
}

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> Reply {
    Reply(get(&state, &request).await)
}

async fn get(state: &State, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    Caller::of(state, request)?.operator()?;
    query::none(request)?;
    let missing = ApiError::NoSuchObject { kind: "transfer" };
    let id = request.match_info().get("id").and_then(TransferId::parse);
    let Some(id) = id else { return Err(missing) };
    let Some((commit, transfer)) = state.ledger.recorded(id).await? else {
        let crossed = state.ledger.crossed(id).await?.ok_or(missing)?;
        return json(StatusCode::OK, &TransferBody::between_shards(&crossed));
    };
    let standing = match transfer.step {
        // One whose time is over stands until the sweep, but nothing can be done with it any more.
        TransferStep::Pending { .. } => {
            let standing = state.ledger.pending(id).await?;
            standing.filter(|pending| !pending.is_over(state.ledger.now()))
        }
        TransferStep::Single
        | TransferStep::Post { .. }
        | TransferStep::Void { .. }
        | TransferStep::Revert { .. } => None,
    };
    let reverted_by = state.ledger.reverted_by(id).await?;
    json(
        StatusCode::OK,
        &TransferBody::of(&commit, &transfer, standing.as_ref(), reverted_by),
    )
}

fn example() -> Value {
    let posting = |account: &str, side: &str, balance: i64| {
        json!({
            "account": account, "side": side, "amount": 10_000, "currency": "USD", "balance_after": balance,
        })
    };
    json!({
        "object": "transfer", "id": TRANSFER_ID, "step": "single", "status": "posted", "pending_id": null, "reverts": null, "reverted_by": null,
        "expires_at": null,
        "postings": [posting(OPENED_ACCOUNT_ID_OTHER, "debit", 1_010_000), posting(OPENED_ACCOUNT_ID, "credit", 60_000)],
        "effective_date": "2026-11-21", "created": 1_795_238_734, "seq": 8, "description": null, "exchange_rate": "1.0",
        "metadata": {"order_id": "xyz"},
    })
}

pub(crate) fn described() -> Endpoint {
    Endpoint::get("/v1/ledger/transfers/{id}", Access::Operators)
        .called(
            "getTransfer",
            "Read a transfer",
            "As it was recorded. `status` says what has become of it: a pending one that was posted, voided or has expired is `ended`.",
        )
        .in_chapter(chapter::LEDGER)
        .path_part("id", transfer_id("Its id."), TRANSFER_ID)
        .answers(200, "The transfer.", named("Transfer"), example())
        .refuses(404, &[Code::ResourceMissing])
        .refuses(503, &[Code::Overloaded])
}
