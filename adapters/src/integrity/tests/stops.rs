//! Where commits could be lost, nothing is touched and a person is told what there is to decide.

use super::world::World;
use crate::integrity::Source;
use crate::integrity::compare::Corruption;
use crate::integrity::plan::Plan;
use std::fs;

#[track_caller]
fn assert_stops(world: &World, corruption: Corruption, expected: &str) {
    let found = world.compare();
    assert_eq!(found.corruption(), corruption, "{found:?}");
    match world.plan(&found) {
        Plan::Stop(why) => assert!(why.join("; ").contains(expected), "{why:?}"),
        other => panic!("{other:?}: {found:?}"),
    }
}

const PRIMARY: Corruption = Corruption::One(Source::Primary);
const HURT: &str = "UPDATE commit_record SET bytes = zeroblob(70) WHERE position = 3";

#[test]
fn several_damaged_copies_stop_for_a_person() {
    let hurt = |path: std::path::PathBuf| {
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    let replica = |world: &World| {
        fs::read_dir(world.replica())
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path()
    };
    for which in [
        [true, true, false],
        [true, false, true],
        [false, true, true],
        [true; 3],
    ] {
        let world = World::fresh();
        if which[0] {
            world.sql(HURT);
        }
        if which[1] {
            hurt(replica(&world));
        }
        if which[2] {
            hurt(world.export());
        }
        assert_stops(&world, Corruption::Multiple, "more than one copy is wrong");
    }
}

#[test]
fn two_journals_that_both_verify_are_not_decided_between_without_a_third() {
    let mut world = World::fresh();
    world.write_anew(7);
    world.forget_heads();
    world.uses(true, false);
    assert_stops(&world, Corruption::Multiple, "more than one copy is wrong");
}

#[test]
fn a_copy_that_does_not_reach_what_was_signed_restores_nothing() {
    // Cut behind the end of the copies: they do not have what is missing.
    let mut world = World::fresh();
    world.grow(4);
    world.sign();
    world.cut(14);
    assert_stops(&world, PRIMARY, "a signed head of commit 16 exists");
    let mut world = World::fresh();
    world.grow(4);
    world.sign();
    world.cut(10);
    assert_stops(&world, PRIMARY, "a signed head of commit 16 exists");
}

#[test]
fn commits_behind_the_copies_that_nothing_connects_are_not_dropped() {
    // Not signed for yet: only the journal itself knows that it had them.
    let mut world = World::fresh();
    world.grow(3);
    world.sql("UPDATE commit_record SET bytes = zeroblob(70) WHERE position = 14");
    assert_stops(&world, PRIMARY, "has records behind it");
    let mut world = World::fresh();
    world.grow(3);
    world.sql("UPDATE commit_record SET bytes = zeroblob(70) WHERE position = 15");
    assert_stops(&world, PRIMARY, "has records behind it");
    let mut world = World::fresh();
    world.grow(3);
    world.sql("DELETE FROM commit_record WHERE position = 15");
    assert_stops(&world, PRIMARY, "the journal itself went on to commit 15");
}

#[test]
fn without_a_copy_or_without_a_known_end_nothing_is_restored() {
    let mut world = World::fresh();
    world.uses(false, false);
    world.sql(HURT);
    assert_stops(&world, PRIMARY, "no other copy was given");

    let world = World::fresh();
    world.sql(HURT);
    fs::remove_file(world.data().join("audit_key.secret")).unwrap();
    assert_stops(&world, PRIMARY, "no key to check them with");

    let mut world = World::fresh();
    world.uses(true, false);
    world.forget_heads();
    world.remove_journal();
    assert_stops(&world, PRIMARY, "nothing says whether commit 12 is the last one");
}

#[test]
fn a_newest_head_that_may_be_hidden_stops_every_repair() {
    let world = World::fresh();
    world.sql(HURT);
    let file = fs::read_dir(world.heads())
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let mut text = fs::read_to_string(&file).unwrap();
    text.push_str("something else\n");
    fs::write(&file, text).unwrap();
    assert_stops(&world, PRIMARY, "may be hidden");
    assert_eq!(world.compare().bad_heads.len(), 1);
}

#[test]
fn an_end_that_only_the_note_of_the_replica_knows_of_is_missed() {
    let mut world = World::fresh();
    world.grow(3);
    world.follow();
    fs::remove_dir_all(world.replica()).unwrap();
    world.cut(12);
    world.uses(false, true);
    assert_stops(&world, PRIMARY, "the replica had commit 15");
}

#[test]
fn a_journal_that_cannot_be_read_but_has_a_log_may_have_more_than_anybody_heard_of() {
    let world = World::fresh();
    world.remove_journal();
    fs::write(world.data().join("journal.db-wal"), [1; 100]).unwrap();
    assert_stops(&world, PRIMARY, "its log may have commits");
}

/// A replica of fifteen commits, and a journal of `end` that is another one from commit 8 on. Nothing was signed.
fn fork(end: u64) -> World {
    let mut world = World::fresh();
    world.grow(3);
    world.follow();
    world.cut(7);
    world.grow(end - 7);
    world.forget_heads();
    world.uses(true, false);
    world
}

#[test]
fn a_longer_copy_that_is_a_fork_is_never_believed_where_nothing_was_signed() {
    const OTHER: &str = "is another one than they are";
    assert_stops(&fork(12), Corruption::Multiple, "more than one copy is wrong");
    // Damage before the fork hides it from a walk that ends there.
    let damages = [
        HURT,
        // The records of the fork are damaged too, but not the noted end.
        "UPDATE commit_record SET bytes = zeroblob(70) WHERE position IN (3, 8, 9, 10, 11, 12)",
        "DELETE FROM commit_record WHERE position > 2",
        // Nor is what follows worth less where the noted end is damaged.
        "UPDATE commit_record SET bytes = zeroblob(70) WHERE position = 3; UPDATE shard_head SET hash = zeroblob(32)",
    ];
    for damage in damages {
        for end in [8, 12, 15] {
            let world = fork(end);
            world.sql(damage);
            assert_stops(&world, PRIMARY, OTHER);
        }
    }
    // What only lost its end, or is only damaged, is restored from a longer copy as before.
    for damage in [HURT, "DELETE FROM commit_record WHERE position > 2"] {
        let mut world = World::fresh();
        world.grow(3);
        world.follow();
        let whole = world.journal();
        world.cut(12);
        world.forget_heads();
        world.uses(true, false);
        world.sql(damage);
        world.repair(Source::Primary);
        assert_eq!(world.journal(), whole, "{damage}");
    }
}
