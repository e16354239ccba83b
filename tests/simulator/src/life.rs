//! Owns one life of a process: it starts on what the disks have, customers and treasurers ask, operators and faults interfere, and it
//! ends in one way or another.

use crate::acquirer::Acquirer;
use crate::alarms::Alarms;
use crate::clock::lock;
use crate::customer::customer;
use crate::disk::{Disks, FrailViews, KeptSnapshots};
use crate::fault::Fault;
use crate::notices::carry;
use crate::operator::interfere;
use crate::receiver::Receivers;
use crate::shop::Shop;
use crate::tally::Death;
use crate::treasurer::{open_tills, treasurer};
use crate::treasury::Treasury;
use crate::watcher::{Watcher, watch};
use crate::world::{InPlace, World, WorldFatal, WorldProbe};
use florin_actors::context::{AsViewed, NoCopies, Ports};
use florin_actors::options::Options;
use florin_adapters::journal::FromJournal;
use florin_domain::ids::ShardId;
use florin_domain::ports::{Journal, Provider, Snapshots, Views};
use florin_supervisors::platform::{Platform, StartError};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

type WiredJournal = dyn Fn(Arc<dyn Journal>) -> Arc<dyn Journal>;
type WiredViews = dyn Fn(Arc<dyn Views>) -> Arc<dyn Views>;
type WiredSnapshots = dyn Fn(Arc<dyn Snapshots>) -> Arc<dyn Snapshots>;
type WiredProvider = dyn Fn(Arc<dyn Provider>, u64) -> Arc<dyn Provider>;

/// Ports of the platform as a test would have them: each is given the true one. The product has no such switch.
pub struct Wiring {
    /// The journal of every shard.
    pub journal: Box<WiredJournal>,
    /// The view of every shard.
    pub views: Box<WiredViews>,
    /// The snapshots of every shard.
    pub snapshots: Box<WiredSnapshots>,
    /// Every provider; also told how many processes there were before.
    pub provider: Box<WiredProvider>,
}

impl fmt::Debug for Wiring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wiring")
    }
}

impl Default for Wiring {
    fn default() -> Self {
        Self {
            journal: Box::new(|journal| journal),
            views: Box::new(|views| views),
            snapshots: Box::new(|snapshots| snapshots),
            provider: Box::new(|provider, _| provider),
        }
    }
}

/// Everything that outlives the processes.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) world: Arc<World>,
    pub(crate) disks: Disks,
    pub(crate) providers: Vec<Arc<Acquirer>>,
    /// Merchants' own servers.
    pub(crate) receivers: Option<Arc<Receivers>>,
    pub(crate) shop: Shop,
    pub(crate) treasury: Treasury,
    pub(crate) watcher: Watcher,
    pub(crate) alarms: Alarms,
    pub(crate) options: Options,
}

/// How long a life may last, in its own time.
const LIFE_MAX: Duration = Duration::from_mins(20);

impl Run {
    fn ports(&self, shard: ShardId, wiring: &Wiring, lives: u64) -> Ports {
        let (world, folder) = (&self.world, self.disks.folder(shard));
        let keys = Arc::clone(&lock(&folder.keys));
        let provider = |own: &Arc<Acquirer>| (wiring.provider)(Arc::clone(own) as Arc<dyn Provider>, lives);
        let views = (wiring.views)(Arc::new(FrailViews {
            world: Arc::clone(world),
            inner: Arc::clone(&lock(&folder.views)),
        }));
        let journal = (wiring.journal)(Arc::new(self.disks.open(shard)));
        Ports {
            past: Arc::new(FromJournal(Arc::clone(&journal))),
            journal,
            transfers: Arc::clone(&keys) as _,
            keys,
            shown: Arc::new(AsViewed(Arc::clone(&views))),
            views,
            velocity: Arc::new(NoCopies),
            snapshots: (wiring.snapshots)(Arc::new(KeptSnapshots {
                world: Arc::clone(world),
                folder: Arc::clone(folder),
            })),
            clock: Arc::clone(&world.clock) as _,
            entropy: Arc::clone(&world.entropy) as _,
            provider_keys: Arc::clone(&world.keys) as _,
            providers: self.providers.iter().map(provider).collect(),
            probe: Arc::new(WorldProbe(Arc::clone(world))),
            fatal: Arc::new(WorldFatal(Arc::clone(world))),
            offload: Arc::new(InPlace),
            webhooks: self.receivers.as_ref().map(Receivers::ports),
        }
    }

