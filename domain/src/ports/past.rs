//! What the journal has recorded, for whoever shows it and decides nothing by it.

use super::{BoxFuture, ReadError};
use crate::commit::Commit;
use crate::ids::{Seq, ShardId};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A commit that was read to be shown or compared. It may come from a copy of the journal, so nothing that decides about money takes one: an
/// actor's state is folded of what [`Journal::read`](super::Journal::read) answers, and there is no way from here to there.
#[derive(Clone, Debug, PartialEq)]
pub struct PastCommit(Arc<Commit>);

impl From<Arc<Commit>> for PastCommit {
    fn from(commit: Arc<Commit>) -> Self {
        Self(commit)
    }
}

impl Deref for PastCommit {
    type Target = Commit;

    fn deref(&self) -> &Commit {
        &self.0
    }
}

/// Port of the past.
pub trait Past: Send + Sync + fmt::Debug {
    /// Some of the commits behind `after` up to and including `until`, in order, at most `limit`, as the journal has them: `until` was heard of
    /// from the journal. Fewer if they are large, but at least one, unless `limit` is zero or the journal ends before.
    fn read_past(
        &self,
        shard: ShardId,
        range: (Seq, Seq),
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<PastCommit>, ReadError>>;
}
