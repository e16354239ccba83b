//! Saved cards over the real binary: they pay, they survive a kill, and their numbers are nowhere.

use crate::adyen;
use crate::deployment::{Caller, Dev, MERCHANT};
use crate::http::{Answer, Client};
use crate::process::run_well;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// A number and a code that nothing else writes.
const NUMBER: &str = "371449635398431";
const SPACED: &str = "3714 496353 98431";
const CODE: &str = "7391";
/// Faults of the test cards are no faults of the provider.
const CALM: [(&str, &str); 1] = [("FLORIN_BREAKER_OPEN_MS", "1")];

#[track_caller]
fn save(merchant: &Caller, key: &str, number: &str) -> String {
    let code = if number.len() == 15 { CODE } else { "917" };
    let card = json!({"number": number, "exp_month": 12, "exp_year": 2040, "cvc": code});
    let body = json!({"type": "card", "card": card, "billing_details": {"name": "Jane Diaz"}});
    let answer = merchant.post(key, "/v1/payment_methods", &body).expect(200);
    answer.json()["id"].as_str().unwrap().to_owned()
}

#[track_caller]
fn pay(merchant: &Caller, key: &str, method: &str) -> Answer {
    let body = json!({"amount": 1_000, "currency": "USD", "payment_method_id": method, "customer_id": key});
    merchant.pay(key, &body)
}

/// What each number leads to: nothing for a success, else the decline code.
const NUMBERS: [(&str, Option<&str>); 18] = [
    ("4242424242424242", None),
    ("4000056655665556", None),
    ("5555555555554444", None),
    ("2223003122003222", None),
    ("5105105105105100", None),
    ("378282246310005", None),
    ("6011111111111117", None),
    ("3056930009020004", None),
    ("3566002020360505", None),
    ("6200000000000005", None),
    ("4111111111111111", None),
    ("4000000000000002", Some("generic_decline")),
    ("4000000000009995", Some("insufficient_funds")),
    ("4000000000009987", Some("lost_card")),
    ("4000000000009979", Some("stolen_card")),
    ("4000000000000069", Some("expired_card")),
    ("4000000000000127", Some("incorrect_cvc")),
    ("4000000000006975", Some("card_velocity_exceeded")),
];

#[test]
fn a_saved_card_pays_as_its_number_says_and_shows_its_own_last_four_digits() {
    let (_folder, dev) = Dev::fresh(&CALM);
    let merchant = dev.merchant();
    for (place, (number, decline)) in NUMBERS.into_iter().enumerate() {
        let method = save(&merchant, &format!("save-{place}"), number);
        let paid = pay(&merchant, &format!("pay-{place}"), &method);
        let body = paid.json();
        match decline {
            None => {
                assert_eq!(
                    (paid.status, &body["status"]),
                    (200, &json!("succeeded")),
                    "{number} {body}"
                );
                assert_eq!(body["payment_method_id"], json!(method));
                assert_eq!(
                    body["payment_method_details"]["card"]["last4"],
                    json!(number[number.len() - 4..])
                );
            }
            Some(decline) => {
                assert_eq!(
                    (paid.status, &body["error"]["decline_code"]),
                    (402, &json!(decline)),
                    "{number} {body}"
                );
            }
        }
    }
    let succeed = NUMBERS.iter().filter(|(_, decline)| decline.is_none()).count();
    assert_eq!(dev.charges().len(), succeed);
    dev.stop();
}

#[test]
fn a_saved_card_pays_at_adyen_and_after_the_process_was_killed_and_its_key_exchanged() {
    let (folder, dev) = adyen::fresh(&CALM);
    let merchant = dev.merchant();
    let method = save(&merchant, "save", NUMBER);
    let refused = save(&merchant, "save-2", "4000000000009995");
    assert_eq!(
        pay(&merchant, "pay-1", &method).expect(200).json()["status"],
        json!("succeeded")
    );
    assert_eq!(
        pay(&merchant, "pay-2", &refused)
            .expect(402)
            .error("decline_code"),
        "insufficient_funds"
    );
    dev.process.kill_9();
    let said = run_well(&["secrets", "rotate-kek"], &folder.path().join("data"), &[]);
    // One of them is that of webhook endpoints.
    assert!(said.contains("2 data keys were wrapped anew"), "{said}");
    let dev = adyen::start(folder.path(), &CALM);
    let merchant = dev.merchant();
    assert_eq!(
        pay(&merchant, "pay-3", &method).expect(200).json()["status"],
        json!("succeeded")
    );
    let detach = format!("/v1/payment_methods/{method}/detach");
    merchant.post("detach", &detach, &json!({})).expect(200);
    assert_eq!(
        pay(&merchant, "pay-4", &method).expect(400).error("code"),
        "payment_method_unexpected_state"
    );
    assert_eq!(dev.charges().len(), 2);
    dev.stop();
}

/// Every file below a folder, with its bytes.
fn files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push((path.display().to_string(), fs::read(&path).unwrap_or_default()));
        }
    }
}

fn holds(bytes: &[u8], wanted: &str) -> bool {
    bytes
        .windows(wanted.len())
        .any(|window| window == wanted.as_bytes())
}

