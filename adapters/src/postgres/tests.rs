//! Databases that are not there, will not do, belong to somebody else, or were used by another build.

mod grants;
mod lease;
mod schema;
mod start;

pub(crate) use schema::schema_of;

use super::{Database, DatabaseOptions, Durability, LeaseTerms};
use florin_services::TestDatabase;
use std::time::Duration;
use tokio_postgres::{Client, NoTls};

/// More than enough for anything that is waited for, and no part of what is tested.
const GENEROUS: Duration = Duration::from_mins(1);

/// Waits until it is so.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(
        tokio::time::timeout(GENEROUS, waiting).await.is_ok(),
        "it was never so: {what}"
    );
}

/// What must end by itself.
pub(crate) async fn ended<T>(what: &str, work: impl Future<Output = T>) -> T {
    let outcome = tokio::time::timeout(GENEROUS, work).await;
    outcome.unwrap_or_else(|_| panic!("it does not end: {what}"))
}

/// The process id of the one session of ours of which this holds, once there is one.
pub(crate) async fn session(client: &Client, condition: &str) -> i32 {
    let sql = format!(
        "SELECT pid FROM pg_stat_activity
         WHERE application_name = 'florin' AND datname = current_database() AND {condition}"
    );
    let mut found = 0;
    until(condition, async || {
        let rows = client.query(&sql, &[]).await.unwrap();
        found = rows.first().map_or(0, |row| row.get(0));
        found != 0
    })
    .await;
    found
}

pub(crate) async fn connected(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

pub(crate) fn terms(node: &str) -> LeaseTerms {
    LeaseTerms {
        node: node.to_owned(),
        url: format!("http://{node}:8080"),
        ttl: Duration::from_mins(1),
    }
}

async fn opened(database: &TestDatabase) -> Database {
    let options = DatabaseOptions::new(database.url());
    Database::open(options, Durability::Local).await.unwrap()
}
