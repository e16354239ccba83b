//! What follows a decline: advice by its code, the next provider where that is wanted, and no more repetitions than the card's network
//! allows; and payments that look like another one once more.

use crate::adyen;
use crate::deployment::{Dev, OPERATOR, add_fault, faults, sale, with_method};
use crate::http::{Answer, Client};
use crate::ops::figure;
use crate::process::wait_for;
use crate::two_providers::{FIRST, Protocol, SECOND, TwoProviders, attempts};
use serde_json::{Value, json};
use std::path::Path;

const DECLINED: &str = "pm_card_visa_chargeDeclined";

/// The requests to charge that reached the sandbox, by its oldest fault.
#[track_caller]
fn requests(dev: &Dev) -> u64 {
    faults(dev.sandbox)["data"][0]["covered"].as_u64().unwrap()
}

#[track_caller]
fn count_requests(dev: &Dev) {
    add_fault(dev.sandbox, "decline", &json!({"probability": 0}));
}

#[track_caller]
fn metric(dev: &Dev, name: &str) -> Option<f64> {
    figure(&dev.operator().get("/metrics").expect(200).text(), name, "")
}

/// A declined card that is somebody's: a test method without a customer is nobody's.
fn declined_card() -> Value {
    let mut body = with_method(DECLINED);
    body["customer_id"] = json!("cus_declined");
    body
}

/// Advice of an error, and how long to wait.
#[track_caller]
fn advice(answer: &Answer) -> (Value, Value) {
    let error = &answer.json()["error"];
    (error["advice_code"].clone(), error["retry_after_s"].clone())
}

#[test]
fn x_15_a_decline_says_what_may_be_done_by_its_code() {
    let (_folder, dev) = Dev::fresh(&[]);
    let cases = [
        (
            "pm_card_visa_chargeDeclinedInsufficientFunds",
            "insufficient_funds",
            json!("try_again_later"),
            json!(86_400),
        ),
        (
            DECLINED,
            "generic_decline",
            json!("try_again_later"),
            json!(3_600),
        ),
        (
            "pm_card_visa_chargeDeclinedExpiredCard",
            "expired_card",
            json!("confirm_card_data"),
            json!(null),
        ),
        (
            "pm_card_visa_chargeDeclinedIncorrectCvc",
            "incorrect_cvc",
            json!("confirm_card_data"),
            json!(null),
        ),
        (
            "pm_card_riskLevelHighest",
            "fraudulent",
            json!("do_not_try_again"),
            json!(null),
        ),
    ];
    for (method, code, advised, wait_s) in cases {
        let answer = dev.pay(method, &with_method(method)).expect(402);
        assert_eq!(answer.error("decline_code"), code);
        assert_eq!(advice(&answer), (advised.clone(), wait_s), "{method}");
        let kept = dev
            .merchant()
            .read(&format!("/v1/payments/{}", answer.error("payment_id")));
        assert_eq!(
            (&kept["decline_code"], &kept["advice_code"]),
            (&json!(code), &advised)
        );
        let again = dev.pay(method, &with_method(method)).expect(402);
        assert_eq!(again.text(), answer.text());
    }
    let paid = dev.pay("paid", &sale(10_000, "USD")).expect(200).json();
    assert_eq!(paid["advice_code"], json!(null));
    dev.stop();
}

/// Starts a node in a folder, with these variables.
type Start = fn(&Path, &[(&str, &str)]) -> Dev;

/// The network's two codes in an object.
fn by_network(body: &Value) -> (&Value, &Value) {
    (&body["network_decline_code"], &body["network_advice_code"])
}

#[test]
fn x_15_what_the_card_network_said_is_in_the_answer_the_payment_and_its_history_also_after_a_kill() {
    let codes = (&json!("51"), &json!("02"));
    for start in [Dev::start as Start, adyen::start] {
        let folder = tempfile::tempdir().unwrap();
        let dev = start(folder.path(), &[]);
        let no_funds = with_method("pm_card_visa_chargeDeclinedInsufficientFunds");
        let answer = dev.pay("no funds", &no_funds).expect(402);
        assert_eq!(answer.error("decline_code"), "insufficient_funds");
        assert_eq!(by_network(&answer.json()["error"]), codes);
        let id = answer.error("payment_id");
        // Who is told nothing says nothing.
        let silent = dev.pay("silent", &with_method(DECLINED)).expect(402).json();
        assert!(silent["error"].get("network_decline_code").is_none(), "{silent}");
        dev.process.kill_9();

        let dev = start(folder.path(), &[]);
        let again = dev.pay("no funds", &no_funds).expect(402);
        assert_eq!(again.text(), answer.text());
        let payment = dev.merchant().read(&format!("/v1/payments/{id}"));
        assert_eq!(by_network(&payment), codes);
        let history = dev.merchant().read(&format!("/v1/payments/{id}/history"));
        let rows = history["data"].as_array().unwrap();
        let declined = rows.iter().find(|row| row["type"] == "attempt.declined");
        assert_eq!(by_network(declined.unwrap()), codes);
        dev.stop();
    }
}

