//! Owns reading: every answer comes from one state of the file, and every commit is verified against the chain.

use super::OpenError;
use super::tables::{link_at, open_for_reading, owned, store, verifier_after, walk};
use crate::journal::PageRoom;
use florin_domain::commit::Commit;
use florin_domain::ids::{Seq, ShardId};
use florin_domain::ports::{Head, ReadError};
use rusqlite::Connection;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Commits for which a read makes room before it knows how many there are.
const ROOM_MAX: usize = 4096;

type Reply<T> = oneshot::Sender<Result<T, ReadError>>;

/// What is asked, and who waits.
#[derive(Debug)]
pub(super) enum Question {
    /// Commits.
    Read {
        shard: ShardId,
        from: Seq,
        limit: usize,
        reply: Reply<Vec<Arc<Commit>>>,
    },
    /// The end.
    Head { shard: ShardId, reply: Reply<Head> },
    /// One hash.
    HashAt {
        shard: ShardId,
        seq: Seq,
        reply: Reply<Option<[u8; 32]>>,
    },
}

/// Reads on a connection of its own.
#[derive(Debug)]
pub(super) struct Reader {
    connection: Connection,
    page_bytes_max: usize,
}

impl Reader {
    /// Its pages hold so many stored bytes.
    pub(super) fn open(path: &Path, page_bytes_max: usize) -> Result<Self, OpenError> {
        open_for_reading(path).map(|connection| Self {
            connection,
            page_bytes_max,
        })
    }

    pub(super) fn answer(&mut self, question: Question) {
        let heard = match question {
            Question::Read {
                shard,
                from,
                limit,
                reply,
            } => reply.send(self.read(shard, from, limit)).is_ok(),
            Question::Head { shard, reply } => reply.send(self.head(shard)).is_ok(),
            Question::HashAt { shard, seq, reply } => reply.send(self.hash_at(shard, seq)).is_ok(),
        };
        if !heard {
            tracing::debug!("nobody waits for the answer any more");
        }
    }

    fn read(&self, shard: ShardId, from: Seq, limit: usize) -> Result<Vec<Arc<Commit>>, ReadError> {
        let state = self
            .connection
            .unchecked_transaction()
            .map_err(|error| store(&error))?;
        let head = owned(&state, shard)?.map(|owned| owned.head).unwrap_or_default();
        let before = Seq(from.0.saturating_sub(1));
        if limit == 0 || before >= head.seq {
            return Ok(Vec::new());
        }
        let mut verifier = verifier_after(&state, shard, before)?;
        let mut commits = Vec::with_capacity(limit.min(ROOM_MAX));
        let mut room = PageRoom::of(self.page_bytes_max);
        walk(&state, shard, before, limit, |seq, epoch, hash, bytes| {
            if !room.takes(bytes.len()) {
                return Ok(ControlFlow::Break(()));
            }
            commits.push(Arc::new(verifier.accept(seq, epoch, hash, bytes)?));
            Ok(ControlFlow::Continue(()))
        })?;
        let has_ended = commits.len() < limit && !room.is_full();
        if has_ended || verifier.last() >= head.seq {
            verifier.finish(head.seq, &head.hash, head.epoch)?;
        }
        Ok(commits)
    }

    fn head(&self, shard: ShardId) -> Result<Head, ReadError> {
        Ok(owned(&self.connection, shard)?
            .map(|owned| owned.head)
            .unwrap_or_default())
    }

    fn hash_at(&self, shard: ShardId, seq: Seq) -> Result<Option<[u8; 32]>, ReadError> {
        Ok(link_at(&self.connection, shard, seq)?.map(|(_, hash)| hash))
    }
}
