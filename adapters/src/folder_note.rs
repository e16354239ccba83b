//! Owns small notes in a data folder: a name and a line of text, there durably and whole, or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The text of a note, without blanks around it; nothing if there is no such note.
///
/// # Errors
/// What the system says.
pub fn read(folder: &Path, name: &str) -> io::Result<Option<String>> {
    match fs::read_to_string(folder.join(name)) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a note, in the place of an earlier one.
///
/// # Errors
/// What the system says; the earlier one is left then.
pub fn write(folder: &Path, name: &str, text: &str) -> io::Result<()> {
    let unfinished = folder.join(format!("{name}.new"));
    let mut options = OpenOptions::new();
    options.create(true).write(true).truncate(true).mode(0o600);
    let mut file = options.open(&unfinished)?;
    file.write_all(format!("{text}\n").as_bytes())?;
    file.sync_all()?;
    fs::rename(&unfinished, folder.join(name))?;
    File::open(folder)?.sync_all()
}

/// Takes a note away, if it is there.
///
/// # Errors
/// What the system says.
pub fn remove(folder: &Path, name: &str) -> io::Result<()> {
    match fs::remove_file(folder.join(name)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => File::open(folder)?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_what_was_written_last_and_gone_once_it_is_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        assert_eq!(read(folder, "note").unwrap(), None);
        remove(folder, "note").unwrap();
        write(folder, "note", "first").unwrap();
        write(folder, "note", "second").unwrap();
        assert_eq!(read(folder, "note").unwrap().as_deref(), Some("second"));
        assert_eq!(fs::read_dir(folder).unwrap().count(), 1);
        remove(folder, "note").unwrap();
        assert_eq!(read(folder, "note").unwrap(), None);
    }
}
