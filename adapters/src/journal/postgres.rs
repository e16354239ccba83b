//! Owns the journal in PostgreSQL: one call of one function per batch, whose first statement is the fence.
//!
//! One thread for each shard encodes, chains and appends over a connection of its own. Reads go through the pool of the database, and
//! are verified against the chain like those from a file: the database is not believed.

mod anchors;
mod past;
mod reader;
mod tables;
#[cfg(test)]
mod tests;
mod writer;

#[cfg(test)]
pub(super) use tests::Server;

use super::PAGE_BYTES_MAX;
use crate::postgres::{Database, DatabaseError, Taken};
use anchors::Anchors;
use florin_domain::commit::Commit;
use florin_domain::ids::{Epoch, Seq, ShardId};
use florin_domain::ports::{AppendError, Batch, BoxFuture, Head, Journal, ReadError};
pub use past::PostgresPast;
use reader::Reader;
pub(crate) use reader::{Stored, head as stored_head, link_at as stored_link_at, records as stored_records};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread::JoinHandle;
pub use tables::JournalTables;
use tokio::sync::{mpsc, oneshot};
use writer::{Order, Writer};

/// Batches that may wait for the writer. Callers beyond wait without a place; a shard has one batch on its way, so few are needed.
const ORDERS_MAX: usize = 16;

/// A journal in PostgreSQL, owner of one shard.
#[derive(Debug)]
pub struct PostgresJournal {
    reader: Reader,
    anchors: Arc<Anchors>,
    acknowledged: Arc<AtomicU64>,
    orders: Option<mpsc::Sender<Order>>,
    writing: Option<JoinHandle<()>>,
}

impl PostgresJournal {
    /// The journal of a shard that was taken. Its last records are verified.
    pub async fn open(database: &Database, taken: &Taken) -> Result<Self, DatabaseError> {
        Self::open_paged(database, taken, PAGE_BYTES_MAX).await
    }

    /// The same with pages of so many stored bytes.
    async fn open_paged(
        database: &Database,
        taken: &Taken,
        page_bytes_max: usize,
    ) -> Result<Self, DatabaseError> {
        let unfit = |why: String| DatabaseError::Unfit {
            place: database.place().to_owned(),
            why,
        };
        let reader = Reader::new(database.clone(), (taken.shard, taken.head.epoch), page_bytes_max);
        let checked = reader.check_tail(taken.shard, &taken.head).await;
        checked.map_err(|error| unfit(error.to_string()))?;
        let (orders, ordered) = mpsc::channel::<Order>(ORDERS_MAX);
        let anchors = Arc::new(Anchors::new(&taken.head));
        let writer = Writer::new(database.clone(), taken, Arc::clone(&anchors));
        let acknowledged = writer.acknowledged();
        let io = |error: std::io::Error| unfit(format!("a thread of the journal: {error}"));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(io)?;
        let writing = std::thread::Builder::new()
            .name(format!("journal-{}", taken.shard.0))
            .spawn(move || runtime.block_on(writer.run(ordered)))
            .map_err(io)?;
        Ok(Self {
            reader,
            anchors,
            acknowledged,
            orders: Some(orders),
            writing: Some(writing),
        })
    }
}

impl PostgresJournal {
    /// The last commit that is known to be durable wherever it must be. What can be seen in the database may be more: a commit whose waiting for its
    /// copies was cut off is there, and a failover may lose it.
    pub fn acknowledged(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.acknowledged)
    }

    /// Epoch and hash of a record, which together with its number say which one it is: no epoch is given twice.
    pub async fn link_at(&self, shard: ShardId, seq: Seq) -> Result<Option<(Epoch, [u8; 32])>, ReadError> {
        self.reader.link_at(shard, seq).await
    }
}

impl Journal for PostgresJournal {
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<Head, AppendError>> {
        Box::pin(async move {
            let stopped = || AppendError::Unknown("the journal's writer has stopped".to_owned());
            let (reply, answer) = oneshot::channel();
            let orders = self.orders.as_ref().ok_or_else(stopped)?;
            orders.send(Order { batch, reply }).await.map_err(|_| stopped())?;
            answer.await.map_err(|_| stopped())?
        })
    }

    fn read(
        &self,
        shard: ShardId,
        from: Seq,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Arc<Commit>>, ReadError>> {
        Box::pin(self.reader.read(shard, from, limit))
    }

    fn head(&self, shard: ShardId) -> BoxFuture<'_, Result<Head, ReadError>> {
        Box::pin(self.reader.head(shard))
    }

    fn hash_at(&self, shard: ShardId, seq: Seq) -> BoxFuture<'_, Result<Option<[u8; 32]>, ReadError>> {
        Box::pin(self.reader.hash_at(shard, seq))
    }
}

impl Drop for PostgresJournal {
    /// Waits for what was ordered.
    fn drop(&mut self) {
        self.orders = None;
        if self.writing.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("a thread of the journal panicked");
        }
    }
}
