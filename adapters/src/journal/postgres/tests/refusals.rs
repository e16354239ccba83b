//! What the database says no to, or warns of: only a clear no before anything is in doubt lets the journal go on.

use super::{Server, asked, is_no_room, is_unknown};
use crate::journal::tests::{Medium as _, SHARD, batch};
use crate::postgres::tests::until;
use florin_domain::ids::{Epoch, Seq};
use florin_domain::ports::Journal as _;

/// When a trigger speaks: while the records are written, or while they are committed.
const BEFORE: &str = "CREATE TRIGGER planted BEFORE INSERT ON florin.commit_record";
const AT_COMMIT: &str =
    "CREATE CONSTRAINT TRIGGER planted AFTER INSERT ON florin.commit_record DEFERRABLE INITIALLY DEFERRED";
const FULL: &str = "RAISE EXCEPTION 'no space left on device' USING ERRCODE = '53100'";

/// Has the database do something with each record.
async fn plant(server: &Server, when: &str, what: &str) {
    let sql = format!(
        "CREATE FUNCTION planted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {what}; RETURN NEW; END $$;
         {when} FOR EACH ROW EXECUTE FUNCTION planted()"
    );
    server.client().await.batch_execute(&sql).await.unwrap();
}

async fn uproot(server: &Server) {
    let sql = "DROP FUNCTION planted CASCADE";
    server.client().await.batch_execute(sql).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_is_no_room_and_the_journal_goes_on_once_there_is_some() {
    for when in [BEFORE, AT_COMMIT] {
        let server = Server::default();
        let journal = server.open(SHARD).await;
        journal.append(batch(1, Epoch(1), 0, 1)).await.unwrap();
        plant(&server, when, FULL).await;
        for id in [2, 3] {
            let answer = journal.append(batch(id, Epoch(1), 1, 2)).await;
            assert!(is_no_room(&answer), "{when}: {answer:?}");
        }
        uproot(&server).await;
        let head = journal.append(batch(4, Epoch(1), 1, 1)).await.unwrap();
        assert_eq!(head.seq, Seq(2));
        server.assert_has(2).await;
    }
}

#[tokio::test]
async fn a_full_disk_after_a_try_in_doubt_leaves_the_doubt_and_the_journal_halts() {
    let server = Server::default();
    let (proxy, _, journal) = server.behind_proxy(|_| {}).await;
    journal.append(batch(1, Epoch(1), 0, 1)).await.unwrap();
    proxy.hold_requests();
    let append = asked(&journal, batch(2, Epoch(1), 1, 2));
    until("the first try is on its way", async || proxy.held() > 0).await;
    plant(&server, BEFORE, FULL).await;
    proxy.cut();
    let answer = append.await.unwrap();
    assert!(is_unknown(&answer), "{answer:?}");
    uproot(&server).await;
    for id in [2, 3] {
        let answer = journal.append(batch(id, Epoch(1), 1, 2)).await;
        assert!(is_unknown(&answer), "{answer:?}");
    }
    server.assert_has(1).await;
}

#[tokio::test]
async fn a_warning_during_a_commit_is_doubt_and_the_journal_halts() {
    for when in [BEFORE, AT_COMMIT] {
        let server = Server::default();
        let journal = server.open(SHARD).await;
        journal.append(batch(1, Epoch(1), 0, 1)).await.unwrap();
        plant(&server, when, "RAISE WARNING 'your copies'").await;
        let answer = journal.append(batch(2, Epoch(1), 1, 2)).await;
        assert!(is_unknown(&answer), "{when}: {answer:?}");
        uproot(&server).await;
        let answer = journal.append(batch(3, Epoch(1), 3, 1)).await;
        assert!(is_unknown(&answer), "{when}: {answer:?}");
        server.assert_has(3).await;
    }
}

#[tokio::test]
async fn what_is_only_noted_is_no_doubt() {
    let server = Server::default();
    let journal = server.open(SHARD).await;
    plant(
        &server,
        AT_COMMIT,
        "RAISE NOTICE 'by the way'; RAISE INFO 'and this'",
    )
    .await;
    journal.append(batch(1, Epoch(1), 0, 2)).await.unwrap();
    server.assert_has(2).await;
}

#[tokio::test]
async fn warnings_are_heard_though_the_database_is_told_to_keep_them() {
    let server = Server::default();
    let keep = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET client_min_messages = error', current_database()); END $$";
    server.client().await.batch_execute(keep).await.unwrap();
    let journal = server.open(SHARD).await;
    plant(&server, AT_COMMIT, "RAISE WARNING 'your copies'").await;
    let answer = journal.append(batch(1, Epoch(1), 0, 1)).await;
    assert!(is_unknown(&answer), "{answer:?}");
}

#[tokio::test]
async fn a_warning_when_a_connection_is_made_is_not_about_an_append() {
    let server = Server::default();
    // The server warns everybody who connects that the version of its collation is not the one it was made with.
    let sql = "UPDATE pg_database SET datcollversion = '0' WHERE datname = current_database()";
    server.client().await.batch_execute(sql).await.unwrap();
    let journal = server.open(SHARD).await;
    let head = journal.append(batch(1, Epoch(1), 0, 1)).await.unwrap();
    assert_eq!(head.seq, Seq(1));
}

#[tokio::test]
async fn any_other_refusal_halts_the_journal_for_good() {
    let server = Server::default();
    let journal = server.open(SHARD).await;
    plant(&server, BEFORE, "RAISE EXCEPTION 'no'").await;
    for id in [1, 2] {
        let answer = journal.append(batch(id, Epoch(1), 0, 1)).await;
        assert!(is_unknown(&answer), "{answer:?}");
        if id == 1 {
            uproot(&server).await;
        }
    }
    server.assert_has(0).await;
}
