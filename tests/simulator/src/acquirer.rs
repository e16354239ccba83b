//! Owns a payment provider of the simulated world: what becomes of requests on their way to it, and of its answers on their way back.

use crate::clock::lock;
use crate::fault::Fault;
use crate::provider_books::{Books, Deed, Speaks, reference, silence};
use crate::shop::is_charge;
use crate::tally::outcome;
use crate::world::{World, fail_here};
use florin_domain::credentials::KeyOwner;
use florin_domain::ids::MerchantId;
use florin_domain::ports::{AttemptRequest, BoxFuture, KeyOwners, Provider};
use florin_domain::provider::{Capabilities, Outcome, ProviderKey, ProviderReference};
use florin_domain::time::{Millis, Timestamp};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long a caller waits for an answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A provider.
#[derive(Debug)]
pub(crate) struct Acquirer {
    world: Arc<World>,
    capabilities: Capabilities,
    books: Mutex<Books>,
    /// Keys that it was asked about since everything was healed.
    asked: Mutex<BTreeSet<ProviderKey>>,
}

impl Acquirer {
    pub(crate) fn new(world: &Arc<World>, capabilities: Capabilities, speaks: Speaks) -> Self {
        Self {
            world: Arc::clone(world),
            books: Mutex::new(Books::new(world, &capabilities, speaks)),
            capabilities,
            asked: Mutex::default(),
        }
    }

    /// Everything that was really done, each with whether it was let go of again.
    pub(crate) fn deeds(&self) -> Vec<(Deed, bool)> {
        lock(&self.books).deeds()
    }

    /// Whether it was asked about a key since everything was healed.
    pub(crate) fn was_asked(&self, key: &ProviderKey) -> bool {
        lock(&self.asked).contains(key)
    }

    /// Whether a bank is still to say what becomes of it.
    pub(crate) fn is_pending(&self, key: &ProviderKey) -> bool {
        lock(&self.books).is_pending(key)
    }

    /// The customer of a payment passes the challenge.
    pub(crate) fn customer_acts(&self, key: &ProviderKey) {
        lock(&self.books).pass(key);
    }

    /// Carries out what is due, though nobody asks.
    pub(crate) fn settle(&self) {
        lock(&self.books).settle();
    }

    /// Whether it says of a charge what is not so. Only one that writes by itself does: otherwise nobody would ever hear of it. An object that is
    /// closed stays closed.
    fn lies(&self, request: &AttemptRequest) -> bool {
        let can = {
            let books = lock(&self.books);
            books.speaks == Speaks::OfKeys && is_charge(request.kind) && !books.is_over(&request.key)
        };
        let lies = can && self.world.hits(Fault::Lie);
        if lies {
            lock(&self.books).deny(&request.key);
        }
        lies
    }

    /// It says that it did nothing, and does it.
    async fn denied(&self, request: &AttemptRequest) -> Outcome {
        let (how, ms) = self
            .world
            .chance(Fault::Lie, |dice| (dice.below(3), dice.within(0, 60_000)));
        // Often at once: then its word of it meets whatever comes next.
        self.arrives(request, ms.saturating_sub(30_000));
        self.latency().await;
        match how {
            0 => Outcome::not_sent("connection refused"),
            1 => Outcome::rejected("invalid parameter"),
            _ => Outcome::declined(Arc::from("do_not_honor"), None),
        }
    }

    fn is_out(&self) -> bool {
        let now_ms = self.world.clock.true_ms();
        let mut books = lock(&self.books);
        if self.world.hits(Fault::Outage) {
            books.out_until_ms = now_ms
                + self
                    .world
                    .chance(Fault::Outage, |dice| dice.within(2_000, 90_000));
        }
        now_ms < books.out_until_ms && !self.world.is_healed()
    }

    fn is_silent(&self) -> bool {
        let now_ms = self.world.clock.true_ms();
        let mut books = lock(&self.books);
        if self.world.hits(Fault::Silence) {
            books.silent_until_ms = now_ms
                + self
                    .world
                    .chance(Fault::Silence, |dice| dice.within(5_000, 120_000));
        }
        now_ms < books.silent_until_ms && !self.world.is_healed()
    }

    /// What keeps a request from arriving.
    async fn on_the_way(&self) -> Option<Outcome> {
        let world = &self.world;
        if self.is_out() || world.hits(Fault::CallNotSent) {
            return Some(Outcome::not_sent("connection refused"));
        }
        if world.hits(Fault::CallRateLimited) {
            let ms = world.chance(Fault::CallRateLimited, |dice| dice.within(100, 4_000));
            return Some(Outcome::RateLimited {
                retry_after: Millis(ms),
            });
        }
        if world.hits(Fault::CallRejected) {
            return Some(Outcome::rejected("invalid parameter"));
        }
        if world.hits(Fault::CallLost) {
            tokio::time::sleep(TIMEOUT).await;
            return Some(silence("read timeout"));
        }
        None
    }

    fn arrives(&self, request: &AttemptRequest, after_ms: u64) {
        let due_ms = self.world.clock.true_ms() + after_ms;
        lock(&self.books).queue(request, due_ms);
    }

