//! The key index on fjall, an LSM tree. `publish` puts keys into an overlay in memory and leaves the writing to a thread of the
//! index's own; an entry leaves the overlay only after the store has it, so a look-up that asks the overlay first and the store
//! second can never fall between the two.

use super::overlay::{Entry, Overlay, Used};
use super::store::{Store, StoreWriter, failed};
use super::{gap, unexpired, used_keys, used_transfers};
use florin_domain::commit::Commit;
use florin_domain::idempotency::KeyDigest;
use florin_domain::ids::Seq;
use florin_domain::ledger::{AlertId, Once, TransferId};
use florin_domain::ports::{KeyIndex, KeyRecord, ReadError, TransferIndex};
use florin_domain::time::Timestamp;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Keys per atomic write, so that lag falls steadily after a long pause.
const WRITE_MAX: usize = if cfg!(test) { 7 } else { 4096 };

/// How the key index runs.
#[derive(Clone, Debug)]
pub struct KeyIndexOptions {
    /// Commits that the store may be behind before publishing waits for it.
    pub lag_commits_max: u64,
    /// Keys and transfers that may wait for the store before publishing waits for it: a commit may hold thousands.
    pub lag_entries_max: usize,
    /// Commits that cut the lingering short.
    pub batch_commits: u64,
    /// How long the thread waits for more commits before it writes: a larger batch costs less per key.
    pub linger: Duration,
    /// Without any progress for so long while somebody waits, the store counts as failed.
    pub stall: Duration,
    /// Memory for blocks of the store.
    pub cache_bytes: u64,
}

impl Default for KeyIndexOptions {
    fn default() -> Self {
        Self {
            lag_commits_max: 65_536,
            lag_entries_max: 1_000_000,
            batch_commits: 1024,
            linger: Duration::from_millis(2),
            stall: Duration::from_secs(30),
            cache_bytes: 32 * 1024 * 1024,
        }
    }
}

/// What the thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    /// It works.
    No,
    /// Any commit.
    ForWork,
    /// Enough commits, or somebody in a hurry.
    ForMore,
}

#[derive(Debug)]
struct Queue {
    entries: Vec<Entry>,
    published: Seq,
    /// Handed to the thread.
    taken: Seq,
    stored: Seq,
    thread: Waiting,
    /// Callers that wait for the store.
    hurried: usize,
    failure: Option<ReadError>,
    stop: bool,
    exited: bool,
}

impl Queue {
    fn lag(&self) -> u64 {
        self.published.0.saturating_sub(self.stored.0)
    }
}

#[derive(Debug)]
struct Shared {
    overlay: Overlay,
    store: Store,
    queue: Mutex<Queue>,
    /// The thread has something to do.
    work: Condvar,
    /// The store got further, or failed.
    progress: Condvar,
    published: AtomicU64,
    stored: AtomicU64,
    has_failed: AtomicBool,
    options: KeyIndexOptions,
}

