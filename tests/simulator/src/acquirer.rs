//! Owns a payment provider of the simulated world, and its books: the witness of what really happened to money.

use crate::clock::lock;
use crate::dice::Dice;
use crate::fault::Fault;
use crate::tally::outcome;
use crate::world::{World, fail_here};
use florin_domain::ids::{OperationId, PaymentId};
use florin_domain::money::Currency;
use florin_domain::payment::OperationKind;
use florin_domain::ports::{AttemptRequest, BoxFuture, Provider};
use florin_domain::provider::{Capabilities, Outcome, ProviderKey, ProviderReference};
use florin_domain::time::Millis;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long a caller waits for an answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How far an object has come.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Made, and not confirmed.
    Fresh,
    /// The customer must act.
    Challenged,
    /// The bank will say; not before this time.
    Pending { until_ms: u64, succeeds: bool },
    /// Done.
    Done,
    /// Refused for good.
    Declined(&'static str),
    /// It can no longer charge.
    Closed,
}

/// What the provider has under one key.
#[derive(Clone, Debug)]
struct Object {
    state: State,
    /// It answers its own error to every request under this key.
    stored_error: bool,
    since_ms: u64,
}

/// Something that moved money, or reserved it.
#[derive(Clone, Debug)]
pub(crate) struct Deed {
    pub(crate) payment: PaymentId,
    pub(crate) operation: OperationId,
    pub(crate) kind: OperationKind,
    pub(crate) currency: Currency,
    pub(crate) minor: i128,
}

/// Money of one authorization.
#[derive(Clone, Copy, Debug, Default)]
struct Charge {
    authorized_minor: i128,
    captured_minor: i128,
    released: bool,
}

#[derive(Debug, Default)]
struct Books {
    objects: BTreeMap<ProviderKey, Object>,
    charges: BTreeMap<ProviderReference, Charge>,
    deeds: Vec<Deed>,
    /// Requests that have arrived and are not carried out yet, by when they will be.
    queued: Vec<(u64, u64, AttemptRequest)>,
    arrived: u64,
    out_until_ms: u64,
}

/// A provider.
#[derive(Debug)]
pub(crate) struct Acquirer {
    world: Arc<World>,
    capabilities: Capabilities,
    books: Mutex<Books>,
}

fn reference(key: &ProviderKey) -> ProviderReference {
    Arc::from(format!("obj_{key}"))
}

fn silence(why: &str) -> Outcome {
    Outcome::Unknown {
        reason: Arc::from(why),
        reference: None,
    }
}

impl Acquirer {
    pub(crate) fn new(world: &Arc<World>, capabilities: Capabilities) -> Self {
        Self {
            world: Arc::clone(world),
            capabilities,
            books: Mutex::default(),
        }
    }

    /// Everything that was really done.
    pub(crate) fn deeds(&self) -> Vec<Deed> {
        self.settle();
        lock(&self.books).deeds.clone()
    }

    /// The customer of a payment passes the challenge.
    pub(crate) fn customer_acts(&self, key: &ProviderKey) {
        let mut books = lock(&self.books);
        let is_challenged = |object: &&mut Object| object.state == State::Challenged;
        if let Some(object) = books.objects.get_mut(key).filter(is_challenged) {
            let until_ms = self.world.clock.true_ms();
            object.state = State::Pending {
                until_ms,
                succeeds: true,
            };
        }
    }

    /// Carries out what is due.
    fn settle(&self) {
        let now_ms = self.world.clock.true_ms();
        let mut books = lock(&self.books);
        books.queued.sort_by_key(|(due_ms, number, _)| (*due_ms, *number));
        while books
            .queued
            .first()
            .is_some_and(|(due_ms, _, _)| *due_ms <= now_ms)
        {
            let (_, _, request) = books.queued.remove(0);
            self.execute_in(&mut books, &request, now_ms);
        }
    }

    fn execute_in(&self, books: &mut Books, request: &AttemptRequest, now_ms: u64) {
        let lifetime_ms = self.capabilities.key_lifetime.0;
        let known = books.objects.get(&request.key);
        let is_forgotten = known.is_some_and(|object| now_ms.saturating_sub(object.since_ms) > lifetime_ms);
        let state = known.filter(|_| !is_forgotten).map(|object| object.state.clone());
        let next = match state {
            None | Some(State::Fresh) => self.decide(books, request, now_ms),
            Some(State::Pending { until_ms, succeeds }) if until_ms <= now_ms => {
                if succeeds {
                    self.carry_out(books, request)
                } else {
                    State::Declined("bank_declined")
                }
            }
            Some(
                state @ (State::Challenged
                | State::Pending { .. }
                | State::Done
                | State::Declined(_)
                | State::Closed),
            ) => state,
        };
        let object = books.objects.entry(Arc::clone(&request.key)).or_insert(Object {
            state: State::Fresh,
            stored_error: false,
            since_ms: now_ms,
        });
        object.state = next;
    }

