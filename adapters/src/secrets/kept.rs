//! Where the sealed files are kept: in a folder, and with a journal in a database there first. The folder is a copy of what the database has then, made
//! anew whenever the two differ.
//!
//! A database that never had any gets those of the folder, once they were found to be all that its journal speaks of: an older copy of the folder
//! never gets there.

use super::folder::Folder;
use super::sealed_file::SealedFile;
use crate::data_dir::CREDENTIALS;
use crate::folder_note;
use crate::mirror::MirrorIn;
use crate::mirror::blobs::{All, Blobs, NotTold, Noted, Opened};
use crate::mirror::rebuild::tell_of_copies;
use crate::mirror::upload::{self, Uploaded};
use florin_domain::ids::{Epoch, MerchantId};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;
use tokio_postgres::Client;

/// What the database calls the store.
pub(crate) const STORE: &str = "credentials";

/// That of the sealed files.
pub(crate) const FORM_VERSION: i64 = 1;

/// The note in the data folder of the state that the folder is a copy of.
const NOTE: &str = "credentials.mirror";

/// A merchant's file as it lies there.
pub(super) type Files = BTreeMap<MerchantId, Vec<u8>>;

/// Why the sealed files cannot be used.
#[derive(Debug, Error)]
pub enum OpenError {
    /// A file is not what was written, or is sealed under another key.
    #[error("the credentials in {path} cannot be used: {why}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The folder cannot be read, or made what the database has.
    #[error("the folder of credentials cannot be used")]
    Folder(#[source] io::Error),
    /// The database does not have them as it should.
    #[error("the credentials in the database cannot be used: {0}")]
    Database(String),
}

/// The place of the files.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) folder: Folder,
    database: Option<InDatabase>,
}

#[derive(Debug)]
struct InDatabase {
    blobs: Blobs,
    /// Whether anything was ever kept there.
    is_begun: bool,
}

impl Kept {
    /// In a folder alone.
    pub(super) fn here(folder: Folder) -> Result<(Self, Files), OpenError> {
        let files = read_all(&folder)?;
        let database = None;
        Ok((Self { folder, database }, files))
    }

    /// In a database, claimed for whoever has the shards, and in a folder, which has what the database has then. Files of which the database never
    /// heard are moved aside, unless it has none yet.
    pub(super) fn in_database(folder: Folder, place: &MirrorIn) -> Result<(Self, Files), OpenError> {
        let refused = OpenError::Database;
        let data_dir = data_dir(&folder);
        let here = folder_note::read(&data_dir, NOTE).map_err(OpenError::Folder)?;
        let here = match here.as_deref().map(Noted::read) {
            Some(None) => return Err(refused(format!("{NOTE} cannot be read"))),
            here => here.flatten(),
        };
        let Opened {
            blobs,
            all,
            is_begun,
            follows,
        } = Blobs::open(place, (STORE, FORM_VERSION), here.as_ref()).map_err(refused)?;
        let mut files = read_all(&folder)?;
        if is_begun || here.is_some() {
            let named: Option<Files> = all
                .into_iter()
                .map(|(name, bytes)| Some((merchant(&name)?, bytes)))
                .collect();
            let named = named.ok_or_else(|| refused("a row there has no merchant".to_owned()))?;
            set_aside(&folder, (&files, &named), (here.as_ref(), follows)).map_err(OpenError::Folder)?;
            follow(&folder, &named).map_err(OpenError::Folder)?;
            // Where nothing is begun, what somebody puts here is taken for the latest.
            let noted = if is_begun {
                folder_note::write(&data_dir, NOTE, &blobs.noted())
            } else {
                forget(&data_dir)
            };
            noted.map_err(OpenError::Folder)?;
            files = named;
        }
        tell_of_copies(&data_dir.join(CREDENTIALS), STORE);
        let database = Some(InDatabase { blobs, is_begun });
        Ok((Self { folder, database }, files))
    }

    /// What to do if they are behind the journal.
    pub(super) fn advice(&self) -> &'static str {
        match &self.database {
            None => "the folder is an older copy, or a file is missing; put the latest copy in its place",
            Some(InDatabase { is_begun: false, .. }) => {
                "the database has no credentials yet: start the node first that has the latest in its folder, or put them into this one"
            }
            Some(InDatabase { is_begun: true, .. }) => {
                "nor has the database: see \"Credentials that the database lacks\" in docs/postgresql.md"
            }
        }
    }

    /// Gives a database that has none yet all files, which the journal knows.
    pub(super) fn begin(&mut self, files: &HashMap<MerchantId, SealedFile>) -> io::Result<()> {
        let Some(database) = self.database.as_mut().filter(|database| !database.is_begun) else {
            return Ok(());
        };
        database.is_begun = true;
        let sealed = files
            .values()
            .map(|file| Ok((name(file.merchant), file.bytes(&file.records)?)))
            .collect::<io::Result<Vec<_>>>()?;
        if !sealed.is_empty() {
            let all = sealed
                .iter()
                .map(|(name, bytes)| (name.as_slice(), bytes.as_slice()));
            database.blobs.put(all).map_err(not_told)?;
            tracing::info!(
                merchants = sealed.len(),
                "merchants' credentials went into the database"
            );
            for (file, (_, bytes)) in files.values().zip(&sealed) {
                self.copy(file.merchant, bytes);
            }
        }
        Ok(())
    }

    /// Puts these bytes in the place of a merchant's file, and makes that durable.
    pub(super) fn replace(&mut self, merchant: MerchantId, bytes: &[u8]) -> io::Result<()> {
        let Some(database) = &mut self.database else {
            return self.folder.replace(merchant, bytes);
        };
        database
            .blobs
            .put([(name(merchant).as_slice(), bytes)])
            .map_err(not_told)?;
        self.copy(merchant, bytes);
        Ok(())
    }

    /// The folder follows what the database has. Where it cannot, the next start makes it anew.
    fn copy(&self, merchant: MerchantId, bytes: &[u8]) {
        let Some(database) = &self.database else { return };
        let copied = self
            .folder
            .replace(merchant, bytes)
            .and_then(|()| folder_note::write(&data_dir(&self.folder), NOTE, &database.blobs.noted()));
        if let Err(error) = copied {
            tracing::warn!(%merchant, %error, "the copy of credentials in the folder is behind the database until the next start");
        }
    }
}

