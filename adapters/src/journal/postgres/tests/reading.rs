//! Reads: what they hold at once, and who waits for a connection.

use super::Server;
use crate::journal::PostgresJournal;
use crate::journal::postgres::reader::records;
use crate::journal::tests::{Medium as _, SHARD, batch, commits, large_batch};
use crate::postgres::tests::ended;
use crate::postgres::{Database, DatabaseOptions, Durability};
use florin_domain::ids::{Epoch, Seq};
use florin_domain::ports::{Journal as _, ReadError};
use std::sync::Arc;
use std::time::Duration;

#[tokio::test]
async fn the_database_is_asked_for_no_more_than_a_page_and_one_record() {
    let server = Server::default();
    let journal = server.open(SHARD).await;
    journal.append(large_batch(Epoch(1))).await.unwrap();
    let database = server.database().await;
    let client = database.lend().await.unwrap();
    for (bytes_max, expected) in [(0, 1), (1 << 20, 1), (3 << 20, 3), (100 << 20, 12)] {
        let found = records(&client, SHARD, (Seq::ZERO, Seq(12)), (1000, bytes_max)).await;
        assert_eq!(found.unwrap().len(), expected, "{bytes_max}");
    }
}

impl Server {
    /// A database with one connection for reading, and so many who may wait for it.
    async fn narrow(&self, waiting_max: usize) -> Database {
        let options = DatabaseOptions {
            connections_max: 1,
            waiting_max,
            connect_timeout: Duration::from_mins(1),
            ..DatabaseOptions::new(self.0.url())
        };
        Database::open(options, Durability::Local).await.unwrap()
    }
}

#[tokio::test]
async fn who_finds_the_queue_full_is_refused_at_once_and_the_others_get_their_turn() {
    let server = Server::default();
    let database = server.narrow(1).await;
    let (_kept, taken) = server.rob(&database, SHARD).await;
    let journal = Arc::new(PostgresJournal::open(&database, &taken).await.unwrap());
    journal.append(batch(1, Epoch(1), 0, 2)).await.unwrap();
    let lent = database.lend().await.unwrap();
    let mut waiting = {
        let journal = Arc::clone(&journal);
        Box::pin(async move { journal.read(SHARD, Seq(1), 9).await })
    };
    // Polled once, it has its place in the queue.
    let polled = std::future::poll_fn(|context| std::task::Poll::Ready(waiting.as_mut().poll(context)));
    assert!(polled.await.is_pending());
    let full = ReadError::Store("too many reads wait for the database".to_owned());
    assert_eq!(journal.read(SHARD, Seq(1), 9).await, Err(full.clone()));
    assert_eq!(journal.head(SHARD).await, Err(full));
    journal.append(batch(2, Epoch(1), 2, 1)).await.unwrap();
    drop(lent);
    assert_eq!(ended("a read", waiting).await, Ok(commits(1..4)));
}

#[tokio::test]
async fn many_reads_over_one_connection_all_get_their_turn() {
    let server = Server::default();
    let database = server.narrow(100).await;
    let (_kept, taken) = server.rob(&database, SHARD).await;
    let journal = Arc::new(PostgresJournal::open(&database, &taken).await.unwrap());
    journal.append(batch(1, Epoch(1), 0, 40)).await.unwrap();
    let reads: Vec<_> = (0..100)
        .map(|_| {
            let journal = Arc::clone(&journal);
            tokio::spawn(async move { journal.read(SHARD, Seq(1), 99).await })
        })
        .collect();
    for read in reads {
        assert_eq!(ended("a read", read).await.unwrap(), Ok(commits(1..41)));
    }
}

#[tokio::test]
async fn a_read_that_nobody_waits_for_any_more_leaves_nothing_to_the_next_one() {
    let server = Server::default();
    let database = server.narrow(1).await;
    {
        let lent = database.lend().await.unwrap();
        let asking = lent.ask(async |client| client.batch_execute("SELECT pg_sleep(3600)").await);
        let mut asking = Box::pin(asking);
        let polled = std::future::poll_fn(|context| std::task::Poll::Ready(asking.as_mut().poll(context)));
        assert!(polled.await.is_pending());
    }
    let lent = ended("the next one", database.lend()).await.unwrap();
    let answer = lent.ask(async |client| client.query_one("SELECT 1", &[]).await);
    assert_eq!(ended("an answer", answer).await.unwrap().get::<_, i32>(0), 1);
}
