//! What is special about a journal in PostgreSQL: servers that end, warn, are full or are not there, and the fence between two processes.

mod copies;
mod faults;
mod fence;
mod reading;
mod refusals;
mod standby;
mod upgrade;

use super::PostgresJournal;
use crate::journal::PAGE_BYTES_MAX;
use crate::journal::tests::{Medium, SHARD, commits};
use crate::postgres::tests::{connected, terms};
use crate::postgres::{Database, DatabaseOptions, Durability, Lease, Taken};
use florin_domain::ids::{Seq, ShardId};
use florin_domain::ports::{AppendError, Batch, Head, Journal};
use florin_services::{Proxy, TestDatabase};
use std::sync::Arc;
use tokio::task::JoinHandle;
use tokio_postgres::Client;

type Answer = Result<Head, AppendError>;

/// A database of a test's own.
#[derive(Debug)]
pub(in crate::journal) struct Server(TestDatabase);

impl Default for Server {
    fn default() -> Self {
        Self(TestDatabase::new().unwrap())
    }
}

/// Asks for an append that goes on by itself.
fn asked(journal: &Arc<PostgresJournal>, batch: Batch) -> JoinHandle<Answer> {
    let journal = Arc::clone(journal);
    tokio::spawn(async move { journal.append(batch).await })
}

fn is_unknown(answer: &Answer) -> bool {
    matches!(answer, Err(AppendError::Unknown(_)))
}

fn is_no_room(answer: &Answer) -> bool {
    matches!(answer, Err(AppendError::NoRoom(_)))
}

impl Server {
    /// On a server of its own, to which something is to be done.
    fn private() -> Self {
        Self(TestDatabase::private(&[]).unwrap())
    }

    /// A journal whose connections go through a bad network.
    async fn behind_proxy(
        &self,
        change: impl FnOnce(&mut DatabaseOptions),
    ) -> (Proxy, Database, Arc<PostgresJournal>) {
        let (_, taken) = self.rob(&self.database().await, SHARD).await;
        let (proxy, url) = self.0.proxied().unwrap();
        let mut options = DatabaseOptions::new(url);
        change(&mut options);
        let database = Database::open(options, Durability::Local).await.unwrap();
        let journal = PostgresJournal::open(&database, &taken).await.unwrap();
        (proxy, database, Arc::new(journal))
    }

    /// That the journal's commits are so many, each there once and in its place, and the head behind the last.
    async fn assert_has(&self, count: u64) {
        let client = self.client().await;
        let sql = "SELECT array(SELECT seq FROM florin.commit_record ORDER BY seq), head FROM florin.shard";
        let row = client.query_one(sql, &[]).await.unwrap();
        let (seqs, head): (Vec<i64>, i64) = (row.get(0), row.get(1));
        assert!(
            seqs.iter().map(|seq| seq.cast_unsigned()).eq(1..=count),
            "{seqs:?}"
        );
        assert_eq!(head.cast_unsigned(), count);
        let read = self.open(SHARD).await.read(SHARD, Seq(1), 1000).await;
        assert_eq!(read.unwrap(), commits(1..=count));
    }

    async fn database(&self) -> Database {
        let options = DatabaseOptions::new(self.0.url());
        Database::open(options, Durability::Local).await.unwrap()
    }

    /// For changes behind the journal's back.
    pub(in crate::journal) async fn client(&self) -> Client {
        connected(self.0.url()).await
    }

    /// Takes a shard, whoever has it, as if their time was over.
    async fn rob(&self, database: &Database, shard: ShardId) -> (Lease, Taken) {
        let sql = "UPDATE florin.shard SET lease_until = '-infinity' WHERE id = $1";
        let id = i32::from(shard.0);
        self.client().await.execute(sql, &[&id]).await.unwrap();
        let taken = Lease::take_some(database, &[shard], &terms("thief")).await;
        let (lease, taken) = taken.unwrap().unwrap();
        (lease, taken[0])
    }

    async fn change(&self, sql: &str) {
        let sql = format!("SET session_replication_role = replica; {sql}");
        self.client().await.batch_execute(&sql).await.unwrap();
    }

    async fn opened(&self, shard: ShardId, page_bytes_max: usize) -> PostgresJournal {
        let database = self.database().await;
        let (_, taken) = self.rob(&database, shard).await;
        PostgresJournal::open_paged(&database, &taken, page_bytes_max)
            .await
            .unwrap()
    }
}

impl Medium for Server {
    type Journal = PostgresJournal;

    async fn open(&self, shard: ShardId) -> PostgresJournal {
        self.opened(shard, PAGE_BYTES_MAX).await
    }

    async fn open_paged(&self, page_bytes_max: usize) -> PostgresJournal {
        self.opened(SHARD, page_bytes_max).await
    }

    async fn damage(&self, seq: u64, index: usize, flips: u8) {
        let shard = SHARD.0;
        let sql = format!(
            "UPDATE florin.commit_record SET bytes = set_byte(bytes, {index}, get_byte(bytes, {index}) # {flips})
             WHERE shard = {shard} AND seq = {seq}"
        );
        self.change(&sql).await;
    }

    async fn remove(&self, seq: u64) {
        let shard = SHARD.0;
        let sql = format!("DELETE FROM florin.commit_record WHERE shard = {shard} AND seq = {seq}");
        self.change(&sql).await;
    }
}
