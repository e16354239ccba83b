//! Stripe: a payment intent is created unconfirmed and without a method, its reference journaled, and then confirmed with the method.
//!
//! # Layout
//! * `config` how to reach it; `request` attempt to wire; `wire`, `objects`, `response` wire to outcome; `client` the connection
//! * `signature`, `notices`, `events` what Stripe sends by itself: whose it is, and what it says of whom
//!
//! Calls must run on the tokio runtime with the timers enabled that also lives as long as the provider: the pool keeps its
//! connections in tasks of the runtime that first used them.

mod client;
mod config;
mod events;
mod notices;
mod objects;
mod request;
mod response;
#[cfg(test)]
mod sample;
mod signature;
mod wire;

pub use config::{BASE_URL, CONNECT_TIMEOUT, ConfigError, REQUEST_TIMEOUT, SecretKey, StripeConfig};
pub use notices::StripeNotices;
pub use signature::WebhookSecret;

use super::cards::Cards;
use super::connection::Reply;
use super::exchange::{Unsendable, either, time_limit, unanswered, undecided, unknown};
use super::own::{Own, owner};
use crate::secrets::Book;
use client::Client;
use config::bearer;
use florin_domain::credentials::{Credentials, KeyOwner};
use florin_domain::ids::MerchantId;
use florin_domain::payment::OperationKind;
use florin_domain::ports::{AttemptRequest, BoxFuture, ChargedCards, KeyOwners, Provider};
use florin_domain::provider::{Capabilities, Outcome, ProviderId, ProviderReference, Recovery, Voids};
use florin_domain::time::{Millis, Timestamp};
use http::HeaderValue;
use request::WireRequest;
use response::{Closed, Listed};
use std::sync::Arc;

/// Stripe remembers keys for at least a day.
const KEY_LIFETIME: Millis = Millis::from_s(24 * 3600);
/// A bank's debit takes up to two working weeks, a refund up to ten days; it says so by itself, and is asked all the while.
const SETTLES_WITHIN: Millis = Millis::from_s(10 * 24 * 3600);
/// Pages of a hundred refunds looked through: more than one payment may have.
const REFUND_PAGES_MAX: usize = 4;

const _: () = assert!(
    REFUND_PAGES_MAX * 100 > florin_domain::limits::OPERATIONS_MAX,
    "every refund is looked at"
);

/// A Stripe account.
#[derive(Debug)]
pub struct StripeProvider {
    capabilities: Capabilities,
    client: Client,
    own: Own,
    cards: Cards,
}

impl StripeProvider {
    /// Checks the configuration; connects to nothing yet.
    pub fn new(id: ProviderId, config: StripeConfig) -> Result<Self, ConfigError> {
        let time_limit = time_limit(config.request_timeout);
        Client::new(config).map(|client| Self::over(id, time_limit, client))
    }

    fn over(id: ProviderId, time_limit: Millis, client: Client) -> Self {
        let capabilities = Capabilities {
            id,
            prepares: true,
            key_lifetime: KEY_LIFETIME,
            query_by_reference: true,
            cancel_closes: true,
            time_limit,
            recovery: Recovery {
                stores_errors: true,
                voids: Voids::Object,
                notifies: false,
                charges_by_details: false,
                challenge_lifetime: None,
                settles_within: Some(SETTLES_WITHIN),
            },
        };
        Self {
            capabilities,
            client,
            own: Own::none(id),
            cards: Cards::default(),
        }
    }

    /// Charges merchants under what they have of their own.
    #[must_use]
    pub fn with_credentials(self, book: Arc<Book>) -> Self {
        let own = self.own.in_book(book);
        Self { own, ..self }
    }

    /// Charges cards that are saved here.
    #[must_use]
    pub fn with_cards(self, cards: Arc<dyn ChargedCards>) -> Self {
        let cards = Cards(cards);
        Self { cards, ..self }
    }

    /// As whom a request goes, with a key unless it is the configured account's.
    async fn own_key(&self, request: &AttemptRequest) -> Result<(KeyOwner, Option<HeaderValue>), Outcome> {
        let held = self.own.find(request).await?;
        let key = owner(request, held.as_ref());
        let Some(held) = held else {
            return Ok((key, None));
        };
        let header = match &*held.credentials {
            Credentials::Stripe(set) => bearer(set.secret_key.expose()),
            Credentials::Adyen(_) => None,
        };
        let header = header.ok_or_else(|| self.own.unfit())?;
        Ok((key, Some(header)))
    }

    /// `Err` is why there is no answer, as an outcome.
    async fn ask(
        &self,
        request: &AttemptRequest,
        wire: Result<WireRequest, Unsendable>,
    ) -> Result<Reply, Outcome> {
        let wire = wire?;
        let (key, own) = self.own_key(request).await?;
        let reply = self.client.send(wire, own).await;
        let reply = reply.map_err(|failure| unanswered(request, failure))?;
        Ok(reply.under(key))
    }

    async fn make(&self, request: &AttemptRequest) -> Result<ProviderReference, Outcome> {
        let reply = self.ask(request, request::create(request)).await?;
        response::prepared(request, &reply)
    }

    async fn charge(&self, request: &AttemptRequest) -> Result<Outcome, Outcome> {
        let card = self.cards.of(request).await?;
        let reply = self
            .ask(request, request::execute(request, card.as_ref()))
            .await?;
        let outcome = response::executed(request, &reply);
        if !response::is_key_reused(&reply) {
            return Ok(outcome);
        }
        // It was confirmed before, with a security code that is gone, or by a version that sent the method first: the intent shows what
        // became of that. A look that fails says nothing of it.
        Ok(match either(self.look(request).await) {
            Outcome::NotSent { .. } | Outcome::RateLimited { .. } | Outcome::Rejected { .. } => outcome,
            seen @ (Outcome::Succeeded { .. }
            | Outcome::Declined { .. }
            | Outcome::ActionRequired { .. }
            | Outcome::Pending { .. }
            | Outcome::Cancelled { .. }
            | Outcome::Unknown { .. }) => seen,
        })
    }