/// A store that halts has told whom it must.
fn not_told(error: NotTold) -> io::Error {
    io::Error::other(error.why())
}

fn name(merchant: MerchantId) -> [u8; 16] {
    merchant.bits().to_be_bytes()
}

fn merchant(name: &[u8]) -> Option<MerchantId> {
    let bits = <[u8; 16]>::try_from(name).ok()?;
    Some(MerchantId::from_bits(u128::from_be_bytes(bits)))
}

fn data_dir(folder: &Folder) -> PathBuf {
    folder.path().parent().unwrap_or(Path::new(".")).to_owned()
}

fn read_all(folder: &Folder) -> Result<Files, OpenError> {
    let merchants = folder.merchants().map_err(OpenError::Folder)?;
    let read = |merchant| {
        let bytes = folder.read(merchant).map_err(|error| OpenError::File {
            path: folder.file(merchant),
            why: error.to_string(),
        })?;
        Ok((merchant, bytes))
    };
    merchants.into_iter().map(read).collect()
}

/// Renames the folder if it may have what the database has lost, or never had.
fn set_aside(
    folder: &Folder,
    (files, kept): (&Files, &Files),
    (here, follows): (Option<&Noted>, bool),
) -> io::Result<()> {
    if files
        .iter()
        .all(|(merchant, bytes)| kept.get(merchant) == Some(bytes))
    {
        return Ok(());
    }
    let aside = match here {
        Some(_) if follows => return Ok(()),
        Some(here) => format!("{CREDENTIALS}.lost-{}", here.name()),
        None => format!("{CREDENTIALS}.unused"),
    };
    let aside = data_dir(folder).join(aside);
    if aside.exists() {
        // It was begun to be made anew, or put there by hand again: the first is what somebody looks at.
        return Ok(());
    }
    fs::rename(folder.path(), &aside)?;
    fs::File::open(data_dir(folder))?.sync_all()?;
    if here.is_some() {
        tracing::error!(
            kept = %aside.display(),
            "the folder of credentials has another history than the database, which may have lost changes; it is kept aside and made anew"
        );
    } else {
        tracing::warn!(
            kept = %aside.display(),
            "the folder of credentials was none that the database knows; it is kept aside and made anew: remove it"
        );
    }
    Ok(())
}

/// Makes the folder have these files and no others.
fn follow(folder: &Folder, kept: &Files) -> io::Result<()> {
    for merchant in folder.merchants()? {
        if !kept.contains_key(&merchant) {
            folder.remove(merchant)?;
        }
    }
    for (merchant, bytes) in kept {
        let is_right = match folder.read(*merchant) {
            Ok(found) => found == *bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
        if !is_right {
            folder.replace(*merchant, bytes)?;
        }
    }
    Ok(())
}

/// Makes the folder what the database has, for a journal that goes on in the folder. One of which the database never heard stays as it is.
///
/// # Errors
/// If the store cannot be claimed, or the folder cannot be written.
pub fn bring_up_to_date(folder: &Path, place: &MirrorIn) -> Result<(), OpenError> {
    let folder = Folder::new(folder, super::folder::unwatched());
    Kept::in_database(folder, place).map(drop)
}

/// Puts the files of a folder in the place of whatever the database has, as [`upload::upload`] does. Nothing if the folder has none and the database
/// neither.
pub(crate) async fn upload(client: &Client, folder: &Path, epoch: Epoch) -> Result<Option<Uploaded>, String> {
    let folder = Folder::new(folder, super::folder::unwatched());
    let files = read_all(&folder).map_err(|error| error.to_string())?;
    if files.is_empty() {
        let sql = "SELECT EXISTS (SELECT 1 FROM florin.store_row WHERE store = $1)";
        let any = client.query_one(sql, &[&STORE]).await;
        return match any.map(|row| row.get(0)) {
            Ok(false) => Ok(None),
            Ok(true) => Err("the database has some, and the folder has none".to_owned()),
            Err(error) => Err(crate::postgres::described(&error)),
        };
    }
    let all: All = files
        .into_iter()
        .map(|(merchant, bytes)| (name(merchant).to_vec(), bytes))
        .collect();
    let (uploaded, noted) = upload::upload_blobs(client, (STORE, FORM_VERSION), &all, epoch).await?;
    folder_note::write(&data_dir(&folder), NOTE, &noted).map_err(|error| error.to_string())?;
    Ok(Some(uploaded))
}

/// Has a data folder forget in which state the database has its credentials.
pub(crate) fn forget(data_dir: &Path) -> io::Result<()> {
    folder_note::remove(data_dir, NOTE)
}

/// The name of the file in which a row is in the folder, for a copy.
pub(crate) fn file_of(row: &[u8]) -> Option<PathBuf> {
    let folder = Folder::new("", super::folder::unwatched());
    merchant(row).map(|merchant| folder.file(merchant))
}
