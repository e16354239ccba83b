//! The stages of a payment, each by the id of the feature that asks for it: their order, their limits, their retries.

use crate::cli::{another_merchant, serve, write_config};
use crate::deployment::{
    Caller, Dev, add_fault, assert_balanced, balances, charges, clear_faults, faults, sale, with_method,
};
use crate::operations::{ask, shown};
use crate::operations_challenge::press;
use crate::ops::figure;
use crate::process::{lasting_address, run_well, wait_for};
use crate::recovery::start_sandbox;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What is in effect for a key of a section when nobody has set it.
#[track_caller]
pub(crate) fn usual(section: &str, key: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path(), "127.0.0.1:9".parse().unwrap());
    let check = ["config", "check", "--config", config.to_str().unwrap()];
    let shown = run_well(&check, folder.path(), &[]);
    let lines = shown
        .lines()
        .skip_while(|line| *line != format!("[{section}]"))
        .skip(1);
    let mut pairs = lines
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once(" = "));
    let pair = pairs.find(|pair| pair.0 == key);
    pair.unwrap_or_else(|| panic!("no {section}.{key} in {shown}"))
        .1
        .to_owned()
}

#[track_caller]
fn history(dev: &Dev, id: &str) -> Vec<Value> {
    let history = dev.merchant().read(&format!("/v1/payments/{id}/history"));
    history["data"].as_array().unwrap().clone()
}

fn types(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["type"].as_str().unwrap()).collect()
}

fn of_type<'a>(rows: &'a [Value], name: &str) -> Vec<&'a Value> {
    rows.iter().filter(|row| row["type"] == name).collect()
}

#[test]
fn orch_1_key_then_risk_then_provider_then_challenge_then_charge_then_books_then_answer() {
    let (_folder, dev) = Dev::fresh(&[]);
    // Each stage decides before the next is asked: what a later one would refuse as well is refused by the earlier one.
    let first = dev.pay("used", &sale(500, "USD")).expect(200);
    let risky = with_method("pm_card_riskLevelHighest");
    dev.operator()
        .post(
            "disable",
            "/v1/ops/providers/stripe/disable",
            &json!({"reason": "order"}),
        )
        .expect(200);
    let reused = dev.pay("used", &risky).expect(422);
    assert_eq!(
        reused.error("code"),
        "idempotency_key_reused",
        "the key before risk"
    );
    let nowhere = dev.pay("nowhere", &sale(501, "USD")).expect(503);
    assert_eq!(nowhere.error("code"), "no_provider_available");
    assert_eq!(dev.charges().len(), 1, "the choice before the charge");
    let blocked = dev.pay("risky", &risky).expect(402);
    assert_eq!(blocked.error("decline_code"), "fraudulent");
    assert_eq!(
        types(&history(&dev, &blocked.error("payment_id"))),
        ["payment.created", "risk.assessed", "payment.blocked"],
        "risk before everything that has to do with a provider"
    );
    dev.operator()
        .post(
            "enable",
            "/v1/ops/providers/stripe/enable",
            &json!({"reason": "order"}),
        )
        .expect(200);

    let challenged = dev
        .pay("challenged", &with_method("pm_card_threeDSecure2Required"))
        .expect(200);
    let id = challenged.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(dev.charges().len(), 1, "the challenge before the charge");
    press(&challenged.json(), "complete");
    let done = ask(&dev, "complete", &id, "confirm", &json!({})).expect(200);
    assert_eq!(done.json()["status"], "succeeded");
    let rows = history(&dev, &id);
    let order = [
        "payment.created",
        "risk.assessed",
        "operation.opened",
        "attempt.planned",
        "attempt.action_required",
        "attempt.succeeded",
        "ledger.entry_posted",
    ];
    let names = types(&rows);
    let places: Vec<usize> = order
        .iter()
        .map(|name| {
            let mut found = (0..names.len()).filter(|place| names[*place] == *name);
            let (Some(place), None) = (found.next(), found.next()) else {
                panic!("{name} is not once in {names:?}");
            };
            place
        })
        .collect();
    assert!(places.is_sorted(), "{names:?}");
    let again = ask(&dev, "complete", &id, "confirm", &json!({})).expect(200);
    assert_eq!((again.text(), again.is_replay()), (done.text(), true));
    assert_eq!(dev.pay("used", &sale(500, "USD")).text(), first.text());
    assert_eq!(dev.charges().len(), 2);
    assert_balanced(&dev.operator());
    dev.stop();
}

#[test]
fn orch_2_the_key_is_looked_up_within_50_ms_unless_set_otherwise() {
    assert_eq!(usual("stages", "idempotency_ms"), "50");
}

#[test]
fn orch_3_risk_is_assessed_within_200_ms_unless_set_otherwise() {
    assert_eq!(usual("stages", "risk_ms"), "200");
}

