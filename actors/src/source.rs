//! Where commits are read, which says what may be made of them: from the journal itself to decide by, from the past to show or to compare.

use crate::context::Context;
use florin_domain::commit::Commit;
use florin_domain::ids::Seq;
use florin_domain::ports::{PastCommit, ReadError};
use std::ops::Deref;
use std::sync::Arc;

/// Where commits are read. What they are, and so what takes them, differs.
pub(crate) trait Source: Copy + Send + Sync {
    /// A commit from there.
    type Commit: Deref<Target = Commit> + Send;

    /// Some of the commits behind `after` up to and including `until`, in order, at most so many.
    fn page(
        self,
        range: (Seq, Seq),
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Self::Commit>, ReadError>> + Send;

    /// One commit that is known to be there, if it is.
    fn commit(self, seq: Seq) -> impl Future<Output = Result<Option<Self::Commit>, ReadError>> + Send {
        async move {
            let page = self.page((Seq(seq.0.saturating_sub(1)), seq), 1).await?;
            Ok(page.into_iter().next())
        }
    }
}

/// The journal of a shard, for whoever recovers, loads a payment or decides about money.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ToDecide<'a>(pub(crate) &'a Context);

/// The past of a shard, which a copy of the journal may answer for: for whoever shows it or compares it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ToShow<'a>(pub(crate) &'a Context);

impl Source for ToDecide<'_> {
    type Commit = Arc<Commit>;

    async fn page(self, (after, until): (Seq, Seq), limit: usize) -> Result<Vec<Arc<Commit>>, ReadError> {
        let left = usize::try_from(until.0.saturating_sub(after.0)).unwrap_or(usize::MAX);
        let journal = &self.0.ports.journal;
        journal.read(self.0.shard, after.next(), limit.min(left)).await
    }
}

impl Source for ToShow<'_> {
    type Commit = PastCommit;

    async fn page(self, range: (Seq, Seq), limit: usize) -> Result<Vec<PastCommit>, ReadError> {
        self.0.ports.past.read_past(self.0.shard, range, limit).await
    }
}
