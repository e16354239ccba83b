//! Owns the implementations of the journal port. All of them keep the same bytes under the same hash chain.
//!
//! A handle owns one shard from the moment it opens it: it appends under the epoch that it took then, and a later owner fences it
//! out. Reading checks every record against the chain, so damage is reported and never folded.

mod chain;
mod memory;
mod past;
mod postgres;
mod sqlite;
#[cfg(test)]
mod tests;
mod walk;

pub(crate) use chain::{GENESIS, Hash, Verifier, damaged};
pub use memory::{MemoryJournal, MemoryStore};
pub use past::FromJournal;
pub use postgres::{JournalTables, PostgresJournal, PostgresPast};
pub(crate) use postgres::{Stored, stored_head, stored_link_at, stored_records};
pub(crate) use sqlite::JournalBuilder;
pub use sqlite::{JournalFile, OpenError, SqliteJournal};
pub use walk::{Page, RawPage, RawRecord, StoredJournal, StoredRecord, Walk};

use florin_domain::ids::{Seq, ShardId};
use florin_domain::ports::{AppendError, Batch, Head};

/// Stored bytes that one page may hold. Decoded, a page takes several times as much.
const PAGE_BYTES_MAX: usize = 8 << 20;

/// What still fits into a page. The first record always does.
#[derive(Clone, Copy, Debug)]
struct PageRoom {
    left: usize,
    is_empty: bool,
    is_full: bool,
}

impl PageRoom {
    /// A page of so many bytes.
    fn of(bytes_max: usize) -> Self {
        Self {
            left: bytes_max,
            is_empty: true,
            is_full: false,
        }
    }

    /// Whether a record of so many bytes has a place. None has after one that had none: a page has no gaps.
    fn takes(&mut self, bytes: usize) -> bool {
        self.is_full = self.is_full || !(self.is_empty || bytes <= self.left);
        if !self.is_full {
            self.left = self.left.saturating_sub(bytes);
            self.is_empty = false;
        }
        !self.is_full
    }

    /// Whether a record found no place.
    fn is_full(&self) -> bool {
        self.is_full
    }
}

/// How a batch fits the journal that it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    /// It follows the head.
    Next,
    /// It is the last batch, asked again: it is durable already.
    Last,
    /// Its sender is no longer, or not yet, at this journal's end.
    Elsewhere,
}

/// Judges a batch by what its owner knows: its shard, where its journal ends, and the last batch appended.
fn fit(batch: &Batch, shard: ShardId, head: &Head, last_batch: Option<u128>) -> Fit {
    if batch.shard != shard || batch.epoch != head.epoch {
        return Fit::Elsewhere;
    }
    if batch.expected_head == head.seq {
        return Fit::Next;
    }
    let count = u64::try_from(batch.commits.len()).unwrap_or(u64::MAX);
    let ends_at_head = batch.expected_head.0.checked_add(count) == Some(head.seq.0);
    if ends_at_head && last_batch == Some(batch.id) {
        Fit::Last
    } else {
        Fit::Elsewhere
    }
}

/// Refuses a batch whose commits do not stand where it says. Nothing of it is appended; its sender must find out by reading
/// where it is.
fn check_places(batch: &Batch) -> Result<(), AppendError> {
    let mut seq = batch.expected_head;
    for commit in batch.commits.iter() {
        seq = Seq(seq.0.saturating_add(1));
        if commit.seq != seq || commit.shard != batch.shard {
            let (shard, found) = (commit.shard.0, commit.seq);
            return Err(AppendError::Unknown(format!(
                "a commit of {shard}/{found} stands in the place of {seq}"
            )));
        }
    }
    Ok(())
}
