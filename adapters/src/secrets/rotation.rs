//! Another key-encryption key: every data key is wrapped anew, those of the card vault and of webhook endpoints too, and no record changes.
//!
//! The next key lies beside the present one until every file is under it; then the present one is kept under a name of its own, and the next
//! one takes its name, in one step. Until that step both keys open what they wrapped, so a rotation that was interrupted anywhere leaves
//! everything readable, and the next one goes on where it was. Every file keeps its owner, group and mode.

use super::folder::{Folder, Steps, rename, replace_as, unwatched};
use super::kek::{FileKek, KekFileError, file_of, next_of, replaced_of};
use super::kept::OpenError;
use super::sealed_file::SealedFile;
use super::sealing;
use crate::{card_vault, webhooks};
use florin_domain::ports::{Kek, KekId};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;
use zeroize::Zeroizing;

/// Why a rotation has not ended. Everything is readable as before; it may be run again.
#[derive(Debug, Error)]
pub enum RotateError {
    /// A key cannot be used.
    #[error(transparent)]
    Kek(#[from] KekFileError),
    /// A file cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The card vault cannot be opened or written.
    #[error("the card vault {path} cannot be used: {why}", path = path.display())]
    Vault {
        /// Its file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The webhook endpoints cannot be opened or written.
    #[error("the webhook endpoints in {path} cannot be used: {why}", path = path.display())]
    Webhooks {
        /// Their file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Something cannot be written.
    #[error("the rotation of the key-encryption key could not go on")]
    Write(#[source] io::Error),
}

/// What a rotation did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// The key from now on.
    pub kek: KekId,
    /// The file in which the one before it is kept.
    pub kept: PathBuf,
    /// Files whose data key was wrapped anew.
    pub rewrapped: usize,
    /// Files that an interrupted rotation had done before.
    pub done_before: usize,
}

/// What is sealed; any of it may not be there.
#[derive(Clone, Copy, Debug)]
pub struct Sealed<'a> {
    /// The folder of credentials.
    pub credentials: &'a Path,
    /// The card vault.
    pub vault: &'a Path,
    /// The file of webhook endpoints.
    pub webhooks: &'a Path,
}

/// Puts a new key-encryption key in the place of the one in this file. Nobody else may use what is sealed meanwhile.
///
/// # Errors
/// If a key or a file cannot be read or written. What was begun is taken up by the next call.
pub fn rotate(kek_file: &Path, sealed: Sealed<'_>) -> Result<Rotated, RotateError> {
    let folder = Folder::new(sealed.credentials, unwatched());
    rotate_watched(kek_file, &folder, sealed, &unwatched())
}

/// The same with something that watches each step.
pub(super) fn rotate_watched(
    kek_file: &Path,
    folder: &Folder,
    sealed: Sealed<'_>,
    steps: &Steps,
) -> Result<Rotated, RotateError> {
    let present = FileKek::load(kek_file)?;
    // The file itself, if it is linked to: its place is taken, not the link's.
    let kek_file = &*file_of(kek_file);
    let kept = replaced_of(kek_file, present.id());
    let kept_key = Zeroizing::new(*present.key());
    let present: Arc<dyn Kek> = Arc::new(present);
    let next = if let Some(next) = FileKek::next(kek_file)? {
        next
    } else {
        let key = sealing::new_key().map_err(RotateError::Write)?;
        replace_as(&next_of(kek_file), kek_file, key.as_slice(), steps).map_err(RotateError::Write)?;
        FileKek::load(&next_of(kek_file))?
    };
    let next: Arc<dyn Kek> = Arc::new(next);
    let keks = [Arc::clone(&next), present];
    let mut rotated = Rotated {
        kek: next.id(),
        kept,
        rewrapped: 0,
        done_before: 0,
    };
    for merchant in folder.merchants().map_err(OpenError::Folder)? {
        let unusable = |why: String| OpenError::File {
            path: folder.file(merchant),
            why,
        };
        let bytes = folder
            .read(merchant)
            .map_err(|error| unusable(error.to_string()))?;
        let file = SealedFile::open(merchant, &bytes, &keks);
        let mut file = file.map_err(|error| unusable(error.to_string()))?;
        if file.kek == next.id() {
            rotated.done_before += 1;
            continue;
        }
        file.rewrap(&*next).map_err(RotateError::Write)?;
        let bytes = file.bytes(&file.records).map_err(RotateError::Write)?;
        folder.replace(merchant, &bytes).map_err(RotateError::Write)?;
        rotated.rewrapped += 1;
    }
    let (vault, endpoints) = (sealed.vault, sealed.webhooks);
    let of_vault = card_vault::rewrap(vault, &keks).map_err(|why| RotateError::Vault {
        path: vault.to_owned(),
        why,
    })?;
    let of_webhooks = webhooks::store::rewrap(endpoints, &keks).map_err(|why| RotateError::Webhooks {
        path: endpoints.to_owned(),
        why,
    })?;
    for (rewrapped, before) in [of_vault, of_webhooks] {
        rotated.rewrapped += rewrapped;
        rotated.done_before += before;
    }
    // From here on nothing here needs the old key, but older copies of the files do.
    if !rotated.kept.exists() {
        replace_as(&rotated.kept, kek_file, kept_key.as_slice(), steps).map_err(RotateError::Write)?;
    }
    rename(&next_of(kek_file), kek_file, steps).map_err(RotateError::Write)?;
    Ok(rotated)
}
