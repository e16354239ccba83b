//! Owns copies of everything that a node has kept, taken while it works, and making a data folder of one.
//!
//! A copy is a data folder in which nobody has worked yet, whether the journal was in a folder or in a database, but for the key-encryption key, which
//! must not be where the copy is. It is of one moment for each of its parts, and the parts are copied in an order in which a later one knows all that an
//! earlier one speaks of: signed heads and what endpoints were told come before the end of the journal is looked up, cards and links after it, and
//! credentials at that very moment. It has its name only once it is whole, and a list of what belongs to it, without which nothing is made of it.
//!
//! # Layout
//! * `files` the parts that are files; `manifest` the list; the records come the way that a moved journal does

mod files;
mod manifest;
#[cfg(test)]
mod tests;

use crate::card_vault;
use crate::data_dir::{BEGUN, CREDENTIALS, JOURNAL};
use crate::journal::{JournalBuilder, JournalFile, OpenError, stored_head};
use crate::journal_move::{MoveError, export_to};
use crate::mirror::{download, upload};
use crate::payment_links;
use crate::postgres::{Database, DatabaseError};
use crate::secrets::kept;
use crate::store_file;
use crate::webhooks;
use florin_domain::ids::{Seq, ShardId};
use florin_domain::ports::{Head, ReadError};
use manifest::Manifest;
use rusqlite::Connection;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// How often credentials and the journal's end are read until no credentials changed between.
const STILL_MAX: usize = 100;

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
    /// All its shards, with their folders relative to it: that of the first is empty.
    pub shards: &'a [(ShardId, PathBuf)],
    /// Where its signed heads are.
    pub heads: &'a Path,
    /// Where its journal is, if that is not in the folder.
    pub database: Option<&'a Database>,
    /// Whether the secret under which providers are asked is in the folder, and so must be there.
    pub has_provider_keys: bool,
}

/// Where the journal of a copy ends, by shard.
pub type Ends = Vec<(ShardId, Seq)>;

/// Told of each number of records that were copied.
pub type Step<'a> = &'a dyn Fn(u64);