    /// What becomes of a request that is new here.
    fn decide(&self, books: &mut Books, request: &AttemptRequest, now_ms: u64) -> State {
        let number = request.key.bytes().fold(0_u64, |hash, byte| {
            hash.wrapping_mul(0x0100_0000_01b3).wrapping_add(u64::from(byte))
        });
        let mut dice = Dice::of(self.world.seed, "issuer", number);
        let charges = matches!(request.kind, OperationKind::Sale | OperationKind::Authorize);
        if dice.hits(if charges { 800 } else { 300 }) {
            return State::Declined("insufficient_funds");
        }
        if charges && dice.hits(700) {
            return State::Challenged;
        }
        if matches!(request.kind, OperationKind::Sale | OperationKind::Refund) && dice.hits(500) {
            return State::Pending {
                until_ms: now_ms + dice.within(1_000, 120_000),
                succeeds: dice.hits(8_000),
            };
        }
        self.carry_out(books, request)
    }

    /// Moves the money, unless there is none.
    fn carry_out(&self, books: &mut Books, request: &AttemptRequest) -> State {
        let minor = request.amount.minor();
        let parent = request
            .parent
            .as_ref()
            .map(|parent| Arc::clone(&parent.reference));
        let own = reference(&request.key);
        let charge = books.charges.entry(parent.unwrap_or(own)).or_default();
        match request.kind {
            OperationKind::Sale => {
                charge.authorized_minor += minor;
                charge.captured_minor += minor;
            }
            OperationKind::Authorize => charge.authorized_minor += minor,
            OperationKind::Increment if !charge.released => charge.authorized_minor += minor,
            // It gives back and takes whatever it is told to: that this is never too much is what the platform promises.
            OperationKind::Capture if !charge.released => charge.captured_minor += minor,
            OperationKind::Refund => {}
            OperationKind::Void if charge.captured_minor == 0 => charge.released = true,
            OperationKind::Increment | OperationKind::Capture | OperationKind::Void => {
                return State::Declined("not_possible_now");
            }
        }
        self.world
            .note(format_args!("done {:?} {} {minor}", request.kind, request.key));
        books.deeds.push(Deed {
            payment: request.payment,
            operation: request.operation,
            kind: request.kind,
            currency: request.currency,
            minor,
        });
        State::Done
    }

