//! Owns the note of a repair that has begun and not ended. It is durable before the first file is touched and taken away after the last, so that no node
//! starts on a folder of which one part is repaired and another one is not.

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

/// Notes durably that a repair begins. A repair that goes on where another one was interrupted finds its note, and leaves it.
pub fn note(data_dir: &Path, stamp: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(0o600);
    let mut file = options.open(path(data_dir))?;
    writeln!(file, "a repair began at {stamp}; `florin repair --apply` ends it")?;
    file.sync_all()?;
    File::open(data_dir)?.sync_all()
}

/// Takes the note away durably, if there is one: everything that was compared agrees.
pub fn clear(data_dir: &Path) -> io::Result<()> {
    match fs::remove_file(path(data_dir)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => File::open(data_dir)?.sync_all(),
    }
}
