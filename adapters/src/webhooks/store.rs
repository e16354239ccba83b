//! Webhook endpoints and what is known of their deliveries, in a file of their own beside the journal: the journal is never changed, and an
//! endpoint is deleted with all that was known of it. The file cannot be made anew from anything else.
//!
//! # Layout
//! * `file` the ports: queues, threads, connections; `writer` the one thread that changes the file, many changes in one transaction
//! * `change` what each change does; `note` what is noted of deliveries; `reader` looking things up
//! * `tables` the file; `seal` its data key; `form` what is sealed
//! * `none` where there is no key-encryption key; `rotation` another one

mod change;
mod file;
mod form;
mod none;
mod note;
mod reader;
mod rotation;
mod seal;
mod tables;
#[cfg(test)]
mod tests;
mod writer;

pub use file::{EndpointFile, OpenError, StoreOptions};
pub use none::NoEndpoints;
pub(crate) use rotation::rewrap;

use crate::store_file::Kept;
use rusqlite::Connection;
use std::path::{Path, PathBuf};

/// A new file with the tables of endpoints.
pub(crate) fn new_file(path: &Path) -> Result<Connection, String> {
    tables::open_for_writing(path, Kept::Here)
}

/// Which form the tables of this build have.
pub(crate) const FORM_VERSION: i64 = tables::FORM.version;

/// Where the file of a data folder is.
pub fn file_in(data: &Path) -> PathBuf {
    data.join(crate::data_dir::WEBHOOKS)
}
