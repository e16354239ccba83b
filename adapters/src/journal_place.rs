//! Owns the note in a data folder of where its journal is: everything else there is made from that one, and must not meet another.

use crate::data_dir::JOURNAL;
use crate::folder_note;
use std::io;
use std::path::Path;
use thiserror::Error;

/// The note of a folder whose journal is in a database: that journal's id.
const NOTE: &str = "journal.postgres";

/// Why the folder must not be used with this journal.
#[derive(Debug, Error)]
pub enum PlaceError {
    /// It has a journal of its own.
    #[error(
        "{0} has an embedded journal, which `database.url` would leave behind: use another folder, or take `database.url` away"
    )]
    Embedded(String),
    /// Its journal is in a database.
    #[error("the journal of {0} is in a database: set `database.url`, or use another folder")]
    Elsewhere(String),
    /// Its journal is in another database.
    #[error(
        "{folder} belongs to the journal {noted}, and the database has {found}: use the folder's own database, or another folder"
    )]
    Other {
        /// The folder.
        folder: String,
        /// Whose it is.
        noted: String,
        /// Whose it would become.
        found: String,
    },
    /// The system said no.
    #[error("{0}: {1}")]
    Io(String, io::Error),
}

/// Sees to it that a folder is used with one journal only: `found` in a database, or its own.
pub fn bind(data_dir: &Path, found: Option<&str>) -> Result<(), PlaceError> {
    let folder = data_dir.display().to_string();
    match (noted(data_dir)?, found) {
        (None, None) => Ok(()),
        (Some(_), None) => Err(PlaceError::Elsewhere(folder)),
        (Some(noted), Some(found)) if noted == found => Ok(()),
        (Some(noted), Some(found)) => Err(PlaceError::Other {
            folder,
            noted,
            found: found.to_owned(),
        }),
        (None, Some(_)) if data_dir.join(JOURNAL).exists() => Err(PlaceError::Embedded(folder)),
        (None, Some(found)) => note(data_dir, found),
    }
}

/// The same for whoever only reads: a folder that belongs to nothing yet is not a database's.
pub fn compare(data_dir: &Path, found: Option<&str>) -> Result<(), PlaceError> {
    match (noted(data_dir)?, found) {
        (None, Some(found)) if !data_dir.join(JOURNAL).exists() => Err(PlaceError::Other {
            folder: data_dir.display().to_string(),
            noted: "of no database yet".to_owned(),
            found: found.to_owned(),
        }),
        _ => bind(data_dir, found),
    }
}

/// The same for whoever only looks at the database, also from a folder that belongs to nothing.
pub fn compare_if_bound(data_dir: &Path, found: &str) -> Result<(), PlaceError> {
    if noted(data_dir)?.is_none() && !data_dir.join(JOURNAL).exists() {
        return Ok(());
    }
    compare(data_dir, Some(found))
}

/// The id of the database's journal that the folder belongs to, if it belongs to one.
pub(crate) fn noted(data_dir: &Path) -> Result<Option<String>, PlaceError> {
    folder_note::read(data_dir, NOTE).map_err(|error| failed(data_dir, error))
}

/// Has the folder belong to a database's journal from now on.
pub(crate) fn note(data_dir: &Path, id: &str) -> Result<(), PlaceError> {
    folder_note::write(data_dir, NOTE, id).map_err(|error| failed(data_dir, error))
}

/// Has the folder belong to its own journal from now on.
pub(crate) fn forget(data_dir: &Path) -> Result<(), PlaceError> {
    folder_note::remove(data_dir, NOTE).map_err(|error| failed(data_dir, error))
}

fn failed(data_dir: &Path, error: io::Error) -> PlaceError {
    PlaceError::Io(data_dir.join(NOTE).display().to_string(), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_used_with_one_journal_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let refused = |found| bind(path, found).unwrap_err().to_string();
        bind(path, None).unwrap();
        std::fs::write(path.join(JOURNAL), "").unwrap();
        assert!(refused(Some("a")).contains("has an embedded journal"));
        std::fs::remove_file(path.join(JOURNAL)).unwrap();
        bind(path, Some("a")).unwrap();
        bind(path, Some("a")).unwrap();
        let other = refused(Some("b"));
        assert!(
            other.contains("the journal a,") && other.contains("has b:"),
            "{other}"
        );
        assert!(refused(None).contains("is in a database"));
        compare(path, Some("a")).unwrap();
        let fresh = tempfile::tempdir().unwrap();
        compare(fresh.path(), Some("a")).unwrap_err();
        assert!(std::fs::read_dir(fresh.path()).unwrap().next().is_none());
    }
}
