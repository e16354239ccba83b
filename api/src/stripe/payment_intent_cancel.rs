//! `POST /v1/payment_intents/{id}/cancel`.

use super::answer::{self, Told};
use super::expand::Kind;
use super::request::{Posted, intent_id};
use crate::state::State;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use florin_actors::payments_handle::Change;

pub(super) const REASONS: [&str; 4] = ["abandoned", "duplicate", "fraudulent", "requested_by_customer"];

pub(crate) async fn handle(state: Data<State>, request: HttpRequest, payload: Payload) -> HttpResponse {
    let told = cancel(&state, &request, payload).await;
    answer::finished(&state, &request, told)
}

async fn cancel(state: &State, request: &HttpRequest, payload: Payload) -> Told {
    let mut posted = Posted::read(state, request, payload, Kind::PaymentIntent).await?;
    let id = intent_id(request)?;
    // It is looked at and not kept; docs/stripe.md says so.
    posted.params.word("cancellation_reason", &REASONS)?;
    std::mem::take(&mut posted.params).finish()?;
    let path = format!("/v1/payment_intents/{id}/cancel");
    let answered = posted.change(state, &path, id, Change::Void).await?;
    answer::intent(state, &answered, &posted.expand)
}
