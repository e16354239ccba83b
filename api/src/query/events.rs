//! The filters and cursors of what was announced.

use super::payments::{CREATED, range};
use super::{cursor, limit, pairs, value};
use crate::errors::{Code, Invalid};
use crate::openapi::{AMOUNT_MAX, Endpoint, bounded};
use actix_web::HttpRequest;
use florin_domain::announcement::AnnouncementKinds;
use florin_domain::ids::{EventId, MerchantId};
use florin_domain::ports::EventsQuery;

/// A page of events, and the events that it lies between.
#[derive(Debug)]
pub(crate) struct EventsAsked {
    pub(crate) query: EventsQuery,
    pub(crate) starting_after: Option<EventId>,
    pub(crate) ending_before: Option<EventId>,
}

/// Tells when something was made.
pub(crate) fn described_created(endpoint: Endpoint) -> Endpoint {
    CREATED.into_iter().fold(endpoint, |endpoint, name| {
        let description = "When it happened, in seconds since the Unix epoch.";
        endpoint.query(name, bounded(description, (0, AMOUNT_MAX)))
    })
}

/// A page of what was announced to a merchant.
pub(crate) fn listed_events(
    request: &HttpRequest,
    (merchant, livemode): (MerchantId, bool),
) -> Result<EventsAsked, Invalid> {
    let own = ["limit", "type", "starting_after", "ending_before"];
    let pairs = pairs(request, &[&own[..], &CREATED].concat())?;
    let asked = EventsAsked {
        query: EventsQuery {
            kinds: kinds(value(&pairs, "type"))?,
            created_s: range(&pairs, CREATED)?,
            ..EventsQuery::newest(merchant, livemode, limit(&pairs)?)
        },
        starting_after: event(&pairs, "starting_after")?,
        ending_before: event(&pairs, "ending_before")?,
    };
    if asked.starting_after.is_some() && asked.ending_before.is_some() {
        let message = "`starting_after` and `ending_before` exclude each other.";
        return Err(Invalid::new("ending_before", Code::ParameterInvalid, message));
    }
    Ok(asked)
}

/// What a stream is to tell, and behind which event it begins.
pub(crate) fn streamed_events(
    request: &HttpRequest,
) -> Result<(AnnouncementKinds, Option<EventId>), Invalid> {
    let pairs = pairs(request, &["type", "after"])?;
    Ok((kinds(value(&pairs, "type"))?, event(&pairs, "after")?))
}

fn event(pairs: &[(String, String)], name: &str) -> Result<Option<EventId>, Invalid> {
    cursor(pairs, name, |text| EventId::parse(text).ok())
}

fn kinds(words: Option<&str>) -> Result<AnnouncementKinds, Invalid> {
    let Some(words) = words else {
        return Ok(AnnouncementKinds::ALL);
    };
    words.split(',').try_fold(AnnouncementKinds::NONE, |kinds, word| {
        let refused = || {
            let shown: String = word.chars().take(100).collect();
            let message = format!("`type`: no event is of the type `{shown}`.");
            Invalid::new("type", Code::ParameterInvalid, message)
        };
        kinds.named(word).ok_or_else(refused)
    })
}
