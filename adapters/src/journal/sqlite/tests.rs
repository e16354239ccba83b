//! What only the file can do: be full, fail, be damaged, be somebody else's.

mod fuzz;

use super::tables::{self, position};
use super::writer::{Trouble, Writer, trouble};
use super::{JournalFile, OpenError, SqliteJournal};
use crate::data_dir::JOURNAL;
use crate::journal::tests::{SHARD, batch, large_batch};
use florin_domain::ids::{Epoch, Seq, ShardId};
use florin_domain::ports::{AppendError, Journal, ReadError};
use rusqlite::{Connection, ffi};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn file(folder: &TempDir) -> PathBuf {
    folder.path().join(JOURNAL)
}

fn writer(path: &Path) -> Writer {
    let connection = tables::open(path).unwrap();
    let owned = tables::take(&connection, SHARD, path).unwrap();
    Writer::new(connection, SHARD, owned)
}

/// A closed journal of five commits, changed by `sql`.
fn changed(sql: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    writer(&file(&folder)).append(&batch(1, Epoch(1), 0, 5)).unwrap();
    Connection::open(file(&folder))
        .unwrap()
        .execute_batch(sql)
        .unwrap();
    folder
}

fn reopened(folder: &TempDir) -> Result<SqliteJournal, OpenError> {
    SqliteJournal::open(folder.path(), SHARD)
}

#[test]
fn a_full_store_refuses_a_batch_and_goes_on_once_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(&file(&folder));
    writer.append(&batch(1, Epoch(1), 0, 10)).unwrap();
    let limit = |writer: &Writer, pages: u32| {
        let sql = format!("PRAGMA max_page_count = {pages}");
        writer.connection().query_row(&sql, [], |_| Ok(())).unwrap();
    };
    limit(&writer, 1);
    for _ in 0..2 {
        let answer = writer.append(&batch(2, Epoch(1), 10, 500));
        assert!(matches!(answer, Err(AppendError::NoRoom(_))), "{answer:?}");
    }
    limit(&writer, 1_000_000);
    assert_eq!(writer.append(&batch(2, Epoch(1), 10, 500)).unwrap().seq, Seq(510));
    drop(writer);
    reopened(&folder).unwrap();
}

#[test]
fn any_other_failure_stops_the_journal_for_good() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(&file(&folder));
    writer.append(&batch(1, Epoch(1), 0, 1)).unwrap();
    let other = Connection::open(file(&folder)).unwrap();
    other
        .execute_batch("ALTER TABLE commit_record RENAME TO aside")
        .unwrap();
    let answer = writer.append(&batch(2, Epoch(1), 1, 1));
    assert!(matches!(answer, Err(AppendError::Unknown(_))), "{answer:?}");
    other
        .execute_batch("ALTER TABLE aside RENAME TO commit_record")
        .unwrap();
    for id in [1, 2, 3] {
        let answer = writer.append(&batch(id, Epoch(1), 1, 1));
        assert!(matches!(answer, Err(AppendError::Unknown(_))), "{answer:?}");
    }
    drop(writer);
    let journal = reopened(&folder).unwrap();
    drop(journal);
}

#[test]
fn only_a_full_or_read_only_store_leaves_the_outcome_known() {
    let cases = [
        (ffi::SQLITE_FULL, Trouble::NoRoom),
        (ffi::SQLITE_READONLY, Trouble::NoRoom),
        (ffi::SQLITE_READONLY_DBMOVED, Trouble::NoRoom),
        (ffi::SQLITE_IOERR, Trouble::Halt),
        (ffi::SQLITE_IOERR_FSYNC, Trouble::Halt),
        (ffi::SQLITE_IOERR_DIR_FSYNC, Trouble::Halt),
        (ffi::SQLITE_IOERR_WRITE, Trouble::Halt),
        (ffi::SQLITE_BUSY, Trouble::Halt),
        (ffi::SQLITE_CORRUPT, Trouble::Halt),
        (ffi::SQLITE_NOMEM, Trouble::Halt),
    ];
    for (code, expected) in cases {
        let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        assert_eq!(trouble(&error), expected, "{error}");
    }
    assert_eq!(trouble(&rusqlite::Error::QueryReturnedNoRows), Trouble::Halt);
}

#[tokio::test]
async fn every_damaged_byte_of_a_hash_is_noticed_where_it_is() {
    let folder = changed("");
    let journal = reopened(&folder).unwrap();
    let other = Connection::open(file(&folder)).unwrap();
    let place = position(SHARD, Seq(4));
    let hash: [u8; 32] = other
        .query_row(
            "SELECT hash FROM commit_record WHERE position = ?",
            [place],
            |row| row.get(0),
        )
        .unwrap();
    for index in 0..32 {
        let mut wrong = hash;
        wrong[index] ^= 1;
        let set = "UPDATE commit_record SET hash = ? WHERE position = ?";
        other.execute(set, (wrong, place)).unwrap();
        let answer = journal.read(SHARD, Seq(1), 9).await;
        assert!(
            matches!(answer, Err(ReadError::Damaged { seq: Seq(4), .. })),
            "{index}: {answer:?}"
        );
    }
}

