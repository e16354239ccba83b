//! Owns giving the database all rows of a file that had no second copy, and having a file that gets none any more forget its state.

use super::blobs::{self, All};
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

impl Page {
    fn push(&mut self, (key, cells): (Vec<u8>, Vec<u8>)) {
        self.bytes += cells.len();
        self.keys.push(key);
        self.cells.push(cells);
    }

    fn is_full(&self) -> bool {
        self.keys.len() >= ROWS_MAX || self.bytes >= BYTES_MAX
    }
}

impl Uploaded {
    fn state(&self) -> State {
        State {
            version: self.version,
            change: Some(self.change.clone()),
        }
    }
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
    let rows = Rows::Of(&file);
    let (uploaded, claim) = replace(client, (name, form), rows, epoch).await?;
    rebuild::expect_rows(&file).map_err(failed)?;
    rebuild::note(&file, &uploaded.state(), &claim).map_err(failed)?;
    Ok(uploaded)
}

/// The same of opaque bytes by name, and what is to be noted beside them.
pub(crate) async fn upload_blobs(
    client: &Client,
    (name, form): (&'static str, i64),
    blobs: &All,
    epoch: Epoch,
) -> Result<(Uploaded, String), String> {
    let (uploaded, claim) = replace(client, (name, form), Rows::Blobs(blobs), epoch).await?;
    let noted = blobs::noted(&uploaded.state(), &claim);
    Ok((uploaded, noted))
}

/// Has the file of a store forget in which state the database has it.
pub(crate) fn forget(path: &Path) -> Result<(), String> {
    let forgotten = Connection::open(path).and_then(|file| {
        file.pragma_update(None, "synchronous", "FULL")?;
        file.execute_batch("DROP TABLE IF EXISTS mirror_state")
    });
    forgotten.map_err(|error| error.to_string())
}

/// Where rows come from.
enum Rows<'a> {
    Of(&'a Connection),
    Blobs(&'a All),
}

async fn replace(
    client: &Client,
    store: (&'static str, i64),
    from: Rows<'_>,
    epoch: Epoch,
) -> Result<(Uploaded, [u8; 16]), String> {
    // All of a large store are one transaction, and deleting what was there may take as long as it takes.
    let begin = "BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0";
    run(client, begin).await?;
    let replaced = send_all(client, store, from, epoch).await;
    run(client, if replaced.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
    replaced
}

async fn send_all(
    client: &Client,
    (name, form): (&'static str, i64),
    from: Rows<'_>,
    epoch: Epoch,
) -> Result<(Uploaded, [u8; 16]), String> {
    let (claim, change, version) = begin_turn(client, (name, form), epoch).await?;
    let mut rows = 0;
    match from {
        Rows::Of(file) => {
            for table in tables(file).map_err(|error| error.to_string())? {
                rows += send_table(client, name, file, &table).await?;
            }
        }
        Rows::Blobs(all) => {
            let mut page = Page::default();
            for (blob, bytes) in all {
                page.push(blobs::row(blob, bytes));
                if page.is_full() {
                    rows += send(client, (name, blobs::TABLE), &std::mem::take(&mut page)).await?;
                }
            }
            rows += send(client, (name, blobs::TABLE), &page).await?;
        }
    }
    let uploaded = Uploaded {
        name,
        rows,
        version,
        change,
    };
    Ok((uploaded, claim))
}

/// Takes away all rows of a store, and begins a turn in a new state: names of the turn and of the change, and the state's number.
async fn begin_turn(
    client: &Client,
    (name, form): (&str, i64),
    epoch: Epoch,
) -> Result<([u8; 16], Vec<u8>, i64), String> {
    let told = |error: tokio_postgres::Error| described(&error);
    let (change, claim) = (random(), random());
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
    Ok((claim, change.to_vec(), version))
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
        page.push((encode(&key), encode(&cells)));
        if page.is_full() {
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
