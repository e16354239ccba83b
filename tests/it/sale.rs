//! One payment with each method: what is answered, what is stored, and what really was charged.

use crate::deployment::{Dev, add_fault, assert_balanced, balances, faults, sale, with_method};
use serde_json::{Value, json};

/// The only row of the witness.
#[track_caller]
fn only_charge(dev: &Dev) -> Value {
    let charges = dev.charges();
    assert_eq!(charges.len(), 1, "{charges:?}");
    charges[0].clone()
}

#[test]
fn a_sale_of_100_dollars_costs_a_fee_of_320_cents_and_is_charged_once() {
    let (_folder, dev) = Dev::fresh(&[]);
    let answer = dev.pay("first-payment", &sale(10_000, "USD")).expect(200);
    assert!(!answer.is_replay());
    assert!(
        answer
            .header("request-id")
            .is_some_and(|id| id.starts_with("req_")),
        "{answer:?}"
    );
    let payment = answer.json();
    let expected = [
        ("object", json!("payment")),
        ("status", json!("succeeded")),
        ("amount", json!(10_000)),
        ("amount_captured", json!(10_000)),
        ("amount_capturable", json!(0)),
        ("amount_refunded", json!(0)),
        ("currency", json!("USD")),
        ("fee", json!(320)),
        ("net", json!(9680)),
        ("livemode", json!(false)),
        ("failure_code", json!(null)),
    ];
    for (field, value) in expected {
        assert_eq!(payment[field], value, "{field}");
    }
    let charge = only_charge(&dev);
    let expected = [
        ("provider", json!("stripe")),
        ("operation", json!("sale")),
        ("amount", json!(10_000)),
        ("currency", json!("usd")),
        ("payment_id", payment["id"].clone()),
        ("id", payment["processor_transaction_id"].clone()),
    ];
    for (field, value) in expected {
        assert_eq!(charge[field], value, "{field}");
    }
    let operator = dev.operator();
    for (account, balance) in [
        ("provider_clearing:", 10_000),
        ("fee_revenue:", 320),
        ("merchant_payable:", 9680),
    ] {
        assert_eq!(
            balances(&operator, account),
            [("USD".to_owned(), balance)].into(),
            "{account}"
        );
    }
    assert_balanced(&operator);
    dev.stop();
}

#[test]
fn txn_9_a_payment_shows_its_id_its_status_its_amount_in_minor_units_and_its_method() {
    let (_folder, dev) = Dev::fresh(&[]);
    let payment = dev.pay("k", &sale(10_000, "USD")).expect(200).json();
    let id = payment["payment_id"].as_str().unwrap();
    assert!(id.starts_with("pay_"), "{id}");
    assert_eq!(payment["id"], id);
    assert_eq!(payment["status"], "succeeded");
    assert_eq!(payment["amount"].as_i64(), Some(10_000));
    assert_eq!(payment["payment_method_id"], "pm_card_visa");
    dev.stop();
}

#[test]
fn currencies_without_and_with_three_decimals_are_charged_in_their_own_minor_units() {
    let (_folder, dev) = Dev::fresh(&[]);
    // 2.9 % and 0.30: 14.5 + 0.3 yen, to even; 29 + 300 fils.
    for (currency, amount, fee) in [("JPY", 500, 15), ("BHD", 1000, 329), ("bhd", 2000, 358)] {
        let payment = dev
            .pay(&format!("{currency} {amount}"), &sale(amount, currency))
            .expect(200)
            .json();
        assert_eq!(payment["currency"], currency.to_uppercase());
        assert_eq!(
            (&payment["amount"], &payment["fee"]),
            (&json!(amount), &json!(fee)),
            "{currency}"
        );
        assert_eq!(payment["net"].as_u64(), Some(amount - fee), "{currency}");
        let charge = dev.charges().pop().unwrap();
        assert_eq!(
            (&charge["amount"], &charge["currency"]),
            (&json!(amount), &json!(currency.to_lowercase()))
        );
    }
    let expected = [("BHD".to_owned(), 3000), ("JPY".to_owned(), 500)].into();
    assert_eq!(balances(&dev.operator(), "provider_clearing:"), expected);
    assert_balanced(&dev.operator());
    dev.stop();
}

#[test]
fn every_method_that_succeeds_is_charged() {
    let (_folder, dev) = Dev::fresh(&[]);
    let methods = [
        ("pm_card_visa", "visa", "4242"),
        ("pm_card_mastercard", "mastercard", "4444"),
        ("pm_card_amex", "amex", "8431"),
        ("pm_card_createDispute", "visa", "0259"),
    ];
    for (method, brand, last4) in methods {
        let payment = dev.pay(method, &with_method(method)).expect(200).json();
        assert_eq!(payment["status"], "succeeded", "{method}");
        let card = &payment["payment_method_details"]["card"];
        assert_eq!(
            (&card["brand"], &card["last4"]),
            (&json!(brand), &json!(last4)),
            "{method}"
        );
        assert_eq!(
            dev.charges().pop().unwrap()["payment_id"],
            payment["id"],
            "{method}"
        );
    }
    assert_eq!(dev.charges().len(), methods.len());
    dev.stop();
}

