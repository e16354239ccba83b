//! What operators see: the live tree, the figures, and whether the node is well.

use crate::deployment::{Dev, sale, with_method};
use crate::http::Client;
use crate::process::wait_for;
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn kinds(node: &Value, into: &mut BTreeSet<String>) {
    into.insert(node["kind"].as_str().unwrap().to_owned());
    for field in ["depth", "soft_cap", "hard_cap"] {
        assert!(node["mailbox"][field].is_u64(), "{field} of {node}");
    }
    for field in ["restarts", "age_ms", "children_live"] {
        assert!(node[field].is_u64(), "{field} of {node}");
    }
    for child in node["children"].as_array().unwrap() {
        kinds(child, into);
    }
}

/// The sum of a metric's samples with these labels, or `None` if it has none.
pub(crate) fn figure(metrics: &str, name: &str, labels: &str) -> Option<f64> {
    let samples: Vec<f64> = metrics
        .lines()
        .filter(|line| !line.starts_with('#') && line.contains(labels))
        .filter_map(|line| line.rsplit_once(' '))
        .filter(|(sample, _)| sample.split('{').next() == Some(name))
        .map(|(_, value)| value.parse().unwrap())
        .collect();
    (!samples.is_empty()).then(|| samples.iter().sum())
}

#[test]
fn the_tree_shows_every_kind_of_actor_to_operators_only() {
    let (_folder, dev) = Dev::fresh(&[]);
    // It waits for its customer, so its actor stays.
    let waiting = dev
        .pay("k", &with_method("pm_card_authenticationRequired"))
        .expect(200)
        .json();
    let endpoint = json!({"url": "http://127.0.0.1:9/nobody", "enabled_events": ["*"]});
    dev.merchant()
        .post("endpoint", "/v1/webhook_endpoints", &endpoint)
        .expect(200);
    let tree = wait_for("the endpoint's actor", || {
        let tree = dev.operator().read("/v1/ops/tree");
        tree.to_string().contains("\"webhook_endpoint\"").then_some(tree)
    });
    let mut seen = BTreeSet::new();
    kinds(&tree, &mut seen);
    let expected = [
        "account_shard",
        "crossings",
        "deadlines",
        "idempotency",
        "journal_writer",
        "monitor",
        "payment",
        "payment_guardian",
        "projection",
        "provider",
        "resolution",
        "risk",
        "root",
        "scrub",
        "webhook_endpoint",
        "webhook_guardian",
    ];
    assert_eq!(seen, expected.map(str::to_owned).into());
    let guardians = tree["children"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|node| node["kind"] == "payment_guardian");
    let payments: Vec<&Value> = guardians
        .flat_map(|guardian| guardian["children"].as_array().unwrap())
        .collect();
    assert_eq!(payments.len(), 1, "{payments:?}");
    assert_eq!(payments[0]["key"], waiting["id"]);
    assert_eq!(
        dev.merchant().get("/v1/ops/tree").expect(403).error("code"),
        "operator_key_required"
    );
    dev.stop();
}

#[test]
fn the_metrics_have_their_names_and_move() {
    let (_folder, dev) = Dev::fresh(&[]);
    dev.merchant().get("/metrics").expect(403);
    let read = || dev.operator().get("/metrics").expect(200).text();
    let before = read();
    for number in 0..3_u64 {
        dev.pay(&number.to_string(), &sale(100 + number, "USD"))
            .expect(200);
    }
    dev.pay("declined", &with_method("pm_card_visa_chargeDeclined"))
        .expect(402);
    dev.pay("blocked", &with_method("pm_card_riskLevelHighest"))
        .expect(402);
    let after = read();
    let names = [
        ("florin_actors_live", "kind=\"payment_guardian\""),
        ("florin_mailbox_depth", "kind=\"idempotency\""),
        ("florin_mailbox_shed_total", "kind=\"idempotency\""),
        ("florin_journal_append_seconds_count", ""),
        ("florin_payments_total", "outcome=\"shown\""),
        ("florin_payment_own_seconds_count", ""),
        ("florin_index_lag_commits", "index=\"views\""),
        ("florin_index_lag_commits", "index=\"keys\""),
        ("florin_in_flight", ""),
        ("florin_actor_restarts_total", ""),
    ];
    for (name, labels) in names {
        assert!(
            figure(&after, name, labels).is_some(),
            "{name} {labels} in {after}"
        );
    }
    let moved = |name, labels| {
        figure(&after, name, labels).unwrap_or_default() - figure(&before, name, labels).unwrap_or_default()
    };
    let close = |left: f64, right: f64| (left - right).abs() < 0.5;
    assert!(
        close(moved("florin_payments_total", "outcome=\"shown\""), 3.0),
        "{after}"
    );
    assert!(
        close(moved("florin_payments_total", "outcome=\"declined\""), 1.0),
        "{after}"
    );
    assert!(
        close(moved("florin_payments_total", "outcome=\"blocked\""), 1.0),
        "{after}"
    );
    assert!(
        close(moved("florin_payment_own_seconds_count", ""), 5.0),
        "{after}"
    );
    assert!(
        moved("florin_journal_append_seconds_count", "") >= 5.0,
        "every payment needs at least one append: {after}"
    );
    assert!(figure(&after, "florin_actors_live", "kind=\"payment_guardian\"").unwrap() >= 1.0);
    dev.stop();
}

#[test]
fn the_node_says_that_it_lives_and_is_ready_to_anybody() {
    let (_folder, dev) = Dev::fresh(&[]);
    for (path, status) in [("/healthz", "ok"), ("/readyz", "ready")] {
        let answer = Client::new(dev.api)
            .send("GET", path, &[], b"")
            .unwrap()
            .expect(200);
        assert_eq!(answer.json(), json!({"status": status}), "{path}");
    }
    dev.stop();
}
