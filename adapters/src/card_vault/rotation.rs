//! Another key-encryption key for the vault: every data key is wrapped anew in one transaction, and nothing that is sealed changes.

use super::tables::open_for_writing;
use super::tenant::{key_about, merchant, unwrap};
use crate::store_file::Kept;
use florin_domain::ids::MerchantId;
use florin_domain::ports::{Kek, KekId};
use florin_domain::vault::Owner;
use rusqlite::params;
use std::path::Path;
use std::sync::Arc;

/// A data key as it is wrapped now.
type Wrapped = (Owner, [u8; 8], Vec<u8>);

/// Wraps the data keys of the vault in this file under the first of the keys. How many were wrapped anew, and how many were so before;
/// nothing if there is no such file.
pub(crate) fn rewrap(path: &Path, keks: &[Arc<dyn Kek>]) -> Result<(usize, usize), String> {
    let Some(next) = keks.first().filter(|_| path.exists()) else {
        return Ok((0, 0));
    };
    let failed = |error: rusqlite::Error| error.to_string();
    let mut file = open_for_writing(Some(path), Kept::Here)?;
    let change = file.transaction().map_err(failed)?;
    let all: Result<Vec<Wrapped>, rusqlite::Error> = change
        .prepare("SELECT merchant, livemode, kek, wrapped FROM data_key")
        .and_then(|mut statement| {
            let rows = statement.query_map([], |row| {
                let merchant = MerchantId::from_bits(u128::from_be_bytes(row.get(0)?));
                let owner = Owner {
                    merchant,
                    livemode: row.get(1)?,
                };
                Ok((owner, row.get(2)?, row.get(3)?))
            })?;
            rows.collect()
        });
    let (mut rewrapped, mut before) = (0, 0);
    for (owner, kek, wrapped) in all.map_err(failed)? {
        if KekId(kek) == next.id() {
            before += 1;
            continue;
        }
        let key = unwrap(keks, owner, KekId(kek), &wrapped)?;
        let anew = next
            .wrap(&key, &key_about(owner))
            .map_err(|error| error.to_string())?;
        let sql = "UPDATE data_key SET kek = ?3, wrapped = ?4 WHERE merchant = ?1 AND livemode = ?2";
        change
            .execute(sql, params![merchant(owner), owner.livemode, next.id().0, anew])
            .map_err(failed)?;
        rewrapped += 1;
    }
    change.commit().map_err(failed)?;
    Ok((rewrapped, before))
}
