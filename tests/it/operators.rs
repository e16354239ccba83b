//! What operators stop stays stopped whatever happens to the process, and what they crash comes back.

use crate::deployment::{Dev, MERCHANT, OPERATOR, assert_balanced, sale, with_method};
use crate::http::{Answer, Client};
use crate::ops::figure;
use crate::process::wait_for;
use serde_json::{Value, json};

pub(crate) fn order(dev: &Dev, path: &str, body: &Value) -> Answer {
    let authorization = format!("Bearer {OPERATOR}");
    let headers = [
        ("Authorization", authorization.as_str()),
        ("Content-Type", "application/json"),
    ];
    let path = format!("/v1/ops/{path}");
    let body = body.to_string();
    Client::new(dev.api)
        .send("POST", &path, &headers, body.as_bytes())
        .unwrap()
}

#[track_caller]
fn pay(dev: &Dev, key: &str, status: u16, code: &str) {
    let answer = dev.pay(key, &sale(500, "USD")).expect(status);
    if status != 200 {
        assert_eq!(answer.error("code"), code, "{answer:?}");
        assert_eq!(
            answer.header("retry-after").is_some(),
            status == 503,
            "{answer:?}"
        );
    }
}

#[test]
fn what_operators_stop_stays_stopped_after_a_crash_and_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(folder.path(), &[]);
    let merchant = dev.operator().read("/v1/ops/merchants")["data"][0]["id"].clone();
    let merchant = merchant.as_str().unwrap().to_owned();
    let why = json!({"reason": "chargebacks"});
    order(&dev, &format!("merchants/{merchant}/freeze"), &why).expect(200);
    order(&dev, "providers/stripe/disable", &json!({})).expect(200);
    dev.process.kill_9();

    let dev = Dev::start(folder.path(), &[]);
    let listed = dev.operator().read("/v1/ops/merchants");
    assert_eq!(
        (&listed["data"][0]["frozen"], &listed["data"][0]["reason"]),
        (&json!(true), &why["reason"])
    );
    assert_eq!(
        dev.operator().read("/v1/ops/tree")["providers_disabled"],
        json!(["stripe"])
    );
    pay(&dev, "k", 403, "merchant_frozen");
    order(&dev, &format!("merchants/{merchant}/unfreeze"), &why).expect(200);
    pay(&dev, "k", 503, "no_provider_available");
    order(&dev, "read_only", &json!({"enabled": true, "reason": "moving"})).expect(200);
    // A stop leaves a snapshot, and the next start reads nothing else.
    dev.stop();

    let dev = Dev::start(folder.path(), &[]);
    assert_eq!(dev.operator().read("/v1/ops/tree")["read_only"], true);
    pay(&dev, "k", 503, "read_only");
    dev.merchant().read("/v1/payments");
    order(&dev, "read_only", &json!({"enabled": false, "reason": "moved"})).expect(200);
    pay(&dev, "k", 503, "no_provider_available");
    assert_eq!(dev.charges(), Vec::<Value>::new());
    order(&dev, "providers/stripe/enable", &json!({"reason": "it is back"})).expect(200);
    pay(&dev, "k", 200, "");
    dev.process.kill_9();

    let dev = Dev::start(folder.path(), &[]);
    pay(&dev, "k", 200, "");
    pay(&dev, "other", 200, "");
    assert_eq!(dev.charges().len(), 2);
    assert_balanced(&dev.operator());
    dev.stop();
}

#[test]
fn a_killed_actor_counts_as_one_restart_and_payments_go_on() {
    let (_folder, dev) = Dev::fresh(&[]);
    let metrics = || dev.operator().get("/metrics").expect(200).text();
    let restarts = |kind: &str| {
        let kind = format!("kind=\"{kind}\"");
        figure(&metrics(), "florin_actor_restarts_total", &kind).unwrap()
    };
    let tree = dev.operator().read("/v1/ops/tree");
    let mut kinds: Vec<(String, String)> = Vec::new();
    for seat in tree["children"].as_array().unwrap() {
        let (kind, id) = (seat["kind"].as_str().unwrap(), seat["id"].as_str().unwrap());
        if seat["restart_budget_left"].is_u64() && kinds.iter().all(|known| known.0 != kind) {
            kinds.push((kind.to_owned(), id.to_owned()));
        }
    }
    assert!(kinds.len() >= 7, "{kinds:?}");
    for (kind, id) in &kinds {
        let before = restarts(kind);
        order(&dev, &format!("tree/{id}/kill"), &json!({"reason": "a drill"})).expect(200);
        wait_for(&format!("{id} to be restarted"), || {
            ((restarts(kind) - before - 1.0).abs() < 0.5).then_some(())
        });
        // While it is down its callers may be told to try again; soon nobody is.
        wait_for(&format!("a payment after the end of {id}"), || {
            let answer = dev.pay(&format!("after {id}"), &sale(700, "USD"));
            (answer.status == 200).then_some(())
        });
        assert!((restarts(kind) - before - 1.0).abs() < 0.5, "{id}");
    }
    assert_eq!(dev.charges().len(), kinds.len());
    assert_balanced(&dev.operator());
    dev.stop();
}

#[test]
fn failures_are_counted_apart_from_declines_and_refusals() {
    let (_folder, dev) = Dev::fresh(&[]);
    let count = |outcome: &str| {
        let metrics = dev.operator().get("/metrics").expect(200).text();
        let label = format!("outcome=\"{outcome}\"");
        figure(&metrics, "florin_slo_requests_total", &label).unwrap()
    };
    let all = || ["good", "declined", "refused", "unresolved", "failed"].map(count);
    assert!(all().iter().sum::<f64>() < 0.5, "{:?}", all());
    dev.pay("good", &sale(100, "USD")).expect(200);
    dev.merchant().read("/v1/payments");
    for method in ["pm_card_visa_chargeDeclined", "pm_card_riskLevelHighest"] {
        dev.pay(method, &with_method(method)).expect(402);
    }
    dev.pay("refused", &sale(0, "USD")).expect(400);
    dev.merchant().get("/v1/ops/tree").expect(403);
    Client::new(dev.api)
        .send("GET", "/v1/payments", &[("Authorization", "Bearer nobody")], b"")
        .unwrap()
        .expect(401);
    order(&dev, "providers/stripe/disable", &json!({})).expect(200);
    dev.pay("failed", &sale(100, "USD")).expect(503);
    let expected = [2.0, 2.0, 2.0, 0.0, 1.0];
    let counted = all();
    for (counted, expected) in counted.iter().zip(expected) {
        assert!((counted - expected).abs() < 0.5, "{:?}", all());
    }
    let metrics = dev.operator().get("/metrics").expect(200).text();
    let disabled = figure(&metrics, "florin_provider_disabled", "provider=\"stripe\"");
    assert_eq!(disabled.map(|value| value > 0.5), Some(true), "{metrics}");
    assert!(figure(&metrics, "florin_read_only", "").is_some_and(|value| value < 0.5));
    assert!(figure(&metrics, "florin_process_start_time_seconds", "").is_some_and(|value| value > 1.7e9));
    assert!(!metrics.contains(MERCHANT));
    dev.stop();
}
