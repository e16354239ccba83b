//! Owns giving the database all rows of a file that had no second copy, and having a file that gets none any more forget its state.

use super::cells::{Cell, encode};
use super::rebuild;
use super::touched::{Table, tables};
use super::{State, random};
use crate::postgres::described;
use florin_domain::ids::Epoch;
use rusqlite::Connection;
use std::path::Path;
use tokio_postgres::Client;

/// Rows that are sent at once, or fewer if they have so many bytes.
const ROWS_MAX: usize = 1_000;
const BYTES_MAX: usize = 4 << 20;

/// A store that the database has as the file.
#[derive(Debug)]
pub(crate) struct Uploaded {
    pub(crate) name: &'static str,
    pub(crate) rows: u64,
    /// In which state that is.
    pub(crate) version: i64,
    pub(crate) change: Vec<u8>,
}

/// Rows on their way.
#[derive(Default)]
struct Page {
    keys: Vec<Vec<u8>>,
    cells: Vec<Vec<u8>>,
    bytes: usize,
}

/// Puts the rows of this file in the place of whatever the database has of the store, in one transaction, and notes in the file that it is in the
/// state which the database has. A file of another form is refused.
///
/// The shards must be marked, in this epoch: no node has the store then.
pub(crate) async fn upload(
    client: &Client,
    (name, path, form): (&'static str, &Path, i64),
    epoch: Epoch,
) -> Result<Uploaded, String> {
    let failed = |error: rusqlite::Error| error.to_string();
    let file = Connection::open(path).map_err(failed)?;
    let check: String = file
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(failed)?;
    if check != "ok" {
        return Err(check);
    }
    let found = rebuild::form(&file).map_err(failed)?;
    if found != form {
        return Err(format!(
            "it has version {found}, and this build knows version {form}"
        ));
    }
    // All of a large store are one transaction, and deleting what was there may take as long as it takes.
    run(
        client,
        "BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0",
    )
    .await?;
    match replace(client, name, &file, epoch).await {
        Ok((rows, state, claim)) => {
            run(client, "COMMIT").await?;
            rebuild::expect_rows(&file).map_err(failed)?;
            rebuild::note(&file, &state, &claim).map_err(failed)?;
            Ok(Uploaded {
                name,
                rows,
                version: state.version,
                change: state.change.unwrap_or_default(),
            })
        }
        Err(error) => {
            run(client, "ROLLBACK").await?;
            Err(error)
        }
    }
}

/// Has the file of a store forget in which state the database has it.
pub(crate) fn forget(path: &Path) -> Result<(), String> {
    let forgotten = Connection::open(path).and_then(|file| {
        file.pragma_update(None, "synchronous", "FULL")?;
        file.execute_batch("DROP TABLE IF EXISTS mirror_state")
    });
    forgotten.map_err(|error| error.to_string())
}

async fn replace(
    client: &Client,
    name: &str,
    file: &Connection,
    epoch: Epoch,
) -> Result<(u64, State, [u8; 16]), String> {
    let failed = |error: rusqlite::Error| error.to_string();
    let told = |error: tokio_postgres::Error| described(&error);
    let (change, claim) = (random(), random());
    let form = rebuild::form(file).map_err(failed)?;
    client
        .execute("DELETE FROM florin.store_row WHERE store = $1", &[&name])
        .await
        .map_err(told)?;
    let sql = "INSERT INTO florin.store AS kept (name, epoch, version, change_id, form) VALUES ($1, $2, 1, $3, $4)
               ON CONFLICT (name) DO UPDATE SET epoch = $2, version = kept.version + 1, change_id = $3, form = $4
               RETURNING version";
    let epoch = epoch.0.cast_signed();
    let row = client
        .query_one(sql, &[&name, &epoch, &change.as_slice(), &form])
        .await
        .map_err(told)?;
    let version: i64 = row.get(0);
    // The turn begins in the state in which it ends, until a node has the next one.
    let sql = "INSERT INTO florin.store_claim (store, claim_id, epoch, version, change_id) VALUES ($1, $2, $3, $4, $5)";
    client
        .execute(
            sql,
            &[&name, &claim.as_slice(), &epoch, &version, &change.as_slice()],
        )
        .await
        .map_err(told)?;
    let mut rows = 0;
    for table in tables(file).map_err(failed)? {
        rows += send_table(client, name, file, &table).await?;
    }
    let change = Some(change.to_vec());
    Ok((rows, State { version, change }, claim))
}

async fn send_table(client: &Client, name: &str, file: &Connection, table: &Table) -> Result<u64, String> {
    let failed = |error: rusqlite::Error| error.to_string();
    let sql = format!("SELECT * FROM main.{}", table.name);
    let mut statement = file.prepare(&sql).map_err(failed)?;
    let columns = statement.column_count();
    let place = |column: &String| statement.column_index(column);
    let key: Vec<usize> = table
        .key
        .iter()
        .map(place)
        .collect::<rusqlite::Result<_>>()
        .map_err(failed)?;
    let (mut page, mut sent) = (Page::default(), 0);
    let mut rows = statement.query([]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let cells = (0..columns)
            .map(|place| Cell::of(row.get_ref(place)?))
            .collect::<rusqlite::Result<Vec<_>>>()
            .map_err(failed)?;
        let key: Vec<Cell> = key
            .iter()
            .filter_map(|place| cells.get(*place))
            .cloned()
            .collect();
        page.keys.push(encode(&key));
        let cells = encode(&cells);
        page.bytes += cells.len();
        page.cells.push(cells);
        if page.keys.len() >= ROWS_MAX || page.bytes >= BYTES_MAX {
            sent += send(client, (name, &table.name), &std::mem::take(&mut page)).await?;
        }
    }
    sent += send(client, (name, &table.name), &page).await?;
    Ok(sent)
}

async fn send(client: &Client, (store, table): (&str, &str), page: &Page) -> Result<u64, String> {
    let sql = "INSERT INTO florin.store_row (store, table_name, key, cells) SELECT $1, $2, * FROM unnest($3::bytea[], $4::bytea[])";
    let keys: Vec<&[u8]> = page.keys.iter().map(Vec::as_slice).collect();
    let cells: Vec<&[u8]> = page.cells.iter().map(Vec::as_slice).collect();
    let sent = client.execute(sql, &[&store, &table, &keys, &cells]).await;
    sent.map_err(|error| described(&error))
}

async fn run(client: &Client, sql: &str) -> Result<(), String> {
    client.batch_execute(sql).await.map_err(|error| described(&error))
}
