//! `GET /v1/events/{id}`: one announcement.

use super::event_body::{EVENT_ID, EventBody, example, shape};
use super::payment_get::past;
use crate::auth::Caller;
use crate::errors::{ApiError, Code};
use crate::openapi::{Access, Endpoint, chapter, id as an_id};
use crate::query;
use crate::reply::{Reply, json};
use crate::state::State;
use crate::stripe::answer;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, Responder};
use florin_domain::ids::EventId;
use florin_domain::ports::ShownEvent;

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> HttpResponse {
    let event = get(&state, &request).await;
    if answer::is_asked_by_sdk(&request) {
        let told = event.and_then(|event| json(StatusCode::OK, &answer::event_of(&state, &event)));
        return answer::finished(&state, &request, told.map_err(Into::into));
    }
    let shown = event.and_then(|event| json(StatusCode::OK, &EventBody::of(&event)));
    Reply(shown).respond_to(&request)
}

async fn get(state: &State, request: &HttpRequest) -> Result<ShownEvent, ApiError> {
    let caller = Caller::of(state, request)?;
    let (merchant, livemode) = caller.merchant()?;
    query::none(request)?;
    let missing = || ApiError::NoSuchObject { kind: "event" };
    let id = request.match_info().get("id");
    let id = id.and_then(|id| EventId::parse(id).ok()).ok_or_else(missing)?;
    let event = state.payments.event((merchant.id, livemode), id).await;
    event.map_err(past)?.ok_or_else(missing)
}

pub(crate) fn described() -> Endpoint {
    Endpoint::get("/v1/events/{id}", Access::Merchants)
        .called(
            "getEvent",
            "Read an event",
            "What it shows never changes: the payment or the refund as it stood then. With a header `Stripe-Version` it has Stripe's shape.",
        )
        .in_chapter(chapter::PAYMENTS)
        .path_part("id", an_id("The event.", "evt_"), EVENT_ID)
        .answers(200, "The event.", shape(), example())
        .refuses(404, &[Code::ResourceMissing])
        .refuses(503, &[Code::Overloaded, Code::TemporarilyUnavailable])
}
