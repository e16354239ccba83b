//! Nameless: to be written here in two sentences, how a charge is made there and how its result is heard.
//!
//! # Layout
//! * `config` how to reach it; `request` attempt to wire; `wire`, `response` wire to outcome; `client` the connection
//!
//! [`OPERATIONS`] says what is written. As long as a charge is not, the provider cannot be opened, and what is not written is refused
//! before anything is sent.

mod client;
mod config;
mod request;
mod response;
mod wire;

pub use config::{ApiKey, CONNECT_TIMEOUT, ConfigError, NamelessConfig, REQUEST_TIMEOUT};

use super::connection::{Outgoing, Reply};
use super::exchange::{Unsendable, either, time_limit, unanswered, unknown};
use client::Client;
use florin_domain::credentials::KeyOwner;
use florin_domain::payment::OperationKind;
use florin_domain::ids::MerchantId;
use florin_domain::ports::{AttemptRequest, BoxFuture, KeyOwners, Provider};
use florin_domain::provider::{Capabilities, Outcome, ProviderId, ProviderReference, Recovery, Voids};
use florin_domain::time::{Millis, Timestamp};
use std::time::Duration;

/// The operations that are written. Each must be sent by `request`, understood by `response`, imitated by the sandbox, and pass the
/// conformance suite, which holds this list against what the adapter does.
pub const OPERATIONS: &[OperationKind] = &[];

/// An account at Nameless.
#[derive(Debug)]
pub struct NamelessProvider {
    capabilities: Capabilities,
    client: Client,
}

/// What recovery may rely on. Each value is the one that promises least; change it only for a sentence of the provider's documentation,
/// and name that sentence in `docs/provider_nameless.md`.
fn capabilities(id: ProviderId, request_timeout: Duration) -> Capabilities {
    Capabilities {
        id,
        // Whether a charge is made in two requests. If so, the object's reference is journaled before money can move, so a lost answer
        // can always be asked about; if not, a lost answer leaves nothing but our own reference.
        prepares: false,
        // How long a key is remembered: the same request under it is not executed again. Requests are repeated for
        // `limits::ATTEMPT_RETRY_WINDOW`; the conformance suite wants that to be at most 80 % of this. Zero promises nothing.
        key_lifetime: Millis(0),
        // Whether an object can be read by its reference: `query` then tells what became of it instead of `Unknown`.
        query_by_reference: false,
        // Whether `cancel` makes sure that a charge which nobody heard of again cannot come any more. Without it such a charge stays
        // unknown until a person says what became of it.
        cancel_closes: false,
        // How long one request may take: the configured timeout. Beyond it the outcome is unknown, and it counts as a timeout for health.
        time_limit: time_limit(request_timeout),
        recovery: Recovery {
            // Whether an error that it stored under a key is answered again for ever (Stripe's 500): repeating teaches nothing then. Where
            // errors are not stored, a repetition is an attempt of its own.
            stores_errors: false,
            // What closing needs: the provider's object, or only our reference. `Reference` lets the core close a charge of which it never
            // heard; that is no proof unless the answer names the charge that was closed.
            voids: Voids::None,
            // Whether captures, voids and refunds are only acknowledged, and their results come as signed notices. If so, this adapter
            // needs a reader of notices, or these operations never end.
            notifies: false,
            // Whether handing over what the customer brought back from a challenge, which is asked as a question, is what charges.
            charges_by_details: false,
            // If the end of a challenge cannot be asked for: how long after it should be over it may still be passed, as documented.
            challenge_lifetime: None,
            // How long it may take to say how that ended which it has taken on. Beyond it operators are told; `None` is a week.
            settles_within: None,
        },
    }
}

impl NamelessProvider {
    /// Checks the configuration; connects to nothing yet.
    pub fn new(id: ProviderId, config: NamelessConfig) -> Result<Self, ConfigError> {
        if !OPERATIONS.contains(&OperationKind::Sale) {
            return Err(ConfigError::Unwritten);
        }
        Ok(Self {
            capabilities: capabilities(id, config.request_timeout),
            client: Client::new(config)?,
        })
    }

    /// `Err` is why there is no answer, as an outcome.
    async fn ask(
        &self,
        request: &AttemptRequest,
        outgoing: Result<Outgoing, Unsendable>,
    ) -> Result<Reply, Outcome> {
        let reply = self.client.send(outgoing?).await;
        reply.map_err(|failure| unanswered(request, failure))
    }

    async fn run(&self, request: &AttemptRequest) -> Result<Outcome, Outcome> {
        let reply = self.ask(request, request::execute(request)).await?;
        Ok(response::executed(request, &reply))
    }
}

fn undecidable(request: &AttemptRequest) -> Outcome {
    unknown("Nameless cannot be asked about it", request.reference.clone())
}

/// Every merchant is charged under the configured key.
impl KeyOwners for NamelessProvider {
    fn key_owner(&self, _merchant: MerchantId, _made_at: Timestamp) -> Option<KeyOwner> {
        Some(KeyOwner::Platform)
    }
}

impl Provider for NamelessProvider {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Nobody asks for this unless the record says that a charge is prepared.
    fn prepare<'a>(
        &'a self,
        _request: &'a AttemptRequest,
    ) -> BoxFuture<'a, Result<ProviderReference, Outcome>> {
        let why = Outcome::rejected("Nameless charges in one request");
        Box::pin(std::future::ready(Err(why)))
    }

    fn execute<'a>(&'a self, request: &'a AttemptRequest) -> BoxFuture<'a, Outcome> {
        Box::pin(async move { either(self.run(request).await) })
    }

    /// Until it is written a question decides nothing. One that is refused must decide nothing, too: see `exchange::undecided`.
    fn query<'a>(&'a self, request: &'a AttemptRequest) -> BoxFuture<'a, Outcome> {
        Box::pin(std::future::ready(undecidable(request)))
    }

    /// Until it is written nothing is closed, so nothing is proven. What is no charge must never close its parent.
    fn cancel<'a>(&'a self, request: &'a AttemptRequest) -> BoxFuture<'a, Outcome> {
        Box::pin(std::future::ready(undecidable(request)))
    }
}
