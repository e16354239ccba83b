//! `GET /v1/events/stream`: announcements to a merchant as they are recorded, as server-sent events. Each carries its id, and whoever
//! comes back with the last one misses nothing and is told nothing twice: the stream is read from the index, in the order of the journal.
//!
//! The stream asks the index again after a short pause, so it keeps nothing for a client that does not read, and costs nothing to
//! those who make payments.

use super::event_body::{EventBody, types};
use super::event_list::refused;
use super::paged_body::{PagedBody, Pages, Read};
use crate::auth::Caller;
use crate::errors::{ApiError, Code};
use crate::openapi::{Access, Endpoint, chapter, id, text};
use crate::query;
use crate::reply::{Reply, body};
use crate::state::State;
use crate::streams::{NoPlace, StreamPlace};
use actix_web::http::Method;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use florin_actors::payments_handle::{Cursor, EventsError, PastError, PaymentsHandle};
use florin_domain::announcement::EventPlace;
use florin_domain::ids::{EventId, MerchantId};
use florin_domain::ports::{EventsQuery, ListOrder, Ownership, ViewError};
use serde_json::Value;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use thiserror::Error;

/// What a client sends that lost the connection.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Events that are read at once.
const PAGE: usize = 100;
/// How long a stream rests that has nothing to tell.
const PAUSE: Duration = Duration::from_millis(200);
/// Rests after which a stream says that it is still there; proxies close what is silent for longer.
const PAUSES_SILENT_MAX: u32 = 50;
/// Said first: a client that lost the connection comes back after a second.
const GREETING: &str = "retry: 1000\n\n";

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> Reply {
    Reply(stream(&state, &request).await)
}

async fn stream(state: &State, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    let caller = Caller::of(state, request)?;
    let (merchant, livemode) = caller.merchant()?;
    let owner = (merchant.id, livemode);
    let (kinds, after) = query::streamed_events(request)?;
    let last = request.headers().get(LAST_EVENT_ID);
    // The header is newer than the address, which a browser does not change when it comes back.
    let after = match last.map(|last| last.to_str().ok().and_then(|id| EventId::parse(id).ok())) {
        None => after.map(|after| ("after", after)),
        Some(Some(last)) => Some(("Last-Event-ID", last)),
        Some(None) => return Err(query::no_entry("Last-Event-ID").into()),
    };
    let from = begin(&state.payments, owner, after).await?;
    let mut response = HttpResponse::Ok();
    response
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header((CACHE_CONTROL, "no-store"));
    if request.method() == Method::HEAD {
        return Ok(response.finish());
    }
    let place = state.streams.open(owner).map_err(|why| match why {
        NoPlace::InAll => ApiError::Overloaded { retry_after_s: 5 },
        NoPlace::OfOwner => ApiError::TooManyStreams { retry_after_s: 5 },
    })?;
    let query = EventsQuery {
        kinds,
        order: ListOrder::OldestFirst,
        ..EventsQuery::newest(owner.0, owner.1, PAGE)
    };
    let pages = Streamed {
        payments: state.payments.clone(),
        query: match from {
            None => query,
            Some(from) => query.newer_than(from),
        },
        is_greeted: false,
        is_closing: Arc::clone(&state.is_closing),
        ownership: Arc::clone(&state.ownership),
        _place: place,
    };
    Ok(response.body(
        PagedBody::begin(pages, &state.ownership)
            .await
            .map_err(|error| match error {
                Broken::View(error) => error.into(),
                Broken::Past(error) => super::payment_get::past(error),
                Broken::Unwritten => ApiError::Internal,
            })?,
    ))
}

