//! Payments that wait for somebody: reviews in both modes, and deadlines of reviews, challenges and authorizations.

use crate::deployment::{Caller, Dev, with_method};
use crate::operations::{ask, assert_books_are_true, executed, manual, shown};
use crate::process::wait_for;
use serde_json::{Value, json};

/// Every payment is reviewed.
const REVIEW_ALL: (&str, &str) = ("FLORIN_RISK_REVIEW_ABOVE", "0.01");
const HOLD: (&str, &str) = ("FLORIN_REVIEW_MODE", "auth_and_hold");

fn body(amount_minor: u64) -> Value {
    json!({"amount": amount_minor, "currency": "USD", "payment_method_id": "pm_card_visa"})
}

/// Makes a payment that comes into review; its id.
#[track_caller]
fn reviewed(dev: &Dev, key: &str, body: &Value) -> String {
    let payment = dev.pay(key, body).expect(200).json();
    assert_eq!(payment["status"], "in_review", "{payment}");
    payment["id"].as_str().unwrap().to_owned()
}

#[track_caller]
fn decide(operator: &Caller, key: &str, id: &str, what: &str) -> crate::http::Answer {
    operator.post(key, &format!("/v1/ops/reviews/{id}/{what}"), &json!({}))
}

fn listed(operator: &Caller) -> Vec<String> {
    let ids = operator.read_all("/v1/ops/reviews").into_iter();
    ids.map(|payment| payment["id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn risk_29_a_reviewer_approves_or_rejects_before_a_provider_hears_of_it() {
    let (folder, dev) = Dev::fresh(&[REVIEW_ALL]);
    let operator = dev.operator();
    let ids: Vec<String> = (0..12)
        .map(|n| reviewed(&dev, &format!("r-{n}"), &body(1_000 + n)))
        .collect();
    assert_eq!(executed(&dev), [], "nobody was asked");
    assert_eq!(
        listed(&operator),
        ids,
        "the earliest deadline first, page by page"
    );
    dev.merchant().get("/v1/ops/reviews").expect(403);

    let approved = decide(&operator, "yes", &ids[0], "approve").expect(200);
    assert_eq!(approved.json()["status"], "succeeded");
    let again = decide(&operator, "yes", &ids[0], "approve").expect(200);
    assert!(again.is_replay());
    assert_eq!(again.body, approved.body);
    decide(&operator, "yes", &ids[1], "approve").expect(422);
    decide(&operator, "yes-2", &ids[0], "approve").expect(409);
    let rejected = decide(&operator, "no", &ids[1], "reject").expect(200).json();
    assert_eq!(
        (&rejected["status"], &rejected["decline_code"]),
        (&json!("blocked"), &json!("fraudulent"))
    );
    let voided = ask(&dev, "v", &ids[2], "void", &json!({})).expect(200).json();
    assert_eq!(voided["status"], "voided");
    assert_eq!(listed(&operator), ids[3..]);
    assert_eq!(executed(&dev), [("sale".to_owned(), 1_000)]);

    // Who decided stands in the history, and everything survives a crash.
    dev.process.kill_9();
    let dev = Dev::start(folder.path(), &[REVIEW_ALL]);
    let operator = dev.operator();
    assert_eq!(listed(&operator), ids[3..]);
    assert!(decide(&operator, "no", &ids[1], "reject").expect(200).is_replay());
    let path = format!("/v1/payments/{}/history", ids[1]);
    let told = dev.merchant().get(&path).expect(200).text();
    assert!(
        told.contains("\"by\":\"operator\"") && !told.contains("\"no\"") && !told.contains("key_"),
        "{told}"
    );
    let history = operator.read(&path);
    let asked = history["data"].as_array().unwrap().iter();
    let asked: Vec<&Value> = asked.filter(|row| row["type"] == "request.accepted").collect();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0]["operation"], "reject_review");
    assert!(asked[0]["operator"].as_str().is_some_and(|name| !name.is_empty()));
    assert_books_are_true(&dev);
    dev.stop();
}

