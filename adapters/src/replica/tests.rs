//! A replica on real files: it follows, finds its place again after a crash, and leaves alone what is not of its journal.

mod fuzz;

use super::follower::{Replica, ReplicaError};
use super::reader::ReplicaReader;
use super::segment::{file_name, files};
use crate::data_dir::JOURNAL;
use crate::journal::{JournalFile, SqliteJournal, StoredRecord};
use crate::schema::samples::creation;
use florin_domain::commit::Commit;
use florin_domain::ids::{Seq, ShardId};
use florin_domain::ports::{Batch, Journal, ReadError};
use proptest::prelude::*;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

const SHARD: ShardId = ShardId::FIRST;

struct World {
    data: TempDir,
    second: TempDir,
    grown: u64,
}

impl World {
    fn new(count: u64) -> Self {
        let mut world = Self {
            data: tempfile::tempdir().unwrap(),
            second: tempfile::tempdir().unwrap(),
            grown: 0,
        };
        world.grow(count);
        world
    }

    /// Appends so many commits under a new epoch.
    fn grow(&mut self, count: u64) {
        let after = self.grown;
        self.grown += count;
        let journal = SqliteJournal::open(self.data.path(), SHARD).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let head = runtime.block_on(journal.head(SHARD)).unwrap();
        let commits: Vec<Arc<Commit>> = (after + 1..=self.grown)
            .map(|seq| Arc::new(creation(SHARD, seq)))
            .collect();
        let batch = Batch {
            id: u128::from(self.grown),
            shard: SHARD,
            epoch: head.epoch,
            expected_head: Seq(after),
            commits: commits.into(),
        };
        runtime.block_on(journal.append(batch)).unwrap();
    }

    fn open(&self) -> Result<Replica, ReplicaError> {
        Replica::open(self.data.path(), self.second.path(), SHARD)
    }

    /// Copies everything.
    fn follow(&self, segment_bytes_max: u64) -> Replica {
        let mut replica = self.open().unwrap().with_segments_of(segment_bytes_max);
        loop {
            let progress = replica.step().unwrap();
            if progress.copied == progress.head {
                return replica;
            }
        }
    }

    fn read(&self) -> Result<Vec<StoredRecord>, ReadError> {
        ReplicaReader::open(self.data.path(), self.second.path(), SHARD)?.collect()
    }

    fn journal(&self) -> Vec<StoredRecord> {
        let journal = JournalFile::open(self.data.path()).unwrap();
        let records: Result<_, _> = journal.walk(SHARD, Seq::ZERO).unwrap().collect();
        records.unwrap()
    }

    fn sql(&self, sql: &str) {
        let journal = Connection::open(self.data.path().join(JOURNAL)).unwrap();
        journal.execute_batch(sql).unwrap();
    }

    fn newest(&self) -> std::path::PathBuf {
        files(self.second.path(), SHARD).unwrap().pop().unwrap().1
    }
}

fn contents(folder: &Path) -> BTreeMap<std::path::PathBuf, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

#[test]
fn a_replica_has_the_same_bytes_in_files_of_a_limited_size_and_goes_on_where_it_was() {
    let mut world = World::new(20);
    drop(world.follow(2000));
    world.grow(5);
    drop(world.follow(2000));
    world.grow(2000);
    let replica = world.follow(2000);
    assert_eq!(replica.copied(), Seq(2025));
    assert!(!replica.was_shortened());
    assert_eq!(world.read().unwrap(), world.journal());
    let files = files(world.second.path(), SHARD).unwrap();
    assert!(files.len() > 2, "{files:?}");
    assert_eq!(files[0].1, world.second.path().join(file_name(SHARD, Seq(1))));
    let other = ReplicaReader::open(world.data.path(), world.second.path(), ShardId(7)).unwrap();
    assert_eq!(
        other.take(1).count(),
        1,
        "the note says that there should be records"
    );
}

#[test]
fn what_a_crash_leaves_of_a_frame_is_cut_off_and_written_again() {
    for left in [1, 60, 95, 150] {
        let mut world = World::new(4);
        drop(world.follow(1 << 20));
        let whole = fs::read(world.newest()).unwrap();
        world.grow(3);
        drop(world.follow(1 << 20));
        let longer = fs::read(world.newest()).unwrap();
        // The note is older than the frame that was torn.
        super::place::write(world.data.path(), Seq(4)).unwrap();
        fs::write(world.newest(), &longer[..whole.len() + left]).unwrap();
        assert_eq!(world.read().unwrap().len(), 4, "{left}: torn is not damaged");
        assert_eq!(world.follow(1 << 20).copied(), Seq(7));
        assert_eq!(fs::read(world.newest()).unwrap(), longer, "{left}");
    }
    let mut world = World::new(4);
    drop(world.follow(1));
    world.grow(1);
    fs::write(world.second.path().join(file_name(SHARD, Seq(5))), "FLOR").unwrap();
    assert_eq!(world.read().unwrap().len(), 4);
    drop(world.follow(1));
    assert_eq!(world.read().unwrap(), world.journal());
}

