//! A key-encryption key in a file of 32 bytes.

use super::sealing::{self, NONCE_BYTES};
use crate::secret_file;
use aws_lc_rs::hmac;
use florin_domain::ports::{DataKey, Kek, KekError, KekId};
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use thiserror::Error;
use zeroize::Zeroizing;

/// What a rotation appends to the name of the file of the next key.
const NEXT: &str = "next";
/// What it appends, behind the key's name, to that of the file of a key that it has replaced.
const REPLACED: &str = "old";

/// Why a key-encryption key is not usable.
#[derive(Debug, Error)]
pub enum KekFileError {
    /// It cannot be read, or is not 32 bytes long.
    #[error("the key-encryption key {path} cannot be used: {source}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Everybody on this machine may read it.
    #[error("the key-encryption key {path} is open to everybody: `chmod 600` it")]
    Open {
        /// The file.
        path: PathBuf,
    },
}

/// A key-encryption key that lies in a file.
pub struct FileKek {
    id: KekId,
    key: Zeroizing<[u8; 32]>,
}

impl FileKek {
    fn new(key: Zeroizing<[u8; 32]>) -> Self {
        let tag = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, key.as_slice()),
            b"florin key-encryption key",
        );
        let mut id = [0; 8];
        id.copy_from_slice(&tag.as_ref()[..8]);
        Self { id: KekId(id), key }
    }

    /// The key itself, to be kept.
    pub(super) fn key(&self) -> &[u8; 32] {
        &self.key
    }

    /// Reads the key.
    ///
    /// # Errors
    /// If it is not there, malformed, or open to everybody.
    pub fn load(path: &Path) -> Result<Self, KekFileError> {
        let unusable = |source| KekFileError::Unusable {
            path: path.to_owned(),
            source,
        };
        let mode = fs::metadata(path).map_err(unusable)?.permissions().mode();
        if mode & 0o007 != 0 {
            return Err(KekFileError::Open {
                path: path.to_owned(),
            });
        }
        let key = secret_file::load(path).map_err(unusable)?;
        Ok(Self::new(Zeroizing::new(key)))
    }

    /// Reads the key; makes it first, for its owner only, if there is none.
    ///
    /// # Errors
    /// As [`FileKek::load`], or if it cannot be made.
    pub fn load_or_create(path: &Path) -> Result<Self, KekFileError> {
        let made = secret_file::load_or_create(path);
        drop(
            made.map(Zeroizing::new)
                .map_err(|source| KekFileError::Unusable {
                    path: path.to_owned(),
                    source,
                })?,
        );
        Self::load(path)
    }

    /// The key of a rotation that has begun and not ended, if there is one.
    ///
    /// # Errors
    /// As [`FileKek::load`].
    pub fn next(path: &Path) -> Result<Option<Self>, KekFileError> {
        let next = next_of(path);
        match Self::load(&next) {
            Ok(kek) => Ok(Some(kek)),
            Err(KekFileError::Unusable { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// Where a rotation keeps the next key until it has ended.
pub(super) fn next_of(path: &Path) -> PathBuf {
    beside(path, NEXT)
}

/// Where a rotation leaves the key that it has replaced.
pub(super) fn replaced_of(path: &Path, replaced: KekId) -> PathBuf {
    beside(path, &format!("{replaced}.{REPLACED}"))
}

/// Beside the file itself, also if the path is a link to it.
fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = file_of(path).into_os_string();
    name.push(".");
    name.push(end);
    PathBuf::from(name)
}

/// The file itself, also if the path is a link to it.
pub(super) fn file_of(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

impl fmt::Debug for FileKek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileKek")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Kek for FileKek {
    fn id(&self) -> KekId {
        self.id
    }

    fn wrap(&self, key: &DataKey, about: &[u8]) -> Result<Vec<u8>, KekError> {
        let mut wrapped = Vec::with_capacity(NONCE_BYTES + 32 + sealing::TAG_BYTES);
        sealing::seal(&self.key, about, key.as_slice(), &mut wrapped).map_err(|_| KekError::Failed)?;
        Ok(wrapped)
    }

    fn unwrap(&self, wrapped: &[u8], about: &[u8]) -> Result<DataKey, KekError> {
        let opened = sealing::open(&self.key, about, wrapped).ok_or(KekError::Refused)?;
        let mut key = Zeroizing::new([0; 32]);
        if opened.len() != key.len() {
            return Err(KekError::Refused);
        }
        key.copy_from_slice(&opened);
        Ok(key)
    }
}
