//! The platform as a whole: recovery, start, drain.

use crate::counted::Counted;
use crate::ops::Ops;
use crate::recovery::{Progress, recover};
use crate::root::{Root, RootArguments, RootMail, singleton_mailbox};
use arc_swap::ArcSwap;
use florin_actors::account_shard::{ShardMail, ShardStart};
use florin_actors::admission::Admission;
use florin_actors::consistency_handle::ConsistencyHandle;
use florin_actors::context::{Context, Figures, IndexLag, Ports};
use florin_actors::kind::Kind;
use florin_actors::ledger_handle::{LedgerError, LedgerHandle};
use florin_actors::mailbox::Mailbox;
use florin_actors::news::News;
use florin_actors::options::{OptionError, Options};
use florin_actors::own_matters::OwnMatters;
use florin_actors::payments_handle::PaymentsHandle;
use florin_actors::projection::ProjectionMail;
use florin_actors::provider::ProviderSeat;
use florin_actors::resolution::ResolutionMail;
use florin_actors::risk::RiskMail;
use florin_actors::shards::Shards;
use florin_actors::webhooks_handle::WebhooksHandle;
use florin_domain::ids::{MerchantId, Seq, ShardId};
use florin_domain::limits::TRANSFERS_IN_FLIGHT_MAX;
use florin_domain::merchant::Control;
use florin_domain::ports::{Head, Provider, ReadError};
use ractor::{Actor, ActorRef, SpawnErr};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::{Mutex, Semaphore, oneshot};

