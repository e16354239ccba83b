//! Owns what is known of a shard whose folder is gone: which folders are, and the note of where a journal ended when its node stopped by itself.
//!
//! Copies and signed heads may be a second behind a node that was killed, and the only one who knows of what was answered in that second is the
//! journal, wherever it is. The note is made after the last signature of a node that stops, and taken away before the journal is opened again.

use florin_domain::ids::{Seq, ShardId};
use sha2::{Digest, Sha256};
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// How the folder of a shard is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// It is not there.
    Missing,
    /// Nothing is in it, as where a disk is not mounted, or a journal without commits that a node has begun there since.
    Empty,
}

impl Lost {
    /// What the folder is.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Empty => "empty",
        }
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether the folder of a shard is gone.
pub fn is_lost(data_dir: &Path) -> io::Result<Option<Lost>> {
    if !data_dir.is_dir() {
        return Ok(Some(Lost::Missing));
    }
    for entry in fs::read_dir(data_dir)? {
        let name = entry?.file_name();
        if !name.to_str().is_some_and(is_nothing) {
            return Ok(None);
        }
    }
    Ok(Some(Lost::Empty))
}

/// What some file systems have at their root, and what a repair that was interrupted leaves of a folder that was gone before.
fn is_nothing(name: &str) -> bool {
    name == "lost+found" || name.starts_with("journal.db.restored") || name.starts_with("damaged-")
}

/// What says that a shard whose folder is gone may be restored from its copies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KnownEnd {
    /// Its last commit, if its node stopped by itself.
    pub stopped_at: Option<Seq>,
    /// A person gives up what the copies do not have.
    pub is_accepted: bool,
}

fn path(data_dir: &Path, shard: ShardId) -> PathBuf {
    data_dir.join(format!("clean_stop-{:04}", shard.0))
}

/// The note with its check: a damaged one must say nothing.
fn text(shard: ShardId, seq: Seq) -> String {
    let digest: [u8; 32] = Sha256::digest(format!("florin clean stop {} {seq}", shard.0)).into();
    let check = u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]]);
    format!("{seq} {check:08x}\n")
}

/// Where a shard's journal ended when its node stopped by itself; nothing if it did not, or if no note of it can be read. The folder is that of the
/// first shard.
pub fn stopped_at(data_dir: &Path, shard: ShardId) -> Option<Seq> {
    let found = fs::read_to_string(path(data_dir, shard)).ok()?;
    let seq = Seq(found.split_once(' ')?.0.parse().ok()?);
    (found == text(shard, seq)).then_some(seq)
}

/// Notes durably that a shard's journal has ended there, and that nobody can append to it.
pub fn note_stop(data_dir: &Path, shard: ShardId, end: Seq) -> io::Result<()> {
    let target = path(data_dir, shard);
    let unfinished = target.with_extension("new");
    let mut options = OpenOptions::new();
    options.create(true).write(true).truncate(true).mode(0o600);
    let mut file = options.open(&unfinished)?;
    file.write_all(text(shard, end).as_bytes())?;
    file.sync_all()?;
    fs::rename(&unfinished, &target)?;
    File::open(data_dir)?.sync_all()
}

/// Takes the note away durably: the journal is about to be appended to.
pub fn forget_stop(data_dir: &Path, shard: ShardId) -> io::Result<()> {
    match fs::remove_file(path(data_dir, shard)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => File::open(data_dir)?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARD: ShardId = ShardId(3);

    #[test]
    fn a_note_of_a_stop_says_nothing_once_it_changed_or_was_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path();
        assert_eq!(stopped_at(data_dir, SHARD), None);
        forget_stop(data_dir, SHARD).unwrap();
        note_stop(data_dir, SHARD, Seq(7)).unwrap();
        note_stop(data_dir, SHARD, Seq(120)).unwrap();
        assert_eq!(stopped_at(data_dir, SHARD), Some(Seq(120)));
        assert_eq!(stopped_at(data_dir, ShardId(2)), None);
        fs::copy(path(data_dir, SHARD), path(data_dir, ShardId(2))).unwrap();
        assert_eq!(stopped_at(data_dir, ShardId(2)), None, "it is another shard's");
        let whole = fs::read(path(data_dir, SHARD)).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(path(data_dir, SHARD), bytes).unwrap();
            assert_eq!(stopped_at(data_dir, SHARD), None, "{at}");
        }
        fs::write(path(data_dir, SHARD), whole).unwrap();
        forget_stop(data_dir, SHARD).unwrap();
        assert_eq!(stopped_at(data_dir, SHARD), None);
    }

    #[test]
    fn a_folder_is_lost_where_it_is_not_there_or_has_nothing() {
        let root = tempfile::tempdir().unwrap();
        let data_dir = root.path().join("shards/0001");
        assert_eq!(is_lost(&data_dir).unwrap(), Some(Lost::Missing));
        for nothing in ["lost+found", "damaged-2026-11-21", "journal.db.restored"] {
            fs::create_dir_all(data_dir.join(nothing)).unwrap();
        }
        assert_eq!(is_lost(&data_dir).unwrap(), Some(Lost::Empty));
        fs::write(data_dir.join("journal.db"), "").unwrap();
        assert_eq!(is_lost(&data_dir).unwrap(), None);
    }
}