/// A key index in a folder of its own.
#[derive(Debug)]
pub struct FjallKeyIndex {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl FjallKeyIndex {
    /// Opens the index in `dir`, which belongs to it alone: what cannot be read there is deleted and the index starts empty, with
    /// a watermark of zero. Fails when the folder cannot be used or another process has it open.
    pub fn open(dir: &Path, options: KeyIndexOptions) -> Result<Self, ReadError> {
        let (shared, writer) = Shared::open(dir, options)?;
        let exit = Exit(Arc::clone(&shared));
        let thread = std::thread::Builder::new()
            .name("florin-keys".to_owned())
            .spawn(move || exit.0.run(writer))
            .map_err(|error| ReadError::Store(format!("key index: {error}")))?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    #[cfg(test)]
    pub(super) fn open_without_thread(dir: &Path, options: KeyIndexOptions) -> Self {
        let (shared, _) = Shared::open(dir, options).expect("the folder is new");
        Self { shared, thread: None }
    }

    #[cfg(test)]
    pub(super) fn open_with_dead_thread(dir: &Path, options: KeyIndexOptions) -> Self {
        let index = Self::open_without_thread(dir, options);
        drop(Exit(Arc::clone(&index.shared)));
        index
    }

    #[cfg(test)]
    pub(super) fn store(&self) -> &Store {
        &self.shared.store
    }
}

/// However the thread ends, nobody waits for it any longer.
struct Exit(Arc<Shared>);

impl Drop for Exit {
    fn drop(&mut self) {
        let mut queue = self.0.lock();
        queue.exited = true;
        if !queue.stop {
            self.0.fail(
                &mut queue,
                ReadError::Store("key index: its thread ended".to_owned()),
            );
        }
        self.0.progress.notify_all();
    }
}

impl Shared {
    fn open(dir: &Path, options: KeyIndexOptions) -> Result<(Arc<Self>, StoreWriter), ReadError> {
        let (store, writer) = Store::open(dir, options.cache_bytes)?;
        let watermark = writer.watermark();
        let queue = Queue {
            entries: Vec::new(),
            published: watermark,
            taken: watermark,
            stored: watermark,
            thread: Waiting::No,
            hurried: 0,
            failure: None,
            stop: false,
            exited: false,
        };
        let shared = Self {
            overlay: Overlay::new(),
            store,
            queue: Mutex::new(queue),
            work: Condvar::new(),
            progress: Condvar::new(),
            published: AtomicU64::new(watermark.0),
            stored: AtomicU64::new(watermark.0),
            has_failed: AtomicBool::new(false),
            options,
        };
        Ok((Arc::new(shared), writer))
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Whoever panics with the lock is the thread or the publisher; both leave a failure or an untouched queue behind.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on every look-up fails: without the store a miss would be no proof.
    fn fail(&self, queue: &mut Queue, why: ReadError) {
        if queue.failure.is_none() {
            tracing::error!(error = %why, "the key index has failed");
            queue.failure = Some(why);
        }
        self.has_failed.store(true, Ordering::Release);
        self.progress.notify_all();
    }

    /// Writes until told to stop or until the store fails.
    fn run(&self, mut writer: StoreWriter) {
        while let Some((entries, up_to)) = self.take() {
            if let Err(error) = self.store_all(&mut writer, &entries, up_to) {
                self.fail(&mut self.lock(), failed(&error));
                return;
            }
        }
    }

    /// Waits for commits; `None` means stop. What is still queued then comes again with the journal's tail.
    fn take(&self) -> Option<(Vec<Entry>, Seq)> {
        let mut queue = self.lock();
        let mut lingered = false;
        while !queue.stop {
            if queue.published <= queue.taken {
                queue.thread = Waiting::ForWork;
                queue = self.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
            } else if !lingered && !self.is_urgent(&queue) {
                lingered = true;
                queue.thread = Waiting::ForMore;
                let waited = self.work.wait_timeout(queue, self.options.linger);
                queue = waited.unwrap_or_else(PoisonError::into_inner).0;
            } else {
                queue.taken = queue.published;
                return Some((std::mem::take(&mut queue.entries), queue.published));
            }
            queue.thread = Waiting::No;
        }
        None
    }

    fn is_urgent(&self, queue: &Queue) -> bool {
        let waiting = queue.published.0.saturating_sub(queue.taken.0);
        queue.hurried > 0 || waiting >= self.options.batch_commits
    }

    fn store_all(&self, writer: &mut StoreWriter, entries: &[Entry], up_to: Seq) -> Result<(), fjall::Error> {
        let mut rest = entries;
        loop {
            // A watermark covers whole commits, so a write never ends within one.
            let mut end = rest.len().min(WRITE_MAX);
            while end > 0 && end < rest.len() && rest[end].seq == rest[end - 1].seq {
                end += 1;
            }
            let (now, later) = rest.split_at(end);
            let watermark = if later.is_empty() {
                up_to
            } else {
                now.last().map_or(up_to, |entry| entry.seq)
            };
            self.store.write(writer, now, watermark)?;
            for entry in now {
                self.overlay.remove(entry);
            }
            let mut queue = self.lock();
            queue.stored = watermark;
            self.stored.store(watermark.0, Ordering::Release);
            if queue.hurried > 0 {
                self.progress.notify_all();
            }
            if later.is_empty() || queue.stop {
                return Ok(());
            }
            rest = later;
        }
    }

    fn wake(&self, queue: &mut Queue) {
        let wanted = match queue.thread {
            Waiting::No => false,
            Waiting::ForWork => true,
            Waiting::ForMore => self.is_urgent(queue) || queue.stop,
        };
        if wanted {
            queue.thread = Waiting::No;
            self.work.notify_one();
        }
    }

    /// Waits until the store has come as far as `enough` says, or has failed.
    fn wait_until<'a>(
        &'a self,
        mut queue: MutexGuard<'a, Queue>,
        enough: impl Fn(&Queue) -> bool,
    ) -> MutexGuard<'a, Queue> {
        queue.hurried += 1;
        while queue.failure.is_none() && !enough(&queue) {
            self.wake(&mut queue);
            let before = queue.stored;
            let waited = self.progress.wait_timeout(queue, self.options.stall);
            let (woken, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            queue = woken;
            if timeout.timed_out() && queue.stored == before && !enough(&queue) {
                self.fail(
                    &mut queue,
                    ReadError::Store("key index: the store makes no progress".to_owned()),
                );
            }
        }
        queue.hurried -= 1;
        queue
    }

