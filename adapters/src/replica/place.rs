//! Owns the note of how far a replica has come, which lies in the data folder: a replica that ends before it has lost its end, one that ends
//! behind the journal alone is merely late.

use florin_domain::ids::Seq;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The file of the note.
const FILE: &str = "replica_place";

fn path(data_dir: &Path) -> PathBuf {
    data_dir.join(FILE)
}

/// What the replica is known to have; nothing if there is no note that can be read.
pub(super) fn read(data_dir: &Path) -> Option<Seq> {
    let text = fs::read_to_string(path(data_dir)).ok()?;
    text.trim().parse().ok().map(Seq)
}

/// Notes what has become durable. The note itself need not be: an older one says less, and nothing that is wrong.
pub(super) fn write(data_dir: &Path, seq: Seq) -> io::Result<()> {
    let target = path(data_dir);
    let unfinished = target.with_extension("new");
    fs::write(&unfinished, format!("{seq}\n"))?;
    fs::rename(&unfinished, &target)
}
