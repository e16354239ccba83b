//! Copies the journal into its replica while the node runs: a thread of its own, so that no payment waits for it or fails with it.

use anyhow::Context as _;
use florin_adapters::journal::SqliteJournal;
use florin_adapters::replica::follower::{Replica, ReplicaError};
use florin_domain::ids::ShardId;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Between two looks at the journal's end: with the work of one, the replica is less than a second behind.
const EVERY: Duration = Duration::from_millis(400);

/// Between two pages of a replica that catches up, so that it leaves the machine to others as well.
const BETWEEN_PAGES: Duration = Duration::from_millis(5);

/// Pages that are copied after the node has stopped; a replica that is farther behind goes on at the next start.
const LAST_PAGES_MAX: usize = 64;

/// The thread. Dropping this copies what is left and waits for it.
#[derive(Debug)]
pub(crate) struct Replicating {
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Replicating {
    /// Copies one shard's journal from now on, if there is to be a replica. The journal is kept open as long: what closes it last must be what
    /// writes it.
    pub(crate) fn start(
        folder: Option<&Path>,
        data_dir: &Path,
        shard: ShardId,
        journal: &Arc<SqliteJournal>,
    ) -> anyhow::Result<Option<Self>> {
        let Some(folder) = folder else {
            return Ok(None);
        };
        let mut following = Following {
            data_dir: data_dir.to_owned(),
            folder: folder.to_owned(),
            shard,
            replica: None,
            is_failing: false,
        };
        let journal = Arc::clone(journal);
        let (stop, stopped) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("florin-replica".to_owned())
            .spawn(move || {
                following.until(&stopped);
                drop(journal);
            })
            .context("the thread that writes the replica")?;
        Ok(Some(Self {
            stop: Some(stop),
            thread: Some(thread),
        }))
    }
}

impl Drop for Replicating {
    fn drop(&mut self) {
        self.stop = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that writes the replica panicked");
        }
    }
}

struct Following {
    data_dir: PathBuf,
    folder: PathBuf,
    shard: ShardId,
    replica: Option<Replica>,
    is_failing: bool,
}

/// How a page went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Page {
    /// There is more.
    Full,
    /// The replica is at the journal's end, or it failed and is tried again.
    Wait,
    /// It is not of this journal. Nothing more is written: a person must look.
    Diverged,
}

impl Following {
    fn until(&mut self, stopped: &Receiver<()>) {
        loop {
            let wait = match self.page() {
                Page::Full => BETWEEN_PAGES,
                Page::Wait => EVERY,
                Page::Diverged => {
                    while stopped.recv().is_ok() {}
                    return;
                }
            };
            if stopped.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
                break;
            }
        }
        for _ in 0..LAST_PAGES_MAX {
            if self.page() != Page::Full {
                return;
            }
        }
    }

    fn page(&mut self) -> Page {
        match self.copy() {
            Ok(page) => {
                self.is_failing = false;
                page
            }
            Err(ReplicaError::Diverged(why)) => {
                tracing::error!(
                    why,
                    "the replica is not of this journal and is left as it is; see `florin audit compare`"
                );
                alert("replica_diverged");
                Page::Diverged
            }
            Err(error) => {
                if !self.is_failing {
                    tracing::error!(%error, "the replica cannot be written; the node goes on, and it is tried again");
                    alert("replica_failing");
                }
                self.is_failing = true;
                Page::Wait
            }
        }
    }

    fn copy(&mut self) -> Result<Page, ReplicaError> {
        if self.replica.is_none() {
            let replica = Replica::open(&self.data_dir, &self.folder, self.shard)?;
            if replica.was_shortened() {
                tracing::error!(
                    end = replica.copied().0,
                    "the replica had lost its end, and is written again from there"
                );
                alert("replica_shortened");
            }
            self.replica = Some(replica);
        }
        let Some(replica) = &mut self.replica else {
            return Ok(Page::Wait);
        };
        let progress = replica.step()?;
        let lag = progress.head.0.saturating_sub(progress.copied.0);
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        let (copied, behind) = (progress.copied.0 as f64, lag as f64);
        let shard = self.shard.0.to_string();
        metrics::gauge!("florin_replica_seq", "shard" => shard.clone()).set(copied);
        metrics::gauge!("florin_replica_lag_commits", "shard" => shard).set(behind);
        Ok(if lag > 0 { Page::Full } else { Page::Wait })
    }
}

fn alert(name: &'static str) {
    metrics::counter!("florin_alerts_total", "alert" => name).increment(1);
}
