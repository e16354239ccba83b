//! Owns the past of a journal that has no copy to ask: the journal itself.

use florin_domain::ids::{Seq, ShardId};
use florin_domain::ports::{BoxFuture, Journal, Past, PastCommit, ReadError};
use std::sync::Arc;

/// The journal, as one reads what only is shown.
#[derive(Clone, Debug)]
pub struct FromJournal(pub Arc<dyn Journal>);

impl Past for FromJournal {
    fn read_past(
        &self,
        shard: ShardId,
        (after, until): (Seq, Seq),
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<PastCommit>, ReadError>> {
        let left = usize::try_from(until.0.saturating_sub(after.0)).unwrap_or(usize::MAX);
        Box::pin(async move {
            let read = self.0.read(shard, after.next(), limit.min(left)).await?;
            Ok(read.into_iter().map(PastCommit::from).collect())
        })
    }
}
