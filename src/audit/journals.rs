//! The journals of a node for commands that only read, wherever they are: in the folders of the shards, or in a database.

use crate::{ownership, shard_folders};
use florin_adapters::journal::{JournalFile, JournalTables, StoredJournal};
use florin_adapters::journal_place;
use florin_adapters::postgres::Server;
use florin_config::Settings;
use florin_domain::ids::ShardId;
use std::ops::Deref;
use std::path::{Path, PathBuf};

/// Where they are. Must be used on a thread that may wait.
pub(crate) struct Journals<'a> {
    data_dir: &'a Path,
    heads: PathBuf,
    tables: Option<JournalTables>,
}

impl<'a> Journals<'a> {
    /// Those of the configured database, or of the data folder.
    pub(crate) fn open(settings: &'a Settings) -> anyhow::Result<Self> {
        let tables = if let Some(url) = &settings.database.url {
            let options = ownership::database_options(settings, url.expose());
            let tables = JournalTables::open(&options, Server::Primary)?;
            journal_place::compare_if_bound(&settings.data_dir, &tables.journal_id()?)?;
            Some(tables)
        } else {
            journal_place::bind(&settings.data_dir, None)?;
            None
        };
        Ok(Self {
            data_dir: &settings.data_dir,
            heads: settings.heads_folder(),
            tables,
        })
    }

    /// Whether each shard must have a folder.
    pub(crate) fn are_in_folders(&self) -> bool {
        self.tables.is_none()
    }

    /// The database, if they are in one.
    pub(crate) fn tables(&self) -> Option<&JournalTables> {
        self.tables.as_ref()
    }

    /// Where something is wrong, if it is.
    pub(crate) fn place(&self) -> String {
        match &self.tables {
            Some(tables) => format!("the database at {}", tables.place()),
            None => self.data_dir.display().to_string(),
        }
    }

    /// The shards that there are, or were: those that were signed for, too.
    pub(crate) fn known(&self, replica: Option<&Path>) -> anyhow::Result<Vec<ShardId>> {
        let Some(tables) = &self.tables else {
            return shard_folders::known(self.data_dir, &self.heads, replica);
        };
        let mut shards = shard_folders::signed_for(&self.heads)?;
        shards.extend(tables.shards()?);
        shards.push(ShardId::FIRST);
        shards.sort_unstable();
        shards.dedup();
        Ok(shards)
    }

    /// The journal of a shard.
    pub(crate) fn of(&self, shard: ShardId) -> anyhow::Result<Journal<'_>> {
        if let Some(tables) = &self.tables {
            return Ok(Journal::Tables(tables));
        }
        let folder = shard_folders::folder(self.data_dir, shard);
        Ok(Journal::File(JournalFile::open(&folder)?))
    }
}

/// One of them.
pub(crate) enum Journal<'a> {
    File(JournalFile),
    Tables(&'a JournalTables),
}

impl<'a> Deref for Journal<'a> {
    type Target = dyn StoredJournal + 'a;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::File(file) => file,
            Self::Tables(tables) => *tables,
        }
    }
}
