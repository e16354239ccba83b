//! `GET /v1/refunds/{id}`.

use super::answer::{self, Told, missing};
use super::expand::Kind;
use super::ids;
use super::request::asked;
use crate::state::State;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use florin_domain::ids::OperationId;

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> HttpResponse {
    let told = get(&state, &request).await;
    answer::finished(&state, &request, told)
}

async fn get(state: &State, request: &HttpRequest) -> Told {
    let (owner, mut params) = asked(state, request)?;
    let expand = params.expand(Kind::Refund, false)?;
    params.finish()?;
    let id = request.match_info().get("id").and_then(ids::refund);
    let id = id.ok_or_else(|| missing("refund"))?;
    let row = state.payments.payment_of_refund(owner, id).await?;
    let row = row.ok_or_else(|| missing("refund"))?;
    let refund = answer::refund_of(state, &row.payment, OperationId::Refund(id), &expand);
    answer::object(&refund.ok_or_else(|| missing("refund"))?)
}
