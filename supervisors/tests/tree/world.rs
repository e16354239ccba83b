//! What outlives a process (journal, indexes, provider, clock), and the platform started on it. Every life has a runtime of its
//! own; dropping it is a crash: whatever was under way ends between two instructions.

use crate::audit::Truth;
use crate::mischief::INJECTED;
use crate::ports::{
    FatalLog, FaultyJournal, FixedClock, GatedViews, JournalFaults, MemorySnapshots, PlainKeys, REQUEST,
    SeededEntropy, lock,
};
use crate::probe::PanicProbe;
use crate::provider::{Script, Scripted};
use florin_actors::context::{AsViewed, NoCopies, Ports, Webhooks};
use florin_actors::kind::Kind;
use florin_actors::offload::BlockingThreads;
use florin_actors::options::{Options, ProviderCaps, ProviderTerms, StageTimeouts};
use florin_actors::payment::Start;
use florin_actors::payments_handle::{Answered as Shown, NewPayment, PaymentsHandle, RequestError};
use florin_adapters::journal::{FromJournal, MemoryJournal, MemoryStore};
use florin_adapters::keys::MemoryKeyIndex;
use florin_domain::breaker::BreakerPolicy;
use florin_domain::idempotency::{Fingerprint, IdempotencyKey, KeyDigest};
use florin_domain::ids::{MerchantId, ShardId};
use florin_domain::method::PaymentMethod;
use florin_domain::money::{Amount, Currency, FeeSchedule};
use florin_domain::payment::{CaptureMethod, DeclinePolicy, Device};
use florin_domain::ports::{KeyIndex, TransferIndex, Views};
use florin_domain::retry::{BudgetPolicy, RetryPolicy};
use florin_supervisors::platform::{Platform, StartError};
use std::panic;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Everything outside the process.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) options: Options,
    pub(crate) store: MemoryStore,
    pub(crate) keys: Mutex<Arc<MemoryKeyIndex>>,
    pub(crate) views: Mutex<Arc<GatedViews>>,
    pub(crate) snapshots: Arc<MemorySnapshots>,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) entropy: Arc<SeededEntropy>,
    pub(crate) provider: Arc<Scripted>,
    /// Where charges go that the first one does not take.
    pub(crate) backup: Option<Arc<Scripted>>,
    /// How merchants are told.
    pub(crate) webhooks: Option<Webhooks>,
    pub(crate) probe: Arc<PanicProbe>,
    pub(crate) fatal: Arc<FatalLog>,
    pub(crate) faults: Arc<JournalFaults>,
    /// The journal as the latest life opened it.
    journal: Mutex<Option<Arc<FaultyJournal>>>,
    /// Commits that the latest recovery read.
    pub(crate) recovered: AtomicU64,
}

static QUIET_PANICS: Once = Once::new();

/// Panics of the probe are the point of these tests; only others are worth a message.
fn quiet_injected_panics() {
    QUIET_PANICS.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if info.payload_as_str() != Some(INJECTED) {
                usual(info);
            }
        }));
    });
}

/// Few guardians and permits, so that payments meet in them.
pub(crate) fn options() -> Options {
    Options {
        // Its tests ask for rounds; others would count its reads.
        monitor_every: Duration::ZERO,
        guardians: 4,
        provider_terms: ProviderTerms {
            caps: ProviderCaps {
                permits: 4,
                queue_max: 1000,
            },
            cost_bps: 290,
            settles_within: None,
        },
        // Its scripts fail often and together.
        breaker: BreakerPolicy {
            failures_max: u32::MAX,
            ..BreakerPolicy::default()
        },
        // And its clock stands, so that the window of a budget never passes.
        retry: RetryPolicy {
            budget: BudgetPolicy {
                retries_min: u32::MAX,
                ..BudgetPolicy::default()
            },
            ..RetryPolicy::default()
        },
        ..Options::default()
    }
}

/// For lives in real time: a busy machine must not run a stage's time out.
pub(crate) fn patient() -> Options {
    let long = Duration::from_mins(2);
    let stages = StageTimeouts {
        idempotency: long,
        risk: long,
        selection: long,
        ..StageTimeouts::default()
    };
    Options {
        stages,
        answer_budget: long,
        ..options()
    }
}

