//! Owns copying files and folders durably, readable by our user alone.

use super::BackupError;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Where signed heads are in a copy.
pub(super) const HEADS: &str = "heads";

/// What receipts and heads are signed with.
pub(super) const SIGNING_KEY: &str = "audit_key.secret";

/// What the keys are made of under which providers are asked.
pub(super) const PROVIDER_KEYS: &str = "provider_keys.secret";

fn at<T>(path: &Path, done: io::Result<T>) -> Result<T, BackupError> {
    done.map_err(|error| BackupError::Io(path.to_owned(), error))
}

/// Makes a folder, which must not be there or be empty.
pub(super) fn make_empty(path: &Path) -> Result<(), BackupError> {
    make(path)?;
    match at(path, fs::read_dir(path))?.next() {
        None => Ok(()),
        Some(_) => Err(BackupError::NotEmpty(path.to_owned())),
    }
}

/// Makes a folder unless it is there.
pub(super) fn make(path: &Path) -> Result<(), BackupError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    at(path, made)
}

/// Copies a file, if it is there.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(), BackupError> {
    let mut read = match File::open(from) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        opened => at(from, opened)?,
    };
    let mut options = OpenOptions::new();
    let mut written = at(to, options.create_new(true).write(true).mode(0o600).open(to))?;
    at(to, io::copy(&mut read, &mut written))?;
    Ok(())
}

/// Copies a folder and all that it has, if it is there.
pub(super) fn copy_all(from: &Path, to: &Path) -> Result<(), BackupError> {
    let entries = match fs::read_dir(from) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        read => at(from, read)?,
    };
    make(to)?;
    for entry in entries {
        let entry = at(from, entry)?;
        let (path, copied) = (entry.path(), to.join(entry.file_name()));
        if at(&path, entry.file_type())?.is_dir() {
            copy_all(&path, &copied)?;
        } else {
            copy(&path, &copied)?;
        }
    }
    Ok(())
}

/// Has everything in a folder survive a loss of power.
pub(super) fn sync_all(folder: &Path) -> Result<(), BackupError> {
    for entry in at(folder, fs::read_dir(folder))? {
        let entry = at(folder, entry)?;
        let path = entry.path();
        if at(&path, entry.file_type())?.is_dir() {
            sync_all(&path)?;
        } else {
            at(&path, File::open(&path).and_then(|file| file.sync_all()))?;
        }
    }
    at(folder, File::open(folder).and_then(|folder| folder.sync_all()))
}

/// Copies a folder to where none is, or an empty one: under another name until all is there.
pub(super) fn install(from: &Path, to: &Path) -> Result<(), BackupError> {
    make_empty(to)?;
    let to = at(to, to.canonicalize())?;
    let unfinished = beside(&to);
    match fs::remove_dir_all(&unfinished) {
        Err(error) if error.kind() != ErrorKind::NotFound => return at(&unfinished, Err(error)),
        Ok(()) | Err(_) => {}
    }
    copy_all(from, &unfinished)?;
    sync_all(&unfinished)?;
    // An empty folder gives its place to another one.
    at(&to, fs::rename(&unfinished, &to))?;
    let above = to.parent().unwrap_or(Path::new("/"));
    at(above, File::open(above).and_then(|folder| folder.sync_all()))
}

fn beside(folder: &Path) -> PathBuf {
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push(".restoring");
    folder.with_file_name(name)
}
