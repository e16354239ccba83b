//! The shards of a node as they are opened: their journals, wherever those are, and what their folders have beside.

pub(crate) mod derived;

use crate::node::notary;
use crate::ownership::{Held, Ownership};
use crate::replica::Replicas;
use crate::shard_folders;
use anyhow::Context as _;
use florin_actors::options::Options;
use florin_adapters::audit::notary::Notary;
use florin_adapters::clock::SystemClock;
use florin_adapters::data_dir::DataDir;
use florin_adapters::integrity::lost;
use florin_adapters::journal::{FromJournal, PostgresJournal, PostgresPast, SqliteJournal};
use florin_adapters::keys::{FjallKeyIndex, KeyIndexOptions};
use florin_adapters::postgres::{Database, Taken};
use florin_adapters::snapshots::FileSnapshots;
use florin_adapters::views::{PostgresViews, SqliteViews, ViewsOptions};
use florin_config::Settings;
use florin_domain::ids::{Seq, ShardId};
use florin_domain::ports::{Follower, Journal, KeyIndex as _, Past};
use std::path::PathBuf;
use std::sync::Arc;

/// A shard that is ours.
pub(crate) struct Shard {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) past: Arc<dyn Past>,
    pub(crate) stores: Stores,
    pub(crate) snapshots: PathBuf,
}

/// A journal, what shows it, and what a shard keeps in its folder.
type JournalWith = (Arc<dyn Journal>, Arc<dyn Past>, Stores);

/// All of them, in order, and what must live as long.
pub(crate) struct Opened {
    pub(crate) shards: Vec<Shard>,
    /// With what is kept open as long.
    pub(crate) notaries: Vec<(Notary, Option<Arc<SqliteJournal>>)>,
    pub(crate) replicating: Replicas,
    pub(crate) folders: Vec<DataDir>,
}

impl Opened {
    /// Opens them all; `data` is the folder of the first.
    pub(crate) async fn open(
        settings: &Settings,
        ownership: &Ownership,
        data: DataDir,
        clock: &SystemClock,
    ) -> anyhow::Result<Self> {
        let folder = settings.data_dir.as_path();
        let all = match ownership {
            Ownership::Folder => shard_folders::all(
                folder,
                &settings.heads_folder(),
                settings.replica_dir.as_deref(),
                settings.shards,
            )?,
            // What is in the folders is made from the database, which knows which shards there are.
            Ownership::Lease(held) => held.taken.iter().map(|taken| taken.shard).collect(),
        };
        let mut opened = Self {
            shards: Vec::new(),
            notaries: Vec::new(),
            replicating: Replicas::none(),
            folders: vec![data],
        };
        for shard in all {
            if shard != ShardId::FIRST {
                opened
                    .folders
                    .push(DataDir::open(shard_folders::folder(folder, shard))?);
            }
            let (journal, past, stores) = match ownership {
                Ownership::Folder => opened.embedded(settings, shard).await?,
                Ownership::Lease(held) => opened.shared(settings, held, shard).await?,
            };
            never_before(clock, &*journal, shard).await;
            let snapshots = opened.last()?.snapshots();
            opened.shards.push(Shard {
                journal,
                past,
                stores,
                snapshots,
            });
        }
        Ok(opened)
    }

    fn last(&self) -> anyhow::Result<&DataDir> {
        self.folders.last().context("the folder of the shard")
    }

    /// A shard whose journal is in its folder.
    async fn embedded(&mut self, settings: &Settings, shard: ShardId) -> anyhow::Result<JournalWith> {
        // Before its journal is opened to be written.
        lost::forget_stop(&settings.data_dir, shard).context("the note of the last stop")?;
        let stores = Stores::open(self.last()?, &settings.actors)?;
        let journal = Arc::new(SqliteJournal::open(self.last()?.path(), shard)?);
        let notary = notary::compare(settings, shard).await?;
        self.notaries.push((notary, Some(Arc::clone(&journal))));
        if let Some(replica) = &settings.replica_dir {
            let path = self.last()?.path().to_owned();
            self.replicating.start(replica, &path, shard, &journal)?;
        }
        let past = Arc::new(FromJournal(Arc::clone(&journal) as _));
        Ok((journal, past, stores))
    }

    /// A shard whose journal is in a database.
    async fn shared(
        &mut self,
        settings: &Settings,
        held: &Held,
        shard: ShardId,
    ) -> anyhow::Result<JournalWith> {
        let taken = held.taken.iter().find(|taken| taken.shard == shard);
        let taken = taken.context("a shard that was not taken")?;
        let journal = Arc::new(PostgresJournal::open(&held.database, taken).await?);
        // Before anything is made from it, or made anew.
        let notary =
            notary::compare_shared(settings, &held.database, (shard, journal.acknowledged())).await?;
        self.notaries.push((notary, None));
        let made = Made {
            journal: &journal,
            taken,
            database: &held.database,
            has_views: settings.database.has_views,
        };
        let stores = Stores::of_database(self.last()?, &settings.actors, &made).await?;
        let past = Arc::new(PostgresPast::new(Arc::clone(&journal), held.replica.clone()));
        Ok((journal, past, stores))
    }
}

