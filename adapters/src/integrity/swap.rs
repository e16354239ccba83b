//! Owns putting a restored journal into the place of a damaged one, so that a crash at any moment leaves the one or the other.
//!
//! SQLite reads a log that lies beside a file into that file, whichever file it is. So the log of the damaged journal is folded into it before the
//! restored one is moved over it; from then on there is none.

use super::{IntegrityError, io_error};
use crate::data_dir::{JOURNAL, KEYS, SNAPSHOTS, VIEWS};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The steps of a repair in order. Every new journal is built and verified before the note; then each shard takes those that it needs, and the copies
/// come last. Whatever happens before one of them, the next repair begins anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The restored journal is written beside the damaged one, or in a folder that will take the place of one that is gone.
    Build,
    /// All of it is read back.
    Verify,
    /// It is noted that a repair is under way: no node starts from here on.
    Note,
    /// The folder of a shard that has lost it takes its place.
    PlaceFolder,
    /// The damaged one is kept under another name.
    Keep,
    /// The views are deleted.
    DiscardViews,
    /// The key index is deleted.
    DiscardKeys,
    /// The snapshots are deleted.
    DiscardSnapshots,
    /// The damaged journal's log is folded into it.
    FoldLog,
    /// The restored one is moved over the damaged one.
    Replace,
    /// That is made durable.
    Sync,
    /// Views that differ from a journal that does not are deleted.
    DiscardWrongViews,
    /// The bad files of the replica get other names.
    SetReplicaAside,
    /// They are written again from the journal.
    WriteReplica,
    /// The export is made again.
    RenewExport,
    /// The note is taken away.
    Finish,
}

/// Is told before each step; an error ends the repair there.
pub type BeforeStep<'a> = &'a mut dyn FnMut(Step) -> io::Result<()>;

/// The restored journal until it is in its place.
pub(super) fn unfinished(data_dir: &Path) -> PathBuf {
    let name = "journal.db.restored";
    if data_dir.is_dir() {
        data_dir.join(name)
    } else {
        staging(data_dir).join(name)
    }
}

/// What becomes the folder of a shard that has lost it. No node takes it for the shard's, so one that is left over costs nothing.
fn staging(data_dir: &Path) -> PathBuf {
    beside(data_dir, ".restored")
}

/// Makes the folder in which a restored journal is built, if the shard has lost its own.
pub(super) fn make_staging(data_dir: &Path) -> Result<(), IntegrityError> {
    if data_dir.is_dir() {
        return Ok(());
    }
    let staging = staging(data_dir);
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&staging);
    made.map_err(io_error(&staging))
}

/// Deletes what was built in vain, as far as that works: it takes room, and says nothing.
pub(super) fn discard_unfinished(data_dir: &Path) {
    drop(fs::remove_file(unfinished(data_dir)));
    if !data_dir.is_dir() {
        drop(fs::remove_dir_all(staging(data_dir)));
    }
}

/// Gives a shard that has lost its folder the one in which its journal was built.
fn place_folder(data_dir: &Path) -> Result<(), IntegrityError> {
    let staging = staging(data_dir);
    sync_folder(&staging)?;
    fs::rename(&staging, data_dir).map_err(io_error(data_dir))?;
    // The folder around it may be new as well.
    let mut around = data_dir.parent();
    for _ in 0..2 {
        let Some(folder) = around else { break };
        sync_folder(folder)?;
        around = folder.parent();
    }
    Ok(())
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn sync_folder(folder: &Path) -> Result<(), IntegrityError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(io_error(folder))
}

