//! Owns the journal in an SQLite file: `journal.db`, write-ahead log, one fsync per batch.
//!
//! Two threads do the work: one encodes, chains and appends, the other reads on a connection of its own, so that a long read delays
//! no append. Futures only wait for their answers.

mod build;
mod file;
mod reader;
mod tables;
#[cfg(test)]
mod tests;
mod writer;

#[cfg(test)]
pub(super) use tables::position;

pub(crate) use build::JournalBuilder;
pub use file::JournalFile;

use super::PAGE_BYTES_MAX;
use crate::data_dir::JOURNAL;
use florin_domain::commit::Commit;
use florin_domain::ids::{Seq, ShardId};
use florin_domain::ports::{AppendError, Batch, BoxFuture, Head, Journal, ReadError};
use reader::{Question, Reader};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::{io, thread};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use writer::{Order, Writer};

/// Batches that may wait for the writer. Callers beyond wait without a place; a shard has one batch on its way, so few are needed.
const ORDERS_MAX: usize = 16;

/// Reads that may wait for the reader.
const QUESTIONS_MAX: usize = 64;

/// Why a journal cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// SQLite refused.
    #[error("{path} cannot be opened: {why}")]
    Store {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        why: String,
    },
    /// Written by a later build, or not a journal.
    #[error("the journal's tables have version {found}, and this build reads version {known}")]
    Version {
        /// The version found.
        found: i64,
        /// The version of this build.
        known: i64,
    },
    /// Head and records disagree: the journal must be repaired from a verified copy.
    #[error("the journal is damaged at {seq}: {why}")]
    Damaged {
        /// Where.
        seq: Seq,
        /// How it shows.
        why: String,
    },
    /// The operating system refused a file or a thread.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

/// A journal on SQLite, owner of one shard.
#[derive(Debug)]
pub struct SqliteJournal {
    orders: Option<mpsc::Sender<Order>>,
    questions: Option<mpsc::Sender<Question>>,
    writing: Option<JoinHandle<()>>,
    reading: Option<JoinHandle<()>>,
}

impl SqliteJournal {
    /// Opens or makes the journal in a data directory and takes ownership of a shard, durably: every earlier owner is fenced out.
    pub fn open(data_dir: &Path, shard: ShardId) -> Result<Self, OpenError> {
        Self::open_paged(data_dir, shard, PAGE_BYTES_MAX)
    }

    /// The same with pages of so many stored bytes.
    pub(super) fn open_paged(
        data_dir: &Path,
        shard: ShardId,
        page_bytes_max: usize,
    ) -> Result<Self, OpenError> {
        let path = data_dir.join(JOURNAL);
        let connection = tables::open(&path)?;
        let owned = tables::take(&connection, shard, &path)?;
        let mut writer = Writer::new(connection, shard, owned);
        let mut reader = Reader::open(&path, page_bytes_max)?;
        let io = |source| OpenError::Io {
            path: path.clone(),
            source,
        };
        std::fs::File::open(data_dir)
            .and_then(|folder| folder.sync_all())
            .map_err(io)?;

        let (orders, mut ordered) = mpsc::channel::<Order>(ORDERS_MAX);
        let (questions, mut asked) = mpsc::channel::<Question>(QUESTIONS_MAX);
        let name = format!("journal-{}", shard.0);
        let reading = thread::Builder::new()
            .name(format!("{name}-read"))
            .spawn(move || {
                while let Some(question) = asked.blocking_recv() {
                    reader.answer(question);
                }
            });
        let writing = thread::Builder::new().name(name).spawn(move || {
            while let Some(order) = ordered.blocking_recv() {
                writer.carry_out(order);
            }
        });
        let (reading, writing) = (Some(reading.map_err(io)?), Some(writing.map_err(io)?));
        Ok(Self {
            orders: Some(orders),
            questions: Some(questions),
            writing,
            reading,
        })
    }

    async fn ask<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<Result<T, ReadError>>) -> Question,
    ) -> Result<T, ReadError> {
        let stopped = || ReadError::Store("the journal's reader has stopped".to_owned());
        let (reply, answer) = oneshot::channel();
        let questions = self.questions.as_ref().ok_or_else(stopped)?;
        questions.send(question(reply)).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

impl Journal for SqliteJournal {
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
        Box::pin(self.ask(move |reply| Question::Read {
            shard,
            from,
            limit,
            reply,
        }))
    }

    fn head(&self, shard: ShardId) -> BoxFuture<'_, Result<Head, ReadError>> {
        Box::pin(self.ask(move |reply| Question::Head { shard, reply }))
    }

    fn hash_at(&self, shard: ShardId, seq: Seq) -> BoxFuture<'_, Result<Option<[u8; 32]>, ReadError>> {
        Box::pin(self.ask(move |reply| Question::HashAt { shard, seq, reply }))
    }
}

impl Drop for SqliteJournal {
    /// Waits for what was ordered and closes the file, so that it can be opened again at once. The writer closes last: only it can
    /// copy the log into the file.
    fn drop(&mut self) {
        self.questions = None;
        join(self.reading.take());
        self.orders = None;
        join(self.writing.take());
    }
}

fn join(thread: Option<JoinHandle<()>>) {
    if thread.is_some_and(|thread| thread.join().is_err()) {
        tracing::error!("a thread of the journal panicked");
    }
}
