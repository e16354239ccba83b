//! Sending to merchants' own servers: where endpoints are kept, what is sent to them, and how.

use super::{BoxFuture, ShownEvent};
use crate::ids::{EndpointId, EventId, ShardId};
use crate::time::{Millis, Timestamp};
use crate::vault::{Once, Owner};
use crate::webhook::{
    DeliveryRow, Endpoint, EndpointChange, EndpointRefusal, EventShape, KeptEndpoint, Noted, Progress,
    SigningSecret,
};
use std::fmt;
use std::sync::Arc;
use thiserror::Error;

/// Why the store of endpoints has no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EndpointError {
    /// The node has no key under which it could seal a secret.
    #[error("no key-encryption key is configured")]
    NotConfigured,
    /// Too many wait for it; nothing was begun.
    #[error("too many wait for the webhook endpoints")]
    Busy,
    /// The change is refused, and nothing was changed.
    #[error(transparent)]
    Refused(#[from] EndpointRefusal),
    /// The store failed. What was to be changed may have been or not.
    #[error("the store of webhook endpoints failed: {0}")]
    Store(String),
}

/// What a change came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointChanged {
    /// The endpoint after it; of a deletion, before it.
    pub kept: KeptEndpoint,
    /// It was made before, under the same key.
    pub was_before: bool,
}

/// A page of a list, newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointPage {
    /// At most so many.
    pub limit: usize,
    /// Only what was made before this one.
    pub starting_after: Option<u128>,
    /// Only what was made after this one, the nearest.
    pub ending_before: Option<u128>,
}

/// Port of what merchants say of their endpoints. What it answers is durable.
pub trait EndpointStore: Send + Sync + fmt::Debug {
    /// Makes a change, all of it or nothing; with `once`, one time only, and is answered the same again for a day.
    fn change(
        &self,
        owner: Owner,
        change: EndpointChange,
        once: Option<Once>,
    ) -> BoxFuture<'_, Result<EndpointChanged, EndpointError>>;

    /// An endpoint of an owner.
    fn get(&self, owner: Owner, id: EndpointId) -> BoxFuture<'_, Result<Option<Endpoint>, EndpointError>>;

    /// A page of an owner's endpoints, and whether there are more. `None` if the cursor is no endpoint of theirs.
    fn list(
        &self,
        owner: Owner,
        page: EndpointPage,
    ) -> BoxFuture<'_, Result<Option<ListedEndpoints>, EndpointError>>;

    /// The newest deliveries of an endpoint, each with its number there, and whether there are more: at most `limit`, of those before
    /// the number `before`. `None` if there is no such endpoint.
    fn deliveries(
        &self,
        owner: Owner,
        id: EndpointId,
        page: (usize, Option<u64>),
    ) -> BoxFuture<'_, Result<Option<NumberedDeliveries>, EndpointError>>;
}

/// Endpoints of a page, and whether there are more.
pub type ListedEndpoints = (Vec<Endpoint>, bool);

/// Deliveries with their numbers, and whether there are more.
pub type NumberedDeliveries = (Vec<(u64, DeliveryRow)>, bool);

/// Port of what is known of deliveries. It is told in the background: what a crash takes away is sent again.
pub trait DeliveryBook: Send + Sync + fmt::Debug {
    /// The endpoints that are at home in a shard, disabled ones included.
    fn endpoints(&self, shard: ShardId) -> BoxFuture<'_, Result<Vec<EndpointId>, EndpointError>>;

    /// An endpoint, and how far it has been told. `None` if it was deleted.
    fn open(&self, id: EndpointId) -> BoxFuture<'_, Result<Option<(KeptEndpoint, Progress)>, EndpointError>>;

    /// Keeps what happened, all of it or nothing, behind everything that was noted before. Of an endpoint that was deleted nothing is kept,
    /// and one that was changed meanwhile keeps its change.
    fn note(&self, noted: Noted) -> BoxFuture<'_, Result<(), EndpointError>>;
}

/// Port of what signs deliveries.
pub trait WebhookSigner: Send + Sync + fmt::Debug {
    /// A new secret; `None` if the system gives no random bytes.
    fn new_secret(&self) -> Option<SigningSecret>;

    /// The headers that prove a body, sent at a time, to whoever has one of the secrets. Their names are in lower case.
    fn sign(
        &self,
        secrets: &[&SigningSecret],
        id: EventId,
        at: Timestamp,
        body: &[u8],
    ) -> Vec<(&'static str, String)>;
}

/// Port of what writes announcements.
pub trait EventBodies: Send + Sync + fmt::Debug {
    /// An announcement as JSON, in the words of a shape; the same bytes whenever it is asked for. `None` if it cannot be written.
    fn body(&self, event: &ShownEvent, shape: EventShape) -> Option<Vec<u8>>;
}

/// What is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Whose it is: nobody's deliveries hold up those of others.
    pub owner: Owner,
    /// Where to, as the merchant wrote it. It is vetted now, because what a name stands for changes.
    pub url: Arc<str>,
    /// Headers besides those that every delivery has; names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// JSON.
    pub body: Vec<u8>,
}

/// How a delivery ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryEnd {
    /// The server answered.
    Answered {
        /// With this status.
        status: u16,
        /// It wants nothing more for so long.
        retry_after: Option<Millis>,
    },
    /// Nothing was sent for a reason that is this node's own: it says nothing of the server.
    NotSent {
        /// Why.
        why: Arc<str>,
    },
    /// Nobody answered, or nobody could or may be reached.
    Unanswered {
        /// Why.
        why: Arc<str>,
    },
}

/// Port of the client that delivers. It may be asked for many deliveries at once, and each ends within a time limit.
pub trait WebhookClient: Send + Sync + fmt::Debug {
    /// Delivers once; redirects are answers like others.
    fn post(&self, delivery: Delivery) -> BoxFuture<'_, DeliveryEnd>;
}
