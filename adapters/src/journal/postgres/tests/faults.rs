//! Connections that end, answers that are lost, calls that come late, and servers that are not there: nothing twice, nothing lost.

use super::{Server, asked, is_no_room, is_unknown};
use crate::journal::tests::{Medium as _, SHARD, batch, commits};
use crate::postgres::tests::{ended, session, until};
use florin_domain::ids::{Epoch, Seq};
use florin_domain::ports::{Journal as _, ReadError};
use std::sync::Arc;
use std::time::Duration;

#[tokio::test]
async fn an_append_whose_connection_the_server_ends_is_asked_again_and_there_once() {
    let server = Server::default();
    let journal = Arc::new(server.open(SHARD).await);
    let (client, locker) = (server.client().await, server.client().await);
    let lock = "BEGIN; SELECT 1 FROM florin.shard FOR UPDATE";
    locker.batch_execute(lock).await.unwrap();
    let append = asked(&journal, batch(1, Epoch(1), 0, 3));
    let first = session(&client, "wait_event_type = 'Lock'").await;
    let end = "SELECT pg_terminate_backend($1)";
    client.execute(end, &[&first]).await.unwrap();
    session(&client, &format!("wait_event_type = 'Lock' AND pid <> {first}")).await;
    locker.batch_execute("COMMIT").await.unwrap();
    assert_eq!(append.await.unwrap().unwrap().seq, Seq(3));
    journal.append(batch(2, Epoch(1), 3, 1)).await.unwrap();
    server.assert_has(4).await;
}

#[tokio::test]
async fn an_answer_that_is_lost_after_the_commit_is_asked_for_again_and_nothing_is_there_twice() {
    let server = Server::default();
    let (proxy, _, journal) = server.behind_proxy(|_| {}).await;
    journal.append(batch(1, Epoch(1), 0, 1)).await.unwrap();
    proxy.swallow_answers();
    let append = asked(&journal, batch(2, Epoch(1), 1, 3));
    let client = server.client().await;
    until("it is committed", async || {
        let row = client.query_one("SELECT head FROM florin.shard", &[]).await;
        row.unwrap().get::<_, i64>(0) == 4
    })
    .await;
    until("it is answered", async || proxy.swallowed() > 0).await;
    assert!(!append.is_finished(), "nobody has told it");
    proxy.cut();
    let head = append.await.unwrap().unwrap();
    assert_eq!(head.seq, Seq(4));
    assert_eq!(journal.head(SHARD).await, Ok(head));
    assert_eq!(journal.append(batch(2, Epoch(1), 1, 3)).await, Ok(head));
    journal.append(batch(3, Epoch(1), 4, 1)).await.unwrap();
    server.assert_has(5).await;
}

