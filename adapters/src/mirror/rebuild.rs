//! Owns bringing a file to what the database has: all rows anew, in one transaction, or none.

use super::cells::{Cell, decode};
use super::{Claimed, Here, State};
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// The table that says which state of the store the file has, and from whose turn.
const STATE: &str = "CREATE TABLE IF NOT EXISTS mirror_state
    (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL, change BLOB, claim BLOB) STRICT";

/// A row of the database: its table and its cells.
pub(super) type Row = (String, Vec<u8>);

/// Which state the file has; nothing if it never had a second copy.
pub(super) fn here(file: &Connection) -> rusqlite::Result<Option<Here>> {
    let is_there: bool = file.query_row(
        "SELECT EXISTS (SELECT 1 FROM main.sqlite_schema WHERE name = 'mirror_state')",
        [],
        |row| row.get(0),
    )?;
    if !is_there {
        return Ok(None);
    }
    file.query_row("SELECT version, change, claim FROM mirror_state", [], |row| {
        Ok(Here {
            state: State {
                version: row.get(0)?,
                change: row.get(1)?,
            },
            claim: row.get(2)?,
        })
    })
    .optional()
}

/// Notes in a file that was made anew, because the one before it is gone, that the database must have its rows.
pub(crate) fn expect_rows(file: &Connection) -> rusqlite::Result<()> {
    file.execute_batch(STATE)
}

/// Whether that is noted, and no rows have come yet.
pub(super) fn expects_rows(file: &Connection) -> rusqlite::Result<bool> {
    let is_noted = "SELECT EXISTS (SELECT 1 FROM main.sqlite_schema WHERE name = 'mirror_state')";
    let is_noted: bool = file.query_row(is_noted, [], |row| row.get(0))?;
    Ok(is_noted && here(file)?.is_none())
}

/// Says of every copy that was kept aside that somebody has to look at it.
pub(crate) fn tell_of_copies(path: &Path, name: &str) {
    let begins = format!("{}.lost-", path.file_name().unwrap_or_default().to_string_lossy());
    let entries = path.parent().and_then(|folder| fs::read_dir(folder).ok());
    for entry in entries.into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(&begins) {
            tracing::error!(
                store = name,
                kept = %entry.path().display(),
                "a file with another history than the database was kept aside: look at what it has, and remove it"
            );
            metrics::counter!("florin_alerts_total", "alert" => "store_history_differs").increment(1);
        }
    }
}

/// That of the file's tables.
pub(super) fn form(file: &Connection) -> rusqlite::Result<i64> {
    file.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Notes, within the open transaction if there is one, which state the file has, and from whose turn.
pub(super) fn note(file: &Connection, state: &State, claim: &[u8]) -> rusqlite::Result<()> {
    let sql =
        "INSERT INTO mirror_state (one, version, change, claim) VALUES (1, ?1, ?2, ?3) ON CONFLICT (one)
               DO UPDATE SET version = excluded.version, change = excluded.change, claim = excluded.claim";
    file.prepare_cached(sql)?
        .execute(params![state.version, state.change, claim])?;
    Ok(())
}

/// The tables of the file, but for ours.
pub(super) fn tables(file: &Connection) -> rusqlite::Result<Vec<String>> {
    let sql =
        "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
               AND name <> 'mirror_state'";
    file.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
}

/// Refuses to empty a file of which the database knows nothing, and keeps a copy of one that may have what the database has lost.
pub(super) fn keep_what_would_be_lost(
    file: &Connection,
    name: &str,
    here: Option<&Here>,
    claimed: &Claimed,
) -> Result<(), String> {
    let failed = |error: rusqlite::Error| error.to_string();
    let mut has_rows = false;
    for table in tables(file).map_err(failed)? {
        let sql = format!("SELECT EXISTS (SELECT 1 FROM main.{table})");
        let any: bool = file.query_row(&sql, [], |row| row.get(0)).map_err(failed)?;
        has_rows |= any;
    }
    let Some(here) = here else {
        if has_rows {
            return Err(
                "it has rows that were never in the database: use a folder of its own for this node"
                    .to_owned(),
            );
        }
        return Ok(());
    };
    if claimed.follows(&here.state) {
        return Ok(());
    }
    let kept = aside(file, &here.state).map_err(|error| format!("it cannot be kept aside: {error}"))?;
    tracing::error!(
        store = name,
        here = here.state.version,
        database = claimed.state.version,
        kept = %kept.display(),
        "the file has another history than the database, which may have lost changes; it is kept aside and made anew"
    );
    Ok(())
}

/// Copies the file beside itself, under the name of its state: once, however often that is begun.
fn aside(file: &Connection, state: &State) -> Result<PathBuf, Box<dyn std::error::Error>> {
    let path = PathBuf::from(file.path().unwrap_or_default());
    let change = state.change.as_deref().and_then(|change| change.first_chunk());
    let change = u32::from_be_bytes(change.copied().unwrap_or_default());
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let kept = path.with_file_name(format!("{name}.lost-{}-{change:08x}", state.version));
    if kept.exists() {
        return Ok(kept);
    }
    let half = kept.with_extension("half");
    match fs::remove_file(&half) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    file.execute("VACUUM INTO ?1", [half.to_string_lossy()])?;
    File::open(&half)?.sync_all()?;
    fs::rename(&half, &kept)?;
    File::open(kept.parent().unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(kept)
}

/// Empties the file and fills it with these rows.
pub(super) fn from_rows(
    file: &mut Connection,
    (state, claim): (&State, &[u8]),
    rows: &[Row],
) -> Result<(), String> {
    let failed = |error: rusqlite::Error| error.to_string();
    let anew = file.transaction().map_err(failed)?;
    anew.execute_batch(STATE).map_err(failed)?;
    let names = tables(&anew).map_err(failed)?;
    for name in &names {
        anew.execute(&format!("DELETE FROM main.{name}"), [])
            .map_err(failed)?;
    }
    for (table, cells) in rows {
        insert(&anew, &names, (table, cells))?;
    }
    note(&anew, state, claim).map_err(failed)?;
    anew.commit().map_err(failed)
}

/// Puts a row of the database into the file, which has tables of these names.
pub(super) fn insert(
    file: &Connection,
    names: &[String],
    (table, cells): (&String, &[u8]),
) -> Result<(), String> {
    if !names.contains(table) {
        return Err(format!(
            "the database has rows of a table {table}, which this build does not know"
        ));
    }
    let cells = decode(cells)?;
    let places = vec!["?"; cells.len()].join(", ");
    let sql = format!("INSERT INTO main.{table} VALUES ({places})");
    file.prepare_cached(&sql)
        .and_then(|mut insert| insert.execute(params_from_iter(cells.iter().map(Cell::value))))
        .map(drop)
        .map_err(|error| error.to_string())
}
