//! A provider that follows a script per amount, and its ledger of charges: the witness of what really happened.

use crate::mischief::INJECTED;
use crate::ports::{Latch, lock};
use florin_domain::ids::{OperationId, PaymentId};
use florin_domain::payment::OperationKind;
use florin_domain::ports::{AttemptRequest, BoxFuture, Provider};
use florin_domain::provider::{Capabilities, Outcome, ProviderId, ProviderKey, ProviderReference, Recovery};
use florin_domain::time::Millis;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How the provider treats a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Script {
    /// Charges and says so.
    Succeed,
    /// Declines.
    Decline,
    /// Answers its first `times` requests with nothing usable; has charged by then, or not.
    Unknown { charged: bool, times: u32 },
    /// Answers with nothing usable until [`Scripted::tell_the_truth`].
    Mute { charged: bool },
    /// Cannot be reached for the first `times` requests.
    NotSent { times: u32 },
    /// Charges at the first request and says nothing usable, cannot be reached for the next `times`, then tells.
    ChargedThenNotSent { times: u32 },
    /// Charges, and for the first `times` requests takes the task that asked down with it.
    Panic { times: u32 },
    /// Waits at the latch, then charges.
    Held,
    /// Declines the first attempt, charges the next.
    DeclineFirst,
    /// Challenges the customer, who has passed once [`Scripted::tell_the_truth`] was called.
    Challenge,
}

/// Something that was really executed.
#[derive(Clone, Copy, Debug)]
struct Done {
    payment: PaymentId,
    operation: OperationId,
    kind: OperationKind,
    minor: i128,
}

impl Done {
    /// Charges or reserves for a payment.
    fn is_charge(self) -> bool {
        matches!(self.kind, OperationKind::Sale | OperationKind::Authorize)
    }
}

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
    truthful: AtomicBool,
    slow: bool,
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
            truthful: AtomicBool::new(false),
            slow,
        }
    }

    pub(crate) fn script(&self, amount_minor: i128, script: Script) {
        lock(&self.scripts).insert(amount_minor, script);
    }

    pub(crate) fn tell_the_truth(&self) {
        self.truthful.store(true, Ordering::SeqCst);
    }

    /// Charges per payment.
    pub(crate) fn charges(&self) -> BTreeMap<PaymentId, usize> {
        let mut per_payment = BTreeMap::new();
        for done in lock(&self.book).done.values().filter(|done| done.is_charge()) {
            *per_payment.entry(done.payment).or_default() += 1;
        }
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
            OperationKind::Authorize | OperationKind::Increment | OperationKind::Void => 0,
        };
        lock(&self.book).done.values().map(moved).sum()
    }

    pub(crate) fn executes(&self, payment: PaymentId) -> u32 {
        lock(&self.book).executes.get(&payment).copied().unwrap_or(0)
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
                transaction: Arc::from(format!("ch_{}", request.key)),
                amount_minor: request.amount.minor(),
            }
        } else if book.closed.contains(&request.key) {
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

    async fn answer(&self, request: &AttemptRequest, ask: Asked) -> Outcome {
        let executes = ask == Asked::Execute;
        let amount = request.amount.minor();
        if self.slow {
            let latency = u64::try_from(amount * 7 % 23).unwrap();
            tokio::time::sleep(Duration::from_millis(latency)).await;
        }
        tokio::task::yield_now().await;
        let requests = {
            let mut book = lock(&self.book);
            if executes {
                *book.executes.entry(request.payment).or_default() += 1;
            }
            book.brought += u32::from(request.details.is_some());
            let count = book.requests.entry(request.operation).or_default();
            *count += 1;
            *count
        };
        let charge = |yes: bool| {
            if executes && yes {
                self.charge(request);
            }
        };
        let silence = || Outcome::Unknown {
            reason: Arc::from("read timeout"),
            reference: None,
        };
        let script = lock(&self.scripts)
            .get(&amount)
            .copied()
            .unwrap_or(Script::Succeed);
        match script {
            Script::Decline => {
                return Outcome::Declined {
                    decline_code: Arc::from("generic_decline"),
                    reference: None,
                };
            }
            Script::DeclineFirst if request.key.ends_with("|1") => {
                return Outcome::Declined {
                    decline_code: Arc::from("insufficient_funds"),
                    reference: None,
                };
            }
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
            Script::Unknown { charged, times } if requests <= times => {
                charge(charged);
                return silence();
            }
            Script::Mute { charged } if !self.truthful.load(Ordering::SeqCst) => {
                charge(charged);
                return silence();
            }
            Script::NotSent { times } if requests <= times => {
                return Outcome::NotSent {
                    reason: Arc::from("connection refused"),
                };
            }
            Script::ChargedThenNotSent { .. } if requests == 1 => {
                charge(true);
                return silence();
            }
            Script::ChargedThenNotSent { times } if requests <= times + 1 => {
                return Outcome::NotSent {
                    reason: Arc::from("connection refused"),
                };
            }
            Script::Panic { times } if requests <= times => {
                charge(true);
                panic!("{INJECTED}");
            }
            Script::Held => self.latch.passed().await,
            Script::Succeed
            | Script::DeclineFirst
            | Script::Challenge
            | Script::Unknown { .. }
            | Script::Mute { .. }
            | Script::NotSent { .. }
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

fn reference(request: &AttemptRequest) -> ProviderReference {
    Arc::from(format!("pi_{}", request.key))
}

impl Provider for Scripted {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn prepare<'a>(
        &'a self,
        request: &'a AttemptRequest,
    ) -> BoxFuture<'a, Result<ProviderReference, Outcome>> {
        Box::pin(async move { Ok(reference(request)) })
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
