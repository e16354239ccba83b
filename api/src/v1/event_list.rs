//! `GET /v1/events`: what was announced to a merchant, newest first, filtered and page by page.

use super::event_body::{EventBody, example, shape, types};
use super::list::List;
use super::payment_get::past;
use super::payment_list;
use crate::auth::Caller;
use crate::errors::{ApiError, Code, Invalid};
use crate::openapi::{Access, Endpoint, chapter, id, limit, list_example, page_of};
use crate::query;
use crate::reply::{Reply, json};
use crate::state::State;
use crate::stripe::answer;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, Responder};
use florin_actors::payments_handle::{Cursor, EventsError, EventsList, ListError};
use florin_domain::ports::ListOrder;

const PATH: &str = "/v1/events";

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> HttpResponse {
    let page = list(&state, &request).await;
    if answer::is_asked_by_sdk(&request) {
        let told = page.map(|page| {
            let data = page.events.iter().map(|event| answer::event_of(&state, event));
            List::new(PATH, data.collect(), page.has_more)
        });
        let told = told.and_then(|list| json(StatusCode::OK, &list));
        return answer::finished(&state, &request, told.map_err(Into::into));
    }
    let shown = page.and_then(|page| {
        let data = page.events.iter().map(EventBody::of).collect();
        json(StatusCode::OK, &List::new(PATH, data, page.has_more))
    });
    Reply(shown).respond_to(&request)
}

async fn list(state: &State, request: &HttpRequest) -> Result<EventsList, ApiError> {
    let caller = Caller::of(state, request)?;
    let (merchant, livemode) = caller.merchant()?;
    let owner = (merchant.id, livemode);
    let asked = query::listed_events(request, owner)?;
    let mut query = asked.query;
    if let Some(id) = asked.starting_after {
        let cursor = (Cursor::StartingAfter, id);
        query = query.older_than(
            state
                .payments
                .event_cursor(owner, cursor)
                .await
                .map_err(refused)?,
        );
    }
    if let Some(id) = asked.ending_before {
        let cursor = (Cursor::EndingBefore, id);
        query = query.newer_than(
            state
                .payments
                .event_cursor(owner, cursor)
                .await
                .map_err(refused)?,
        );
        query.order = ListOrder::OldestFirst;
    }
    state.payments.events(query).await.map_err(refused)
}

pub(super) fn refused(error: EventsError) -> ApiError {
    match error {
        EventsError::List(ListError::TooRare) => {
            let message = "None of ten million events matches; go on from a known event by `starting_after` or `ending_before`.";
            Invalid::new("type", Code::ParameterInvalid, message).into()
        }
        EventsError::List(error) => payment_list::refused(error),
        EventsError::Past(error) => past(error),
    }
}

pub(crate) fn described() -> Endpoint {
    query::described_created(Endpoint::get("/v1/events", Access::Merchants))
        .called(
            "listEvents",
            "List events",
            "What happened to your payments, newest first, in the order in which it was recorded. `starting_after` and `ending_before` exclude each \
             other. To miss nothing, keep the id of the last event that you have seen and ask for what follows it, with `ending_before` here or \
             with `after` of the stream. With a header `Stripe-Version`, as Stripe's SDKs send it, events have Stripe's shape and types.",
        )
        .in_chapter(chapter::PAYMENTS)
        .query("type", types())
        .query("limit", limit())
        .query("starting_after", id("Only events older than this one.", "evt_"))
        .query("ending_before", id("Only events newer than this one, and of them those right after it.", "evt_"))
        .answers(200, "A page.", page_of(shape()), list_example("/v1/events", &example()))
        .refuses(400, &[Code::ParameterInvalidInteger])
        .refuses(503, &[Code::Overloaded, Code::TemporarilyUnavailable])
}