/// Time goes on from the last commit, also where the system's clock was set back: what was put in force or retired then stays before
/// what happens now.
async fn never_before(clock: &SystemClock, journal: &dyn Journal, shard: ShardId) {
    // What cannot be read here is told of by the recovery.
    let Ok(head) = journal.head(shard).await else {
        return;
    };
    let last = journal.read(shard, head.seq, 1).await.unwrap_or_default();
    if let Some(commit) = last.first().filter(|_| head.seq != Seq::ZERO) {
        let behind_ms = clock.not_before(commit.at);
        if behind_ms > CLOCK_SLACK_MS {
            tracing::warn!(
                behind_ms,
                "the system's clock is behind the journal: time goes on from the last commit until the clock has caught up"
            );
        }
    }
}

/// What clocks are off that nobody need look at.
const CLOCK_SLACK_MS: u64 = 1_000;

/// Where a shard's payments view is.
pub(crate) enum KeptViews {
    Folder(SqliteViews),
    Database(Box<PostgresViews>),
}

/// What is made from the journal of a shard.
pub(crate) struct Stores {
    pub(crate) keys: Arc<FjallKeyIndex>,
    pub(crate) views: KeptViews,
}

/// A journal in a database, from which they are made.
struct Made<'a> {
    journal: &'a PostgresJournal,
    taken: &'a Taken,
    database: &'a Database,
    has_views: bool,
}

/// What a folder has of them: the key index, and the view unless that is in the database.
type InFolder = (Arc<FjallKeyIndex>, Option<SqliteViews>);

impl Stores {
    /// Those of a journal in a database, made anew if they were made from another one.
    async fn of_database(data: &DataDir, options: &Options, made: &Made<'_>) -> anyhow::Result<Self> {
        let Made { journal, taken, .. } = *made;
        derived::finish_discard(data)?;
        let mut in_folder = Self::in_folder(data, options, !made.has_views)?;
        let mut fits = true;
        let viewed = in_folder.1.as_ref().map(Follower::watermark).transpose()?;
        for indexed in [Some(in_folder.0.watermark()), viewed].into_iter().flatten() {
            fits &= derived::fit(data.path(), journal, taken.shard, indexed).await?;
        }
        let snapshots = FileSnapshots::new(data.snapshots());
        fits &= derived::snapshots_fit(&snapshots, journal, taken.shard).await?;
        if !fits {
            tracing::error!(
                shard = taken.shard.0,
                "the indexes and snapshots of this folder were not all made from the database's journal as it is now; they are made anew"
            );
            metrics::counter!("florin_alerts_total", "alert" => "indexes_discarded").increment(1);
            drop(in_folder);
            derived::discard(data)?;
            in_folder = Self::in_folder(data, options, !made.has_views)?;
        }
        let (keys, views) = in_folder;
        if views.is_none() {
            // It falls behind from now on, and nobody would compare it with the journal: before a note says that the folder fits.
            derived::delete_views(data)?;
        }
        derived::note(data.path(), &taken.head)?;
        let views = if let Some(views) = views {
            KeptViews::Folder(views)
        } else {
            KeptViews::Database(Box::new(PostgresViews::open(made.database, taken).await?))
        };
        Ok(Self { keys, views })
    }

    /// Those of a journal in the folder.
    fn open(data: &DataDir, options: &Options) -> anyhow::Result<Self> {
        let keys = open_keys(data, options)?;
        let views = KeptViews::Folder(open_views(data)?);
        Ok(Self { keys, views })
    }

    fn in_folder(data: &DataDir, options: &Options, has_views: bool) -> anyhow::Result<InFolder> {
        let keys = open_keys(data, options)?;
        let views = has_views.then(|| open_views(data)).transpose()?;
        Ok((keys, views))
    }
}

fn open_keys(data: &DataDir, options: &Options) -> anyhow::Result<Arc<FjallKeyIndex>> {
    // The index stops the journal only far beyond the lag at which admission stops new work.
    let keys = KeyIndexOptions {
        lag_commits_max: options.admission.index_lag_max + 2 * options.internal_capacity() as u64,
        ..KeyIndexOptions::default()
    };
    Ok(Arc::new(FjallKeyIndex::open(&data.keys(), keys)?))
}

fn open_views(data: &DataDir) -> anyhow::Result<SqliteViews> {
    Ok(SqliteViews::open(&data.views(), &ViewsOptions::default())?)
}
