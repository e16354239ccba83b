//! A provider that misbehaves: what callers are told meanwhile, what is charged, and how each payment comes to its truth.

use crate::cli::{serve, write_config};
use crate::deployment::{Caller, Dev, add_fault, assert_balanced, balances, charges, clear_faults, sale};
use crate::http::Answer;
use crate::process::{lasting_address, run_well, wait_for};
use crate::recovery::start_sandbox;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Short waits, so that what takes minutes in production takes seconds here.
const HASTY: [(&str, &str); 7] = [
    ("FLORIN_LIMITS_ANSWER_BUDGET_MS", "5000"),
    ("FLORIN_STAGES_AUTHORIZATION_MS", "4000"),
    ("FLORIN_PROVIDER_STRIPE_REQUEST_TIMEOUT_MS", "500"),
    ("FLORIN_RETRY_NETWORK_ERROR_WAIT_MS", "20"),
    ("FLORIN_RETRY_TIMEOUT_WAIT_MS", "20"),
    ("FLORIN_RESOLUTION_WAITS_S", "1"),
    ("FLORIN_BREAKER_OPEN_MS", "1"),
];

fn faulty(mode: &str, fields: &Value) -> (TempDir, Dev) {
    let (folder, dev) = Dev::fresh(&HASTY);
    add_fault(dev.sandbox, mode, fields);
    (folder, dev)
}

/// A 202 that says where to ask; the payment's id.
#[track_caller]
fn unresolved(answer: &Answer) -> String {
    assert_eq!(answer.status, 202, "{answer:?}");
    let payment = answer.json();
    assert_eq!(
        (&payment["status"], &payment["amount_captured"]),
        (&json!("processing"), &json!(0))
    );
    let id = payment["id"].as_str().unwrap().to_owned();
    assert_eq!(
        answer.header("location"),
        Some(format!("/v1/payments/{id}").as_str())
    );
    assert!(!answer.is_replay());
    id
}

/// One payment, charged once, in books that balance; its key now has the final answer.
#[track_caller]
fn assert_charged_once(dev: &Dev, key: &str, id: &str) {
    let charges = dev.charges();
    assert_eq!(charges.len(), 1, "{charges:?}");
    assert_eq!(charges[0]["payment_id"], id);
    let answer = dev.pay(key, &sale(10_000, "USD")).expect(200);
    let payment = answer.json();
    assert_eq!(
        (payment["id"].as_str(), &payment["status"]),
        (Some(id), &json!("succeeded"))
    );
    assert_eq!(dev.pay(key, &sale(10_000, "USD")).text(), answer.text());
    assert_eq!(dev.charges().len(), 1);
    assert_eq!(dev.merchant().read_all("/v1/payments").len(), 1);
    assert_balanced(&dev.operator());
}

#[test]
fn a_charge_whose_answer_is_lost_is_charged_once_and_found_out() {
    let (_folder, dev) = faulty("timeout_after_charge", &json!({}));
    let answer = dev.pay("k", &sale(10_000, "USD"));
    let id = match answer.status {
        // The repeated request heard what the first one did.
        200 => answer.json()["id"].as_str().unwrap().to_owned(),
        _ => unresolved(&answer),
    };
    clear_faults(dev.sandbox);
    dev.merchant().payment_once(&id, "succeeded");
    assert_charged_once(&dev, "k", &id);
    dev.stop();
}

/// Without a second try, so that the caller hears that nothing is known.
#[test]
fn a_charge_whose_answer_is_lost_is_processing_until_the_provider_has_been_asked() {
    let hasty = [HASTY.as_slice(), &[("FLORIN_RETRY_TRIES_MAX", "1")]].concat();
    let (_folder, dev) = Dev::fresh(&hasty);
    add_fault(dev.sandbox, "timeout_after_charge", &json!({}));
    let id = unresolved(&dev.pay("k", &sale(10_000, "USD")));
    assert_eq!(dev.charges().len(), 1, "it was charged, and we do not know");
    clear_faults(dev.sandbox);
    dev.merchant().payment_once(&id, "succeeded");
    assert_charged_once(&dev, "k", &id);
    dev.stop();
}

#[test]
fn a_dropped_connection_is_unknown_and_the_payment_is_driven_to_its_end() {
    let (_folder, dev) = faulty("drop_connection", &json!({}));
    let id = unresolved(&dev.pay("k", &sale(10_000, "USD")));
    assert_eq!(dev.charges(), Vec::<Value>::new());
    let again = dev.pay("k", &sale(10_000, "USD"));
    assert_eq!(unresolved(&again), id, "still the same payment");
    clear_faults(dev.sandbox);
    dev.merchant().payment_once(&id, "succeeded");
    assert_charged_once(&dev, "k", &id);
    dev.stop();
}

