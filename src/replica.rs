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

/// How long a node that stops waits for a replica: a disk that does not answer must not keep it from ending. Once one was given up, the others are given no
/// more time than they had.
const PATIENCE: Duration = Duration::from_secs(5);

/// The threads, one for each shard. Dropping this copies what is left and waits for them, but only for so long: who is given up ends with the
/// process, wherever it is, and the replica goes on from there at the next start.
#[derive(Debug)]
pub(crate) struct Replicas {
    running: Vec<Replicating>,
    patience: Duration,
}

/// One thread.
#[derive(Debug)]
struct Replicating {
    shard: ShardId,
    stop: Option<SyncSender<()>>,
    /// Nothing is ever sent: the thread has ended when it is closed.
    ended: Receiver<()>,
    thread: JoinHandle<()>,
}

impl Replicas {
    /// None yet.
    pub(crate) fn none() -> Self {
        Self {
            running: Vec::new(),
            patience: PATIENCE,
        }
    }

    /// Copies one shard's journal from now on. The journal is kept open as long: what closes it last must be what writes it. A thread that is given
    /// up keeps it open for good, and leaves its log as a killed node does; the next start reads it.
    pub(crate) fn start(
        &mut self,
        folder: &Path,
        data_dir: &Path,
        shard: ShardId,
        journal: &Arc<SqliteJournal>,
    ) -> anyhow::Result<()> {
        let mut following = Following {
            data_dir: data_dir.to_owned(),
            folder: folder.to_owned(),
            shard,
            replica: None,
            is_failing: false,
        };
        let journal = Arc::clone(journal);
        let (stop, stopped) = sync_channel(1);
        let (ends, ended) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("florin-replica".to_owned())
            .spawn(move || {
                // Dropped last, by a panic as well.
                let _ends = ends;
                following.until(&stopped);
                // Its own connection to the journal goes first.
                drop(following);
                drop(journal);
            })
            .context("the thread that writes the replica")?;
        self.running.push(Replicating {
            shard,
            stop: Some(stop),
            ended,
            thread,
        });
        Ok(())
    }
}

impl Drop for Replicas {
    fn drop(&mut self) {
        for replicating in &mut self.running {
            replicating.stop = None;
        }
        let mut patience = self.patience;
        for replicating in self.running.drain(..) {
            if replicating.ended.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
                // The others had the same time.
                patience = Duration::ZERO;
                tracing::error!(
                    shard = replicating.shard.0,
                    waited_s = self.patience.as_secs_f64(),
                    "the replica is given up: its disk does not answer, or is too slow. It catches up after the next start"
                );
            } else if replicating.thread.join().is_err() {
                tracing::error!("the thread that writes the replica panicked");
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use florin_adapters::journal::JournalFile;
    use std::fs::OpenOptions;
    use tempfile::TempDir;

    /// A data folder with a journal and a folder for its replica.
    fn world() -> (TempDir, TempDir, Arc<SqliteJournal>) {
        let (data, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let journal = SqliteJournal::open(data.path(), ShardId::FIRST).unwrap();
        (data, second, Arc::new(journal))
    }

    #[test]
    fn a_stop_waits_until_the_replica_has_let_the_journal_go() {
        let (data, second, journal) = world();
        let mut replicas = Replicas::none();
        replicas
            .start(second.path(), data.path(), ShardId::FIRST, &journal)
            .unwrap();
        drop(replicas);
        assert_eq!(Arc::strong_count(&journal), 1);
        drop(journal);
        let log = data.path().join("journal.db-wal");
        assert!(!log.exists(), "the writer closed it last");
        JournalFile::open(data.path()).unwrap();
    }

    #[test]
    fn a_replica_whose_disk_does_not_answer_is_given_up() {
        let (data, second, journal) = world();
        // Who opens a pipe to read waits until somebody opens it to write.
        let pipe = second.path().join("replica-0-00000000000000000001.seg");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let mut replicas = Replicas::none();
        replicas.patience = Duration::from_millis(20);
        replicas
            .start(second.path(), data.path(), ShardId::FIRST, &journal)
            .unwrap();
        drop(replicas);
        assert_eq!(Arc::strong_count(&journal), 2, "its thread hangs, and we do not");
        // The disk answers again.
        drop(OpenOptions::new().write(true).open(&pipe).unwrap());
    }
}
