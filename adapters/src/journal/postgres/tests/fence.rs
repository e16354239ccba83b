//! Two processes and one shard: only the one that took it last appends, also if the other one was stopped and goes on believing.

use super::{Server, asked};
use crate::journal::PostgresJournal;
use crate::journal::tests::{SHARD, batch};
use crate::postgres::tests::{ended, terms, until};
use crate::postgres::{Lease, LeaseTerms};
use florin_domain::ids::{Epoch, Seq};
use florin_domain::ports::{AppendError, Journal as _};
use std::time::Duration;

#[tokio::test]
async fn a_process_that_was_robbed_appends_nothing_and_is_told() {
    let server = Server::default();
    let (here, there) = (server.database().await, server.database().await);
    let short = LeaseTerms {
        ttl: Duration::from_millis(600),
        ..terms("a")
    };
    let (lease, taken) = Lease::take_some(&here, &[SHARD], &short).await.unwrap().unwrap();
    let a = PostgresJournal::open(&here, &taken[0]).await.unwrap();
    a.append(batch(1, Epoch(1), 0, 1)).await.unwrap();
    let (_kept, robbed) = server.rob(&there, SHARD).await;
    assert_eq!((robbed.head.seq, robbed.head.epoch), (Seq(1), Epoch(2)));
    let b = PostgresJournal::open(&there, &robbed).await.unwrap();
    for id in [2, 3] {
        let answer = a.append(batch(id, Epoch(1), 1, 1)).await;
        assert_eq!(answer, Err(AppendError::Fenced));
    }
    b.append(batch(2, Epoch(2), 1, 1)).await.unwrap();
    let answer = a.append(batch(2, Epoch(1), 1, 1)).await;
    assert_eq!(
        answer,
        Err(AppendError::Fenced),
        "the same batch, appended by another"
    );
    let why = ended("nobody tells", lease.lost()).await;
    assert!(why.contains("0 of 1 are still ours"), "{why}");
    assert!(!lease.is_held(), "it does not believe any more");
    drop((a, b));
    server.assert_has(2).await;
}

#[tokio::test]
async fn a_call_that_comes_after_another_process_took_the_shard_appends_nothing() {
    let server = Server::default();
    let (proxy, _, a) = server.behind_proxy(|_| {}).await;
    a.append(batch(1, Epoch(1), 0, 1)).await.unwrap();
    proxy.hold_requests();
    proxy.swallow_answers();
    let append = asked(&a, batch(2, Epoch(1), 1, 2));
    until("it is on its way", async || proxy.held() > 0).await;
    let there = server.database().await;
    let (_kept, robbed) = server.rob(&there, SHARD).await;
    let b = PostgresJournal::open(&there, &robbed).await.unwrap();
    proxy.let_go().unwrap();
    until("it was answered", async || proxy.swallowed() > 0).await;
    proxy.cut();
    assert_eq!(append.await.unwrap(), Err(AppendError::Fenced));
    b.append(batch(3, Epoch(2), 1, 1)).await.unwrap();
    drop(b);
    server.assert_has(2).await;
}

#[tokio::test]
async fn a_process_stopped_in_the_middle_of_a_transaction_does_not_keep_others_out() {
    let server = Server::default();
    let (here, there) = (server.database().await, server.database().await);
    drop(server.rob(&here, SHARD).await);
    let free = "UPDATE florin.shard SET lease_until = '-infinity'";
    server.client().await.batch_execute(free).await.unwrap();
    let stopped = here.lend().await.unwrap();
    let begin = "BEGIN; UPDATE florin.shard SET head = 99";
    stopped
        .ask(async |client| client.batch_execute(begin).await)
        .await
        .unwrap();
    let taken = ended("a take", Lease::take_some(&there, &[SHARD], &terms("b"))).await;
    let (_kept, taken) = taken.unwrap().unwrap();
    assert_eq!(taken[0].head.seq, Seq::ZERO, "nothing of it came to be");
    let commit = stopped.ask(async |client| client.batch_execute("COMMIT").await);
    assert!(commit.await.is_err(), "its session has ended");
    server.assert_has(0).await;
}

#[tokio::test]
async fn the_same_batch_with_other_bytes_is_not_there_already() {
    let server = Server::default();
    let database = server.database().await;
    let (_kept, taken) = server.rob(&database, SHARD).await;
    let journal = PostgresJournal::open(&database, &taken).await.unwrap();
    journal.append(batch(7, Epoch(1), 0, 1)).await.unwrap();
    let client = server.client().await;
    let sql = "SELECT florin.append_batch(3, 1, 0, '', hash, batch_id, ARRAY[hash], ARRAY['\\x00'::bytea], false) FROM florin.shard";
    let answer = |sql: String| {
        let client = &client;
        async move { client.query_one(&sql, &[]).await.unwrap().get::<_, i16>(0) }
    };
    assert_eq!(answer(sql.to_owned()).await, 1, "it is there");
    let other_hash = sql.replace("'', hash,", "'', sha256(hash),");
    assert_eq!(answer(other_hash).await, 2);
    let other_batch = sql.replace("batch_id,", "sha256(batch_id),");
    assert_eq!(answer(other_batch).await, 2);
    let other_epoch = sql.replace("(3, 1,", "(3, 2,");
    assert_eq!(answer(other_epoch).await, 2);
    server.assert_has(1).await;
}
