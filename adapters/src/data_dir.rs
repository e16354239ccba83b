//! Owns the folder that holds everything embedded: who may use it, and what is where.

use florin_domain::ports::Ownership;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The file whose lock says that a process uses the folder. The system frees it when the process ends, however it ends.
const LOCK: &str = "florin.lock";

/// The journal's file.
pub(crate) const JOURNAL: &str = "journal.db";

/// The payments view's file.
pub(crate) const VIEWS: &str = "views.db";

/// The file of customers and saved cards.
pub(crate) const VAULT: &str = "vault.db";

/// The file of payment links.
pub(crate) const LINKS: &str = "links.db";

/// The file of webhook endpoints.
pub(crate) const WEBHOOKS: &str = "webhooks.db";

/// The file that names the stores which were begun here.
pub(crate) const BEGUN: &str = "stores_begun";

/// The folder of merchants' credentials at providers.
pub(crate) const CREDENTIALS: &str = "credentials";

/// The key index's folder.
pub(crate) const KEYS: &str = "keys";

/// The folder of snapshots.
pub(crate) const SNAPSHOTS: &str = "snapshots";

/// Why a data directory cannot be used.
#[derive(Debug, Error)]
pub enum DataDirError {
    /// Another process has it.
    #[error("{path} is in use by another process")]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The system does not let us write there.
    #[error("{path} is not writable: {source}")]
    NotWritable {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not there, and cannot be made, or is no folder.
    #[error("{path} cannot be used as a data directory: {source}")]
    Unusable {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The shards of a data directory are its owner's, as long as that has the folder.
#[derive(Clone, Copy, Debug)]
pub struct Undisputed;

impl Ownership for Undisputed {
    fn is_ours(&self) -> bool {
        true
    }
}

/// A data directory, ours alone until this is dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    /// Held, never read.
    _lock: File,
}

impl DataDir {
    /// Makes the folder if it is missing, for our user only, and locks it.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, DataDirError> {
        let path = path.into();
        if let Err(source) = DirBuilder::new().recursive(true).mode(0o700).create(&path) {
            return Err(refused(path, source));
        }
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        let lock = match options.open(path.join(LOCK)) {
            Ok(lock) => lock,
            Err(source) => return Err(refused(path, source)),
        };
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(DataDirError::InUse { path }),
            Err(TryLockError::Error(source)) => Err(refused(path, source)),
        }
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The journal's file.
    pub fn journal(&self) -> PathBuf {
        self.path.join(JOURNAL)
    }

    /// The payments view's file.
    pub fn views(&self) -> PathBuf {
        Self::views_in(&self.path)
    }

    /// The same in a folder that may be nobody's now.
    pub fn views_in(folder: &Path) -> PathBuf {
        folder.join(VIEWS)
    }

    /// The key index's folder.
    pub fn keys(&self) -> PathBuf {
        self.path.join(KEYS)
    }

    /// The folder of snapshots.
    pub fn snapshots(&self) -> PathBuf {
        self.path.join(SNAPSHOTS)
    }
}

fn refused(path: PathBuf, source: io::Error) -> DataDirError {
    match source.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            DataDirError::NotWritable { path, source }
        }
        _ => DataDirError::Unusable { path, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_missing_folder_is_made_for_our_user_only() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let folder = DataDir::open(&path).unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o700
        );
        assert_eq!(folder.path(), path);
        let inside = [
            folder.journal(),
            folder.views(),
            folder.keys(),
            folder.snapshots(),
        ]
        .map(|file| file.starts_with(&path));
        assert_eq!(inside, [true; 4]);
    }

    #[test]
    fn a_folder_in_use_is_refused_until_its_owner_lets_go() {
        let parent = tempfile::tempdir().unwrap();
        let first = DataDir::open(parent.path()).unwrap();
        let second = DataDir::open(parent.path()).unwrap_err();
        assert!(
            matches!(&second, DataDirError::InUse { path } if path == parent.path()),
            "{second}"
        );
        drop(first);
        DataDir::open(parent.path()).unwrap();
    }

    #[test]
    fn a_file_in_the_place_of_the_folder_is_said_to_be_unusable() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("file");
        std::fs::write(&path, "taken").unwrap();
        let error = DataDir::open(&path).unwrap_err();
        assert!(matches!(error, DataDirError::Unusable { .. }), "{error}");
    }

    #[test]
    fn refusals_of_the_system_are_told_apart() {
        let cases = [
            (io::ErrorKind::PermissionDenied, "/d is not writable: "),
            (io::ErrorKind::ReadOnlyFilesystem, "/d is not writable: "),
            (
                io::ErrorKind::NotADirectory,
                "/d cannot be used as a data directory: ",
            ),
        ];
        for (kind, expected) in cases {
            let text = refused("/d".into(), kind.into()).to_string();
            assert!(text.starts_with(expected), "{text}");
        }
    }
}
