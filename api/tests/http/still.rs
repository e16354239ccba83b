//! A world whose time stands. Its platform lives on one thread, on a clock that moves only when a provider or the journal takes time,
//! so that what a request takes is exact; the time of day is set by hand.

use crate::stand_ins::StandingClock;
use crate::world::{Ground, World};
use florin_actors::options::{Options, StageTimeouts};
use florin_adapters::entropy::OsEntropy;
use florin_adapters::journal::{MemoryJournal, MemoryStore};
use florin_domain::commit::Commit;
use florin_domain::credentials::KeyOwner;
use florin_domain::ids::{MerchantId, Seq, ShardId};
use florin_domain::ports::{
    AppendError, AttemptRequest, Batch, BoxFuture, Head, Journal, KeyOwners, Provider, ReadError,
};
use florin_domain::provider::{Capabilities, Outcome, ProviderId, ProviderReference, Recovery};
use florin_domain::time::{Millis, Timestamp};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// What a provider makes of each request to charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    Charges,
    Declines,
    /// Nobody is there, which takes time to find out.
    Missing,
    /// Says nothing usable.
    Silent,
}

/// What it makes of a request, and how long that takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Manner {
    pub(crate) deed: Deed,
    pub(crate) takes_ms: u64,
}

/// A provider with manners.
#[derive(Debug)]
pub(crate) struct Paced {
    capabilities: Capabilities,
    manner: Mutex<Manner>,
}

/// Lets this much time pass for everybody. Nobody else takes time meanwhile: requests are made one after another.
async fn pass_ms(ms: u64) {
    if ms > 0 {
        tokio::time::advance(Duration::from_millis(ms)).await;
    }
}

impl Paced {
    fn named(name: &str) -> Self {
        let capabilities = Capabilities {
            id: ProviderId::parse(name).unwrap(),
            prepares: false,
            key_lifetime: Millis::from_s(86_400),
            query_by_reference: true,
            cancel_closes: true,
            time_limit: Millis::from_s(5),
            recovery: Recovery::default(),
        };
        let manner = Manner {
            deed: Deed::Charges,
            takes_ms: 0,
        };
        Self {
            capabilities,
            manner: Mutex::new(manner),
        }
    }

    pub(crate) fn name(&self) -> &str {
        self.capabilities.id.as_str()
    }

    pub(crate) fn behaves(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }
}

fn silence() -> Outcome {
    Outcome::Unknown {
        reason: Arc::from("read timeout"),
        reference: None,
    }
}

impl KeyOwners for Paced {
    fn key_owner(&self, _merchant: MerchantId, _made_at: Timestamp) -> Option<KeyOwner> {
        Some(KeyOwner::Platform)
    }
}

impl Provider for Paced {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn prepare<'a>(
        &'a self,
        request: &'a AttemptRequest,
    ) -> BoxFuture<'a, Result<ProviderReference, Outcome>> {
        Box::pin(async move { Ok(Arc::from(format!("pi_{}", request.key))) })
    }

    fn execute<'a>(&'a self, request: &'a AttemptRequest) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let Manner { deed, takes_ms } = *self.manner.lock().unwrap();
            pass_ms(takes_ms).await;
            match deed {
                Deed::Charges => Outcome::Succeeded {
                    transaction: Arc::from(format!("ch_{}", request.key)),
                    reference: Arc::from(format!("pi_{}", request.key)),
                    amount_minor: request.amount.minor(),
                },
                Deed::Declines => Outcome::declined(Arc::from("insufficient_funds"), None),
                Deed::Missing => Outcome::not_sent("nobody is there"),
                Deed::Silent => silence(),
            }
        })
    }

    fn query<'a>(&'a self, _request: &'a AttemptRequest) -> BoxFuture<'a, Outcome> {
        Box::pin(async { silence() })
    }

    fn cancel<'a>(&'a self, _request: &'a AttemptRequest) -> BoxFuture<'a, Outcome> {
        Box::pin(async { silence() })
    }
}

/// A journal whose disk takes its time.
#[derive(Debug)]
struct SlowJournal {
    inner: MemoryJournal,
    append_ms: u64,
}

impl Journal for SlowJournal {
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<Head, AppendError>> {
        Box::pin(async move {
            pass_ms(self.append_ms).await;
            self.inner.append(batch).await
        })
    }

    fn read(
        &self,
        shard: ShardId,
        from: Seq,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Arc<Commit>>, ReadError>> {
        self.inner.read(shard, from, limit)
    }

    fn head(&self, shard: ShardId) -> BoxFuture<'_, Result<Head, ReadError>> {
        self.inner.head(shard)
    }

    fn hash_at(&self, shard: ShardId, seq: Seq) -> BoxFuture<'_, Result<Option<[u8; 32]>, ReadError>> {
        self.inner.hash_at(shard, seq)
    }
}

/// The world and its clocks.
#[derive(Debug)]
pub(crate) struct Still {
    /// While this is there no time passes by itself.
    hold: mpsc::Sender<()>,
    /// And while this is, the platform runs.
    run: oneshot::Sender<()>,
    thread: JoinHandle<()>,
    pub(crate) world: World,
    pub(crate) clock: Arc<StandingClock>,
    pub(crate) providers: Vec<Arc<Paced>>,
}

impl Still {
    /// With these providers, and a journal that takes so long to append.
    pub(crate) fn start(names: &[&str], append_ms: u64, change: impl FnOnce(&mut Options)) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        let runtime = Arc::new(runtime);
        let clock = Arc::<StandingClock>::default();
        let providers: Vec<_> = names.iter().map(|name| Arc::new(Paced::named(name))).collect();
        let ground = Ground {
            runtime: Arc::clone(&runtime),
            journal: Arc::new(SlowJournal {
                inner: MemoryJournal::open(&MemoryStore::default(), ShardId::FIRST),
                append_ms,
            }),
            clock: Arc::clone(&clock) as _,
            entropy: Arc::new(OsEntropy::new()),
            providers: providers
                .iter()
                .map(|provider| Arc::clone(provider) as _)
                .collect(),
            keeps_webhooks: true,
        };
        // The threads of the API have a clock of their own, and the two must not make anything late.
        let hours = |count: u64| Duration::from_secs(count * 3600);
        let world = World::on(
            ground,
            |_| {},
            |options| {
                options.answer_budget = hours(2);
                options.stages = StageTimeouts {
                    idempotency: hours(1),
                    risk: hours(1),
                    selection: hours(1),
                    authorization: hours(1),
                    ..StageTimeouts::default()
                };
                change(options);
            },
        );
        // A paused clock jumps to the next timer when nothing else is to be done, unless work that blocks is under way.
        let (hold, until) = mpsc::channel::<()>();
        runtime.spawn_blocking(move || until.recv().is_ok());
        let (run, ended) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || drop(runtime.block_on(ended)));
        Self {
            hold,
            run,
            thread,
            world,
            clock,
            providers,
        }
    }

    /// The time on the platform's own clock.
    pub(crate) fn now(&self) -> Instant {
        self.world.runtime.block_on(async { Instant::now() })
    }

    pub(crate) fn stop(self) {
        let Self {
            hold,
            run,
            thread,
            world,
            ..
        } = self;
        drop(hold);
        world.stop();
        drop(run);
        thread.join().unwrap();
    }
}
