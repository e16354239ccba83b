//! Ports that do as tests tell them: latches, a clock that stands, a journal and views with faults, a probe that panics.

use crate::mischief::{Altered, Trap, one_less};
use florin_actors::context::Fatal;
use florin_adapters::journal::MemoryJournal;
use florin_adapters::views::MemoryViews;
use florin_domain::commit::{Body, Commit};
use florin_domain::ids::{MerchantId, OperationId, PaymentId, Seq, ShardId};
use florin_domain::ports::{
    AnnouncingCommit, AppendError, Batch, BoxFuture, Clock, Entropy, EventsPage, EventsQuery, Follower, Head,
    Journal, MovedIndex, MovedPage, MovedQuery, PaymentRow, PaymentsPage, PaymentsQuery, ProviderKeys,
    ReadError, RefundPlace, RefundsQuery, ShardSnapshot, SnapshotError, Snapshots, ViewError, Views,
    WaitingQuery,
};
use florin_domain::provider::ProviderKey;
use florin_domain::time::Timestamp;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

/// A lock that a panicking actor does not spoil for the checks that follow.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets everybody pass while open.
#[derive(Debug)]
pub(crate) struct Latch(watch::Sender<bool>);

impl Default for Latch {
    fn default() -> Self {
        Self(watch::Sender::new(true))
    }
}

impl Latch {
    pub(crate) fn close(&self) {
        self.0.send_replace(false);
    }

    pub(crate) fn open(&self) {
        self.0.send_replace(true);
    }

    pub(crate) async fn passed(&self) {
        self.0
            .subscribe()
            .wait_for(|open| *open)
            .await
            .expect("the latch lives as long as its port");
    }
}

/// Stands until a test moves it.
#[derive(Debug)]
pub(crate) struct FixedClock(AtomicU64);

impl FixedClock {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(1_700_000_000_000))
    }

    pub(crate) fn advance_s(&self, seconds: u64) {
        self.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.0.load(Ordering::SeqCst))
    }
}

tokio::task_local! {
    /// The number of the request that is being submitted.
    pub(crate) static REQUEST: usize;
}

/// The same numbers in the same order for the same seed; remembers which of them became payment ids, and for which request.
#[derive(Debug)]
pub(crate) struct SeededEntropy {
    state: AtomicU64,
    ids: Mutex<HashMap<usize, Vec<u64>>>,
}

impl SeededEntropy {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            state: AtomicU64::new(seed),
            ids: Mutex::default(),
        }
    }

    /// The random parts of the ids that request `n` was given, one for each time it was submitted.
    pub(crate) fn ids_of(&self, n: usize) -> Vec<u64> {
        lock(&self.ids).get(&n).cloned().unwrap_or_default()
    }
}

impl Entropy for SeededEntropy {
    fn next_u64(&self) -> u64 {
        // SplitMix64.
        let mut z = self.state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        if let Ok(n) = REQUEST.try_with(|n| *n) {
            lock(&self.ids).entry(n).or_default().push(z);
        }
        z
    }
}

/// Provider keys that say what they are for.
#[derive(Debug)]
pub(crate) struct PlainKeys;

impl ProviderKeys for PlainKeys {
    fn derive(&self, operation: OperationId, number: u32) -> ProviderKey {
        Arc::from(format!("{operation}|{number}"))
    }
}

/// What is kept as the snapshot of a commit.
pub(crate) type KeptSnapshot = Result<ShardSnapshot, SnapshotError>;

/// All snapshots, in memory, of the first shard.
#[derive(Debug, Default)]
pub(crate) struct MemorySnapshots(Mutex<BTreeMap<Seq, KeptSnapshot>>);

impl MemorySnapshots {
    pub(crate) fn forget(&self) {
        lock(&self.0).clear();
    }

    pub(crate) fn seq(&self) -> Option<Seq> {
        lock(&self.0).keys().next_back().copied()
    }

    pub(crate) fn get(&self, seq: Seq) -> ShardSnapshot {
        self.load(ShardId::FIRST, seq).unwrap()
    }

    /// Keeps something behind recovery's back.
    pub(crate) fn put(&self, seq: Seq, kept: KeptSnapshot) {
        lock(&self.0).insert(seq, kept);
    }
}

impl Snapshots for MemorySnapshots {
    fn save(&self, _shard: ShardId, snapshot: &ShardSnapshot) -> Result<(), ReadError> {
        self.put(snapshot.seq, Ok(snapshot.clone()));
        Ok(())
    }

    fn kept(&self, _shard: ShardId) -> Result<Vec<Seq>, ReadError> {
        Ok(lock(&self.0).keys().rev().copied().collect())
    }

    fn load(&self, _shard: ShardId, seq: Seq) -> KeptSnapshot {
        let none = || Err(SnapshotError("none is kept".to_owned()));
        lock(&self.0).get(&seq).cloned().unwrap_or_else(none)
    }
}

