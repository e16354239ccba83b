//! Secrets that this machine made for itself, each in a file that only its owner may read.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The 32 secret bytes in `path`.
pub fn load(path: &Path) -> io::Result<[u8; 32]> {
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, "a secret file must hold 32 bytes");
    fs::read(path)?.try_into().map_err(|_| malformed())
}

/// The 32 secret bytes in `path`; made and made durable first if there is no such file.
pub fn load_or_create(path: &Path) -> io::Result<[u8; 32]> {
    match load(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(path),
        loaded => loaded,
    }
}

fn create(path: &Path) -> io::Result<[u8; 32]> {
    let mut secret = [0; 32];
    SystemRandom::new()
        .fill(&mut secret)
        .map_err(|_| io::Error::other("the system gives no random bytes"))?;
    // Written under another name first: a half-written secret would silently change every provider key.
    let unfinished = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)?;
    file.write_all(&secret)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    if let Some(folder) = path.parent() {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_once_and_a_damaged_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("provider.key");
        let secret = load_or_create(&path).unwrap();
        assert_eq!(load_or_create(&path).unwrap(), secret);
        fs::write(&path, b"short").unwrap();
        assert_eq!(
            load_or_create(&path).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
    }
}
