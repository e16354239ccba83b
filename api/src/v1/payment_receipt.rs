//! `GET /v1/payments/{id}/receipt`: what a payment is and where its last record is, signed with the node's key. It reads that record's
//! hash and nothing else of the journal; that the record is in the tree of a signed head is shown by `florin audit receipt`.

use super::payment_get::{id, past};
use crate::auth::{Caller, Who};
use crate::errors::{ApiError, Code};
use crate::openapi::{
    Access, Endpoint, PAYMENT_ID, bounded, chapter, count, flag, id as an_id, must, named, record, text, word,
};
use crate::query;
use crate::reply::{Reply, json};
use crate::state::State;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use florin_domain::ports::{Receipt, ReceiptSignature};
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt::Write;
use utoipa::openapi::schema::ObjectBuilder;

/// The receipt as the command writes it, without the inclusion.
#[derive(Debug, Serialize)]
struct ReceiptBody {
    object: &'static str,
    version: u8,
    public_key: String,
    payment: String,
    merchant: String,
    livemode: bool,
    status: &'static str,
    currency: &'static str,
    amount_minor: u64,
    captured_minor: u64,
    refunded_minor: u64,
    shard: u16,
    seq: u64,
    record_hash: String,
    issued_at_ms: u64,
    signature: String,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes every text");
        text
    })
}

impl ReceiptBody {
    fn of(receipt: &Receipt, signed: &ReceiptSignature) -> Self {
        Self {
            object: "florin.receipt",
            version: 1,
            public_key: hex(&signed.public_key),
            payment: receipt.payment.to_string(),
            merchant: receipt.merchant.to_string(),
            livemode: receipt.livemode,
            status: receipt.status,
            currency: receipt.currency.code(),
            amount_minor: receipt.amount_minor,
            captured_minor: receipt.captured_minor,
            refunded_minor: receipt.refunded_minor,
            shard: receipt.shard.0,
            seq: receipt.seq.0,
            record_hash: hex(&receipt.record_hash),
            issued_at_ms: receipt.issued_at.unix_ms(),
            signature: hex(&signed.signature),
        }
    }
}

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> Reply {
    Reply(receipt(&state, &request).await)
}

async fn receipt(state: &State, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    let caller = Caller::of(state, request)?;
    let owner = match caller.who()? {
        Who::Merchant(merchant, livemode) => Some((merchant.id, livemode)),
        Who::Operator => None,
    };
    query::none(request)?;
    let found = state.payments.with_record_hash(owner, id(request)?);
    let recorded = found.await.map_err(past)?;
    let recorded = recorded.ok_or(ApiError::NoSuchObject { kind: "payment" })?;
    let payment = &recorded.row.payment;
    let minor = |amount_minor: i128| u64::try_from(amount_minor).map_err(|_| ApiError::Internal);
    let receipt = Receipt {
        payment: payment.id(),
        merchant: payment.spec.merchant,
        livemode: payment.spec.livemode,
        status: payment.status.as_str(),
        currency: payment.spec.currency,
        amount_minor: minor(payment.amount_minor())?,
        captured_minor: minor(payment.captured.minor())?,
        refunded_minor: minor(payment.refunded.minor())?,
        shard: recorded.shard,
        seq: recorded.row.seq,
        record_hash: recorded.record_hash,
        issued_at: recorded.issued_at,
    };
    let signed = state.receipts.sign_receipt(&receipt);
    json(StatusCode::OK, &ReceiptBody::of(&receipt, &signed))
}

fn digits(description: &str, bytes: usize) -> ObjectBuilder {
    text(description).pattern(Some(format!("^[0-9a-f]{{{}}}$", 2 * bytes)))
}

fn shape() -> ObjectBuilder {
    let minor = |description: &str| count(&format!("{description} In minor units."));
    record([
        must("object", word("What it is.", ["florin.receipt"])),
        must("version", bounded("Of this form.", (1, 1))),
        must(
            "public_key",
            digits("Of the node, as `florin audit key` prints it: compare it.", 32),
        ),
        must("payment", an_id("The payment.", "pay_")),
        must("merchant", an_id("Whose it is.", "mer_")),
        must("livemode", flag("Whether its money is real.")),
        must("status", text("How it stands.")),
        must("currency", named("Currency")),
        must("amount_minor", minor("What was asked for.")),
        must("captured_minor", minor("What was captured.")),
        must("refunded_minor", minor("What was given back.")),
        must("shard", count("The journal.")),
        must("seq", count("The payment's last record in it.")),
        must("record_hash", digits("That record's hash in the chain.", 32)),
        must("issued_at_ms", count("When this was said, in milliseconds.")),
        must("signature", digits("Ed25519, over everything above.", 64)),
    ])
}

fn example() -> Value {
    json!({
        "object": "florin.receipt", "version": 1, "public_key": "d75a980182b10ab7".repeat(4), "payment": PAYMENT_ID,
        "merchant": "mer_01m7y92a930001k836eeyy2z3p", "livemode": false, "status": "succeeded", "currency": "USD",
        "amount_minor": 10_000, "captured_minor": 10_000, "refunded_minor": 0, "shard": 0, "seq": 6,
        "record_hash": "5d41402abc4b2a76".repeat(4), "issued_at_ms": 1_795_238_734_512_u64, "signature": "e5564300c360ac72".repeat(8),
    })
}

pub(crate) fn described() -> Endpoint {
    Endpoint::get("/v1/payments/{id}/receipt", Access::KeyHolders)
        .called(
            "getPaymentReceipt",
            "Get a signed receipt",
            "What the payment is now and where it is recorded, signed by the node; nothing about the customer. Merchants get those of their own \
             payments. `docs/audit.md` says how somebody without Florin checks it, and how to get a proof that the record is in the journal.",
        )
        .in_chapter(chapter::PAYMENTS)
        .path_part("id", an_id("The payment.", "pay_"), PAYMENT_ID)
        .answers(200, "The receipt.", shape(), example())
        .refuses(404, &[Code::ResourceMissing])
        .refuses(503, &[Code::Overloaded])
}
