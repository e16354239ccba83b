//! Owns the tables of the file, and how it is opened.
//!
//! What a merchant says of an endpoint is sealed, so that nobody reads a secret in the file or writes another address into it. Ids, whose they
//! are, and how their deliveries went are not.

pub(super) use crate::store_file::open_for_reading;

use crate::store_file::{self, Form, Kept};
use rusqlite::Connection;
use std::path::Path;

pub(super) const FORM: Form = Form {
    version: 1,
    tables: TABLES,
};
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
pub(super) fn open_for_writing(path: &Path, kept: Kept) -> Result<Connection, String> {
    store_file::open_for_writing(Some(path), FORM, kept)
}