fn remove(path: &Path) -> Result<(), IntegrityError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error(path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Deletes the views; the next start reads them back from the journal.
pub(super) fn discard_views(data_dir: &Path) -> Result<(), IntegrityError> {
    let views = data_dir.join(VIEWS);
    for suffix in ["", "-wal", "-shm"] {
        remove(&beside(&views, suffix))?;
    }
    Ok(())
}

/// Deletes a folder. It loses its name first: half a key index must never be opened as a whole one.
fn discard_folder(data_dir: &Path, name: &str) -> Result<(), IntegrityError> {
    let (folder, nameless) = (data_dir.join(name), data_dir.join(format!("{name}.discarded")));
    let delete = |path: &Path| match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error(path)(error)),
        Ok(()) | Err(_) => Ok(()),
    };
    delete(&nameless)?;
    match fs::rename(&folder, &nameless) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        renamed => renamed.map_err(io_error(&folder))?,
    }
    sync_folder(data_dir)?;
    delete(&nameless)
}

/// Puts the restored journal into its place, and answers where the damaged one is kept.
pub(super) fn swap(data_dir: &Path, stamp: &str, before: BeforeStep<'_>) -> Result<PathBuf, IntegrityError> {
    let mut before = |step| before(step).map_err(io_error(data_dir));
    if !data_dir.is_dir() {
        before(Step::PlaceFolder)?;
        place_folder(data_dir)?;
    }
    let journal = data_dir.join(JOURNAL);
    let log = beside(&journal, "-wal");
    before(Step::Keep)?;
    let has_log = fs::metadata(&log).is_ok_and(|found| found.len() > 0);
    let kept = keep(data_dir, stamp, has_log)?;
    before(Step::DiscardViews)?;
    discard_views(data_dir)?;
    before(Step::DiscardKeys)?;
    discard_folder(data_dir, KEYS)?;
    before(Step::DiscardSnapshots)?;
    discard_folder(data_dir, SNAPSHOTS)?;
    before(Step::FoldLog)?;
    if has_log {
        fold_log(&journal)?;
    }
    remove(&log)?;
    remove(&beside(&journal, "-shm"))?;
    sync_folder(data_dir)?;
    before(Step::Replace)?;
    fs::rename(unfinished(data_dir), &journal).map_err(io_error(&journal))?;
    before(Step::Sync)?;
    sync_folder(data_dir)?;
    Ok(kept)
}

/// Keeps the damaged journal as it is, with its log.
fn keep(data_dir: &Path, stamp: &str, has_log: bool) -> Result<PathBuf, IntegrityError> {
    let kept = data_dir.join(format!("damaged-{stamp}"));
    let mut folder = DirBuilder::new();
    folder.mode(0o700).create(&kept).map_err(io_error(&kept))?;
    let journal = data_dir.join(JOURNAL);
    let copy = |name: &str| -> Result<(), IntegrityError> {
        let (from, to) = (data_dir.join(name), kept.join(name));
        fs::copy(&from, &to).map_err(io_error(&to))?;
        File::open(&to)
            .and_then(|file| file.sync_all())
            .map_err(io_error(&to))
    };
    if has_log {
        copy(&format!("{JOURNAL}-wal"))?;
    }
    if journal.exists() {
        // Its file will be changed only if there is a log; otherwise a second name for it is enough.
        let is_linked = !has_log && fs::hard_link(&journal, kept.join(JOURNAL)).is_ok();
        if !is_linked {
            copy(JOURNAL)?;
        }
    }
    sync_folder(&kept)?;
    sync_folder(data_dir)?;
    Ok(kept)
}

/// Makes the damaged journal what it is without a log. One that nobody can open is not worth more with its log than without.
fn fold_log(journal: &Path) -> Result<(), IntegrityError> {
    if !journal.exists() {
        // Its log is nothing without it, and was kept.
        return Ok(());
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let folded = Connection::open_with_flags(journal, flags).and_then(|connection| {
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))
    });
    let refused = |why: String| io_error(journal)(io::Error::other(why));
    match folded {
        Ok(0) => Ok(()),
        Ok(_) => Err(refused("another process reads the journal".to_owned())),
        Err(error) => match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Ok(()),
            Some(_) | None => Err(refused(error.to_string())),
        },
    }
}