#[test]
fn a_timeout_before_anything_happened_is_unknown_and_the_payment_is_driven_to_its_end() {
    let (_folder, dev) = faulty("timeout_before", &json!({}));
    let id = unresolved(&dev.pay("k", &sale(10_000, "USD")));
    assert_eq!(dev.charges(), Vec::<Value>::new());
    clear_faults(dev.sandbox);
    dev.merchant().payment_once(&id, "succeeded");
    assert_charged_once(&dev, "k", &id);
    dev.stop();
}

#[test]
fn one_dropped_connection_is_repeated_under_the_same_key_within_the_answer() {
    let (_folder, dev) = faulty("drop_connection", &json!({"count": 1}));
    let payment = dev.pay("k", &sale(10_000, "USD")).expect(200).json();
    assert_charged_once(&dev, "k", payment["id"].as_str().unwrap());
    dev.stop();
}

/// The provider stores its error under the key, so repeating the request teaches nothing.
#[test]
fn an_error_of_the_provider_is_never_taken_for_success_or_failure() {
    let (_folder, dev) = faulty("http_500", &json!({}));
    let id = unresolved(&dev.pay("k", &sale(10_000, "USD")));
    let path = format!("/v1/payments/{id}/history");
    let history = dev.merchant().read(&path);
    let last = history["data"].as_array().unwrap().last().unwrap();
    assert_eq!(last["type"], "attempt.unknown", "{history}");
    assert_eq!(unresolved(&dev.pay("k", &sale(10_000, "USD"))), id);
    assert_eq!(dev.charges(), Vec::<Value>::new());
    assert_eq!(balances(&dev.operator(), ""), std::collections::BTreeMap::new());
    dev.stop();
}

#[test]
fn a_payment_that_met_an_error_of_the_provider_comes_to_its_truth() {
    let (_folder, dev) = faulty("http_500", &json!({}));
    let id = unresolved(&dev.pay("k", &sale(10_000, "USD")));
    clear_faults(dev.sandbox);
    let payment = wait_for("its truth", || {
        Some(dev.merchant().read(&format!("/v1/payments/{id}")))
            .filter(|payment| payment["status"] != "processing")
    });
    // The provider stored its error under the key, so the attempt was closed there: nothing is charged, and the key drives it again.
    assert_eq!(payment["status"], "requires_confirmation", "{payment}");
    assert_eq!(dev.charges(), Vec::<Value>::new());
    let driven = dev.pay("k", &sale(10_000, "USD")).expect(200).json();
    assert_eq!(driven["id"], id.as_str(), "the same key drives the same payment");
    assert_charged_once(&dev, "k", &id);
    assert_balanced(&dev.operator());
    dev.stop();
}

#[test]
fn a_rate_limited_provider_charges_nothing_until_the_key_is_sent_again() {
    let (_folder, dev) = faulty("rate_limit", &json!({}));
    let refused = dev.pay("k", &sale(10_000, "USD")).expect(503);
    assert!(
        refused
            .header("retry-after")
            .is_some_and(|wait| wait.parse::<u64>().is_ok()),
        "{refused:?}"
    );
    let id = refused.error("payment_id");
    assert_eq!(dev.charges(), Vec::<Value>::new());
    clear_faults(dev.sandbox);
    let paid = dev.pay("k", &sale(10_000, "USD")).expect(200);
    assert!(!paid.is_replay(), "this request did the work");
    let payment = paid.json();
    assert_eq!(payment["id"], id.as_str(), "the same key drives the same payment");
    assert_charged_once(&dev, "k", &id);
    dev.stop();
}

#[test]
fn one_refusal_by_a_rate_limit_is_waited_out() {
    let (_folder, dev) = faulty("rate_limit", &json!({"count": 1}));
    let payment = dev.pay("k", &sale(10_000, "USD")).expect(200).json();
    assert_charged_once(&dev, "k", payment["id"].as_str().unwrap());
    dev.stop();
}

#[test]
fn a_slow_provider_is_waited_for_within_the_request_timeout() {
    let (_folder, dev) = faulty("slow", &json!({"delay_ms": 200}));
    let payment = dev.pay("k", &sale(10_000, "USD")).expect(200).json();
    assert_charged_once(&dev, "k", payment["id"].as_str().unwrap());
    dev.stop();
}