/// Why the platform cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// An option cannot be.
    #[error(transparent)]
    Options(#[from] OptionError),
    /// The journal cannot be read back.
    #[error(transparent)]
    Recovery(#[from] ReadError),
    /// A merchant is at home in a shard that is not started.
    #[error("merchant {merchant} is at home in shard {}, and there are {shards} shards", merchant.shard().0)]
    Homeless {
        /// Who.
        merchant: MerchantId,
        /// How many shards there are.
        shards: usize,
    },
    /// What is closed in one shard could not be closed in the others.
    #[error("the shards' closed periods could not be brought together: {0}")]
    Periods(#[from] LedgerError),
    /// There is no shard to start.
    #[error("there is no shard")]
    NoShard,
    /// The tree could not be built.
    #[error("the supervision tree could not be started: {0}")]
    Tree(#[from] SpawnErr),
}

/// How long the trees of a start that failed have for what they began.
const FAILED_START_DRAIN: Duration = Duration::from_secs(5);

/// What webhook endpoints of a shard read at the same time.
const WEBHOOK_READS: usize = 8;

/// A running platform.
#[derive(Debug)]
pub struct Platform {
    shards: Shards,
    /// One for each shard, in the same order.
    roots: Vec<ActorRef<RootMail>>,
}

/// What recovery found of one shard.
struct Recovered {
    head: Head,
    start: ShardStart,
    ports: Ports,
}

/// What all shards share.
struct Shared {
    options: Options,
    figures: Arc<Figures>,
    lags: Vec<Arc<IndexLag>>,
    admission: Arc<Admission>,
    transfer_room: Arc<Semaphore>,
    directory: Arc<ArcSwap<Control>>,
    peers: Arc<[Mailbox<ShardMail>]>,
    risk: Vec<Mailbox<RiskMail>>,
    providers: Vec<Arc<ProviderSeat>>,
}

impl Platform {
    /// Starts a platform of one shard; see [`Platform::start_shards`].
    pub async fn start(ports: Ports, options: Options, progress: &Progress) -> Result<Self, StartError> {
        Self::start_shards(ports, Vec::new(), options, progress).await
    }

    /// Recovers, builds the trees in order, and takes up what was open. The home comes first, then the other shards by number from 1;
    /// all have the same clock, entropy, providers, probe and fatal port. Must be called on the core runtime, not on an HTTP
    /// worker's: actors live where they are spawned.
    pub async fn start_shards(
        home: Ports,
        others: Vec<Ports>,
        options: Options,
        progress: &Progress,
    ) -> Result<Self, StartError> {
        options.check()?;
        let shared = Shared::new(&home, others.len().saturating_add(1), options);
        let mut recovered = Vec::new();
        for (number, ports) in (0_u16..).zip(std::iter::once(home).chain(others)) {
            let (head, start) = recover(&ports, ShardId(number), progress).await?;
            recovered.push(Recovered { head, start, ports });
        }
        let mut contexts = Vec::new();
        let mut starts = Vec::new();
        for (number, Recovered { head, start, ports }) in (0_u16..).zip(recovered) {
            contexts.push(Arc::new(shared.context(ShardId(number), head, ports)));
            starts.push((head, start));
        }
        let mut contexts = contexts.into_iter();
        let home = contexts.next().ok_or(StartError::NoShard)?;
        let shards = Shards::new(home, contexts.collect());
        if let Some((_, start)) = starts.first() {
            let mut merchants = start.control.merchants.iter().map(|merchant| merchant.id);
            if let Some(merchant) = merchants.find(|id| shards.get(id.shard()).is_none()) {
                let shards = shards.count();
                return Err(StartError::Homeless { merchant, shards });
            }
            shards.home().govern(Arc::new(start.control.clone()));
        }
        let is_level = [false, true].into_iter().all(|livemode| {
            let mut closed = starts
                .iter()
                .map(|(_, start)| start.books.closed_through(livemode));
            let first = closed.next();
            closed.all(|other| Some(other) == first)
        });
        let starts = starts
            .into_iter()
            .map(|(head, start)| (head.seq, start))
            .collect();
        let mut platform = Self {
            shards,
            roots: Vec::new(),
        };
        match platform.grow_all(starts, is_level).await {
            Ok(()) => Ok(platform),
            Err(error) => {
                // What has been started has begun to work: it must not go on where nobody owns it.
                platform.drain(FAILED_START_DRAIN).await;
                Err(error)
            }
        }
    }

    /// Starts the trees in their order, and closes in all shards what is closed in some.
    async fn grow_all(&mut self, starts: Vec<(Seq, ShardStart)>, is_level: bool) -> Result<(), StartError> {
        let heads = starts.iter().map(|(head, _)| *head);
        let counted = Counted::at_start(self.shards.iter().cloned().zip(heads));
        for (context, (_, start)) in self.shards.iter().zip(starts) {
            self.roots.push(grow(context, start, counted.clone()).await?);
        }
        if !is_level {
            self.ledger().level_periods().await?;
        }
        Ok(())
    }

    /// The shards.
    pub fn shards(&self) -> &Shards {
        &self.shards
    }

    /// What all actors of the home share.
    pub fn context(&self) -> &Arc<Context> {
        self.shards.home()
    }

    /// The face of payments.
    pub fn payments(&self) -> PaymentsHandle {
        PaymentsHandle::new(self.shards.clone())
    }

    /// The face of the ledger.
    pub fn ledger(&self) -> LedgerHandle {
        LedgerHandle::new(self.shards.clone())
    }

    /// The face of webhook endpoints.
    pub fn webhooks(&self) -> WebhooksHandle {
        WebhooksHandle::new(self.shards.clone())
    }

    /// The face of the consistency monitors.
    pub fn consistency(&self) -> ConsistencyHandle {
        ConsistencyHandle::new(self.shards.clone())
    }

    /// What operators see; `render` writes all metrics as text.
    pub fn ops(&self, render: Box<dyn Fn() -> String + Send + Sync>) -> Ops {
        Ops::new(self.shards.clone(), self.roots.clone(), render)
    }

    /// Stops taking work, waits up to `limit` for what is in flight, brings the indexes up to date, keeps a snapshot and stops
    /// the tree. Returns how many operations were still in flight: they are taken up after the next start.
    pub async fn drain(self, limit: Duration) -> usize {
        let context = self.shards.home();
        context.admission.drain();
        let deadline = tokio::time::Instant::now() + limit;
        while context.admission.in_flight() > 0 && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let left = context.admission.in_flight();
        let finish = async {
            // After a start that failed, the last shards have no trees.
            for context in self.shards.iter().take(self.roots.len()) {
                let (reply, settled) = oneshot::channel();
                context.projection.step(ProjectionMail::Settle(reply));
                drop(settled.await);
            }
            if let Err(error) = self.ledger().snapshot().await {
                tracing::warn!(%error, "no snapshot at shutdown; recovery will read a longer tail");
            }
            for context in self.shards.iter() {
                let keys = Arc::clone(&context.ports.keys);
                let why = match context.try_aside(move || keys.flush()).await {
                    Ok(Ok(())) => continue,
                    Ok(Err(error)) => error.to_string(),
                    Err(panicked) => panicked.to_string(),
                };
                tracing::warn!(why, "the index of keys could not be brought up to date");
            }
        };
        if tokio::time::timeout(limit.max(Duration::from_secs(1)), finish)
            .await
            .is_err()
        {
            tracing::warn!(
                "the indexes could not be brought up to date in time; they will be at the next start"
            );
        }
        for root in &self.roots {
            drop(root.send_message(RootMail::Draining));
        }
        // The home goes last: its tree has what the others use.
        for root in self.roots.iter().rev() {
            let stopped = root.stop_and_wait(None, Some(limit.max(Duration::from_secs(1))));
            drop(stopped.await);
        }
        left
    }
}

impl Shared {
    fn new(home: &Ports, shards: usize, options: Options) -> Self {
        let figures = Arc::new(Figures::new());
        let settings = (&options, figures.as_ref());
        let seat = |port: &Arc<dyn Provider>| {
            let mailbox = singleton_mailbox(settings, Kind::Provider);
            let terms = settings.0.terms_of(port.capabilities().id);
            ProviderSeat::new(Arc::clone(port), mailbox, terms)
        };
        let lags: Vec<_> = (0..shards).map(|_| Arc::new(IndexLag::default())).collect();
        Self {
            providers: home.providers.iter().map(|port| Arc::new(seat(port))).collect(),
            admission: Arc::new(Admission::new(options.admission, lags.clone())),
            transfer_room: Arc::new(Semaphore::new(TRANSFERS_IN_FLIGHT_MAX)),
            directory: Arc::default(),
            peers: (0..shards)
                .map(|_| singleton_mailbox(settings, Kind::AccountShard))
                .collect(),
            risk: (0..options.risk_shards)
                .map(|_| singleton_mailbox(settings, Kind::Risk))
                .collect(),
            figures: Arc::clone(&figures),
            lags,
            options,
        }
    }

    fn context(&self, shard: ShardId, head: Head, ports: Ports) -> Context {
        let (options, place) = (self.options.clone(), usize::from(shard.0));
        let settings = (&options, self.figures.as_ref());
        Context {
            shard,
            epoch: head.epoch,
            providers: self.providers.clone(),
            admission: Arc::clone(&self.admission),
            writer: singleton_mailbox(settings, Kind::JournalWriter),
            account_shard: self.peers[place].clone(),
            peers: Arc::clone(&self.peers),
            transfer_room: Arc::clone(&self.transfer_room),
            alert_ids: Mutex::default(),
            projection: singleton_mailbox(settings, Kind::Projection),
            idempotency: singleton_mailbox(settings, Kind::Idempotency),
            keys_held: AtomicU64::new(0),
            published: AtomicU64::new(0),
            followed: AtomicU64::new(0),
            risk: self.risk.clone(),
            resolution: singleton_mailbox(settings, Kind::Resolution),
            deadlines: singleton_mailbox(settings, Kind::Deadlines),
            crossings: singleton_mailbox(settings, Kind::Crossings),
            scrub: singleton_mailbox(settings, Kind::Scrub),
            scrub_place: ArcSwap::default(),
            monitor: singleton_mailbox(settings, Kind::Monitor),
            monitor_board: ArcSwap::default(),
            own_matters: OwnMatters::default(),
            own_orphans: OwnMatters::default(),
            news: News::default(),
            webhook_reads: Arc::new(Semaphore::new(WEBHOOK_READS)),
            webhooks: singleton_mailbox(settings, Kind::WebhookGuardian),
            guardians: (0..options.guardians)
                .map(|_| singleton_mailbox(settings, Kind::PaymentGuardian))
                .collect(),
            directory: Arc::clone(&self.directory),
            figures: Arc::clone(&self.figures),
            lag: Arc::clone(&self.lags[place]),
            ports,
            options,
        }
    }
}

/// Starts the tree of a shard.
async fn grow(
    context: &Arc<Context>,
    start: ShardStart,
    counted: Counted,
) -> Result<ActorRef<RootMail>, StartError> {
    let open: Vec<_> = start.open.keys().copied().collect();
    let arguments = RootArguments {
        context: Arc::clone(context),
        start,
        counted: if context.is_home() {
            counted
        } else {
            Counted::default()
        },
    };
    let (root, _) = Actor::spawn(None, Root, arguments).await?;
    if !open.is_empty() {
        tracing::info!(
            count = open.len(),
            "taking up payments with an unresolved operation"
        );
        context.resolution.step(ResolutionMail::Adopt(open));
    }
    Ok(root)
}
