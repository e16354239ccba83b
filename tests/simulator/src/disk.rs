//! Owns the disks: a journal whose appends take time and may fail at every point, indexes and snapshots that may be lost.

use crate::clock::lock;
use crate::fault::Fault;
use crate::secrets::has_card;
use crate::tally::{Death, crossing, event, ledger_event, status, went_on};
use crate::world::World;
use florin_adapters::journal::{MemoryJournal, MemoryStore};
use florin_adapters::keys::MemoryKeyIndex;
use florin_adapters::views::MemoryViews;
use florin_domain::commit::{Body, Commit};
use florin_domain::ids::{PaymentId, Seq, ShardId};
use florin_domain::ledger::{AbortReason, CrossingStep, LedgerEvent};
use florin_domain::ports::{
    AnnouncingCommit, AppendError, Batch, BoxFuture, EventsPage, EventsQuery, Follower, Head, Journal,
    MovedIndex, MovedPage, MovedQuery, PaymentRow, PaymentsPage, PaymentsQuery, ReadError, RefundPlace,
    RefundsQuery, ShardSnapshot, SnapshotError, Snapshots, ViewError, Views, WaitingQuery,
};
use std::collections::btree_map::OccupiedEntry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;

/// What a shard has on disk besides its journal.
#[derive(Debug, Default)]
pub(crate) struct Folder {
    pub(crate) keys: Mutex<Arc<MemoryKeyIndex>>,
    pub(crate) views: Mutex<Arc<MemoryViews>>,
    snapshots: Mutex<BTreeMap<Seq, Result<ShardSnapshot, SnapshotError>>>,
    /// Damaged records.
    flipped: Mutex<BTreeSet<Seq>>,
    /// Until when the disk is full, in milliseconds of the world.
    full_until_ms: Mutex<u64>,
    /// Something is here that the journal does not explain.
    mixed_up: Mutex<bool>,
}

/// All disks: they outlive the processes.
#[derive(Debug)]
pub(crate) struct Disks {
    world: Arc<World>,
    store: MemoryStore,
    folders: Vec<Arc<Folder>>,
}

impl Disks {
    pub(crate) fn new(world: &Arc<World>) -> Self {
        Self {
            world: Arc::clone(world),
            store: MemoryStore::default(),
            folders: (0..world.shards).map(|_| Arc::default()).collect(),
        }
    }

    pub(crate) fn folder(&self, shard: ShardId) -> &Arc<Folder> {
        &self.folders[usize::from(shard.0)]
    }

    /// Takes ownership of a shard's journal, as a process does when it starts.
    pub(crate) fn open(&self, shard: ShardId) -> SlowJournal {
        SlowJournal {
            world: Arc::clone(&self.world),
            folder: Arc::clone(self.folder(shard)),
            inner: MemoryJournal::open(&self.store, shard),
            is_lost: AtomicBool::new(false),
        }
    }

    /// What a crash may take besides.
    pub(crate) fn crash(&self) {
        if self.world.hits_at_rest(Fault::SecretLost) {
            self.world.keys.lose();
        }
        for (number, folder) in (0_u16..).zip(&self.folders) {
            if self.world.hits_at_rest(Fault::IndexesLost) {
                folder.lose_indexes();
            }
            let mut snapshots = lock(&folder.snapshots);
            if !snapshots.is_empty() && self.world.hits_at_rest(Fault::SnapshotLost) {
                snapshots.pop_last();
            }
            if let Some(mut last) = snapshots.last_entry()
                && self.world.hits_at_rest(Fault::SnapshotUnreadable)
            {
                *last.get_mut() = Err(SnapshotError("a bad sector".to_owned()));
            }
            let head = lock(&self.world.journaled).head(ShardId(number)).0;
            if head > 0 && self.world.hits_at_rest(Fault::BitFlip) {
                let seq = self.world.chance(Fault::BitFlip, |dice| dice.within(1, head));
                lock(&folder.flipped).insert(Seq(seq));
            }
            drop(snapshots);
            if head > 0 && self.world.hits_at_rest(Fault::Mixed) {
                let how = self.world.chance(Fault::Mixed, |dice| dice.below(4));
                folder.mix_up(how, Seq(head));
            }
        }
    }

