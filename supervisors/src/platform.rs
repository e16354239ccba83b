//! The platform as a whole: recovery, start, drain.

use crate::ops::Ops;
use crate::recovery::{Progress, recover};
use crate::root::{Root, RootArguments, RootMail, singleton_mailbox};
use arc_swap::ArcSwap;
use florin_actors::admission::Admission;
use florin_actors::consistency_handle::ConsistencyHandle;
use florin_actors::context::{Context, Figures, IndexLag, Ports, ProviderSeat};
use florin_actors::kind::Kind;
use florin_actors::ledger_handle::LedgerHandle;
use florin_actors::options::{OptionError, Options};
use florin_actors::payments_handle::PaymentsHandle;
use florin_actors::projection::ProjectionMail;
use florin_actors::resolution::ResolutionMail;
use florin_actors::risk::recall::recall;
use florin_domain::ids::ShardId;
use florin_domain::limits::TRANSFERS_IN_FLIGHT_MAX;
use florin_domain::ports::{Provider, ReadError};
use ractor::{Actor, ActorRef, SpawnErr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;
use thiserror::Error;
use tokio::sync::{Semaphore, oneshot};

/// Why the platform cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// An option cannot be.
    #[error(transparent)]
    Options(#[from] OptionError),
    /// The journal cannot be read back.
    #[error(transparent)]
    Recovery(#[from] ReadError),
    /// The tree could not be built.
    #[error("the supervision tree could not be started: {0}")]
    Tree(#[from] SpawnErr),
}

/// A running platform.
#[derive(Debug)]
pub struct Platform {
    context: Arc<Context>,
    root: ActorRef<RootMail>,
}

impl Platform {
    /// Recovers, builds the tree in order, and takes up what was open. Must be called on the core runtime, not on an HTTP
    /// worker's: actors live where they are spawned.
    pub async fn start(ports: Ports, options: Options, progress: &Progress) -> Result<Self, StartError> {
        options.check()?;
        let shard = ShardId::FIRST;
        let (head, start) = recover(&ports, shard, progress).await?;
        let open: Vec<_> = start.open.keys().copied().collect();
        let control = start.control.clone();
        let figures = Arc::new(Figures::new());
        let lag = Arc::new(IndexLag::default());
        let settings = (&options, figures.as_ref());
        let seat = |port: &Arc<dyn Provider>| ProviderSeat {
            id: port.capabilities().id,
            port: Arc::clone(port),
            mailbox: singleton_mailbox(settings, Kind::Provider),
            disabled: AtomicBool::default(),
            in_flight: AtomicUsize::default(),
            waiting: AtomicUsize::default(),
            promised: AtomicUsize::default(),
        };
        let context = Arc::new(Context {
            shard,
            epoch: head.epoch,
            providers: ports.providers.iter().map(|port| Arc::new(seat(port))).collect(),
            admission: Arc::new(Admission::new(options.admission, Arc::clone(&lag))),
            writer: singleton_mailbox(settings, Kind::JournalWriter),
            account_shard: singleton_mailbox(settings, Kind::AccountShard),
            transfer_room: Arc::new(Semaphore::new(TRANSFERS_IN_FLIGHT_MAX)),
            projection: singleton_mailbox(settings, Kind::Projection),
            idempotency: singleton_mailbox(settings, Kind::Idempotency),
            risk: (0..options.risk_shards)
                .map(|_| singleton_mailbox(settings, Kind::Risk))
                .collect(),
            resolution: singleton_mailbox(settings, Kind::Resolution),
            deadlines: singleton_mailbox(settings, Kind::Deadlines),
            scrub: singleton_mailbox(settings, Kind::Scrub),
            scrub_place: ArcSwap::default(),
            monitor: singleton_mailbox(settings, Kind::Monitor),
            monitor_board: ArcSwap::default(),
            guardians: (0..options.guardians)
                .map(|_| singleton_mailbox(settings, Kind::PaymentGuardian))
                .collect(),
            directory: ArcSwap::default(),
            figures: Arc::clone(&figures),
            lag,
            ports,
            options,
        });
        context.govern(Arc::new(control));
        let arguments = RootArguments {
            context: Arc::clone(&context),
            start,
        };
        let (root, _) = Actor::spawn(None, Root, arguments).await?;
        if !open.is_empty() {
            tracing::info!(
                count = open.len(),
                "taking up payments with an unresolved operation"
            );
            context.resolution.step(ResolutionMail::Adopt(open));
        }
        drop(tokio::spawn(recall(Arc::clone(&context), head.seq)));
        Ok(Self { context, root })
    }

    /// What all actors share.
    pub fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// The face of payments.
    pub fn payments(&self) -> PaymentsHandle {
        PaymentsHandle::new(Arc::clone(&self.context))
    }

    /// The face of the ledger.
    pub fn ledger(&self) -> LedgerHandle {
        LedgerHandle::new(Arc::clone(&self.context))
    }

    /// The face of the consistency monitor.
    pub fn consistency(&self) -> ConsistencyHandle {
        ConsistencyHandle::new(vec![Arc::clone(&self.context)])
    }

    /// What operators see; `render` writes all metrics as text.
    pub fn ops(&self, render: Box<dyn Fn() -> String + Send + Sync>) -> Ops {
        Ops::new(Arc::clone(&self.context), self.root.clone(), render)
    }

    /// Stops taking work, waits up to `limit` for what is in flight, brings the indexes up to date, keeps a snapshot and stops
    /// the tree. Returns how many operations were still in flight: they are taken up after the next start.
    pub async fn drain(self, limit: Duration) -> usize {
        let context = &self.context;
        context.admission.drain();
        let deadline = tokio::time::Instant::now() + limit;
        while context.admission.in_flight() > 0 && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let left = context.admission.in_flight();
        let finish = async {
            let (reply, settled) = oneshot::channel();
            context.projection.step(ProjectionMail::Settle(reply));
            drop(settled.await);
            if let Err(error) = self.ledger().snapshot().await {
                tracing::warn!(%error, "no snapshot at shutdown; recovery will read a longer tail");
            }
            let keys = Arc::clone(&context.ports.keys);
            drop(tokio::task::spawn_blocking(move || keys.flush()).await);
        };
        if tokio::time::timeout(limit.max(Duration::from_secs(1)), finish)
            .await
            .is_err()
        {
            tracing::warn!(
                "the indexes could not be brought up to date in time; they will be at the next start"
            );
        }
        drop(self.root.send_message(RootMail::Draining));
        drop(
            self.root
                .stop_and_wait(None, Some(limit.max(Duration::from_secs(1))))
                .await,
        );
        left
    }
}
