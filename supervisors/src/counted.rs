//! What velocity shards have counted before: the journals that say so, and who is told of them. All shards' payments are counted in one
//! set of velocity shards, so one that comes back is told of every journal.

use florin_actors::context::Context;
use florin_actors::risk::recall::{Told, recall};
use florin_domain::ids::Seq;
use ractor::ActorId;
use std::sync::Arc;
use std::time::Duration;

/// A velocity shard waits no longer than this for the journals' ends: velocity unknown for longer is worse than counted anew.
const ENDS_WAIT: Duration = Duration::from_secs(5);

/// The journals, and how far each one had come before those were there who are told. Whatever comes later they count themselves.
#[derive(Clone, Debug, Default)]
pub struct Counted(Vec<(Arc<Context>, Seq)>);

impl Counted {
    /// As recovery has found them.
    pub(crate) fn at_start(journals: impl IntoIterator<Item = (Arc<Context>, Seq)>) -> Self {
        Self(journals.into_iter().collect())
    }

    /// The same journals as they are now.
    pub(crate) async fn now(&self) -> Self {
        let mut journals = Vec::new();
        for (context, _) in &self.0 {
            let shard = context.shard;
            let head = tokio::time::timeout(ENDS_WAIT, context.ports.journal.head(shard)).await;
            let why = match head {
                Ok(Ok(head)) => {
                    journals.push((Arc::clone(context), head.seq));
                    continue;
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => "the journal does not say where it ends".to_owned(),
            };
            tracing::warn!(
                shard = shard.0,
                why,
                "a velocity shard counts anew: it cannot be told of a journal"
            );
        }
        Self(journals)
    }

    /// Has these incarnations told, in the background.
    pub(crate) fn tell(&self, incarnations: &[(usize, ActorId)]) {
        for (context, head) in &self.0 {
            let told = Told::of(context.risk.len(), incarnations.iter().copied());
            drop(tokio::spawn(recall(Arc::clone(context), *head, told)));
        }
    }
}
