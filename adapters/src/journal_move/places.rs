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

/// Names the move that brought the journal here.
const OUT: &str = "journal.moved_out";

/// What a journal's file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    /// The journal.
    Journal,
    /// One that comes.
    Coming,
    /// One that has gone on elsewhere.
    Retired,
}

impl Name {
    fn text(self) -> String {
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

/// The folder's journal, whether it was retired already or not.
pub(super) fn found(folder: &Path) -> Result<PathBuf, MoveError> {
    one_of(folder, [Name::Journal, Name::Retired])
}

/// The journal that has come, whether it was installed already or not.
pub(super) fn arrived(folder: &Path) -> Result<PathBuf, MoveError> {
    one_of(folder, [Name::Coming, Name::Journal])
}

fn one_of(folder: &Path, names: [Name; 2]) -> Result<PathBuf, MoveError> {
    let paths = names.map(|name| name.in_folder(folder));
    let found = paths.iter().find(|path| path.exists()).cloned();
    let [first, second] = paths;
    let missing = || {
        MoveError::Refused(format!(
            "there is neither {} nor {}",
            first.display(),
            second.display()
        ))
    };
    found.ok_or_else(missing)
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
        let busy: i64 = file
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
            .map_err(io::Error::other)?;
        if busy != 0 {
            return Err(io::Error::other("another process reads it: end that first"));
        }
        file.close().map_err(|(_, error)| io::Error::other(error))?;
        File::open(&path)?.sync_all()?;
        remove_logs(&path)?;
        fs::rename(&path, Name::Retired.in_folder(folder))?;
        File::open(folder)?.sync_all()
    };
    closed().map_err(|error| MoveError::Io(path.clone(), error))
}

/// Has the names of what was written into the folders of shards survive a loss of power, up to the data folder.
pub(super) fn sync_names(data_dir: &Path, shard: &Path) -> Result<(), MoveError> {
    for folder in shard
        .ancestors()
        .take_while(|folder| folder.starts_with(data_dir))
    {
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        synced.map_err(|error| MoveError::Io(folder.to_owned(), error))?;
    }
    Ok(())
}

/// The move after which the journal was out of a database, if there was one: its mark is still there.
pub(super) fn moved_out(folder: &Path) -> Result<Option<String>, MoveError> {
    folder_note::read(folder, OUT).map_err(|error| MoveError::Io(folder.join(OUT), error))
}

/// Notes that.
pub(super) fn note_moved_out(folder: &Path, name: &str) -> Result<(), MoveError> {
    folder_note::write(folder, OUT, name).map_err(|error| MoveError::Io(folder.join(OUT), error))
}

/// Makes the journal that has come the folder's. Nothing if that was done.
pub(super) fn install(folder: &Path) -> Result<(), MoveError> {
    let (coming, path) = (coming(folder), Name::Journal.in_folder(folder));
    let installed = || -> io::Result<()> {
        if coming.exists() {
            remove_logs(&path)?;
            fs::rename(&coming, &path)?;
        } else if !path.exists() {
            return Err(io::Error::other(
                "neither it nor what was to take its place is there",
            ));
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