/// Behind what a stream begins: the event that is named, or the newest one there is.
async fn begin(
    payments: &PaymentsHandle,
    owner: (MerchantId, bool),
    after: Option<(&'static str, EventId)>,
) -> Result<Option<EventPlace>, ApiError> {
    let Some((name, id)) = after else {
        let newest = EventsQuery::newest(owner.0, owner.1, 1);
        let newest = payments.events(newest).await.map_err(refused)?;
        return Ok(newest.events.first().map(|event| event.row.place));
    };
    match payments.event_cursor(owner, (Cursor::StartingAfter, id)).await {
        Ok(place) => Ok(Some(place)),
        Err(EventsError::List(florin_actors::payments_handle::ListError::NoSuchCursor(_))) => {
            Err(query::no_entry(name).into())
        }
        Err(error) => Err(refused(error)),
    }
}

/// Why a stream ends early. The client comes back and goes on where it was.
#[derive(Debug, Error)]
enum Broken {
    #[error(transparent)]
    View(#[from] ViewError),
    #[error(transparent)]
    Past(#[from] PastError),
    #[error("an event could not be written")]
    Unwritten,
}

/// What is left of a stream: everything that is still to happen.
struct Streamed {
    payments: PaymentsHandle,
    query: EventsQuery,
    is_greeted: bool,
    is_closing: Arc<AtomicBool>,
    ownership: Arc<dyn Ownership>,
    _place: StreamPlace,
}

impl Pages for Streamed {
    const WHAT: &'static str = "events";

    type Error = Broken;

    fn next(self) -> Pin<Box<dyn Future<Output = Read<Self>>>> {
        Box::pin(self.read())
    }
}

impl Streamed {
    async fn read(mut self) -> Read<Self> {
        if !self.is_greeted {
            self.is_greeted = true;
            return (Some(self), Ok(Bytes::from_static(GREETING.as_bytes())));
        }
        for _ in 0..PAUSES_SILENT_MAX {
            // Whoever has the shards now tells what is still to happen: the client comes back and finds it.
            if self.is_closing.load(Ordering::Relaxed) || !self.ownership.is_ours() {
                return (None, Ok(Bytes::new()));
            }
            match self.page().await {
                Ok(text) if text.is_empty() => tokio::time::sleep(PAUSE).await,
                Ok(text) => return (Some(self), Ok(text.into())),
                Err(error) => return (None, Err(error)),
            }
        }
        (Some(self), Ok(Bytes::from_static(b": nothing new\n\n")))
    }

    /// What has happened since the last page; nothing also while the view has too much to do.
    async fn page(&mut self) -> Result<Vec<u8>, Broken> {
        let page = match self.payments.event_stretch(&self.query).await {
            Err(ViewError::Busy) => return Ok(Vec::new()),
            answer => answer?,
        };
        let shard = self.query.merchant.shard();
        let mut text = Vec::new();
        for event in self.payments.shown(shard, &page.rows).await? {
            let head = format!("id: {}\nevent: {}\ndata: ", event.id, event.row.kind.native());
            text.extend_from_slice(head.as_bytes());
            text.extend(body(&EventBody::of(&event)).map_err(|_| Broken::Unwritten)?);
            text.extend_from_slice(b"\n\n");
        }
        if let Some(place) = page.last {
            self.query = self.query.clone().newer_than(place);
        }
        Ok(text)
    }
}

pub(crate) fn described() -> Endpoint {
    Endpoint::get("/v1/events/stream", Access::Merchants)
        .called(
            "streamEvents",
            "Follow events as they happen",
            "Server-sent events: `id`, `event` (the type) and `data` (the event in one line). A client that comes back with the last id, in `after` or \
             in the header `Last-Event-ID` as browsers do, is told what it missed, each event once and in order. Without either the stream begins now. \
             Nothing is kept for a client that reads slowly; it is told later.",
        )
        .in_chapter(chapter::PAYMENTS)
        .query("type", types())
        .query("after", id("Only events newer than this one.", "evt_"))
        .may_have_header(
            "Last-Event-ID",
            id("The same; where both are there, this one counts.", "evt_"),
            super::event_body::EVENT_ID,
        )
        .answers_as(
            "text/event-stream",
            200,
            "The stream. It ends when the server stops, or another one may have taken its place.",
            text("Server-sent events."),
            Value::Null,
        )
        .refuses(503, &[Code::Overloaded, Code::TemporarilyUnavailable])
}
