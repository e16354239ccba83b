//! Three sources on real files: damage of every kind is found, blamed on the right one, and repaired to the same bytes, or left to a person.

mod crashes;
mod properties;
mod shared;
mod stops;
mod world;

use super::Source;
use super::compare::{Corruption, FaultKind};
use super::plan::Plan;
use florin_domain::ids::Seq;
use world::World;

#[test]
fn three_sources_that_agree_are_valid() {
    let world = World::fresh();
    let found = world.compare();
    assert!(found.is_valid(), "{found:?}");
    assert_eq!(found.corruption(), Corruption::None);
    let records: Vec<(Source, u64)> = found
        .sources
        .iter()
        .map(|report| (report.source, report.records.0))
        .collect();
    let all = World::COMMITS;
    assert_eq!(
        records,
        [
            (Source::Primary, all),
            (Source::Replica, all),
            (Source::Audit, all)
        ]
    );
    assert!(found.sources.windows(2).all(|pair| pair[0].hash == pair[1].hash));
    assert_eq!(found.signed, Some(Seq(all)));
    assert_eq!(world.plan(&found), Plan::Nothing);
}

#[test]
fn a_copy_that_is_late_is_not_wrong_and_repairs_what_it_has() {
    let mut world = World::fresh();
    world.grow(5);
    world.sign();
    let found = world.compare();
    assert!(found.is_valid(), "{found:?}");
    // Damage in the part that the copies have costs none of the commits behind their end.
    let before = world.journal();
    world.sql("UPDATE commit_record SET bytes = zeroblob(70) WHERE position = 3");
    let found = world.compare();
    assert_eq!(found.corruption(), Corruption::One(Source::Primary));
    let fault = found.fault(Source::Primary).unwrap();
    assert_eq!((fault.seq, fault.kind), (Some(Seq(3)), FaultKind::Damaged));
    let Plan::Mend(mending) = world.plan(&found) else {
        panic!("it can be repaired");
    };
    let restoration = mending.primary.clone().unwrap();
    assert_eq!(restoration.mended, Some((1, Seq(3), Seq(3))));
    assert_eq!(restoration.taken[&Source::Primary], 5);
    world.mend(&found, &mending, "a").unwrap();
    assert_eq!(world.journal(), before);
    assert!(world.compare().is_valid());
}

#[test]
fn a_journal_whose_file_is_gone_is_restored_whole() {
    let world = World::fresh();
    let before = world.journal();
    world.remove_journal();
    world.repair(Source::Primary);
    assert_eq!(world.journal(), before);
}

#[test]
fn a_restored_journal_can_be_written_on_and_its_old_one_is_kept() {
    let mut world = World::fresh();
    world.sql("UPDATE commit_record SET bytes = zeroblob(70) WHERE position = 3");
    let damaged = std::fs::read(world.data().join("journal.db")).unwrap();
    let kept = world.repair(Source::Primary).kept;
    assert_eq!(std::fs::read(kept[0].join("journal.db")).unwrap(), damaged);
    world.grow(3);
    world.sign();
    world.follow();
    let found = world.compare();
    assert!(found.is_valid(), "{found:?}");
    assert_eq!(
        found.source(Source::Replica).unwrap().records,
        Seq(World::COMMITS + 3)
    );
}

#[test]
fn one_copy_is_enough_where_heads_were_signed() {
    for (replica, export) in [(true, false), (false, true)] {
        let mut world = World::fresh();
        world.uses(replica, export);
        let before = world.journal();
        world.cut(4);
        let found = world.compare();
        let fault = found.fault(Source::Primary).unwrap();
        assert_eq!((fault.seq, fault.kind), (Some(Seq(5)), FaultKind::Cut));
        world.repair(Source::Primary);
        assert_eq!(world.journal(), before);
    }
}

#[test]
fn a_journal_that_was_written_anew_is_told_by_what_was_signed() {
    let mut world = World::fresh();
    let before = world.journal();
    world.write_anew(7);
    let found = world.compare();
    assert_eq!(found.corruption(), Corruption::One(Source::Primary), "{found:?}");
    let fault = found.fault(Source::Primary).unwrap();
    assert_eq!((fault.seq, fault.kind), (Some(Seq(8)), FaultKind::Other));
    world.repair(Source::Primary);
    assert_eq!(world.journal(), before);

    // Without heads two copies outvote one, but the commits of the one would be lost unsaid.
    let mut world = World::fresh();
    world.write_anew(7);
    world.forget_heads();
    let found = world.compare();
    assert_eq!(found.corruption(), Corruption::One(Source::Primary), "{found:?}");
    let Plan::Stop(why) = world.plan(&found) else {
        panic!("only a person may decide");
    };
    assert!(why[0].contains("another one than the copies"), "{why:?}");
}

