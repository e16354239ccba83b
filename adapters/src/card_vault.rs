//! Customers and saved cards: sealed at rest in a file of their own, beside the journal and never in it, because people may ask for
//! them to be erased.
//!
//! # Layout
//! * `store` the ports: queues, threads, what is in memory; `writer` the one thread that changes the file, many changes in one
//!   transaction; `change` what each change does; `reader` looking things up
//! * `tables` the file; `tenant` the keys of one merchant and mode; `form` what is sealed
//! * `codes` security codes, in memory only; `none` where there is no key; `rotation` another key-encryption key

mod change;
mod codes;
mod form;
mod none;
mod reader;
mod rotation;
mod store;
mod tables;
mod tenant;
#[cfg(test)]
mod tests;
mod writer;

pub use none::{CardsLater, NoCards};
pub(crate) use rotation::rewrap;
pub use store::{CardStore, OpenError, StoreOptions};

use crate::store_file::Kept;
use florin_domain::vault::VaultObject;
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A new file with the vault's tables.
pub(crate) fn new_file(path: &Path) -> Result<Connection, String> {
    tables::open_for_writing(Some(path), Kept::Here)
}

/// What may be shown of an object, as bytes that somebody else seals.
pub(crate) fn written(object: &VaultObject) -> Option<Zeroizing<Vec<u8>>> {
    form::bytes(object).ok()
}

/// What was written so.
pub(crate) fn read(bytes: &[u8]) -> Option<VaultObject> {
    form::read(bytes).ok()
}

/// Which form the tables of this build have.
pub(crate) const FORM_VERSION: i64 = tables::FORM.version;

/// Where the file of a data folder is.
pub fn file_in(data: &Path) -> PathBuf {
    data.join(crate::data_dir::VAULT)
}
