//! Owns how a row of a store is written down: its cells in the order of their columns.

use rusqlite::types::{Value, ValueRef};
use serde::{Deserialize, Serialize};

/// One value of a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
}

impl Cell {
    pub(super) fn of(value: ValueRef<'_>) -> rusqlite::Result<Self> {
        Ok(match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(number) => Self::Integer(number),
            ValueRef::Real(number) => Self::Real(number),
            ValueRef::Text(_) => Self::Text(value.as_str()?.to_owned()),
            ValueRef::Blob(bytes) => Self::Blob(bytes.to_vec()),
        })
    }

    pub(super) fn value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Integer(number) => Value::Integer(*number),
            Self::Real(number) => Value::Real(*number),
            Self::Text(text) => Value::Text(text.clone()),
            Self::Blob(bytes) => Value::Blob(bytes.clone()),
        }
    }
}

/// Cells as bytes.
pub(super) fn encode(cells: &[Cell]) -> Vec<u8> {
    // Writing to memory, and nothing in a cell that has no form.
    postcard::to_stdvec(cells).unwrap_or_default()
}

/// Bytes as cells.
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<Cell>, String> {
    postcard::from_bytes(bytes).map_err(|error| format!("a row is damaged: {error}"))
}