#[test]
fn a_journal_whose_head_and_records_disagree_is_not_opened() {
    let cases = [
        ("UPDATE shard_head SET head = 4", 5),
        ("UPDATE shard_head SET head = 6", 6),
        ("UPDATE shard_head SET hash = zeroblob(32)", 5),
        ("UPDATE shard_head SET hash = zeroblob(31)", 5),
        ("UPDATE shard_head SET epoch = 0", 5),
        ("DELETE FROM shard_head", 5),
        ("DELETE FROM commit_record", 1),
        ("DELETE FROM commit_record WHERE position & 7 = 5", 5),
        ("DELETE FROM commit_record WHERE position & 7 = 3", 3),
        ("UPDATE commit_record SET epoch = 0 WHERE position & 7 = 2", 2),
        (
            "UPDATE commit_record SET bytes = zeroblob(9) WHERE position & 7 = 5",
            5,
        ),
        ("UPDATE commit_record SET hash = x'00' WHERE position & 7 = 5", 5),
        (
            "UPDATE commit_record SET position = position + 1 WHERE position & 7 = 5",
            5,
        ),
    ];
    for (sql, expected) in cases {
        let error = reopened(&changed(sql)).unwrap_err();
        assert!(
            matches!(error, OpenError::Damaged { seq, .. } if seq == Seq(expected)),
            "{sql}: {error}"
        );
    }
}

#[test]
fn a_file_that_is_no_journal_of_this_version_is_not_opened() {
    for sql in ["PRAGMA user_version = 2", "PRAGMA user_version = 0"] {
        let error = reopened(&changed(sql)).unwrap_err();
        assert!(
            matches!(error, OpenError::Version { known: 1, .. }),
            "{sql}: {error}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        file(&folder),
        "no database, though long enough to be asked for its header ".repeat(99),
    )
    .unwrap();
    let error = reopened(&folder).unwrap_err();
    assert!(matches!(error, OpenError::Store { .. }), "{error}");
}

#[tokio::test]
async fn a_damaged_page_is_damage_and_not_a_short_journal() {
    let folder = tempfile::tempdir().unwrap();
    writer(&file(&folder))
        .append(&batch(1, Epoch(1), 0, 300))
        .unwrap();
    let mut bytes = std::fs::read(file(&folder)).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0xff);
    std::fs::write(file(&folder), bytes).unwrap();
    let journal = reopened(&folder).unwrap();
    let answer = journal.read(SHARD, Seq(1), 300).await;
    assert!(matches!(answer, Err(ReadError::Damaged { .. })), "{answer:?}");
}

#[test]
fn a_walk_goes_on_behind_pages_that_were_cut() {
    let folder = tempfile::tempdir().unwrap();
    writer(&file(&folder)).append(&large_batch(Epoch(1))).unwrap();
    let journal = JournalFile::open(folder.path()).unwrap();
    let seqs = journal.walk(SHARD, Seq::ZERO).unwrap();
    let seqs: Vec<u64> = seqs.map(|record| record.unwrap().seq.0).collect();
    assert!(seqs.iter().copied().eq(1..=12), "{seqs:?}");
}

#[tokio::test]
async fn a_torn_log_leaves_whole_batches() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(&file(&folder));
    for round in 0..10 {
        writer
            .append(&batch(round.into(), Epoch(1), round * 7, 7))
            .unwrap();
    }
    let log = std::fs::read(folder.path().join("journal.db-wal")).unwrap();
    let mut heads = Vec::new();
    for part in 0..=50 {
        let crashed = tempfile::tempdir().unwrap();
        std::fs::copy(file(&folder), file(&crashed)).unwrap();
        std::fs::write(
            crashed.path().join("journal.db-wal"),
            &log[..log.len() * part / 50],
        )
        .unwrap();
        let journal = reopened(&crashed).unwrap();
        let head = journal.head(SHARD).await.unwrap().seq.0;
        let read = journal.read(SHARD, Seq(1), 100).await.unwrap();
        assert_eq!((read.len() as u64, head % 7), (head, 0), "{part}");
        heads.push(head);
    }
    assert!(heads.is_sorted(), "{heads:?}");
    assert_eq!((heads[0], heads[50]), (0, 70));
}

#[test]
fn the_log_does_not_grow_without_end() {
    let folder = tempfile::tempdir().unwrap();
    let journal = reopened(&folder).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for round in 0..60 {
        runtime
            .block_on(journal.append(batch(round.into(), Epoch(1), round * 500, 500)))
            .unwrap();
    }
    let log = std::fs::metadata(folder.path().join("journal.db-wal"))
        .unwrap()
        .len();
    let table = std::fs::metadata(file(&folder)).unwrap().len();
    assert!(log < 8 << 20, "the log has {log} bytes");
    assert!(table > 4 << 20, "the table has {table} bytes");
}

#[tokio::test]
async fn a_batch_that_nobody_waits_for_is_appended_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let journal = reopened(&folder).unwrap();
    {
        let mut append = journal.append(batch(1, Epoch(1), 0, 3));
        let waker = std::task::Waker::noop();
        assert!(
            append
                .as_mut()
                .poll(&mut std::task::Context::from_waker(waker))
                .is_pending()
        );
    }
    let head = journal.append(batch(1, Epoch(1), 0, 3)).await.unwrap();
    assert_eq!(head.seq, Seq(3));
}

#[test]
fn positions_keep_shards_apart_and_in_order() {
    let last = ShardId(u16::MAX);
    assert_eq!(position(ShardId::FIRST, Seq(7)), 7);
    assert!(position(ShardId(1), Seq(1)) > position(ShardId::FIRST, Seq(u64::MAX)));
    assert!(position(last, Seq(u64::MAX)) > position(last, Seq(1)));
    assert_eq!(tables::seq_of(position(last, Seq(123))), Seq(123));
}
