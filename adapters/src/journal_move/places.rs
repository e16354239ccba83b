//! Owns what a folder has of a move: the note that it has begun, and the journal's file under the name that says what it is worth.

use super::{Direction, MoveError};
use crate::data_dir::JOURNAL;
use crate::folder_note;
use rusqlite::Connection;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Names the move, and says which way it goes.
const NOTE: &str = "journal.moving";

/// What a journal's file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// The journal.
    Journal,
    /// One that comes.
    Coming,
    /// One that has gone on elsewhere.
    Retired,
}

impl Name {
    pub(super) fn text(self) -> String {
        match self {
            Self::Journal => JOURNAL.to_owned(),
            Self::Coming => format!("{JOURNAL}.coming"),
            Self::Retired => format!("{JOURNAL}.moved"),
        }
    }

    fn in_folder(self, folder: &Path) -> PathBuf {
        folder.join(self.text())
    }
}

/// The move that has begun and not ended, if there is one.
pub(super) fn unfinished(folder: &Path) -> Result<Option<(String, Direction)>, MoveError> {
    let path = folder.join(NOTE);
    let text = folder_note::read(folder, NOTE).map_err(|error| MoveError::Io(path.clone(), error))?;
    let Some(text) = text else {
        return Ok(None);
    };
    let direction = match text.split_once(' ') {
        Some((name, "to-database")) => Some((name, Direction::ToDatabase)),
        Some((name, "to-folder")) => Some((name, Direction::ToFolder)),
        _ => None,
    };
    let unreadable = || MoveError::Refused(format!("{} cannot be read", path.display()));
    let (name, direction) = direction.ok_or_else(unreadable)?;
    Ok(Some((name.to_owned(), direction)))
}

/// Notes that a move begins.
pub(super) fn note(folder: &Path, name: &str, direction: Direction) -> Result<(), MoveError> {
    let way = match direction {
        Direction::ToDatabase => "to-database",
        Direction::ToFolder => "to-folder",
    };
    folder_note::write(folder, NOTE, &format!("{name} {way}"))
        .map_err(|error| MoveError::Io(folder.join(NOTE), error))
}

/// Notes that it has ended.
pub(super) fn forget(folder: &Path) -> Result<(), MoveError> {
    folder_note::remove(folder, NOTE).map_err(|error| MoveError::Io(folder.join(NOTE), error))
}

/// Refuses a folder that has a journal, which would be lost.
pub(super) fn refuse_journal(folder: &Path) -> Result<(), MoveError> {
    let path = Name::Journal.in_folder(folder);
    if path.exists() {
        return Err(MoveError::Refused(format!(
            "{} is there already, and would be lost",
            path.display()
        )));
    }
    Ok(())
}

/// Where a journal that comes is written.
pub(super) fn coming(folder: &Path) -> PathBuf {
    Name::Coming.in_folder(folder)
}

/// Says by its name that the journal has gone on elsewhere. Nothing if that was done.
pub(super) fn retire(folder: &Path) -> Result<(), MoveError> {
    let path = Name::Journal.in_folder(folder);
    if !path.exists() {
        return Ok(());
    }
    let closed = || -> io::Result<()> {
        // Its log goes into it: what is left of the log would belong to no file.
        let file = Connection::open(&path).map_err(io::Error::other)?;
        file.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .map_err(io::Error::other)?;
        file.close().map_err(|(_, error)| io::Error::other(error))?;
        File::open(&path)?.sync_all()?;
        remove_logs(&path)?;
        fs::rename(&path, Name::Retired.in_folder(folder))?;
        File::open(folder)?.sync_all()
    };
    closed().map_err(|error| MoveError::Io(path.clone(), error))
}

/// Makes the journal that has come the folder's. Nothing if that was done.
pub(super) fn install(folder: &Path) -> Result<(), MoveError> {
    let (coming, path) = (coming(folder), Name::Journal.in_folder(folder));
    let installed = || -> io::Result<()> {
        if coming.exists() {
            remove_logs(&path)?;
            fs::rename(&coming, &path)?;
        }
        File::open(folder)?.sync_all()
    };
    installed().map_err(|error| MoveError::Io(path.clone(), error))
}

/// The logs that SQLite keeps beside a file.
fn remove_logs(path: &Path) -> io::Result<()> {
    for suffix in ["-wal", "-shm"] {
        let mut log = path.as_os_str().to_owned();
        log.push(suffix);
        match fs::remove_file(&log) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}