#[test]
fn orch_4_a_provider_is_chosen_within_10_ms_unless_set_otherwise() {
    assert_eq!(usual("stages", "selection_ms"), "10");
}

#[test]
fn orch_6_a_provider_has_5_s_and_what_takes_longer_is_unknown_and_charged_once() {
    assert_eq!(usual("stages", "authorization_ms"), "5000");
    // Only the stage ends the call: the provider's own limit and the answer's budget are far away.
    let (_folder, dev) = Dev::fresh(&[
        ("FLORIN_STAGES_AUTHORIZATION_MS", "1500"),
        ("FLORIN_PROVIDER_STRIPE_REQUEST_TIMEOUT_MS", "100000"),
        ("FLORIN_RETRY_TRIES_MAX", "1"),
        ("FLORIN_RESOLUTION_WAITS_S", "1"),
    ]);
    add_fault(dev.sandbox, "slow", &json!({"delay_ms": 600_000}));
    let late = dev.pay("k", &sale(10_000, "USD")).expect(202).json();
    assert_eq!(late["status"], "processing");
    let id = late["id"].as_str().unwrap();
    assert_eq!(of_type(&history(&dev, id), "attempt.unknown").len(), 1);
    clear_faults(dev.sandbox);
    dev.merchant().payment_once(id, "succeeded");
    assert_eq!(dev.charges().len(), 1);
    assert_balanced(&dev.operator());
    dev.stop();
}

#[test]
fn orch_7_a_commit_beyond_100_ms_is_counted_and_changes_no_outcome() {
    assert_eq!(usual("stages", "ledger_ms"), "100");
    let (_folder, dev) = Dev::fresh(&[("FLORIN_STAGES_LEDGER_MS", "1")]);
    let mut made = 0;
    // How long a disk takes is not ours to say; sooner or later a commit takes more than the shortest limit.
    wait_for("a commit that takes longer than a millisecond", || {
        made += 1;
        let payment = dev.pay(&format!("k{made}"), &sale(500, "USD")).expect(200).json();
        assert_eq!(payment["status"], "succeeded");
        let metrics = dev.operator().get("/metrics").expect(200).text();
        let slow = figure(&metrics, "florin_stage_slow_total", "stage=\"ledger\"").unwrap();
        (slow > 0.5).then_some(())
    });
    assert_eq!(dev.charges().len(), made);
    assert_eq!(dev.merchant().read_all("/v1/payments").len(), made);
    assert_balanced(&dev.operator());
    dev.stop();
}

#[test]
fn orch_8_a_known_key_answers_as_before_and_nothing_else_happens() {
    let (_folder, dev) = Dev::fresh(&[("FLORIN_RISK_VELOCITY_HOUR_COUNT_MAX", "3")]);
    // It changes nothing; it counts the requests that reach the provider.
    add_fault(dev.sandbox, "slow", &json!({"delay_ms": 0}));
    let of_customer = |method: &str| {
        let mut body = with_method(method);
        body["customer_id"] = json!("cus_8");
        body
    };
    let cases = [
        ("pm_card_visa", 200),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", 402),
    ];
    for (number, (method, status)) in (1_u64..).zip(cases) {
        let body = of_customer(method);
        let first = dev.pay(method, &body).expect(status);
        assert_eq!(first.header("idempotent-replayed"), None);
        let id = match status {
            200 => first.json()["id"].as_str().unwrap().to_owned(),
            _ => first.error("payment_id"),
        };
        let (rows, charges) = (history(&dev, &id), dev.charges());
        for _ in 0..5 {
            let again = dev.pay(method, &body).expect(status);
            assert_eq!(again.header("idempotent-replayed"), Some("true"));
            assert_eq!(again.body, first.body, "byte for byte");
        }
        assert_eq!(history(&dev, &id), rows, "neither risk nor the books were asked");
        assert_eq!(dev.charges(), charges);
        assert_eq!(faults(dev.sandbox)["data"][0]["covered"], number);
    }
    // The customer has paid twice, whatever was replayed: a third payment is within the limit, and a fourth is not.
    dev.pay("third", &of_customer("pm_card_visa")).expect(200);
    let fourth = dev.pay("fourth", &of_customer("pm_card_visa")).expect(402);
    assert_eq!(fourth.error("decline_code"), "fraudulent");
    dev.stop();
}