pub(crate) fn merchant() -> MerchantId {
    MerchantId::from_bits(7)
}

/// The amount of request `n`: every request has its own, so the witness can tell them apart.
pub(crate) fn amount_minor(n: usize) -> i128 {
    1000 + i128::try_from(n).unwrap()
}

pub(crate) fn key_digest(n: usize) -> KeyDigest {
    KeyDigest((n as u128).to_be_bytes())
}

/// Request `n`. All have their own key; eight customers share them.
pub(crate) fn request(n: usize) -> NewPayment {
    NewPayment {
        id: None,
        merchant: merchant(),
        livemode: false,
        fee: FeeSchedule::new(290, 0.into()).unwrap(),
        key: IdempotencyKey::parse(&format!("order-{n}")).unwrap(),
        key_digest: key_digest(n),
        fingerprint: Fingerprint((n as u128 + 1).to_be_bytes()),
        amount: Amount::new(amount_minor(n)).unwrap(),
        currency: Currency::USD,
        start: Start::Charge(PaymentMethod::test("pm_card_visa").unwrap()),
        after_decline: DeclinePolicy::Fail,
        capture_method: CaptureMethod::Automatic,
        customer: Some(Arc::from(format!("customer-{}", n % 8))),
        description: None,
        metadata: Vec::new(),
        return_url: None,
        routing: florin_domain::routing::Wishes::default(),
        off_session: false,
        device: Device::default(),
    }
}

pub(crate) type Answered = Result<Shown, RequestError>;

/// Submits request `n`.
pub(crate) async fn submit(payments: &PaymentsHandle, n: usize) -> Answered {
    REQUEST.scope(n, payments.create(request(n))).await
}

/// Submits requests at once, each in a task of its own.
pub(crate) fn submit_all(
    payments: &PaymentsHandle,
    requests: impl IntoIterator<Item = usize>,
) -> Vec<(usize, JoinHandle<Answered>)> {
    let one = |n| {
        let payments = payments.clone();
        (n, tokio::spawn(async move { submit(&payments, n).await }))
    };
    requests.into_iter().map(one).collect()
}

pub(crate) async fn answers(asked: Vec<(usize, JoinHandle<Answered>)>) -> Vec<(usize, Answered)> {
    let mut answers = Vec::with_capacity(asked.len());
    for (n, task) in asked {
        answers.push((n, task.await.expect("a request does not panic")));
    }
    answers
}

/// Waits (in virtual time, or in short naps of real time) until `holds`.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..30_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("still waiting: {what}");
}

