//! Sending to merchants' own servers.

use super::BoxFuture;
use crate::time::Millis;
use std::fmt;
use std::sync::Arc;

/// What is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
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
