//! A commit that must wait for a copy on another machine: nothing is acknowledged before, whoever cuts the waiting short.

use super::{Server, asked, is_unknown};
use crate::journal::tests::{Medium as _, SHARD, batch};
use crate::postgres::tests::{session, until};
use florin_domain::ids::{Epoch, Seq};
use florin_domain::ports::Journal as _;
use std::sync::Arc;
use tokio_postgres::Client;

const WAITS: &str = "wait_event = 'SyncRep'";

/// Asks for a copy by a server that is not there, or for none any more.
async fn name_standby(client: &Client, name: &str) {
    let sql = format!("ALTER SYSTEM SET synchronous_standby_names = '{name}'");
    client.batch_execute(&sql).await.unwrap();
    client.execute("SELECT pg_reload_conf()", &[]).await.unwrap();
}

/// The same, and commits wait from now on. What a session is shown says nothing of that: it is the checkpointer that has commits wait.
async fn have_commits_wait(server: &Server, client: &Client) {
    name_standby(client, "nobody").await;
    let probe = server.client().await;
    let row = probe.query_one("SELECT pg_backend_pid()", &[]).await;
    let pid: i32 = row.unwrap().get(0);
    let probing = tokio::spawn(async move {
        let write = "SELECT pg_logical_emit_message(true, '', '')";
        while probe.query_one(write, &[]).await.is_ok() {}
    });
    let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid} AND {WAITS}");
    until("a commit waits", async || {
        client.query_one(&sql, &[]).await.unwrap().get::<_, i64>(0) == 1
    })
    .await;
    let end = "SELECT pg_terminate_backend($1)";
    client.execute(end, &[&pid]).await.unwrap();
    probing.await.unwrap();
}

#[tokio::test]
async fn a_waiting_for_copies_that_somebody_cancels_is_doubt_and_the_journal_halts() {
    let server = Server::private();
    let journal = Arc::new(server.open(SHARD).await);
    journal.append(batch(1, Epoch(1), 0, 1)).await.unwrap();
    let client = server.client().await;
    have_commits_wait(&server, &client).await;
    let append = asked(&journal, batch(2, Epoch(1), 1, 2));
    let waiting = session(&client, WAITS).await;
    assert!(!append.is_finished());
    let cancel = "SELECT pg_cancel_backend($1)";
    client.execute(cancel, &[&waiting]).await.unwrap();
    let answer = append.await.unwrap();
    assert!(is_unknown(&answer), "{answer:?}");
    name_standby(&client, "").await;
    let answer = journal.append(batch(3, Epoch(1), 3, 1)).await;
    assert!(is_unknown(&answer), "{answer:?}");
    server.assert_has(3).await;
}

#[tokio::test]
async fn a_batch_that_is_there_already_is_not_acknowledged_before_its_copies() {
    let server = Server::private();
    let journal = Arc::new(server.open(SHARD).await);
    journal.append(batch(1, Epoch(1), 0, 1)).await.unwrap();
    let client = server.client().await;
    have_commits_wait(&server, &client).await;
    let append = asked(&journal, batch(2, Epoch(1), 1, 2));
    let first = session(&client, WAITS).await;
    // It is committed here, visible from now on, and on no other machine.
    let end = "SELECT pg_terminate_backend($1)";
    client.execute(end, &[&first]).await.unwrap();
    let second = session(&client, &format!("{WAITS} AND pid <> {first}")).await;
    let row = client.query_one("SELECT head FROM florin.shard", &[]).await;
    assert_eq!(
        row.unwrap().get::<_, i64>(0),
        3,
        "{second} asks for what is there"
    );
    assert!(!append.is_finished());
    name_standby(&client, "").await;
    assert_eq!(append.await.unwrap().unwrap().seq, Seq(3));
    journal.append(batch(3, Epoch(1), 3, 1)).await.unwrap();
    server.assert_has(4).await;
}
