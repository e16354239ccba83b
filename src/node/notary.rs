//! Signs for the journal while the node runs: a thread of its own, every second, so that no payment waits for it.

use crate::shard_folders;
use anyhow::Context as _;
use florin_adapters::audit::notary::{Notary, NotaryError, Notice};
use florin_adapters::clock::SystemClock;
use florin_adapters::integrity::lost;
use florin_adapters::journal::{JournalTables, SqliteJournal};
use florin_adapters::postgres::Database;
use florin_config::Settings;
use florin_domain::ids::{Seq, ShardId};
use florin_domain::ports::Clock as _;
use indicatif::{ProgressBar, ProgressStyle};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Between two signatures of a journal that grows: with the work of one, at most a second.
const EVERY: Duration = Duration::from_millis(900);

/// Hashes from which reading them takes long enough to be shown.
const SHOWN_FROM: u64 = 500_000;

/// Compares the journal with the newest signed head. Must come before anything is served from it.
pub(crate) async fn compare(settings: &Settings, shard: ShardId) -> anyhow::Result<Notary> {
    let (data_dir, folder) = (settings.data_dir.clone(), settings.heads_folder());
    let bar = ProgressBar::hidden();
    bar.set_style(ProgressStyle::with_template(
        "reading hashes {bar:40} {pos}/{len} commits ({eta})",
    )?);
    let opened = tokio::task::spawn_blocking(move || {
        let progress = |done: u64, total: u64| {
            if total > SHOWN_FROM && bar.is_hidden() {
                bar.set_draw_target(indicatif::ProgressDrawTarget::stderr());
            }
            bar.set_length(total);
            bar.set_position(done);
        };
        let journal = shard_folders::folder(&data_dir, shard);
        let opened = Notary::open(&data_dir, (shard, &journal), &folder, &progress);
        bar.finish_and_clear();
        opened
    });
    told(opened.await.context("comparing with the signed heads")?)
}

/// The same with the journal of a database, which must be the one that this node has signed for.
pub(crate) async fn compare_shared(
    settings: &Settings,
    database: &Database,
    (shard, acknowledged): (ShardId, Arc<AtomicU64>),
) -> anyhow::Result<Notary> {
    let (data_dir, folder) = (settings.data_dir.clone(), settings.heads_folder());
    let tables = JournalTables::of(database).context("a connection for signing")?;
    let opened = tokio::task::spawn_blocking(move || {
        Notary::open_shared(&data_dir, (shard, Box::new(tables)), acknowledged, &folder)
    });
    told(opened.await.context("comparing with the signed heads")?)
}

/// Hands on what a person should look at.
fn told(opened: Result<(Notary, Vec<Notice>), NotaryError>) -> anyhow::Result<Notary> {
    let (notary, notices) = opened?;
    for notice in notices {
        match notice {
            Notice::HeadsMissing => {
                tracing::error!(
                    "there are no signed heads to compare the journal with, though there were some"
                );
                alert("heads_missing");
            }
            Notice::BadHead(bad) => {
                tracing::error!(head = %bad, "a signed head is bad; newer ones are not");
                alert("head_bad");
            }
        }
    }
    Ok(notary)
}

fn alert(name: &'static str) {
    metrics::counter!("florin_alerts_total", "alert" => name).increment(1);
}

/// The thread. Dropping this signs once more and waits for it.
#[derive(Debug)]
pub(crate) struct Signing {
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Signing {
    /// Signs from now on. A journal in the folder is kept open as long: what closes it last must be what writes it. If nobody else has it any longer
    /// when the last head was signed, nothing was answered behind that, and its commit is noted in the data folder as the end.
    pub(crate) fn start(
        notary: Notary,
        mut journal: Option<Arc<SqliteJournal>>,
        data_dir: &Path,
    ) -> anyhow::Result<Self> {
        let (stop, stopped) = sync_channel(1);
        let data_dir = data_dir.to_owned();
        let thread = std::thread::Builder::new()
            .name("florin-notary".to_owned())
            .spawn(move || {
                let shard = notary.shard();
                let end = sign_until(notary, &stopped, || {
                    journal
                        .as_mut()
                        .is_some_and(|journal| Arc::get_mut(journal).is_some())
                });
                drop(journal);
                if let Some(end) = end
                    && let Err(error) = lost::note_stop(&data_dir, shard, end)
                {
                    tracing::warn!(%error, shard = shard.0, "where the journal ends could not be noted");
                }
            })
            .context("the thread that signs")?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Signing {
    fn drop(&mut self) {
        self.stop = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that signs panicked");
        }
    }
}

/// Signs until it is stopped; answers the end of the journal if nobody could append to it when it was signed for the last time.
fn sign_until(mut notary: Notary, stopped: &Receiver<()>, mut is_alone: impl FnMut() -> bool) -> Option<Seq> {
    let clock = SystemClock::new();
    let mut is_failing = false;
    loop {
        let is_last = stopped.recv_timeout(EVERY) != Err(RecvTimeoutError::Timeout);
        // Asked before the journal is looked at: who waits for an append has the journal as well.
        let is_end = is_last && is_alone();
        match notary.sign(clock.now().unix_ms()) {
            Ok(_) => is_failing = false,
            Err(error) => {
                if !is_failing {
                    tracing::error!(%error, "the journal cannot be signed for; it goes on, and is tried every second");
                    alert("signing_failed");
                }
                is_failing = true;
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        metrics::gauge!("florin_audit_signed_seq", "shard" => notary.shard().0.to_string())
            .set(notary.signed().0 as f64);
        if is_last {
            return (is_end && !is_failing).then(|| notary.signed());
        }
    }
}