/// What is wrong with the journal.
#[derive(Debug, Default)]
pub(crate) struct JournalFaults {
    /// Commits that are read as something else.
    pub(crate) altered: Altered<Commit>,
    /// Panics in appends, in reads of more than one commit, and in reads of one.
    pub(crate) traps: [Trap; 3],
    /// Appends wait here.
    pub(crate) appends: Latch,
    /// What the next appends take, in virtual milliseconds.
    pub(crate) appends_ms: Mutex<VecDeque<u64>>,
    /// Reads of more than one commit wait here.
    pub(crate) pages: Latch,
    /// And reads of one here.
    pub(crate) singles: Latch,
    /// The store is full.
    pub(crate) no_room: AtomicBool,
    /// Payments whose commits cannot be read one by one.
    pub(crate) poisoned: Mutex<HashSet<PaymentId>>,
    /// Commits read in pages.
    pub(crate) paged: AtomicU64,
    /// Where reads of more than one commit began.
    pub(crate) pages_from: Mutex<Vec<Seq>>,
    /// So many reads of more than one commit find the store busy.
    pub(crate) busy: AtomicU64,
    /// So many commits are in a page at most, whatever was asked for; 0 for as many as were asked for.
    pub(crate) page_max: AtomicUsize,
    /// A record that does not verify.
    pub(crate) rotten: Mutex<Option<Seq>>,
    /// A record whose stored hash is another one, and that does not verify for that.
    pub(crate) rotten_hash: Mutex<Option<Seq>>,
}

impl JournalFaults {
    /// Whether a read finds the store busy, once for each time that it was told to be.
    fn is_busy(&self) -> bool {
        one_less(&self.busy)
    }

    fn verify(&self, commits: &[Arc<Commit>]) -> Result<(), ReadError> {
        let rotten = [*lock(&self.rotten), *lock(&self.rotten_hash)];
        let is_rotten = |commit: &&Arc<Commit>| rotten.contains(&Some(commit.seq));
        commits.iter().find(is_rotten).map_or(Ok(()), |commit| {
            let why = "rot".to_owned();
            Err(ReadError::Damaged { seq: commit.seq, why })
        })
    }
}

/// Every commit, page by page.
pub(crate) async fn all_commits(journal: &dyn Journal) -> Vec<Arc<Commit>> {
    let (mut commits, mut next) = (Vec::new(), Seq(1));
    loop {
        let page = journal.read(ShardId::FIRST, next, usize::MAX).await.unwrap();
        let Some(last) = page.last() else {
            return commits;
        };
        next = last.seq.next();
        commits.extend(page);
    }
}

/// A journal with faults.
#[derive(Debug)]
pub(crate) struct FaultyJournal {
    pub(crate) inner: MemoryJournal,
    pub(crate) faults: Arc<JournalFaults>,
}

impl Journal for FaultyJournal {
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<Head, AppendError>> {
        Box::pin(async move {
            self.faults.appends.passed().await;
            let takes_ms = lock(&self.faults.appends_ms).pop_front();
            if let Some(takes_ms) = takes_ms {
                tokio::time::sleep(Duration::from_millis(takes_ms)).await;
            }
            self.faults.traps[0].passed();
            if self.faults.no_room.load(Ordering::SeqCst) {
                return Err(AppendError::NoRoom("the disk is full".to_owned()));
            }
            self.inner.append(batch).await
        })
    }

    fn read(
        &self,
        shard: ShardId,
        from: Seq,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Arc<Commit>>, ReadError>> {
        Box::pin(async move {
            let taken = match self.faults.page_max.load(Ordering::SeqCst) {
                0 => limit,
                page_max => limit.min(page_max),
            };
            let mut commits = self.inner.read(shard, from, taken).await?;
            for commit in &mut commits {
                self.faults.altered.apply(Arc::make_mut(commit));
            }
            self.faults.verify(&commits)?;
            self.faults.traps[if limit > 1 { 1 } else { 2 }].passed();
            if limit > 1 {
                lock(&self.faults.pages_from).push(from);
                if self.faults.is_busy() {
                    return Err(ReadError::Store("busy".to_owned()));
                }
                self.faults
                    .paged
                    .fetch_add(commits.len() as u64, Ordering::SeqCst);
                self.faults.pages.passed().await;
                return Ok(commits);
            }
            self.faults.singles.passed().await;
            let poisoned = lock(&self.faults.poisoned);
            let of_poisoned = |commit: &Commit| match &commit.body {
                Body::Payment(body) => poisoned.contains(&body.payment),
                Body::Control(_) | Body::Ledger(_) => false,
            };
            commits
                .iter()
                .find(|commit| of_poisoned(commit))
                .map_or(Ok(()), |commit| {
                    let why = "a bad sector".to_owned();
                    Err(ReadError::Damaged { seq: commit.seq, why })
                })?;
            drop(poisoned);
            Ok(commits)
        })
    }

    fn head(&self, shard: ShardId) -> BoxFuture<'_, Result<Head, ReadError>> {
        self.inner.head(shard)
    }