#[test]
fn a_provider_slower_than_the_request_timeout_charges_once() {
    let (_folder, dev) = faulty("slow", &json!({"delay_ms": 60_000}));
    let answer = dev.pay("k", &sale(10_000, "USD"));
    let id = match answer.status {
        200 => answer.json()["id"].as_str().unwrap().to_owned(),
        _ => unresolved(&answer),
    };
    clear_faults(dev.sandbox);
    dev.merchant().payment_once(&id, "succeeded");
    assert_charged_once(&dev, "k", &id);
    dev.stop();
}

#[test]
fn a_decline_of_the_provider_is_final_for_its_key() {
    let (_folder, dev) = faulty("decline", &json!({}));
    let declined = dev.pay("k", &sale(10_000, "USD")).expect(402);
    assert_eq!(declined.error("decline_code"), "generic_decline");
    clear_faults(dev.sandbox);
    let again = dev.pay("k", &sale(10_000, "USD")).expect(402);
    assert_eq!((again.text(), again.is_replay()), (declined.text(), true));
    assert_eq!(dev.charges(), Vec::<Value>::new());
    dev.pay("another", &sale(10_000, "USD")).expect(200);
    assert_eq!(dev.charges().len(), 1);
    dev.stop();
}

#[test]
fn many_payments_through_random_faults_are_charged_at_most_once_each() {
    let (_folder, dev) = Dev::fresh(&HASTY);
    for (seed, mode) in ["drop_connection", "timeout_after_charge", "rate_limit"]
        .into_iter()
        .enumerate()
    {
        add_fault(dev.sandbox, mode, &json!({"probability": 0.25, "seed": seed}));
    }
    let workers: Vec<_> = (0..8_u64)
        .map(|worker| {
            let merchant = dev.merchant();
            std::thread::spawn(move || {
                for number in 0..5 {
                    let key = format!("{worker}-{number}");
                    let answer = merchant.pay(&key, &sale(1_000 + worker, "USD"));
                    assert!([200, 202, 503].contains(&answer.status), "{answer:?}");
                }
            })
        })
        .collect();
    for worker in workers {
        worker.join().unwrap();
    }
    clear_faults(dev.sandbox);
    let mut captured = 0;
    for worker in 0..8_u64 {
        for number in 0..5 {
            let key = format!("{worker}-{number}");
            let payment = wait_for(&key, || {
                let answer = dev.pay(&key, &sale(1_000 + worker, "USD"));
                (answer.status == 200).then(|| answer.json())
            });
            assert_eq!(payment["status"], "succeeded");
            captured += payment["amount_captured"].as_u64().unwrap();
        }
    }
    let charges = dev.charges();
    let ids: std::collections::HashSet<&str> = charges
        .iter()
        .map(|charge| charge["payment_id"].as_str().unwrap())
        .collect();
    assert_eq!((charges.len(), ids.len()), (40, 40));
    assert_eq!(
        charges
            .iter()
            .map(|charge| charge["amount"].as_u64().unwrap())
            .sum::<u64>(),
        captured
    );
    assert_balanced(&dev.operator());
    dev.stop();
}

#[test]
fn an_unreachable_provider_is_a_503_and_the_same_key_drives_the_same_payment_later() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (provider, sandbox) = start_sandbox(elsewhere.path(), lasting_address());
    provider.stop();
    let config = write_config(elsewhere.path(), sandbox);
    let merchant = run_well(&["merchant", "create", "--name", "Shop"], folder.path(), &[]);
    let key = run_well(&["key", "create", "--merchant", &merchant], folder.path(), &[]);
    let (node, api) = serve(&config, folder.path(), &HASTY);
    let caller = Caller::new(api, &key);
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..2 {
        let refused = caller.pay("k", &sale(10_000, "USD")).expect(503);
        assert!(
            refused
                .header("retry-after")
                .is_some_and(|wait| wait.parse::<u64>().is_ok()),
            "{refused:?}"
        );
        assert_eq!(refused.error("code"), "no_provider_available");
        ids.insert(refused.error("payment_id"));
    }
    assert_eq!(ids.len(), 1, "{ids:?}");
    caller.pay("k", &sale(10_001, "USD")).expect(422);
    let (provider, again) = start_sandbox(elsewhere.path(), sandbox);
    assert_eq!(again, sandbox);
    let paid = caller.pay("k", &sale(10_000, "USD")).expect(200).json();
    assert_eq!(paid["id"].as_str(), ids.first().map(String::as_str));
    assert_eq!(paid["status"], "succeeded");
    let charged = charges(sandbox);
    assert_eq!((charged.len(), &charged[0]["payment_id"]), (1, &paid["id"]));
    let replay = caller.pay("k", &sale(10_000, "USD")).expect(200);
    assert_eq!((replay.json(), replay.is_replay()), (paid, true));
    node.stop();
    provider.stop();
}