#[test]
fn a_payment_may_be_reviewed_with_the_money_held() {
    let (_folder, dev) = Dev::fresh(&[REVIEW_ALL, HOLD]);
    let operator = dev.operator();
    let [sale, mine, bad, unwanted] = [
        ("s", body(1_000)),
        ("m", manual(2_000, "USD")),
        ("b", body(3_000)),
        ("c", body(4_000)),
    ]
    .map(|(key, body)| reviewed(&dev, key, &body));
    let authorized = [1_000, 2_000, 3_000, 4_000].map(|amount| ("authorize".to_owned(), amount));
    assert_eq!(executed(&dev), authorized);
    let held = dev.merchant().read("/v1/ledger/accounts");
    assert_eq!(held["data"][0]["pending_credit"], 10_000, "{held}");

    ask(&dev, "early", &sale, "capture", &json!({})).expect(409);
    let approved = decide(&operator, "1", &sale, "approve").expect(200).json();
    assert_eq!(
        (&approved["status"], &approved["amount_captured"]),
        (&json!("succeeded"), &json!(1_000))
    );
    let approved = decide(&operator, "2", &mine, "approve").expect(200).json();
    assert_eq!(
        (&approved["status"], &approved["amount_captured"]),
        (&json!("authorized"), &json!(0))
    );
    let captured = ask(
        &dev,
        "now",
        &mine,
        "capture",
        &json!({"amount": 500, "final": true}),
    );
    assert_eq!(captured.expect(200).json()["amount_captured"], 500);
    let rejected = decide(&operator, "3", &bad, "reject").expect(200).json();
    assert_eq!(rejected["status"], "blocked", "{rejected}");
    let voided = ask(&dev, "4", &unwanted, "void", &json!({})).expect(200).json();
    assert_eq!(voided["status"], "voided");

    let rest: Vec<_> = executed(&dev).split_off(4);
    let expected = [
        ("capture", 1_000),
        ("capture", 500),
        ("void", 3_000),
        ("void", 4_000),
    ];
    assert_eq!(
        rest,
        expected.map(|(operation, amount)| (operation.to_owned(), amount))
    );
    let held = dev.merchant().read("/v1/ledger/accounts");
    assert_eq!(held["data"][0]["pending_credit"], 0, "{held}");
    assert_books_are_true(&dev);
    dev.stop();
}

#[test]
fn a_review_that_nobody_decides_ends_by_itself() {
    for (mode, executes) in [
        ("before_auth", Vec::new()),
        ("auth_and_hold", vec!["authorize", "void"]),
    ] {
        let (_folder, dev) = Dev::fresh(&[
            REVIEW_ALL,
            ("FLORIN_REVIEW_MODE", mode),
            ("FLORIN_LIFETIMES_REVIEW_S", "1"),
        ]);
        let id = reviewed(&dev, "r", &body(1_000));
        dev.merchant().payment_once(&id, "voided");
        let operations: Vec<String> = executed(&dev).into_iter().map(|row| row.0).collect();
        assert_eq!(operations, executes, "{mode}");
        assert_eq!(listed(&dev.operator()), Vec::<String>::new());
        decide(&dev.operator(), "late", &id, "approve").expect(409);
        assert_books_are_true(&dev);
        dev.stop();
    }
}

