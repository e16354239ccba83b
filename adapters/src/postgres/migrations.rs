//! Owns the schema: embedded, applied in order, each once, by one process at a time.

use super::address::Address;
use super::{DatabaseError, described};
use tokio_postgres::Client;

pub(super) mod embedded {
    refinery::embed_migrations!("migrations");
}

/// What has been applied is kept here.
pub(super) const TABLE: &str = "florin.migration";

/// Held while the schema changes: "florin" in ASCII.
const LOCK: i64 = 0x66_6c_6f_72_69_6e;

/// Brings the schema up to date. A database that a later build has changed is refused.
pub(super) async fn apply(client: &mut Client, address: &Address) -> Result<(), DatabaseError> {
    let unfit = |why: String| DatabaseError::Unfit {
        place: address.place().to_owned(),
        why,
    };
    let sql = |error: tokio_postgres::Error| unfit(described(&error));
    // Others wait here, not for the length of a statement.
    client
        .batch_execute("SET statement_timeout = 0; SET lock_timeout = 0")
        .await
        .map_err(sql)?;
    client
        .execute("SELECT pg_advisory_lock($1)", &[&LOCK])
        .await
        .map_err(sql)?;
    let is_there: bool = client
        .query_one("SELECT to_regclass($1) IS NOT NULL", &[&TABLE])
        .await
        .and_then(|row| row.try_get(0))
        .map_err(sql)?;
    if !is_there {
        client
            .batch_execute("CREATE SCHEMA IF NOT EXISTS florin")
            .await
            .map_err(|error| {
                let why = described(&error);
                unfit(format!(
                    "its schema `florin` cannot be made: {why}; let a build of Florin open it once as its owner (docs/postgresql.md)"
                ))
            })?;
    }
    let mut runner = embedded::migrations::runner();
    runner.set_migration_table_name(TABLE);
    let known = runner
        .get_migrations()
        .iter()
        .map(refinery::Migration::version)
        .max();
    // Not by asking refinery, which panics on a row that it would not have written.
    let applied: Option<i32> = if is_there {
        client
            .query_one(&format!("SELECT max(version) FROM {TABLE}"), &[])
            .await
            .and_then(|row| row.try_get(0))
            .map_err(sql)?
    } else {
        None
    };
    if applied > known {
        let version =
            |version: Option<_>| version.map_or_else(|| "none".to_owned(), |known| format!("{known}"));
        return Err(unfit(format!(
            "its schema has version {}, and this build knows {}: a later build has used it",
            version(applied),
            version(known)
        )));
    }
    if applied < known {
        runner
            .run_async(client)
            .await
            .map_err(|error| unfit(format!("its schema cannot be brought up to date: {error}")))?;
    }
    client
        .execute("SELECT pg_advisory_unlock($1)", &[&LOCK])
        .await
        .map_err(sql)?;
    Ok(())
}
