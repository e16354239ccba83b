//! Owns the tables of the file, how it is opened, and reading and writing its rows.

pub(super) use crate::store_file::open_for_reading;

use super::form;
use crate::store_file::{self, Form, Kept, Swept};
use florin_domain::ids::{MerchantId, PaymentId, PaymentLinkId};
use florin_domain::payment_link::PaymentLink;
use florin_domain::ports::{LinkOnce, LinkPage};
use florin_domain::vault::Owner;
use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, params, params_from_iter};
use std::path::Path;
use thiserror::Error;

pub(super) const FORM: Form = Form {
    version: 1,
    tables: TABLES,
};
const TABLES: &str = "
    CREATE TABLE link (id BLOB PRIMARY KEY, merchant BLOB NOT NULL, livemode INTEGER NOT NULL, body TEXT NOT NULL,
        payment BLOB, claims INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE INDEX link_of_owner ON link (merchant, livemode, id);
    CREATE TABLE answer (key BLOB PRIMARY KEY, asked BLOB NOT NULL, at_ms INTEGER NOT NULL, id BLOB NOT NULL, body TEXT NOT NULL)
        STRICT, WITHOUT ROWID;
    CREATE INDEX answer_by_time ON answer (at_ms);";

/// Why a row was not read or written.
#[derive(Debug, Error)]
pub(super) enum Trouble {
    #[error(transparent)]
    Store(#[from] rusqlite::Error),
    #[error("{0}")]
    Form(String),
}

impl Trouble {
    /// What the file's own engine says it is; nothing where a row is not what it should be.
    pub(super) fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Store(error) => error.sqlite_error_code(),
            Self::Form(_) => None,
        }
    }
}

/// Opens the file, or a new one; memory without a path.
pub(super) fn open(path: Option<&Path>, kept: Kept) -> Result<Connection, String> {
    store_file::open_for_writing(path, FORM, kept)
}

fn bytes(bits: u128) -> [u8; 16] {
    bits.to_be_bytes()
}

fn bits(row: &Row<'_>, at: usize) -> rusqlite::Result<u128> {
    row.get::<_, [u8; 16]>(at).map(u128::from_be_bytes)
}

const COLUMNS: &str = "id, merchant, livemode, body, payment, claims";

/// A row as [`COLUMNS`] name it.
fn link(row: &Row<'_>) -> Result<PaymentLink, Trouble> {
    let owner = Owner {
        merchant: MerchantId::from_bits(bits(row, 1)?),
        livemode: row.get(2)?,
    };
    let (id, body) = (bits(row, 0)?, row.get::<_, String>(3)?);
    let mut link = form::read(PaymentLinkId::from_bits(id), owner, &body).map_err(Trouble::Form)?;
    let payment: Option<[u8; 16]> = row.get(4)?;
    link.payment = payment.map(|bits| PaymentId::from_bits(u128::from_be_bytes(bits)));
    link.claims = row.get(5)?;
    Ok(link)
}

/// One link.
pub(super) fn find(file: &Connection, id: PaymentLinkId) -> Result<Option<PaymentLink>, Trouble> {
    let mut statement = file.prepare_cached(&format!("SELECT {COLUMNS} FROM link WHERE id = ?1"))?;
    let mut rows = statement.query([bytes(id.bits())])?;
    rows.next()?.map(link).transpose()
}

/// A page of an owner's links, and whether there are more.
pub(super) fn page(
    file: &Connection,
    owner: Owner,
    page: LinkPage,
) -> Result<(Vec<PaymentLink>, bool), Trouble> {
    let mut values = vec![
        Value::Blob(bytes(owner.merchant.bits()).to_vec()),
        Value::Integer(i64::from(owner.livemode)),
    ];
    let mut wanted = String::new();
    for (bound, sign) in [(page.starting_after, '<'), (page.ending_before, '>')] {
        if let Some(id) = bound {
            wanted.push_str(" AND id ");
            wanted.push(sign);
            wanted.push_str(" ?");
            values.push(Value::Blob(bytes(id.bits()).to_vec()));
        }
    }
    // The nearest after it come first, and are turned around.
    let backwards = page.ending_before.is_some();
    let order = if backwards { "ASC" } else { "DESC" };
    let sql = format!(
        "SELECT {COLUMNS} FROM link WHERE merchant = ? AND livemode = ?{wanted} ORDER BY id {order} LIMIT ?"
    );
    values.push(Value::Integer(
        i64::try_from(page.limit.saturating_add(1)).unwrap_or(i64::MAX),
    ));
    let mut statement = file.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut links = Vec::new();
    while let Some(row) = rows.next()? {
        links.push(link(row)?);
    }
    let has_more = links.len() > page.limit;
    links.truncate(page.limit);
    if backwards {
        links.reverse();
    }
    Ok((links, has_more))
}

/// Writes a link, new or changed.
pub(super) fn put(file: &Connection, link: &PaymentLink) -> Result<(), Trouble> {
    let body = form::written(link).map_err(Trouble::Form)?;
    let sql = "INSERT INTO link (id, merchant, livemode, body, payment, claims) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
               ON CONFLICT (id) DO UPDATE SET body = excluded.body, payment = excluded.payment, claims = excluded.claims";
    file.prepare_cached(sql)?.execute(params![
        bytes(link.id.bits()),
        bytes(link.owner.merchant.bits()),
        link.owner.livemode,
        body,
        link.payment.map(|payment| bytes(payment.bits())),
        link.claims
    ])?;
    Ok(())
}

/// What was answered under a key, and a digest of what was asked.
pub(super) fn answered(
    file: &Connection,
    once: LinkOnce,
    (owner, oldest_ms): (Owner, i64),
) -> Result<Option<([u8; 16], PaymentLink)>, Trouble> {
    let sql = "SELECT asked, id, body FROM answer WHERE key = ?1 AND at_ms > ?2";
    let known = file
        .prepare_cached(sql)?
        .query_row(params![once.key.0, oldest_ms], |row| {
            Ok((row.get(0)?, bits(row, 1)?, row.get::<_, String>(2)?))
        })
        .optional()?;
    let Some((asked, id, body)) = known else {
        return Ok(None);
    };
    let link = form::read(PaymentLinkId::from_bits(id), owner, &body).map_err(Trouble::Form)?;
    Ok(Some((asked, link)))
}

/// Keeps an answer.
pub(super) fn answer(
    file: &Connection,
    once: LinkOnce,
    (link, at_ms): (&PaymentLink, i64),
) -> Result<(), Trouble> {
    let body = form::written(link).map_err(Trouble::Form)?;
    let sql = "INSERT OR REPLACE INTO answer (key, asked, at_ms, id, body) VALUES (?1, ?2, ?3, ?4, ?5)";
    file.prepare_cached(sql)?.execute(params![
        once.key.0,
        once.asked.0,
        at_ms,
        bytes(link.id.bits()),
        body
    ])?;
    Ok(())
}

/// Forgets answers that have outlived their time, as many as one transaction may.
pub(super) fn sweep(file: &Connection, oldest_ms: i64) -> rusqlite::Result<Swept> {
    let sql =
        "DELETE FROM answer WHERE key IN (SELECT key FROM answer WHERE at_ms <= ?1 ORDER BY at_ms LIMIT ?2)";
    store_file::sweep(file, &[(sql, oldest_ms)])
}
