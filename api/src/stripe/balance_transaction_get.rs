//! `GET /v1/balance_transactions/{id}`: what a charge or a refund did to what the merchant is owed.

use super::answer::{self, Told, missing};
use super::expand::{Expand, Kind};
use super::ids;
use super::request::asked;
use crate::errors::ApiError;
use crate::state::State;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use florin_domain::ids::{MerchantId, OperationId, RefundId};
use florin_domain::payment::Payment;
use serde_json::Value;

const KIND: &str = "balance_transaction";

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> HttpResponse {
    let told = get(&state, &request).await;
    answer::finished(&state, &request, told)
}

async fn get(state: &State, request: &HttpRequest) -> Told {
    let (owner, params) = asked(state, request)?;
    params.finish()?;
    let id = request.match_info().get("id").and_then(ids::balance_transaction);
    let (payment, refund) = id.ok_or_else(|| missing(KIND))?;
    let charge = state.payments.get(owner, payment).await?;
    let found = match charge {
        Some(row) => of_charge(state, &row.payment)?,
        None => of_refund(state, owner, refund).await?,
    };
    answer::object(&found.ok_or_else(|| missing(KIND))?)
}

fn of_charge(state: &State, payment: &Payment) -> Result<Option<Value>, ApiError> {
    let shown = answer::charge_of(state, payment, &expanded(Kind::Charge)?);
    Ok(shown.and_then(moved))
}

async fn of_refund(
    state: &State,
    owner: (MerchantId, bool),
    refund: RefundId,
) -> Result<Option<Value>, ApiError> {
    let Some(row) = state.payments.payment_of_refund(owner, refund).await? else {
        return Ok(None);
    };
    let expand = expanded(Kind::Refund)?;
    let shown = answer::refund_of(state, &row.payment, OperationId::Refund(refund), &expand);
    Ok(shown.and_then(moved))
}

/// It shows what it moved as an object.
fn expanded(kind: Kind) -> Result<Expand, ApiError> {
    let mut expand = Expand::default();
    expand.add(kind, false, KIND).map_err(|_| ApiError::Internal)?;
    Ok(expand)
}

/// What an object moved; nothing if it has moved nothing yet.
fn moved(mut shown: Value) -> Option<Value> {
    Some(shown.get_mut(KIND)?.take()).filter(Value::is_object)
}
