//! Merchants' credentials at providers: sealed at rest, in memory while the node runs.
//!
//! # Layout
//! * `kek` the key-encryption key in a file; `sealing` AES-256-GCM; `record` what is sealed; `sealed_file` one merchant's file; `folder` files
//!   that are replaced as a whole; `rotation` another key-encryption key
//! * `book` what is present, read by every call to a provider; `store` the port: changes, in two steps around the journal;
//!   `kept` where its files are, in a folder or in a database first; `comparing` the files beside the journal; `none` where there is no key; `terms` what a provider takes

mod book;
mod comparing;
mod folder;
mod kek;
pub(crate) mod kept;
mod none;
mod record;
mod rotation;
mod sealed_file;
pub(crate) mod sealing;
mod store;
mod terms;
#[cfg(test)]
mod tests;

pub use book::{Book, Held, Unavailable};
pub use comparing::{CompareError, Lack, StaleError};
pub use kek::{FileKek, KekFileError};
pub use kept::{OpenError, bring_up_to_date};
pub use none::NoSecrets;
pub use rotation::{RotateError, Rotated, Sealed, rotate};
pub use store::SecretStore;
pub use terms::Terms;
pub(crate) use terms::is_stripe_test_key;

use crate::data_dir::CREDENTIALS;
use std::path::{Path, PathBuf};

/// The key-encryption key that development makes, within the data folder.
const DEVELOPMENT_KEK: &str = "kek.secret";

/// Where the sealed files of a data folder are.
pub fn folder_in(data: &Path) -> PathBuf {
    data.join(CREDENTIALS)
}

/// Where development keeps its key-encryption key.
pub fn development_kek_in(data: &Path) -> PathBuf {
    data.join(DEVELOPMENT_KEK)
}
