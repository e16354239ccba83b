//! Payment links, in a file of their own beside the journal: what a merchant says of them changes, and nothing of it is money.
//!
//! # Layout
//! * `store` the port: a bounded queue before one thread; `writer` that thread, which makes many changes in one transaction and answers
//!   them when they are on the disk
//! * `file` the tables and the rows; `form` how a link is written

mod file;
mod form;
mod store;
#[cfg(test)]
pub(crate) mod tests;
mod writer;

pub use store::{LINKS_WAITING_MAX, LinkStore, OpenError};

use crate::store_file::Kept;
use rusqlite::Connection;
use std::path::{Path, PathBuf};

/// A new file with the tables of links.
pub(crate) fn new_file(path: &Path) -> Result<Connection, String> {
    file::open(Some(path), Kept::Here)
}

/// Which form the tables of this build have.
pub(crate) const FORM_VERSION: i64 = file::FORM.version;

/// Where the file of a data folder is.
pub fn file_in(data: &Path) -> PathBuf {
    data.join(crate::data_dir::LINKS)
}
