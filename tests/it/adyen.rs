//! A node whose one provider is the sandbox's Adyen: it only acknowledges captures, voids and refunds, and tells later what became of them.

use crate::deployment::{Dev, PATIENT, add_fault, clear_faults, faults, sale, with_method};
use crate::http::Client;
use crate::operations::{ask, assert_books_are_true, assert_fields, executed, made, manual, shown};
use crate::process::{Process, address_after, command, wait_for};
use serde_json::{Value, json};
use std::path::Path;
use tempfile::TempDir;

const HMAC_KEY: &str = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056";

/// Short waits, so that what takes minutes in production takes seconds here.
const HASTY: [(&str, &str); 7] = [
    ("FLORIN_STAGES_AUTHORIZATION_MS", "4000"),
    ("FLORIN_LIMITS_ANSWER_BUDGET_MS", "5000"),
    ("FLORIN_PROVIDER_ADYEN_REQUEST_TIMEOUT_MS", "500"),
    ("FLORIN_RETRY_NETWORK_ERROR_WAIT_MS", "20"),
    ("FLORIN_RETRY_TIMEOUT_WAIT_MS", "20"),
    ("FLORIN_RESOLUTION_WAITS_S", "1"),
    ("FLORIN_BREAKER_OPEN_MS", "1"),
];

#[track_caller]
pub(crate) fn start(folder: &Path, variables: &[(&str, &str)]) -> Dev {
    let config = folder.join("florin.toml");
    let text = format!(
        "[[provider]]\nkind = \"adyen\"\nid = \"adyen\"\nbase_url = \"http://127.0.0.1:0/adyen\"\nmerchant_account = \"ShopNL\"\n\
         api_key = \"AQE_sandbox\"\nhmac_key = \"{HMAC_KEY}\"\n"
    );
    std::fs::write(&config, text).unwrap();
    let arguments = ["dev", "--config", config.to_str().unwrap()];
    let all = [&PATIENT, variables].concat();
    let mut process = Process::start(&mut command(&arguments, &folder.join("data"), &all));
    let api = process.says("the API's address", |line| address_after(line, "API"));
    let sandbox = process.says("the sandbox's address", |line| address_after(line, "sandbox"));
    Dev {
        process,
        api,
        sandbox,
    }
}

pub(crate) fn fresh(variables: &[(&str, &str)]) -> (TempDir, Dev) {
    let folder = tempfile::tempdir().unwrap();
    let dev = start(folder.path(), variables);
    (folder, dev)
}

/// A fault of the simulated Adyen.
#[track_caller]
fn fault(dev: &Dev, operation: &str, mode: &str, extra: &Value) {
    let mut fields = json!({"provider": "adyen", "operation": operation});
    fields
        .as_object_mut()
        .unwrap()
        .extend(extra.as_object().unwrap().clone());
    add_fault(dev.sandbox, mode, &fields);
}

/// The payment once a field of it says this.
#[track_caller]
pub(crate) fn once(dev: &Dev, id: &str, field: &str, value: &Value) -> Value {
    wait_for(&format!("{field} to be {value}"), || {
        Some(shown(dev, id)).filter(|payment| payment[field] == *value)
    })
}

/// Asks for something that is done now or acknowledged now.
#[track_caller]
pub(crate) fn order(dev: &Dev, key: &str, id: &str, what: &str, body: &Value) {
    let answer = ask(dev, key, id, what, body);
    assert!([200, 202].contains(&answer.status), "{answer:?}");
}

