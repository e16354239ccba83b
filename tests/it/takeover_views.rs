//! Two nodes that keep the payments view in their database: whoever takes the shards goes on with what is there, and whoever lost them changes nothing.

use crate::deployment::{Caller, sale};
use crate::process::{Process, wait_for};
use crate::takeover::{Pair, keys, taking_payments};
use serde_json::Value;

/// Exit code of a process that must not go on.
const FATAL: i32 = 70;

fn nodes() -> Pair {
    let mut pair = Pair::new();
    pair.more.push(("FLORIN_DATABASE_VIEWS", "database".to_owned()));
    pair
}

fn number(pair: &Pair, sql: &str) -> u64 {
    pair.database.query(sql).unwrap().trim().parse().unwrap()
}

fn viewed(pair: &Pair) -> u64 {
    number(pair, "SELECT watermark FROM florin.view_progress")
}

/// Waits until the view has all that the journal has; says up to where.
#[track_caller]
fn wait_for_view(pair: &Pair) -> u64 {
    wait_for("the view to have everything", || {
        let head = number(pair, "SELECT head FROM florin.shard");
        (viewed(pair) == head).then_some(head)
    })
}

/// From which commit a node goes on with the view.
fn goes_on_from(line: &str) -> Option<u64> {
    let line: Value = serde_json::from_str(line).ok()?;
    let message = "the payments view in the database goes on from a commit that it has";
    (line["fields"]["message"] == message)
        .then(|| line["fields"]["commit"].as_u64())
        .flatten()
}

#[track_caller]
fn going_on(node: &mut Process) -> u64 {
    let from = node.says("from where the view goes on", goes_on_from);
    node.says("that it takes payments", taking_payments);
    from
}

fn listed(caller: &Caller) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let page = caller.read("/v1/payments?limit=100");
    let payments = page["data"].as_array().unwrap().iter();
    payments
        .map(|payment| (text(&payment["id"]), text(&payment["status"])))
        .collect()
}

#[track_caller]
fn pay(caller: &Caller, keys: std::ops::Range<u32>) {
    for key in keys {
        caller.pay(&format!("k{key}"), &sale(500, "USD")).expect(200);
    }
}

#[test]
fn a_node_with_an_empty_folder_goes_on_where_the_view_of_the_killed_one_stands() {
    let pair = nodes();
    let (key, _) = keys(&pair);
    let first = pair.start_first(0);
    let (east, west) = (pair.caller(0, &key), pair.caller(1, &key));
    pay(&east, 0..12);
    let told = listed(&east);
    assert_eq!(told.len(), 12);
    let head = wait_for_view(&pair);
    first.kill_9();

    let mut second = pair.start(1);
    assert_eq!(going_on(&mut second), head, "nothing is read again");
    assert_eq!(listed(&west), told);
    pay(&west, 12..15);
    assert_eq!(listed(&west).len(), 15);
    wait_for_view(&pair);
    second.stop();
    for folder in &pair.folders {
        assert!(!folder.path().join("views.db").exists());
    }
    pair.provider.stop();
}

#[test]
fn a_node_that_was_robbed_changes_nothing_of_the_view_that_another_one_goes_on_with() {
    let pair = nodes();
    let (key, _) = keys(&pair);
    let mut first = pair.start_first(0);
    let (east, west) = (pair.caller(0, &key), pair.caller(1, &key));
    pay(&east, 0..3);
    let before = wait_for_view(&pair);
    first.signal("-STOP");
    let mut second = pair.start(1);
    assert!(going_on(&mut second) >= before);
    pay(&west, 3..6);
    let told = listed(&west);
    let head = wait_for_view(&pair);
    let rows = "SELECT md5(string_agg(t::text, ';' ORDER BY id)) FROM (SELECT xmin, * FROM florin.view_payment) AS t";
    let kept = pair.database.query(rows).unwrap();
    first.signal("-CONT");
    let ended = wait_for("the end of the robbed node", || {
        first.has_ended().then(|| first.wait())
    });
    assert_eq!(ended.code(), Some(FATAL), "{:?}", first.said_so_far());
    assert_eq!(pair.database.query(rows).unwrap(), kept);
    assert_eq!((viewed(&pair), listed(&west)), (head, told));
    second.stop();
    pair.provider.stop();
}

#[test]
fn a_view_that_is_thrown_away_or_of_another_build_is_read_back_from_the_journal() {
    let pair = nodes();
    let (key, _) = keys(&pair);
    let first = pair.start_first(0);
    let (east, west) = (pair.caller(0, &key), pair.caller(1, &key));
    pay(&east, 0..5);
    let told = listed(&east);
    wait_for_view(&pair);
    first.stop();

    // What somebody has done to it by hand: it is shown as it is until it is made anew.
    let harm = "DELETE FROM florin.view_payment WHERE seq = (SELECT min(seq) FROM florin.view_payment);
                UPDATE florin.view_payment SET status = 'failed'";
    pair.database.query(harm).unwrap();
    let rebuilt = pair.run(1, &["views", "rebuild"]);
    let head = number(&pair, "SELECT head FROM florin.shard");
    assert!(
        rebuilt.contains(&format!("views rebuilt up to commit {head}")),
        "{rebuilt}"
    );
    let in_tables = "SELECT count(*) FROM florin.view_payment WHERE status = 'succeeded'";
    assert_eq!((viewed(&pair), number(&pair, in_tables)), (head, 5));
    let mut second = pair.start(1);
    assert_eq!(going_on(&mut second), head);
    assert_eq!(listed(&west), told);
    second.stop();

    pair.database.query(harm).unwrap();
    pair.database
        .query("UPDATE florin.view_progress SET form = form - 1")
        .unwrap();
    let second = pair.start_first(1);
    assert_eq!(listed(&west), told);
    wait_for_view(&pair);
    assert_eq!(number(&pair, in_tables), 5);
    second.stop();
    pair.provider.stop();
}