impl Source<'_> {
    /// Copies everything into a folder, which is made, or is empty. There is a whole copy in the end, or none under that name.
    pub async fn copy(&self, out: &Path, step: Step<'_>) -> Result<Ends, BackupError> {
        files::make_empty(out)?;
        files::refuse_nested(out, &[self.heads, &self.folder.join(CREDENTIALS)])?;
        let unfinished = files::begin_beside(out, ".unfinished")?;
        let heads = self.fill(&unfinished, step).await?;
        let manifest = Manifest::of(&unfinished, &heads)?;
        manifest.write(&unfinished)?;
        files::sync_all(&unfinished)?;
        files::take_place(&unfinished, out)?;
        Ok(ends(&heads))
    }

    async fn fill(&self, to: &Path, step: Step<'_>) -> Result<Vec<(ShardId, Head)>, BackupError> {
        files::copy_all(self.heads, &to.join(files::HEADS))?;
        // A database says itself which stores there are.
        if self.database.is_none() {
            files::copy(&self.folder.join(BEGUN), &to.join(BEGUN))?;
        }
        let webhooks = webhooks::store::file_in;
        self.copy_store("webhooks", (&webhooks(self.folder), &webhooks(to)))
            .await?;
        let (credentials, heads) = self.credentials_and_heads().await?;
        self.copy_secrets(to, &heads)?;
        files::write_all(&credentials, &to.join(CREDENTIALS))?;
        for ((shard, place), (_, head)) in self.shards.iter().zip(&heads) {
            let (from, to) = (self.folder.join(place), to.join(place));
            files::make(&to)?;
            let to = to.join(JOURNAL);
            match self.database {
                Some(database) => export_to(database, (&to, *shard), head, step).await?,
                None => copy_journal(*shard, head, (&from, &to), step)?,
            }
        }
        let cards = card_vault::file_in;
        self.copy_store("cards", (&cards(self.folder), &cards(to)))
            .await?;
        let links = payment_links::file_in;
        self.copy_store("links", (&links(self.folder), &links(to)))
            .await?;
        Ok(heads)
    }

    /// What merchants have at providers, and where the journal ended when it was so: a start compares the two.
    async fn credentials_and_heads(&self) -> Result<(files::Contents, Vec<(ShardId, Head)>), BackupError> {
        let mut before = self.credentials().await?;
        for _ in 0..STILL_MAX {
            let mut heads = Vec::new();
            for (shard, place) in self.shards {
                heads.push((*shard, self.head(*shard, place).await?));
            }
            let after = self.credentials().await?;
            if before == after {
                return Ok((after, heads));
            }
            before = after;
        }
        Err(BackupError::Unfit(
            "merchants' credentials do not stand still".to_owned(),
        ))
    }

    /// The sealed files, by name: of a database, if it was ever given any, whatever the folder of a node that may wait has.
    async fn credentials(&self) -> Result<files::Contents, BackupError> {
        let folder = self.folder.join(CREDENTIALS);
        if let Some(database) = self.database {
            let refused = |why| BackupError::Store(folder.clone(), why);
            let client = database.client().await?;
            let store = (kept::STORE, kept::FORM_VERSION);
            if let Some(all) = download::blobs(&client, store).await.map_err(refused)? {
                let named = all
                    .into_iter()
                    .map(|(row, bytes)| Some((kept::file_of(&row)?, bytes)));
                let named: Option<files::Contents> = named.collect();
                return named.ok_or_else(|| refused("a row in the database has no merchant".to_owned()));
            }
        }
        files::read_all(&folder)
    }

    async fn head(&self, shard: ShardId, place: &Path) -> Result<Head, BackupError> {
        let Some(database) = self.database else {
            return Ok(JournalFile::open(&self.folder.join(place))?.head(shard)?);
        };
        let client = database.lend().await.map_err(ReadError::Store)?;
        Ok(stored_head(&client, shard).await?)
    }

    /// What signs and what provider keys are made of, which a journal with something in it must not be without.
    fn copy_secrets(&self, to: &Path, heads: &[(ShardId, Head)]) -> Result<(), BackupError> {
        let is_begun = heads.iter().any(|(_, head)| head.seq != Seq::ZERO);
        for (name, must_be) in [
            (files::SIGNING_KEY, is_begun),
            (files::PROVIDER_KEYS, is_begun && self.has_provider_keys),
        ] {
            let (from, to) = (self.folder.join(name), to.join(name));
            files::copy(&from, &to)?;
            if must_be && !to.exists() {
                let why = format!(
                    "{} is not there: run it with the data folder of a node",
                    from.display()
                );
                return Err(BackupError::Unfit(why));
            }
        }
        Ok(())
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
            // Nothing is beside it that a later copy could miss.
            let alone = file.pragma_update(None, "journal_mode", "DELETE");
            return alone.map_err(|error| failed(error.to_string()));
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

/// Copies the records of one shard up to this head, each verified.
fn copy_journal(
    shard: ShardId,
    head: &Head,
    (from, to): (&Path, &Path),
    step: Step<'_>,
) -> Result<(), BackupError> {
    let mut builder = JournalBuilder::create(to, shard)?;
    for record in JournalFile::open(from)?.walk(shard, Seq::ZERO)? {
        let record = record?;
        if record.seq > head.seq {
            break;
        }
        builder.push(record.seq, record.epoch, &record.hash, &record.bytes)?;
        step(1);
    }
    builder.reached(head.epoch);
    let (seq, hash) = builder.finish()?;
    if (seq, hash) == (head.seq, head.hash) {
        return Ok(());
    }
    let why = format!(
        "the journal of shard {} ends at {seq}, not at {}",
        shard.0, head.seq
    );
    Err(BackupError::Unfit(why))
}

/// Makes a data folder of a copy, which is verified whole before. `place_of` says where in it a shard is. The folder must not be there, or be empty. There
/// is one in the end, or none.
pub fn restore(
    (from, to): (&Path, &Path),
    place_of: impl Fn(ShardId) -> PathBuf,
    step: Step<'_>,
) -> Result<Ends, BackupError> {
    let manifest = Manifest::read(from)?;
    manifest.check_files(from)?;
    let heads = manifest.heads()?;
    for (shard, head) in &heads {
        let file = JournalFile::open(&from.join(place_of(*shard)))?;
        for record in file.walk(*shard, Seq::ZERO)? {
            record?;
            step(1);
        }
        let found = file.head(*shard)?;
        if (found.seq, found.hash) != (head.seq, head.hash) {
            let why = format!(
                "the journal of shard {} is another than when it was copied",
                shard.0
            );
            return Err(BackupError::Unfit(why));
        }
    }
    for path in [
        card_vault::file_in(from),
        payment_links::file_in(from),
        webhooks::store::file_in(from),
    ] {
        let refused = |why| BackupError::Store(path.clone(), why);
        // The file that says which of them were begun says as well which must be there.
        if store_file::is_there(&path).map_err(refused)? {
            store_file::check(&path).map_err(refused)?;
        }
    }
    files::make_empty(to)?;
    files::refuse_nested(to, &[from])?;
    let unfinished = files::begin_beside(to, ".restoring")?;
    manifest.copy_files(from, &unfinished)?;
    files::sync_all(&unfinished)?;
    files::take_place(&unfinished, to)?;
    Ok(ends(&heads))
}

fn ends(heads: &[(ShardId, Head)]) -> Ends {
    heads.iter().map(|(shard, head)| (*shard, head.seq)).collect()
}