#[test]
fn a_sale_a_decline_and_a_hold_with_all_that_follows_come_to_true_books() {
    let (_folder, dev) = fresh(&[]);
    let paid = dev.pay("sale", &sale(10_000, "USD")).expect(200).json();
    assert_fields(
        &paid,
        &[("status", json!("succeeded")), ("provider", json!("adyen"))],
    );
    let declined = dev
        .pay(
            "declined",
            &with_method("pm_card_visa_chargeDeclinedInsufficientFunds"),
        )
        .expect(402);
    assert_eq!(declined.error("decline_code"), "insufficient_funds");

    let id = made(&dev, "hold", &manual(10_000, "USD"));
    order(
        &dev,
        "capture",
        &id,
        "capture",
        &json!({"amount": 4_000, "final": false}),
    );
    once(&dev, &id, "amount_captured", &json!(4_000));
    order(&dev, "refund", &id, "refunds", &json!({"amount": 1_500}));
    once(&dev, &id, "amount_refunded", &json!(1_500));
    order(&dev, "void", &id, "void", &json!({}));
    once(&dev, &id, "amount_capturable", &json!(0));

    let held = made(&dev, "held", &manual(7_000, "USD"));
    order(&dev, "void-held", &held, "void", &json!({}));
    once(&dev, &held, "status", &json!("voided"));
    // The same key hears how it ended.
    let again = ask(&dev, "void-held", &held, "void", &json!({}))
        .expect(200)
        .json();
    assert_eq!(again["status"], "voided");

    let expected = [
        ("sale", 10_000),
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

#[test]
fn a_hold_grows_once_adyen_says_that_it_did() {
    let (_folder, dev) = fresh(&[]);
    let id = made(&dev, "hold", &manual(10_000, "USD"));
    fault(&dev, "authorize", "duplicate_webhook", &json!({"count": 1}));
    order(
        &dev,
        "more",
        &id,
        "increment_authorization",
        &json!({"amount": 12_500}),
    );
    once(&dev, &id, "amount_capturable", &json!(12_500));
    fault(&dev, "authorize", "decline", &json!({"count": 1}));
    order(
        &dev,
        "too-much",
        &id,
        "increment_authorization",
        &json!({"amount": 90_000}),
    );
    wait_for("the refusal", || {
        let again = ask(
            &dev,
            "too-much",
            &id,
            "increment_authorization",
            &json!({"amount": 90_000}),
        );
        (again.status == 402).then_some(())
    });
    order(&dev, "capture", &id, "capture", &json!({}));
    once(&dev, &id, "amount_captured", &json!(12_500));
    let expected = [("authorize", 10_000), ("authorize", 2_500), ("capture", 12_500)];
    assert_eq!(
        executed(&dev),
        expected.map(|(operation, amount)| (operation.to_owned(), amount))
    );
    assert_books_are_true(&dev);
    dev.stop();
}

#[test]
fn a_challenge_ends_with_what_the_customer_brings_back() {
    let (_folder, dev) = fresh(&[]);
    for (button, status, code) in [("complete", "succeeded", 200), ("fail", "failed", 402)] {
        let mut body = with_method("pm_card_threeDSecure2Required");
        body["return_url"] = json!("https://shop.example/back?cart=1");
        let payment = dev.pay(button, &body).expect(200).json();
        let id = payment["id"].as_str().unwrap();
        assert_eq!(payment["status"], "requires_action");
        let url = payment["next_action"]["redirect_to_url"]["url"].as_str().unwrap();
        let (_, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let pressed = Client::new(dev.sandbox)
            .send("POST", &format!("/{path}/{button}"), &[], b"")
            .unwrap()
            .expect(303);
        let location = pressed.header("location").unwrap();
        let (_, brought) = location.split_once("&redirectResult=").unwrap();
        // Nothing is charged before it is handed over, and without it nothing is known.
        let early = ask(&dev, &format!("early-{button}"), id, "confirm", &json!({}));
        assert_eq!(early.json()["status"], "requires_action", "{early:?}");
        let wrong = json!({"redirect_result": format!("{brought}0")});
        let refused = ask(&dev, &format!("wrong-{button}"), id, "confirm", &wrong);
        assert_eq!(refused.json()["status"], "requires_action", "{refused:?}");
        let brought = json!({"redirect_result": brought});
        ask(&dev, &format!("back-{button}"), id, "confirm", &brought).expect(code);
        assert_eq!(shown(&dev, id)["status"], status);
    }
    assert_eq!(executed(&dev), [("sale".to_owned(), 10_000)]);
    assert_books_are_true(&dev);
    dev.stop();
}

#[test]
fn a_charge_whose_answer_is_lost_is_repeated_under_its_key_and_happens_once() {
    let (_folder, dev) = fresh(&HASTY);
    fault(&dev, "authorize", "timeout_after_charge", &json!({"count": 1}));
    let answer = dev.pay("k", &sale(10_000, "USD"));
    assert!([200, 202].contains(&answer.status), "{answer:?}");
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    dev.merchant().payment_once(&id, "succeeded");
    assert_eq!(executed(&dev), [("sale".to_owned(), 10_000)]);
    assert_books_are_true(&dev);
    dev.stop();
}

/// The error is stored under the key, so repeating teaches nothing, and Adyen finds nothing to close. What it did not find may still
/// come, so this is for people to say.
#[test]
fn a_charge_that_met_a_stored_error_stays_unknown_although_nothing_was_found_to_close() {
    let (_folder, dev) = fresh(&HASTY);
    fault(&dev, "authorize", "http_500", &json!({}));
    let answer = dev.pay("k", &sale(10_000, "USD")).expect(202).json();
    let id = answer["id"].as_str().unwrap().to_owned();
    clear_faults(dev.sandbox);
    // It never fires, and counts the closings.
    fault(&dev, "void", "decline", &json!({"probability": 0}));
    wait_for("a closing", || {
        let covered = faults(dev.sandbox)["data"][0]["covered"].as_u64();
        covered.filter(|covered| *covered > 0)
    });
    let listed = || dev.operator().read("/v1/ops/unresolved")["data"].clone();
    let attempts = wait_for("the attempt to be listed", || {
        Some(listed()).filter(|data| !data.as_array().unwrap().is_empty())
    });
    assert_eq!(attempts[0]["payment_id"], json!(id));
    assert_eq!(
        dev.pay("k", &sale(10_000, "USD")).expect(202).json()["id"],
        json!(id)
    );
    assert_eq!(shown(&dev, &id)["status"], "processing");
    assert_eq!(executed(&dev), []);
    dev.stop();
}

/// Adyen fails at once and charges later: the error is no proof, the key is in use, and the charge is found out when it comes.
#[test]
fn a_charge_that_is_executed_long_after_its_error_is_found_out_and_happens_once() {
    let (_folder, dev) = fresh(&HASTY);
    fault(
        &dev,
        "authorize",
        "late_execution",
        &json!({"delay_ms": 5000, "count": 1}),
    );
    let id = dev.pay("k", &sale(10_000, "USD")).expect(202).json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(executed(&dev), [], "not yet");
    dev.merchant().payment_once(&id, "succeeded");
    assert_eq!(executed(&dev), [("sale".to_owned(), 10_000)]);
    let paid = dev.pay("k", &sale(10_000, "USD")).expect(200).json();
    assert_fields(&paid, &[("id", json!(id)), ("status", json!("succeeded"))]);
    assert_books_are_true(&dev);
    dev.stop();
}

#[test]
fn killed_between_the_acknowledgement_and_the_notification_nothing_is_lost_or_doubled() {
    let folder = tempfile::tempdir().unwrap();
    let dev = start(folder.path(), &[]);
    let id = made(&dev, "hold", &manual(10_000, "USD"));
    fault(&dev, "capture", "late_webhook", &json!({"delay_ms": 1500}));
    order(
        &dev,
        "capture",
        &id,
        "capture",
        &json!({"amount": 4_000, "final": false}),
    );
    assert_eq!(shown(&dev, &id)["amount_captured"], 0, "only acknowledged");
    dev.process.kill_9();

    let dev = start(folder.path(), &[]);
    once(&dev, &id, "amount_captured", &json!(4_000));
    fault(&dev, "refund", "duplicate_webhook", &json!({}));
    order(&dev, "refund", &id, "refunds", &json!({"amount": 4_000}));
    once(&dev, &id, "amount_refunded", &json!(4_000));
    let expected = [("authorize", 10_000), ("capture", 4_000), ("refund", 4_000)];
    assert_eq!(
        executed(&dev),
        expected.map(|(operation, amount)| (operation.to_owned(), amount))
    );
    assert_books_are_true(&dev);
    dev.stop();
}

#[test]
fn killed_before_the_answer_of_a_charge_it_is_charged_once() {
    let folder = tempfile::tempdir().unwrap();
    let dev = start(
        folder.path(),
        &[
            ("FLORIN_PROVIDER_ADYEN_REQUEST_TIMEOUT_MS", "50000"),
            ("FLORIN_STAGES_AUTHORIZATION_MS", "50000"),
        ],
    );
    fault(&dev, "authorize", "timeout_after_charge", &json!({}));
    let merchant = dev.merchant();
    let asking =
        std::thread::spawn(move || drop(merchant.try_post("k", "/v1/payments", &sale(10_000, "USD"))));
    wait_for("the charge", || (dev.charges().len() == 1).then_some(()));
    dev.process.kill_9();
    asking.join().unwrap();

    let dev = start(folder.path(), &HASTY);
    let answer = dev.pay("k", &sale(10_000, "USD"));
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    dev.merchant().payment_once(&id, "succeeded");
    assert_eq!(executed(&dev), [("sale".to_owned(), 10_000)]);
    assert_books_are_true(&dev);
    dev.stop();
}

#[test]
fn what_is_not_signed_with_the_providers_key_is_refused() {
    let (_folder, dev) = fresh(&[]);
    let id = made(&dev, "hold", &manual(10_000, "USD"));
    let item = json!({"live": "false", "notificationItems": [{"NotificationRequestItem": {
        "additionalData": {"hmacSignature": "AAAA"}, "amount": {"currency": "USD", "value": 10_000}, "eventCode": "CAPTURE",
        "merchantAccountCode": "ShopNL", "merchantReference": format!("{id}.x"), "pspReference": "A1", "success": "true",
    }}]});
    let send = |provider: &str, body: &str| {
        let headers = [("Content-Type", "application/json")];
        let path = format!("/v1/providers/{provider}/notices");
        let mut client = Client::new(dev.api);
        client
            .send("POST", &path, &headers, body.as_bytes())
            .unwrap()
            .status
    };
    assert_eq!(send("adyen", &item.to_string()), 401);
    assert_eq!(send("adyen", "{}"), 400);
    assert_eq!(send("stripe", &item.to_string()), 404);
    assert_eq!(shown(&dev, &id)["status"], "authorized");
    dev.stop();
}
