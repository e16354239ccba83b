//! `GET /v1/balance_transactions/{id}`: what a capture or a refund did to what the merchant is owed.

use super::answer::{self, Told, missing};
use super::body::moved;
use super::ids;
use super::request::asked;
use crate::errors::ApiError;
use crate::state::State;
use crate::v1::payment_list;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use florin_domain::ids::MerchantId;
use florin_domain::ports::{MovedBy, MovedEntry, PaymentRow, entries_of};

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> HttpResponse {
    let told = get(&state, &request).await;
    answer::finished(&state, &request, told)
}

async fn get(state: &State, request: &HttpRequest) -> Told {
    let (owner, params) = asked(state, request)?;
    params.finish()?;
    let id = request.match_info().get("id").unwrap_or_default();
    let found = found(state, owner, id).await?;
    let (entry, row) = found.ok_or_else(|| missing("balance_transaction"))?;
    answer::object(&moved(&row.payment, &entry))
}

/// The balance transaction that is called so, with its payment; nothing if nothing has moved yet.
pub(super) async fn found(
    state: &State,
    owner: (MerchantId, bool),
    id: &str,
) -> Result<Option<(MovedEntry, PaymentRow)>, ApiError> {
    let Some(payment) = ids::balance_transaction(id) else {
        return Ok(None);
    };
    if let Some(row) = state.payments.get(owner, payment).await? {
        let sale = entries_of(&row.payment).find(|entry| entry.row.by == MovedBy::Sale);
        return Ok(sale.map(|entry| (entry, row)));
    }
    let found = state.payments.moved_by(owner, payment.bits()).await;
    found.map_err(payment_list::refused)
}
