//! Owns knowing which rows a transaction has changed: triggers of this connection alone note the keys, and before the end the rows are read.

use super::cells::{Cell, encode};
use rusqlite::{Connection, params_from_iter};

/// Columns that a primary key may have.
const KEY_COLUMNS_MAX: usize = 4;

/// The tables of a file and their keys.
#[derive(Debug)]
pub(super) struct Touched {
    tables: Vec<Table>,
}

/// A table, and the columns of its key.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) key: Vec<String>,
}

/// A row that is different from before the transaction.
#[derive(Debug, PartialEq)]
pub(super) struct Changed {
    pub(super) table: String,
    pub(super) key: Vec<u8>,
    /// Nothing if it was deleted.
    pub(super) cells: Option<Vec<u8>>,
}

impl Touched {
    /// Watches nothing.
    pub(super) fn none() -> Self {
        Self { tables: Vec::new() }
    }

    /// Notes from now on what is changed through this connection.
    pub(super) fn watch(file: &Connection) -> rusqlite::Result<Self> {
        let tables = tables(file)?;
        let columns: Vec<String> = (1..=KEY_COLUMNS_MAX).map(|place| format!("k{place}")).collect();
        let mut sql = format!("CREATE TEMP TABLE mirror_touched (name, {});", columns.join(", "));
        for Table { name, key } in &tables {
            let noted = |row: &str| {
                let mut values: Vec<String> = key.iter().map(|column| format!("{row}.{column}")).collect();
                values.resize(KEY_COLUMNS_MAX, "NULL".to_owned());
                format!(
                    "INSERT INTO mirror_touched VALUES ('{name}', {});",
                    values.join(", ")
                )
            };
            let (old, new) = (noted("OLD"), noted("NEW"));
            for (event, body) in [
                ("INSERT", new.clone()),
                ("UPDATE", format!("{old} {new}")),
                ("DELETE", old),
            ] {
                sql.extend([
                    "CREATE TEMP TRIGGER mirror_",
                    name,
                    "_",
                    event,
                    " AFTER ",
                    event,
                    " ON main.",
                    name,
                    " BEGIN ",
                    &body,
                    " END;",
                ]);
            }
        }
        file.execute_batch(&sql)?;
        Ok(Self { tables })
    }

    /// The rows that the open transaction has changed, each once, as they are now.
    pub(super) fn take(&self, file: &Connection) -> rusqlite::Result<Vec<Changed>> {
        let mut changed = Vec::new();
        let touched = "SELECT DISTINCT * FROM mirror_touched WHERE name = ?1";
        for Table { name, key } in &self.tables {
            let mut statement = file.prepare_cached(touched)?;
            let mut rows = statement.query([name])?;
            while let Some(row) = rows.next()? {
                let cells = (1..=key.len())
                    .map(|place| Cell::of(row.get_ref(place)?))
                    .collect::<rusqlite::Result<Vec<_>>>()?;
                changed.push(Changed {
                    table: name.clone(),
                    cells: read(file, name, key, &cells)?,
                    key: encode(&cells),
                });
            }
        }
        if !changed.is_empty() {
            file.prepare_cached("DELETE FROM mirror_touched")?.execute([])?;
        }
        Ok(changed)
    }
}

/// A row by its key, if it is still there.
fn read(file: &Connection, table: &str, key: &[String], cells: &[Cell]) -> rusqlite::Result<Option<Vec<u8>>> {
    let conditions: Vec<String> = key.iter().map(|column| format!("{column} = ?")).collect();
    let sql = format!("SELECT * FROM main.{table} WHERE {}", conditions.join(" AND "));
    let mut statement = file.prepare_cached(&sql)?;
    let columns = statement.column_count();
    let mut rows = statement.query(params_from_iter(cells.iter().map(Cell::value)))?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let row = (0..columns)
        .map(|place| Cell::of(row.get_ref(place)?))
        .collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(Some(encode(&row)))
}

/// The tables of the file but for ours, each with the columns of its key.
pub(super) fn tables(file: &Connection) -> rusqlite::Result<Vec<Table>> {
    let sql =
        "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
               AND name NOT LIKE 'mirror%' ORDER BY name";
    let names = file
        .prepare(sql)?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<String>>>()?;
    names
        .into_iter()
        .map(|name| {
            let sql = "SELECT name FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk";
            let key = file
                .prepare(sql)?
                .query_map([&name], |row| row.get(0))?
                .collect::<rusqlite::Result<Vec<String>>>()?;
            if (1..=KEY_COLUMNS_MAX).contains(&key.len()) {
                Ok(Table { name, key })
            } else {
                Err(super::io_error(format!(
                    "the table {name} has no key that is known"
                )))
            }
        })
        .collect()
}
