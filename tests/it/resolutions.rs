//! Attempts that no provider resolves: listed for operators, and resolved by the word of two of them.

use crate::deployment::{Caller, Dev, add_fault, clear_faults, sale};
use crate::operations::{ask, assert_fields, executed, shown};
use crate::process::{run_well, wait_for};
use serde_json::{Value, json};

/// The provider is asked once, then the caller is told that nobody knows.
const HASTY: [(&str, &str); 2] = [
    ("FLORIN_RETRY_TRIES_MAX", "1"),
    ("FLORIN_RESOLUTION_WAITS_S", "3600"),
];

fn resolve(operator: &Caller, key: &str, attempt: &str, body: &Value) -> crate::http::Answer {
    operator.post(key, &format!("/v1/ops/attempts/{attempt}/resolve"), body)
}

fn said(outcome: &str, transaction: Option<&str>) -> Value {
    let mut body =
        json!({"outcome": outcome, "evidence": "statement of 3 May, line 12", "reason": "ticket 7"});
    if let Some(transaction) = transaction {
        body["transaction"] = json!(transaction);
    }
    body
}

#[track_caller]
fn check_bad_words(operator: &Caller, name: &str) {
    for (body, param) in [
        (
            json!({"outcome": "executed", "evidence": "e", "reason": "r"}),
            "transaction",
        ),
        (
            json!({"outcome": "maybe", "evidence": "e", "reason": "r"}),
            "outcome",
        ),
        (
            json!({"outcome": "not_executed", "transaction": "re_1", "evidence": "e", "reason": "r"}),
            "transaction",
        ),
        (
            json!({"outcome": "not_executed", "evidence": " ", "reason": "r"}),
            "evidence",
        ),
        (json!({"outcome": "not_executed", "evidence": "e"}), "reason"),
    ] {
        let refused = resolve(operator, "bad", name, &body).expect(400);
        assert_eq!(refused.error("param"), param, "{body}");
    }
}

#[test]
fn x_41_two_people_correct_what_no_provider_resolves() {
    let folder = tempfile::tempdir().unwrap();
    let ada = run_well(&["key", "create"], folder.path(), &[]);
    let dev = Dev::start(folder.path(), &HASTY);
    let (ada, grace) = (Caller::new(dev.api, &ada), dev.operator());
    let id = dev.pay("p", &sale(10_000, "USD")).expect(200).json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    add_fault(dev.sandbox, "http_500", &json!({"operation": "refund"}));
    let unknown = ask(&dev, "r", &id, "refunds", &json!({"amount": 4_000}))
        .expect(202)
        .json();
    assert_eq!(unknown["status"], "pending");
    clear_faults(dev.sandbox);
    dev.merchant().get("/v1/ops/unresolved").expect(403);
    let attempts = wait_for("the attempt to be listed", || {
        let list = grace.read("/v1/ops/unresolved");
        list["data"].as_array().filter(|data| !data.is_empty()).cloned()
    });
    let attempt = &attempts[0];
    assert_fields(
        attempt,
        &[
            ("payment_id", json!(id)),
            ("operation_id", unknown["id"].clone()),
            ("operation", json!("refund")),
            ("amount", json!(4_000)),
            ("status", json!("unknown")),
            ("proposal", json!(null)),
        ],
    );
    let name = attempt["id"].as_str().unwrap();

    check_bad_words(&ada, name);
    resolve(&ada, "bad", "pay_nobody", &said("not_executed", None)).expect(404);

    let before = shown(&dev, &id);
    let proposed = resolve(&ada, "1", name, &said("not_executed", None))
        .expect(200)
        .json();
    assert_eq!(proposed["resolution"]["status"], "proposed", "{proposed}");
    assert_eq!(proposed["resolution"]["awaits"], "second_person");
    assert_eq!(shown(&dev, &id), before, "one person moves nothing");
    let alone = resolve(&ada, "2", name, &said("not_executed", None)).expect(409);
    assert_eq!(alone.error("code"), "second_person_required");
    let list = grace.read("/v1/ops/unresolved");
    assert_eq!(list["data"][0]["proposal"]["outcome"], "not_executed");
    assert_eq!(list["data"][0]["proposal"], proposed["resolution"]["proposal"]);
    let confirmed = resolve(&grace, "1", name, &said("not_executed", None))
        .expect(200)
        .json();
    assert_eq!(confirmed["resolution"]["status"], "confirmed", "{confirmed}");
    assert_eq!(shown(&dev, &id)["refunds"][0]["status"], "failed");
    assert_eq!(grace.read("/v1/ops/unresolved")["data"], json!([]));
    resolve(&ada, "3", name, &said("not_executed", None)).expect(409);

    // The money is free again, and the history names both.
    let refund = ask(&dev, "r-2", &id, "refunds", &json!({})).expect(200).json();
    assert_fields(
        &refund,
        &[("status", json!("succeeded")), ("amount", json!(10_000))],
    );
    let rows = grace.read(&format!("/v1/payments/{id}/history"));
    let told = dev
        .merchant()
        .get(&format!("/v1/payments/{id}/history"))
        .expect(200)
        .text();
    assert!(
        told.contains("not_executed") && !told.contains("ticket 7"),
        "{told}"
    );
    let people = |kind: &str| {
        let row = rows["data"]
            .as_array()
            .unwrap()
            .iter()
            .find(|row| row["type"] == kind);
        row.unwrap()["operator"].as_str().unwrap().to_owned()
    };
    assert_ne!(people("resolution.proposed"), people("resolution.confirmed"));
    assert_eq!(
        executed(&dev),
        [("sale".to_owned(), 10_000), ("refund".to_owned(), 10_000)]
    );
    dev.stop();
}
