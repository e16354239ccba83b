//! `POST /v1/ledger/transfers`: 1 to 8,190 transfers. Each is made at most once for its id, so the same request may be sent again
//! without a key.

use super::transfer_request::{Checked, POSTINGS_MAX, TRANSFERS_MAX, TransfersRequest};
use super::transfer_template::Booking;
use crate::auth::Caller;
use crate::errors::{ApiError, Code};
use crate::openapi::{
    AMOUNT_MAX, Access, Endpoint, OPENED_ACCOUNT_ID as CUSTOMER, OPENED_ACCOUNT_ID_OTHER as BANK,
    TRANSFER_ID as ID, account_id, amount, array, bounded, bounded_text, chapter, day, flag, may, metadata,
    must, named, strict, text, time, transfer_id, word,
};
use crate::reply::{Remembered, Reply, json as answered};
use crate::state::State;
use crate::{body, json as strictly, query};
use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use florin_actors::account_shard::TransferRequest;
use florin_actors::ledger_handle::{Answer, Told};
use florin_domain::ledger::{Linkage, Transfer, TransferRefusal};
use florin_domain::limits::TEXT_BYTES_MAX;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Type};

/// A request may hold this many bytes.
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What became of a request.
#[derive(Debug, Serialize)]
pub(super) struct TransfersBody {
    object: &'static str,
    dry_run: bool,
    /// The commit that recorded what is new.
    seq: Option<u64>,
    recorded: usize,
    existed: usize,
    refused: usize,
    /// Those that were not recorded now.
    exceptions: Vec<ExceptionBody>,
}

/// A transfer that was recorded before, or refused.
#[derive(Debug, Serialize)]
struct ExceptionBody {
    index: usize,
    id: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

pub(crate) async fn handle(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    Reply(create(&state, &request, payload).await)
}

async fn create(state: &State, request: &HttpRequest, payload: Payload) -> Result<HttpResponse, ApiError> {
    let by = Caller::of(state, request)?.operator_id()?;
    query::none(request)?;
    let bytes = body::read_json_up_to(state, request, payload, BODY_BYTES_MAX).await?;
    let Checked {
        transfers,
        linkage,
        is_dry_run,
    } = checked(state, &bytes).await?;
    // It may be megabytes, and the answer waits for the disk.
    drop(bytes);
    let is_one = linkage == Linkage::Atomic || transfers.len() == 1;
    let names: Vec<_> = transfers.iter().map(|transfer: &Transfer| transfer.id).collect();
    let asked = TransferRequest {
        transfers,
        linkage,
        is_dry_run,
        by,
    };
    let answer = state.ledger.transfer(asked).await?;
    if is_one && let Some(refused) = culprit(&answer) {
        return Err(refused);
    }
    let is_remembered = is_dry_run || !answer.told.contains(&Told::Done);
    let body = answered(StatusCode::OK, &TransfersBody::of(&answer, &names, is_dry_run))?;
    Ok(Remembered::mark_if(is_remembered, body))
}

/// Reads and checks a request; the chart's accounts are asked for only if a template needs one.
async fn checked(state: &State, bytes: &[u8]) -> Result<Checked, ApiError> {
    let request = strictly::read::<TransfersRequest<'_>>(bytes)?;
    let rules = state.ledger.rules();
    let titles = request.titles(rules);
    let opened = if titles.is_empty() {
        BTreeMap::new()
    } else {
        state.ledger.accounts_titled(titles).await?
    };
    let opened = &opened;
    Ok(request.check(&Booking { rules, opened })?)
}

/// The first refusal that is nobody else's fault.
pub(super) fn culprit(answer: &Answer) -> Option<ApiError> {
    let refused = answer
        .told
        .iter()
        .enumerate()
        .filter_map(|(index, told)| match told {
            Told::Refused(refusal) => Some((index, refusal)),
            Told::Done | Told::Existed(_) => None,
        });
    let own = refused
        .clone()
        .find(|(_, refusal)| **refusal != TransferRefusal::LinkedFailed);
    let (index, refusal) = own.or_else(|| refused.clone().next())?;
    Some(ApiError::TransferRefused {
        param: format!("transfers.{index}"),
        refusal: refusal.clone(),
    })
}

impl TransfersBody {
    pub(super) fn of(answer: &Answer, names: &[florin_domain::ledger::TransferId], dry_run: bool) -> Self {
        let count = |wanted: fn(&Told) -> bool| answer.told.iter().filter(|told| wanted(told)).count();
        let exceptions = answer.told.iter().zip(names).enumerate();
        let exceptions = exceptions.filter_map(|(index, (told, id))| {
            let (status, seq, refusal) = match told {
                Told::Done => return None,
                Told::Existed(seq) => ("existed", Some(seq.0), None),
                Told::Refused(refusal) => ("refused", None, Some(refusal)),
            };
            Some(ExceptionBody {
                index,
                id: id.to_string(),
                status,
                seq,
                code: refusal.map(|refusal| Code::of_transfer(refusal).as_str()),
                message: refusal.map(ToString::to_string),
            })
        });
        Self {
            object: "transfers",
            dry_run,
            seq: answer.seq.map(|seq| seq.0),
            recorded: count(|told| matches!(told, Told::Done)),
            existed: count(|told| matches!(told, Told::Existed(_))),
            refused: count(|told| matches!(told, Told::Refused(_))),
            exceptions: exceptions.collect(),
        }
    }
}

/// The names of templates, roles and parameters.
const NAME: &str = "^[a-z][a-z0-9_]{0,63}$";

fn by_name(value: ObjectBuilder, description: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some(description))
        .additional_properties(Some(AdditionalProperties::RefOr(value.into())))
        .property_names(Some(text("").pattern(Some(NAME))))
}