    /// The operator restores damaged records from a copy. Whether there were any.
    pub(crate) fn repair(&self) -> bool {
        let mut were = false;
        for folder in &self.folders {
            let mut flipped = lock(&folder.flipped);
            were |= !flipped.is_empty();
            flipped.clear();
            drop(flipped);
            if std::mem::take(&mut *lock(&folder.mixed_up)) {
                were = true;
                folder.lose_indexes();
                lock(&folder.snapshots).clear();
            }
        }
        were
    }

    /// Whether something is there that its journal does not explain.
    pub(crate) fn is_mixed_up(&self) -> bool {
        self.folders.iter().any(|folder| *lock(&folder.mixed_up))
    }

    /// Indexes and snapshots of all shards are gone.
    pub(crate) fn lose_all_but_journals(&self) {
        for folder in &self.folders {
            folder.lose_indexes();
            lock(&folder.snapshots).clear();
        }
    }
}

impl Folder {
    fn lose_indexes(&self) {
        *lock(&self.keys) = Arc::default();
        *lock(&self.views) = Arc::default();
    }

    /// Puts something here that the journal does not explain.
    fn mix_up(&self, how: u64, head: Seq) {
        let mut snapshots = lock(&self.snapshots);
        let newest = snapshots.last_entry().map(OccupiedEntry::into_mut);
        match (how, newest) {
            (0 | 1, Some(Ok(newest))) => newest.hash[0] ^= 1,
            (0..3, _) => {
                let later = ShardSnapshot {
                    seq: head.next(),
                    ..ShardSnapshot::default()
                };
                snapshots.insert(later.seq, Ok(later));
            }
            _ => {
                let views = Arc::clone(&lock(&self.views));
                let mut later = views.apply(Vec::new(), Vec::new(), head.next());
                let mut context = Context::from_waker(Waker::noop());
                // In memory it is there at once.
                drop(later.as_mut().poll(&mut context));
            }
        }
        *lock(&self.mixed_up) = true;
    }
}

/// A journal on a disk that has its own ways.
#[derive(Debug)]
pub(crate) struct SlowJournal {
    world: Arc<World>,
    folder: Arc<Folder>,
    inner: MemoryJournal,
    /// An fsync has failed: what this process still believes to be on the disk may not be.
    is_lost: AtomicBool,
}

/// The first `count` commits of a batch.
fn part(batch: &Batch, count: usize) -> Batch {
    Batch {
        commits: batch.commits.iter().take(count).cloned().collect(),
        ..batch.clone()
    }
}

impl SlowJournal {
    /// Makes it durable, and has it looked at.
    async fn keep(&self, batch: Batch) -> Result<Head, AppendError> {
        let commits = Arc::clone(&batch.commits);
        if commits.is_empty() {
            return self
                .inner
                .head(batch.shard)
                .await
                .map_err(|error| AppendError::Unknown(error.to_string()));
        }
        let kept = self.inner.append(batch).await;
        if let Ok(head) = &kept {
            self.world.note(format_args!(
                "durable {}:{} {:02x?}",
                commits[0].shard.0,
                head.seq,
                &head.hash[..4]
            ));
            let objections = lock(&self.world.journaled).hear(&commits);
            self.check_stopped(&commits);
            for objection in objections {
                self.world.breach(objection);
            }
            for commit in commits.iter() {
                self.check_secrets(commit);
                self.see(commit);
            }
        }
        kept
    }

    /// No card number is in any journal, whatever a provider or a merchant says.
    fn check_secrets(&self, commit: &Commit) {
        let why = match self.inner.record(commit.seq, has_card) {
            Some(false) => return,
            Some(true) => "it has the number of a card in it",
            None => "it is durable, and is not kept",
        };
        let (shard, seq) = (commit.shard, commit.seq);
        self.world.breach(format!("shard {shard:?} commit {seq}: {why}"));
    }

    /// Where clocks jump nobody knows what was decided first.
    fn check_stopped(&self, commits: &[Arc<Commit>]) {
        let jumps = [Fault::ClockAhead, Fault::ClockBack];
        if jumps.iter().any(|jump| self.world.plan.rate(*jump) > 0) {
            return;
        }
        for commit in commits {
            let Body::Payment(body) = &commit.body else {
                continue;
            };
            let merchant = lock(&self.world.journaled)
                .latest(body.payment)
                .map(|payment| payment.spec.merchant);
            for what in self.world.stopped.broken(commit, body, merchant) {
                self.world.breach(what);
            }
        }
    }

