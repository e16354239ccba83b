//! The key index in memory, for tests and simulation.

use super::{bucket_of, check_kept, first_kept, gap, unexpired, used_keys, used_transfers};
use florin_domain::commit::Commit;
use florin_domain::idempotency::KeyDigest;
use florin_domain::ids::Seq;
use florin_domain::ledger::{AlertId, Once, TransferId};
use florin_domain::ports::{KeyIndex, KeyRecord, ReadError, TransferIndex};
use florin_domain::time::Timestamp;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A key index that forgets everything with the process.
#[derive(Debug, Default)]
pub struct MemoryKeyIndex {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    keys: HashMap<KeyDigest, KeyRecord>,
    transfers: HashMap<Once, Seq>,
    published: Seq,
    newest_used: Timestamp,
    first: u64,
    failure: Option<ReadError>,
}

impl State {
    fn publish(&mut self, commit: &Commit) {
        if self.failure.is_some() || commit.seq <= self.published {
            return;
        }
        if commit.seq != self.published.next() {
            self.failure = Some(gap(self.published, commit.seq));
            return;
        }
        for (digest, record) in used_keys(commit) {
            self.keys.insert(digest, record);
            self.newest_used = self.newest_used.max(record.used_at);
        }
        let transfers = used_transfers(commit).map(|once| (once, commit.seq));
        self.transfers.extend(transfers);
        self.published = commit.seq;
        let first = first_kept(self.newest_used);
        if first > self.first {
            self.first = first;
            self.keys.retain(|_, record| bucket_of(record.used_at) >= first);
        }
    }
}

impl KeyIndex for MemoryKeyIndex {
    fn publish(&self, commits: &[Arc<Commit>]) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for commit in commits {
            state.publish(commit);
        }
    }

    fn lookup(&self, key: KeyDigest, now: Timestamp) -> Result<Option<KeyRecord>, ReadError> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(failure) = &state.failure {
            return Err(failure.clone());
        }
        check_kept(now, state.first)?;
        Ok(state.keys.get(&key).and_then(|record| unexpired(*record, now)))
    }

    fn watermark(&self) -> Seq {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .published
    }

    fn lag(&self) -> u64 {
        0
    }

    fn flush(&self) -> Result<(), ReadError> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.failure.clone().map_or(Ok(()), Err)
    }
}

impl MemoryKeyIndex {
    fn once(&self, once: Once) -> Result<Option<Seq>, ReadError> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &state.failure {
            Some(failure) => Err(failure.clone()),
            None => Ok(state.transfers.get(&once).copied()),
        }
    }
}

impl TransferIndex for MemoryKeyIndex {
    fn commit_of(&self, id: TransferId) -> Result<Option<Seq>, ReadError> {
        self.once(Once::Transfer(id))
    }

    fn revert_of(&self, id: TransferId) -> Result<Option<Seq>, ReadError> {
        self.once(Once::RevertOf(id))
    }

    fn alert_of(&self, id: AlertId) -> Result<Option<Seq>, ReadError> {
        self.once(Once::Alert(id))
    }
}