/// Longer than every timer of a payment whose provider answers.
pub(crate) async fn let_settle() {
    tokio::time::sleep(Duration::from_mins(3)).await;
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        Self::with(seed, options(), Scripted::new(false, true))
    }

    pub(crate) fn with(seed: u64, options: Options, provider: Scripted) -> Self {
        quiet_injected_panics();
        Self {
            options,
            store: MemoryStore::default(),
            keys: Mutex::default(),
            views: Mutex::default(),
            snapshots: Arc::default(),
            clock: Arc::new(FixedClock::new()),
            entropy: Arc::new(SeededEntropy::new(seed)),
            provider: Arc::new(provider),
            backup: None,
            webhooks: None,
            probe: Arc::default(),
            fatal: Arc::default(),
            faults: Arc::default(),
            journal: Mutex::default(),
            recovered: AtomicU64::new(0),
        }
    }

    pub(crate) fn script(&self, n: usize, script: Script) {
        self.provider.script(amount_minor(n), script);
    }

    /// What a crash takes when the indexes were only in memory.
    pub(crate) fn lose_indexes(&self) {
        *lock(&self.keys) = Arc::default();
        *lock(&self.views) = Arc::default();
    }

    pub(crate) fn views(&self) -> Arc<GatedViews> {
        Arc::clone(&lock(&self.views))
    }

    pub(crate) fn ports(&self) -> Ports {
        let inner = MemoryJournal::open(&self.store, ShardId::FIRST);
        let journal = Arc::new(FaultyJournal {
            inner,
            faults: Arc::clone(&self.faults),
        });
        *lock(&self.journal) = Some(Arc::clone(&journal));
        let keys: Arc<MemoryKeyIndex> = Arc::clone(&lock(&self.keys));
        let views: Arc<GatedViews> = self.views();
        Ports {
            past: Arc::new(FromJournal(Arc::clone(&journal) as _)),
            journal,
            transfers: Arc::clone(&keys) as Arc<dyn TransferIndex>,
            keys: keys as Arc<dyn KeyIndex>,
            shown: Arc::new(AsViewed(Arc::clone(&views) as _)),
            views: views as Arc<dyn Views>,
            velocity: Arc::new(NoCopies),
            snapshots: Arc::clone(&self.snapshots) as _,
            clock: Arc::clone(&self.clock) as _,
            entropy: Arc::clone(&self.entropy) as _,
            provider_keys: Arc::new(PlainKeys),
            providers: [&self.provider]
                .into_iter()
                .chain(&self.backup)
                .map(|provider| Arc::clone(provider) as _)
                .collect(),
            probe: Arc::clone(&self.probe) as _,
            fatal: Arc::clone(&self.fatal) as _,
            offload: Arc::new(BlockingThreads),
            webhooks: self.webhooks.clone(),
        }
    }

    /// Starts the platform on the present runtime.
    pub(crate) async fn start(&self) -> Platform {
        self.recovered.store(0, Ordering::SeqCst);
        let before = self.faults.paged.load(Ordering::SeqCst);
        let platform = Platform::start(self.ports(), self.options.clone(), &|_, _| {})
            .await
            .unwrap();
        self.recovered.store(
            self.faults.paged.load(Ordering::SeqCst) - before,
            Ordering::SeqCst,
        );
        platform
    }

    /// Why the platform refuses to start.
    #[track_caller]
    pub(crate) fn refusal(&self) -> StartError {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        let starting = Platform::start(self.ports(), self.options.clone(), &|_, _| {});
        runtime.block_on(starting).expect_err("it starts")
    }

    /// One life on one thread and in virtual time, which passes only when nothing else can happen. Ends in a crash, unless `live`
    /// drained the platform.
    pub(crate) fn life<T>(&self, live: impl AsyncFnOnce(&Self, Platform) -> T) -> T {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let whole = async {
                let platform = self.start().await;
                live(self, platform).await
            };
            tokio::time::timeout(Duration::from_hours(4), whole)
                .await
                .expect("the life hangs")
        })
    }

    /// One life on two threads and in real time.
    pub(crate) fn busy_life<T>(&self, live: impl AsyncFnOnce(&Self, Platform) -> T) -> T {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(2).enable_time().build().unwrap();
        let result = runtime.block_on(async {
            let whole = async {
                let platform = self.start().await;
                live(self, platform).await
            };
            tokio::time::timeout(Duration::from_mins(5), whole)
                .await
                .expect("the life hangs")
        });
        runtime.shutdown_timeout(Duration::from_secs(5));
        result
    }

    /// What the journal says, whoever owns it now.
    pub(crate) fn truth(&self) -> Truth {
        let journal = lock(&self.journal)
            .clone()
            .expect("a life has opened the journal");
        Truth::read(&journal.inner)
    }
}

/// Payments in memory.
pub(crate) fn live_payments(platform: &Platform) -> i64 {
    platform
        .context()
        .figures
        .kind(Kind::Payment)
        .live
        .load(Ordering::SeqCst)
}

/// Runs every case, and fails with the list of those that did not hold.
pub(crate) fn all_cases<C: std::fmt::Debug>(cases: impl IntoIterator<Item = C>, mut check: impl FnMut(&C)) {
    let mut failed = Vec::new();
    for case in cases {
        if panic::catch_unwind(panic::AssertUnwindSafe(|| check(&case))).is_err() {
            failed.push(case);
        }
    }
    assert!(failed.is_empty(), "these cases failed: {failed:?}");
}