#[test]
fn views_that_are_not_the_fold_of_the_journal_are_counted_and_made_again() {
    let world = World::fresh();
    world.make_views();
    let views = world.compare().views.unwrap();
    assert_eq!(
        (views.watermark, views.payments, views.differences),
        (Seq(World::COMMITS), World::COMMITS, 0)
    );
    let cases = [
        ("UPDATE payment SET state = zeroblob(4) WHERE seq IN (2, 5)", 2),
        ("UPDATE payment SET seq = 3 WHERE seq = 4", 1),
        ("UPDATE payment SET seq = 400 WHERE seq = 4", 1),
        ("DELETE FROM payment WHERE seq > 9", 3),
        ("DROP TABLE payment", 1),
        ("DELETE FROM announced WHERE seq IN (2, 3)", 2),
        ("UPDATE announced SET kinds = x'04' WHERE seq = 3", 1),
        ("UPDATE announced SET first_number = 2 WHERE seq = 3", 1),
        ("UPDATE announced SET seq = 400 WHERE seq = 3", 1),
        (
            "INSERT INTO refund SELECT 1, zeroblob(16), id FROM payment WHERE seq = 3",
            1,
        ),
        ("DROP TABLE refund", 1),
        ("INSERT INTO moved VALUES (1, zeroblob(24), NULL, 0, 840)", 1),
        (
            "INSERT INTO moved_recent SELECT 1, zeroblob(24), id, 1, 840 FROM payment WHERE seq = 3",
            1,
        ),
        ("DROP TABLE moved", 1),
    ];
    for (sql, differences) in cases {
        let world = World::fresh();
        world.make_views();
        world.views_sql(sql);
        let found = world.compare();
        assert_eq!(found.views.as_ref().unwrap().differences, differences, "{sql}");
        assert!(!found.is_valid());
        assert_eq!(found.corruption(), Corruption::None);
        let Plan::Mend(mending) = world.plan(&found) else {
            panic!("{sql}: it can be repaired");
        };
        assert!(mending.views && mending.primary.is_none());
        world.mend(&found, &mending, "a").unwrap();
        let found = world.compare();
        assert!(
            found.is_valid() && found.views.is_none(),
            "the next start makes them"
        );
    }
}

#[test]
fn what_moved_and_refunds_under_another_merchant_or_mode_are_found() {
    let mut world = World::fresh();
    world.grow_by_moved(3);
    world.sign();
    world.follow();
    let views = |world: &World| world.compare().views.unwrap();
    world.make_views();
    assert_eq!(
        (views(&world).payments, views(&world).differences),
        (World::COMMITS + 3, 0)
    );
    let other_mode = "INSERT INTO tenant SELECT 9, merchant, 1 - livemode FROM tenant WHERE number = 1";
    let other_merchant = "INSERT INTO tenant SELECT 9, randomblob(16), livemode FROM tenant WHERE number = 1";
    for other in [other_mode, other_merchant] {
        for (sql, differences) in [
            ("UPDATE moved_recent SET tenant = 9 WHERE by = 0", 3),
            ("UPDATE moved_recent SET tenant = 9 WHERE by = 2", 3),
            ("UPDATE refund SET tenant = 9", 3),
            // As well as where it belongs.
            (
                "INSERT INTO refund SELECT 9, id, payment FROM refund ORDER BY id LIMIT 1",
                1,
            ),
            (
                "INSERT INTO moved SELECT 9, place, payment, by, currency FROM moved_recent WHERE by = 2 ORDER BY place LIMIT 2",
                2,
            ),
        ] {
            let world = world.copied();
            world.views_sql(other);
            world.views_sql(sql);
            assert_eq!(views(&world).differences, differences, "{other}; {sql}");
        }
    }
}

#[test]
fn entries_of_lists_that_are_not_what_their_payments_are_now_are_found() {
    let mut world = World::fresh();
    world.grow_by_moved(3);
    world.sign();
    world.follow();
    world.make_views();
    let differences = |world: &World| world.compare().views.unwrap().differences;
    assert_eq!(differences(&world), 0);
    // The first of them were moved on already.
    let one = "WHERE id = (SELECT min(id) FROM listed)";
    for (sql, count) in [
        (format!("UPDATE listed SET metadata = metadata + 1 {one}"), 1),
        (format!("UPDATE listed SET status = status % 10 + 1 {one}"), 1),
        (
            format!("UPDATE listed SET amount_minor = amount_minor + 1 {one}"),
            1,
        ),
        (format!("DELETE FROM listed {one}"), 1),
        (format!("INSERT INTO recent SELECT * FROM listed {one}"), 1),
        (
            format!(
                "INSERT INTO recent SELECT tenant, randomblob(16), status, currency, amount_minor, customer, metadata FROM listed {one}"
            ),
            1,
        ),
        (
            "DELETE FROM listed; DELETE FROM recent;".to_owned(),
            World::COMMITS + 3,
        ),
    ] {
        let world = world.copied();
        world.views_sql(&sql);
        assert_eq!(differences(&world), count, "{sql}");
    }
}

#[test]
fn views_are_compared_with_a_whole_copy_where_the_journal_is_damaged() {
    let world = World::fresh();
    world.make_views();
    world.sql("UPDATE commit_record SET bytes = zeroblob(70) WHERE position = 3");
    assert_eq!(world.compare().views.unwrap().differences, 0);
    world.views_sql("UPDATE payment SET state = zeroblob(4) WHERE seq = 3");
    assert_eq!(world.compare().views.unwrap().differences, 1);
}