    fn see(&self, commit: &Commit) {
        match &commit.body {
            Body::Payment(body) => {
                for told in &body.events {
                    self.world.see("event", event(told));
                }
                if let Some(name) = went_on(&body.events) {
                    self.world.see("failover", name);
                }
                let name = lock(&self.world.journaled)
                    .latest(body.payment)
                    .map(|payment| status(&payment.status));
                if let Some(name) = name {
                    self.world.see("payment", name);
                }
            }
            Body::Ledger(ledger) => {
                self.world.see("ledger", ledger_event(&ledger.event));
                if let LedgerEvent::Crossed(steps) = &ledger.event {
                    for step in steps {
                        self.world.see("crossing", crossing(step));
                        if let CrossingStep::Aborted {
                            why: AbortReason::FraudCheck,
                            ..
                        } = step
                        {
                            self.world.see("fraud check", "refused");
                        }
                    }
                }
            }
            Body::Control(_) => {}
        }
    }

    fn is_full(&self) -> bool {
        let now_ms = self.world.clock.true_ms();
        let mut until_ms = lock(&self.folder.full_until_ms);
        if self.world.hits(Fault::DiskFull) {
            *until_ms = now_ms
                + self
                    .world
                    .chance(Fault::DiskFull, |dice| dice.within(500, 20_000));
        }
        now_ms < *until_ms && !self.world.is_healed()
    }

    /// The process ends while the batch is on its way, and so much of it is there afterwards.
    async fn cut(&self, batch: &Batch, count: usize) {
        let kept = self.keep(part(batch, count)).await;
        if let Err(error) = kept {
            self.world.note(format_args!("cut off: {error}"));
        }
        self.world.die(Death::Crashed);
        std::future::pending::<()>().await;
    }

    async fn append_now(&self, batch: Batch) -> Result<Head, AppendError> {
        let world = &self.world;
        world.alive().await;
        if self.is_lost.load(Ordering::SeqCst) {
            world.breach("a journal is written after an fsync error".to_owned());
        }
        let micros = world.chance(Fault::DiskSlow, |dice| dice.within(200, 3_000));
        tokio::time::sleep(Duration::from_micros(micros)).await;
        if world.hits(Fault::DiskSlow) {
            let ms = world.chance(Fault::DiskSlow, |dice| dice.within(20, 3_000));
            tokio::time::sleep(Duration::from_millis(ms)).await;
        }
        world.alive().await;
        if self.is_full() {
            return Err(AppendError::NoRoom("the disk is full".to_owned()));
        }
        let all = batch.commits.len();
        let some = |fault| world.chance(fault, |dice| dice.place(all + 1));
        if world.hits(Fault::CrashBeforeAppend) {
            self.cut(&batch, 0).await;
        }
        if world.hits(Fault::CrashTornAppend) {
            self.cut(&batch, some(Fault::CrashTornAppend)).await;
        }
        if world.hits(Fault::CrashAfterAppend) {
            self.cut(&batch, all).await;
        }
        if world.hits(Fault::FsyncError) {
            self.is_lost.store(true, Ordering::SeqCst);
            let kept = self.keep(part(&batch, some(Fault::FsyncError))).await;
            if let Err(error) = kept {
                world.note(format_args!("failed: {error}"));
            }
            return Err(AppendError::Unknown("fsync: an input/output error".to_owned()));
        }
        self.keep(batch).await
    }

    async fn read_now(&self, shard: ShardId, from: Seq, limit: usize) -> Result<Vec<Arc<Commit>>, ReadError> {
        self.world.alive().await;
        if self.world.hits(Fault::ReadFails) {
            return Err(ReadError::Store("an input/output error".to_owned()));
        }
        let mut taken = limit;
        if limit > 1 && self.world.hits(Fault::PageShort) {
            taken = self
                .world
                .chance(Fault::PageShort, |dice| dice.place(5) + 1)
                .min(limit);
        }
        let commits = self.inner.read(shard, from, taken).await?;
        let flipped = lock(&self.folder.flipped);
        match commits.iter().find(|commit| flipped.contains(&commit.seq)) {
            Some(commit) => Err(ReadError::Damaged {
                seq: commit.seq,
                why: "a bit has flipped".to_owned(),
            }),
            None => Ok(commits),
        }
    }
}

