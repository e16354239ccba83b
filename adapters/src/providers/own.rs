//! What a merchant has of its own at a provider, found for a request.

use crate::secrets::Book;
use florin_domain::credentials::Credentials;
use florin_domain::ports::AttemptRequest;
use florin_domain::provider::{CREDENTIALS_UNUSABLE, Outcome, ProviderId};
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
    pub(super) async fn find(&self, request: &AttemptRequest) -> Result<Option<Arc<Credentials>>, Outcome> {
        let Some(book) = &self.book else {
            return Ok(None);
        };
        let place = (request.merchant, self.provider);
        match book.find(place, request.made_at).await {
            Ok(held) => Ok(held.map(|held| held.credentials)),
            Err(why) => Err(Outcome::NotSent {
                reason: Arc::from(format!("{CREDENTIALS_UNUSABLE}: {why}")),
            }),
        }
    }

    /// What is kept is no set of this provider's.
    #[expect(clippy::unused_self, reason = "it is said of what was found here")]
    pub(super) fn unfit(&self) -> Outcome {
        Outcome::NotSent {
            reason: Arc::from(format!(
                "{CREDENTIALS_UNUSABLE}: they are not of this provider's kind"
            )),
        }
    }
}
