//! The payments view in one SQLite file: a thread that writes, a few that read, and a bounded queue before each, so that no
//! caller ever waits inside SQLite.
//!
//! The main table is keyed by payment id alone, because ids sort by time and rows are then appended; lists have tables of their
//! own. Keyed by (merchant, mode, id), a row costs three times as much: every merchant's newest page, full of payment states,
//! is split and written again and again.

use super::reader::{Read, ReadQueue};
use super::writer::{Apply, Writer};
use florin_domain::ids::{PaymentId, Seq};
use florin_domain::ports::{
    AnnouncingCommit, BoxFuture, EventsPage, EventsQuery, Follower, MovedIndex, MovedPage, MovedQuery,
    PaymentRow, PaymentsPage, PaymentsQuery, ReadError, RefundPlace, RefundsQuery, ViewError, Views,
    WaitingQuery,
};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};

/// Batches between the follower and the writing thread: one at work and one ready.
const BATCHES_WAITING_MAX: usize = 2;

/// How the view runs.
#[derive(Clone, Debug)]
pub struct ViewsOptions {
    /// Threads that read.
    pub readers: usize,
    /// Reads that may wait; one more is refused as busy.
    pub reads_waiting_max: usize,
    /// Memory for pages of the writer, and of each reader, in KiB.
    pub cache_kib: u32,
}

impl Default for ViewsOptions {
    fn default() -> Self {
        Self {
            readers: 2,
            reads_waiting_max: 1024,
            cache_kib: 32 * 1024,
        }
    }
}

/// The payments view in a file.
pub struct SqliteViews {
    watermark: Arc<AtomicU64>,
    reads: Arc<ReadQueue>,
    /// Taken when the view closes, which ends the writing thread.
    batches: Option<mpsc::Sender<Apply>>,
    /// The readers, then the writer.
    threads: Vec<JoinHandle<()>>,
}

impl SqliteViews {
    /// Opens the view in `path`. A file that is damaged, of another version, or perhaps torn because the machine went down under it
    /// is deleted, and the view starts empty with a watermark of zero.
    pub fn open(path: &Path, options: &ViewsOptions) -> Result<Self, ViewError> {
        let (writer, found) = Writer::open(path, options.cache_kib)?;
        let watermark = Arc::new(AtomicU64::new(found.0));
        let reads = Arc::new(ReadQueue::new(options.reads_waiting_max));
        let (batches, inbox) = mpsc::channel(BATCHES_WAITING_MAX);
        let mut views = Self {
            watermark,
            reads,
            batches: Some(batches),
            threads: Vec::new(),
        };
        for _ in 0..options.readers.max(1) {
            let reader = ReadQueue::reader(&views.reads, path, options.cache_kib)?;
            views.spawn("florin-views-read", move || reader.run())?;
        }
        let watermark = Arc::clone(&views.watermark);
        views.spawn("florin-views", move || writer.run(inbox, &watermark))?;
        Ok(views)
    }

    fn spawn(&mut self, name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), ViewError> {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(body);
        self.threads
            .push(thread.map_err(|error| ViewError::Store(error.to_string()))?);
        Ok(())
    }
}

fn ended() -> ViewError {
    ViewError::Store("the view's thread has ended".to_owned())
}

impl Follower for SqliteViews {
    fn apply(
        &self,
        rows: Vec<PaymentRow>,
        announced: Vec<AnnouncingCommit>,
        up_to: Seq,
    ) -> BoxFuture<'_, Result<(), ViewError>> {
        Box::pin(async move {
            let (reply, done) = oneshot::channel();
            let batches = self.batches.as_ref().ok_or_else(ended)?;
            batches
                .send(Apply {
                    rows,
                    announced,
                    up_to,
                    reply,
                })
                .await
                .map_err(|_| ended())?;
            done.await.map_err(|_| ended())?
        })
    }

    fn watermark(&self) -> Result<Seq, ReadError> {
        Ok(Seq(self.watermark.load(Ordering::Acquire)))
    }
}

impl MovedIndex for SqliteViews {
    fn moved(&self, query: MovedQuery) -> BoxFuture<'_, Result<MovedPage, ViewError>> {
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            self.reads.push(Read::Moved { query, reply })?;
            answer.await.map_err(|_| ended())?
        })
    }
}

impl Views for SqliteViews {
    fn payment(&self, id: PaymentId) -> BoxFuture<'_, Result<Option<PaymentRow>, ViewError>> {
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            self.reads.push(Read::Payment { id, reply })?;
            answer.await.map_err(|_| ended())?
        })
    }

    fn payments(&self, query: PaymentsQuery) -> BoxFuture<'_, Result<PaymentsPage, ViewError>> {
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            self.reads.push(Read::Payments { query, reply })?;
            answer.await.map_err(|_| ended())?
        })
    }

    fn waiting(&self, query: WaitingQuery) -> BoxFuture<'_, Result<Vec<PaymentRow>, ViewError>> {
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            self.reads.push(Read::Waiting { query, reply })?;
            answer.await.map_err(|_| ended())?
        })
    }

    fn events(&self, query: EventsQuery) -> BoxFuture<'_, Result<EventsPage, ViewError>> {
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            self.reads.push(Read::Events { query, reply })?;
            answer.await.map_err(|_| ended())?
        })
    }

    fn refunds(&self, query: RefundsQuery) -> BoxFuture<'_, Result<Vec<RefundPlace>, ViewError>> {
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            self.reads.push(Read::Refunds { query, reply })?;
            answer.await.map_err(|_| ended())?
        })
    }
}

impl Drop for SqliteViews {
    /// Lets the threads finish what they have; the writer last, because it closes the file properly.
    fn drop(&mut self) {
        self.reads.close();
        let writer = self.threads.pop();
        let readers = std::mem::take(&mut self.threads);
        readers.into_iter().for_each(join);
        self.batches = None;
        writer.into_iter().for_each(join);
    }
}

fn join(thread: JoinHandle<()>) {
    if thread.join().is_err() {
        tracing::error!("a thread of the payments view had panicked");
    }
}

impl fmt::Debug for SqliteViews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let watermark = self.watermark.load(Ordering::Relaxed);
        f.debug_struct("SqliteViews")
            .field("watermark", &watermark)
            .finish_non_exhaustive()
    }
}
