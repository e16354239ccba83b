//! Merchants' credentials on two nodes of one database: whoever takes the other one's place charges under what was put last, and a copy has it.

use crate::credentials::{CONFIGURED, FIRST, SECOND, charged_with, path, send_to};
use crate::deployment::sale;
use crate::takeover::{Pair, keys, taking_payments};
use crate::takeover_stores::pair_with_kek;
use serde_json::{Value, json};
use std::fs;

/// A merchant of the pair, its key and an operator's.
struct Shop {
    merchant: String,
    key: String,
    operator: String,
}

impl Shop {
    fn new(pair: &Pair) -> Self {
        let (_, operator) = keys(pair);
        let merchant = pair.run(0, &["merchant", "create", "--name", "Own account"]);
        let key = pair.run(0, &["key", "create", "--merchant", &merchant]);
        Self {
            merchant,
            key,
            operator,
        }
    }

    #[track_caller]
    fn puts(&self, pair: &Pair, node: usize, (secret, version): (&str, u64)) {
        let path = path(&self.merchant, "stripe");
        let body = json!({"secret_key": secret});
        let answer = send_to(pair.addresses[node], &self.operator, ("PUT", &path), &body);
        assert_eq!(answer.expect(200).json()["version"], version);
    }

    #[track_caller]
    fn retires(&self, pair: &Pair, node: usize, version: u64) {
        let path = format!("{}?version={version}", path(&self.merchant, "stripe"));
        let answer = send_to(
            pair.addresses[node],
            &self.operator,
            ("DELETE", &path),
            &Value::Null,
        );
        answer.expect(200);
    }

    /// Under which key a payment is charged now.
    #[track_caller]
    fn is_charged_under(&self, pair: &Pair, node: usize, key: &str) -> &'static str {
        let answer = pair.caller(node, &self.key).pay(key, &sale(1_000, "USD"));
        let payment = answer.expect(200).json();
        let id = payment["id"].as_str().unwrap();
        charged_with(&pair.charges(), pair.elsewhere.path(), id, "sale")
    }
}

#[test]
fn a_merchants_own_credentials_are_those_put_last_whichever_node_has_the_shards() {
    let pair = pair_with_kek();
    let shop = Shop::new(&pair);
    let first = pair.start_first(0);
    assert_eq!(shop.is_charged_under(&pair, 0, "before"), CONFIGURED);
    shop.puts(&pair, 0, (FIRST, 1));
    assert_eq!(shop.is_charged_under(&pair, 0, "first"), FIRST);
    let mut second = pair.start_second(1);
    assert!(!pair.folders[1].path().join("credentials").exists());
    first.kill_9();
    second.says("that it takes payments", taking_payments);
    assert_eq!(shop.is_charged_under(&pair, 1, "taken over"), FIRST);

    shop.puts(&pair, 1, (SECOND, 2));
    shop.retires(&pair, 1, 1);
    assert_eq!(shop.is_charged_under(&pair, 1, "rotated"), SECOND);
    let mut first = pair.start_second(0);
    second.stop();
    first.says("that it takes payments", taking_payments);
    assert_eq!(shop.is_charged_under(&pair, 0, "and back"), SECOND);
    // What was asked for before is not charged again under another one.
    let again = pair.caller(0, &shop.key).pay("first", &sale(1_000, "USD"));
    assert!(again.is_replay(), "{again:?}");
    assert_eq!(pair.charges().len(), 5);
    let name = format!("credentials/{}.sealed", shop.merchant);
    let files = [0, 1].map(|node| fs::read(pair.folders[node].path().join(&name)).unwrap());
    assert!(files[0] == files[1], "both folders have what the database has");
    first.stop();
    pair.provider.stop();
}

#[test]
fn credentials_move_into_a_database_and_a_copy_made_beside_a_node_that_waits_has_them() {
    let mut pair = pair_with_kek();
    pair.embedded();
    let shop = Shop::new(&pair);
    let node = pair.start_first(0);
    shop.puts(&pair, 0, (FIRST, 1));
    node.stop();
    pair.in_database();
    let moved = pair.run(0, &["migrate-store", "--to", "postgres"]);
    assert!(moved.contains("rows of the stores"), "{moved}");
    let first = pair.start_first(0);
    assert_eq!(shop.is_charged_under(&pair, 0, "in the database"), FIRST);
    shop.puts(&pair, 0, (SECOND, 2));

    // Of the folder of a node that never had them.
    let second = pair.start_second(1);
    fs::copy(
        pair.folders[0].path().join("provider_keys.secret"),
        pair.folders[1].path().join("provider_keys.secret"),
    )
    .unwrap();
    let copy = pair.elsewhere.path().join("copy");
    pair.run(1, &["backup", "--out", copy.to_str().unwrap()]);
    second.stop();
    first.stop();
    // And into the folder that never had them.
    pair.run(1, &["migrate-store", "--to", "embedded"]);
    pair.embedded();
    let node = pair.start_first(1);
    assert_eq!(shop.is_charged_under(&pair, 1, "back"), SECOND);
    node.stop();
    pair.folders[0] = tempfile::tempdir().unwrap();
    pair.run(0, &["restore", "--from", copy.to_str().unwrap()]);
    let node = pair.start_first(0);
    assert_eq!(shop.is_charged_under(&pair, 0, "restored"), SECOND);
    node.stop();

    // The way to another key-encryption key.
    pair.in_database();
    let refused = pair.refused(1, &["secrets", "rotate-kek"]);
    assert!(
        refused.contains("florin migrate-store --to embedded"),
        "{refused}"
    );
    pair.embedded();
    let rotated = pair.run(1, &["secrets", "rotate-kek"]);
    assert!(rotated.contains("wrapped anew"), "{rotated}");
    pair.in_database();
    pair.run(1, &["migrate-store", "--to", "postgres"]);
    let node = pair.start_first(1);
    assert_eq!(shop.is_charged_under(&pair, 1, "rotated"), SECOND);
    node.stop();
    pair.provider.stop();
}
