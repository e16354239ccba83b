//! The keys and transfers that the store does not have yet.

use florin_domain::idempotency::KeyDigest;
use florin_domain::ids::Seq;
use florin_domain::ledger::Once;
use florin_domain::ports::KeyRecord;
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Enough that look-ups on a few cores rarely meet the publisher.
const SHARDS: usize = 64;

/// One key on its way to the store.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// The commit that used the key.
    pub(super) seq: Seq,
    pub(super) used: Used,
}

/// What a commit used for the first time.
#[derive(Clone, Copy, Debug)]
pub(super) enum Used {
    /// An idempotency key.
    Key(KeyDigest, KeyRecord),
    /// The id of a transfer, or the one revert of another.
    Transfer(Once),
}

/// Digests are uniform already, so half of one is as good a hash as any.
#[derive(Default)]
struct DigestHasher(u64);

impl Hasher for DigestHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the low half is the hash, the high half picks the shard"
    )]
    fn write_u128(&mut self, digest: u128) {
        self.0 = digest as u64;
    }
}

type Shard = HashMap<u128, (Seq, KeyRecord), BuildHasherDefault<DigestHasher>>;

/// Sharded, because every request looks here first.
pub(super) struct Overlay {
    shards: [Mutex<Shard>; SHARDS],
    /// Clients choose these ids, so they are hashed as what strangers choose.
    transfers: Mutex<HashMap<Once, Seq>>,
}

impl Overlay {
    pub(super) fn new() -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            transfers: Mutex::default(),
        }
    }

    fn shard(&self, digest: u128) -> MutexGuard<'_, Shard> {
        let index = usize::try_from(digest >> 122).unwrap_or(0);
        // A map operation cannot stop half way, so a poisoned shard is still whole.
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn transfers(&self) -> MutexGuard<'_, HashMap<Once, Seq>> {
        self.transfers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn put(&self, entry: &Entry) {
        match &entry.used {
            Used::Key(digest, record) => {
                let digest = u128::from_le_bytes(digest.0);
                self.shard(digest).insert(digest, (entry.seq, *record));
            }
            Used::Transfer(once) => {
                self.transfers().insert(*once, entry.seq);
            }
        }
    }

    pub(super) fn transfer(&self, once: Once) -> Option<Seq> {
        self.transfers().get(&once).copied()
    }

    pub(super) fn get(&self, digest: KeyDigest) -> Option<KeyRecord> {
        let digest = u128::from_le_bytes(digest.0);
        self.shard(digest).get(&digest).map(|(_, record)| *record)
    }

    /// Forgets a stored entry, unless the key was used again since.
    pub(super) fn remove(&self, entry: &Entry) {
        match &entry.used {
            Used::Key(digest, _) => {
                let digest = u128::from_le_bytes(digest.0);
                let mut shard = self.shard(digest);
                if shard.get(&digest).is_some_and(|(seq, _)| *seq == entry.seq) {
                    shard.remove(&digest);
                }
            }
            Used::Transfer(once) => {
                let mut transfers = self.transfers();
                // A transfer between shards is recorded more than once, and the latest record counts.
                if transfers.get(once).is_some_and(|seq| *seq == entry.seq) {
                    transfers.remove(once);
                }
            }
        }
    }
}

impl fmt::Debug for Overlay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Overlay").finish_non_exhaustive()
    }
}
