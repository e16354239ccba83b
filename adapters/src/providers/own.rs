//! What a merchant has of its own at a provider, found for a request.

use crate::secrets::Book;
use florin_domain::credentials::Credentials;
use florin_domain::ports::AttemptRequest;
use florin_domain::provider::{Outcome, ProviderId};
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

    /// Under what a request goes; `None` for what is configured. `Err` if it cannot go: nothing was sent. That is the merchant's matter
    /// and says nothing of the provider, whose breaker all merchants share.
    pub(super) async fn find(&self, request: &AttemptRequest) -> Result<Option<Arc<Credentials>>, Outcome> {
        let Some(book) = &self.book else {
            return Ok(None);
        };
        let place = (request.merchant, self.provider);
        match book.find(place, request.made_at).await {
            Ok(held) => Ok(held.map(|held| held.credentials)),
            Err(why) => Err(Outcome::Rejected {
                reason: Arc::from(why.to_string()),
            }),
        }
    }

    /// What is kept is no set of this provider's.
    #[expect(clippy::unused_self, reason = "it is said of what was found here")]
    pub(super) fn unfit(&self) -> Outcome {
        Outcome::Rejected {
            reason: Arc::from("the merchant's credentials are not of this provider's kind"),
        }
    }
}