    async fn latency(&self) {
        let mut ms = self.world.chance(Fault::CallSlow, |dice| dice.within(1, 150));
        if self.world.hits(Fault::CallSlow) {
            ms = self.world.chance(Fault::CallSlow, |dice| dice.within(500, 4_500));
        }
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    async fn executed(&self, request: &AttemptRequest) -> Outcome {
        if let Some(outcome) = self.on_the_way().await {
            return outcome;
        }
        if lock(&self.books).has_stored_error(&request.key) {
            self.latency().await;
            return silence("500 internal server error");
        }
        if self.is_silent() {
            if self.world.chance(Fault::Silence, |dice| dice.hits(6_000)) {
                self.arrives(request, 100);
            }
            tokio::time::sleep(TIMEOUT).await;
            return silence("read timeout");
        }
        if lock(&self.books).is_hidden(&request.key) {
            self.latency().await;
            return silence("500 internal server error");
        }
        if self.lies(request) {
            return self.denied(request).await;
        }
        if self.world.hits(Fault::CallLate) {
            let ms = self
                .world
                .chance(Fault::CallLate, |dice| dice.within(5_500, 25_000));
            self.arrives(request, ms);
            tokio::time::sleep(TIMEOUT).await;
            return silence("read timeout");
        }
        let stores_error = self.world.hits(Fault::StoredError);
        if !stores_error || self.world.chance(Fault::StoredError, |dice| dice.hits(5_000)) {
            self.arrives(request, 0);
        }
        self.latency().await;
        self.world.alive().await;
        lock(&self.books).settle();
        if lock(&self.books).speaks != Speaks::Never && self.world.hits(Fault::NoticeEarly) {
            let ms = self
                .world
                .chance(Fault::NoticeEarly, |dice| dice.within(200, 3_000));
            tokio::time::sleep(Duration::from_millis(ms)).await;
        }
        if stores_error {
            lock(&self.books).store_error(&request.key);
            return silence("500 internal server error");
        }
        if self.world.hits(Fault::Hidden) {
            let ms = self
                .world
                .chance(Fault::Hidden, |dice| dice.within(20_000, 900_000));
            lock(&self.books).hide(&request.key, self.world.clock.true_ms() + ms);
            return silence("500 internal server error");
        }
        if self.world.hits(Fault::CallPanics) {
            fail_here();
        }
        if self.world.hits(Fault::ChargedThenSilent) {
            tokio::time::sleep(TIMEOUT).await;
            return silence("read timeout");
        }
        lock(&self.books).word(request)
    }

    async fn queried(&self, request: &AttemptRequest) -> Outcome {
        if self.is_silent() || self.world.hits(Fault::QueryDown) {
            tokio::time::sleep(TIMEOUT).await;
            return silence("read timeout");
        }
        if let Some(outcome) = self.on_the_way().await {
            return outcome;
        }
        self.latency().await;
        self.world.alive().await;
        lock(&self.books).settle();
        if self.world.hits(Fault::QueryWrong) || lock(&self.books).is_hidden(&request.key) {
            return silence("there is no such object");
        }
        lock(&self.books).hear_bank(request);
        lock(&self.books).word(request)
    }

    async fn cancelled(&self, request: &AttemptRequest) -> Outcome {
        if !self.capabilities.cancel_closes {
            return silence("nothing can be cancelled here");
        }
        if self.is_silent() && self.world.chance(Fault::Silence, |dice| dice.hits(5_000)) {
            tokio::time::sleep(TIMEOUT).await;
            return silence("read timeout");
        }
        if let Some(outcome) = self.on_the_way().await {
            return outcome;
        }
        self.latency().await;
        self.world.alive().await;
        lock(&self.books).settle();
        if lock(&self.books).is_hidden(&request.key) {
            return silence("there is no such object");
        }
        lock(&self.books).hear_bank(request);
        if self.lies(request) {
            let due_ms =
                self.world.clock.true_ms() + self.world.chance(Fault::Lie, |dice| dice.within(0, 60_000));
            lock(&self.books).go_on(request, due_ms);
            return Outcome::Cancelled {
                reference: Some(reference(&request.key)),
            };
        }
        lock(&self.books).close(&request.key);
        if self.is_silent() || self.world.hits(Fault::ChargedThenSilent) {
            tokio::time::sleep(TIMEOUT).await;
            return silence("read timeout");
        }
        lock(&self.books).word(request)
    }

    async fn told(&self, request: &AttemptRequest, ask: &str, answer: Outcome) -> Outcome {
        self.world.alive().await;
        if self.world.is_healed() {
            lock(&self.asked).insert(Arc::clone(&request.key));
        }
        let name = outcome(&answer);
        self.world.see("provider", name);
        self.world.note(format_args!("{ask} {} {name}", request.key));
        answer
    }
}

impl KeyOwners for Acquirer {
    /// One that writes by itself has an account of every merchant's, so that merchants' own secrets may sign what it writes.
    fn key_owner(&self, merchant: MerchantId, _made_at: Timestamp) -> Option<KeyOwner> {
        Some(match lock(&self.books).speaks {
            Speaks::Never => KeyOwner::Platform,
            Speaks::OfKeys | Speaks::OfObjects => KeyOwner::Merchant { merchant, version: 1 },
        })
    }
}

impl Provider for Acquirer {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn prepare<'a>(
        &'a self,
        request: &'a AttemptRequest,
    ) -> BoxFuture<'a, Result<ProviderReference, Outcome>> {
        Box::pin(async move {
            self.world.alive().await;
            if let Some(outcome) = self.on_the_way().await {
                return Err(self.told(request, "prepare", outcome).await);
            }
            self.latency().await;
            self.world.alive().await;
            lock(&self.books).prepare(&request.key);
            Ok(reference(&request.key))
        })
    }

    fn execute<'a>(&'a self, request: &'a AttemptRequest) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            self.world.alive().await;
            let outcome = self.executed(request).await;
            self.told(request, "execute", outcome).await
        })
    }

    fn query<'a>(&'a self, request: &'a AttemptRequest) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            self.world.alive().await;
            let outcome = self.queried(request).await;
            self.told(request, "query", outcome).await
        })
    }

    fn cancel<'a>(&'a self, request: &'a AttemptRequest) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            self.world.alive().await;
            let outcome = self.cancelled(request).await;
            self.told(request, "cancel", outcome).await
        })
    }
}
