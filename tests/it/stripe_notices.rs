//! A node that is told by the sandbox's Stripe what happened: events resolve what no answer did, twice, late and in any order, and only those
//! that are signed, of now, and of the right account are believed.

use crate::adyen::{once, order};
use crate::credentials::{merchant, path, send};
use crate::deployment::{Dev, PATIENT, add_fault, clear_faults, faults, sale};
use crate::http::{Answer, Client};
use crate::operations::{assert_books_are_true, executed, made, manual, shown};
use crate::process::{Process, address_after, command, wait_for};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// The sandbox signs with the first one of the configuration; the other one is being replaced.
const SECRET: &str = "whsec_sandbox";
const OLD_SECRET: &str = "whsec_replaced";

/// One try, and nobody asks what became of it before the test is over: what is resolved was told.
const TOLD_ONLY: [(&str, &str); 6] = [
    ("FLORIN_STAGES_AUTHORIZATION_MS", "4000"),
    ("FLORIN_LIMITS_ANSWER_BUDGET_MS", "5000"),
    ("FLORIN_PROVIDER_STRIPE_REQUEST_TIMEOUT_MS", "500"),
    ("FLORIN_RETRY_TRIES_MAX", "1"),
    ("FLORIN_RESOLUTION_WAITS_S", "3600"),
    ("FLORIN_BREAKER_OPEN_MS", "1"),
];

#[track_caller]
fn start(folder: &Path, secrets: &str) -> Dev {
    let config = folder.join("florin.toml");
    let text = format!(
        "[[provider]]\nkind = \"stripe\"\nid = \"stripe\"\nbase_url = \"http://127.0.0.1:0\"\nsecret_key = \"sk_test_sandbox\"\n\
         webhook_secrets = \"{secrets}\"\n"
    );
    std::fs::write(&config, text).unwrap();
    let arguments = ["dev", "--config", config.to_str().unwrap()];
    let all = [&PATIENT[..], &TOLD_ONLY].concat();
    let mut process = Process::start(&mut command(&arguments, &folder.join("data"), &all));
    let api = process.says("the API's address", |line| address_after(line, "API"));
    let sandbox = process.says("the sandbox's address", |line| address_after(line, "sandbox"));
    Dev {
        process,
        api,
        sandbox,
    }
}

fn fresh(secrets: &str) -> (TempDir, Dev) {
    let folder = tempfile::tempdir().unwrap();
    let dev = start(folder.path(), secrets);
    (folder, dev)
}

/// Counts questions, and changes nothing.
fn count_questions(dev: &Dev) {
    let never = json!({"operation": "query", "probability": 0});
    add_fault(dev.sandbox, "drop_connection", &never);
}

