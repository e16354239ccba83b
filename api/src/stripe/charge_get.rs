//! `GET /v1/charges/{id}`.

use super::answer::{self, Told, missing};
use super::expand::Kind;
use super::request::{asked, charge_id, found};
use crate::state::State;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> HttpResponse {
    let told = get(&state, &request).await;
    answer::finished(&state, &request, told)
}

async fn get(state: &State, request: &HttpRequest) -> Told {
    let (owner, mut params) = asked(state, request)?;
    let expand = params.expand(Kind::Charge, false)?;
    params.finish()?;
    let row = found(state, owner, charge_id(request)?, "charge").await?;
    let charge = answer::charge_of(state, &row.payment, &expand);
    answer::object(&charge.ok_or_else(|| missing("charge"))?)
}
