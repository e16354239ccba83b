//! Owns the tables of the file, and how it is opened.
//!
//! What a merchant says of an endpoint is sealed, so that nobody reads a secret in the file or writes another address into it. Ids, whose they
//! are, and how their deliveries went are not.

use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::time::Duration;

pub(super) const VERSION: i64 = 1;
/// How long a change waits for somebody else who holds the file.
pub(super) const BUSY_WAIT: Duration = Duration::from_millis(if cfg!(test) { 10 } else { 5_000 });

const TABLES: &str = "
    CREATE TABLE data_key (one INTEGER PRIMARY KEY CHECK (one = 1), kek BLOB NOT NULL, wrapped BLOB NOT NULL) STRICT;
    CREATE TABLE endpoint (id BLOB PRIMARY KEY, shard INTEGER NOT NULL, merchant BLOB NOT NULL, livemode INTEGER NOT NULL,
        disabled TEXT, sealed BLOB NOT NULL) STRICT, WITHOUT ROWID;
    CREATE INDEX endpoint_of_owner ON endpoint (merchant, livemode, id);
    CREATE INDEX endpoint_of_shard ON endpoint (shard, id);
    CREATE TABLE progress (endpoint BLOB PRIMARY KEY, generation INTEGER NOT NULL, told_seq INTEGER NOT NULL, told_index INTEGER NOT NULL,
        failing_since_ms INTEGER, failing_in_a_row INTEGER) STRICT, WITHOUT ROWID;
    CREATE TABLE parked (endpoint BLOB NOT NULL, payment BLOB NOT NULL, next INTEGER NOT NULL, attempts INTEGER NOT NULL,
        due_ms INTEGER NOT NULL, PRIMARY KEY (endpoint, payment)) STRICT, WITHOUT ROWID;
    CREATE TABLE replay (endpoint BLOB NOT NULL, place INTEGER NOT NULL, asked_ms INTEGER NOT NULL, from_seq INTEGER NOT NULL,
        from_index INTEGER NOT NULL, to_seq INTEGER NOT NULL, to_index INTEGER NOT NULL, PRIMARY KEY (endpoint, place))
        STRICT, WITHOUT ROWID;
    CREATE TABLE delivery (endpoint BLOB NOT NULL, number INTEGER NOT NULL, at_ms INTEGER NOT NULL, event BLOB NOT NULL,
        kind INTEGER NOT NULL, payment BLOB NOT NULL, payment_number INTEGER NOT NULL, attempt INTEGER NOT NULL, took_ms INTEGER NOT NULL,
        status INTEGER, unanswered TEXT, follows TEXT NOT NULL, again_ms INTEGER, is_replay INTEGER NOT NULL,
        PRIMARY KEY (endpoint, number)) STRICT, WITHOUT ROWID;
    CREATE TABLE answer (merchant BLOB NOT NULL, livemode INTEGER NOT NULL, key BLOB NOT NULL, about BLOB NOT NULL, asked BLOB NOT NULL,
        at_ms INTEGER NOT NULL, sealed BLOB NOT NULL, PRIMARY KEY (merchant, livemode, key)) STRICT, WITHOUT ROWID;
    CREATE INDEX answer_about ON answer (about);
    CREATE INDEX answer_by_time ON answer (at_ms);";

/// Opens the file to change it, or a new one.
pub(super) fn open_for_writing(path: &Path) -> Result<Connection, String> {
    let failed = |error: rusqlite::Error| error.to_string();
    let mut connection = Connection::open(path).map_err(failed)?;
    connection.busy_timeout(BUSY_WAIT).map_err(failed)?;
    // What is deleted is overwritten.
    connection
        .pragma_update(None, "secure_delete", "ON")
        .map_err(failed)?;
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
        .map_err(failed)?;
    if mode != "wal" {
        return Err("it has no write-ahead log".to_owned());
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
    // Small enough to be read as a whole: what cannot be trusted is found before anything is sent because of it.
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
