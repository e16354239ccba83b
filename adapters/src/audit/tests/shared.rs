//! Signing for a journal in a database, which other nodes may have written and which may show what nobody was told of; and its tables, read like a file.

use super::*;
use crate::journal::{JournalTables, PostgresJournal, StoredJournal as _};
use crate::postgres::{Database, DatabaseOptions, Durability, Lease, LeaseTerms, Server};
use florin_services::TestDatabase;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// A database with commits, and a node's folders.
pub(crate) struct Shared {
    pub(crate) server: TestDatabase,
    pub(crate) folders: World,
    /// Drives the lease.
    _runtime: Runtime,
    pub(crate) database: Database,
    /// Held so that nobody else has them.
    pub(crate) lease: Option<Lease>,
}

impl Shared {
    pub(crate) fn with(count: u64) -> Self {
        let server = TestDatabase::new().unwrap();
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (database, lease) = runtime.block_on(filled(&server, count));
        Self {
            server,
            folders: World::new(),
            _runtime: runtime,
            database,
            lease: Some(lease),
        }
    }

    pub(crate) fn tables(&self) -> JournalTables {
        JournalTables::open(&DatabaseOptions::new(self.server.url()), Server::Primary).unwrap()
    }

    pub(crate) fn tampers(&self, sql: &str) {
        let sql = format!("SET session_replication_role = replica; {sql}");
        self.server.query(&sql).unwrap();
    }

    fn notary(&self, acknowledged: &Arc<AtomicU64>) -> Notary {
        let journal = Box::new(self.tables());
        let folders = &self.folders;
        let (data, second) = (folders.data.path(), folders.second.path());
        let opened = Notary::open_shared(data, (SHARD, journal), Arc::clone(acknowledged), second);
        opened.unwrap().0
    }
}

async fn filled(server: &TestDatabase, count: u64) -> (Database, Lease) {
    let options = DatabaseOptions::new(server.url());
    let database = Database::open(options, Durability::Local).await.unwrap();
    let terms = LeaseTerms {
        node: "a".to_owned(),
        url: String::new(),
        ttl: Duration::from_mins(1),
    };
    let (lease, taken) = Lease::take(&database, &[SHARD], &terms).await.unwrap().unwrap();
    let journal = PostgresJournal::open(&database, &taken[0]).await.unwrap();
    assert_eq!(journal.acknowledged().load(Ordering::Acquire), 0);
    let commits: Vec<Arc<Commit>> = (1..=count).map(|seq| Arc::new(creation(SHARD, seq))).collect();
    let batch = Batch {
        id: 1,
        shard: SHARD,
        epoch: taken[0].head.epoch,
        expected_head: Seq::ZERO,
        commits: commits.into(),
    };
    journal.append(batch).await.unwrap();
    assert_eq!(journal.acknowledged().load(Ordering::Acquire), count);
    (database, lease)
}

#[test]
fn only_what_is_acknowledged_is_signed_for() {
    let shared = Shared::with(5);
    let acknowledged = Arc::new(AtomicU64::new(3));
    let mut notary = shared.notary(&acknowledged);
    let size = |notary: &mut Notary| notary.sign(1).unwrap().map(|signed| signed.head.size.0);
    assert_eq!((size(&mut notary), size(&mut notary)), (Some(3), None));
    acknowledged.store(5, Ordering::Release);
    assert_eq!(size(&mut notary), Some(5));
    // Each of them is a head of the tree that the records make.
    let verified = verify(
        &shared.tables(),
        SHARD,
        Seq::ZERO,
        shared.folders.heads(),
        &|_, _| {},
    );
    let verified = verified.unwrap();
    assert_eq!((verified.findings, verified.heads), (vec![], 2));
}

#[test]
fn what_others_have_written_is_verified_before_it_is_signed_for() {
    let shared = Shared::with(20_000);
    let turn = "UPDATE florin.commit_record SET bytes = set_byte(bytes, 9, get_byte(bytes, 9) # 1) WHERE seq = 18000";
    shared.tampers(turn);
    let all = Arc::new(AtomicU64::new(20_000));
    let mut notary = shared.notary(&all);
    // A part of it at once, so that a stop is not kept waiting.
    assert!(notary.sign(1).unwrap().is_none());
    assert!(notary.sign(2).unwrap().is_none());
    for _ in 0..2 {
        match notary.sign(3) {
            Err(NotaryError::Journal(ReadError::Damaged { seq, .. })) => assert_eq!(seq, Seq(18_000)),
            other => panic!("{other:?}"),
        }
    }
    shared.tampers(turn);
    let signed = notary.sign(4).unwrap().unwrap();
    assert_eq!(signed.head.size, Seq(20_000));
    // The next one begins where this one was.
    let mut notary = shared.notary(&all);
    assert!(notary.sign(5).unwrap().is_none());
    assert_eq!(notary.signed(), Seq(20_000));
}

#[test]
fn tables_are_read_like_a_file_and_their_damage_is_found_where_it_is() {
    let shared = Shared::with(3_000);
    let mut file = World::new();
    file.grow(3_000);
    let file = JournalFile::open(file.data.path()).unwrap();
    let tables = shared.tables();
    let commits = |journal: &dyn crate::journal::StoredJournal, after: u64| {
        let walk = journal.walk(SHARD, Seq(after)).unwrap();
        let commits: Result<Vec<Commit>, ReadError> =
            walk.map(|record| record.map(|record| record.commit)).collect();
        commits
    };
    for after in [0, 1, 1_024, 2_999, 3_000] {
        assert_eq!(commits(&tables, after).unwrap(), commits(&file, after).unwrap());
    }
    let mut seen = Vec::new();
    tables
        .hashes(SHARD, Seq(2), Seq(2_500), &mut |seq, hash| {
            seen.push((seq, Some(*hash)));
        })
        .unwrap();
    assert_eq!(seen.len(), 2_498);
    assert_eq!(seen[7], (Seq(10), tables.hash_at(SHARD, Seq(10)).unwrap()));
    assert_eq!(tables.head(SHARD).unwrap().seq, Seq(3_000));
    assert_eq!(tables.shards().unwrap(), [SHARD]);
    let page = tables.raw(SHARD, Seq(2_990));
    assert_eq!((page.records.len(), page.is_last), (10, true));

    let found = |sql: &str| {
        shared.tampers(sql);
        match commits(&tables, 0) {
            Err(ReadError::Damaged { seq, why }) => (seq.0, why),
            other => panic!("{other:?}"),
        }
    };
    let (seq, why) = found("UPDATE florin.shard SET head = 3001");
    assert_eq!(seq, 3_001, "{why}");
    let (seq, why) = found("UPDATE florin.shard SET head = 2999");
    assert!(
        seq == 3_000 && why.contains("stands after the head"),
        "{seq}: {why}"
    );
    let (seq, why) = found("DELETE FROM florin.commit_record WHERE seq = 2000");
    assert!(seq == 2_000 && why.contains("missing"), "{seq}: {why}");
    let (seq, why) = found("UPDATE florin.commit_record SET hash = 'short' WHERE seq = 1500");
    assert_eq!(seq, 1_500, "{why}");
}
