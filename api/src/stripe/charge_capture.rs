//! `POST /v1/charges/{id}/capture`: all of it or a part, and what is not captured is released.

use super::answer::{self, Told};
use super::expand::Kind;
use super::payment_intent_capture::{HARMLESS, UNSUPPORTED, beyond, part};
use super::request::{Posted, charge_id};
use crate::state::State;
use crate::v1::payment_request as native;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use florin_actors::payments_handle::Change;

pub(crate) async fn handle(state: Data<State>, request: HttpRequest, payload: Payload) -> HttpResponse {
    let told = capture(&state, &request, payload).await;
    answer::finished(&state, &request, told)
}

async fn capture(state: &State, request: &HttpRequest, payload: Payload) -> Told {
    let mut posted = Posted::read(state, request, payload, Kind::Charge).await?;
    posted.caller.may_take_money()?;
    let id = charge_id(request)?;
    let params = &mut posted.params;
    params.unsupported(&UNSUPPORTED)?;
    params.harmless(&HARMLESS);
    let amount = part(params.number("amount")?.map(native::amount), "amount")?;
    std::mem::take(params).finish()?;
    let path = format!("/v1/charges/{id}/capture");
    let change = Change::Capture {
        amount,
        is_final: true,
    };
    let answered = posted.change(state, &path, id, change).await;
    answer::charged(
        state,
        &answered.map_err(|refused| beyond(refused, "amount"))?,
        &posted.expand,
    )
}
