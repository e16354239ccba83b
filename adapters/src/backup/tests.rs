//! Copies that are taken while the journal grows, and what is no copy.

use super::{BackupError, Ends, Source, restore};
use crate::data_dir::JOURNAL;
use crate::journal::{JournalFile, SqliteJournal};
use crate::payment_links;
use crate::schema::samples::creation;
use florin_domain::ids::{Seq, ShardId};
use florin_domain::ports::{Batch, Journal as _};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const SHARD: ShardId = ShardId::FIRST;

async fn append(journal: &SqliteJournal, after: u64, count: u64) {
    let commits: Vec<_> = (after + 1..=after + count)
        .map(|seq| Arc::new(creation(SHARD, seq)))
        .collect();
    let batch = Batch {
        id: u128::from(after) + 1,
        shard: SHARD,
        epoch: journal.head(SHARD).await.unwrap().epoch,
        expected_head: Seq(after),
        commits: commits.into(),
    };
    journal.append(batch).await.unwrap();
}

fn with_secrets(folder: &Path) {
    fs::write(folder.join("audit_key.secret"), "a key").unwrap();
    fs::write(folder.join("provider_keys.secret"), "another").unwrap();
    fs::create_dir(folder.join("credentials")).unwrap();
    fs::write(folder.join("credentials/one"), "sealed").unwrap();
}

async fn copied(folder: &Path, to: &Path) -> Result<Ends, BackupError> {
    let source = Source {
        folder,
        shards: &[(SHARD, PathBuf::new())],
        heads: &folder.join("heads"),
        database: None,
        has_provider_keys: true,
    };
    source.copy(to, &|_| ()).await
}

/// Has the list say what is there now.
fn relisted(folder: &Path) {
    let path = folder.join("backup.json");
    let mut list: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    fs::remove_file(&path).unwrap();
    list["files"] = serde_json::to_value(super::files::sizes(folder).unwrap()).unwrap();
    fs::write(path, list.to_string()).unwrap();
}

fn restored(from: &Path, to: &Path) -> Result<Ends, BackupError> {
    restore((from, to), |_| PathBuf::new(), &|_| ())
}

/// All records of the journal of a folder, each verified, and their number.
fn records(folder: &Path) -> Vec<(Seq, [u8; 32])> {
    let file = JournalFile::open(folder).unwrap();
    let walk = file.walk(SHARD, Seq::ZERO).unwrap();
    walk.map(|record| record.map(|record| (record.seq, record.hash)).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_a_journal_that_grows_is_a_beginning_of_it_and_becomes_a_folder() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let journal = Arc::new(SqliteJournal::open(folder.path(), SHARD).unwrap());
    append(&journal, 0, 50).await;
    with_secrets(folder.path());
    drop(payment_links::new_file(&payment_links::file_in(folder.path())).unwrap());
    let done = Arc::new(AtomicBool::new(false));
    let (growing, until) = (Arc::clone(&journal), Arc::clone(&done));
    let growing = tokio::spawn(async move {
        let mut after = 50;
        while !until.load(Ordering::Acquire) {
            append(&growing, after, 20).await;
            after += 20;
        }
    });
    let mut ends = Vec::new();
    for number in 0..5 {
        let copy = elsewhere.path().join(format!("copy-{number}"));
        ends.push((copied(folder.path(), &copy).await.unwrap()[0].1, copy));
    }
    done.store(true, Ordering::Release);
    growing.await.unwrap();
    let whole = records(folder.path());
    for (number, (end, copy)) in ends.into_iter().enumerate() {
        let data = elsewhere.path().join(format!("data-{number}"));
        assert_eq!(restored(&copy, &data).unwrap(), [(SHARD, end)]);
        let found = records(&data);
        assert!(end >= Seq(50), "{end}");
        assert_eq!(found.last().unwrap().0, end);
        assert_eq!(found, whole[..found.len()]);
        assert_eq!(
            fs::read_to_string(data.join("audit_key.secret")).unwrap(),
            "a key"
        );
        assert!(payment_links::file_in(&data).exists());
        assert_eq!(
            fs::read_to_string(data.join("credentials/one")).unwrap(),
            "sealed"
        );
        for name in ["journal.db", "links.db", "credentials/one"] {
            let mode = fs::metadata(data.join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        // And it goes on.
        let journal = SqliteJournal::open(&data, SHARD).unwrap();
        append(&journal, end.0, 1).await;
    }
}

#[tokio::test]
async fn nothing_is_written_over_and_nothing_is_made_of_what_is_no_whole_copy() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let journal = SqliteJournal::open(folder.path(), SHARD).unwrap();
    append(&journal, 0, 9).await;
    drop(journal);
    drop(payment_links::new_file(&payment_links::file_in(folder.path())).unwrap());
    let (copy, data) = (elsewhere.path().join("copy"), elsewhere.path().join("data"));
    let without = copied(folder.path(), &copy).await.unwrap_err().to_string();
    assert!(without.contains("audit_key.secret is not there"), "{without}");
    assert!(restored(&copy, &data).is_err(), "what was begun is no copy");
    with_secrets(folder.path());
    let (copy, data) = (elsewhere.path().join("copy"), elsewhere.path().join("data"));
    copied(folder.path(), &copy).await.unwrap();
    let again = copied(folder.path(), &copy).await.unwrap_err();
    assert!(matches!(again, BackupError::NotEmpty(_)), "{again}");
    let over = restored(&copy, folder.path()).unwrap_err();
    assert!(matches!(over, BackupError::NotEmpty(_)), "{over}");

    let refused = |change: &dyn Fn(&Path)| {
        let half = tempfile::tempdir().unwrap();
        super::files::copy_all(&copy, half.path()).unwrap();
        change(half.path());
        // Whoever changes a length is found before anything is read.
        relisted(half.path());
        let error = restored(half.path(), &data).unwrap_err().to_string();
        assert!(!data.exists() || fs::read_dir(&data).unwrap().next().is_none());
        error
    };
    for lost in [JOURNAL, "credentials/one", "links.db", "backup.json"] {
        let half = tempfile::tempdir().unwrap();
        super::files::copy_all(&copy, half.path()).unwrap();
        fs::remove_file(half.path().join(lost)).unwrap();
        let error = restored(half.path(), &data).unwrap_err().to_string();
        assert!(error.contains("is no whole copy"), "{lost}: {error}");
    }
    let nested = copied(folder.path(), &folder.path().join("credentials/copy"))
        .await
        .unwrap_err();
    assert!(nested.to_string().contains("which is copied"), "{nested}");
    fs::remove_dir(folder.path().join("credentials/copy")).unwrap();
    let damaged = refused(&|half| {
        let file = rusqlite::Connection::open(half.join(JOURNAL)).unwrap();
        let sql = "UPDATE commit_record SET bytes = CAST(bytes || x'00' AS BLOB) WHERE position = 4";
        assert_eq!(file.execute(sql, []).unwrap(), 1);
    });
    assert!(damaged.contains("damaged at 4"), "{damaged}");
    let shortened = refused(&|half| {
        let file = rusqlite::Connection::open(half.join(JOURNAL)).unwrap();
        file.execute("DELETE FROM commit_record WHERE position = 9", [])
            .unwrap();
    });
    assert!(shortened.contains("damaged at 9"), "{shortened}");
    let missing = refused(&|half| fs::remove_file(payment_links::file_in(half)).unwrap());
    assert!(missing.contains("it was here and is gone"), "{missing}");
    restored(&copy, &data).unwrap();
}
