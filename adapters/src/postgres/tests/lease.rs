//! Who has the shards: one process at a time, all of them or none, and it knows when that is over.

use super::{connected, ended, opened, terms, until};
use crate::postgres::{Database, DatabaseOptions, Durability, Lease, LeaseTerms};
use florin_domain::ids::{Epoch, ShardId};
use florin_domain::ports::Ownership as _;
use florin_services::TestDatabase;
use std::time::Duration;

const SHARDS: [ShardId; 4] = [ShardId(0), ShardId(1), ShardId(2), ShardId(3)];

fn short(node: &str) -> LeaseTerms {
    LeaseTerms {
        ttl: Duration::from_millis(2400),
        ..terms(node)
    }
}

#[tokio::test]
async fn of_two_who_ask_at_once_one_gets_all_and_the_other_is_told_who() {
    let server = TestDatabase::new().unwrap();
    let (here, there) = (opened(&server).await, opened(&server).await);
    let backwards: Vec<ShardId> = SHARDS.iter().rev().copied().collect();
    let mut before = Epoch(0);
    for _ in 0..10 {
        let (a, b) = (terms("a"), terms("b"));
        let (first, second) = tokio::join!(
            Lease::take(&here, &SHARDS, &a),
            Lease::take(&there, &backwards, &b)
        );
        let (won, lost, winner) = match (first.unwrap(), second.unwrap()) {
            (Ok(won), Err(lost)) => (won, lost, "a"),
            (Err(lost), Ok(won)) => (won, lost, "b"),
            (first, second) => panic!("{first:?} and {second:?}"),
        };
        assert_eq!(lost.node, winner);
        assert_eq!(lost.url, format!("http://{winner}:8080"));
        assert!(
            lost.left > Duration::ZERO && lost.left <= terms("a").ttl,
            "{lost:?}"
        );
        assert!(!lost.owner.is_empty());
        let (lease, taken) = won;
        let shards: Vec<ShardId> = taken.iter().map(|taken| taken.shard).collect();
        assert_eq!(shards, SHARDS);
        // All in one epoch, and never in one that was before.
        assert!(
            taken.iter().all(|one| one.head.epoch == taken[0].head.epoch),
            "{taken:?}"
        );
        assert!(taken[0].head.epoch > before, "{taken:?} after {before:?}");
        before = taken[0].head.epoch;
        assert!(lease.is_held());
        lease.release().await;
    }
}

#[tokio::test]
async fn one_shard_of_another_process_keeps_all_of_them_from_us() {
    let server = TestDatabase::new().unwrap();
    let database = opened(&server).await;
    let one = Lease::take_some(&database, &SHARDS[2..3], &terms("one")).await;
    let (_kept, _) = one.unwrap().unwrap();
    let all = Lease::take(&database, &SHARDS, &terms("all")).await.unwrap();
    assert_eq!(all.unwrap_err().node, "one");
    let client = connected(server.url()).await;
    let take = "SELECT count(*) FROM florin.take_shards(ARRAY[0, 1, 2, 3], 'all', '', '', 60000, 0)";
    let row = client.query_one(take, &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 0, "though it did not look first");
    let sql = "SELECT array_agg(epoch ORDER BY id) FROM florin.shard";
    let epochs: Vec<i64> = client.query_one(sql, &[]).await.unwrap().get(0);
    assert_eq!(epochs, [1], "none of the others was taken");
}

#[tokio::test]
async fn fewer_shards_than_there_are_journals_of_are_refused() {
    let server = TestDatabase::new().unwrap();
    let database = opened(&server).await;
    let (lease, _) = Lease::take(&database, &SHARDS, &terms("a"))
        .await
        .unwrap()
        .unwrap();
    lease.release().await;
    let why = Lease::take(&database, &SHARDS[..2], &terms("a"))
        .await
        .unwrap_err();
    let why = why.to_string();
    assert!(
        why.contains("it has a shard 3: `journal.shards` must be at least 4"),
        "{why}"
    );
}

