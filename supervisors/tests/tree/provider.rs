//! A provider that follows a script per amount, and its ledger of charges: the witness of what really happened.

use crate::mischief::INJECTED;
use crate::own_keys::OwnKeys;
use crate::ports::{Latch, lock};
pub(crate) use crate::script::Script;
use crate::script::{Done, declined, key_refused, not_sent, reference, silence, transaction};
use florin_domain::credentials::KeyOwner;
use florin_domain::ids::{MerchantId, OperationId, PaymentId};
use florin_domain::payment::OperationKind;
use florin_domain::ports::{AttemptRequest, BoxFuture, KeyOwners, Provider};
use florin_domain::provider::{
    Capabilities, Outcome, ProviderId, ProviderKey, ProviderReference, Recovery, Voids,
};
use florin_domain::time::{Millis, Timestamp};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Debug, Default)]
struct Book {
    /// By idempotency key: what was really executed.
    done: BTreeMap<ProviderKey, Done>,
    /// Keys whose object was cancelled: they never charge any more.
    closed: HashSet<ProviderKey>,
    requests: HashMap<OperationId, u32>,
    executes: HashMap<PaymentId, u32>,
    /// Questions that came with what a customer brought back.
    brought: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Execute,
    Query,
    Cancel,
}

/// The provider.
#[derive(Debug)]
pub(crate) struct Scripted {
    capabilities: Capabilities,
    scripts: Mutex<HashMap<i128, Script>>,
    book: Mutex<Book>,
    pub(crate) latch: Latch,
    /// Before the first and the second making of an object.
    pub(crate) making: [Latch; 2],
    pub(crate) made: AtomicUsize,
    is_closed: AtomicBool,
    truthful: AtomicBool,
    slow: bool,
    /// What every request takes, in virtual milliseconds.
    pub(crate) takes_ms: AtomicU64,
    /// What it says of payments that it declines.
    pub(crate) decline_code: Mutex<&'static str>,
    pub(crate) own_keys: OwnKeys,
}

pub(crate) fn provider_id() -> ProviderId {
    ProviderId::parse("scripted").unwrap()
}

impl Scripted {
    /// `slow` calls take up to 22 ms of virtual time.
    pub(crate) fn new(prepares: bool, slow: bool) -> Self {
        Self::named("scripted", prepares, slow)
    }

    pub(crate) fn named(name: &str, prepares: bool, slow: bool) -> Self {
        let capabilities = Capabilities {
            id: ProviderId::parse(name).unwrap(),
            prepares,
            key_lifetime: Millis::from_s(24 * 3600),
            query_by_reference: true,
            cancel_closes: true,
            time_limit: Millis::from_s(5),
            recovery: Recovery::default(),
        };
        Self {
            capabilities,
            scripts: Mutex::default(),
            book: Mutex::default(),
            latch: Latch::default(),
            making: Default::default(),
            made: AtomicUsize::new(0),
            is_closed: AtomicBool::new(false),
            truthful: AtomicBool::new(false),
            slow,
            takes_ms: AtomicU64::new(0),
            own_keys: OwnKeys::default(),
            decline_code: Mutex::new("generic_decline"),
        }
    }

    /// One that says only by itself what became of things, closes by our reference, and charges when it gets what a customer brought back,
    /// which waits at the latch.
    pub(crate) fn telling(self, challenge_lifetime: Millis) -> Self {
        let capabilities = Capabilities {
            query_by_reference: false,
            recovery: Recovery {
                stores_errors: true,
                voids: Voids::Reference,
                notifies: true,
                charges_by_details: true,
                challenge_lifetime: Some(challenge_lifetime),
                settles_within: None,
            },
            ..self.capabilities
        };
        Self { capabilities, ..self }
    }

    /// It tells by itself what becomes of what it takes on, usually within so many seconds.
    pub(crate) fn settling(mut self, settle_s: u64) -> Self {
        self.capabilities.query_by_reference = false;
        self.capabilities.recovery = Recovery {
            notifies: true,
            settles_within: Some(Millis::from_s(settle_s)),
            ..Recovery::default()
        };
        self
    }

    pub(crate) fn script(&self, amount_minor: i128, script: Script) {
        lock(&self.scripts).insert(amount_minor, script);
    }

    pub(crate) fn tell_the_truth(&self) {
        self.truthful.store(true, Ordering::SeqCst);
    }

    /// Somebody closes by hand whatever has not charged.
    pub(crate) fn close_all(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
    }

    /// Charges per payment, less those that were given back because they came late.
    pub(crate) fn charges(&self) -> BTreeMap<PaymentId, usize> {
        let mut per_payment: BTreeMap<PaymentId, usize> = BTreeMap::new();
        let book = lock(&self.book);
        let (charges, others): (Vec<&Done>, Vec<&Done>) =
            book.done.values().partition(|done| done.is_charge());
        for done in charges {
            *per_payment.entry(done.payment).or_default() += 1;
        }
        for done in others.into_iter().filter(|done| done.is_reversal()) {
            let charges = per_payment.entry(done.payment).or_default();
            *charges = charges
                .checked_sub(1)
                .expect("nothing is given back that was not taken");
        }
        per_payment.retain(|_, charges| *charges > 0);
        per_payment
    }

