//! A node that is copied while it takes payments, killed, and made again from the copy.

use crate::deployment::assert_balanced;
use crate::deployment::sale;
use crate::migrate_store::Kept;
use crate::recovery::Load;
use crate::takeover::{Pair, keys, taking_payments};
use crate::takeover_stores::pair_with_kek;

/// Copies the first node under load and kills it; the second folder is made from the copy, and runs with its journal in it.
fn killed_and_restored(pair: &mut Pair) {
    let (key, operator) = keys(pair);
    std::fs::remove_file(pair.folders[1].path().join("audit_key.secret")).unwrap();
    let mut node = pair.start_first(0);
    let before = pair.caller(0, &key);
    let kept = Kept::make(&before);
    let load = Load::start(pair.addresses[0], &key);
    load.wait_for_more(40);
    let copy = pair.elsewhere.path().join("copy");
    let out = copy.to_str().unwrap().to_owned();
    let told = pair.run(0, &["backup", "--out", &out]);
    assert!(told.contains("shard 0 up to commit"), "{told}");
    load.wait_for_more(10);
    assert!(!node.has_ended());
    node.kill_9();

    pair.embedded();
    let told = pair.run(1, &["restore", "--from", &out]);
    assert!(told.contains("shard 0 up to commit"), "{told}");
    let again = pair.refused(1, &["restore", "--from", &out]);
    assert!(again.contains("not empty"), "{again}");
    let verified = pair.run(1, &["audit", "verify"]);
    assert!(verified.contains("commits are whole"), "{verified}");
    let mut node = pair.start(1);
    node.says("that it takes payments", taking_payments);
    // Whoever had no answer asks there again.
    load.move_to(pair.addresses[1]);
    load.wait_for_more(40);
    drop(load.finish());
    let after = pair.caller(1, &key);
    kept.assert_kept(&after, "restored");
    after.pay("goes on", &sale(300, "USD")).expect(200);
    assert_balanced(&pair.caller(1, &operator));
    node.stop();
}

#[test]
fn a_node_is_made_again_from_a_copy_that_was_taken_under_load() {
    let mut pair = pair_with_kek();
    pair.embedded();
    killed_and_restored(&mut pair);
    pair.provider.stop();
}

#[test]
fn a_node_is_made_again_from_a_copy_of_a_database_that_was_taken_under_load() {
    let mut pair = pair_with_kek();
    killed_and_restored(&mut pair);
    pair.provider.stop();
}
