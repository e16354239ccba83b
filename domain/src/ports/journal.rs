//! The journal: an append-only, hash-chained, fenced sequence of commits per shard.

use super::BoxFuture;
use crate::commit::Commit;
use crate::ids::{Epoch, Seq, ShardId};
use std::fmt;
use std::sync::Arc;
use thiserror::Error;

/// Commits for one shard, appended together or not at all.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Names the batch, so that an append whose answer was lost can be asked again.
    pub id: u128,
    /// Which shard.
    pub shard: ShardId,
    /// Who appends.
    pub epoch: Epoch,
    /// The head that the batch must follow.
    pub expected_head: Seq,
    /// Contiguous from `expected_head + 1`.
    pub commits: Arc<[Arc<Commit>]>,
}

/// Where a shard's journal ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The last commit.
    pub seq: Seq,
    /// Its chain hash; zero for an empty journal.
    pub hash: [u8; 32],
    /// The epoch that may append.
    pub epoch: Epoch,
}

/// Why an append has not, or may not have, happened.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AppendError {
    /// Another owner has the shard: stop at once.
    #[error("another owner has taken the shard")]
    Fenced,
    /// The store is full or read-only; nothing was appended and the shard may go on once there is room.
    #[error("the journal's store has no room: {0}")]
    NoRoom(String),
    /// It cannot be known whether the batch is durable: stop, and recover by reading.
    #[error("the outcome of the append is unknown: {0}")]
    Unknown(String),
}

/// Why a journal cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReadError {
    /// A record does not hash, decode or follow: the journal is damaged inside and must be repaired from a verified copy.
    #[error("the journal is damaged at {seq}: {why}")]
    Damaged {
        /// Where.
        seq: Seq,
        /// How it shows.
        why: String,
    },
    /// The store failed.
    #[error("the journal cannot be read: {0}")]
    Store(String),
}

/// Port of the journal.
pub trait Journal: Send + Sync + fmt::Debug {
    /// Makes a batch durable; returns the new head only after that.
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<Head, AppendError>>;

    /// At most `limit` commits from `from` on, in order, verified against the chain. Fewer if they are large, because a reader has to
    /// hold them all, but at least one if there is one: who wants the rest reads on behind the last. None only if `limit` is zero or
    /// the journal ends before `from`.
    fn read(
        &self,
        shard: ShardId,
        from: Seq,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Arc<Commit>>, ReadError>>;

    /// The end of a shard's journal.
    fn head(&self, shard: ShardId) -> BoxFuture<'_, Result<Head, ReadError>>;

    /// The chain hash of a commit, to tie a snapshot to the journal it was taken of.
    fn hash_at(&self, shard: ShardId, seq: Seq) -> BoxFuture<'_, Result<Option<[u8; 32]>, ReadError>>;
}
