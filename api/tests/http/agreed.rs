//! Accounts while the journal takes nothing.

use crate::stand_ins::two_threads;
use crate::world::{Answer, Ground, World};
use florin_adapters::clock::SystemClock;
use florin_adapters::entropy::OsEntropy;
use florin_adapters::journal::{MemoryJournal, MemoryStore};
use florin_domain::commit::Commit;
use florin_domain::ids::{Seq, ShardId};
use florin_domain::ports::{AppendError, Batch, BoxFuture, Head, Journal, ReadError};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// A journal whose disk may be full.
#[derive(Debug)]
struct Filling {
    inner: MemoryJournal,
    is_full: AtomicBool,
}

impl Journal for Filling {
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<Head, AppendError>> {
        if self.is_full.load(Ordering::SeqCst) {
            return Box::pin(async { Err(AppendError::NoRoom("the disk is full".to_owned())) });
        }
        self.inner.append(batch)
    }

    fn read(
        &self,
        shard: ShardId,
        from: Seq,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Arc<Commit>>, ReadError>> {
        self.inner.read(shard, from, limit)
    }

    fn head(&self, shard: ShardId) -> BoxFuture<'_, Result<Head, ReadError>> {
        self.inner.head(shard)
    }

    fn hash_at(&self, shard: ShardId, seq: Seq) -> BoxFuture<'_, Result<Option<[u8; 32]>, ReadError>> {
        self.inner.hash_at(shard, seq)
    }
}

fn open(world: &World, name: &str) -> Answer {
    let body = json!({"name": name, "type": "asset", "currency": "USD"}).to_string();
    let json = ("Content-Type", "application/json");
    world.send(
        "POST",
        "/v1/ledger/accounts",
        Some("ok_test_op"),
        &[json],
        body.as_bytes(),
    )
}

#[test]
fn cons_7_an_account_that_is_not_agreed_upon_is_said_not_to_be_and_is_opened_once_later() {
    let journal = Arc::new(Filling {
        inner: MemoryJournal::open(&MemoryStore::default(), ShardId::FIRST),
        is_full: AtomicBool::new(false),
    });
    let ground = Ground {
        runtime: Arc::new(two_threads()),
        journal: Arc::clone(&journal) as _,
        clock: Arc::new(SystemClock::new()),
        entropy: Arc::new(OsEntropy::new()),
        providers: Vec::new(),
        keeps_webhooks: false,
    };
    let world = World::on(ground, |_| {}, |_| {});
    journal.is_full.store(true, Ordering::SeqCst);
    thread::scope(|scope| {
        // In order when the disk is found to be full: it waits for room.
        let first = scope.spawn(|| open(&world, "waits"));
        while world.get("/readyz", None).status == 200 {
            thread::yield_now();
        }
        let refused = open(&world, "kept");
        assert_eq!(
            (refused.status, refused.error("code").as_str()),
            (503, "consistency_error"),
            "{refused:?}"
        );
        let said = refused.error("message");
        assert!(
            said.starts_with("Failed to achieve consensus on account creation"),
            "{said}"
        );
        assert!(refused.header("retry-after").is_some(), "{refused:?}");
        journal.is_full.store(false, Ordering::SeqCst);
        let first = first.join().unwrap();
        assert_eq!(first.status, 200, "{first:?}");
    });
    // There is room again, and nothing was begun of the one that was refused.
    let listed = || {
        world.get("/v1/ledger/accounts", Some("ok_test_op")).json()["data"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(listed(), 1);
    let account = open(&world, "kept").json();
    assert_eq!(open(&world, "kept").json()["id"], account["id"]);
    assert_eq!(listed(), 2);
    world.stop();
}
