//! Owns making a new file of a store from the database's rows as they are at one moment, for a copy that no node uses.

use super::blobs::{self, All};
use super::{ROWS_MAX, rebuild};
use crate::postgres::described;
use rusqlite::Connection;
use tokio_postgres::Client;

/// Fills a new file with what the database has of the store. How many rows that is.
pub(crate) async fn download(client: &Client, name: &str, file: &mut Connection) -> Result<u64, String> {
    let told = |error: tokio_postgres::Error| described(&error);
    // All that is read is of one moment.
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    client.batch_execute(begin).await.map_err(told)?;
    let filled = fill(client, name, file).await;
    client.batch_execute("COMMIT").await.map_err(told)?;
    filled
}

/// Opaque bytes by name, as they are at one moment; nothing if none were ever kept there.
pub(crate) async fn blobs(client: &Client, (name, form): (&str, i64)) -> Result<Option<All>, String> {
    let told = |error: tokio_postgres::Error| described(&error);
    let sql = "SELECT kept.form, row.cells FROM florin.store AS kept LEFT JOIN florin.store_row AS row ON row.store = kept.name
               WHERE kept.name = $1 AND kept.version > 0";
    let rows = client.query(sql, &[&name]).await.map_err(told)?;
    let mut all = All::new();
    for row in &rows {
        let found: i64 = row.get(0);
        if found != form {
            return Err(other_form(found, form));
        }
        let cells: Option<&[u8]> = row.get(1);
        all.extend(cells.map(blobs::read).transpose()?);
    }
    Ok((!rows.is_empty()).then_some(all))
}

fn other_form(found: i64, form: i64) -> String {
    format!("the database has its rows in form {found}, and this build knows form {form}")
}

async fn fill(client: &Client, name: &str, file: &mut Connection) -> Result<u64, String> {
    let failed = |error: rusqlite::Error| error.to_string();
    let told = |error: tokio_postgres::Error| described(&error);
    let form = rebuild::form(file).map_err(failed)?;
    let sql = "SELECT form FROM florin.store WHERE name = $1";
    if let Some(row) = client.query_opt(sql, &[&name]).await.map_err(told)? {
        let found: i64 = row.get(0);
        if found != form {
            return Err(other_form(found, form));
        }
    }
    let filling = file.transaction().map_err(failed)?;
    let names = rebuild::tables(&filling).map_err(failed)?;
    let sql = "SELECT table_name, key, cells FROM florin.store_row
               WHERE store = $1 AND (table_name, key) > ($2, $3) ORDER BY table_name, key LIMIT $4";
    let page = client.prepare(sql).await.map_err(told)?;
    let (mut table, mut key, mut count) = (String::new(), Vec::<u8>::new(), 0);
    loop {
        let rows = client
            .query(&page, &[&name, &table, &key, &ROWS_MAX])
            .await
            .map_err(told)?;
        if rows.is_empty() {
            filling.commit().map_err(failed)?;
            return Ok(count);
        }
        for row in rows {
            (table, key) = (row.get(0), row.get(1));
            rebuild::insert(&filling, &names, (&table, row.get(2)))?;
            count += 1;
        }
    }
}
