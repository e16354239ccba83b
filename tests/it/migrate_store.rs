//! A node that outgrows its folder: `florin migrate-store` takes everything that it has kept into a database, and brings it back.

use crate::deployment::{Caller, assert_balanced, sale};
use crate::takeover::{Pair, keys, taking_payments};
use crate::takeover_stores::{card, id, made, pair_with_kek, pay_with};
use serde_json::{Value, json};

const URL: &str = "FLORIN_DATABASE_URL";

impl Pair {
    /// With the journal in the folder, whatever else is configured.
    pub(crate) fn embedded(&mut self) {
        self.more.push((URL, String::new()));
    }

    pub(crate) fn in_database(&mut self) {
        self.more.retain(|(name, _)| *name != URL);
    }

    pub(crate) fn refused(&self, node: usize, arguments: &[&str]) -> String {
        let finished = self.finished(node, arguments);
        assert!(!finished.status.success(), "{arguments:?}: {finished:?}");
        finished.stderr
    }
}

/// What a merchant has, and what was answered when it was made.
pub(crate) struct Kept {
    paid: String,
    method: Value,
    link: Value,
    endpoint: Value,
}

const LINK: &str = "/v1/payment_links";
const HOOKS: &str = "/v1/webhook_endpoints";

fn terms() -> Value {
    json!({"amount": 2_500, "currency": "EUR", "single_use": true})
}

fn hook() -> Value {
    json!({"url": "https://shop.example/hooks", "enabled_events": ["*"]})
}

impl Kept {
    pub(crate) fn make(caller: &Caller) -> Self {
        Self {
            paid: caller.pay("paid", &sale(500, "USD")).expect(200).text(),
            method: made(caller, "card", "/v1/payment_methods", &card()),
            link: made(caller, "link", LINK, &terms()),
            endpoint: made(caller, "hook", HOOKS, &hook()),
        }
    }

    /// That all of it is there, and that what was asked for before is not done again.
    pub(crate) fn assert_kept(&self, caller: &Caller, key: &str) {
        let again = caller.pay("paid", &sale(500, "USD")).expect(200);
        assert!(again.is_replay(), "{again:?}");
        assert_eq!(again.text(), self.paid);
        let charged = pay_with(caller, key, &self.method).expect(200).json();
        assert_eq!(charged["status"], "succeeded", "{charged}");
        assert_eq!(caller.read(&format!("{LINK}/{}", id(&self.link))), self.link);
        let kept = caller.read(&format!("{HOOKS}/{}", id(&self.endpoint)));
        assert_eq!(kept["url"], self.endpoint["url"]);
        for (key, path, body, first) in [
            ("link", LINK, terms(), &self.link),
            ("hook", HOOKS, hook(), &self.endpoint),
        ] {
            let again = caller.post(key, path, &body);
            assert!(again.is_replay(), "{again:?}");
            assert_eq!(&again.json(), first);
        }
    }
}

#[test]
fn everything_that_a_node_has_kept_goes_into_a_database_and_back() {
    let mut pair = pair_with_kek();
    pair.embedded();
    let (key, operator) = keys(&pair);
    let node = pair.start_first(0);
    let kept = Kept::make(&pair.caller(0, &key));
    kept.assert_kept(&pair.caller(0, &key), "embedded");
    node.stop();

    let without = pair.refused(0, &["migrate-store", "--to", "postgres"]);
    assert!(without.contains("`database.url` is not set"), "{without}");
    pair.in_database();
    let moved = pair.run(0, &["migrate-store", "--to", "postgres"]);
    assert!(
        moved.starts_with("moved: ") && moved.contains("rows of the stores"),
        "{moved}"
    );
    let again = pair.refused(0, &["migrate-store", "--to", "postgres"]);
    assert!(again.contains("is in a database"), "{again}");
    pair.embedded();
    let here = pair.refused(0, &["key", "create"]);
    assert!(here.contains("is in a database: set `database.url`"), "{here}");
    pair.in_database();

    let mut first = pair.start_first(0);
    let (_, log) = first.said_so_far();
    assert!(!log.contains("they are made anew"), "{log}");
    kept.assert_kept(&pair.caller(0, &key), "database");
    let mut second = pair.start_second(1);
    let held = pair.refused(1, &["migrate-store", "--to", "embedded"]);
    assert!(held.contains("the node `east` has the shards"), "{held}");
    let caller = pair.caller(0, &key);
    caller.pay("before the kill", &sale(700, "USD")).expect(200);
    first.kill_9();
    second.says("that it takes payments", taking_payments);
    kept.assert_kept(&pair.caller(1, &key), "taken over");
    first = second;
    first.stop();

    // Into the folder of the other one, which never had a journal.
    let moved = pair.run(1, &["migrate-store", "--to", "embedded"]);
    assert!(moved.starts_with("moved: "), "{moved}");
    for node in [0, 1] {
        let elsewhere = pair.refused(node, &["key", "create"]);
        let expected = ["was moved into a data folder", "has an embedded journal"][node];
        assert!(elsewhere.contains(expected), "{elsewhere}");
    }
    pair.embedded();
    let verified = pair.run(1, &["audit", "verify"]);
    assert!(verified.contains("commits are whole"), "{verified}");
    let node = pair.start_first(1);
    let caller = pair.caller(1, &key);
    kept.assert_kept(&caller, "back");
    assert!(caller.pay("before the kill", &sale(700, "USD")).is_replay());
    assert_balanced(&pair.caller(1, &operator));
    // The first one, four with the card, and one before the kill: each charged once.
    assert_eq!(pair.charges().len(), 6);
    assert_eq!(caller.read_all("/v1/payments").len(), 6);
    node.stop();
    pair.provider.stop();
}
