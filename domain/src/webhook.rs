//! Merchants' webhook endpoints: what they are, what may be changed of them, and what is known of each delivery. [`deliveries`] decides what is
//! sent next.

pub mod deliveries;
pub mod schedule;

use crate::announcement::{AnnouncementKind, AnnouncementKinds, EventPlace};
use crate::ids::{EndpointId, EventId, PaymentId};
use crate::time::Timestamp;
use crate::vault::Owner;
use std::fmt;
use std::sync::Arc;
use thiserror::Error;
use zeroize::Zeroizing;

/// Endpoints of one merchant in one mode, as Stripe has it.
pub const ENDPOINTS_MAX: usize = 16;
/// Bytes of an endpoint's address.
pub const URL_BYTES_MAX: usize = 2048;
/// Names of wanted events that one endpoint may have.
pub const WANTED_NAMES_MAX: usize = 64;
/// Deliveries that are kept of one endpoint, the newest.
pub const DELIVERIES_KEPT_MAX: usize = 1000;
/// Stretches that wait to be sent to one endpoint again.
pub const REPLAYS_MAX: usize = 8;

/// In which words an endpoint is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventShape {
    /// Florin's own.
    Native,
    /// Stripe's.
    Stripe,
}

impl EventShape {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Stripe => "stripe",
        }
    }

    /// The shape with this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Native, Self::Stripe]
            .into_iter()
            .find(|shape| shape.as_str() == name)
    }

    /// What an announcement is called in it.
    pub const fn name_of(self, kind: AnnouncementKind) -> &'static str {
        match self {
            Self::Native => kind.native(),
            Self::Stripe => kind.stripe(),
        }
    }
}

/// Why nothing is sent to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhyDisabled {
    /// Its merchant wants it so.
    Asked,
    /// It answered that it is gone for good (410).
    Gone,
    /// Nothing that was sent arrived for [`schedule::DISABLED_AFTER`].
    Failing,
}

impl WhyDisabled {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Asked, Self::Gone, Self::Failing];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }
}

/// Whether an endpoint is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointStatus {
    /// It is.
    Enabled,
    /// It is not.
    Disabled(WhyDisabled),
}

/// Which events an endpoint wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedEvents {
    /// As they were written.
    pub names: Vec<Arc<str>>,
    /// What the names mean.
    pub kinds: AnnouncementKinds,
}

impl WantedEvents {
    /// Reads names of either shape, beginnings of names followed by `.*`, and `*`.
    ///
    /// # Errors
    /// With the place of the first name that names nothing; with the number of names if there is none or they are too many.
    pub fn read(names: Vec<Arc<str>>) -> Result<Self, usize> {
        if names.is_empty() || names.len() > WANTED_NAMES_MAX {
            return Err(names.len());
        }
        let mut kinds = AnnouncementKinds::NONE;
        for (place, name) in names.iter().enumerate() {
            kinds = kinds.named(name).ok_or(place)?;
        }
        Ok(Self { names, kinds })
    }
}

/// A webhook endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its id; it is at home where its merchant is.
    pub id: EndpointId,
    /// Whose it is.
    pub owner: Owner,
    /// When it was made.
    pub created_at: Timestamp,
    /// Where it is.
    pub url: Arc<str>,
    /// What it wants.
    pub wanted: WantedEvents,
    /// In which words.
    pub shape: EventShape,
    /// Whether it is told.
    pub status: EndpointStatus,
    /// The merchant's words.
    pub description: Option<Arc<str>>,
    /// The merchant's own pairs.
    pub metadata: Vec<(Arc<str>, Arc<str>)>,
}

/// The written form of a signing secret, `whsec_...`. It never shows itself.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret(pub Zeroizing<String>);

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(***)")
    }
}

/// What an endpoint's deliveries are signed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSecrets {
    /// The one in force.
    pub current: SigningSecret,
    /// The one before it, which signs as well until then.
    pub previous: Option<(SigningSecret, Timestamp)>,
}

impl EndpointSecrets {
    /// Those that sign now, the one in force first.
    pub fn signing(&self, now: Timestamp) -> impl Iterator<Item = &SigningSecret> {
        let previous = self.previous.iter().filter(move |(_, until)| now < *until);
        std::iter::once(&self.current).chain(previous.map(|(secret, _)| secret))
    }
}

/// An endpoint with its secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptEndpoint {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Its secrets.
    pub secrets: EndpointSecrets,
}

/// What may be said of an endpoint, all of it or some.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointSaid {
    /// Another address.
    pub url: Option<Arc<str>>,
    /// Other events.
    pub wanted: Option<WantedEvents>,
    /// A description; nothing takes it away.
    pub description: Option<Option<Arc<str>>>,
    /// All of the merchant's own pairs, the old ones with the new ones.
    pub metadata: Option<Vec<(Arc<str>, Arc<str>)>>,
}

