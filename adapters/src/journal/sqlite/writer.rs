//! Owns appending: one transaction per batch, whose first statement is the fence.

use super::tables::{Owned, position};
use crate::journal::chain::{Hash, Record, Sealed};
use crate::journal::{Fit, check_places, fit};
use florin_domain::ids::{Seq, ShardId};
use florin_domain::ports::{AppendError, Batch, Head};
use metrics::Histogram;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, params};
use std::time::Instant;
use tokio::sync::oneshot;

/// Rows of the statements that insert: as many at once as fit, then fewer.
const ROWS_AT_ONCE: [usize; 3] = [32, 8, 1];

/// Pages of log after which it is copied into the file.
const CHECKPOINT_PAGES: u64 = 1000;

/// SQLite's usual page.
const PAGE_BYTES: u64 = 4096;

/// Pages that a batch changes besides those of its records: the head, and the table's inner pages.
const PAGES_BESIDES: u64 = 3;

/// A batch and who waits for it.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) batch: Batch,
    pub(super) reply: oneshot::Sender<Result<Head, AppendError>>,
}

/// What an error of the store means for the batch that met it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Nothing was written, and there may be room later.
    NoRoom,
    /// Nobody knows what is durable. An fsync that failed once may succeed on the second call without the data: never ask again.
    Halt,
}

/// The only writer of its shard.
#[derive(Debug)]
pub(super) struct Writer {
    connection: Connection,
    shard: ShardId,
    head: Head,
    last_batch: Option<u128>,
    sealed: Sealed,
    inserts: [String; ROWS_AT_ONCE.len()],
    log_pages: u64,
    halted: Option<String>,
    /// Seconds of the part of an append that ends on the disk.
    fsync_seconds: Histogram,
}

impl Writer {
    pub(super) fn new(connection: Connection, shard: ShardId, owned: Owned) -> Self {
        let inserts = ROWS_AT_ONCE.map(|rows| {
            let values = vec!["(?, ?, ?, ?)"; rows].join(", ");
            format!("INSERT INTO commit_record (position, epoch, hash, bytes) VALUES {values}")
        });
        Self {
            connection,
            shard,
            head: owned.head,
            last_batch: owned.last_batch,
            sealed: Sealed::default(),
            inserts,
            // The log may be long from before; it is copied at the first chance.
            log_pages: CHECKPOINT_PAGES,
            halted: None,
            fsync_seconds: metrics::histogram!("florin_journal_fsync_seconds"),
        }
    }

    /// For tests that make the store fail.
    #[cfg(test)]
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Appends, answers, and then looks after the log.
    pub(super) fn carry_out(&mut self, order: Order) {
        let answer = self.append(&order.batch);
        if order.reply.send(answer).is_err() {
            tracing::debug!("nobody waits for the batch any more");
        }
        self.checkpoint();
    }

    /// Makes a batch durable.
    pub(super) fn append(&mut self, batch: &Batch) -> Result<Head, AppendError> {
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
        match self.transact(batch.id, &next) {
            Ok(true) => {
                self.head = next;
                self.last_batch = Some(batch.id);
                let bytes = self.sealed.len() as u64;
                self.log_pages += bytes / PAGE_BYTES + PAGES_BESIDES;
                Ok(next)
            }
            Ok(false) => self
                .roll_back()
                .map_or_else(|why| Err(self.halt(why)), |()| Err(AppendError::Fenced)),
            Err(error) => Err(self.fail(&error)),
        }
    }

    /// One transaction; `false` if the fence refused it.
    fn transact(&self, batch_id: u128, next: &Head) -> rusqlite::Result<bool> {
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let fence = "UPDATE shard_head SET head = ?1, hash = ?2, batch_id = ?3
                     WHERE shard = ?4 AND epoch = ?5 AND head = ?6";
        let mut fence = self.connection.prepare_cached(fence)?;
        let epoch = self.head.epoch.0.cast_signed();
        let (before, after) = (self.head.seq.0.cast_signed(), next.seq.0.cast_signed());
        let id = batch_id.to_be_bytes();
        if fence.execute(params![after, next.hash, id, self.shard.0, epoch, before])? != 1 {
            return Ok(false);
        }
        let mut records = self.sealed.records(self.head.seq);
        for (rows, sql) in ROWS_AT_ONCE.into_iter().zip(&self.inserts) {
            if records.len() < rows {
                continue;
            }
            let mut insert = self.connection.prepare_cached(sql)?;
            while records.len() >= rows {
                for (row, Record { seq, hash, bytes }) in records.by_ref().take(rows).enumerate() {
                    let hash: &Hash = hash;
                    insert.raw_bind_parameter(row * 4 + 1, position(self.shard, seq))?;
                    insert.raw_bind_parameter(row * 4 + 2, epoch)?;
                    insert.raw_bind_parameter(row * 4 + 3, hash.as_slice())?;
                    insert.raw_bind_parameter(row * 4 + 4, bytes)?;
                }
                insert.raw_execute()?;
            }
        }
        // All that goes before this changes memory only: the log is written, and its fsync waited for, here.
        let mut commit = self.connection.prepare_cached("COMMIT")?;
        let began = Instant::now();
        commit.execute([])?;
        self.fsync_seconds.record(began.elapsed().as_secs_f64());
        Ok(true)
    }

    fn fail(&mut self, error: &rusqlite::Error) -> AppendError {
        let rolled_back = self.roll_back();
        match (trouble(error), rolled_back) {
            (Trouble::NoRoom, Ok(())) => AppendError::NoRoom(error.to_string()),
            (Trouble::NoRoom, Err(why)) => self.halt(why),
            (Trouble::Halt, _) => self.halt(error.to_string()),
        }
    }

    /// Ends the transaction if the error has not ended it already.
    fn roll_back(&self) -> Result<(), String> {
        if self.connection.is_autocommit() {
            return Ok(());
        }
        self.connection
            .execute_batch("ROLLBACK")
            .map_err(|error| error.to_string())
    }

    fn halt(&mut self, why: String) -> AppendError {
        tracing::error!(shard = self.shard.0, why, "the journal has halted");
        // Nor may closing the file try again.
        if let Err(error) = self
            .connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        {
            tracing::error!(%error, "closing will copy the log");
        }
        self.halted = Some(why.clone());
        AppendError::Unknown(why)
    }

    /// Copies the log into the file once it is long. Only a failed write or fsync matters: otherwise the log just stays longer.
    fn checkpoint(&mut self) {
        if self.log_pages < CHECKPOINT_PAGES || self.halted.is_some() {
            return;
        }
        self.log_pages = 0;
        let checkpoint = self.connection.prepare_cached("PRAGMA wal_checkpoint(PASSIVE)");
        let done = checkpoint.and_then(|mut statement| statement.query_row([], |_| Ok(())));
        if let Err(error) = done {
            match error.sqlite_error_code() {
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::DiskFull) => {
                    tracing::warn!(%error, "the journal's log could not be copied into its file yet");
                }
                Some(_) | None => {
                    self.halt(format!("copying the log failed: {error}"));
                }
            }
        }
    }
}

/// Judges an error of a transaction.
pub(super) fn trouble(error: &rusqlite::Error) -> Trouble {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull | ErrorCode::ReadOnly) => Trouble::NoRoom,
        Some(_) | None => Trouble::Halt,
    }
}
