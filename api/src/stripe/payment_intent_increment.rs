//! `POST /v1/payment_intents/{id}/increment_authorization`.

use super::answer::{self, Told};
use super::expand::Kind;
use super::payment_intent_capture::{HARMLESS, UNSUPPORTED};
use super::request::{Posted, intent_id};
use crate::errors::Code;
use crate::state::State;
use crate::v1::payment_request as native;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use florin_actors::payments_handle::Change;

pub(crate) async fn handle(state: Data<State>, request: HttpRequest, payload: Payload) -> HttpResponse {
    let told = increment(&state, &request, payload).await;
    answer::finished(&state, &request, told)
}

async fn increment(state: &State, request: &HttpRequest, payload: Payload) -> Told {
    let mut posted = Posted::read(state, request, payload, Kind::PaymentIntent).await?;
    posted.caller.may_take_money()?;
    let id = intent_id(request)?;
    let params = &mut posted.params;
    params.unsupported(&UNSUPPORTED)?;
    // A payment has one description, from its beginning on.
    params.unsupported(&["description"])?;
    params.harmless(&HARMLESS);
    let total = params.number("amount")?;
    let total = total.ok_or_else(|| params.refused("amount", Code::ParameterMissing, "is required"))?;
    let total = native::amount(total)?;
    std::mem::take(params).finish()?;
    let path = format!("/v1/payment_intents/{id}/increment_authorization");
    let answered = posted
        .change(state, &path, id, Change::Increment { total })
        .await?;
    answer::intent(state, &answered, &posted.expand)
}