impl Journal for SlowJournal {
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<Head, AppendError>> {
        Box::pin(self.append_now(batch))
    }

    fn read(
        &self,
        shard: ShardId,
        from: Seq,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Arc<Commit>>, ReadError>> {
        Box::pin(self.read_now(shard, from, limit))
    }

    fn head(&self, shard: ShardId) -> BoxFuture<'_, Result<Head, ReadError>> {
        self.inner.head(shard)
    }

    fn hash_at(&self, shard: ShardId, seq: Seq) -> BoxFuture<'_, Result<Option<[u8; 32]>, ReadError>> {
        self.inner.hash_at(shard, seq)
    }
}

/// A view that cannot be written now and then.
#[derive(Debug)]
pub(crate) struct FrailViews {
    pub(crate) world: Arc<World>,
    pub(crate) inner: Arc<MemoryViews>,
}

impl Follower for FrailViews {
    fn apply(
        &self,
        rows: Vec<PaymentRow>,
        announced: Vec<AnnouncingCommit>,
        up_to: Seq,
    ) -> BoxFuture<'_, Result<(), ViewError>> {
        Box::pin(async move {
            self.world.alive().await;
            let ms = self.world.chance(Fault::ViewFails, |dice| dice.below(40));
            tokio::time::sleep(Duration::from_millis(ms)).await;
            self.world.alive().await;
            if self.world.hits(Fault::ViewFails) {
                return Err(ViewError::Store("an input/output error".to_owned()));
            }
            self.inner.apply(rows, announced, up_to).await?;
            // It is there, and the caller does not know yet.
            tokio::time::sleep(Duration::from_millis(ms / 2)).await;
            Ok(())
        })
    }

    fn watermark(&self) -> Result<Seq, ReadError> {
        self.inner.watermark()
    }
}

impl MovedIndex for FrailViews {
    fn moved(&self, query: MovedQuery) -> BoxFuture<'_, Result<MovedPage, ViewError>> {
        self.inner.moved(query)
    }
}

impl Views for FrailViews {
    fn payment(&self, id: PaymentId) -> BoxFuture<'_, Result<Option<PaymentRow>, ViewError>> {
        self.inner.payment(id)
    }

    fn payments(&self, query: PaymentsQuery) -> BoxFuture<'_, Result<PaymentsPage, ViewError>> {
        self.inner.payments(query)
    }

    fn waiting(&self, query: WaitingQuery) -> BoxFuture<'_, Result<Vec<PaymentRow>, ViewError>> {
        self.inner.waiting(query)
    }

    fn events(&self, query: EventsQuery) -> BoxFuture<'_, Result<EventsPage, ViewError>> {
        self.inner.events(query)
    }

    fn refunds(&self, query: RefundsQuery) -> BoxFuture<'_, Result<Vec<RefundPlace>, ViewError>> {
        self.inner.refunds(query)
    }
}

/// The snapshots of one shard; the newest two are kept.
#[derive(Debug)]
pub(crate) struct KeptSnapshots {
    pub(crate) world: Arc<World>,
    pub(crate) folder: Arc<Folder>,
}

impl Snapshots for KeptSnapshots {
    fn save(&self, _: ShardId, snapshot: &ShardSnapshot) -> Result<(), ReadError> {
        if self.world.is_dead() || self.world.hits(Fault::SnapshotLost) {
            return Err(ReadError::Store("no room for a snapshot".to_owned()));
        }
        let mut kept = lock(&self.folder.snapshots);
        kept.insert(snapshot.seq, Ok(snapshot.clone()));
        while kept.len() > 2 {
            kept.pop_first();
        }
        Ok(())
    }

    fn kept(&self, _: ShardId) -> Result<Vec<Seq>, ReadError> {
        Ok(lock(&self.folder.snapshots).keys().rev().copied().collect())
    }

    fn load(&self, _: ShardId, seq: Seq) -> Result<ShardSnapshot, SnapshotError> {
        let none = || Err(SnapshotError("none is kept".to_owned()));
        lock(&self.folder.snapshots)
            .get(&seq)
            .cloned()
            .unwrap_or_else(none)
    }
}
