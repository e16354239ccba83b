//! Owns appending: one call per batch, asked again while the database does not answer, and never a second time under another number.

use super::anchors::Anchors;
use crate::journal::chain::{Hash, Record, Sealed};
use crate::journal::{Fit, check_places, fit};
use crate::postgres::{Database, Link, Outcome, Taken, Trouble};
use florin_domain::ids::{Seq, ShardId};
use florin_domain::ports::{AppendError, Batch, Head};
use metrics::Histogram;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use tokio_postgres::types::Type;

const APPEND: &str = "SELECT florin.append_batch($1, $2, $3, $4, $5, $6, $7, $8, $9)";

/// What `florin.append_batch` answers.
const APPENDED: i16 = 0;
const THERE_ALREADY: i16 = 1;

/// Between two tries, doubled from the first to the last.
const WAIT_MIN: Duration = Duration::from_millis(20);
const WAIT_MAX: Duration = Duration::from_millis(500);

/// A batch and who waits for it.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) batch: Batch,
    pub(super) reply: oneshot::Sender<Result<Head, AppendError>>,
}

/// The only writer of its shard in this process.
#[derive(Debug)]
pub(super) struct Writer {
    database: Database,
    shard: ShardId,
    head: Head,
    last_batch: Option<u128>,
    anchors: Arc<Anchors>,
    /// The end of what the database has acknowledged, for others.
    acknowledged: Arc<AtomicU64>,
    sealed: Sealed,
    link: Option<Link>,
    halted: Option<String>,
    /// Seconds until the database has answered, which is after its disk has, and those of its synchronous copies.
    fsync_seconds: Histogram,
}

impl Writer {
    pub(super) fn new(database: Database, taken: &Taken, anchors: Arc<Anchors>) -> Self {
        Self {
            database,
            shard: taken.shard,
            head: taken.head,
            last_batch: taken.last_batch,
            anchors,
            acknowledged: Arc::new(AtomicU64::new(taken.head.seq.0)),
            sealed: Sealed::default(),
            link: None,
            halted: None,
            fsync_seconds: metrics::histogram!("florin_journal_fsync_seconds"),
        }
    }

