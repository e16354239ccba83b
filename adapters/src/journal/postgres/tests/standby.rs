//! A standby that is asked for what decides nothing: it answers with what the journal has, or the journal does.

use crate::journal::PostgresJournal;
use crate::journal::postgres::past::{Miss, PostgresPast};
use crate::journal::tests::{SHARD, batch, commits};
use crate::postgres::tests::{terms, until};
use crate::postgres::{Database, DatabaseOptions, Durability, Lease, Replica};
use florin_domain::commit::Commit;
use florin_domain::ids::{Epoch, Seq};
use florin_domain::ports::{Journal as _, Past as _, PastCommit};
use florin_services::{Replicated, TestDatabase};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// A primary with a journal of ours, and its standby.
struct Servers {
    pair: Replicated,
    database: Database,
    _lease: Lease,
    journal: Arc<PostgresJournal>,
}

impl Servers {
    async fn start() -> Self {
        let pair = Replicated::start_loosely().unwrap();
        let options = DatabaseOptions::new(pair.primary_url());
        let database = Database::open(options, Durability::Local).await.unwrap();
        let (lease, journal) = taken(&database).await;
        Self {
            pair,
            database,
            _lease: lease,
            journal,
        }
    }

    async fn replica(&self) -> Replica {
        Replica::open(self.pair.standby_url(), &self.database)
            .await
            .unwrap()
    }

    async fn past(&self) -> PostgresPast {
        // The schema was made a moment ago.
        self.until_standby_says("SELECT to_regclass('florin.journal') IS NOT NULL", "t")
            .await;
        PostgresPast::new(Arc::clone(&self.journal), Some(self.replica().await))
    }

    async fn append(&self, after: u64, count: u64) {
        let batch = batch(u128::from(after) + 1, Epoch(1), after, count);
        self.journal.append(batch).await.unwrap();
    }

    async fn until_standby_has(&self, seq: u64) {
        let sql = format!("SELECT coalesce(max(seq), 0) >= {seq} FROM florin.commit_record");
        self.until_standby_says(&sql, "t").await;
    }

    async fn until_standby_says(&self, sql: &str, answer: &str) {
        until(sql, async || {
            self.pair
                .query_standby(sql)
                .is_ok_and(|said| said.trim() == answer)
        })
        .await;
    }

    async fn pause(&self) {
        self.pair.query_standby("SELECT pg_wal_replay_pause()").unwrap();
        self.until_standby_says("SELECT pg_get_wal_replay_pause_state()", "paused")
            .await;
    }
}

async fn taken(database: &Database) -> (Lease, Arc<PostgresJournal>) {
    let taken = Lease::take_some(database, &[SHARD], &terms("a")).await;
    let (lease, taken) = taken.unwrap().unwrap();
    let journal = PostgresJournal::open(database, &taken[0]).await.unwrap();
    (lease, Arc::new(journal))
}

/// What the standby itself answers for commits.
async fn at_standby(past: &PostgresPast, seqs: RangeInclusive<u64>) -> Result<Vec<Arc<Commit>>, Miss> {
    let range = (Seq(seqs.start() - 1), Seq(*seqs.end()));
    let read = past
        .at_replica(past.replica.as_ref().unwrap(), SHARD, range, usize::MAX)
        .await?;
    Ok(read
        .iter()
        .map(|commit| Arc::new(Commit::clone(commit)))
        .collect())
}

/// What whoever asks for the past is answered.
async fn answered(past: &PostgresPast, seqs: RangeInclusive<u64>) -> Vec<Arc<Commit>> {
    let range = (Seq(seqs.start() - 1), Seq(*seqs.end()));
    let read: Vec<PastCommit> = past.read_past(SHARD, range, usize::MAX).await.unwrap();
    read.iter()
        .map(|commit| Arc::new(Commit::clone(commit)))
        .collect()
}

