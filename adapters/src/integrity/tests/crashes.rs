//! A repair that ends before any of its steps leaves the damaged journal or the restored one, and the next repair ends well.

use super::world::{SHARD, World};
use crate::audit::key::{PublicKey, SigningKey};
use crate::integrity::compare::compare;
use crate::integrity::lost::KnownEnd;
use crate::integrity::mend::{Repair, Step, Work, mend};
use crate::integrity::plan::{Mending, Plan, plan};
use crate::integrity::{Places, Source, unfinished};
use crate::journal::SqliteJournal;
use florin_domain::ids::Seq;
use std::io;

const STEPS: [Step; 11] = [
    Step::Build,
    Step::Verify,
    Step::Note,
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
        let is_untouched = matches!(crash, Step::Build | Step::Verify | Step::Note);
        assert_eq!(is_noted, !is_untouched, "{crash:?}");
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
fn a_repair_of_views_that_is_killed_is_noted_and_one_of_copies_is_not_and_both_end_well_the_next_time() {
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
            &[Step::SetReplicaAside, Step::WriteReplica, Step::Finish][..],
        ),
        (export, &[Step::RenewExport, Step::Finish][..]),
        (views, &[Step::Note, Step::DiscardWrongViews, Step::Finish][..]),
    ];
    for (hurt, steps) in cases {
        // A node may run without a copy: only work on its own files is noted.
        let noted_from = steps.iter().position(|step| *step == Step::Note);
        for (number, crash) in steps.iter().enumerate() {
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
            assert_eq!(
                is_noted,
                noted_from.is_some_and(|noted| number > noted),
                "{crash:?}"
            );
            assert_eq!(
                world.compare().may_run(),
                noted_from.is_none() || *crash == Step::Finish
            );
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
fn a_repair_that_fails_before_anything_has_changed_stops_no_node() {
    let damaged = World::fresh();
    damaged.sql("UPDATE commit_record SET bytes = zeroblob(70) WHERE position = 3");
    let before = damaged.compare();
    let Plan::Mend(mending) = damaged.plan(&before) else {
        panic!("it can be repaired");
    };
    let full: fn(&World) = |world| {
        // Nothing can be written there.
        std::fs::create_dir(world.data().join("journal.db.restored")).unwrap();
    };
    let shrunk: fn(&World) = |world| std::fs::remove_file(world.export()).unwrap();
    let wrong = Mending {
        primary: mending.primary.clone().map(|mut planned| {
            planned.hash = [7; 32];
            planned
        }),
        ..mending.clone()
    };
    let nothing: fn(&World) = |_| {};
    for (hinder, mending) in [(full, &mending), (shrunk, &mending), (nothing, &wrong)] {
        let world = damaged.copied();
        let journal = std::fs::read(world.data().join("journal.db")).unwrap();
        hinder(&world);
        world.mend(&before, mending, "first").unwrap_err();
        assert!(!unfinished::is_noted(&world.data()).unwrap());
        assert_eq!(std::fs::read(world.data().join("journal.db")).unwrap(), journal);
        assert!(
            !world.data().join("journal.db.restored").is_file(),
            "what was built in vain takes no room"
        );
    }
    // There is room for the journal, and none for the note.
    let world = damaged.copied();
    let note = world.data().join(unfinished::FILE).with_extension("new");
    std::os::unix::fs::symlink("/dev/full", note).unwrap();
    world.mend(&before, &mending, "first").unwrap_err();
    assert!(!unfinished::is_noted(&world.data()).unwrap());
    assert_eq!(world.compare().sources, before.sources);
}

#[test]
fn a_bad_line_among_older_heads_neither_hinders_a_repair_nor_is_mended_by_it() {
    let world = World::fresh();
    let whole = world.journal();
    world.hurt_oldest_head();
    world.sql("UPDATE commit_record SET bytes = zeroblob(70) WHERE position = 7");
    let found = world.compare();
    let Plan::Mend(mending) = world.plan(&found) else {
        panic!("it can be repaired: {found:?}");
    };
    world.mend(&found, &mending, "first").unwrap();
    assert!(!unfinished::is_noted(&world.data()).unwrap());
    assert_eq!(world.journal(), whole);
    let left = world.compare();
    assert!(left.agrees() && left.may_run() && !left.is_valid(), "{left:?}");
    assert_eq!(left.bad_heads.len(), 1);
    assert_eq!(world.plan(&left), Plan::Nothing);
}

/// What is planned for a journal whose folder is gone.
fn planned(world: &World, key: PublicKey, end: KnownEnd) -> Plan {
    world.at(|places| {
        let key = places.key.is_none().then_some(key).or(places.key);
        let places = Places { key, ..*places };
        plan(&places, &compare(&places).unwrap(), end).unwrap()
    })
}

#[test]
fn a_folder_that_is_gone_is_restored_only_where_its_end_is_known_or_given_up() {
    let all = Some(Seq(World::COMMITS));
    let lose: [fn(&World); 3] = [
        |world| std::fs::remove_dir_all(world.data()).unwrap(),
        |world| {
            // A disk that is not mounted.
            std::fs::remove_dir_all(world.data()).unwrap();
            std::fs::create_dir_all(world.data().join("lost+found")).unwrap();
        },
        |world| {
            // And a node has begun another journal there.
            std::fs::remove_dir_all(world.data()).unwrap();
            std::fs::create_dir(world.data()).unwrap();
            drop(SqliteJournal::open(&world.data(), SHARD).unwrap());
        },
    ];
    for lose in lose {
        let world = World::fresh();
        let key = SigningKey::load(&world.data()).unwrap().public();
        lose(&world);
        let known = |stopped_at, is_accepted| KnownEnd {
            stopped_at,
            is_accepted,
        };
        for stopped_at in [None, Some(Seq(World::COMMITS - 1)), Some(Seq(World::COMMITS + 1))] {
            let Plan::Stop(why) = planned(&world, key, known(stopped_at, false)) else {
                panic!("{stopped_at:?}: the journal may have gone on");
            };
            assert!(
                why[0].contains("`--accept-missing 0` restores the shard up to commit 12"),
                "{why:?}"
            );
        }
        for end in [known(all, false), known(None, true)] {
            let plan = planned(&world, key, end);
            assert!(matches!(plan, Plan::Mend(_)), "{plan:?}");
        }
        // A note that nothing signed confirms is not enough.
        std::fs::remove_dir_all(world.heads()).unwrap();
        let mut world = world;
        world.uses(true, false);
        assert!(matches!(planned(&world, key, known(all, false)), Plan::Stop(_)));
        assert!(matches!(planned(&world, key, known(all, true)), Plan::Mend(_)));
    }
    // Not even a person gives up what was signed for.
    let mut world = World::fresh();
    world.grow(2);
    world.sign();
    let key = SigningKey::load(&world.data()).unwrap().public();
    std::fs::remove_dir_all(world.data()).unwrap();
    let end = KnownEnd {
        is_accepted: true,
        ..KnownEnd::default()
    };
    let Plan::Stop(why) = planned(&world, key, end) else {
        panic!("commits that were signed for would be lost");
    };
    assert!(why[0].contains("a signed head of commit 14 exists"), "{why:?}");
}

#[test]
fn a_folder_that_is_gone_is_made_again_with_the_journal_of_its_copies() {
    for crash in [
        None,
        Some(Step::Verify),
        Some(Step::PlaceFolder),
        Some(Step::Keep),
        Some(Step::Replace),
    ] {
        assert_folder_is_made_again(crash);
    }
}

#[track_caller]
fn assert_folder_is_made_again(crash: Option<Step>) {
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
        let end = KnownEnd {
            stopped_at: Some(Seq(World::COMMITS)),
            ..KnownEnd::default()
        };
        let Plan::Mend(mending) = plan(&places, &found, end).unwrap() else {
            panic!("it can be repaired");
        };
        let works = [Work {
            places,
            found: &found,
            mending: &mending,
        }];
        if let Some(crash) = crash {
            let repair = Repair {
                data_dir: root.path(),
                works: &works,
                stamp: "killed",
            };
            let mut no_export = |_: &std::path::Path| Err(io::Error::other("no export"));
            mend(&repair, &mut no_export, &mut |step| killed_at(crash, step)).unwrap_err();
            // No node takes a folder for the shard's before it is noted that a repair is under way.
            let is_noted = unfinished::is_noted(root.path()).unwrap();
            assert_eq!(is_noted, crash != Step::Verify, "{crash:?}");
            let is_there = matches!(crash, Step::Keep | Step::Replace);
            assert_eq!(world.data().exists(), is_there, "{crash:?}");
            let again = plan(&places, &found, end).unwrap();
            assert_eq!(again, Plan::Mend(mending.clone()), "{crash:?}");
            let unknown = plan(&places, &found, KnownEnd::default()).unwrap();
            assert!(
                matches!(unknown, Plan::Stop(_)),
                "{crash:?}: it is still as good as gone"
            );
        }
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
