//! Owns the journal that lives in memory: for tests and simulations, with the same encoding, chain and fences as on disk.

use super::chain::{GENESIS, Hash, Sealed, Verifier, damaged};
use super::{Fit, PAGE_BYTES_MAX, PageRoom, check_places, fit};
use florin_domain::commit::Commit;
use florin_domain::ids::{Epoch, Seq, ShardId};
use florin_domain::ports::{AppendError, Batch, BoxFuture, Head, Journal, ReadError};
use std::collections::BTreeMap;
use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// The medium: outlives the journals opened on it, as a disk outlives a process. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore(Arc<Mutex<BTreeMap<ShardId, Partition>>>);

#[derive(Debug, Default)]
struct Partition {
    head: Head,
    last_batch: Option<u128>,
    /// The record of seq `n` is at `n - 1`.
    records: Vec<Kept>,
}

/// A record as it is kept.
#[derive(Debug)]
pub(super) struct Kept {
    epoch: Epoch,
    hash: Hash,
    pub(super) bytes: Box<[u8]>,
    /// What they say, once they were verified and decoded: nobody changes memory, and simulations read all of it again and again.
    read: OnceLock<Arc<Commit>>,
}

/// A journal in memory, owner of one shard.
#[derive(Debug)]
pub struct MemoryJournal {
    store: MemoryStore,
    shard: ShardId,
    epoch: Epoch,
    page_bytes_max: usize,
}

impl MemoryStore {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ShardId, Partition>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes records behind the journal's back, to see that it is noticed.
    #[cfg(test)]
    pub(super) fn change(&self, shard: ShardId, change: impl FnOnce(&mut Vec<Kept>)) {
        let mut partitions = self.lock();
        let records = &mut partitions.entry(shard).or_default().records;
        change(records);
        for kept in records {
            kept.read = OnceLock::new();
        }
    }
}

impl MemoryJournal {
    /// Takes ownership of a shard: every earlier owner is fenced out.
    pub fn open(store: &MemoryStore, shard: ShardId) -> Self {
        Self::open_paged(store, shard, PAGE_BYTES_MAX)
    }

    /// The same with pages of so many stored bytes.
    pub(super) fn open_paged(store: &MemoryStore, shard: ShardId, page_bytes_max: usize) -> Self {
        let mut partitions = store.lock();
        let head = &mut partitions.entry(shard).or_default().head;
        head.epoch = Epoch(head.epoch.0.saturating_add(1));
        Self {
            store: store.clone(),
            shard,
            epoch: head.epoch,
            page_bytes_max,
        }
    }

    /// Looks at the bytes of a record as they are kept.
    pub fn record<T>(&self, seq: Seq, look: impl FnOnce(&[u8]) -> T) -> Option<T> {
        let partitions = self.store.lock();
        let kept = partitions.get(&self.shard)?.record(seq)?;
        Some(look(&kept.bytes))
    }

    fn append_now(&self, batch: &Batch) -> Result<Head, AppendError> {
        let mut partitions = self.store.lock();
        let partition = partitions.get_mut(&self.shard).ok_or(AppendError::Fenced)?;
        if partition.head.epoch != self.epoch {
            return Err(AppendError::Fenced);
        }
        match fit(batch, self.shard, &partition.head, partition.last_batch) {
            Fit::Last => return Ok(partition.head),
            Fit::Elsewhere => return Err(AppendError::Fenced),
            Fit::Next => check_places(batch)?,
        }
        let mut sealed = Sealed::default();
        let hash = sealed.seal(batch, partition.head.hash);
        for record in sealed.records(batch.expected_head) {
            let (hash, bytes) = (*record.hash, record.bytes.into());
            partition.records.push(Kept {
                epoch: batch.epoch,
                hash,
                bytes,
                read: OnceLock::new(),
            });
            partition.head.seq = record.seq;
        }
        partition.head.hash = hash;
        partition.last_batch = Some(batch.id);
        Ok(partition.head)
    }

    fn read_now(&self, shard: ShardId, from: Seq, limit: usize) -> Result<Vec<Arc<Commit>>, ReadError> {
        let partitions = self.store.lock();
        let Some(partition) = partitions.get(&shard) else {
            return Ok(Vec::new());
        };
        let skipped = Seq(from.0.saturating_sub(1));
        if limit == 0 || skipped >= partition.head.seq {
            return Ok(Vec::new());
        }
        let (hash, epoch) = match (skipped, partition.record(skipped)) {
            (_, Some(kept)) => (kept.hash, kept.epoch),
            (Seq::ZERO, None) => (GENESIS, Epoch::default()),
            (_, None) => return Err(damaged(skipped, "the record is missing".to_owned())),
        };
        let mut verifier = Verifier::after(shard, skipped, hash, epoch);
        let left = usize::try_from(partition.head.seq.0 - skipped.0).unwrap_or(usize::MAX);
        let mut commits = Vec::with_capacity(limit.min(left));
        let (mut seq, mut room) = (skipped.next(), PageRoom::of(self.page_bytes_max));
        while let Some(kept) = partition.record(seq).filter(|_| commits.len() < limit) {
            if !room.takes(kept.bytes.len()) {
                break;
            }
            commits.push(kept.commit(seq, &mut verifier)?);
            seq = seq.next();
        }
        let has_ended = commits.len() < limit && !room.is_full();
        if has_ended || verifier.last() >= partition.head.seq {
            verifier.finish(partition.head.seq, &partition.head.hash, partition.head.epoch)?;
        }
        Ok(commits)
    }
}

impl Kept {
    fn commit(&self, seq: Seq, verifier: &mut Verifier) -> Result<Arc<Commit>, ReadError> {
        if let Some(commit) = self.read.get() {
            verifier.pass(seq, self.epoch, self.hash);
            return Ok(Arc::clone(commit));
        }
        let commit = verifier.accept(seq, self.epoch, &self.hash, &self.bytes)?;
        Ok(Arc::clone(self.read.get_or_init(|| Arc::new(commit))))
    }
}

impl Partition {
    fn record(&self, seq: Seq) -> Option<&Kept> {
        self.records.get(usize::try_from(seq.0.checked_sub(1)?).ok()?)
    }
}

impl Journal for MemoryJournal {
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<Head, AppendError>> {
        Box::pin(async move { self.append_now(&batch) })
    }

    fn read(
        &self,
        shard: ShardId,
        from: Seq,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Arc<Commit>>, ReadError>> {
        Box::pin(async move { self.read_now(shard, from, limit) })
    }

    fn head(&self, shard: ShardId) -> BoxFuture<'_, Result<Head, ReadError>> {
        Box::pin(ready(Ok(self
            .store
            .lock()
            .get(&shard)
            .map(|partition| partition.head)
            .unwrap_or_default())))
    }

    fn hash_at(&self, shard: ShardId, seq: Seq) -> BoxFuture<'_, Result<Option<[u8; 32]>, ReadError>> {
        let partitions = self.store.lock();
        let hash = partitions
            .get(&shard)
            .and_then(|partition| partition.record(seq))
            .map(|kept| kept.hash);
        Box::pin(ready(Ok(hash)))
    }
}