    async fn run(&self, request: &AttemptRequest) -> Result<Outcome, Outcome> {
        match request.kind {
            OperationKind::Sale | OperationKind::Authorize => self.charge(request).await,
            OperationKind::Capture | OperationKind::Refund | OperationKind::Reversal => {
                let reply = self.ask(request, request::execute(request, None)).await?;
                Ok(response::executed(request, &reply))
            }
            // Grown to this total is grown to this total, however often it is asked for.
            OperationKind::Increment => {
                let reply = self.insist(request, request::execute(request, None)).await?;
                if reply.is_server_error() {
                    // What was grown before is refused as no increment; the intent shows it.
                    return self.look(request).await;
                }
                Ok(response::executed(request, &reply))
            }
            OperationKind::Void => {
                let mut reply = self.insist(request, request::execute(request, None)).await?;
                if response::is_partly_captured(&reply) {
                    reply = self.insist(request, request::release(request)).await?;
                }
                Ok(response::executed(request, &reply))
            }
        }
    }

    /// Sends what comes to the same done once or twice. Stripe repeats a stored error as long as it remembers the key, so
    /// such an error is asked about once more without the key.
    async fn insist(
        &self,
        request: &AttemptRequest,
        wire: Result<WireRequest, Unsendable>,
    ) -> Result<Reply, Outcome> {
        let keyless = wire.clone().map(|wire| WireRequest { key: None, ..wire });
        let reply = self.ask(request, wire).await?;
        if !reply.is_server_error() {
            return Ok(reply);
        }
        match self.ask(request, keyless).await {
            Ok(again) if response::says_more(request, &again) => Ok(again),
            // What the first request did stays open.
            Ok(_) | Err(_) => Ok(reply),
        }
    }

    async fn look(&self, request: &AttemptRequest) -> Result<Outcome, Outcome> {
        match (request.kind, &request.reference) {
            (
                OperationKind::Sale
                | OperationKind::Authorize
                | OperationKind::Capture
                | OperationKind::Increment
                | OperationKind::Void
                | OperationKind::Reversal,
                _,
            ) => {
                let reply = self.ask(request, request::read_intent(request)).await?;
                Ok(response::read_intent(request, &reply))
            }
            (OperationKind::Refund, Some(reference)) => {
                let reply = self.ask(request, request::read_refund(reference)).await?;
                Ok(response::read_refund(request, &reply))
            }
            (OperationKind::Refund, None) => self.look_through_refunds(request).await,
        }
    }

    async fn look_through_refunds(&self, request: &AttemptRequest) -> Result<Outcome, Outcome> {
        let mut after = None;
        for _ in 0..REFUND_PAGES_MAX {
            let reply = self
                .ask(request, request::list_refunds(request, after.as_deref()))
                .await?;
            match response::listed_refund(request, &reply) {
                Listed::Ended(outcome) => return Ok(outcome),
                Listed::After(id) => after = Some(id),
            }
        }
        Ok(unknown(
            "the intent has more refunds than can be looked through",
            None,
        ))
    }

    async fn close(&self, request: &AttemptRequest) -> Result<Outcome, Outcome> {
        match request.kind {
            OperationKind::Sale | OperationKind::Authorize => {}
            // The parent's intent is not theirs to close.
            OperationKind::Capture
            | OperationKind::Increment
            | OperationKind::Void
            | OperationKind::Refund
            | OperationKind::Reversal => {
                return self.look(request).await;
            }
        }
        let reply = self.ask(request, request::cancel(request)).await?;
        let closed = match response::cancelled(request, &reply) {
            // Stripe repeats a stored error as long as it remembers the key. Cancelling twice is the same as once.
            Closed::Failed(_) => {
                let keyless = request::cancel(request).map(|wire| WireRequest { key: None, ..wire });
                let reply = self.ask(request, keyless).await?;
                response::cancelled(request, &reply)
            }
            closed @ (Closed::Ended(_) | Closed::Look) => closed,
        };
        match closed {
            Closed::Ended(outcome) | Closed::Failed(outcome) => Ok(outcome),
            Closed::Look => self.look(request).await,
        }
    }
}

impl KeyOwners for StripeProvider {
    fn key_owner(&self, merchant: MerchantId, made_at: Timestamp) -> Option<KeyOwner> {
        self.own.key_owner(merchant, made_at)
    }
}

impl Provider for StripeProvider {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn prepare<'a>(
        &'a self,
        request: &'a AttemptRequest,
    ) -> BoxFuture<'a, Result<ProviderReference, Outcome>> {
        Box::pin(self.make(request))
    }

    fn execute<'a>(&'a self, request: &'a AttemptRequest) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let outcome = either(self.run(request).await);
            self.cards.answered(request, &outcome);
            outcome
        })
    }

    /// A look that was not sent or was turned away for its rate says so; that is no word about the attempt.
    fn query<'a>(&'a self, request: &'a AttemptRequest) -> BoxFuture<'a, Outcome> {
        Box::pin(async move { undecided(either(self.look(request).await), request) })
    }

    fn cancel<'a>(&'a self, request: &'a AttemptRequest) -> BoxFuture<'a, Outcome> {
        Box::pin(async move { undecided(either(self.close(request).await), request) })
    }
}
