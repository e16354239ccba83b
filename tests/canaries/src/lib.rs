//! What no file and no line of a node may hold: the card numbers that tests use, security codes where they are named, and secrets of keys and
//! endpoints. Whoever runs the real binary has this look at what it left: `tests/it` after every process, and the stages of xtask.
//!
//! # Layout
//! - `numbers`: card numbers, also grouped, and in hexadecimal and base64.
//! - `secrets`: security codes, API keys and secrets of endpoints.

mod numbers;
mod secrets;
#[cfg(test)]
mod tests;

pub use numbers::{NUMBERS, is_card_number};

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// Bytes of a file that are looked at together.
const PART_BYTES: usize = 1 << 20;
/// As much of a part is looked at again with the next one, so that nothing falls between two.
const OVERLAP_BYTES: usize = 512;

/// What is found in some bytes, in words that do not repeat a secret.
pub fn in_bytes(bytes: &[u8]) -> Vec<String> {
    let mut found = numbers::found(bytes);
    found.extend(secrets::found(bytes));
    found.sort_unstable();
    found.dedup();
    found
}

/// What was looked at in a folder, and what was found there.
#[derive(Debug, Default)]
pub struct Looked {
    /// Files.
    pub files: usize,
    /// What is where.
    pub found: Vec<String>,
}

/// Looks at every file of a folder. What is gone by the time that it is looked at, holds nothing.
///
/// # Errors
/// If something that is there cannot be read.
pub fn in_folder(folder: &Path) -> io::Result<Looked> {
    let mut looked = Looked::default();
    look(folder, &mut looked)?;
    Ok(looked)
}

fn look(folder: &Path, looked: &mut Looked) -> io::Result<()> {
    let Some(entries) = still_there(fs::read_dir(folder))? else {
        return Ok(());
    };
    for entry in entries {
        let path = entry?.path();
        let Some(kind) = still_there(fs::symlink_metadata(&path))? else {
            continue;
        };
        if kind.is_dir() {
            look(&path, looked)?;
        } else if kind.is_file()
            && let Some(file) = still_there(File::open(&path))?
        {
            looked.files += 1;
            let found = in_file(file)?;
            looked
                .found
                .extend(found.iter().map(|what| format!("{what} in {}", path.display())));
        }
    }
    Ok(())
}

fn in_file(mut file: File) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut part = vec![0; PART_BYTES];
    let mut kept = 0;
    loop {
        let read = file.read(&mut part[kept..])?;
        if read == 0 {
            break;
        }
        let end = kept + read;
        // Files that were given room in advance are mostly zeros.
        if part[..end].iter().any(|byte| *byte != 0) {
            found.extend(in_bytes(&part[..end]));
        }
        kept = end.min(OVERLAP_BYTES);
        part.copy_within(end - kept..end, 0);
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

fn still_there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(there) => Ok(Some(there)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}