/// As a code would be written by whoever kept one: four digits alone are in many files.
fn code_forms() -> Vec<String> {
    let before = ["\"", "cvc=", "cvc%5D=", "cvc]=", "cvc: "];
    before.iter().map(|before| format!("{before}{CODE}")).collect()
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one flat list: everything that a card may be sent to"
)]
fn neither_a_number_nor_a_code_is_in_any_file_log_metric_or_answer() {
    let noisy = [("FLORIN_BREAKER_OPEN_MS", "1"), ("FLORIN_LOG", "debug")];
    let (folder, mut dev) = Dev::fresh(&noisy);
    let merchant = dev.merchant();
    let mut seen: Vec<(String, Vec<u8>)> = Vec::new();
    let mut keep = |name: &str, answer: Answer| {
        seen.push((format!("the answer to {name}"), answer.body.clone()));
        answer
    };
    let card = json!({"number": NUMBER, "exp_month": 12, "exp_year": 2040, "cvc": CODE});
    let create = json!({"type": "card", "card": card});
    let good = keep(
        "a card",
        merchant.post("a", "/v1/payment_methods", &create).expect(200),
    );
    let method = good.json()["id"].as_str().unwrap().to_owned();
    keep("a payment", pay(&merchant, "p", &method).expect(200));
    let token = keep(
        "a token",
        merchant
            .post("t", "/v1/tokens", &json!({"card": card}))
            .expect(200),
    );
    let token = token.json()["id"].as_str().unwrap().to_owned();
    keep(
        "a used token",
        merchant
            .post(
                "u",
                "/v1/payment_methods",
                &json!({"type": "card", "card": {"token": token}}),
            )
            .expect(200),
    );
    let declined = save(&merchant, "d", "4000000000009995");
    keep("a decline", pay(&merchant, "dp", &declined).expect(402));
    for (key, path, body) in [
        (
            "w1",
            "/v1/payment_methods",
            json!({"type": "card", "number": NUMBER, "cvc": CODE}),
        ),
        (
            "w2",
            "/v1/payment_methods",
            json!({"type": "card", "card": {"number": NUMBER, "cvc": CODE}}),
        ),
        ("w3", "/v1/payment_methods", json!({"type": NUMBER, "card": card})),
        ("w4", "/v1/customers", json!({"description": SPACED})),
        ("w5", "/v1/customers", json!({"metadata": {NUMBER: "x"}})),
        (
            "w6",
            "/v1/payments",
            json!({"amount": 1, "currency": NUMBER, "payment_method_id": "pm_card_visa"}),
        ),
        (
            "w7",
            "/v1/payments",
            json!({"amount": 1, "currency": "USD", "payment_method_id": NUMBER}),
        ),
        (
            "w8",
            "/v1/payments",
            json!({"amount": 1, "currency": "USD", "payment_method_id": method, "description": SPACED}),
        ),
        (
            "w9",
            "/v1/payments",
            json!({"amount": 1, "currency": "USD", "payment_method_id": method, "metadata": {"n": NUMBER}}),
        ),
        (
            NUMBER,
            "/v1/payments",
            json!({"amount": 1, "currency": "USD", "payment_method_id": "pm_card_visa"}),
        ),
    ] {
        let answer = keep(path, merchant.post(key, path, &body));
        assert!((400..500).contains(&answer.status), "{key} {}", answer.text());
    }
    let authorization = format!("Bearer {MERCHANT}");
    let raw = |method: &str, path: &str, kind: &str, body: &str| {
        let headers = [("Authorization", authorization.as_str()), ("Content-Type", kind)];
        Client::new(dev.api)
            .send(method, path, &headers, body.as_bytes())
            .unwrap()
    };
    let broken = format!("{{\"type\":\"card\",\"card\":{{\"number\":\"{NUMBER}\",\"cvc\":\"{CODE}\",}}");
    for path in ["/v1/payment_methods", "/v1/payments", "/v1/tokens"] {
        keep("what is no JSON", raw("POST", path, "application/json", &broken));
    }
    let form =
        format!("type=card&card[number]={NUMBER}&card[exp_month]=13&card[exp_year]=40&card[cvc]={CODE}");
    keep(
        "a form",
        raw(
            "POST",
            "/v1/payment_methods",
            "application/x-www-form-urlencoded",
            &form,
        ),
    );
    keep(
        "a query",
        raw("GET", &format!("/v1/customers?{NUMBER}={CODE}"), "text/plain", ""),
    );
    keep(
        "a path",
        raw("GET", &format!("/v1/payment_methods/{NUMBER}"), "text/plain", ""),
    );
    keep("the list", merchant.get("/v1/payments"));
    keep("the metrics", dev.operator().get("/metrics"));
    let history: Value = merchant.read("/v1/payments");
    let payment = history["data"][0]["id"].as_str().unwrap();
    keep(
        "a history",
        merchant.get(&format!("/v1/payments/{payment}/history")),
    );
    dev.process.terminate();
    dev.process.wait();
    let (out, log) = dev.process.output();
    seen.push(("the output".to_owned(), out.into_bytes()));
    assert!(log.len() > 1_000, "{log}");
    seen.push(("the log".to_owned(), log.into_bytes()));
    files(folder.path(), &mut seen);
    assert!(
        seen.iter()
            .any(|(name, bytes)| name.ends_with("vault.db") && bytes.len() > 4_096)
    );
    for (name, bytes) in &seen {
        assert!(
            !holds(bytes, NUMBER) && !holds(bytes, SPACED),
            "the number is in {name}"
        );
        for form in code_forms() {
            assert!(!holds(bytes, &form), "the code is in {name}: {form}");
        }
    }
}
