//! Snapshots that were changed: as they lie in the folder, and with a digest that fits, as a later build with a mistake might write them.

use super::tests::snapshot;
use super::*;
use florin_fuzz::{Target, any_of};

/// A file without its digest: the snapshot as it is written now, and what earlier builds wrote of it.
fn sealed() -> Vec<Vec<u8>> {
    let snapshot = snapshot(120);
    // With credentials that form is not read any more.
    let mut bare = snapshot.clone();
    bare.control.credentials.clear();
    let form = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = MARK.to_vec();
        write(&mut bytes);
        bytes
    };
    vec![
        form(&|out| schema::write(&snapshot.store(), out)),
        form(&|out| schema::write(&UnversionedSnapshotDto::of(&snapshot), out)),
        form(&|out| schema::write(&UntimedSnapshotDto::of(&bare), out)),
        form(&|out| schema::write(&OneKeySnapshotDto::of(&snapshot), out)),
        form(&|out| schema::write(&UnwatchedSnapshotDto::of(&snapshot), out)),
        form(&|out| schema::write(&OneShardSnapshotDto::of(&snapshot), out)),
        form(&|out| schema::write(&EarlierSnapshotDto::of(&snapshot), out)),
        form(&|out| schema::write(&EarliestSnapshotDto::of(&snapshot), out)),
    ]
}

#[test]
fn snapshots_are_read_or_refused() {
    let whole = sealed();
    let seeds = any_of(whole.clone());
    Target::of_bytes("snapshot", seeds).cases(6_000).run(|bytes| {
        assert!(unseal(bytes).is_err(), "there is no digest");
        let mut file = bytes.to_vec();
        file.extend_from_slice(&Sha256::digest(bytes));
        match unseal(&file) {
            Ok(snapshot) => {
                let again = unseal(&seal(&snapshot));
                assert_eq!(again, Ok(snapshot), "what was read is not written as it was");
            }
            Err(why) => assert!(!why.is_empty() && !whole.iter().any(|whole| whole == bytes)),
        }
    });
}