    fn hash_at(&self, shard: ShardId, seq: Seq) -> BoxFuture<'_, Result<Option<[u8; 32]>, ReadError>> {
        Box::pin(async move {
            let hash = self.inner.hash_at(shard, seq).await?;
            let is_rotten = *lock(&self.faults.rotten_hash) == Some(seq);
            Ok(hash.map(|hash| if is_rotten { [0xff; 32] } else { hash }))
        })
    }
}

/// Views whose batches are taken only as fast as permits are given, while gated.
#[derive(Debug)]
pub(crate) struct GatedViews {
    inner: MemoryViews,
    gated: AtomicBool,
    permits: Semaphore,
    /// Rows that are read as something else, or not at all.
    pub(crate) altered: Altered<(PaymentId, Option<PaymentRow>)>,
    /// Whose entries are read in somebody's place.
    pub(crate) mixed_up: Altered<(MerchantId, bool)>,
    /// Panics in batches, and in questions about who waits.
    pub(crate) traps: [Trap; 2],
}

impl Default for GatedViews {
    fn default() -> Self {
        Self {
            inner: MemoryViews::default(),
            gated: AtomicBool::new(false),
            permits: Semaphore::new(0),
            altered: Altered::default(),
            mixed_up: Altered::default(),
            traps: Default::default(),
        }
    }
}

impl GatedViews {
    fn in_place_of(&self, mut owner: (MerchantId, bool)) -> (MerchantId, bool) {
        self.mixed_up.apply(&mut owner);
        owner
    }

    /// From now on every batch waits for a permit; in order of arrival.
    pub(crate) fn gate(&self) {
        self.gated.store(true, Ordering::SeqCst);
    }

    /// Lets so many batches in.
    pub(crate) fn let_in(&self, batches: usize) {
        self.permits.add_permits(batches);
    }

    /// Lets everything in, what waits included.
    pub(crate) fn ungate(&self) {
        self.gated.store(false, Ordering::SeqCst);
        self.permits.add_permits(1 << 20);
    }
}

impl Follower for GatedViews {
    fn apply(
        &self,
        rows: Vec<PaymentRow>,
        announced: Vec<AnnouncingCommit>,
        up_to: Seq,
    ) -> BoxFuture<'_, Result<(), ViewError>> {
        Box::pin(async move {
            if self.gated.load(Ordering::SeqCst) {
                self.permits.acquire().await.expect("never closed").forget();
            }
            self.traps[0].passed();
            self.inner.apply(rows, announced, up_to).await
        })
    }

    fn watermark(&self) -> Result<Seq, ReadError> {
        self.inner.watermark()
    }
}

impl MovedIndex for GatedViews {
    fn moved(&self, mut query: MovedQuery) -> BoxFuture<'_, Result<MovedPage, ViewError>> {
        (query.merchant, query.livemode) = self.in_place_of((query.merchant, query.livemode));
        self.inner.moved(query)
    }
}

impl Views for GatedViews {
    fn payment(&self, id: PaymentId) -> BoxFuture<'_, Result<Option<PaymentRow>, ViewError>> {
        Box::pin(async move {
            let mut answer = (id, self.inner.payment(id).await?);
            self.altered.apply(&mut answer);
            Ok(answer.1)
        })
    }

    fn payments(&self, query: PaymentsQuery) -> BoxFuture<'_, Result<PaymentsPage, ViewError>> {
        self.inner.payments(query)
    }

    fn waiting(&self, query: WaitingQuery) -> BoxFuture<'_, Result<Vec<PaymentRow>, ViewError>> {
        Box::pin(async move {
            self.traps[1].passed();
            self.inner.waiting(query).await
        })
    }

    fn events(&self, query: EventsQuery) -> BoxFuture<'_, Result<EventsPage, ViewError>> {
        self.inner.events(query)
    }

    fn refunds(&self, mut query: RefundsQuery) -> BoxFuture<'_, Result<Vec<RefundPlace>, ViewError>> {
        (query.merchant, query.livemode) = self.in_place_of((query.merchant, query.livemode));
        self.inner.refunds(query)
    }
}

/// Remembers why the process would have ended.
#[derive(Debug, Default)]
pub(crate) struct FatalLog {
    pub(crate) calls: Mutex<Vec<String>>,
}

impl FatalLog {
    pub(crate) fn count(&self) -> usize {
        lock(&self.calls).len()
    }
}

impl Fatal for FatalLog {
    fn fail(&self, why: &str) {
        lock(&self.calls).push(why.to_owned());
    }
}