    /// What it says of a key.
    fn word(&self, request: &AttemptRequest) -> Outcome {
        let books = lock(&self.books);
        let known = reference(&request.key);
        let Some(object) = books.objects.get(&request.key) else {
            return silence("there is no such object");
        };
        match &object.state {
            State::Fresh => Outcome::Unknown {
                reason: Arc::from("not confirmed"),
                reference: Some(known),
            },
            State::Challenged => Outcome::ActionRequired {
                reference: known,
                redirect_url: None,
            },
            State::Pending { .. } => Outcome::Pending { reference: known },
            State::Done => Outcome::Succeeded {
                transaction: Arc::from(format!("txn_{}", request.key)),
                amount_minor: request.amount.minor(),
                reference: known,
            },
            State::Declined(code) => Outcome::Declined {
                decline_code: Arc::from(*code),
                reference: Some(known),
            },
            State::Closed => Outcome::Cancelled {
                reference: Some(known),
            },
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

    /// What keeps a request from arriving.
    async fn on_the_way(&self) -> Option<Outcome> {
        let world = &self.world;
        if self.is_out() || world.hits(Fault::CallNotSent) {
            return Some(Outcome::NotSent {
                reason: Arc::from("connection refused"),
            });
        }
        if world.hits(Fault::CallRateLimited) {
            let ms = world.chance(Fault::CallRateLimited, |dice| dice.within(100, 4_000));
            return Some(Outcome::RateLimited {
                retry_after: Millis(ms),
            });
        }
        if world.hits(Fault::CallRejected) {
            return Some(Outcome::Rejected {
                reason: Arc::from("invalid parameter"),
            });
        }
        if world.hits(Fault::CallLost) {
            tokio::time::sleep(TIMEOUT).await;
            return Some(silence("read timeout"));
        }
        None
    }

    async fn latency(&self) {
        let mut ms = self.world.chance(Fault::CallSlow, |dice| dice.within(1, 150));
        if self.world.hits(Fault::CallSlow) {
            ms = self.world.chance(Fault::CallSlow, |dice| dice.within(500, 4_500));
        }
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    /// A request arrives: from now on it is carried out, whether or not anybody waits.
    fn arrives(&self, request: &AttemptRequest, after_ms: u64) {
        let due_ms = self.world.clock.true_ms() + after_ms;
        let mut books = lock(&self.books);
        books.arrived += 1;
        let number = books.arrived;
        books.queued.push((due_ms, number, request.clone()));
    }

    async fn executed(&self, request: &AttemptRequest) -> Outcome {
        if let Some(outcome) = self.on_the_way().await {
            return outcome;
        }
        if self.has_stored_error(request) {
            self.latency().await;
            return silence("500 internal server error");
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
        self.settle();
        if stores_error {
            self.store_error(request);
            return silence("500 internal server error");
        }
        if self.world.hits(Fault::CallPanics) {
            fail_here();
        }
        if self.world.hits(Fault::ChargedThenSilent) {
            tokio::time::sleep(TIMEOUT).await;
            return silence("read timeout");
        }
        self.word(request)
    }

    fn has_stored_error(&self, request: &AttemptRequest) -> bool {
        let books = lock(&self.books);
        let object = books.objects.get(&request.key);
        object.is_some_and(|object| object.stored_error)
    }

    fn store_error(&self, request: &AttemptRequest) {
        let since_ms = self.world.clock.true_ms();
        let mut books = lock(&self.books);
        let object = books.objects.entry(Arc::clone(&request.key)).or_insert(Object {
            state: State::Fresh,
            stored_error: true,
            since_ms,
        });
        object.stored_error = true;
    }

    async fn queried(&self, request: &AttemptRequest) -> Outcome {
        if self.world.hits(Fault::QueryDown) {
            tokio::time::sleep(TIMEOUT).await;
            return silence("read timeout");
        }
        if let Some(outcome) = self.on_the_way().await {
            return outcome;
        }
        self.latency().await;
        self.world.alive().await;
        self.settle();
        if self.world.hits(Fault::QueryWrong) {
            return silence("there is no such object");
        }
        self.bank_word(request);
        self.word(request)
    }

    /// What a bank has decided is carried out now.
    fn bank_word(&self, request: &AttemptRequest) {
        let now_ms = self.world.clock.true_ms();
        let mut books = lock(&self.books);
        let object = books.objects.get(&request.key);
        let is_due = object.is_some_and(
            |object| matches!(object.state, State::Pending { until_ms, .. } if until_ms <= now_ms),
        );
        if is_due {
            self.execute_in(&mut books, request, now_ms);
        }
    }

    async fn cancelled(&self, request: &AttemptRequest) -> Outcome {
        if !self.capabilities.cancel_closes {
            return silence("nothing can be cancelled here");
        }
        if let Some(outcome) = self.on_the_way().await {
            return outcome;
        }
        self.latency().await;
        self.world.alive().await;
        self.settle();
        self.bank_word(request);
        self.close(request);
        if self.world.hits(Fault::ChargedThenSilent) {
            tokio::time::sleep(TIMEOUT).await;
            return silence("read timeout");
        }
        self.word(request)
    }

    fn close(&self, request: &AttemptRequest) {
        let since_ms = self.world.clock.true_ms();
        let mut books = lock(&self.books);
        let object = books.objects.entry(Arc::clone(&request.key)).or_insert(Object {
            state: State::Fresh,
            stored_error: false,
            since_ms,
        });
        match object.state {
            State::Fresh | State::Challenged => object.state = State::Closed,
            State::Pending { .. } | State::Done | State::Declined(_) | State::Closed => {}
        }
    }

    async fn told(&self, request: &AttemptRequest, ask: &str, answer: Outcome) -> Outcome {
        self.world.alive().await;
        let name = outcome(&answer);
        self.world.see("provider", name);
        self.world.note(format_args!("{ask} {} {name}", request.key));
        answer
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
            let since_ms = self.world.clock.true_ms();
            let key = Arc::clone(&request.key);
            lock(&self.books).objects.entry(key).or_insert(Object {
                state: State::Fresh,
                stored_error: false,
                since_ms,
            });
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
