//! Another key-encryption key for the file: its data key is wrapped anew, and nothing that is sealed changes.

use super::seal::{KEY_ABOUT, unwrap, wrapped};
use super::tables::open_for_writing;
use crate::store_file::Kept;
use florin_domain::ports::Kek;
use rusqlite::params;
use std::path::Path;
use std::sync::Arc;

/// Wraps the data key of this file under the first of the keys. How many were wrapped anew, and how many were so before; nothing if there is
/// no such file.
pub(crate) fn rewrap(path: &Path, keks: &[Arc<dyn Kek>]) -> Result<(usize, usize), String> {
    let Some(next) = keks.first().filter(|_| path.exists()) else {
        return Ok((0, 0));
    };
    let file = open_for_writing(path, Kept::Here)?;
    let Some((kek, present)) = wrapped(&file).map_err(|error| error.to_string())? else {
        return Ok((0, 0));
    };
    if kek == next.id() {
        return Ok((0, 1));
    }
    let key = unwrap(keks, kek, &present)?;
    let anew = next.wrap(&key, KEY_ABOUT).map_err(|error| error.to_string())?;
    let sql = "UPDATE data_key SET kek = ?1, wrapped = ?2";
    file.execute(sql, params![next.id().0, anew])
        .map_err(|error| error.to_string())?;
    Ok((1, 0))
}
