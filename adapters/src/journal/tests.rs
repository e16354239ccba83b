//! One suite for every journal: what the port promises, in memory and on disk.

use super::chain::{GENESIS, Verifier};
use super::{MemoryJournal, MemoryStore, SqliteJournal};
use crate::data_dir::JOURNAL;
use crate::schema::samples::creation;
use florin_domain::commit::Commit;
use florin_domain::ids::{Epoch, Seq, ShardId};
use florin_domain::ports::{AppendError, Batch, Head, Journal, ReadError};
use std::fmt::Debug;
use std::sync::Arc;
use tempfile::TempDir;

pub(super) const SHARD: ShardId = ShardId(3);

/// Commits for the places after `after`.
pub(super) fn batch(id: u128, epoch: Epoch, after: u64, count: u64) -> Batch {
    let commits: Vec<_> = (after + 1..=after + count)
        .map(|seq| Arc::new(creation(SHARD, seq)))
        .collect();
    Batch {
        id,
        shard: SHARD,
        epoch,
        expected_head: Seq(after),
        commits: commits.into(),
    }
}

pub(super) fn commits(seqs: impl IntoIterator<Item = u64>) -> Vec<Arc<Commit>> {
    let commits = seqs.into_iter().map(|seq| creation(SHARD, seq));
    commits.map(Arc::new).collect()
}

/// What a journal is kept on.
pub(super) trait Medium: Default {
    type Journal: Journal + Debug;

    async fn open(&self, shard: ShardId) -> Self::Journal;
    /// With pages of so many stored bytes.
    async fn open_paged(&self, page_bytes_max: usize) -> Self::Journal;
    async fn damage(&self, seq: u64, index: usize, flips: u8);
    async fn remove(&self, seq: u64);
}

impl Medium for MemoryStore {
    type Journal = MemoryJournal;

    async fn open(&self, shard: ShardId) -> MemoryJournal {
        MemoryJournal::open(self, shard)
    }

    async fn open_paged(&self, page_bytes_max: usize) -> MemoryJournal {
        MemoryJournal::open_paged(self, SHARD, page_bytes_max)
    }

    async fn damage(&self, seq: u64, index: usize, flips: u8) {
        self.change(SHARD, |records| {
            records[usize::try_from(seq).unwrap() - 1].bytes[index] ^= flips;
        });
    }

    async fn remove(&self, seq: u64) {
        self.change(SHARD, |records| {
            drop(records.remove(usize::try_from(seq).unwrap() - 1));
        });
    }
}

struct Folder(TempDir);

impl Default for Folder {
    fn default() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}

impl Folder {
    fn connect(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.0.path().join(JOURNAL)).unwrap()
    }
}

impl Medium for Folder {
    type Journal = SqliteJournal;

    async fn open(&self, shard: ShardId) -> SqliteJournal {
        SqliteJournal::open(self.0.path(), shard).unwrap()
    }

    async fn open_paged(&self, page_bytes_max: usize) -> SqliteJournal {
        SqliteJournal::open_paged(self.0.path(), SHARD, page_bytes_max).unwrap()
    }

    async fn damage(&self, seq: u64, index: usize, flips: u8) {
        let position = super::sqlite::position(SHARD, Seq(seq));
        let connection = self.connect();
        let sql = "SELECT bytes FROM commit_record WHERE position = ?";
        let mut bytes: Vec<u8> = connection.query_row(sql, [position], |row| row.get(0)).unwrap();
        bytes[index] ^= flips;
        let sql = "UPDATE commit_record SET bytes = ? WHERE position = ?";
        assert_eq!(
            connection
                .execute(sql, rusqlite::params![bytes, position])
                .unwrap(),
            1
        );
    }

    async fn remove(&self, seq: u64) {
        let position = super::sqlite::position(SHARD, Seq(seq));
        let sql = "DELETE FROM commit_record WHERE position = ?";
        assert_eq!(self.connect().execute(sql, [position]).unwrap(), 1);
    }
}