#[tokio::test]
async fn who_is_released_is_followed_at_once_and_a_renewal_on_its_way_keeps_nobody_out() {
    let server = TestDatabase::new().unwrap();
    let database = opened(&server).await;
    let (lease, before) = Lease::take(&database, &SHARDS, &terms("a"))
        .await
        .unwrap()
        .unwrap();
    let client = connected(server.url()).await;
    let row = client
        .query_one("SELECT owner FROM florin.shard LIMIT 1", &[])
        .await;
    let owner: String = row.unwrap().get(0);
    let trusted = lease.trusted();
    assert!(trusted.is_ours());
    lease.release().await;
    assert!(!trusted.is_ours(), "whoever asks later knows");
    let late = "SELECT florin.renew_shards($1, 60000)";
    let renewed: i64 = client.query_one(late, &[&owner]).await.unwrap().get(0);
    assert_eq!(renewed, 0);
    let (_next, taken) = Lease::take(&database, &SHARDS, &terms("b"))
        .await
        .unwrap()
        .unwrap();
    assert!(taken[0].head.epoch > before[0].head.epoch);
}

#[tokio::test]
async fn a_lease_that_ran_out_is_not_held_until_the_database_answers_again() {
    let server = TestDatabase::new().unwrap();
    let (proxy, url) = server.proxied().unwrap();
    let database = Database::open(DatabaseOptions::new(url), Durability::Local)
        .await
        .unwrap();
    let (lease, taken) = Lease::take(&database, &SHARDS, &short("a"))
        .await
        .unwrap()
        .unwrap();
    let lost = tokio::spawn(lease.lost());
    for _ in 0..2 {
        until("it is held", async || lease.is_held()).await;
        proxy.black_hole();
        until("it is not held any more", async || !lease.is_held()).await;
        proxy.cut();
        proxy.open().unwrap();
    }
    until("it is held again", async || lease.is_held()).await;
    assert!(!lost.is_finished(), "nobody has taken them");
    let sql = "SELECT array_agg(epoch) FROM florin.shard";
    let row = connected(server.url()).await.query_one(sql, &[]).await.unwrap();
    let epoch = taken[0].head.epoch.0.cast_signed();
    assert_eq!(row.get::<_, Vec<i64>>(0), [epoch; 4], "the epoch has stayed");
}

#[tokio::test]
async fn who_is_robbed_of_one_shard_has_lost_all() {
    let server = TestDatabase::new().unwrap();
    let database = opened(&server).await;
    let (lease, _) = Lease::take(&database, &SHARDS, &short("a"))
        .await
        .unwrap()
        .unwrap();
    let sql = "UPDATE florin.shard SET owner = 'thief', epoch = epoch + 1 WHERE id = 2";
    connected(server.url()).await.batch_execute(sql).await.unwrap();
    let why = ended("nobody tells", lease.lost()).await;
    assert!(why.contains("3 of 4 are still ours"), "{why}");
    assert!(!lease.is_held());
}

#[tokio::test]
async fn renewing_and_taking_never_wait_for_each_other_in_a_circle() {
    let server = TestDatabase::new().unwrap();
    let (here, there) = (opened(&server).await, opened(&server).await);
    let (lease, _) = Lease::take(&here, &SHARDS, &terms("a")).await.unwrap().unwrap();
    let (locker, client) = (connected(server.url()).await, connected(server.url()).await);
    // So that the rows stand in the table the other way round.
    let turn = "UPDATE florin.shard SET lease_until = '-infinity'; CREATE INDEX backwards ON florin.shard (id DESC); CLUSTER florin.shard USING backwards";
    client.batch_execute(turn).await.unwrap();
    let row = client
        .query_one("SELECT owner FROM florin.shard LIMIT 1", &[])
        .await;
    let owner: String = row.unwrap().get(0);
    // Both are held up at the shard in the middle, and what they have locked by then must not be what the other one wants next.
    locker
        .batch_execute("BEGIN; SELECT 1 FROM florin.shard WHERE id = 1 FOR UPDATE")
        .await
        .unwrap();
    let taking = tokio::spawn(async move { Lease::take(&there, &SHARDS, &terms("b")).await });
    let renewing = tokio::spawn({
        let renewer = connected(server.url()).await;
        async move {
            let sql = "SELECT florin.renew_shards($1, 60000)";
            renewer
                .query_one(sql, &[&owner])
                .await
                .map(|row| row.get::<_, i64>(0))
        }
    });
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    until("both wait", async || {
        client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 2
    })
    .await;
    locker.batch_execute("COMMIT").await.unwrap();
    let renewed = ended("a renewal", renewing).await.unwrap().unwrap();
    let taken = ended("a take", taking).await.unwrap().unwrap();
    match taken {
        Ok((_kept, taken)) => assert_eq!((renewed, taken.len()), (0, 4)),
        Err(holder) => assert_eq!((renewed, holder.node.as_str()), (4, "a")),
    }
    drop(lease);
}
