//! What a merchant has of its own at a provider, found for a request.

use crate::secrets::{Book, Held};
use florin_domain::credentials::KeyOwner;
use florin_domain::ids::MerchantId;
use florin_domain::ports::AttemptRequest;
use florin_domain::provider::{Hindrance, Outcome, ProviderId};
use florin_domain::time::Timestamp;
use std::fmt;
use std::sync::Arc;

/// Where the adapter of a provider looks.
#[derive(Debug)]
pub(super) struct Own {
    provider: ProviderId,
    /// Nothing if all are charged under the configured key.
    book: Option<Arc<Book>>,
}

impl Own {
    /// Everybody is charged under the configured key.
    pub(super) fn none(provider: ProviderId) -> Self {
        Self { provider, book: None }
    }

    pub(super) fn in_book(self, book: Arc<Book>) -> Self {
        let book = Some(book);
        Self { book, ..self }
    }

    /// Under what a request goes; `None` for what is configured. `Err` if it cannot go now: nothing was sent, and nothing was
    /// learnt of the provider, whose breaker all merchants share.
    pub(super) async fn find(&self, request: &AttemptRequest) -> Result<Option<Held>, Outcome> {
        let Some(book) = &self.book else {
            return Ok(None);
        };
        let place = (request.merchant, self.provider);
        book.find(place, request.made_at).await.map_err(unusable)
    }

    /// Under whose key a merchant's charge of that time goes, if that is known now.
    pub(super) fn key_owner(&self, merchant: MerchantId, made_at: Timestamp) -> Option<KeyOwner> {
        match &self.book {
            Some(book) => book.key_owner((merchant, self.provider), made_at),
            None => Some(KeyOwner::Platform),
        }
    }

    /// What is kept is no set of this provider's.
    #[expect(clippy::unused_self, reason = "it is said of what was found here")]
    pub(super) fn unfit(&self) -> Outcome {
        unusable("they are not of this provider's kind")
    }
}

fn unusable(why: impl fmt::Display) -> Outcome {
    Outcome::NotSent {
        reason: Arc::from(format!("the merchant's credentials cannot be used: {why}")),
        hindrance: Hindrance::Credentials,
    }
}

/// Whose key a request carries that was given these.
pub(super) fn owner(request: &AttemptRequest, held: Option<&Held>) -> KeyOwner {
    held.map_or(KeyOwner::Platform, |held| KeyOwner::Merchant {
        merchant: request.merchant,
        version: held.version,
    })
}
