//! `GET /v1/payment_intents/{id}`.

use super::answer::{self, Told};
use super::expand::Kind;
use super::request::{asked, found, intent_id};
use crate::state::State;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> HttpResponse {
    let told = get(&state, &request).await;
    answer::finished(&state, &request, told)
}

async fn get(state: &State, request: &HttpRequest) -> Told {
    let (owner, mut params) = asked(state, request)?;
    let expand = params.expand(Kind::PaymentIntent, false)?;
    params.finish()?;
    let row = found(state, owner, intent_id(request)?, "payment_intent").await?;
    answer::object(&answer::intent_of(state, &row.payment, &expand))
}
