//! Owns the journal of a world: in memory, or, where `FLORIN_TEST_STORE` is `postgres`, in a database of its own on the server that
//! `FLORIN_TEST_POSTGRES` names.

use florin_adapters::journal::{MemoryJournal, MemoryStore, PostgresJournal};
use florin_adapters::postgres::{Database, DatabaseOptions, Durability, Lease, LeaseTerms};
use florin_domain::commit::Commit;
use florin_domain::ids::{Seq, ShardId};
use florin_domain::ports::{AppendError, Batch, BoxFuture, Head, Journal, ReadError};
use florin_services::TestDatabase;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

/// A journal in PostgreSQL with all that must live as long.
#[derive(Debug)]
struct Leased {
    journal: PostgresJournal,
    _lease: Lease,
    _database: TestDatabase,
}

/// A new journal.
pub(crate) fn fresh(runtime: &Runtime) -> Arc<dyn Journal> {
    match std::env::var("FLORIN_TEST_STORE").ok().as_deref() {
        None | Some("embedded") => Arc::new(MemoryJournal::open(&MemoryStore::default(), ShardId::FIRST)),
        Some("postgres") => Arc::new(runtime.block_on(Leased::open())),
        Some(other) => panic!("FLORIN_TEST_STORE is `embedded` or `postgres`, not `{other}`"),
    }
}

impl Leased {
    async fn open() -> Self {
        let kept = TestDatabase::new().unwrap();
        let options = DatabaseOptions::new(kept.url());
        let database = Database::open(options, Durability::Local).await.unwrap();
        let terms = LeaseTerms {
            node: "world".to_owned(),
            url: String::new(),
            ttl: Duration::from_mins(1),
        };
        let taken = Lease::take(&database, &[ShardId::FIRST], &terms).await;
        let (lease, taken) = taken.unwrap().unwrap();
        Self {
            journal: PostgresJournal::open(&database, &taken[0]).await.unwrap(),
            _lease: lease,
            _database: kept,
        }
    }
}

impl Journal for Leased {
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<Head, AppendError>> {
        self.journal.append(batch)
    }

    fn read(
        &self,
        shard: ShardId,
        from: Seq,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Arc<Commit>>, ReadError>> {
        self.journal.read(shard, from, limit)
    }

    fn head(&self, shard: ShardId) -> BoxFuture<'_, Result<Head, ReadError>> {
        self.journal.head(shard)
    }

    fn hash_at(&self, shard: ShardId, seq: Seq) -> BoxFuture<'_, Result<Option<[u8; 32]>, ReadError>> {
        self.journal.hash_at(shard, seq)
    }
}