#[test]
fn orch_11_a_key_has_its_final_answer_only_with_the_entry_in_the_books() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (provider, sandbox) = start_sandbox(elsewhere.path(), lasting_address());
    let config = write_config(elsewhere.path(), sandbox);
    let key = another_merchant(folder.path(), &[]);
    let operator = run_well(&["key", "create"], folder.path(), &[]);
    let variables = [
        ("FLORIN_RETRY_TRIES_MAX", "1"),
        ("FLORIN_PROVIDER_STRIPE_REQUEST_TIMEOUT_MS", "1500"),
        ("FLORIN_RESOLUTION_WAITS_S", "86400"),
    ];
    let (node, api) = serve(&config, folder.path(), &variables);
    let caller = Caller::new(api, &key);
    add_fault(sandbox, "timeout_after_charge", &json!({}));
    add_fault(sandbox, "drop_connection", &json!({"operation": "query"}));
    let body = sale(10_000, "USD");
    let id = caller.pay("k", &body).expect(202).json()["id"].clone();
    assert_eq!(charges(sandbox).len(), 1, "it was charged, and we do not know");
    provider.stop();
    for _ in 0..3 {
        let early = caller.pay("k", &body).expect(202).json();
        assert_eq!((&early["id"], &early["status"]), (&id, &json!("processing")));
        assert_eq!(balances(&Caller::new(api, &operator), ""), BTreeMap::new());
    }
    let (provider, _) = start_sandbox(elsewhere.path(), sandbox);
    let id = id.as_str().unwrap();
    let answer = wait_for("the provider's word", || {
        let answer = caller.pay("k", &body);
        (answer.status == 200).then_some(answer)
    });
    let history = caller.read(&format!("/v1/payments/{id}/history"));
    let rows = history["data"].as_array().unwrap();
    let (known, entered) = (
        of_type(rows, "attempt.succeeded"),
        of_type(rows, "ledger.entry_posted"),
    );
    assert_eq!((known.len(), entered.len()), (1, 1), "{rows:?}");
    assert_eq!(known[0]["seq"], entered[0]["seq"], "one commit has both");
    node.kill_9();

    // What keeps answers is no store of its own that could be ahead of the books: without its index they are the same.
    std::fs::remove_dir_all(folder.path().join("keys")).unwrap();
    let (node, api) = serve(&config, folder.path(), &variables);
    let again = Caller::new(api, &key).pay("k", &body).expect(200);
    assert_eq!((again.text(), again.is_replay()), (answer.text(), true));
    let operator = Caller::new(api, &operator);
    assert_eq!(
        balances(&operator, "provider_clearing:"),
        [("USD".to_owned(), 10_000)].into()
    );
    assert_eq!(charges(sandbox).len(), 1);
    assert_balanced(&operator);
    node.stop();
    provider.stop();
}

/// Each wait is long where it must not be used: a test that waited for it would see the answer's budget run out.
const AFTER_TIMEOUTS: [(&str, &str); 3] = [
    ("FLORIN_RETRY_TIMEOUT_WAIT_MS", "20"),
    ("FLORIN_RETRY_NETWORK_ERROR_WAIT_MS", "60000"),
    ("FLORIN_RESOLUTION_WAITS_S", "86400"),
];
const AFTER_NETWORK_ERRORS: [(&str, &str); 3] = [
    ("FLORIN_RETRY_TIMEOUT_WAIT_MS", "60000"),
    ("FLORIN_RETRY_NETWORK_ERROR_WAIT_MS", "20"),
    ("FLORIN_LIMITS_ANSWER_BUDGET_MS", "50000"),
];

#[test]
fn orch_12_an_attempt_is_sent_three_times_and_then_its_outcome_is_unknown() {
    assert_eq!(usual("retry", "tries_max"), "3");
    assert_eq!(usual("retry", "timeout_wait_ms"), "2000");
    let (_folder, dev) = Dev::fresh(&AFTER_TIMEOUTS);
    add_fault(dev.sandbox, "drop_connection", &json!({}));
    let answer = dev.pay("k", &sale(10_000, "USD")).expect(202).json();
    assert_eq!(answer["status"], "processing");
    assert_eq!(faults(dev.sandbox)["data"][0]["covered"], 3);
    let rows = history(&dev, answer["id"].as_str().unwrap());
    assert_eq!(
        of_type(&rows, "attempt.planned").len(),
        1,
        "one attempt at one provider: {rows:?}"
    );
    let unknown = of_type(&rows, "attempt.unknown");
    assert_eq!(unknown.len(), 1, "{rows:?}");
    assert_eq!(unknown[0]["attempt"], 1);
    assert_eq!(dev.charges(), Vec::<Value>::new());
    dev.stop();
}

