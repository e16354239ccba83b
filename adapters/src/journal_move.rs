//! Moves a journal, and the stores beside it, between a data folder and a database: the same records under the same numbers and hashes, of which one
//! place only goes on.
//!
//! # What holds at any moment
//! * One place at most has the right to append. Until the last step that is the one from which the journal comes; the database of a move is marked,
//!   so that no node takes its shards, from before its first record and, on the way out, for good.
//! * Everything that the other place gets is verified against the chain as it comes, and read back before the right is handed over.
//! * A note in the folder names the move, and the mark in the database has the same name: a move that was interrupted is gone on with by whoever has
//!   that folder, and by nobody else.
//!
//! # Layout
//! * `records` the journals; `places` what the folder is noted to have, and the files that take each other's place

mod places;
mod records;
#[cfg(test)]
mod tests;

pub(crate) use records::export as export_to;

use crate::entropy::OsEntropy;
use crate::journal::{JournalFile, OpenError, stored_link_at};
use crate::journal_place::{self, PlaceError};
use crate::mirror::upload::{self, Uploaded};
use crate::postgres::{Database, DatabaseError, Lease, Mark, Names};
use crate::store_file;
use crate::{card_vault, payment_links, secrets, webhooks};
use florin_domain::ids::{Seq, ShardId};
use florin_domain::ports::{Entropy as _, Head, ReadError};
use std::cell::Cell;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the folder into the database.
    ToDatabase,
    /// From the database into the folder.
    ToFolder,
}

/// Why a journal is not moved, or not yet.
#[derive(Debug, Error)]
pub enum MoveError {
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// A journal's file.
    #[error(transparent)]
    File(#[from] OpenError),
    /// A record.
    #[error("the journal cannot be read: {0}")]
    Read(#[from] ReadError),
    /// Whose the folder is.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// A store beside the journal.
    #[error("the store of {name} in {path}: {why}")]
    Store {
        /// Of what.
        name: &'static str,
        /// Its file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The system said no.
    #[error("{0}: {1}")]
    Io(PathBuf, io::Error),
    /// It must not be.
    #[error("{0}")]
    Refused(String),
}

/// What was moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The end of each shard's journal.
    pub heads: Vec<Head>,
    /// Rows of the stores that went into the database.
    pub rows: u64,
}

/// A move that has begun.
#[derive(Debug)]
pub struct JournalMove<'a> {
    folder: &'a Path,
    /// Those of the shards, by number. The first is the folder itself.
    shards: &'a [PathBuf],
    database: &'a Database,
    name: String,
}

/// Told how many records were moved, and how many are to be.
pub type Progress<'a> = &'a dyn Fn(u64, u64);

impl<'a> JournalMove<'a> {
    /// Notes that a journal is to be moved, or goes on with what was noted. The folder must be locked, and `shards` are all that it has.
    pub fn begin(
        (folder, shards): (&'a Path, &'a [PathBuf]),
        database: &'a Database,
        direction: Direction,
    ) -> Result<Self, MoveError> {
        let name = match places::unfinished(folder)? {
            Some((name, begun)) if begun == direction => name,
            Some((_, begun)) => {
                let way = match begun {
                    Direction::ToDatabase => "postgres",
                    Direction::ToFolder => "embedded",
                };
                return Err(MoveError::Refused(format!(
                    "a move of the journal has not ended: run `florin migrate-store --to {way}` first"
                )));
            }
            None => {
                let name = format!("{:016x}", OsEntropy::new().next_u64());
                places::note(folder, &name, direction)?;
                name
            }
        };
        Ok(Self {
            folder,
            shards,
            database,
            name,
        })
    }

    /// Whether a move has begun in this folder and not ended.
    pub fn is_unfinished(folder: &Path) -> Result<bool, MoveError> {
        Ok(places::unfinished(folder)?.is_some())
    }