#[track_caller]
fn assert_nobody_asked(dev: &Dev) {
    let all = faults(dev.sandbox);
    let counted = all["data"].as_array().unwrap().iter();
    let asked: Vec<&Value> = counted.filter(|fault| fault["operation"] == "query").collect();
    assert_eq!(asked.len(), 1, "{all}");
    assert_eq!(asked[0]["covered"], 0, "{all}");
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// RFC 2104 by the book, for keys of at most a block.
fn hmac_sha256(key: &[u8], message: &[u8]) -> String {
    let mut padded = [0_u8; 64];
    padded[..key.len()].copy_from_slice(key);
    let keyed = |mask: u8, message: &[u8]| {
        let mut digest = Sha256::new();
        digest.update(padded.map(|byte| byte ^ mask));
        digest.update(message);
        digest.finalize()
    };
    let inner = keyed(0x36, message);
    keyed(0x5c, &inner).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn seal(secret: &str, at_s: u64, body: &str) -> String {
    let tag = hmac_sha256(secret.as_bytes(), format!("{at_s}.{body}").as_bytes());
    format!("t={at_s},v1={tag}")
}

fn post(dev: &Dev, seal: Option<&str>, body: &str) -> Answer {
    let json = ("Content-Type", "application/json");
    let headers: Vec<(&str, &str)> = [json]
        .into_iter()
        .chain(seal.map(|seal| ("Stripe-Signature", seal)))
        .collect();
    let path = "/v1/providers/stripe/notices";
    Client::new(dev.api)
        .send("POST", path, &headers, body.as_bytes())
        .unwrap()
}

/// The intent of a payment as the sandbox shows it.
#[track_caller]
fn intent(dev: &Dev, payment: &str) -> Value {
    let headers = [("Authorization", "Bearer sk_test_sandbox")];
    let page = Client::new(dev.sandbox).send("GET", "/v1/payment_intents?limit=100", &headers, b"");
    let page = page.unwrap().expect(200).json();
    let mut all = page["data"].as_array().unwrap().iter();
    let found = all.find(|intent| intent["metadata"]["payment_id"] == payment);
    found
        .unwrap_or_else(|| panic!("{payment} is not in {page}"))
        .clone()
}

fn event(kind: &str, object: &Value) -> String {
    json!({"id": "evt_test", "object": "event", "type": kind, "livemode": false, "created": 1, "data": {"object": object}}).to_string()
}

/// Charges, and says nothing; the payment that waits for a word.
#[track_caller]
fn unknown(dev: &Dev, key: &str, body: &Value) -> String {
    add_fault(dev.sandbox, "timeout_after_charge", &json!({"count": 1}));
    let payment = dev.pay(key, body).expect(202).json();
    assert_eq!(payment["status"], "processing", "{payment}");
    payment["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_charge_whose_answer_is_lost_is_resolved_by_events_that_come_late_and_twice() {
    let (folder, dev) = fresh(&format!("{SECRET},{OLD_SECRET}"));
    count_questions(&dev);
    add_fault(dev.sandbox, "late_webhook", &json!({"delay_ms": 1500}));
    add_fault(dev.sandbox, "duplicate_webhook", &json!({}));
    let id = unknown(&dev, "sale", &sale(10_000, "USD"));
    dev.merchant().payment_once(&id, "succeeded");
    assert_nobody_asked(&dev);
    let declined = json!({"amount": 5_000, "currency": "USD", "payment_method_id": "pm_card_visa_chargeDeclinedInsufficientFunds"});
    let refused = unknown(&dev, "declined", &declined);
    let refused = dev.merchant().payment_once(&refused, "failed");
    assert_eq!(refused["decline_code"], "insufficient_funds", "{refused}");
    // The key hears how it ended, and the same once more changes nothing.
    let paid = dev.pay("sale", &sale(10_000, "USD")).expect(200).json();
    assert_eq!(paid["id"], json!(id));
    let object = intent(&dev, &id);
    for secret in [SECRET, OLD_SECRET] {
        let body = event("payment_intent.succeeded", &object);
        post(&dev, Some(&seal(secret, now_s(), &body)), &body).expect(200);
    }
    assert_eq!(executed(&dev), [("sale".to_owned(), 10_000)]);
    assert_books_are_true(&dev);
    // What was acknowledged is durable.
    dev.process.kill_9();
    let dev = start(folder.path(), SECRET);
    assert_eq!(shown(&dev, &id)["status"], "succeeded");
    assert_books_are_true(&dev);
    dev.stop();
}

#[test]
fn captures_refunds_and_voids_whose_answers_are_lost_end_as_events_say() {
    let (_folder, dev) = fresh(SECRET);
    add_fault(dev.sandbox, "duplicate_webhook", &json!({"operation": "any"}));
    // Later than the time after which nothing is known.
    let late = json!({"operation": "any", "delay_ms": 800});
    add_fault(dev.sandbox, "late_webhook", &late);
    let lost = |operation: &str| {
        let fault = json!({"operation": operation, "count": 1});
        add_fault(dev.sandbox, "timeout_after_charge", &fault);
    };
    let id = unknown(&dev, "hold", &manual(10_000, "USD"));
    dev.merchant().payment_once(&id, "authorized");
    lost("capture");
    order(
        &dev,
        "capture",
        &id,
        "capture",
        &json!({"amount": 4_000, "final": false}),
    );
    once(&dev, &id, "amount_captured", &json!(4_000));
    lost("refund");
    order(&dev, "refund", &id, "refunds", &json!({"amount": 1_500}));
    once(&dev, &id, "amount_refunded", &json!(1_500));
    lost("void");
    order(&dev, "void", &id, "void", &json!({}));
    once(&dev, &id, "amount_capturable", &json!(0));
    let held = made(&dev, "held", &manual(7_000, "USD"));
    lost("void");
    order(&dev, "void-held", &held, "void", &json!({}));
    once(&dev, &held, "status", &json!("voided"));
    let expected = [
        ("authorize", 10_000),
        ("capture", 4_000),
        ("refund", 1_500),
        ("void", 6_000),
        ("authorize", 7_000),
        ("void", 7_000),
    ];
    assert_eq!(
        executed(&dev),
        expected.map(|(operation, amount)| (operation.to_owned(), amount))
    );
    assert_books_are_true(&dev);
    dev.stop();
}

/// Either each event is there before the answer to the call that it is about, or long after.
#[test]
fn events_and_the_answers_of_the_calls_that_they_are_about_come_to_the_same_in_either_order() {
    for mode in ["slow", "late_webhook"] {
        let (_folder, dev) = fresh(SECRET);
        add_fault(dev.sandbox, mode, &json!({"operation": "any", "delay_ms": 200}));
        add_fault(dev.sandbox, "duplicate_webhook", &json!({"operation": "any"}));
        let pay = |key: &str, body: &Value| {
            let payment = dev.pay(key, body).json();
            payment["id"].as_str().unwrap().to_owned()
        };
        let sold = pay("sale", &sale(10_000, "USD"));
        dev.merchant().payment_once(&sold, "succeeded");
        order(&dev, "refund", &sold, "refunds", &json!({"amount": 1_500}));
        once(&dev, &sold, "amount_refunded", &json!(1_500));
        let held = pay("hold", &manual(7_000, "USD"));
        dev.merchant().payment_once(&held, "authorized");
        let part = json!({"amount": 4_000, "final": false});
        order(&dev, "capture", &held, "capture", &part);
        once(&dev, &held, "amount_captured", &json!(4_000));
        order(&dev, "void", &held, "void", &json!({}));
        once(&dev, &held, "amount_capturable", &json!(0));
        let let_go = pay("other", &manual(5_000, "USD"));
        dev.merchant().payment_once(&let_go, "authorized");
        order(&dev, "void-other", &let_go, "void", &json!({}));
        once(&dev, &let_go, "status", &json!("voided"));
        // Told by an event alone, which is due after all others.
        add_fault(dev.sandbox, "timeout_after_charge", &json!({"count": 1}));
        let last = pay("last", &sale(1_000, "USD"));
        dev.merchant().payment_once(&last, "succeeded");
        let expected = [
            ("sale", 10_000),
            ("refund", 1_500),
            ("authorize", 7_000),
            ("capture", 4_000),
            ("void", 3_000),
            ("authorize", 5_000),
            ("void", 5_000),
            ("sale", 1_000),
        ];
        let expected = expected.map(|(operation, amount)| (operation.to_owned(), amount));
        assert_eq!(executed(&dev), expected, "{mode}");
        assert_books_are_true(&dev);
        let listed = dev.operator().read("/v1/ops/unresolved");
        assert_eq!(listed["data"], json!([]), "{mode}");
        for id in [sold, held, let_go] {
            let history = dev.merchant().read(&format!("/v1/payments/{id}/history"));
            assert!(!history.to_string().contains("attempt.late"), "{mode}: {history}");
        }
        dev.stop();
    }
}

#[test]
fn what_is_not_signed_not_of_now_or_not_readable_is_refused_by_its_field() {
    let (_folder, dev) = fresh(SECRET);
    // It is told of nothing by the sandbox.
    add_fault(dev.sandbox, "late_webhook", &json!({"delay_ms": 600_000}));
    let id = unknown(&dev, "k", &sale(10_000, "USD"));
    let body = event("payment_intent.succeeded", &intent(&dev, &id));
    let good = seal(SECRET, now_s(), &body);
    let mut live: Value = serde_json::from_str(&body).unwrap();
    live["livemode"] = json!(true);
    let live = live.to_string();
    let table: [(Option<String>, &str, &str); 9] = [
        (None, &body, "Stripe-Signature"),
        (Some(format!("t={}", now_s())), &body, "Stripe-Signature"),
        (
            Some(seal("whsec_other", now_s(), &body)),
            &body,
            "Stripe-Signature",
        ),
        (
            Some(good.clone()),
            &body.replace("10000", "10001"),
            "Stripe-Signature",
        ),
        (
            Some(seal(SECRET, now_s() - 400, &body)),
            &body,
            "Stripe-Signature",
        ),
        (
            Some(seal(SECRET, now_s() + 400, &body)),
            &body,
            "Stripe-Signature",
        ),
        (Some(good.replace("v1=", "v0=")), &body, "Stripe-Signature"),
        (Some(seal(SECRET, now_s(), "{}")), "{}", "type"),
        (Some(seal(SECRET, now_s(), &live)), &live, "livemode"),
    ];
    for (seal, body, field) in table {
        let refused = post(&dev, seal.as_deref(), body).expect(400);
        assert_eq!(refused.error("param"), field, "{refused:?}");
        assert_eq!(refused.error("code"), "parameter_invalid", "{refused:?}");
    }
    assert_eq!(shown(&dev, &id)["status"], "processing");
    // What is of another kind is acknowledged, and so is what is about nothing here.
    for (kind, object) in [
        ("customer.created", json!({"id": "cus_1"})),
        ("charge.dispute.created", json!({"id": "dp_1"})),
    ] {
        let body = event(kind, &object);
        post(&dev, Some(&seal(SECRET, now_s(), &body)), &body).expect(200);
    }
    post(&dev, Some(&good), &body).expect(200);
    dev.merchant().payment_once(&id, "succeeded");
    dev.stop();
}

#[test]
fn without_a_secret_nothing_is_taken_and_a_merchants_own_speaks_of_its_own_charges_only() {
    let (_folder, dev) = fresh("");
    let body = event("payment_intent.succeeded", &json!({}));
    post(&dev, Some(&seal(SECRET, now_s(), &body)), &body).expect(404);

    let before = unknown(&dev, "before", &sale(10_000, "USD"));
    let own = json!({"secret_key": "sk_test_canaryALPHA_0001_4Tz1", "webhook_secret": "whsec_of_a_merchant"});
    let who = merchant(&dev);
    send(&dev, "PUT", &path(&who, "stripe"), &own).expect(200);
    let after = unknown(&dev, "after", &sale(20_000, "USD"));
    for id in [&before, &after] {
        let body = event("payment_intent.succeeded", &intent(&dev, id));
        post(&dev, Some(&seal("whsec_of_a_merchant", now_s(), &body)), &body).expect(200);
    }
    dev.merchant().payment_once(&after, "succeeded");
    assert_eq!(
        shown(&dev, &before)["status"],
        "processing",
        "charged under the platform's key"
    );
    clear_faults(dev.sandbox);
    wait_for("both to be listed", || {
        let listed = dev.operator().read("/v1/ops/unresolved");
        (listed["data"].as_array().unwrap().len() == 1).then_some(())
    });
    dev.stop();
}