#[test]
fn x_15_a_soft_decline_goes_to_the_next_provider_where_that_is_wanted_and_no_other_does() {
    let wanted = [("FLORIN_RETRY_SOFT_DECLINES", "next_provider")];
    for protocol in [Protocol::Stripe, Protocol::Adyen] {
        let two = TwoProviders::start(protocol, &wanted);
        two.count_requests();
        let refused = two.dev.pay(
            "money",
            &with_method("pm_card_visa_chargeDeclinedInsufficientFunds"),
        );
        assert_eq!(refused.expect(402).error("decline_code"), "insufficient_funds");
        let both = two.dev.pay("both", &with_method(DECLINED)).expect(402);
        let rows = two.history(&both.error("payment_id"));
        assert_eq!(
            attempts(&rows),
            [(1, FIRST), (2, SECOND)],
            "the other one declines it as well"
        );
        assert_eq!(two.requests(), 2);

        two.fault("decline", &json!({}));
        let paid = two.dev.pay("one", &sale(10_000, "USD")).expect(200).json();
        assert_eq!(
            (&paid["status"], &paid["provider"]),
            (&json!("succeeded"), &json!(SECOND))
        );
        assert_eq!(
            (&paid["failure_code"], &paid["decline_code"]),
            (&json!(null), &json!(null))
        );
        let rows = two.history(paid["id"].as_str().unwrap());
        let of_charge: Vec<&str> = rows
            .iter()
            .map(|row| row["type"].as_str().unwrap())
            .filter(|name| name.starts_with("attempt.") && *name != "attempt.referenced")
            .collect();
        assert_eq!(
            of_charge,
            [
                "attempt.routed",
                "attempt.planned",
                "attempt.declined",
                "attempt.decline_retried",
                "attempt.routed",
                "attempt.planned",
                "attempt.succeeded",
            ]
        );
        assert_eq!((two.first_charges().len(), two.dev.charges().len()), (0, 1));
        two.stop();
    }
}

/// Where a declined charge went, by its history.
#[track_caller]
fn went(two: &TwoProviders, key: &str, metadata: &Value) -> (Vec<(u64, String)>, Vec<Value>) {
    let mut body = with_method(DECLINED);
    body["metadata"] = metadata.clone();
    let declined = two.dev.pay(key, &body).expect(402);
    let rows = two.history(&declined.error("payment_id"));
    let tried = attempts(&rows).into_iter();
    (tried.map(|(number, at)| (number, at.to_owned())).collect(), rows)
}

#[test]
fn x_15_a_rule_of_routing_says_what_follows_a_soft_decline_beside_the_setting() {
    let rules = "eager: metadata.tier is \"gold\" -> score after decline next_provider\n\
                 strict: metadata.tier is \"lead\" -> score after decline answer\n\
                 rest: otherwise -> score\n";
    for (setting, rest) in [("answer", 1), ("next_provider", 2)] {
        let two = TwoProviders::start(Protocol::Stripe, &[("FLORIN_RETRY_SOFT_DECLINES", setting)]);
        let body = json!({"program": rules, "expected_version": 0, "reason": "X-15"}).to_string();
        let operator = format!("Bearer {OPERATOR}");
        let headers = [
            ("Authorization", operator.as_str()),
            ("Content-Type", "application/json"),
        ];
        let mut client = Client::new(two.dev.api);
        let put = client.send("PUT", "/v1/ops/routing", &headers, body.as_bytes());
        put.unwrap().expect(200);
        for (tier, count, after) in [
            ("gold", 2, json!("next_provider")),
            ("lead", 1, json!("answer")),
            ("tin", rest, json!(null)),
        ] {
            let (tried, rows) = went(&two, tier, &json!({"tier": tier}));
            let both = [(1, FIRST.to_owned()), (2, SECOND.to_owned())];
            assert_eq!(tried, both[..count], "{setting} {tier}");
            let routed = rows.iter().filter(|row| row["type"] == "attempt.routed");
            let said: Vec<&Value> = routed.map(|row| &row["route"]["after_decline"]).collect();
            assert_eq!(said, vec![&after; count], "{setting} {tier}");
        }
        // What is no soft decline goes nowhere, whatever rules say.
        let mut body = with_method("pm_card_visa_chargeDeclinedInsufficientFunds");
        body["metadata"] = json!({"tier": "gold"});
        let money = two.dev.pay("money", &body).expect(402);
        assert_eq!(attempts(&two.history(&money.error("payment_id"))).len(), 1);
        // A dry run says it as well.
        let asked = json!({"payment": {
            "amount": 10_000, "currency": "USD", "merchant_id": "mer_00000000000000000000000009", "brand": "visa",
            "country": "US", "metadata": {"tier": "gold"},
        }});
        let asked = asked.to_string();
        let dry = client.send("POST", "/v1/ops/routing/evaluate", &headers, asked.as_bytes());
        let dry = dry.unwrap().expect(200).json();
        assert_eq!(dry["route"]["after_decline"], "next_provider", "{dry}");
        two.stop();
    }
}

