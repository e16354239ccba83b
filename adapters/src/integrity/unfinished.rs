//! Owns the note of a repair that has begun and not ended. It is durable before the first of the node's own files is touched, and taken away when
//! journal and views are right, so that no node starts on a folder of which one part is repaired and another one is not. What only makes copies again
//! is not noted: a node may run without them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The file of the note.
pub const FILE: &str = "repair_unfinished";

fn path(data_dir: &Path) -> PathBuf {
    data_dir.join(FILE)
}

/// Whether a repair of this data folder began and has not ended.
pub fn is_noted(data_dir: &Path) -> io::Result<bool> {
    path(data_dir).try_exists()
}

/// Notes durably that a repair begins. A repair that goes on where another one was interrupted finds its note. One that cannot be written does not
/// appear: nothing was touched yet, and half a note would stop a node as well.
pub fn note(data_dir: &Path, stamp: &str) -> io::Result<()> {
    let unfinished = path(data_dir).with_extension("new");
    let mut options = OpenOptions::new();
    options.create(true).write(true).truncate(true).mode(0o600);
    let mut file = options.open(&unfinished)?;
    writeln!(file, "a repair began at {stamp}; `florin repair --apply` ends it")?;
    file.sync_all()?;
    fs::rename(&unfinished, path(data_dir))?;
    File::open(data_dir)?.sync_all()
}

/// Takes the note away durably, if there is one: journal and views are right.
pub fn clear(data_dir: &Path) -> io::Result<()> {
    match fs::remove_file(path(data_dir)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => File::open(data_dir)?.sync_all(),
    }
}