#[tokio::test]
async fn a_standby_answers_with_what_it_has_and_the_journal_with_what_it_lacks() {
    let mut servers = Servers::start().await;
    let past = servers.past().await;
    servers.append(0, 3).await;
    servers.until_standby_has(3).await;
    assert_eq!(at_standby(&past, 1..=3).await, Ok(commits(1..=3)));
    assert_eq!(at_standby(&past, 2..=2).await, Ok(commits(2..=2)));

    servers.pause().await;
    servers.append(3, 2).await;
    assert_eq!(at_standby(&past, 1..=5).await, Err(Miss::Behind));
    assert_eq!(at_standby(&past, 5..=5).await, Err(Miss::Behind));
    assert_eq!(answered(&past, 1..=5).await, commits(1..=5));
    assert_eq!(
        at_standby(&past, 1..=3).await,
        Ok(commits(1..=3)),
        "it was compared before"
    );

    servers
        .pair
        .query_standby("SELECT pg_wal_replay_resume()")
        .unwrap();
    servers.until_standby_has(5).await;
    assert_eq!(at_standby(&past, 4..=5).await, Ok(commits(4..=5)));
    let no_room = past.read_past(SHARD, (Seq(1), Seq(5)), 2).await.unwrap();
    assert_eq!(
        no_room.iter().map(|commit| commit.seq.0).collect::<Vec<_>>(),
        [2, 3]
    );
    assert_eq!(past.read_past(SHARD, (Seq(5), Seq(5)), 9).await, Ok(Vec::new()));

    servers.pair.kill_standby().unwrap();
    assert_eq!(answered(&past, 1..=5).await, commits(1..=5));
    let gone = at_standby(&past, 1..=5).await;
    assert!(
        matches!(gone, Err(Miss::Resting | Miss::Away(_))),
        "it is left alone, if that is not over yet: {gone:?}"
    );
}

#[tokio::test]
async fn a_standby_that_lags_behind_all_that_this_process_knows_is_compared_with_the_primary() {
    let servers = Servers::start().await;
    servers.append(0, 3).await;
    servers.until_standby_has(3).await;
    servers.pause().await;
    servers.append(3, 2).await;
    // Another process, which has heard of the head alone that it took.
    servers
        .pair
        .query("UPDATE florin.shard SET lease_until = '-infinity'")
        .unwrap();
    let (_lease, journal) = taken(&servers.database).await;
    let past = PostgresPast::new(journal, Some(servers.replica().await));
    assert_eq!(at_standby(&past, 1..=5).await, Err(Miss::Behind));
    assert_eq!(at_standby(&past, 1..=3).await, Ok(commits(1..=3)));
}

/// As after a failover to a server that did not have the last commits: they are gone, and others have their numbers.
#[tokio::test]
async fn records_that_the_journal_has_lost_are_never_read_from_a_standby_that_has_them() {
    let servers = Servers::start().await;
    servers.append(0, 3).await;
    servers.until_standby_has(3).await;
    let before = servers.past().await;
    assert_eq!(at_standby(&before, 1..=3).await, Ok(commits(1..=3)));
    servers.pause().await;
    let lose = "SET session_replication_role = replica; DELETE FROM florin.commit_record WHERE seq > 1;
                UPDATE florin.shard SET head = 1, lease_until = '-infinity',
                    hash = (SELECT hash FROM florin.commit_record WHERE seq = 1)";
    servers.pair.query(lose).unwrap();
    let (_lease, journal) = taken(&servers.database).await;
    journal.append(batch(9, Epoch(2), 1, 2)).await.unwrap();
    let past = PostgresPast::new(Arc::clone(&journal), Some(servers.replica().await));
    // The same numbers, and the same bytes in them, under another epoch.
    assert_eq!(at_standby(&past, 2..=3).await, Err(Miss::OtherHistory(Seq(3))));
    assert_eq!(answered(&past, 2..=3).await, commits(2..=3));
    // It is left alone for a minute, however often others ask meanwhile.
    let rests_until = || past.replica.as_ref().unwrap().rests_until();
    let until = rests_until();
    assert!(until.is_some());
    assert_eq!(at_standby(&past, 1..=1).await, Err(Miss::Resting));
    assert_eq!(answered(&past, 1..=1).await, commits(1..=1));
    assert_eq!(rests_until(), until);
}

async fn refused(url: String, database: &Database) -> String {
    let error = Replica::open(url, database).await.unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("geheimnis"), "{shown}");
    error.to_string()
}

#[tokio::test]
async fn what_is_no_standby_of_this_database_is_refused_and_what_is_not_there_is_not() {
    let servers = Servers::start().await;
    let database = &servers.database;
    let why = refused(servers.pair.primary_url(), database).await;
    assert!(
        why.contains("`database.replica_url`") && why.contains("it is no standby"),
        "{why}"
    );
    let other = TestDatabase::private(&[]).unwrap();
    let why = refused(other.url().to_owned(), database).await;
    assert!(why.contains("system identifiers differ"), "{why}");
    let why = refused("postgres:/me:geheimnis@localhost/db".to_owned(), database).await;
    assert!(
        why.starts_with("`database.replica_url` is not understood: "),
        "{why}"
    );

    // Nobody listens there once it has ended.
    let mut servers = servers;
    let url = servers.pair.standby_url();
    servers.pair.kill_standby().unwrap();
    let replica = Replica::open(url, &servers.database).await.unwrap();
    servers.append(0, 2).await;
    let past = PostgresPast::new(Arc::clone(&servers.journal), Some(replica));
    assert_eq!(answered(&past, 1..=2).await, commits(1..=2));
}
