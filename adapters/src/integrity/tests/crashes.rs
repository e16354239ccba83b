//! A repair that ends before any of its steps leaves the damaged journal or the restored one, and the next repair ends well.

use super::world::World;
use crate::integrity::Source;
use crate::integrity::mend::{Step, mend};
use crate::integrity::plan::Plan;
use florin_domain::ids::Seq;
use std::io;

const STEPS: [Step; 9] = [
    Step::Build,
    Step::Verify,
    Step::Keep,
    Step::DiscardViews,
    Step::DiscardKeys,
    Step::DiscardSnapshots,
    Step::FoldLog,
    Step::Replace,
    Step::Sync,
];

/// Has a log that is not folded in, as a crash leaves it.
fn with_a_log(world: &World) -> World {
    let connection = rusqlite::Connection::open(world.data().join("journal.db")).unwrap();
    connection
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0")
        .unwrap();
    connection
        .execute(
            "UPDATE commit_record SET bytes = zeroblob(70) WHERE position = 3",
            [],
        )
        .unwrap();
    // Copied while it is open, so that nobody folds the log.
    let crashed = world.copied();
    assert!(
        std::fs::metadata(crashed.data().join("journal.db-wal"))
            .unwrap()
            .len()
            > 0
    );
    crashed
}

#[test]
fn a_crash_before_any_step_leaves_the_old_journal_or_the_new_one() {
    let whole = World::fresh();
    whole.make_views();
    for name in ["keys", "snapshots"] {
        std::fs::create_dir(whole.data().join(name)).unwrap();
        std::fs::write(whole.data().join(name).join("file"), "derived").unwrap();
    }
    let restored = whole.journal();
    let damaged = with_a_log(&whole);
    let before = damaged.compare();
    let Plan::Mend(mending) = damaged.plan(&before) else {
        panic!("it can be repaired");
    };
    for crash in STEPS {
        let world = damaged.copied();
        let mut met = Vec::new();
        let ended = world.at(|places| {
            mend(places, &before, &mending, "first", &mut |step| {
                met.push(step);
                if step == crash {
                    return Err(io::Error::other("the process was killed"));
                }
                Ok(())
            })
        });
        assert!(ended.is_err());
        assert_eq!(met, STEPS[..met.len()]);
        let left = world.compare();
        if crash == Step::Sync {
            assert!(left.is_valid(), "{crash:?}: {left:?}");
            assert_eq!(world.journal(), restored);
            continue;
        }
        assert_eq!(left.sources, before.sources, "{crash:?}: the old one");
        world.repair(Source::Primary);
        assert_eq!(world.journal(), restored, "{crash:?}");
        for name in [
            "keys",
            "snapshots",
            "views.db",
            "journal.db.restored",
            "journal.db-wal",
        ] {
            assert!(!world.data().join(name).exists(), "{crash:?}: {name}");
        }
    }
}

#[test]
fn what_was_damaged_is_kept_with_its_log() {
    let damaged = with_a_log(&World::fresh());
    let before = damaged.compare();
    let kept = damaged.repair(Source::Primary).kept;
    // Whoever looks at it sees the same damage.
    std::fs::remove_file(damaged.data().join("journal.db")).unwrap();
    for name in ["journal.db", "journal.db-wal"] {
        std::fs::copy(kept[0].join(name), damaged.data().join(name)).unwrap();
    }
    let again = damaged.compare();
    assert_eq!(again.fault(Source::Primary).unwrap().seq, Some(Seq(3)));
    assert_eq!(again.sources, before.sources);
}
