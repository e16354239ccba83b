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
use crate::journal::{JournalFile, OpenError};
use crate::journal_place::{self, PlaceError};
use crate::mirror::upload;
use crate::postgres::{Database, DatabaseError, Lease, Mark};
use crate::store_file;
use crate::{card_vault, payment_links, webhooks};
use florin_domain::ids::{Seq, ShardId};
use florin_domain::ports::{Entropy as _, Head, ReadError};
use std::cell::RefCell;
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

    /// Moves the folder's journal into the database, and hands over the right to append.
    pub async fn to_database(self, progress: Progress<'_>) -> Result<Moved, MoveError> {
        let journal = self.database.journal_id().await?;
        if journal_place::noted(self.folder)?.is_some() {
            journal_place::bind(self.folder, Some(&journal))?;
            // All is there, and was read back.
            self.hand_over(Mark::known(self.database, &self.name)).await?;
            let heads = self.folder_heads(places::Name::Retired)?;
            return Ok(Moved { heads, rows: 0 });
        }
        let files = self.files(places::Name::Journal)?;
        let heads = heads(&files)?;
        let (mark, begun) = self.mark(&files, &heads).await?;
        let total = 2 * heads.iter().map(|head| head.seq.0).sum::<u64>();
        let done = RefCell::new(0);
        let step = |records: u64| {
            *done.borrow_mut() += records;
            progress(*done.borrow(), total);
        };
        step(begun.iter().map(|head| head.seq.0).sum());
        let client = self.database.client().await?;
        for ((shard, file), begun) in files.iter().zip(&begun) {
            records::import(
                (self.database, &client, mark.owner()),
                file,
                (*shard, begun),
                &step,
            )
            .await?;
        }
        let rows = self.upload_stores().await?;
        for ((shard, _), head) in files.iter().zip(&heads) {
            records::read_back(self.database, *shard, head, &step).await?;
        }
        drop(files);
        journal_place::note(self.folder, &journal)?;
        self.hand_over(mark).await?;
        Ok(Moved { heads, rows })
    }

    /// Moves the database's journal, of which this process has all shards by a lease, into the folder, and hands over the right to append. The stores
    /// beside it must be as the database has them.
    pub async fn to_folder(
        self,
        (lease, heads): (Lease, Vec<Head>),
        progress: Progress<'_>,
    ) -> Result<Moved, MoveError> {
        let total = heads.iter().map(|head| head.seq.0).sum();
        let done = RefCell::new(0);
        let step = |records: u64| {
            *done.borrow_mut() += records;
            progress(*done.borrow(), total);
        };
        for (place, head) in self.shards.iter().zip(&heads) {
            places::refuse_journal(place)?;
            let (path, shard) = (places::coming(place), self.shard_of(place));
            records::export(self.database, (&path, shard), head, &step).await?;
        }
        Mark::replace(self.database, &self.name, (&lease, &heads)).await?;
        drop(lease);
        self.settle_in_folder()?;
        Ok(Moved { heads, rows: 0 })
    }

    /// Ends a move into the folder that was interrupted after its right was handed over, if this is one. What the folder has then.
    pub async fn end_in_folder(&self) -> Result<Option<Moved>, MoveError> {
        let holder = self.database.holder().await?;
        if !holder.is_some_and(|holder| holder.is_move_of(&self.name)) {
            return Ok(None);
        }
        self.settle_in_folder()?;
        let heads = self.folder_heads(places::Name::Journal)?;
        Ok(Some(Moved { heads, rows: 0 }))
    }

    fn shard_of(&self, place: &Path) -> ShardId {
        let number = self.shards.iter().position(|shard| shard == place);
        ShardId(u16::try_from(number.unwrap_or(0)).unwrap_or(0))
    }

    fn files(&self, name: places::Name) -> Result<Vec<(ShardId, JournalFile)>, MoveError> {
        let open = |place: &PathBuf| -> Result<(ShardId, JournalFile), MoveError> {
            let path = place.join(name.text());
            if !path.exists() {
                return Err(MoveError::Refused(format!("there is no {}", path.display())));
            }
            Ok((self.shard_of(place), JournalFile::open_file(path)?))
        };
        self.shards.iter().map(open).collect()
    }

    fn folder_heads(&self, name: places::Name) -> Result<Vec<Head>, MoveError> {
        heads(&self.files(name)?)
    }

    /// Marks the database, which has nothing or a beginning of what is moved.
    async fn mark(
        &self,
        files: &[(ShardId, JournalFile)],
        heads: &[Head],
    ) -> Result<(Mark, Vec<Head>), MoveError> {
        let is_ours = |shard: ShardId, head: &Head| {
            let file = files.iter().find(|(known, _)| *known == shard);
            let hash = file
                .map(|(shard, file)| file.hash_at(*shard, head.seq))
                .transpose();
            let hash = hash.map_err(|error| self.database.unfit(error.to_string()))?;
            Ok(hash.flatten() == Some(head.hash))
        };
        Ok(Mark::set(self.database, &self.name, heads, &is_ours).await?)
    }

    async fn upload_stores(&self) -> Result<u64, MoveError> {
        let client = self.database.client().await?;
        let epoch = self.database.epoch(ShardId::FIRST).await?;
        let mut rows = 0;
        for (name, path) in stores(self.folder) {
            let refused = |why| MoveError::Store {
                name,
                path: path.clone(),
                why,
            };
            if store_file::is_there(&path).map_err(refused)? {
                rows += upload::upload(&client, (name, &path), epoch)
                    .await
                    .map_err(refused)?;
            } else if self.database.has_rows(name).await? {
                let why = "the database has rows of it, and the folder has no such file";
                return Err(refused(why.to_owned()));
            }
        }
        Ok(rows)
    }

    /// From now on the folder's file is a copy of what was, and nodes may have the database's shards.
    async fn hand_over(&self, mark: Mark) -> Result<(), MoveError> {
        for place in self.shards {
            places::retire(place)?;
        }
        mark.take_off().await?;
        places::forget(self.folder)
    }

    /// From now on the folder has the journal.
    fn settle_in_folder(&self) -> Result<(), MoveError> {
        for place in self.shards {
            places::install(place)?;
        }
        for (name, path) in stores(self.folder) {
            let refused = |why| MoveError::Store {
                name,
                path: path.clone(),
                why,
            };
            if path.exists() {
                upload::forget(&path).map_err(refused)?;
            }
        }
        journal_place::forget(self.folder)?;
        places::forget(self.folder)
    }
}

/// The stores beside a journal: what the database calls them, and their files.
fn stores(folder: &Path) -> [(&'static str, PathBuf); 3] {
    [
        ("cards", card_vault::file_in(folder)),
        ("links", payment_links::file_in(folder)),
        ("webhooks", webhooks::store::file_in(folder)),
    ]
}

fn heads(files: &[(ShardId, JournalFile)]) -> Result<Vec<Head>, MoveError> {
    let heads = files.iter().map(|(shard, file)| file.head(*shard));
    Ok(heads.collect::<Result<_, ReadError>>()?)
}

impl Moved {
    /// Commits of all shards.
    pub fn commits(&self) -> u64 {
        self.heads.iter().map(|head| head.seq).map(|Seq(seq)| seq).sum()
    }
}