fn shape() -> ObjectBuilder {
    let posting = strict([
        must("account", account_id()),
        must("side", word("Which side.", ["debit", "credit"])),
        must("amount", amount("How much.")),
    ]);
    let postings = array(
        posting,
        "Instead of a pair: what balances in each currency. They name the accounts of one mode.",
    );
    let transfer = strict([
        must("id", transfer_id("Yours, new for each transfer.")),
        may("debit_account", account_id()),
        may("credit_account", account_id()),
        may(
            "amount",
            amount("How much. With `post_pending`, less than all may be posted of a pair."),
        ),
        may(
            "postings",
            postings.min_items(Some(2)).max_items(Some(POSTINGS_MAX)),
        ),
        may(
            "template",
            text("Instead of accounts and sides: the name of a posting template.").pattern(Some(NAME)),
        ),
        may(
            "accounts",
            by_name(
                account_id(),
                "Whose account stands for which role of the template; the chart of accounts says it for the others. At least one.",
            ),
        ),
        may(
            "amounts",
            by_name(
                bounded("In minor units.", (0, AMOUNT_MAX)),
                "What each parameter of the template is.",
            ),
        ),
        may("pending", flag("Only reserves; it is posted or voided later.")),
        may(
            "expires_at",
            time("When a reservation ends by itself; never when absent."),
        ),
        may(
            "post_pending",
            transfer_id("The pending transfer that is posted now."),
        ),
        may(
            "void_pending",
            transfer_id("The pending transfer that is let go."),
        ),
        may("linked", flag("It happens only together with the next one.")),
        may(
            "effective_date",
            day("The day on which it counts; today (UTC) when absent. Neither to come nor closed."),
        ),
        may("description", bounded_text("What it is.", (0, TEXT_BYTES_MAX))),
        may(
            "exchange_rate",
            text("At which rate an amount in another currency became this one: a positive decimal.")
                .pattern(Some(r"^[0-9]*\.?[0-9]+$")),
        ),
        may("metadata", metadata()),
    ]);
    strict([
        may(
            "atomic",
            flag("All are recorded together or none is; `false` when absent."),
        ),
        may("dry_run", flag("Only says what would become of them.")),
        must(
            "transfers",
            array(transfer, "In this order; each sees what those before it left.")
                .min_items(Some(1))
                .max_items(Some(TRANSFERS_MAX)),
        ),
    ])
}

const ID_OTHER: &str = "123e4567-e89b-12d3-a456-426614174001";