    /// Where what is acknowledged ends, now and later.
    pub(super) fn acknowledged(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.acknowledged)
    }

    /// Carries out what is ordered until nobody can order any more.
    pub(super) async fn run(mut self, mut ordered: mpsc::Receiver<Order>) {
        while let Some(Order { batch, reply }) = ordered.recv().await {
            let answer = self.append(&batch).await;
            if reply.send(answer).is_err() {
                tracing::debug!("nobody waits for the batch any more");
            }
        }
    }

    /// Makes a batch durable.
    async fn append(&mut self, batch: &Batch) -> Result<Head, AppendError> {
        if let Some(why) = &self.halted {
            return Err(AppendError::Unknown(why.clone()));
        }
        match fit(batch, self.shard, &self.head, self.last_batch) {
            Fit::Last => return Ok(self.head),
            Fit::Elsewhere => return Err(AppendError::Fenced),
            Fit::Next => check_places(batch)?,
        }
        let hash = self.sealed.seal(batch, self.head.hash);
        let count = u64::try_from(batch.commits.len()).unwrap_or(u64::MAX);
        let next = Head {
            seq: Seq(self.head.seq.0.saturating_add(count)),
            hash,
            ..self.head
        };
        let answer = self.ask_until_told(batch.id, &next).await?;
        if answer == APPENDED || answer == THERE_ALREADY {
            self.head = next;
            self.anchors.note(&next);
            self.acknowledged.store(next.seq.0, Ordering::Release);
            self.last_batch = Some(batch.id);
            return Ok(next);
        }
        Err(AppendError::Fenced)
    }

    /// The answer of the database, however often it must be asked. A try of which nobody knows what became may still arrive there, so
    /// after one nothing but the database's own word says that the batch is not there.
    async fn ask_until_told(&mut self, batch_id: u128, next: &Head) -> Result<i16, AppendError> {
        let began = Instant::now();
        let (mut wait, mut is_uncertain) = (WAIT_MIN, false);
        loop {
            let (trouble, why) = match self.ask(batch_id, next).await {
                Ok(Outcome::Done(answer)) => {
                    self.fsync_seconds.record(began.elapsed().as_secs_f64());
                    return Ok(answer);
                }
                Ok(Outcome::Failed(trouble, why)) => {
                    self.link = None;
                    (trouble, why)
                }
                // Not connected, so nothing was sent.
                Err(why) => {
                    let options = self.database.options();
                    if !is_uncertain && began.elapsed() >= options.connect_timeout {
                        return Err(AppendError::NoRoom(why));
                    }
                    if began.elapsed() >= options.append_patience {
                        return Err(self.halt(why));
                    }
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(WAIT_MAX);
                    continue;
                }
            };
            match trouble {
                Trouble::NoRoom if !is_uncertain => return Err(AppendError::NoRoom(why)),
                Trouble::NoRoom | Trouble::Halt => return Err(self.halt(why)),
                Trouble::Again if began.elapsed() >= self.database.options().append_patience => {
                    return Err(self.halt(why));
                }
                Trouble::Again => {
                    tracing::warn!(shard = self.shard.0, why, "an append is asked again");
                    is_uncertain = true;
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(WAIT_MAX);
                }
            }
        }
    }

    /// Asks once; an error if there is no connection to ask over.
    async fn ask(&mut self, batch_id: u128, next: &Head) -> Result<Outcome<i16>, String> {
        let live = match self.link.take().filter(|link| !link.is_closed()) {
            Some(live) => live,
            None => self.database.link().await?,
        };
        let live = self.link.insert(live);
        let (hashes, records): (Vec<&[u8]>, Vec<&[u8]>) = self
            .sealed
            .records(self.head.seq)
            .map(|Record { hash, bytes, .. }| (hash.as_slice(), bytes))
            .unzip();
        let (shard, epoch) = (i32::from(self.shard.0), self.head.epoch.0.cast_signed());
        let (after, id) = (self.head.seq.0.cast_signed(), batch_id.to_be_bytes());
        let (prev, hash): (&Hash, &Hash) = (&self.head.hash, &next.hash);
        let needs_copy = self.database.needs_copy();
        let types = [
            Type::INT4,
            Type::INT8,
            Type::INT8,
            Type::BYTEA,
            Type::BYTEA,
            Type::BYTEA,
            Type::BYTEA_ARRAY,
            Type::BYTEA_ARRAY,
            Type::BOOL,
        ];
        let limit = self.database.options().statement_timeout * 2;
        let parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
            &shard,
            &epoch,
            &after,
            &prev.as_slice(),
            &hash.as_slice(),
            &id.as_slice(),
            &hashes,
            &records,
            &needs_copy,
        ];
        // The server ends its statements itself; a server that is not there any more does not.
        let called = tokio::time::timeout(limit, live.call(APPEND, &types, parameters)).await;
        Ok(match called {
            Err(_) => Outcome::Failed(Trouble::Again, "the database does not answer".to_owned()),
            Ok(Outcome::Failed(trouble, why)) => Outcome::Failed(trouble, why),
            Ok(Outcome::Done(rows)) => match rows.first().map(|row| row.try_get(0)) {
                Some(Ok(answer)) => Outcome::Done(answer),
                Some(Err(_)) | None => {
                    Outcome::Failed(Trouble::Halt, "the database answers something else".to_owned())
                }
            },
        })
    }

    fn halt(&mut self, why: String) -> AppendError {
        tracing::error!(shard = self.shard.0, why, "the journal has halted");
        self.halted = Some(why.clone());
        AppendError::Unknown(why)
    }
}