#[test]
fn a_replica_that_lost_its_end_is_seen_and_written_again() {
    let world = World::new(6);
    drop(world.follow(1 << 20));
    let whole = fs::read(world.newest()).unwrap();
    fs::write(world.newest(), &whole[..whole.len() - 1]).unwrap();
    let error = world.read().unwrap_err();
    assert!(matches!(error, ReadError::Damaged { seq: Seq(6), .. }), "{error}");
    let replica = world.follow(1 << 20);
    assert!(replica.was_shortened());
    assert_eq!(world.read().unwrap(), world.journal());
    fs::remove_file(world.newest()).unwrap();
    let error = world.read().unwrap_err();
    assert!(matches!(error, ReadError::Damaged { seq: Seq(1), .. }), "{error}");
}

#[test]
fn a_replica_of_another_journal_is_left_as_it_is() {
    let cases = [
        (
            "DELETE FROM commit_record WHERE position = 6;
             UPDATE shard_head SET head = 5, hash = (SELECT hash FROM commit_record WHERE position = 5)",
            "goes on to commit 6, and the journal ends at commit 5",
        ),
        (
            "UPDATE commit_record SET hash = zeroblob(32) WHERE position = 6",
            "another commit 6",
        ),
    ];
    for (sql, expected) in cases {
        let world = World::new(6);
        let mut running = world.follow(1 << 20);
        let before = contents(world.second.path());
        world.sql(sql);
        let error = world.open().unwrap_err();
        assert!(
            matches!(&error, ReplicaError::Diverged(why) if why.contains(expected)),
            "{error}"
        );
        if expected.starts_with("goes on") {
            assert!(matches!(running.step(), Err(ReplicaError::Diverged(_))));
        }
        assert_eq!(contents(world.second.path()), before);
    }
    let world = World::new(6);
    drop(world.follow(1 << 20));
    let mut bytes = fs::read(world.newest()).unwrap();
    bytes[400] ^= 1;
    fs::write(world.newest(), &bytes).unwrap();
    assert!(matches!(world.open(), Err(ReplicaError::Diverged(_))));
    assert_eq!(fs::read(world.newest()).unwrap(), bytes);
}

#[test]
fn damage_in_the_journal_is_not_copied() {
    let mut world = World::new(3);
    let mut replica = world.follow(1 << 20);
    world.grow(4);
    world.sql("UPDATE commit_record SET bytes = zeroblob(9) WHERE position = 6");
    for _ in 0..2 {
        let error = replica.step().unwrap_err();
        assert!(
            matches!(
                error,
                ReplicaError::Journal(ReadError::Damaged { seq: Seq(6), .. })
            ),
            "{error}"
        );
        assert_eq!(replica.copied(), Seq(5), "what came before the damage is there");
    }
    assert_eq!(world.read().unwrap().len(), 5);
}

#[test]
fn a_failed_write_is_made_again_from_what_was_durable() {
    let mut world = World::new(3);
    let mut replica = world.follow(1);
    world.grow(2);
    let in_the_way = world.second.path().join(file_name(SHARD, Seq(4)));
    fs::create_dir(&in_the_way).unwrap();
    for _ in 0..2 {
        assert!(matches!(replica.step(), Err(ReplicaError::Io { .. })));
        assert_eq!(replica.copied(), Seq(3));
    }
    fs::remove_dir(&in_the_way).unwrap();
    assert_eq!(replica.step().unwrap().copied, Seq(5));
    assert_eq!(world.read().unwrap(), world.journal());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_byte_of_a_replica_can_change_and_no_part_be_missing_unseen(place: prop::sample::Index, bit in 0..8_u8, is_cut: bool) {
        let mut world = World::new(4);
        drop(world.follow(1));
        world.grow(4);
        drop(world.follow(1));
        let all = contents(world.second.path());
        let total: usize = all.values().map(Vec::len).sum();
        let mut at = place.index(total);
        let (path, bytes) = all
            .iter()
            .find(|(_, bytes)| {
                let is_here = at < bytes.len();
                if !is_here {
                    at -= bytes.len();
                }
                is_here
            })
            .unwrap();
        let mut bytes = bytes.clone();
        if is_cut {
            bytes.truncate(at);
        } else {
            bytes[at] ^= 1 << bit;
        }
        fs::write(path, bytes).unwrap();
        let read = world.read();
        let is_seen = matches!(read, Err(ReadError::Damaged { .. }));
        prop_assert!(is_seen, "{read:?}");
    }
}
