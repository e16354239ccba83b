//! Owns the tables of the vault's file, and how it is opened.
//!
//! What says something of a person or a card is sealed; ids, whose it is, and times are not. `customer` of a card stays when it is
//! detached, so that erasing the customer erases that row as well.

use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::time::Duration;

pub(super) const VERSION: i64 = 1;
/// How long a change waits for somebody else who holds the file.
pub(super) const BUSY_WAIT: Duration = Duration::from_millis(if cfg!(test) { 10 } else { 5_000 });

const TABLES: &str = "
    CREATE TABLE data_key (merchant BLOB NOT NULL, livemode INTEGER NOT NULL, kek BLOB NOT NULL, wrapped BLOB NOT NULL,
        PRIMARY KEY (merchant, livemode)) STRICT, WITHOUT ROWID;
    CREATE TABLE object (merchant BLOB NOT NULL, livemode INTEGER NOT NULL, kind INTEGER NOT NULL, id BLOB NOT NULL,
        customer BLOB, about BLOB, expires_ms INTEGER, sealed BLOB NOT NULL, card BLOB,
        PRIMARY KEY (merchant, livemode, kind, id)) STRICT, WITHOUT ROWID;
    CREATE INDEX object_of_customer ON object (merchant, livemode, customer, id) WHERE customer IS NOT NULL;
    CREATE INDEX object_about ON object (about) WHERE about IS NOT NULL;
    CREATE INDEX object_expiring ON object (expires_ms) WHERE expires_ms IS NOT NULL;
    CREATE TABLE answer (key BLOB PRIMARY KEY, about BLOB NOT NULL, asked BLOB NOT NULL, at_ms INTEGER NOT NULL, sealed BLOB NOT NULL)
        STRICT, WITHOUT ROWID;
    CREATE INDEX answer_about ON answer (about);
    CREATE INDEX answer_by_time ON answer (at_ms);";

/// What a row of `object` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Customer = 1,
    Method = 2,
    Token = 3,
    /// Of one that names no customer, `about` is its card; so it is with a consent.
    Setup = 4,
    Mandate = 5,
}

/// Opens the file to change it, or a new one; memory without a path.
pub(super) fn open_for_writing(path: Option<&Path>) -> Result<Connection, String> {
    let failed = |error: rusqlite::Error| error.to_string();
    let mut connection = path
        .map_or_else(Connection::open_in_memory, Connection::open)
        .map_err(failed)?;
    connection.busy_timeout(BUSY_WAIT).map_err(failed)?;
    // What is erased is overwritten.
    connection
        .pragma_update(None, "secure_delete", "ON")
        .map_err(failed)?;
    if path.is_some() {
        let mode: String = connection
            .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
            .map_err(failed)?;
        if mode != "wal" {
            return Err("it has no write-ahead log".to_owned());
        }
    }
    connection
        .pragma_update(None, "synchronous", "FULL")
        .map_err(failed)?;
    let is_new: bool = connection
        .query_row("SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema)", [], |row| {
            row.get(0)
        })
        .map_err(failed)?;
    if is_new {
        let create = connection.transaction().map_err(failed)?;
        create.execute_batch(TABLES).map_err(failed)?;
        create
            .pragma_update(None, "user_version", VERSION)
            .map_err(failed)?;
        create.commit().map_err(failed)?;
    }
    let version: i64 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(failed)?;
    if version != VERSION {
        return Err(format!(
            "it has version {version}, and this build knows version {VERSION}"
        ));
    }
    // Small enough to be read as a whole: what cannot be trusted is found before anything is answered from it.
    let check: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(failed)?;
    if check == "ok" { Ok(connection) } else { Err(check) }
}

/// Opens the file to read it.
pub(super) fn open_for_reading(path: &Path) -> Result<Connection, String> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags).map_err(|error| error.to_string())
}