#[test]
fn x_15_a_card_is_tried_sixteen_times_for_an_amount_and_then_no_provider_is_asked_also_after_a_kill() {
    let (folder, dev) = Dev::fresh(&[]);
    count_requests(&dev);
    for number in 1..=16 {
        let answer = dev
            .pay(&format!("declined-{number}"), &declined_card())
            .expect(402);
        assert_eq!(answer.error("decline_code"), "generic_decline", "{number}");
        assert_eq!(requests(&dev), number);
    }
    let assert_refused = |dev: &Dev, key: &str| {
        let answer = dev.pay(key, &declined_card()).expect(402);
        assert_eq!(
            (answer.error("code"), answer.error("decline_code")),
            ("card_declined".into(), "retry_limit_month".into())
        );
        assert_eq!(advice(&answer), (json!("try_again_later"), json!(86_400)));
        let id = answer.error("payment_id");
        let history = dev.merchant().read(&format!("/v1/payments/{id}/history"));
        let last = history["data"].as_array().unwrap().last().unwrap().clone();
        assert_eq!(
            (&last["type"], &last["decline_code"]),
            (&json!("payment.retry_refused"), &json!("retry_limit_month"))
        );
        id
    };
    let id = assert_refused(&dev, "beyond");
    assert_eq!(requests(&dev), 16);
    // Another amount is another charge, another customer of the test method another card, and another card may pay the same payment.
    let mut other = declined_card();
    other["amount"] = json!(10_001);
    assert_eq!(
        dev.pay("amount", &other).expect(402).error("decline_code"),
        "generic_decline"
    );
    other = with_method(DECLINED);
    other["customer_id"] = json!("cus_other");
    assert_eq!(
        dev.pay("customer", &other).expect(402).error("decline_code"),
        "generic_decline"
    );
    // A test method without a customer is nobody's card, so nobody else's declines are in its way.
    for number in 1..=20 {
        let answer = dev.pay(&format!("nobodys-{number}"), &with_method(DECLINED));
        assert_eq!(answer.expect(402).error("decline_code"), "generic_decline");
    }
    let path = format!("/v1/payments/{id}/confirm");
    let confirmed = dev
        .merchant()
        .post("confirm", &path, &json!({"payment_method_id": "pm_card_visa"}));
    assert_eq!(confirmed.expect(200).json()["status"], "succeeded");
    assert_eq!(metric(&dev, "florin_card_retries_refused_total"), Some(1.0));
    dev.process.kill_9();

    let dev = Dev::start(folder.path(), &[]);
    count_requests(&dev);
    wait_for("declines to be read back", || {
        metric(&dev, "florin_card_retries_recalled_total").filter(|count| *count > 17.5)
    });
    assert_refused(&dev, "still beyond");
    assert_eq!(requests(&dev), 0);
    dev.stop();
}

#[test]
fn idem_11_the_same_charge_under_another_key_is_suspected_told_and_by_default_made() {
    let (_folder, dev) = Dev::fresh(&[]);
    let reasons = |payment: &Value| payment["risk"]["reasons"].clone();
    let first = dev.pay("1", &sale(10_000, "USD")).expect(200);
    assert_eq!(reasons(&first.json()), json!([]));
    assert_eq!(
        dev.pay("1", &sale(10_000, "USD")).expect(200).text(),
        first.text(),
        "its own key is no duplicate"
    );
    let second = dev.pay("2", &sale(10_000, "USD")).expect(200).json();
    assert_eq!(
        (&second["status"], reasons(&second)),
        (&json!("succeeded"), json!(["duplicate_suspected"]))
    );
    for (key, body) in [
        ("amount", sale(10_001, "USD")),
        ("currency", sale(10_000, "EUR")),
        ("card", with_method("pm_card_mastercard")),
        ("declined", with_method(DECLINED)),
        ("declined again", with_method(DECLINED)),
    ] {
        let answer = dev.pay(key, &body);
        let payment = if answer.status == 402 {
            dev.merchant()
                .read(&format!("/v1/payments/{}", answer.error("payment_id")))
        } else {
            answer.expect(200).json()
        };
        assert_eq!(reasons(&payment), json!([]), "{key}");
    }
    assert_eq!(metric(&dev, "florin_duplicates_suspected_total"), Some(1.0));
    dev.stop();

    for (action, window_s, status) in [("block", "600", 402), ("block", "0", 200), ("review", "600", 200)] {
        let (_folder, dev) = Dev::fresh(&[
            ("FLORIN_RISK_DUPLICATES_ACTION", action),
            ("FLORIN_RISK_DUPLICATES_WINDOW_S", window_s),
        ]);
        dev.pay("1", &sale(10_000, "USD")).expect(200);
        let second = dev.pay("2", &sale(10_000, "USD")).expect(status);
        if action == "review" {
            assert_eq!(second.json()["status"], "in_review");
        }
        assert_eq!(dev.charges().len(), if window_s == "0" { 2 } else { 1 });
        dev.stop();
    }
}
