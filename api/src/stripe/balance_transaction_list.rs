//! `GET /v1/balance_transactions`: what moved what the merchant is owed, newest first, page by page in both directions.

use super::answer::{self, Refused, Told};
use super::balance_transaction_get::found;
use super::body::moved;
use super::ids;
use super::params::Params;
use super::request::asked;
use crate::errors::{ApiError, Code, Invalid};
use crate::query;
use crate::state::State;
use crate::v1::list::List;
use crate::v1::payment_list;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use florin_domain::ids::MerchantId;
use florin_domain::money::Currency;
use florin_domain::ports::{
    ListOrder, MovedBy, MovedEntry, MovedKind, MovedPlace, MovedQuery, PaymentRow, entries_of,
};
use serde_json::Value;

pub(crate) const PATH: &str = "/v1/balance_transactions";

const CHARGE: &str = "charge";
const REFUND: &str = "refund";
/// What Stripe lets be asked for. All but the first two never move anything here.
pub(crate) const TYPES: [&str; 52] = [
    CHARGE,
    REFUND,
    "adjustment",
    "advance",
    "advance_funding",
    "anticipation_repayment",
    "application_fee",
    "application_fee_refund",
    "climate_order_purchase",
    "climate_order_refund",
    "connect_collection_transfer",
    "contribution",
    "fee_credit_funding",
    "inbound_transfer",
    "inbound_transfer_reversal",
    "issuing_authorization_hold",
    "issuing_authorization_release",
    "issuing_dispute",
    "issuing_dispute_provisional_credit",
    "issuing_dispute_provisional_credit_reversal",
    "issuing_transaction",
    "obligation_outbound",
    "obligation_reversal_inbound",
    "payment",
    "payment_failure_refund",
    "payment_network_reserve_hold",
    "payment_network_reserve_release",
    "payment_refund",
    "payment_reversal",
    "payment_unreconciled",
    "payout",
    "payout_cancel",
    "payout_failure",
    "payout_minimum_balance_hold",
    "payout_minimum_balance_release",
    "refund_failure",
    "reserve_hold",
    "reserve_release",
    "reserve_transaction",
    "reserved_funds",
    "stripe_balance_payment_debit",
    "stripe_balance_payment_debit_reversal",
    "stripe_fee",
    "stripe_fx_fee",
    "tax_fee",
    "tax_fund",
    "topup",
    "topup_reversal",
    "transfer",
    "transfer_cancel",
    "transfer_failure",
    "transfer_refund",
];

type Owner = (MerchantId, bool);
type Page = (Vec<(MovedEntry, PaymentRow)>, bool);

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> HttpResponse {
    let told = list(&state, &request).await;
    answer::finished(&state, &request, told)
}

/// What is asked for.
struct Asked {
    query: MovedQuery,
    /// A charge or a refund.
    source: Option<String>,
    /// Whatever is there, it is none of that: of a type, or in a payout, that is not here.
    is_nothing: bool,
    starting_after: Option<String>,
    ending_before: Option<String>,
}

async fn list(state: &State, request: &HttpRequest) -> Told {
    let (owner, params) = asked(state, request)?;
    let asked = read(params, owner)?;
    let (rows, has_more) = page(state, owner, asked).await?;
    let data: Vec<Value> = rows
        .iter()
        .map(|(entry, row)| moved(&row.payment, entry))
        .collect();
    let list = List::new(PATH, data, has_more);
    answer::object(&serde_json::to_value(list).unwrap_or_default())
}

fn read(mut params: Params, (merchant, livemode): Owner) -> Result<Asked, Invalid> {
    let kind = params.word("type", &TYPES)?;
    let source = params.text("source")?;
    let is_paid_out = params.text("payout")?.is_some();
    let limit = params.limit()?;
    let mut query = MovedQuery::newest(merchant, livemode, limit);
    query.currency = currency(&mut params)?;
    query.kind = match kind {
        Some(CHARGE) => Some(MovedKind::Charge),
        Some(REFUND) => Some(MovedKind::Refund),
        Some(_) | None => None,
    };
    let is_nothing = is_paid_out || (kind.is_some() && query.kind.is_none());
    if let Some(seconds) = params.created()? {
        query = query.within_s(&seconds);
    }
    let (starting_after, ending_before) = params.cursors()?;
    params.finish()?;
    Ok(Asked {
        query,
        source,
        is_nothing,
        starting_after,
        ending_before,
    })
}

fn currency(params: &mut Params) -> Result<Option<Currency>, Invalid> {
    let Some(code) = params.text("currency")? else {
        return Ok(None);
    };
    let read = Currency::parse(&code).map(Some);
    read.map_err(|error| {
        Invalid::new(
            "currency",
            Code::ParameterInvalid,
            format!("`currency`: {error}."),
        )
    })
}

async fn page(state: &State, owner: Owner, asked: Asked) -> Result<Page, Refused> {
    let mut query = asked.query;
    if let Some(id) = &asked.starting_after {
        query = query.older_than(place(state, owner, ("starting_after", id)).await?);
    }
    if let Some(id) = &asked.ending_before {
        query = query.newer_than(place(state, owner, ("ending_before", id)).await?);
    }
    if asked.is_nothing {
        return Ok((Vec::new(), false));
    }
    if let Some(source) = &asked.source {
        return Ok(of_source(state, &query, source).await?);
    }
    let list = state.payments.moved(query).await.map_err(payment_list::refused)?;
    Ok((list.rows, list.has_more))
}

/// Where the entry is that a cursor names.
async fn place(state: &State, owner: Owner, (name, id): (&str, &str)) -> Result<MovedPlace, Refused> {
    let found = found(state, owner, id).await?;
    let (entry, _) = found.ok_or_else(|| query::no_entry(name))?;
    Ok(entry.row.place)
}

/// What a charge or a refund has moved, as a page: a charge has as many entries as captures.
async fn of_source(state: &State, query: &MovedQuery, source: &str) -> Result<Page, ApiError> {
    let owner = (query.merchant, query.livemode);
    let (row, refund) = match (ids::charge(source), ids::refund(source)) {
        (Some(payment), _) => (state.payments.get(owner, payment).await?, None),
        (None, Some(refund)) => (
            state.payments.payment_of_refund(owner, refund).await?,
            Some(refund),
        ),
        (None, None) => (None, None),
    };
    let Some(row) = row else {
        return Ok((Vec::new(), false));
    };
    let is_meant = |entry: &MovedEntry| {
        let is_source = match refund {
            Some(id) => entry.row.by == MovedBy::Refund(id),
            None => entry.row.by.kind() == MovedKind::Charge,
        };
        is_source && query.places.contains(&entry.row.place) && query.takes(&entry.row)
    };
    let mut entries: Vec<MovedEntry> = entries_of(&row.payment).filter(is_meant).collect();
    entries.sort_unstable_by_key(|entry| entry.row.place);
    if query.order == ListOrder::NewestFirst {
        entries.reverse();
    }
    let has_more = entries.len() > query.limit;
    entries.truncate(query.limit);
    if query.order == ListOrder::OldestFirst {
        entries.reverse();
    }
    let entries = entries.into_iter().map(|entry| (entry, row.clone()));
    Ok((entries.collect(), has_more))
}