macro_rules! on_every_medium {
    ($($test:ident)*) => {
        mod in_memory {
            $(#[tokio::test] async fn $test() { super::$test(super::MemoryStore::default()).await; })*
        }
        mod on_sqlite {
            $(#[tokio::test] async fn $test() { super::$test(super::Folder::default()).await; })*
        }
        mod on_postgres {
            $(#[tokio::test] async fn $test() { super::$test($crate::journal::postgres::Server::default()).await; })*
        }
    };
}

mod equal;
mod pages;

pub(super) use pages::large_batch;

on_every_medium! {
    appended_commits_are_read_back_in_order
    an_empty_journal_has_nothing_and_an_owner
    the_head_is_where_the_last_batch_ended
    a_journal_goes_on_after_it_was_closed
    a_later_owner_fences_out_the_earlier_one
    a_batch_asked_again_is_answered_and_not_appended_again
    a_batch_for_another_head_is_refused
    a_batch_for_another_shard_is_refused
    commits_in_the_wrong_place_are_refused_and_nothing_is_appended
    an_empty_batch_moves_nothing
    every_damaged_byte_is_noticed_where_it_is
    a_missing_record_is_noticed_where_it_is
    a_missing_end_is_noticed
    shards_are_apart
}

async fn appended_commits_are_read_back_in_order(medium: impl Medium) {
    let journal = medium.open(SHARD).await;
    journal.append(batch(1, Epoch(1), 0, 40)).await.unwrap();
    journal.append(batch(2, Epoch(1), 40, 3)).await.unwrap();
    let cases = [
        (1, 100, 1..44),
        (0, 100, 1..44),
        (1, 43, 1..44),
        (1, 2, 1..3),
        (40, 2, 40..42),
        (42, 5, 42..44),
        (43, 1, 43..44),
        (44, 9, 0..0),
        (99, 9, 0..0),
        (u64::MAX, 9, 0..0),
        (5, 0, 0..0),
    ];
    for (from, limit, expected) in cases {
        let read = journal.read(SHARD, Seq(from), limit).await.unwrap();
        assert_eq!(read, commits(expected), "from {from}, {limit}");
    }
}

async fn an_empty_journal_has_nothing_and_an_owner(medium: impl Medium) {
    let journal = medium.open(SHARD).await;
    let head = Head {
        seq: Seq::ZERO,
        hash: GENESIS,
        epoch: Epoch(1),
    };
    assert_eq!(journal.head(SHARD).await, Ok(head));
    assert_eq!(journal.read(SHARD, Seq(1), 10).await, Ok(Vec::new()));
    assert_eq!(journal.hash_at(SHARD, Seq::ZERO).await, Ok(None));
    assert_eq!(
        journal.head(ShardId(9)).await,
        Ok(Head::default()),
        "nobody's shard"
    );
}

async fn the_head_is_where_the_last_batch_ended(medium: impl Medium) {
    let journal = medium.open(SHARD).await;
    for (id, after, count) in [(1, 0, 1), (2, 1, 7), (3, 8, 64)] {
        let head = journal.append(batch(id, Epoch(1), after, count)).await.unwrap();
        assert_eq!((head.seq, head.epoch), (Seq(after + count), Epoch(1)));
        assert_eq!(journal.head(SHARD).await, Ok(head));
        assert_eq!(journal.hash_at(SHARD, head.seq).await, Ok(Some(head.hash)));
        assert_eq!(journal.hash_at(SHARD, head.seq.next()).await, Ok(None));
    }
    let first = journal.hash_at(SHARD, Seq(1)).await.unwrap();
    assert_ne!(first, journal.hash_at(SHARD, Seq(2)).await.unwrap());
}

async fn a_journal_goes_on_after_it_was_closed(medium: impl Medium) {
    let first = medium.open(SHARD).await;
    let before = first.append(batch(1, Epoch(1), 0, 5)).await.unwrap();
    drop(first);
    let second = medium.open(SHARD).await;
    assert_eq!(
        second.head(SHARD).await,
        Ok(Head {
            epoch: Epoch(2),
            ..before
        })
    );
    let after = second.append(batch(2, Epoch(2), 5, 5)).await.unwrap();
    assert_eq!((after.seq, after.epoch), (Seq(10), Epoch(2)));
    assert_eq!(second.read(SHARD, Seq(1), 100).await.unwrap(), commits(1..11));
}

async fn a_later_owner_fences_out_the_earlier_one(medium: impl Medium) {
    let first = medium.open(SHARD).await;
    first.append(batch(1, Epoch(1), 0, 2)).await.unwrap();
    let second = medium.open(SHARD).await;
    assert_eq!(
        first.append(batch(2, Epoch(1), 2, 1)).await,
        Err(AppendError::Fenced)
    );
    assert_eq!(
        first.append(batch(2, Epoch(2), 2, 1)).await,
        Err(AppendError::Fenced),
        "not its epoch"
    );
    second.append(batch(3, Epoch(2), 2, 1)).await.unwrap();
    assert_eq!(
        first.append(batch(4, Epoch(1), 3, 1)).await,
        Err(AppendError::Fenced)
    );
    assert_eq!(
        second.append(batch(4, Epoch(1), 3, 1)).await,
        Err(AppendError::Fenced),
        "an old epoch"
    );
    assert_eq!(second.read(SHARD, Seq(1), 100).await.unwrap(), commits(1..4));
}

async fn a_batch_asked_again_is_answered_and_not_appended_again(medium: impl Medium) {
    let journal = medium.open(SHARD).await;
    journal.append(batch(1, Epoch(1), 0, 2)).await.unwrap();
    let head = journal.append(batch(2, Epoch(1), 2, 3)).await.unwrap();
    assert_eq!(journal.append(batch(2, Epoch(1), 2, 3)).await, Ok(head));
    assert_eq!(
        journal.append(batch(1, Epoch(1), 0, 2)).await,
        Err(AppendError::Fenced),
        "not the last"
    );
    assert_eq!(
        journal.append(batch(2, Epoch(1), 2, 2)).await,
        Err(AppendError::Fenced),
        "not as long"
    );
    assert_eq!(
        journal.append(batch(3, Epoch(1), 2, 3)).await,
        Err(AppendError::Fenced),
        "not mine"
    );
    drop(journal);
    let journal = medium.open(SHARD).await;
    let head = Head {
        epoch: Epoch(2),
        ..head
    };
    assert_eq!(
        journal.append(batch(2, Epoch(2), 2, 3)).await,
        Ok(head),
        "after a restart"
    );
    assert_eq!(journal.read(SHARD, Seq(1), 100).await.unwrap(), commits(1..6));
}

async fn a_batch_for_another_head_is_refused(medium: impl Medium) {
    let journal = medium.open(SHARD).await;
    journal.append(batch(1, Epoch(1), 0, 4)).await.unwrap();
    for (id, after) in [(2, 0), (3, 3), (4, 5), (5, u64::MAX - 1)] {
        assert_eq!(
            journal.append(batch(id, Epoch(1), after, 1)).await,
            Err(AppendError::Fenced),
            "{after}"
        );
    }
    assert_eq!(journal.head(SHARD).await.unwrap().seq, Seq(4));
}

async fn a_batch_for_another_shard_is_refused(medium: impl Medium) {
    let journal = medium.open(SHARD).await;
    let astray = Batch {
        shard: ShardId(4),
        ..batch(1, Epoch(1), 0, 1)
    };
    assert_eq!(journal.append(astray).await, Err(AppendError::Fenced));
}

async fn commits_in_the_wrong_place_are_refused_and_nothing_is_appended(medium: impl Medium) {
    let journal = medium.open(SHARD).await;
    let places = [
        [(SHARD, 1), (SHARD, 3)],
        [(SHARD, 2), (SHARD, 3)],
        [(SHARD, 1), (ShardId(4), 2)],
    ];
    for pair in places {
        let commits = pair.map(|(shard, seq)| Arc::new(creation(shard, seq)));
        let wrong = Batch {
            commits: Arc::new(commits),
            ..batch(1, Epoch(1), 0, 0)
        };
        let answer = journal.append(wrong).await;
        assert!(
            matches!(answer, Err(AppendError::Unknown(_))),
            "{pair:?}: {answer:?}"
        );
    }
    assert_eq!(journal.head(SHARD).await.unwrap().seq, Seq::ZERO);
    journal.append(batch(1, Epoch(1), 0, 1)).await.unwrap();
}

async fn an_empty_batch_moves_nothing(medium: impl Medium) {
    let journal = medium.open(SHARD).await;
    let head = journal.append(batch(1, Epoch(1), 0, 2)).await.unwrap();
    assert_eq!(journal.append(batch(2, Epoch(1), 2, 0)).await, Ok(head));
    journal.append(batch(3, Epoch(1), 2, 1)).await.unwrap();
    assert_eq!(journal.read(SHARD, Seq(1), 100).await.unwrap(), commits(1..4));
}

async fn every_damaged_byte_is_noticed_where_it_is(medium: impl Medium) {
    let journal = medium.open(SHARD).await;
    journal.append(batch(1, Epoch(1), 0, 20)).await.unwrap();
    let mut bytes = Vec::new();
    crate::schema::encode(&creation(SHARD, 2), &mut bytes);
    for index in 0..bytes.len() {
        let flips = 1 << (index % 8);
        medium.damage(2, index, flips).await;
        let answer = journal.read(SHARD, Seq(1), 3).await;
        assert!(
            matches!(answer, Err(ReadError::Damaged { seq: Seq(2), .. })),
            "byte {index}: {answer:?}"
        );
        medium.damage(2, index, flips).await;
    }
    medium.damage(2, 0, 0xff).await;
    assert_eq!(
        journal.read(SHARD, Seq(1), 1).await.unwrap(),
        commits([1]),
        "before the damage"
    );
    assert_eq!(
        journal.read(SHARD, Seq(3), 2).await.unwrap(),
        commits(3..5),
        "after the damage"
    );
}

async fn a_missing_record_is_noticed_where_it_is(medium: impl Medium) {
    let journal = medium.open(SHARD).await;
    journal.append(batch(1, Epoch(1), 0, 5)).await.unwrap();
    medium.remove(3).await;
    assert_eq!(journal.read(SHARD, Seq(1), 2).await.unwrap(), commits(1..3));
    for (from, limit) in [(1, 3), (1, 5), (3, 1), (3, 9)] {
        let answer = journal.read(SHARD, Seq(from), limit).await;
        assert!(
            matches!(answer, Err(ReadError::Damaged { seq: Seq(3), .. })),
            "{from}: {answer:?}"
        );
    }
    assert!(
        journal.read(SHARD, Seq(4), 1).await.is_err(),
        "what it follows is gone"
    );
}

async fn a_missing_end_is_noticed(medium: impl Medium) {
    let journal = medium.open(SHARD).await;
    journal.append(batch(1, Epoch(1), 0, 5)).await.unwrap();
    medium.remove(5).await;
    for (from, limit) in [(1, 10), (5, 1), (4, 2)] {
        let answer = journal.read(SHARD, Seq(from), limit).await;
        assert!(
            matches!(answer, Err(ReadError::Damaged { seq: Seq(5), .. })),
            "{from}: {answer:?}"
        );
    }
}

async fn shards_are_apart(medium: impl Medium) {
    let (here, there) = (medium.open(SHARD).await, medium.open(ShardId(4)).await);
    here.append(batch(1, Epoch(1), 0, 2)).await.unwrap();
    let commits_there = [Arc::new(creation(ShardId(4), 1))];
    let other = Batch {
        shard: ShardId(4),
        commits: Arc::new(commits_there),
        ..batch(9, Epoch(1), 0, 0)
    };
    there.append(other).await.unwrap();
    here.append(batch(2, Epoch(1), 2, 2)).await.unwrap();
    assert_eq!(here.read(SHARD, Seq(1), 100).await.unwrap(), commits(1..5));
    assert_eq!(
        here.read(ShardId(4), Seq(1), 100).await.unwrap(),
        [Arc::new(creation(ShardId(4), 1))]
    );
    assert_eq!(there.head(SHARD).await.unwrap().seq, Seq(4));
}

#[tokio::test]
async fn memory_and_sqlite_come_to_the_same_hashes_however_commits_are_batched() {
    let (store, folder) = (MemoryStore::default(), Folder::default());
    let (memory, sqlite) = (store.open(SHARD).await, folder.open(SHARD).await);
    let mut after = 0;
    for count in [1, 31, 33, 64, 2] {
        sqlite.append(batch(1, Epoch(1), after, count)).await.unwrap();
        after += count;
    }
    let head = memory.append(batch(1, Epoch(1), 0, after)).await.unwrap();
    assert_eq!(sqlite.head(SHARD).await, Ok(head));
}

#[test]
fn an_epoch_never_goes_back() {
    let mut verifier = Verifier::after(SHARD, Seq(4), GENESIS, Epoch(3));
    let answer = verifier.accept(Seq(5), Epoch(2), &[0; 32], &[]);
    let why = "epoch 2 follows epoch 3".to_owned();
    assert_eq!(answer, Err(ReadError::Damaged { seq: Seq(5), why }));
}