    /// Marks the database as one into which the folder's journal goes, unless that has ended and only the folder does not say so yet.
    pub async fn mark(self) -> Result<Marked<'a>, MoveError> {
        let is_noted = journal_place::noted(self.folder)?.is_some();
        if is_noted {
            journal_place::bind(self.folder, Some(&self.database.journal_id().await?))?;
        }
        let files = self.files()?;
        let heads = files
            .iter()
            .map(|(shard, file)| file.head(*shard))
            .collect::<Result<Vec<Head>, ReadError>>()?;
        if is_noted && !Mark::is_set(self.database, &self.name).await? {
            self.compare_ends(&heads).await?;
            Mark::is_off(self.database, heads.len()).await?;
            return Ok(Marked {
                moving: self,
                files,
                heads,
                mark: None,
            });
        }
        let is_ours = |shard: ShardId, head: &Head| {
            let file = files.iter().find(|(known, _)| *known == shard);
            let hash = file
                .map(|(shard, file)| file.hash_at(*shard, head.seq))
                .transpose();
            let hash = hash.map_err(|error| self.database.unfit(error.to_string()))?;
            Ok(hash.flatten() == Some(head.hash))
        };
        let moved_out = places::moved_out(self.folder)?;
        let names = Names {
            begun: &self.name,
            moved_out: moved_out.as_deref(),
        };
        let mark = Mark::set(self.database, names, &heads, &is_ours).await?;
        Ok(Marked {
            moving: self,
            files,
            heads,
            mark: Some(mark),
        })
    }

    /// Refuses a database that has lost something since the mark was taken off.
    async fn compare_ends(&self, heads: &[Head]) -> Result<(), MoveError> {
        for (number, head) in heads.iter().enumerate() {
            let shard = ShardId(u16::try_from(number).unwrap_or(u16::MAX));
            let client = self.database.lend().await.map_err(ReadError::Store)?;
            let there = stored_link_at(&client, shard, head.seq).await?;
            if head.seq != Seq::ZERO && there.map(|(_, hash)| hash) != Some(head.hash) {
                return Err(MoveError::Refused(format!(
                    "the database has lost commits of shard {number} that were moved there. They are in the folder, as `journal.db.moved`: see \"Moving a \
                     journal\" in docs/postgresql.md"
                )));
            }
        }
        Ok(())
    }

    /// Moves the database's journal, of which this process has all shards by a lease, into the folder, and hands over the right to append. The stores
    /// beside it must be as the database has them.
    pub async fn to_folder(
        self,
        (lease, heads): (Lease, Vec<Head>),
        progress: Progress<'_>,
    ) -> Result<Moved, MoveError> {
        if let Err(error) = self.copy_to_folder(&heads, progress).await {
            lease.release().await;
            return Err(error);
        }
        Mark::replace(self.database, &self.name, (&lease, &heads)).await?;
        drop(lease);
        self.settle_in_folder(heads)
    }

    async fn copy_to_folder(&self, heads: &[Head], progress: Progress<'_>) -> Result<(), MoveError> {
        let step = counted(heads.iter().map(|head| head.seq.0).sum(), progress);
        for (place, head) in self.shards.iter().zip(heads) {
            places::refuse_journal(place)?;
            let (path, shard) = (places::coming(place), self.shard_of(place));
            records::export(self.database, (&path, shard), head, &step).await?;
            places::sync_names(self.folder, place)?;
        }
        Ok(())
    }

    /// Ends a move into the folder that was interrupted after its right was handed over, if this is one. What the folder has then.
    pub async fn end_in_folder(&self) -> Result<Option<Moved>, MoveError> {
        match Mark::gone(self.database, &self.name).await? {
            Some(heads) => Ok(Some(self.settle_in_folder(heads)?)),
            None => Ok(None),
        }
    }

    fn shard_of(&self, place: &Path) -> ShardId {
        let number = self.shards.iter().position(|shard| shard == place);
        ShardId(u16::try_from(number.unwrap_or(0)).unwrap_or(0))
    }

    /// The journals of the folder, some of which may have been retired already.
    fn files(&self) -> Result<Vec<(ShardId, JournalFile)>, MoveError> {
        let open = |place: &PathBuf| -> Result<(ShardId, JournalFile), MoveError> {
            let path = places::found(place)?;
            Ok((self.shard_of(place), JournalFile::open_file(path)?))
        };
        self.shards.iter().map(open).collect()
    }

    /// From now on the folder has the journal, if it has all of it: the ends of the shards that the database has given up.
    fn settle_in_folder(&self, heads: Vec<Head>) -> Result<Moved, MoveError> {
        if heads.len() != self.shards.len() {
            return Err(MoveError::Refused(format!(
                "the database has {} shards: `journal.shards` must be that",
                heads.len()
            )));
        }
        for (place, head) in self.shards.iter().zip(&heads) {
            let (path, shard) = (places::arrived(place)?, self.shard_of(place));
            let hash = JournalFile::open_file(path.clone())?.hash_at(shard, head.seq)?;
            if head.seq != Seq::ZERO && hash != Some(head.hash) {
                return Err(MoveError::Refused(format!(
                    "{} is not the journal that the database has given up, which ends at {}: put that file back",
                    path.display(),
                    head.seq
                )));
            }
        }
        for place in self.shards {
            places::install(place)?;
        }
        for (name, path, _) in stores(self.folder) {
            let refused = |why| MoveError::Store {
                name,
                path: path.clone(),
                why,
            };
            if path.exists() {
                upload::forget(&path).map_err(refused)?;
            }
        }
        secrets::kept::forget(self.folder).map_err(|error| self.of_credentials(error.to_string()))?;
        places::note_moved_out(self.folder, &self.name)?;
        journal_place::forget(self.folder)?;
        places::forget(self.folder)?;
        Ok(Moved { heads, rows: 0 })
    }
}

