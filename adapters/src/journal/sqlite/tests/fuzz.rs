//! Journal files with damaged pages: what is read of them is the begin of what was written, and opening them does not panic.

use super::*;
use crate::journal::StoredRecord;
use florin_fuzz::{Target, any_of};
use std::fs;
use std::sync::Arc;

#[test]
fn what_is_read_of_a_damaged_file_is_the_begin_of_what_was_written() {
    let folder = changed("");
    let whole = fs::read(file(&folder)).unwrap();
    let read = |folder: &TempDir| -> Result<Vec<StoredRecord>, String> {
        let journal = JournalFile::open(folder.path()).map_err(|error| error.to_string())?;
        let walk = journal
            .walk(SHARD, Seq::ZERO)
            .map_err(|error| error.to_string())?;
        let records: Vec<_> = walk.collect();
        Ok(records.into_iter().map_while(Result::ok).collect())
    };
    let written = read(&folder).unwrap();
    assert_eq!(written.len(), 5);
    Target::of_bytes("journal_file", any_of([whole]))
        .cases(400)
        .run(|bytes| {
            let folder = tempfile::tempdir().unwrap();
            fs::write(file(&folder), bytes).unwrap();
            if let Ok(records) = read(&folder) {
                assert_eq!(records, written[..records.len()]);
            }
            let Ok(journal) = reopened(&folder) else { return };
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            if let Ok(commits) = runtime.block_on(journal.read(SHARD, Seq(1), 10)) {
                let expected = written.iter().map(|record| &record.commit);
                assert!(
                    commits.iter().map(Arc::as_ref).eq(expected.take(commits.len())),
                    "commits that nobody wrote"
                );
            }
        });
}