    pub(crate) async fn start(&self, wiring: &Wiring, lives: u64) -> Result<Platform, StartError> {
        let home = self.ports(ShardId::FIRST, wiring, lives);
        let mut others = Vec::new();
        for number in 1..self.world.shards {
            let own = self.ports(ShardId(number), wiring, lives);
            others.push(Ports {
                providers: home.providers.clone(),
                probe: Arc::clone(&home.probe),
                fatal: Arc::clone(&home.fatal),
                ..own
            });
        }
        Platform::start_shards(home, others, self.options.clone(), &|_, _| {}).await
    }

    /// One life on a runtime of its own, on one thread and in virtual time. Dropping the runtime is the end of the process: whatever
    /// was under way ends between two instructions.
    pub(crate) fn life(
        self: &Arc<Self>,
        live: impl AsyncFnOnce(&Arc<Self>) -> Death,
    ) -> Result<Death, std::io::Error> {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let clock = Arc::clone(&self.world.clock);
        runtime.on_thread_unpark(move || clock.passes());
        let runtime = runtime.enable_time().start_paused(true).build()?;
        let world = &self.world;
        let whole_life = async {
            world.live();
            let whole = async {
                let death = tokio::time::timeout(LIFE_MAX.saturating_mul(12), live(self)).await;
                world.die(death.unwrap_or(Death::Crashed));
            };
            tokio::select! {
                biased;
                () = world.ended() => {}
                () = whole => {}
            }
            // Here, because only here time is this runtime's.
            world.clock.end();
        };
        // What operators are alerted of is counted as their own systems would count it.
        metrics::with_local_recorder(&self.alarms, || runtime.block_on(whole_life));
        let death = world.death().unwrap_or(Death::Crashed);
        world.see("life", crate::tally::end(&death));
        drop(runtime);
        if death != Death::Drained {
            self.disks.crash();
        }
        Ok(death)
    }

    /// A life with faults.
    pub(crate) async fn live(self: &Arc<Self>, wiring: &Wiring, lives: u64) -> Death {
        let world = &self.world;
        let platform = match self.start(wiring, lives).await {
            Ok(platform) => platform,
            Err(error) => return self.refused(&error),
        };
        self.check_start(&platform);
        let leave = Arc::new(Notify::new());
        let mut tasks: Vec<JoinHandle<()>> = Vec::new();
        if let Some(receivers) = &self.receivers {
            receivers.register(&platform.webhooks()).await;
        }
        open_tills(self, &platform.ledger()).await;
        let mut comes_after = Duration::ZERO;
        for number in self.shop.open() {
            let (run, payments) = (Arc::clone(self), platform.payments());
            let comer = move || customer(run, payments, number);
            tasks.push(tokio::spawn(comes(comes_after, comer)));
            comes_after += self.world.scenario.between_customers();
        }
        for number in self.treasury.open() {
            tasks.push(tokio::spawn(treasurer(
                Arc::clone(self),
                platform.ledger(),
                number,
            )));
        }
        drop(tokio::spawn(watch(Arc::clone(self), platform.ledger())));
        drop(tokio::spawn(carry(Arc::clone(self), platform.payments())));
        interfere(self, &platform, &leave);
        let work = async {
            for task in tasks {
                if let Err(error) = task.await {
                    world.breach(format!("a caller failed: {error}"));
                }
            }
        };
        tokio::select! {
            biased;
            () = leave.notified() => {
                let limit = world.chance(Fault::Shutdown, |dice| dice.within(10, 20_000));
                platform.drain(Duration::from_millis(limit)).await;
                Death::Drained
            }
            () = work => Death::Done,
            () = tokio::time::sleep(LIFE_MAX) => Death::Crashed,
        }
    }

    /// What has started is governed as the journals say, and nothing is there that its journals do not explain.
    pub(crate) fn check_start(&self, platform: &Platform) {
        let world = &self.world;
        lock(&world.journaled).begin();
        if self.disks.is_mixed_up() {
            world.breach("the process starts on what its journal does not explain".to_owned());
        }
        let control = platform.context().directory.load_full();
        if *control != lock(&world.journaled).control {
            world.breach("the process is governed otherwise than its operators have decided".to_owned());
        }
    }

    /// A start may be refused on damaged records only, or if the disk could not be read just then.
    fn refused(&self, error: &StartError) -> Death {
        let world = &self.world;
        world.note(format_args!("refused: {error}"));
        let was_damaged = self.disks.repair();
        let reads_fail = world.plan.rate(Fault::ReadFails) > 0 && !world.is_healed();
        if !was_damaged && !reads_fail {
            world.breach(format!("the process does not start: {error}"));
        }
        Death::Refused
    }
}

/// Lets a customer come after a while; one that comes at once is not waited for. Thousands wait, so whoever waits takes little room.
async fn comes<C: Future<Output = ()>>(after: Duration, comer: impl FnOnce() -> C) {
    if !after.is_zero() {
        tokio::time::sleep(after).await;
    }
    Box::pin(comer()).await;
}
