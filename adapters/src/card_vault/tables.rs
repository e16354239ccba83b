//! Owns the tables of the vault's file, and how it is opened.
//!
//! What says something of a person or a card is sealed; ids, whose it is, and times are not. `customer` of a card stays when it is
//! detached, so that erasing the customer erases that row as well.

pub(super) use crate::store_file::open_for_reading;

use crate::store_file::{self, Form, Kept};
use rusqlite::Connection;
use std::path::Path;

pub(super) const FORM: Form = Form {
    version: 1,
    tables: TABLES,
};
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
pub(super) fn open_for_writing(path: Option<&Path>, kept: Kept) -> Result<Connection, String> {
    store_file::open_for_writing(path, FORM, kept)
}