/// A change that a merchant wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointChange {
    /// A new endpoint, which is told of what is announced behind a place.
    Create {
        /// As it will be.
        endpoint: Endpoint,
        /// What signs.
        secret: SigningSecret,
        /// Behind which place.
        behind: EventPlace,
    },
    /// Something else is said of one.
    Say(EndpointId, EndpointSaid),
    /// One is told nothing more.
    Disable(EndpointId),
    /// One is told again: from where it stopped if it was failing, and else of what is announced behind a place.
    Enable(EndpointId, EventPlace),
    /// Another secret signs; the one before it as well, until then.
    Rotate {
        /// Of which endpoint.
        id: EndpointId,
        /// The new one.
        secret: SigningSecret,
        /// Until when the old one signs too.
        old_until: Timestamp,
    },
    /// One is forgotten, with all that is known of its deliveries.
    Delete(EndpointId),
    /// A stretch is to be sent to one again.
    Replay(EndpointId, Replay),
}

/// Why nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EndpointRefusal {
    /// There is no such endpoint.
    #[error("there is no such webhook endpoint")]
    NoSuchEndpoint,
    /// There are as many as there may be.
    #[error("a merchant has at most {ENDPOINTS_MAX} webhook endpoints in each mode")]
    TooManyEndpoints,
    /// As many stretches wait as may.
    #[error("at most {REPLAYS_MAX} stretches wait to be sent again")]
    TooManyReplays,
    /// Nothing is sent to one that is disabled.
    #[error("the webhook endpoint is disabled")]
    Disabled,
    /// The key was used for another request.
    #[error("the idempotency key was used with other parameters")]
    KeyMismatch,
    /// What the key made was deleted since.
    #[error("what was made under the idempotency key has been deleted")]
    Deleted,
}

/// A stretch of announcements that is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replay {
    /// When that was asked for.
    pub asked_at: Timestamp,
    /// The first place.
    pub from: EventPlace,
    /// The last place.
    pub to: EventPlace,
}

/// An object some of whose announcements did not arrive. Later ones wait behind the first of those.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parked {
    /// The number of the first one that did not arrive.
    pub next: u64,
    /// How often that one was sent in vain.
    pub attempts: u32,
    /// When it is sent again.
    pub due: Timestamp,
}

/// How long nothing has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failing {
    /// Since when.
    pub since: Timestamp,
    /// Deliveries in vain since then.
    pub in_a_row: u32,
}

/// How far an endpoint has been told, as it is kept. Going back to an earlier one only repeats deliveries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How often it has been enabled: what was noted of an earlier time says nothing of this one.
    pub generation: u64,
    /// Everything up to here was delivered or is parked.
    pub told: EventPlace,
    /// Objects that wait for another try.
    pub parked: Vec<(PaymentId, Parked)>,
    /// Set while nothing arrives.
    pub failing: Option<Failing>,
    /// What is to be sent again, the one under way first; its first place is where to go on.
    pub replays: Vec<Replay>,
}

/// What happened after progress was kept last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted {
    /// Of which endpoint.
    pub endpoint: EndpointId,
    /// Of which time; of another one than the present only `rows` are kept.
    pub generation: u64,
    /// Everything up to here was delivered or is parked.
    pub told: EventPlace,
    /// Objects that wait now, or no longer do.
    pub parked: Vec<(PaymentId, Option<Parked>)>,
    /// Set while nothing arrives.
    pub failing: Option<Failing>,
    /// The stretch that was asked for first, if there is one: where to go on, or nothing if it is done.
    pub replay: Option<(Timestamp, Option<EventPlace>)>,
    /// Why it is disabled from now on.
    pub disabled: Option<WhyDisabled>,
    /// What was sent, in order.
    pub rows: Vec<DeliveryRow>,
}

/// How a delivery went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// The server answered with this status.
    Status(u16),
    /// Nobody answered, or nobody could or may be reached.
    Unanswered(Arc<str>),
}

impl DeliveryOutcome {
    /// Whether it arrived: any 2xx. A redirect is not followed, so it did not.
    pub const fn is_delivered(&self) -> bool {
        match self {
            Self::Status(status) => matches!(status, 200..=299),
            Self::Unanswered(_) => false,
        }
    }
}

/// What follows a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It arrived.
    Delivered,
    /// It is sent again.
    Again(Timestamp),
    /// It was sent as often as it may be; later announcements of its object go on.
    GivenUp,
    /// The endpoint is told nothing more.
    Disabled(WhyDisabled),
}

/// One delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRow {
    /// When it began.
    pub at: Timestamp,
    /// Of which event.
    pub event: EventId,
    /// What it said.
    pub kind: AnnouncementKind,
    /// About which payment.
    pub payment: PaymentId,
    /// The event's number among the payment's.
    pub number: u64,
    /// Which try this was; the first is 1.
    pub attempt: u32,
    /// How long it took.
    pub took_ms: u64,
    /// How it went.
    pub outcome: DeliveryOutcome,
    /// What follows.
    pub then: Then,
    /// It was asked for once more.
    pub is_replay: bool,
}

#[cfg(test)]
mod tests;
