//! Adyen's Checkout API: one request charges, and captures, voids and refunds are only acknowledged: what became of them comes as a
//! signed notification.
//!
//! # Layout
//! * `config` how to reach it; `amounts` its minor units; `names` our references; `request` attempt to wire; `wire`, `response` wire to
//!   outcome; `notices` notifications to outcomes; `client` the connection
//!
//! # What cannot be asked
//! Adyen has no question for the state of a payment. A repetition under the same key is answered with what the first request was
//! answered, so [`Provider::query`] says that it does not know and the attempt is repeated under its journaled key as long as Adyen
//! remembers it. After that, a charge is closed by our own reference (a technical cancel), which needs no answer to have ever come. Only
//! a closing that names the charge which it closed proves anything: one that Adyen never saw may still come. From the closing on the
//! attempt is not repeated, because the answer might be the one from before it.
//!
//! Nor can the end of a challenge be asked for: what the customer brings back charges, and a customer who never comes back leaves a
//! challenge that is closed like a charge. Adyen says so when it ends (`OFFER_CLOSED`), for cards after twelve hours unless set otherwise.

mod amounts;
mod client;
mod config;
mod names;
mod notices;
mod request;
mod response;
#[cfg(test)]
mod sample;
mod wire;

pub use config::{AdyenConfig, ApiKey, CONNECT_TIMEOUT, ConfigError, HmacKey, REQUEST_TIMEOUT};
pub use notices::AdyenNotices;

use super::cards::Cards;
use super::connection::Reply;
use super::exchange::{Unsendable, either, time_limit, unanswered, undecided, unknown};
use super::own::{Own, owner};
use crate::secrets::Book;
use client::Client;
use config::header;
use florin_domain::credentials::{Credentials, KeyOwner};
use florin_domain::ids::MerchantId;
use florin_domain::payment::OperationKind;
use florin_domain::ports::{AttemptRequest, BoxFuture, ChargedCards, KeyOwners, Provider};
use florin_domain::provider::{Capabilities, Outcome, ProviderId, ProviderReference, Recovery, Voids};
use florin_domain::time::{Millis, Timestamp};
use http::HeaderValue;
use request::WireRequest;
use std::sync::Arc;

/// Adyen remembers keys for at least a week; its newer documentation says 31 days.
const KEY_LIFETIME: Millis = Millis::from_s(7 * 24 * 3600);
/// Captures, voids and refunds are told of within hours, and a bank that refuses one within days.
const SETTLES_WITHIN: Millis = Millis::from_s(3 * 24 * 3600);

/// How long Adyen keeps a card's challenge open by default.
const CHALLENGE_LIFETIME: Millis = Millis::from_s(12 * 3600);

/// A merchant account at Adyen.
#[derive(Debug)]
pub struct AdyenProvider {
    capabilities: Capabilities,
    merchant_account: Arc<str>,
    client: Client,
    own: Own,
    cards: Cards,
}

/// As whom a request goes.
struct Caller {
    merchant_account: Arc<str>,
    key: KeyOwner,
    /// Nothing for the configured key.
    api_key: Option<HeaderValue>,
}

