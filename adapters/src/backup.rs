//! Owns copies of everything that a node has kept, taken while it works, and making a data folder of one.
//!
//! A copy is a data folder in which nobody has worked yet, whether the journal was in a folder or in a database, but for the key-encryption key, which
//! must not be where the copy is. It is of one moment for each of its parts, and the parts are copied in an order in which a later one knows all that an
//! earlier one speaks of: signed heads and what endpoints were told come before the journal, cards and links after it.
//!
//! # Layout
//! * `files` the parts that are files; the records come the way that a moved journal does

mod files;
#[cfg(test)]
mod tests;

use crate::card_vault;
use crate::data_dir::{BEGUN, CREDENTIALS, JOURNAL};
use crate::journal::{JournalBuilder, JournalFile, OpenError, stored_head};
use crate::journal_move::{MoveError, export_to};
use crate::mirror::{download, upload};
use crate::payment_links;
use crate::postgres::{Database, DatabaseError};
use crate::store_file;
use crate::webhooks;
use florin_domain::ids::{Seq, ShardId};
use florin_domain::ports::{Head, ReadError};
use rusqlite::Connection;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why there is no copy, or nothing is made of it.
#[derive(Debug, Error)]
pub enum BackupError {
    /// The folder that it was to be in.
    #[error("{0} is there already and not empty")]
    NotEmpty(PathBuf),
    /// What was to be copied, or is no copy.
    #[error("{0}")]
    Unfit(String),
    /// A file of the journal.
    #[error(transparent)]
    File(#[from] OpenError),
    /// A record.
    #[error("the journal cannot be read: {0}")]
    Read(#[from] ReadError),
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// Its journal.
    #[error(transparent)]
    Moved(#[from] MoveError),
    /// A store beside the journal.
    #[error("{0}: {1}")]
    Store(PathBuf, String),
    /// The system said no.
    #[error("{0}: {1}")]
    Io(PathBuf, io::Error),
}

/// What is copied.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The node's data folder.
    pub folder: &'a Path,
    /// Those of its shards, by number, relative to it: the first is the folder itself.
    pub shards: &'a [PathBuf],
    /// Where its signed heads are.
    pub heads: &'a Path,
    /// Where its journal is, if that is not in the folder.
    pub database: Option<&'a Database>,
}

/// Where the journal of a copy ends, by shard.
pub type Ends = Vec<Seq>;

/// Told of each number of records that were copied.
pub type Step<'a> = &'a dyn Fn(u64);

impl Source<'_> {
    /// Copies everything into a folder, which is made.
    pub async fn copy(&self, to: &Path, step: Step<'_>) -> Result<Ends, BackupError> {
        files::make_empty(to)?;
        files::copy_all(self.heads, &to.join(files::HEADS))?;
        for name in [files::SIGNING_KEY, files::PROVIDER_KEYS] {
            files::copy(&self.folder.join(name), &to.join(name))?;
        }
        // A database says itself which stores there are.
        if self.database.is_none() {
            files::copy(&self.folder.join(BEGUN), &to.join(BEGUN))?;
        }
        let webhooks = webhooks::store::file_in;
        self.copy_store("webhooks", (&webhooks(self.folder), &webhooks(to)))
            .await?;
        let mut ends = Vec::new();
        for (number, shard) in self.shards.iter().enumerate() {
            let id = ShardId(u16::try_from(number).unwrap_or(u16::MAX));
            let (from, to) = (self.folder.join(shard), to.join(shard));
            files::make(&to)?;
            ends.push(self.copy_journal(id, (&from, &to.join(JOURNAL)), step).await?.seq);
        }
        let cards = card_vault::file_in;
        self.copy_store("cards", (&cards(self.folder), &cards(to)))
            .await?;
        let links = payment_links::file_in;
        self.copy_store("links", (&links(self.folder), &links(to)))
            .await?;
        files::copy_all(&self.folder.join(CREDENTIALS), &to.join(CREDENTIALS))?;
        files::sync_all(to)?;
        Ok(ends)
    }

    /// Copies the records of one shard as far as they go now, each verified.
    async fn copy_journal(
        &self,
        shard: ShardId,
        (from, to): (&Path, &Path),
        step: Step<'_>,
    ) -> Result<Head, BackupError> {
        if let Some(database) = self.database {
            let client = database.lend().await.map_err(ReadError::Store)?;
            let head = stored_head(&client, shard).await?;
            drop(client);
            export_to(database, (to, shard), &head, step).await?;
            return Ok(head);
        }
        let file = JournalFile::open(from)?;
        let head = file.head(shard)?;
        let mut builder = JournalBuilder::create(to, shard)?;
        for record in file.walk(shard, Seq::ZERO)? {
            let record = record?;
            if record.seq > head.seq {
                break;
            }
            builder.push(record.seq, record.epoch, &record.hash, &record.bytes)?;
            step(1);
        }
        let (seq, hash) = builder.finish()?;
        if (seq, hash) == (head.seq, head.hash) {
            Ok(head)
        } else {
            let why = format!(
                "the journal of shard {} ends at {seq}, not at {}",
                shard.0, head.seq
            );
            Err(BackupError::Unfit(why))
        }
    }

    /// Copies a store as it is at one moment, if there is one.
    async fn copy_store(&self, name: &str, (from, to): (&Path, &Path)) -> Result<(), BackupError> {
        let failed = |why| BackupError::Store(to.to_owned(), why);
        if let Some(database) = self.database {
            if !database.has_rows(name).await? {
                return Ok(());
            }
            let client = database.client().await?;
            let mut file = new_store(name, to).map_err(failed)?;
            download::download(&client, name, &mut file)
                .await
                .map_err(failed)?;
            return Ok(());
        }
        if !store_file::is_there(from).map_err(|why| BackupError::Store(from.to_owned(), why))? {
            return Ok(());
        }
        let copied = Connection::open(from).and_then(|file| {
            file.busy_timeout(store_file::BUSY_WAIT)?;
            file.execute("VACUUM INTO ?1", [to.to_string_lossy()])
        });
        copied.map_err(|error| failed(error.to_string()))?;
        // What the database had of it is not told by this copy.
        upload::forget(to).map_err(failed)
    }
}

/// A new file with a store's tables.
fn new_store(name: &str, path: &Path) -> Result<Connection, String> {
    match name {
        "cards" => card_vault::new_file(path),
        "links" => payment_links::new_file(path),
        "webhooks" => webhooks::store::new_file(path),
        _ => Err(format!("there is no store {name}")),
    }
}

/// Makes a data folder of a copy, which is verified whole before; `shards` are its shards' folders as in [`Source`]. The folder must not be there, or be
/// empty. There is one in the end, or none.
pub fn restore(from: &Path, to: &Path, shards: &[PathBuf], step: Step<'_>) -> Result<Ends, BackupError> {
    let mut ends = Vec::new();
    for (number, shard) in shards.iter().enumerate() {
        let id = ShardId(u16::try_from(number).unwrap_or(u16::MAX));
        if !JournalFile::is_in(&from.join(shard)) {
            let why = format!("{} has no journal: it is no copy", from.join(shard).display());
            return Err(BackupError::Unfit(why));
        }
        let file = JournalFile::open(&from.join(shard))?;
        for record in file.walk(id, Seq::ZERO)? {
            record?;
            step(1);
        }
        ends.push(file.head(id)?.seq);
    }
    for path in [
        card_vault::file_in(from),
        payment_links::file_in(from),
        webhooks::store::file_in(from),
    ] {
        let refused = |why| BackupError::Store(path.clone(), why);
        // The file that says which of them were begun says as well which must be there.
        if path.exists() || store_file::is_there(&path).map_err(refused)? {
            store_file::check(&path).map_err(refused)?;
        }
    }
    files::install(from, to)?;
    Ok(ends)
}