    /// Charges of payments of this amount.
    pub(crate) fn charges_of_amount(&self, amount_minor: i128) -> usize {
        lock(&self.book)
            .done
            .values()
            .filter(|done| done.is_charge() && done.minor == amount_minor)
            .count()
    }

    /// How often each operation was executed.
    pub(crate) fn executed(&self) -> BTreeMap<OperationId, usize> {
        let mut per_operation = BTreeMap::new();
        for done in lock(&self.book).done.values() {
            *per_operation.entry(done.operation).or_default() += 1;
        }
        per_operation
    }

    /// What was taken, less what was given back.
    pub(crate) fn sum_minor(&self) -> i128 {
        let moved = |done: &Done| match done.kind {
            OperationKind::Sale | OperationKind::Capture => done.minor,
            OperationKind::Refund => -done.minor,
            OperationKind::Authorize
            | OperationKind::Increment
            | OperationKind::Void
            | OperationKind::Reversal => 0,
        };
        lock(&self.book).done.values().map(moved).sum()
    }

    pub(crate) fn executes(&self, payment: PaymentId) -> u32 {
        lock(&self.book).executes.get(&payment).copied().unwrap_or(0)
    }

    /// How often anything was asked about an operation.
    pub(crate) fn requests(&self, operation: OperationId) -> u32 {
        lock(&self.book).requests.get(&operation).copied().unwrap_or(0)
    }

    pub(crate) fn brought(&self) -> u32 {
        lock(&self.book).brought
    }

    fn charge(&self, request: &AttemptRequest) {
        let mut book = lock(&self.book);
        if book.closed.contains(&request.key) {
            return;
        }
        let done = Done {
            payment: request.payment,
            operation: request.operation,
            kind: request.kind,
            minor: request.amount.minor(),
        };
        book.done.entry(Arc::clone(&request.key)).or_insert(done);
        if let (OperationKind::Void, Some(parent)) = (request.kind, &request.parent) {
            // What it has released or given up can no longer charge.
            let key = parent.reference.trim_start_matches("pi_");
            if !book.done.contains_key(key) {
                book.closed.insert(Arc::from(key));
            }
        }
    }

    /// What it says of an attempt when it tells the truth.
    fn truth(&self, request: &AttemptRequest) -> Outcome {
        let book = lock(&self.book);
        if book.done.contains_key(&request.key) {
            Outcome::Succeeded {
                reference: reference(request),
                transaction: transaction(request),
                amount_minor: request.amount.minor(),
            }
        } else if book.closed.contains(&request.key) || self.is_closed.load(Ordering::SeqCst) {
            Outcome::Cancelled {
                reference: request.reference.clone(),
            }
        } else {
            Outcome::Unknown {
                reason: Arc::from("never heard of it"),
                reference: None,
            }
        }
    }

    /// Whether it denies what it was asked for: a charge, which it makes, and what it does not want to hear.
    fn lies(&self, request: &AttemptRequest, executes: bool, is_deaf: bool) -> bool {
        let charges = matches!(request.operation, OperationId::Authorize(_));
        if charges && executes {
            self.charge(request);
        }
        charges || is_deaf
    }

    async fn take_time(&self, amount_minor: i128) {
        if self.slow {
            let latency = u64::try_from(amount_minor * 7 % 23).unwrap();
            tokio::time::sleep(Duration::from_millis(latency)).await;
        }
        let takes_ms = self.takes_ms.load(Ordering::SeqCst);
        if takes_ms > 0 {
            tokio::time::sleep(Duration::from_millis(takes_ms)).await;
        }
        tokio::task::yield_now().await;
    }

    /// What is answered by one that cannot be asked, unless it gets what a customer brought back.
    async fn tells_nothing(&self, request: &AttemptRequest) -> Outcome {
        if request.details.is_none() {
            return silence();
        }
        self.latch.passed().await;
        self.charge(request);
        self.truth(request)
    }

    async fn passes_too_late(&self, request: &AttemptRequest, requests: u32) -> Outcome {
        // The charge, the question whether its challenge is over, and its closing come first.
        if requests < 4 {
            return Outcome::ActionRequired {
                reference: reference(request),
                redirect_url: None,
            };
        }
        self.latch.passed().await;
        Outcome::Succeeded {
            reference: reference(request),
            transaction: transaction(request),
            amount_minor: request.amount.minor(),
        }
    }

    /// What some scripts say to this one of so many requests, whatever was done.
    fn answered(
        &self,
        script: Script,
        request: &AttemptRequest,
        (executes, requests): (bool, u32),
    ) -> Option<Outcome> {
        match script {
            Script::TakesOn if !self.truthful.load(Ordering::SeqCst) => {
                if executes {
                    self.charge(request);
                }
                let reference = reference(request);
                Some(Outcome::Pending { reference })
            }
            Script::Refuses { deaf } if self.lies(request, executes, requests <= deaf) => Some(not_sent()),
            Script::Refuses { .. } if !executes => Some(silence()),
            Script::Refuses { .. } => Some(Outcome::rejected("no such charge")),
            Script::Limited { times, retry_after_s } if requests <= times => {
                let retry_after = Millis::from_s(retry_after_s);
                Some(Outcome::RateLimited { retry_after })
            }
            _ => None,
        }
    }