#[tokio::test]
async fn a_call_that_comes_late_does_nothing_and_the_writer_goes_on() {
    for goes_on_first in [false, true] {
        let server = Server::default();
        let (proxy, _, journal) = server.behind_proxy(|_| {}).await;
        journal.append(batch(1, Epoch(1), 0, 1)).await.unwrap();
        proxy.hold_requests();
        proxy.swallow_answers();
        let append = asked(&journal, batch(2, Epoch(1), 1, 2));
        until("the first try is on its way", async || proxy.held() > 0).await;
        proxy.cut();
        assert_eq!(append.await.unwrap().unwrap().seq, Seq(3));
        if goes_on_first {
            journal.append(batch(3, Epoch(1), 3, 2)).await.unwrap();
        }
        assert_eq!(proxy.swallowed(), 0, "the first try has not arrived");
        proxy.let_go().unwrap();
        until("the first try was answered", async || proxy.swallowed() > 0).await;
        if !goes_on_first {
            journal.append(batch(3, Epoch(1), 3, 2)).await.unwrap();
        }
        server.assert_has(5).await;
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_has_no_room_and_the_journal_goes_on_when_it_is_back() {
    let server = Server::default();
    let (proxy, _, journal) = server
        .behind_proxy(|options| options.connect_timeout = Duration::from_millis(300))
        .await;
    // Nothing was sent yet over a connection that might end just then, so there is no doubt.
    proxy.close();
    for id in [1, 2] {
        let answer = ended("an append", journal.append(batch(id, Epoch(1), 0, 1))).await;
        assert!(is_no_room(&answer), "{answer:?}");
    }
    proxy.open().unwrap();
    let head = journal.append(batch(3, Epoch(1), 0, 2)).await.unwrap();
    assert_eq!(head.seq, Seq(2));
    server.assert_has(2).await;
}

#[tokio::test]
async fn a_server_that_takes_connections_and_says_nothing_has_no_room_either() {
    let server = Server::default();
    let (proxy, _, journal) = server
        .behind_proxy(|options| {
            options.connect_timeout = Duration::from_millis(300);
            options.statement_timeout = Duration::from_secs(1);
        })
        .await;
    proxy.black_hole();
    let answer = ended("an append", journal.append(batch(1, Epoch(1), 0, 1))).await;
    assert!(is_no_room(&answer), "{answer:?}");
    let read = ended("a read", journal.read(SHARD, Seq(1), 9)).await;
    assert!(matches!(read, Err(ReadError::Store(_))), "{read:?}");
    proxy.cut();
    proxy.open().unwrap();
    let head = journal.append(batch(2, Epoch(1), 0, 1)).await.unwrap();
    assert_eq!(head.seq, Seq(1));
    // Its connections were thrown away, and none is given out that still waits for an old answer.
    let read = ended("a read", journal.read(SHARD, Seq(1), 9)).await;
    assert_eq!(read, Ok(commits([1])));
}

#[tokio::test]
async fn a_server_that_falls_silent_in_the_middle_ends_in_doubt_for_good() {
    let server = Server::default();
    let (proxy, _, journal) = server
        .behind_proxy(|options| {
            options.connect_timeout = Duration::from_millis(300);
            options.statement_timeout = Duration::from_millis(500);
            options.append_patience = Duration::from_millis(600);
        })
        .await;
    journal.append(batch(1, Epoch(1), 0, 1)).await.unwrap();
    proxy.black_hole();
    let answer = ended("an append", journal.append(batch(2, Epoch(1), 1, 2))).await;
    assert!(is_unknown(&answer), "{answer:?}");
    assert!(proxy.held() > 0, "it was sent");
    proxy.cut();
    proxy.open().unwrap();
    for id in [2, 3] {
        let answer = journal.append(batch(id, Epoch(1), 1, 2)).await;
        assert!(is_unknown(&answer), "{answer:?}");
    }
    // What was in doubt arrives after all, and the next owner finds it.
    proxy.let_go().unwrap();
    let client = server.client().await;
    until("it has arrived", async || {
        let row = client.query_one("SELECT head FROM florin.shard", &[]).await;
        row.unwrap().get::<_, i64>(0) == 3
    })
    .await;
    server.assert_has(3).await;
}

#[tokio::test]
async fn a_read_whose_server_ended_the_connections_meanwhile_does_not_notice() {
    let server = Server::default();
    let database = server.database().await;
    let (_, taken) = server.rob(&database, SHARD).await;
    let journal = super::PostgresJournal::open(&database, &taken).await.unwrap();
    journal.append(batch(1, Epoch(1), 0, 1)).await.unwrap();
    {
        let lent = (database.lend().await.unwrap(), database.lend().await.unwrap());
        assert!(!lent.0.is_closed() && !lent.1.is_closed());
    }
    let client = server.client().await;
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE application_name = 'florin' AND datname = current_database()";
    client.execute(sql, &[]).await.unwrap();
    // The server's word has to come here first: only then can anybody know.
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'florin' AND datname = current_database()";
    until("they have ended", async || {
        client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 0
    })
    .await;
    until("a read does not notice any more", async || {
        journal.read(SHARD, Seq(1), 9).await == Ok(commits([1]))
    })
    .await;
    let head = journal.append(batch(2, Epoch(1), 1, 1)).await.unwrap();
    assert_eq!(head.seq, Seq(2));
}