#[test]
fn a_decline_is_a_402_and_the_payment_is_kept_as_failed() {
    let (_folder, dev) = Dev::fresh(&[]);
    let methods = [
        ("pm_card_visa_chargeDeclined", "generic_decline"),
        (
            "pm_card_visa_chargeDeclinedInsufficientFunds",
            "insufficient_funds",
        ),
        ("pm_card_chargeCustomerFail", "generic_decline"),
    ];
    for (method, decline_code) in methods {
        let answer = dev.pay(method, &with_method(method)).expect(402);
        assert_eq!(answer.error("type"), "card_error", "{method}");
        assert_eq!(answer.error("code"), "card_declined", "{method}");
        assert_eq!(answer.error("decline_code"), decline_code, "{method}");
        assert_eq!(answer.error("message"), "Your card was declined.", "{method}");
        let id = answer.error("payment_id");
        let kept = dev.merchant().read(&format!("/v1/payments/{id}"));
        assert_eq!(kept["id"], id.as_str());
        assert_eq!(kept["status"], "failed", "{method}");
        assert_eq!(
            (&kept["failure_code"], &kept["decline_code"]),
            (&json!("card_declined"), &json!(decline_code))
        );
        assert_eq!(
            (&kept["amount_captured"], &kept["fee"], &kept["net"]),
            (&json!(0), &json!(0), &json!(0))
        );
    }
    assert_eq!(dev.charges(), Vec::<Value>::new());
    assert_eq!(balances(&dev.operator(), ""), std::collections::BTreeMap::new());
    dev.stop();
}

#[test]
fn orch_9_what_is_too_risky_is_blocked_before_the_provider_is_called() {
    let (_folder, dev) = Dev::fresh(&[]);
    // It changes nothing; it counts the charges that reach the provider.
    add_fault(dev.sandbox, "slow", &json!({"delay_ms": 0}));
    let answer = dev
        .pay("risky", &with_method("pm_card_riskLevelHighest"))
        .expect(402);
    assert_eq!(answer.error("decline_code"), "fraudulent");
    let id = answer.error("payment_id");
    let kept = dev.merchant().read(&format!("/v1/payments/{id}"));
    assert_eq!(kept["status"], "blocked");
    assert_eq!(
        (&kept["risk"]["action"], &kept["provider"]),
        (&json!("block"), &json!(null))
    );
    let history = dev.merchant().read(&format!("/v1/payments/{id}/history"));
    let events: Vec<&str> = history["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["type"].as_str().unwrap())
        .collect();
    assert_eq!(events, ["payment.created", "risk.assessed", "payment.blocked"]);
    assert_eq!(faults(dev.sandbox)["data"][0]["covered"], 0);
    dev.pay("declined", &with_method("pm_card_visa_chargeDeclined"))
        .expect(402);
    assert_eq!(faults(dev.sandbox)["data"][0]["covered"], 1, "the counter counts");
    assert_eq!(dev.charges(), Vec::<Value>::new());
    dev.stop();
}

#[test]
fn a_challenge_is_a_200_that_waits_for_the_customer() {
    let (_folder, dev) = Dev::fresh(&[]);
    for method in ["pm_card_threeDSecure2Required", "pm_card_authenticationRequired"] {
        let payment = dev.pay(method, &with_method(method)).expect(200).json();
        assert_eq!(payment["status"], "requires_action", "{method}");
        assert!(payment["next_action"].is_object(), "{payment}");
        assert_eq!(
            (&payment["amount_captured"], &payment["fee"]),
            (&json!(0), &json!(0)),
            "{method}"
        );
    }
    assert_eq!(dev.charges(), Vec::<Value>::new());
    assert_eq!(balances(&dev.operator(), ""), std::collections::BTreeMap::new());
    dev.stop();
}

#[test]
fn a_manual_capture_only_reserves_the_money() {
    let (_folder, dev) = Dev::fresh(&[]);
    let mut body = sale(7_500, "EUR");
    body["capture_method"] = json!("manual");
    let payment = dev.pay("manual", &body).expect(200).json();
    let expected = [
        ("status", json!("authorized")),
        ("amount_capturable", json!(7_500)),
        ("amount_captured", json!(0)),
        ("fee", json!(0)),
        ("net", json!(0)),
        ("capture_method", json!("manual")),
    ];
    for (field, value) in expected {
        assert_eq!(payment[field], value, "{field}");
    }
    let created = payment["created"].as_u64().unwrap();
    assert!(
        payment["authorization_expires_at"]
            .as_u64()
            .is_some_and(|at| at > created),
        "{payment}"
    );
    let charge = only_charge(&dev);
    assert_eq!(
        (&charge["operation"], &charge["amount"]),
        (&json!("authorize"), &json!(7_500))
    );
    assert_eq!(
        balances(&dev.operator(), ""),
        std::collections::BTreeMap::new(),
        "nothing was taken yet"
    );
    dev.stop();
}

#[test]
fn everything_that_was_sent_is_shown_again() {
    let (_folder, dev) = Dev::fresh(&[]);
    let body = json!({
        "amount": 1,
        "currency": "eur",
        "payment_method_id": "pm_card_mastercard",
        "capture_method": "automatic",
        "customer_id": "cus_1",
        "description": "Äpfel & Birnen \u{1F34E}",
        "metadata": {"order_id": "xyz", "z": "", "a": "1"},
        "return_url": "https://shop.example/back?a=b",
        "device": {"fingerprint": "f", "ip": "192.0.2.1", "country": "us"},
    });
    let payment = dev.pay("all", &body).expect(200).json();
    for field in [
        "amount",
        "payment_method_id",
        "capture_method",
        "customer_id",
        "description",
        "metadata",
    ] {
        assert_eq!(payment[field], body[field], "{field}");
    }
    assert_eq!(payment["currency"], "EUR");
    assert_eq!(
        dev.merchant()
            .read(&format!("/v1/payments/{}", payment["id"].as_str().unwrap())),
        payment
    );
    dev.stop();
}