#[test]
fn a_challenge_that_the_customer_leaves_is_closed_at_the_provider() {
    let (_folder, dev) = Dev::fresh(&[("FLORIN_STAGES_CHALLENGE_MS", "500")]);
    let payment = dev
        .pay("challenged", &with_method("pm_card_threeDSecure2Required"))
        .expect(200)
        .json();
    let id = payment["id"].as_str().unwrap();
    let failed = dev.merchant().payment_once(id, "failed");
    assert_eq!(failed["decline_code"], "authentication_expired");
    // The page of the provider takes nothing any more.
    let url = payment["next_action"]["redirect_to_url"]["url"].as_str().unwrap();
    let (address, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let late = crate::http::Client::new(address.parse().unwrap())
        .send("POST", &format!("/{path}/complete"), &[], b"")
        .unwrap();
    assert!(late.status < 500, "{late:?}");
    assert_eq!(executed(&dev), []);
    let confirmed = ask(
        &dev,
        "again",
        id,
        "confirm",
        &json!({"payment_method_id": "pm_card_visa"}),
    );
    assert_eq!(confirmed.expect(200).json()["status"], "succeeded");
    assert_books_are_true(&dev);
    dev.stop();
}

#[test]
fn an_authorization_that_nobody_captures_is_released_at_the_provider_in_time() {
    let (folder, dev) = Dev::fresh(&[("FLORIN_LIFETIMES_AUTHORIZATION_S", "1")]);
    let id = dev.pay("a", &manual(1_000, "USD")).expect(200).json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    // Also when the process was down at the time.
    dev.process.kill_9();
    let dev = Dev::start(folder.path(), &[("FLORIN_LIFETIMES_AUTHORIZATION_S", "1")]);
    dev.merchant().payment_once(&id, "voided");
    ask(&dev, "late", &id, "capture", &json!({})).expect(409);
    wait_for("the hold to be gone", || {
        let held = dev.merchant().read("/v1/ledger/accounts");
        (held["data"][0]["pending_credit"] == 0).then_some(())
    });
    assert_eq!(shown(&dev, &id)["amount_capturable"], 0);
    let rows = ["authorize", "void"].map(|operation| (operation.to_owned(), 1_000));
    assert_eq!(executed(&dev), rows);
    let history = dev.merchant().read(&format!("/v1/payments/{id}/history"));
    let of_type = |wanted: &str| {
        let rows = history["data"].as_array().unwrap().iter();
        rows.filter(|row| row["type"] == wanted).count()
    };
    assert_eq!(of_type("authorization.expired"), 1, "{history}");
    assert_books_are_true(&dev);
    dev.stop();
}

#[test]
fn what_a_frozen_merchant_has_in_review_is_not_charged() {
    let (_folder, dev) = Dev::fresh(&[REVIEW_ALL]);
    let operator = dev.operator();
    let [kept, refused] = ["k", "r"].map(|key| reviewed(&dev, key, &body(1_000)));
    let merchant = operator.read("/v1/ops/merchants")["data"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let order = |what: &str| {
        let path = format!("/v1/ops/merchants/{merchant}/{what}");
        operator
            .post("order", &path, &json!({"reason": "a test"}))
            .expect(200)
    };
    order("freeze");
    let answer = decide(&operator, "1", &kept, "approve").expect(403);
    assert_eq!(answer.error("code"), "merchant_frozen");
    decide(&operator, "2", &refused, "reject").expect(200);
    assert_eq!(executed(&dev), []);
    order("unfreeze");
    decide(&operator, "1", &kept, "approve").expect(200);
    assert_eq!(executed(&dev), [("sale".to_owned(), 1_000)]);
    dev.stop();
}

#[test]
fn a_payment_in_review_takes_no_place_at_the_provider() {
    let one_place = [
        ("FLORIN_PROVIDER_STRIPE_PERMITS", "1"),
        ("FLORIN_PROVIDER_STRIPE_QUEUE_MAX", "0"),
    ];
    let (_folder, dev) = Dev::fresh(&[REVIEW_ALL, one_place[0], one_place[1]]);
    let ids: Vec<String> = (0..5)
        .map(|n| reviewed(&dev, &format!("r-{n}"), &body(1_000)))
        .collect();
    for (n, id) in ids.iter().enumerate() {
        decide(&dev.operator(), &format!("yes-{n}"), id, "approve").expect(200);
    }
    assert_eq!(executed(&dev).len(), 5);
    dev.stop();
}
