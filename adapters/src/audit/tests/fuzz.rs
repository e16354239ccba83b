//! Signed heads and exports that were changed: nothing comes out of them that was not written, and what is missing is told.

use super::*;
use crate::audit::export::{Export, ExportWriter};
use crate::audit::heads::KeptHead;
use crate::journal::StoredRecord;
use florin_fuzz::{Target, any_of};

#[test]
fn no_head_is_read_that_was_not_signed() {
    let mut world = World::new();
    world.grow_signed(3);
    world.grow_signed(4);
    let file = world.heads_file();
    let whole = fs::read(&file).unwrap();
    let written: Vec<KeptHead> = world.heads().map(|line| line.unwrap().unwrap()).collect();
    assert_eq!(written.len(), 2);
    let key = world.key().public();
    let target =
        Target::of_text("heads_file", any_of([whole])).words(["head", "frontier", "size", "signature"]);
    target.cases(1_000).run(|bytes| {
        fs::write(&file, bytes).unwrap();
        for line in HeadsReader::open(world.second.path(), SHARD, key).unwrap() {
            if let Ok(kept) = line.unwrap() {
                // A frontier is not signed, only checked against its root: a line may have lost it.
                let is_written = written.iter().any(|known| {
                    known.signed == kept.signed
                        && (kept.frontier.is_none() || kept.frontier == known.frontier)
                });
                assert!(is_written, "{kept:?}");
            }
        }
        let newest = heads::newest(world.second.path(), SHARD, key).unwrap();
        assert!(
            newest
                .head
                .is_none_or(|head| written.iter().any(|known| known.signed == head))
        );
    });
}

#[test]
fn nothing_is_read_of_an_export_that_was_not_written() {
    let mut world = World::new();
    world.grow_signed(4);
    let key = world.key().public();
    let head = world.heads().next().unwrap().unwrap().unwrap().signed;
    let journal = JournalFile::open(world.data.path()).unwrap();
    let written: Result<Vec<StoredRecord>, ReadError> = journal.walk(SHARD, Seq::ZERO).unwrap().collect();
    let (written, mut whole) = (written.unwrap(), Vec::new());
    let mut writer = ExportWriter::new(&mut whole, &key).unwrap();
    writer.head(&head).unwrap();
    for record in &written {
        writer.record(record).unwrap();
    }
    writer.finish().unwrap();
    let path = world.data.path().join("export.jsonl");
    let seeds = any_of([whole.clone()]);
    let target =
        Target::of_text("audit_export", seeds).words(["florin.record", "florin.head", "florin.end", "bytes"]);
    target.cases(1_000).run(|bytes| {
        fs::write(&path, bytes).unwrap();
        let export = Export::open(&path, SHARD, Some(key)).unwrap();
        assert!(export.heads().iter().all(|known| *known == head.head));
        assert!(
            export.fault().is_some() || bytes == whole,
            "a change that nobody sees"
        );
        let records: Vec<StoredRecord> = export.records().unwrap().map_while(Result::ok).collect();
        assert_eq!(records, written[..records.len()]);
    });
}
