//! Owns the note of how far a replica has come, which lies in the data folder: a replica that ends before it has lost its end, one that ends
//! behind the journal alone is merely late.

use florin_domain::ids::Seq;
use sha2::{Digest, Sha256};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The file of the note.
const FILE: &str = "replica_place";

fn path(data_dir: &Path) -> PathBuf {
    data_dir.join(FILE)
}

/// The note with its check: a damaged one must not say that commits were lost.
fn text(seq: Seq) -> String {
    let digest: [u8; 32] = Sha256::digest(format!("florin replica {seq}")).into();
    let check = u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]]);
    format!("{seq} {check:08x}\n")
}

/// What the replica is known to have; nothing if there is no note that can be read.
pub(crate) fn read(data_dir: &Path) -> Option<Seq> {
    let found = fs::read_to_string(path(data_dir)).ok()?;
    let seq = Seq(found.split_once(' ')?.0.parse().ok()?);
    (found == text(seq)).then_some(seq)
}

/// Notes what has become durable. The note itself need not be: an older one says less, and nothing that is wrong.
pub(super) fn write(data_dir: &Path, seq: Seq) -> io::Result<()> {
    let target = path(data_dir);
    let unfinished = target.with_extension("new");
    fs::write(&unfinished, text(seq))?;
    fs::rename(&unfinished, &target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_that_changed_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()), None);
        write(folder.path(), Seq(120)).unwrap();
        assert_eq!(read(folder.path()), Some(Seq(120)));
        let whole = fs::read(path(folder.path())).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(path(folder.path()), bytes).unwrap();
            assert_eq!(read(folder.path()), None, "{at}");
        }
    }
}