impl AdyenProvider {
    /// Checks the configuration; connects to nothing yet.
    pub fn new(id: ProviderId, config: AdyenConfig) -> Result<Self, ConfigError> {
        let merchant_account = Arc::clone(&config.merchant_account);
        let capabilities = Capabilities {
            id,
            prepares: false,
            key_lifetime: KEY_LIFETIME,
            query_by_reference: false,
            cancel_closes: true,
            time_limit: time_limit(config.request_timeout),
            recovery: Recovery {
                stores_errors: true,
                voids: Voids::Reference,
                notifies: true,
                charges_by_details: true,
                challenge_lifetime: Some(CHALLENGE_LIFETIME),
                settles_within: Some(SETTLES_WITHIN),
            },
        };
        Ok(Self {
            capabilities,
            merchant_account,
            client: Client::new(config)?,
            own: Own::none(id),
            cards: Cards::default(),
        })
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

    /// `Err` if the request cannot go now: nothing was sent.
    async fn caller(&self, request: &AttemptRequest) -> Result<Caller, Outcome> {
        let held = self.own.find(request).await?;
        let key = owner(request, held.as_ref());
        let Some(held) = held else {
            return Ok(Caller {
                merchant_account: Arc::clone(&self.merchant_account),
                key,
                api_key: None,
            });
        };
        let Credentials::Adyen(set) = &*held.credentials else {
            return Err(self.own.unfit());
        };
        let api_key = header(set.api_key.expose()).ok_or_else(|| self.own.unfit())?;
        Ok(Caller {
            merchant_account: Arc::from(set.merchant_account.expose()),
            key,
            api_key: Some(api_key),
        })
    }

    /// `Err` is why there is no answer, as an outcome.
    async fn ask(
        &self,
        request: &AttemptRequest,
        wire: Result<WireRequest, Unsendable>,
        caller: Caller,
    ) -> Result<Reply, Outcome> {
        let reply = self.client.send(wire?, caller.api_key).await;
        let reply = reply.map_err(|failure| unanswered(request, failure))?;
        Ok(reply.under(caller.key))
    }

    async fn run(&self, request: &AttemptRequest) -> Result<Outcome, Outcome> {
        let caller = self.caller(request).await?;
        let card = match request.kind {
            OperationKind::Sale | OperationKind::Authorize => self.cards.of(request).await?,
            OperationKind::Capture
            | OperationKind::Void
            | OperationKind::Refund
            | OperationKind::Increment
            | OperationKind::Reversal => None,
        };
        let wire = request::execute(request, &caller.merchant_account, card.as_ref());
        let reply = self.ask(request, wire, caller).await?;
        Ok(match request.kind {
            OperationKind::Sale | OperationKind::Authorize => response::charged(request, &reply),
            OperationKind::Capture
            | OperationKind::Void
            | OperationKind::Refund
            | OperationKind::Increment
            | OperationKind::Reversal => response::acknowledged(request, &reply),
        })
    }

    async fn look(&self, request: &AttemptRequest) -> Result<Outcome, Outcome> {
        // Only a charge has a challenge: what is said of it is no answer about a capture.
        let charges = matches!(request.kind, OperationKind::Sale | OperationKind::Authorize);
        let Some(details) = request.details.as_ref().filter(|_| charges) else {
            return Ok(unknown(
                "Adyen tells the state of a payment only in notifications",
                request.reference.clone(),
            ));
        };
        let caller = self.caller(request).await?;
        let wire = request::details(request, details);
        let reply = self.ask(request, wire, caller).await?;
        Ok(response::detailed(request, &reply))
    }

    async fn close(&self, request: &AttemptRequest) -> Result<Outcome, Outcome> {
        match request.kind {
            OperationKind::Sale | OperationKind::Authorize => {
                let caller = self.caller(request).await?;
                let wire = request::close(request, &caller.merchant_account);
                let reply = self.ask(request, wire, caller).await?;
                Ok(response::closing(request, &reply))
            }
            // What they are about is not theirs to close.
            OperationKind::Capture
            | OperationKind::Void
            | OperationKind::Refund
            | OperationKind::Increment
            | OperationKind::Reversal => self.look(request).await,
        }
    }
}

impl KeyOwners for AdyenProvider {
    fn key_owner(&self, merchant: MerchantId, made_at: Timestamp) -> Option<KeyOwner> {
        self.own.key_owner(merchant, made_at)
    }
}

impl Provider for AdyenProvider {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Nothing is made before the charge, so nobody asks for this.
    fn prepare<'a>(
        &'a self,
        _request: &'a AttemptRequest,
    ) -> BoxFuture<'a, Result<ProviderReference, Outcome>> {
        let why = Outcome::rejected("Adyen charges in one request");
        Box::pin(std::future::ready(Err(why)))
    }

    fn execute<'a>(&'a self, request: &'a AttemptRequest) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let outcome = either(self.run(request).await);
            self.cards.answered(request, &outcome);
            outcome
        })
    }

    fn query<'a>(&'a self, request: &'a AttemptRequest) -> BoxFuture<'a, Outcome> {
        Box::pin(async move { undecided(either(self.look(request).await), request) })
    }

    fn cancel<'a>(&'a self, request: &'a AttemptRequest) -> BoxFuture<'a, Outcome> {
        Box::pin(async move { undecided(either(self.close(request).await), request) })
    }
}
