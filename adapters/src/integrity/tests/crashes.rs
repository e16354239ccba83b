//! A repair that ends before any of its steps leaves the damaged journal or the restored one, and the next repair ends well.

use super::world::World;
use crate::audit::key::SigningKey;
use crate::integrity::compare::compare;
use crate::integrity::mend::{Repair, Step, Work, mend};
use crate::integrity::plan::{Plan, plan};
use crate::integrity::{Places, Source, unfinished};
use florin_domain::ids::Seq;
use std::io;

const STEPS: [Step; 11] = [
    Step::Note,
    Step::Build,
    Step::Verify,
    Step::Keep,
    Step::DiscardViews,
    Step::DiscardKeys,
    Step::DiscardSnapshots,
    Step::FoldLog,
    Step::Replace,
    Step::Sync,
    Step::Finish,
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

fn killed_at(crash: Step, step: Step) -> io::Result<()> {
    if step == crash {
        return Err(io::Error::other("the process was killed"));
    }
    Ok(())
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
        let ended = world.mend_until(&before, &mending, "first", &mut |step| {
            met.push(step);
            killed_at(crash, step)
        });
        assert!(ended.is_err());
        assert_eq!(met, STEPS[..met.len()]);
        let is_noted = unfinished::is_noted(&world.data()).unwrap();
        assert_eq!(is_noted, crash != Step::Note, "{crash:?}");
        let left = world.compare();
        if matches!(crash, Step::Sync | Step::Finish) {
            assert!(left.is_valid(), "{crash:?}: {left:?}");
            assert_eq!(world.journal(), restored);
            continue;
        }
        assert_eq!(left.sources, before.sources, "{crash:?}: the old one");
        world.repair(Source::Primary);
        assert!(!unfinished::is_noted(&world.data()).unwrap(), "{crash:?}");
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

#[test]
fn a_repair_of_copies_or_views_that_is_killed_is_noted_and_ends_well_the_next_time() {
    let replica: fn(&World) = |world| {
        let file = std::fs::read_dir(world.replica())
            .unwrap()
            .next()
            .unwrap()
            .unwrap();
        let mut bytes = std::fs::read(file.path()).unwrap();
        bytes[400] ^= 1;
        std::fs::write(file.path(), bytes).unwrap();
    };
    let export: fn(&World) = |world| {
        let mut bytes = std::fs::read(world.export()).unwrap();
        bytes.truncate(bytes.len() / 2);
        std::fs::write(world.export(), bytes).unwrap();
    };
    let views: fn(&World) = |world| {
        world.make_views();
        world.views_sql("DELETE FROM payment WHERE seq > 9");
    };
    let cases = [
        (
            replica,
            &[
                Step::Note,
                Step::SetReplicaAside,
                Step::WriteReplica,
                Step::Finish,
            ][..],
        ),
        (export, &[Step::Note, Step::RenewExport, Step::Finish][..]),
        (views, &[Step::Note, Step::DiscardWrongViews, Step::Finish][..]),
    ];
    for (hurt, steps) in cases {
        for crash in steps {
            let world = World::fresh();
            hurt(&world);
            let before = world.compare();
            let Plan::Mend(mending) = world.plan(&before) else {
                panic!("it can be repaired");
            };
            let mut met = Vec::new();
            let ended = world.mend_until(&before, &mending, "first", &mut |step| {
                met.push(step);
                killed_at(*crash, step)
            });
            assert!(ended.is_err());
            assert_eq!(met, steps[..met.len()]);
            let is_noted = unfinished::is_noted(&world.data()).unwrap();
            assert_eq!(is_noted, *crash != Step::Note, "{crash:?}");
            let left = world.compare();
            match world.plan(&left) {
                Plan::Nothing => unfinished::clear(&world.data()).unwrap(),
                Plan::Mend(mending) => drop(world.mend(&left, &mending, "second").unwrap()),
                Plan::Stop(why) => panic!("{crash:?}: {why:?}"),
            }
            assert!(world.compare().is_valid(), "{crash:?}");
            assert!(!unfinished::is_noted(&world.data()).unwrap(), "{crash:?}");
        }
    }
}

#[test]
fn a_folder_that_is_gone_is_made_again_with_the_journal_of_its_copies() {
    let world = World::fresh();
    let whole = world.journal();
    let key = SigningKey::load(&world.data()).unwrap().public();
    std::fs::remove_dir_all(world.data()).unwrap();
    let root = tempfile::tempdir().unwrap();
    world.at(|places| {
        let places = Places {
            key: Some(key),
            ..*places
        };
        let found = compare(&places).unwrap();
        assert_eq!(found.fault(Source::Primary).unwrap().seq, Some(Seq(1)));
        assert!(!world.data().exists(), "comparing makes nothing");
        let Plan::Mend(mending) = plan(&places, &found).unwrap() else {
            panic!("it can be repaired");
        };
        let works = [Work {
            places,
            found: &found,
            mending: &mending,
        }];
        let repair = Repair {
            data_dir: root.path(),
            works: &works,
            stamp: "first",
        };
        mend(&repair, &mut |_| Err(io::Error::other("no export")), &mut |_| {
            Ok(())
        })
        .unwrap();
        assert!(compare(&places).unwrap().is_valid());
    });
    assert_eq!(world.journal(), whole);
}
