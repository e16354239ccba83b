//! Owns copying files and folders durably, readable by our user alone.

use super::BackupError;
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
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

/// What is in a folder of small files, by name.
pub(super) type Contents = BTreeMap<PathBuf, Vec<u8>>;

/// Reads all files of a folder, none if it is not there.
pub(super) fn read_all(folder: &Path) -> Result<Contents, BackupError> {
    let mut contents = Contents::new();
    for path in all(folder)? {
        match fs::read(folder.join(&path)) {
            // Replaced or taken away since it was listed: whoever reads again will see.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            read => drop(contents.insert(path.clone(), at(&path, read)?)),
        }
    }
    Ok(contents)
}

/// Writes files into a folder.
pub(super) fn write_all(contents: &Contents, folder: &Path) -> Result<(), BackupError> {
    for (path, bytes) in contents {
        let path = folder.join(path);
        make(path.parent().unwrap_or(folder))?;
        at(&path, fs::write(&path, bytes))?;
    }
    Ok(())
}

/// The bytes of every file in a folder.
pub(super) fn sizes(folder: &Path) -> Result<BTreeMap<String, u64>, BackupError> {
    let mut sizes = BTreeMap::new();
    for path in all(folder)? {
        let found = at(&path, fs::metadata(folder.join(&path)))?;
        sizes.insert(path.to_string_lossy().into_owned(), found.len());
    }
    Ok(sizes)
}

/// The files of a folder and of those in it, relative to it.
fn all(folder: &Path) -> Result<Vec<PathBuf>, BackupError> {
    let (mut files, mut folders) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(inner) = folders.pop() {
        let path = folder.join(&inner);
        let entries = match fs::read_dir(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            read => at(&path, read)?,
        };
        for entry in entries {
            let entry = at(&path, entry)?;
            let inside = inner.join(entry.file_name());
            if at(&path, entry.file_type())?.is_dir() {
                folders.push(inside);
            } else {
                files.push(inside);
            }
        }
    }
    Ok(files)
}

/// Has everything in a folder be our user's alone, and survive a loss of power.
pub(super) fn sync_all(folder: &Path) -> Result<(), BackupError> {
    for entry in at(folder, fs::read_dir(folder))? {
        let entry = at(folder, entry)?;
        let path = entry.path();
        if at(&path, entry.file_type())?.is_dir() {
            sync_all(&path)?;
        } else {
            at(&path, fs::set_permissions(&path, Permissions::from_mode(0o600)))?;
            at(&path, File::open(&path).and_then(|file| file.sync_all()))?;
        }
    }
    at(folder, File::open(folder).and_then(|folder| folder.sync_all()))
}

/// Makes an empty folder beside one, under its name with this end, in the place of what an earlier try has left.
pub(super) fn begin_beside(folder: &Path, end: &str) -> Result<PathBuf, BackupError> {
    let folder = at(folder, folder.canonicalize())?;
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push(end);
    let unfinished = folder.with_file_name(name);
    match fs::remove_dir_all(&unfinished) {
        Err(error) if error.kind() != ErrorKind::NotFound => return at(&unfinished, Err(error)),
        Ok(()) | Err(_) => {}
    }
    make(&unfinished)?;
    Ok(unfinished)
}

/// Gives a folder the place of an empty one, durably.
pub(super) fn take_place(unfinished: &Path, folder: &Path) -> Result<(), BackupError> {
    let folder = at(folder, folder.canonicalize())?;
    at(&folder, fs::rename(unfinished, &folder))?;
    let above = folder.parent().unwrap_or(Path::new("/"));
    at(above, File::open(above).and_then(|folder| folder.sync_all()))
}

/// Refuses a folder within those that are copied: it would be copied into itself.
pub(super) fn refuse_nested(folder: &Path, copied: &[&Path]) -> Result<(), BackupError> {
    let folder = at(folder, folder.canonicalize())?;
    let is_within = |from: &&Path| from.canonicalize().is_ok_and(|from| folder.starts_with(from));
    match copied.iter().copied().find(is_within) {
        Some(from) => Err(BackupError::Unfit(format!(
            "{} is within {}, which is copied",
            folder.display(),
            from.display()
        ))),
        None => Ok(()),
    }
}