/// A database that is marked for a journal of a folder.
#[derive(Debug)]
pub struct Marked<'a> {
    moving: JournalMove<'a>,
    files: Vec<(ShardId, JournalFile)>,
    heads: Vec<Head>,
    /// With where each shard ended when it was set; nothing if the move has ended.
    mark: Option<(Mark, Vec<Head>)>,
}

impl Marked<'_> {
    /// Moves the folder's journal into the database, and hands over the right to append.
    pub async fn move_in(self, progress: Progress<'_>) -> Result<Moved, MoveError> {
        let Self {
            moving,
            files,
            heads,
            mark,
        } = self;
        let Some((mark, begun)) = mark else {
            drop(files);
            moving.retire()?;
            return Ok(Moved { heads, rows: 0 });
        };
        let step = counted(2 * heads.iter().map(|head| head.seq.0).sum::<u64>(), progress);
        step(begun.iter().map(|head| head.seq.0).sum());
        let database = moving.database;
        let client = database.client().await?;
        for ((shard, file), begun) in files.iter().zip(&begun) {
            records::import((database, &client, mark.owner()), file, (*shard, begun), &step).await?;
        }
        let stores = moving.upload_stores().await?;
        records::count(database, &client).await?;
        for ((shard, _), head) in files.iter().zip(&heads) {
            records::read_back(database, *shard, head, &step).await?;
        }
        drop(files);
        journal_place::note(moving.folder, &database.journal_id().await?)?;
        // While the files have their names, a database that has lost something gets it again.
        mark.take_off(&heads, &stores).await?;
        moving.retire()?;
        let rows = stores.iter().map(|store| store.rows).sum();
        Ok(Moved { heads, rows })
    }
}

impl JournalMove<'_> {
    async fn upload_stores(&self) -> Result<Vec<Uploaded>, MoveError> {
        let client = self.database.client().await?;
        let epoch = self.database.epoch(ShardId::FIRST).await?;
        let mut uploaded = Vec::new();
        for (name, path, form) in stores(self.folder) {
            let refused = |why| MoveError::Store {
                name,
                path: path.clone(),
                why,
            };
            if store_file::is_there(&path).map_err(refused)? {
                let store = upload::upload(&client, (name, &path, form), epoch).await;
                uploaded.push(store.map_err(refused)?);
            } else if self.database.has_rows(name).await? {
                let why = "the database has rows of it, and the folder has no such file";
                return Err(refused(why.to_owned()));
            }
        }
        let credentials = secrets::kept::upload(&client, &secrets::folder_in(self.folder), epoch).await;
        uploaded.extend(credentials.map_err(|why| self.of_credentials(why))?);
        Ok(uploaded)
    }

    fn of_credentials(&self, why: String) -> MoveError {
        MoveError::Store {
            name: secrets::kept::STORE,
            path: secrets::folder_in(self.folder),
            why,
        }
    }

    /// From now on the folder's files are copies of what was.
    fn retire(&self) -> Result<(), MoveError> {
        for place in self.shards {
            places::retire(place)?;
        }
        places::forget(self.folder)
    }
}

/// Adds up what is told of.
fn counted(total: u64, progress: Progress<'_>) -> impl Fn(u64) {
    let done = Cell::new(0);
    move |records| {
        done.set(done.get() + records);
        progress(done.get(), total);
    }
}

/// The stores beside a journal: what the database calls them, their files, and the form of their tables.
fn stores(folder: &Path) -> [(&'static str, PathBuf, i64); 3] {
    use webhooks::store as endpoints;
    [
        ("cards", card_vault::file_in(folder), card_vault::FORM_VERSION),
        (
            "links",
            payment_links::file_in(folder),
            payment_links::FORM_VERSION,
        ),
        ("webhooks", endpoints::file_in(folder), endpoints::FORM_VERSION),
    ]
}

impl Moved {
    /// Commits of all shards.
    pub fn commits(&self) -> u64 {
        self.heads.iter().map(|head| head.seq).map(|Seq(seq)| seq).sum()
    }
}