    /// Counts a request; how many there were of its operation.
    fn count(&self, request: &AttemptRequest, executes: bool) -> u32 {
        let mut book = lock(&self.book);
        if executes {
            *book.executes.entry(request.payment).or_default() += 1;
        }
        book.brought += u32::from(request.details.is_some());
        let count = book.requests.entry(request.operation).or_default();
        *count += 1;
        *count
    }

    async fn answer(&self, request: &AttemptRequest, ask: Asked) -> Outcome {
        let executes = ask == Asked::Execute;
        let amount = request.amount.minor();
        self.take_time(amount).await;
        let requests = self.count(request, executes);
        let charge = |yes: bool| {
            if executes && yes {
                self.charge(request);
            }
        };
        let script = lock(&self.scripts)
            .get(&amount)
            .copied()
            .unwrap_or(Script::Succeed);
        if self.capabilities.recovery.charges_by_details && !executes {
            return self.tells_nothing(request).await;
        }
        if let Some(outcome) = self.answered(script, request, (executes, requests)) {
            return outcome;
        }
        match script {
            Script::Decline => return declined(*lock(&self.decline_code)),
            Script::DeclineFirst if request.key.ends_with("|1") => return declined("insufficient_funds"),
            Script::Challenge if ask != Asked::Cancel => {
                let closed = lock(&self.book).closed.contains(&request.key);
                if !closed && !self.truthful.load(Ordering::SeqCst) {
                    return Outcome::ActionRequired {
                        reference: reference(request),
                        redirect_url: None,
                    };
                }
                self.charge(request);
            }
            Script::PassedTooLate if ask != Asked::Cancel => {
                return self.passes_too_late(request, requests).await;
            }
            Script::Unknown { charged, times } if requests <= times => {
                charge(charged);
                return silence();
            }
            Script::Mute { charged } if !self.truthful.load(Ordering::SeqCst) => {
                charge(charged);
                return silence();
            }
            Script::NotSent { times } if requests <= times => {
                return not_sent();
            }
            Script::KeyRefused { times } if requests <= times => return key_refused(),
            Script::ChargedThenNotSent { .. } if requests == 1 => {
                charge(true);
                return silence();
            }
            Script::ChargedThenNotSent { times } if requests <= times + 1 => {
                return not_sent();
            }
            Script::Panic { times } if requests <= times => {
                charge(true);
                panic!("{INJECTED}");
            }
            Script::Held => self.latch.passed().await,
            Script::PreparedTwice => {
                charge(true);
                self.latch.passed().await;
            }
            Script::Lies { deaf } if self.lies(request, executes, requests <= deaf) => return not_sent(),
            Script::Succeed
            | Script::Lies { .. }
            | Script::DeclineFirst
            | Script::Challenge
            | Script::PassedTooLate
            | Script::TakesOn
            | Script::Refuses { .. }
            | Script::Limited { .. }
            | Script::Unknown { .. }
            | Script::Mute { .. }
            | Script::NotSent { .. }
            | Script::KeyRefused { .. }
            | Script::ChargedThenNotSent { .. }
            | Script::Panic { .. } => {}
        }
        charge(true);
        if ask == Asked::Cancel {
            let mut book = lock(&self.book);
            if !book.done.contains_key(&request.key) {
                book.closed.insert(Arc::clone(&request.key));
            }
        }
        self.truth(request)
    }
}

impl KeyOwners for Scripted {
    fn key_owner(&self, merchant: MerchantId, made_at: Timestamp) -> Option<KeyOwner> {
        Some(self.own_keys.owner(merchant, made_at))
    }
}

impl Provider for Scripted {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn prepare<'a>(
        &'a self,
        request: &'a AttemptRequest,
    ) -> BoxFuture<'a, Result<ProviderReference, Outcome>> {
        Box::pin(async move {
            let script = lock(&self.scripts).get(&request.amount.minor()).copied();
            if matches!(script, Some(Script::PreparedTwice)) {
                let before = self.made.fetch_add(1, Ordering::SeqCst);
                self.making[before.min(1)].passed().await;
                if before > 0 {
                    return Err(Outcome::Unknown {
                        reason: Arc::from("read timeout"),
                        reference: None,
                    });
                }
            }
            Ok(reference(request))
        })
    }

    fn execute<'a>(&'a self, request: &'a AttemptRequest) -> BoxFuture<'a, Outcome> {
        Box::pin(self.answer(request, Asked::Execute))
    }

    fn query<'a>(&'a self, request: &'a AttemptRequest) -> BoxFuture<'a, Outcome> {
        Box::pin(self.answer(request, Asked::Query))
    }

    fn cancel<'a>(&'a self, request: &'a AttemptRequest) -> BoxFuture<'a, Outcome> {
        Box::pin(self.answer(request, Asked::Cancel))
    }
}
