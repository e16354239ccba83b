//! `POST /v1/webhook_endpoints/{id}/resend`: events are sent to an endpoint once more.

use crate::errors::{ApiError, Code, Invalid};
use crate::openapi::{Access, Endpoint, id, may, strict};
use crate::reply::Reply;
use crate::state::State;
use crate::stripe::params::Params;
use crate::stripe::tree::Fields;
use crate::vault::read;
use crate::webhook_endpoints::{
    Secret, changed, endpoint_example, endpoint_in, endpoint_shape, event_id, keyed, named, no_event,
};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use florin_domain::announcement::EventPlace;
use florin_domain::ids::EventId;
use florin_domain::vault::Owner;
use florin_domain::webhook::{EndpointChange, Replay};
use serde_json::json as example;

pub(crate) async fn handle(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    Reply(resend(&state, &request, payload).await)
}

async fn resend(state: &State, request: &HttpRequest, payload: Payload) -> Result<HttpResponse, ApiError> {
    let asked = read(state, request, payload).await?;
    let endpoint = endpoint_in(request)?;
    let (fields, (owner, once)) = asked.into_parts();
    let (from, to) = match named_events(fields)? {
        Named::One(id) => {
            let place = place(state, owner, ("event", id)).await?;
            (place, place)
        }
        Named::Stretch(from, to) => {
            let from = match from {
                Some(id) => place(state, owner, ("from", id)).await?,
                None => EventPlace::START,
            };
            let to = match to {
                Some(id) => place(state, owner, ("to", id)).await?,
                None => state.webhooks.end(owner.merchant).await?,
            };
            (from, to)
        }
    };
    if to < from {
        let message = "`to` comes before `from`.";
        return Err(Invalid::new("to", Code::ParameterInvalid, message).into());
    }
    let asked_at = state.ledger.now();
    let change = EndpointChange::Replay(endpoint, Replay { asked_at, from, to });
    let made = state.webhooks.change(owner, change, once).await?;
    changed(&made, Secret::Kept)
}

/// Which events are sent again.
#[derive(Debug, PartialEq, Eq)]
enum Named {
    One(EventId),
    Stretch(Option<EventId>, Option<EventId>),
}

fn named_events(fields: Fields) -> Result<Named, Invalid> {
    let mut params = Params::new(fields);
    let event = event_id(&mut params, "event")?;
    let (from, to) = (event_id(&mut params, "from")?, event_id(&mut params, "to")?);
    params.finish()?;
    match (event, from.is_some() || to.is_some()) {
        (Some(id), false) => Ok(Named::One(id)),
        (None, true) => Ok(Named::Stretch(from, to)),
        (Some(_), true) => {
            let message = "`event` excludes `from` and `to`.";
            Err(Invalid::new("event", Code::ParameterInvalid, message))
        }
        (None, false) => {
            let message = "`event` is required, or `from`, or `to`, or both of these.";
            Err(Invalid::new("event", Code::ParameterMissing, message))
        }
    }
}

async fn place(state: &State, owner: Owner, (name, id): (&str, EventId)) -> Result<EventPlace, ApiError> {
    let row = state
        .payments
        .event_place((owner.merchant, owner.livemode), id)
        .await?;
    row.map(|row| row.place).ok_or_else(|| no_event(name).into())
}

pub(crate) fn described() -> Endpoint {
    let event = |about| id(about, "evt_");
    let fields = [
        may("event", event("This event alone.")),
        may(
            "from",
            event("From this event on; from the first one if it is left out."),
        ),
        may(
            "to",
            event("Up to this event; up to the newest one if it is left out."),
        ),
    ];
    let stretch = example!({"from": "evt_01m7y92abt0000000000000g01"});
    let path = "/v1/webhook_endpoints/{id}/resend";
    named(keyed(Endpoint::order(path, Access::Merchants)))
        .called(
            "resendToWebhookEndpoint",
            "Send events again",
            "Either `event`, or `from` and `to`, of which one may be left out. Those that the endpoint wants are sent once more, with the ids that they \
             had, beside what is new. The answer comes when that is taken on; the endpoint's deliveries show how it goes.",
        )
        .takes(strict(fields), &[("Everything since an event", stretch)])
        .answers(200, "The endpoint.", endpoint_shape(), endpoint_example(false))
        .refuses(409, &[Code::WebhookEndpointDisabled, Code::WebhookResendsFull])
}