#[test]
fn orch_12_a_provider_that_cannot_be_reached_is_tried_again_and_then_the_key_stays_usable() {
    assert_eq!(usual("retry", "network_error_wait_ms"), "1000");
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // Nobody listens there.
    let config = write_config(elsewhere.path(), lasting_address());
    let key = another_merchant(folder.path(), &[]);
    let (node, api) = serve(&config, folder.path(), &AFTER_NETWORK_ERRORS);
    let caller = Caller::new(api, &key);
    let refused = caller.pay("k", &sale(500, "USD")).expect(503);
    assert_eq!(refused.error("code"), "no_provider_available");
    let again = caller.pay("k", &sale(500, "USD")).expect(503);
    assert_eq!(again.error("payment_id"), refused.error("payment_id"));
    node.stop();

    let (_folder, dev) = Dev::fresh(&AFTER_NETWORK_ERRORS);
    // Refused before anything was done, as when nothing was sent.
    add_fault(dev.sandbox, "rate_limit", &json!({}));
    dev.pay("k", &sale(500, "USD")).expect(503);
    assert_eq!(faults(dev.sandbox)["data"][0]["covered"], 3);
    clear_faults(dev.sandbox);
    dev.pay("k", &sale(500, "USD")).expect(200);
    assert_eq!(dev.charges().len(), 1);
    dev.stop();
}

#[test]
fn orch_13_a_failed_payment_is_kept_with_why_it_failed() {
    let (folder, dev) = Dev::fresh(&[]);
    dev.pay("good", &sale(500, "USD")).expect(200);
    let declined = dev
        .pay(
            "bad",
            &with_method("pm_card_visa_chargeDeclinedInsufficientFunds"),
        )
        .expect(402);
    let id = declined.error("payment_id");
    let kept = shown(&dev, &id);
    let expected = [
        ("status", json!("failed")),
        ("failure_code", json!("card_declined")),
        ("decline_code", json!("insufficient_funds")),
        ("amount", json!(10_000)),
        ("amount_captured", json!(0)),
    ];
    for (field, value) in expected {
        assert_eq!(kept[field], value, "{field}");
    }
    assert_eq!(
        dev.merchant().read("/v1/payments?status=failed")["data"],
        json!([kept])
    );
    dev.process.kill_9();
    let dev = Dev::start(folder.path(), &[]);
    assert_eq!(shown(&dev, &id), kept);
    assert_eq!(
        dev.merchant().read("/v1/payments?status=failed")["data"],
        json!([kept])
    );
    let rows = history(&dev, &id);
    assert_eq!(
        rows.last().map(|row| (&row["type"], &row["decline_code"])),
        Some((&json!("attempt.declined"), &json!("insufficient_funds")))
    );
    dev.stop();
}

#[test]
fn orch_14_the_processors_own_transaction_id_and_what_it_said_are_kept() {
    let (folder, dev) = Dev::fresh(&[]);
    let payment = dev.pay("good", &sale(10_000, "USD")).expect(200).json();
    let declined = dev
        .pay("bad", &with_method("pm_card_visa_chargeDeclined"))
        .expect(402);
    let transaction = payment["processor_transaction_id"].as_str().unwrap().to_owned();
    assert!(transaction.starts_with("ch_"), "{payment}");
    assert_eq!(payment["provider"], "stripe");
    let charge = dev.charges().pop().unwrap();
    assert_eq!(charge["id"], transaction.as_str(), "the processor's own row");
    let id = payment["id"].as_str().unwrap();
    let assert_kept = |dev: &Dev| {
        let rows = history(dev, id);
        let said = of_type(&rows, "attempt.succeeded");
        assert_eq!(said.len(), 1, "{rows:?}");
        assert_eq!(said[0]["processor_transaction_id"], transaction.as_str());
        assert_eq!(shown(dev, id), payment);
        let failed = shown(dev, &declined.error("payment_id"));
        assert_eq!(failed["processor_transaction_id"], json!(null));
    };
    assert_kept(&dev);
    dev.process.kill_9();
    let dev = Dev::start(folder.path(), &[]);
    assert_kept(&dev);
    dev.stop();
}

#[test]
fn txn_10_a_payment_is_processed_retrieved_and_refunded() {
    let (_folder, dev) = Dev::fresh(&[]);
    let processed = dev.pay("process", &sale(10_000, "USD")).expect(200);
    let id = processed.json()["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/payments/{id}");
    let retrieved = dev.merchant().get(&path).expect(200);
    assert_eq!(retrieved.json(), processed.json());
    let refund = ask(&dev, "refund", &id, "refunds", &json!({"amount": 4_000})).expect(200);
    let refund = refund.json();
    assert_eq!(
        (&refund["payment_id"], &refund["amount"], &refund["status"]),
        (&json!(id), &json!(4_000), &json!("succeeded"))
    );
    let payment = shown(&dev, &id);
    assert_eq!(
        (&payment["amount_refunded"], &payment["refunds"]),
        (&json!(4_000), &json!([refund]))
    );
    dev.merchant()
        .get("/v1/payments/pay_01m7y8dg6p0000emgyq7269te1")
        .expect(404);
    assert_eq!(
        balances(&dev.operator(), "provider_clearing:"),
        [("USD".to_owned(), 6_000)].into()
    );
    assert_balanced(&dev.operator());
    dev.stop();
}