fn examples() -> [(&'static str, Value); 7] {
    let pair =
        |id: &str| json!({"id": id, "debit_account": BANK, "credit_account": CUSTOMER, "amount": 10_000});
    let with = |id: &str, also: Value| {
        let mut transfer = pair(id);
        for (name, value) in also.as_object().into_iter().flatten() {
            transfer[name] = value.clone();
        }
        transfer
    };
    let postings = json!([
        {"account": BANK, "side": "debit", "amount": 9_700},
        {"account": "processing_fees:USD", "side": "debit", "amount": 300},
        {"account": CUSTOMER, "side": "credit", "amount": 10_000},
    ]);
    let noted = json!({
        "effective_date": "2026-11-20", "description": "Paid in.", "exchange_rate": "1.0", "metadata": {"order_id": "xyz"},
    });
    let reserved = json!({"pending": true, "expires_at": 1_798_761_600});
    let posted = json!({"id": ID_OTHER, "post_pending": ID, "amount": 6_000});
    [
        (
            "From one account to another",
            json!({"transfers": [with(ID, noted)]}),
        ),
        ("Reserve", json!({"transfers": [with(ID, reserved)]})),
        ("Post a part of it", json!({"transfers": [posted]})),
        (
            "All or nothing",
            json!({"atomic": true, "transfers": [pair(ID), pair(ID_OTHER)]}),
        ),
        ("Only ask", json!({"dry_run": true, "transfers": [pair(ID)]})),
        (
            "Among several",
            json!({"transfers": [{"id": ID, "postings": postings}]}),
        ),
        (
            "By a template",
            json!({"transfers": [{
                "id": ID, "template": "payment_with_fee", "accounts": {"customer": BANK, "merchant_receivable": CUSTOMER},
                "amounts": {"gross": 10_000, "fee": 300},
            }]}),
        ),
    ]
}

/// An answer in which one of three was refused for this reason.
pub(super) fn transfers_example(code: &str, message: &str) -> Value {
    let existed = json!({"index": 1, "id": ID_OTHER, "status": "existed", "seq": 8});
    let refused = json!({
        "index": 2, "id": "123e4567-e89b-12d3-a456-426614174002", "status": "refused", "code": code, "message": message,
    });
    json!({
        "object": "transfers", "dry_run": false, "seq": 9, "recorded": 1, "existed": 1, "refused": 1,
        "exceptions": [existed, refused],
    })
}

pub(crate) fn described() -> Endpoint {
    let example = transfers_example("insufficient_funds", "Insufficient funds");
    Endpoint::order("/v1/ledger/transfers", Access::Operators)
        .called(
            "createTransfers",
            "Make transfers",
            "1 to 8,190 of them, in one commit. Each is made at most once for its id: the same again is `existed`, and other content under a used id is \
             refused. A request of one transfer, or an atomic one, is refused as a whole with the status of its first refusal; otherwise the answer is 200 \
             and `exceptions` has what was not recorded.",
        )
        .in_chapter(chapter::LEDGER)
        .takes(shape(), &examples())
        .answers(200, "What became of them; what is recorded is durable.", named("Transfers"), example)
        .refuses(
            400,
            &[
                Code::ParameterInvalidInteger,
                Code::CardNumberMisplaced,
                Code::AmountTooLarge,
                Code::AmountTooSmall,
                Code::TransferUnbalanced,
                Code::TransferTooFewPostings,
                Code::TransferMixedCurrencies,
                Code::TransferMixedModes,
                Code::TransferSameAccount,
                Code::EffectiveInFuture,
                Code::LinkedChainOpen,
                Code::TransferCrossesShards,
            ],
        )
        .refuses(404, &[Code::AccountUnknown, Code::PendingTransferMissing])
        .refuses(
            409,
            &[
                Code::TransferIdReused,
                Code::TransferGivenUp,
                Code::FraudCheckRefused,
                Code::PendingTransferExpired,
                Code::AmountExceedsPending,
                Code::InsufficientFunds,
                Code::PayoutExceedsOwed,
                Code::AccountLimitExceeded,
                Code::PeriodClosed,
                Code::LinkedTransferFailed,
                Code::BalanceOverflow,
            ],
        )
}