    fn failure(&self) -> Result<(), ReadError> {
        if self.has_failed.load(Ordering::Acquire) {
            return self.lock().failure.clone().map_or(Ok(()), Err);
        }
        Ok(())
    }
}

impl KeyIndex for FjallKeyIndex {
    fn publish(&self, commits: &[Arc<Commit>]) {
        let shared = &*self.shared;
        let mut queue = shared.lock();
        let has_room = |queue: &Queue| {
            queue.lag() < shared.options.lag_commits_max
                && queue.entries.len() < shared.options.lag_entries_max
        };
        if !has_room(&queue) {
            queue = shared.wait_until(queue, has_room);
        }
        for commit in commits {
            if queue.failure.is_some() {
                return;
            }
            if commit.seq <= queue.published {
                continue;
            }
            if commit.seq != queue.published.next() {
                let why = gap(queue.published, commit.seq);
                shared.fail(&mut queue, why);
                return;
            }
            let keys = used_keys(commit).map(|(digest, record)| Used::Key(digest, record));
            for used in keys.chain(used_transfers(commit).map(Used::Transfer)) {
                let entry = Entry {
                    seq: commit.seq,
                    used,
                };
                shared.overlay.put(&entry);
                queue.entries.push(entry);
            }
            queue.published = commit.seq;
        }
        shared.published.store(queue.published.0, Ordering::Release);
        if queue.published > queue.taken {
            shared.wake(&mut queue);
        }
    }

    fn lookup(&self, key: KeyDigest, now: Timestamp) -> Result<Option<KeyRecord>, ReadError> {
        self.shared.failure()?;
        match self.shared.overlay.get(key) {
            Some(record) => Ok(unexpired(record, now)),
            None => self.shared.store.lookup(key, now),
        }
    }

    fn watermark(&self) -> Seq {
        Seq(self.shared.stored.load(Ordering::Acquire))
    }

    fn lag(&self) -> u64 {
        let stored = self.shared.stored.load(Ordering::Acquire);
        self.shared
            .published
            .load(Ordering::Acquire)
            .saturating_sub(stored)
    }

    fn flush(&self) -> Result<(), ReadError> {
        let queue = self.shared.lock();
        let target = queue.published;
        let queue = self.shared.wait_until(queue, |queue| queue.stored >= target);
        if let Some(failure) = &queue.failure {
            return Err(failure.clone());
        }
        drop(queue);
        self.shared.store.persist().map_err(|error| {
            let why = failed(&error);
            self.shared.fail(&mut self.shared.lock(), why.clone());
            why
        })
    }
}

impl Shared {
    fn once(&self, once: Once) -> Result<Option<Seq>, ReadError> {
        self.failure()?;
        match self.overlay.transfer(once) {
            Some(seq) => Ok(Some(seq)),
            None => self.store.transfer(once),
        }
    }
}

impl TransferIndex for FjallKeyIndex {
    fn commit_of(&self, id: TransferId) -> Result<Option<Seq>, ReadError> {
        self.shared.once(Once::Transfer(id))
    }

    fn revert_of(&self, id: TransferId) -> Result<Option<Seq>, ReadError> {
        self.shared.once(Once::RevertOf(id))
    }

    fn alert_of(&self, id: AlertId) -> Result<Option<Seq>, ReadError> {
        self.shared.once(Once::Alert(id))
    }
}

impl Drop for FjallKeyIndex {
    /// Ends the thread after the write at hand. A thread that is stuck in the store is left behind rather than waited for.
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        let mut queue = self.shared.lock();
        queue.stop = true;
        self.shared.wake(&mut queue);
        let left = self
            .shared
            .progress
            .wait_timeout_while(queue, self.shared.options.stall, |queue| !queue.exited);
        let has_exited = left.map_or_else(
            |poisoned| poisoned.into_inner().0.exited,
            |(queue, _)| queue.exited,
        );
        if has_exited && thread.join().is_err() {
            tracing::error!("the key index's thread had panicked");
        }
    }
}
