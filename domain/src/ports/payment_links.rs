//! Where payment links are kept.

use super::BoxFuture;
use crate::idempotency::{Fingerprint, KeyDigest};
use crate::ids::{PaymentId, PaymentLinkId};
use crate::payment_link::{LinkChange, LinkRefusal, PaymentLink};
use crate::time::Timestamp;
use crate::vault::Owner;
use std::fmt;
use thiserror::Error;

/// Why there is no answer about a link.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LinksError {
    /// Too many wait for the store; nothing was begun.
    #[error("too many wait for the store of payment links")]
    Busy,
    /// The change is refused, and nothing was changed.
    #[error(transparent)]
    Refused(#[from] LinkRefusal),
    /// The store failed. What was to be changed may have been or not.
    #[error("the store of payment links failed: {0}")]
    Store(String),
}

/// Under which key a change happens once, and a digest of what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkOnce {
    /// Of the merchant's key.
    pub key: KeyDigest,
    /// Of the request.
    pub asked: Fingerprint,
}

/// A change that was made, now or before under the same key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedLink {
    /// The link as it was then.
    pub link: PaymentLink,
    /// It was made before.
    pub was_before: bool,
}

/// A page of a merchant's links, newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkPage {
    /// At most so many.
    pub limit: usize,
    /// Only what was made before this one.
    pub starting_after: Option<PaymentLinkId>,
    /// Only what was made after this one, the nearest.
    pub ending_before: Option<PaymentLinkId>,
}

/// A payment that is to answer a link that is paid once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkClaim {
    /// Which link.
    pub link: PaymentLinkId,
    /// What stands in its place as far as is known.
    pub instead_of: Option<PaymentId>,
    /// What is to stand there.
    pub payment: PaymentId,
}

/// Port of the store of payment links. What it answers is durable.
pub trait PaymentLinks: Send + Sync + fmt::Debug {
    /// Makes a change; with `once`, one time only, and is answered the same again for a day.
    fn change(
        &self,
        owner: Owner,
        change: LinkChange,
        once: Option<LinkOnce>,
    ) -> BoxFuture<'_, Result<ChangedLink, LinksError>>;

    /// A link, whosever it is.
    fn find(&self, id: PaymentLinkId) -> BoxFuture<'_, Result<Option<PaymentLink>, LinksError>>;

    /// A page of an owner's links, and whether there are more.
    fn list(
        &self,
        owner: Owner,
        page: LinkPage,
    ) -> BoxFuture<'_, Result<(Vec<PaymentLink>, bool), LinksError>>;

    /// Puts a payment into the place of a link that is paid once, see [`PaymentLink::claim`]; the link as it is afterwards.
    fn claim(&self, claim: LinkClaim) -> BoxFuture<'_, Result<PaymentLink, LinksError>>;

    /// The time by which it dates what it keeps.
    fn now(&self) -> Timestamp;
}
