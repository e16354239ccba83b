//! What follows a payment: captures, refunds, voids and challenges; what is answered, what was executed, and what is booked.

use crate::deployment::{Dev, assert_balanced, balances, sale};
use crate::http::Answer;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) fn manual(amount_minor: u64, currency: &str) -> Value {
    let mut body = sale(amount_minor, currency);
    body["capture_method"] = json!("manual");
    body
}

/// Makes a payment that must be 200; its id.
#[track_caller]
pub(crate) fn made(dev: &Dev, key: &str, body: &Value) -> String {
    let payment = dev.pay(key, body).expect(200).json();
    payment["id"].as_str().unwrap().to_owned()
}

/// Asks something of a payment: `ask(dev, "k", id, "capture", json)`.
#[track_caller]
pub(crate) fn ask(dev: &Dev, key: &str, id: &str, what: &str, body: &Value) -> Answer {
    dev.merchant()
        .post(key, &format!("/v1/payments/{id}/{what}"), body)
}

pub(crate) fn shown(dev: &Dev, id: &str) -> Value {
    dev.merchant().read(&format!("/v1/payments/{id}"))
}

#[track_caller]
pub(crate) fn assert_fields(object: &Value, expected: &[(&str, Value)]) {
    for (field, value) in expected {
        assert_eq!(&object[*field], value, "{field} of {object}");
    }
}

/// Operation and amount of every row of the witness, in order.
pub(crate) fn executed(dev: &Dev) -> Vec<(String, i64)> {
    let row = |row: Value| {
        (
            row["operation"].as_str().unwrap().to_owned(),
            row["amount"].as_i64().unwrap(),
        )
    };
    dev.charges().into_iter().map(row).collect()
}

/// What the provider took less what it gave back is what the books say it owes, and what the payments show; per currency.
#[track_caller]
pub(crate) fn assert_books_are_true(dev: &Dev) {
    let mut moved: BTreeMap<String, i64> = BTreeMap::new();
    for row in dev.charges() {
        let amount = row["amount"].as_i64().unwrap();
        let signed = match row["operation"].as_str().unwrap() {
            "sale" | "capture" => amount,
            "refund" => -amount,
            _ => 0,
        };
        *moved
            .entry(row["currency"].as_str().unwrap().to_uppercase())
            .or_default() += signed;
    }
    moved.retain(|_, sum| *sum != 0);
    let (mut taken, mut nets): (BTreeMap<String, i64>, BTreeMap<String, i64>) =
        (BTreeMap::new(), BTreeMap::new());
    for payment in dev.merchant().read_all("/v1/payments") {
        let minor = |field: &str| payment[field].as_i64().unwrap();
        let currency = payment["currency"].as_str().unwrap().to_owned();
        let sum = minor("amount_captured") - minor("amount_refunded");
        assert_eq!(minor("net"), sum - minor("fee"), "{payment}");
        *taken.entry(currency.clone()).or_default() += sum;
        *nets.entry(currency).or_default() += minor("net");
    }
    taken.retain(|_, sum| *sum != 0);
    nets.retain(|_, sum| *sum != 0);
    assert_eq!(moved, taken, "the witness and the payments");
    let operator = dev.operator();
    assert_eq!(
        balances(&operator, "provider_clearing:"),
        taken,
        "the books and the payments"
    );
    assert_eq!(balances(&operator, "merchant_payable:"), nets);
    assert_eq!(balances(&operator, "suspense"), BTreeMap::new());
    assert_balanced(&operator);
}

/// The merchant's accounts: what is expected to come and to leave.
pub(crate) fn pending(dev: &Dev) -> (i64, i64) {
    let accounts = dev.operator().read_all("/v1/ledger/accounts");
    let of = |field: &str| {
        let payable = accounts
            .iter()
            .filter(|account| account["id"].as_str().unwrap().starts_with("merchant_payable:"));
        payable.map(|account| account[field].as_i64().unwrap()).sum()
    };
    (of("pending_credit"), of("pending_debit"))
}

/// The request, the operation that it opened, its attempt and its outcome, under one id; money moved if `posted`.
#[track_caller]
pub(crate) fn assert_in_history(dev: &Dev, id: &str, key: &str, (kind, posted): (&str, bool)) {
    let history = dev.merchant().read(&format!("/v1/payments/{id}/history"));
    let rows = history["data"].as_array().unwrap();
    let request = rows
        .iter()
        .find(|row| row["idempotency_key"] == key && row["operation"] == kind)
        .unwrap_or_else(|| panic!("{key} is not in {history}"));
    let operation = &request["operation_id"];
    let of_operation: Vec<&Value> = rows
        .iter()
        .filter(|row| row["operation_id"] == *operation)
        .collect();
    let types: BTreeSet<&str> = of_operation
        .iter()
        .map(|row| row["type"].as_str().unwrap())
        .collect();
    for wanted in ["operation.opened", "attempt.planned", "attempt.succeeded"] {
        assert!(types.contains(wanted), "{wanted} of {key}: {history}");
    }
    let succeeded = of_operation
        .iter()
        .find(|row| row["type"] == "attempt.succeeded")
        .unwrap();
    assert_eq!(succeeded["attempt"], 1);
    let entry = |row: &&Value| row["type"] == "ledger.entry_posted" && row["seq"] == succeeded["seq"];
    assert_eq!(rows.iter().any(|row| entry(&row)), posted, "{history}");
    if posted {
        let lines = rows.iter().find(entry).unwrap()["lines"].as_array().unwrap();
        let side = |side: &str| -> i64 {
            let lines = lines.iter().filter(|line| line["side"] == side);
            lines.map(|line| line["amount"].as_i64().unwrap()).sum()
        };
        assert_eq!(side("debit"), side("credit"));
    }
    // The provider's row names the same operation; a cancellation carries no name, so it is found by its payment.
    let is_executed = |row: &Value| match kind {
        "void" => row["payment_id"] == id && row["operation"] == "void",
        _ => row["reference"] == *operation,
    };
    assert_eq!(
        dev.charges().iter().filter(|row| is_executed(row)).count(),
        1,
        "{operation}"
    );
}

#[test]
fn txn_1_an_authorization_reserves_the_money_and_is_expected_in_the_books() {
    let (_folder, dev) = Dev::fresh(&[]);
    let id = made(&dev, "auth", &manual(10_000, "USD"));
    assert_fields(
        &shown(&dev, &id),
        &[
            ("status", json!("authorized")),
            ("amount_capturable", json!(10_000)),
            ("amount_captured", json!(0)),
            ("fee", json!(0)),
        ],
    );
    assert_eq!(executed(&dev), [("authorize".to_owned(), 10_000)]);
    assert_eq!(pending(&dev), (10_000, 0));
    assert_books_are_true(&dev);
    dev.stop();
}

#[test]
fn txn_2_an_authorization_is_captured_whole_in_part_or_in_several_parts() {
    let (_folder, dev) = Dev::fresh(&[]);
    let authorized = |key: &str| made(&dev, key, &manual(10_000, "USD"));

    let whole = authorized("whole");
    let answer = ask(&dev, "whole-capture", &whole, "capture", &json!({}))
        .expect(200)
        .json();
    // 2.9 % and 0.30.
    let expected = [
        ("object", json!("payment")),
        ("id", json!(whole)),
        ("status", json!("succeeded")),
        ("amount_captured", json!(10_000)),
        ("amount_capturable", json!(0)),
        ("fee", json!(320)),
        ("net", json!(9_680)),
    ];
    assert_fields(&answer, &expected);
    assert_eq!(shown(&dev, &whole), answer);
    assert_in_history(&dev, &whole, "whole-capture", ("capture", true));

    let part = authorized("part");
    let last = json!({"amount": 6_000, "final": true});
    let answer = ask(&dev, "part-capture", &part, "capture", &last)
        .expect(200)
        .json();
    let expected = [
        ("status", json!("succeeded")),
        ("amount_captured", json!(6_000)),
        ("amount_capturable", json!(0)),
        ("fee", json!(204)),
    ];
    assert_fields(&answer, &expected);
    let more = ask(&dev, "part-more", &part, "capture", &json!({"amount": 1}));
    assert_eq!(
        (more.status, more.error("code").as_str()),
        (409, "payment_unexpected_state")
    );

    let parts = authorized("parts");
    // The fixed part of the fee is charged once: 29 + 30, then 87, then 58 + 116.
    let steps = [
        (json!({"amount": 1_000}), "authorized", 1_000, 9_000, 59),
        (
            json!({"amount": 3_000, "final": false}),
            "authorized",
            4_000,
            6_000,
            146,
        ),
        (json!({"amount": 2_000}), "authorized", 6_000, 4_000, 204),
        (json!({}), "succeeded", 10_000, 0, 320),
    ];
    for (n, (body, status, captured, capturable, fee)) in steps.into_iter().enumerate() {
        let key = format!("parts-{n}");
        let answer = ask(&dev, &key, &parts, "capture", &body).expect(200).json();
        let expected = [
            ("status", json!(status)),
            ("amount_captured", json!(captured)),
            ("amount_capturable", json!(capturable)),
            ("fee", json!(fee)),
        ];
        assert_fields(&answer, &expected);
        assert_eq!(answer["captures"].as_array().unwrap().len(), n + 1);
        assert_in_history(&dev, &parts, &key, ("capture", true));
        assert_eq!(pending(&dev).0, capturable);
    }
    assert_books_are_true(&dev);
    dev.stop();
}

#[test]
fn captures_beyond_what_is_reserved_or_of_nothing_are_refused_and_leave_the_key_free() {
    let (_folder, dev) = Dev::fresh(&[]);
    let id = made(&dev, "auth", &manual(10_000, "USD"));
    for (amount, status, code) in [
        (json!(10_001), 400, "amount_exceeds_capturable"),
        (json!(0), 400, "amount_too_small"),
        (json!(-1), 400, "parameter_invalid_integer"),
        (json!(1.5), 400, "parameter_invalid_integer"),
        (json!("100"), 400, "parameter_invalid"),
    ] {
        let answer = ask(&dev, "capture", &id, "capture", &json!({"amount": amount}));
        assert_eq!(
            (answer.status, answer.error("code").as_str()),
            (status, code),
            "{amount}"
        );
        assert_eq!(answer.error("param"), "amount");
    }
    ask(&dev, "capture", &id, "capture", &json!({"amount": 4_000})).expect(200);
    let beyond = ask(&dev, "next", &id, "capture", &json!({"amount": 6_001}));
    assert_eq!(beyond.error("code"), "amount_exceeds_capturable");
    ask(&dev, "next", &id, "capture", &json!({"amount": 6_000})).expect(200);
    let sold = made(&dev, "sold", &sale(500, "USD"));
    let again = ask(&dev, "again", &sold, "capture", &json!({}));
    assert_eq!(
        (again.status, again.error("code").as_str()),
        (409, "payment_unexpected_state")
    );
    assert_books_are_true(&dev);
    dev.stop();
}

#[test]
fn txn_4_a_void_releases_what_is_reserved_and_not_taken() {
    let (_folder, dev) = Dev::fresh(&[]);
    let id = made(&dev, "auth", &manual(10_000, "USD"));
    let answer = ask(&dev, "void", &id, "void", &json!({})).expect(200).json();
    let expected = [
        ("status", json!("voided")),
        ("amount_capturable", json!(0)),
        ("amount_captured", json!(0)),
        ("fee", json!(0)),
    ];
    assert_fields(&answer, &expected);
    assert_in_history(&dev, &id, "void", ("void", false));
    assert_eq!(pending(&dev), (0, 0));
    for (what, code) in [
        ("capture", "payment_unexpected_state"),
        ("void", "payment_unexpected_state"),
        ("refunds", "payment_unexpected_state"),
        ("confirm", "payment_unexpected_state"),
    ] {
        let refused = ask(&dev, &format!("after-{what}"), &id, what, &json!({}));
        assert_eq!(
            (refused.status, refused.error("code").as_str()),
            (409, code),
            "{what}"
        );
    }

    // What was taken before stays taken.
    let part = made(&dev, "part", &manual(10_000, "USD"));
    ask(&dev, "part-capture", &part, "capture", &json!({"amount": 4_000})).expect(200);
    let answer = ask(&dev, "part-void", &part, "void", &json!({}))
        .expect(200)
        .json();
    let expected = [
        ("status", json!("succeeded")),
        ("amount_capturable", json!(0)),
        ("amount_captured", json!(4_000)),
    ];
    assert_fields(&answer, &expected);
    assert_eq!(pending(&dev), (0, 0));
    let sold = made(&dev, "sold", &sale(500, "USD"));
    assert_eq!(ask(&dev, "sold-void", &sold, "void", &json!({})).status, 409);
    let rows = [
        ("authorize", 10_000),
        ("void", 10_000),
        ("authorize", 10_000),
        ("capture", 4_000),
        ("void", 6_000),
        ("sale", 500),
    ];
    assert_eq!(executed(&dev), rows.map(|(what, minor)| (what.to_owned(), minor)));
    assert_books_are_true(&dev);
    dev.stop();
}

#[test]
fn x_39_amounts_are_minor_units_of_their_currency_everywhere() {
    let (_folder, dev) = Dev::fresh(&[]);
    // Fees are 2.9 % and 0.30 of each currency, rounded half to even in its own minor units.
    let rows = [
        ("JPY", 500, 15),
        ("BHD", 1_000, 329),
        ("EUR", 1_000, 59),
        ("CLF", 10_000, 3_290),
    ];
    for (currency, amount, fee) in rows {
        let id = made(&dev, currency, &manual(amount, currency));
        let capture = ask(&dev, &format!("{currency}-capture"), &id, "capture", &json!({}))
            .expect(200)
            .json();
        let expected = [
            ("currency", json!(currency)),
            ("amount_captured", json!(amount)),
            ("fee", json!(fee)),
            ("net", json!(amount - fee)),
        ];
        assert_fields(&capture, &expected);
        let part = json!({"amount": amount / 5});
        let refund = ask(&dev, &format!("{currency}-refund"), &id, "refunds", &part)
            .expect(200)
            .json();
        assert_fields(
            &refund,
            &[("amount", json!(amount / 5)), ("currency", json!(currency))],
        );
        let witness: Vec<Value> = dev
            .charges()
            .into_iter()
            .filter(|row| row["payment_id"] == *id)
            .collect();
        let rows = [("authorize", amount), ("capture", amount), ("refund", amount / 5)];
        assert_eq!(witness.len(), rows.len());
        for (row, (operation, amount)) in witness.iter().zip(rows) {
            let lower = json!(currency.to_lowercase());
            assert_fields(
                row,
                &[
                    ("operation", json!(operation)),
                    ("amount", json!(amount)),
                    ("currency", lower),
                ],
            );
        }
    }
    let clearing =
        rows.map(|(currency, amount, _)| (currency.to_owned(), i64::try_from(amount - amount / 5).unwrap()));
    assert_eq!(balances(&dev.operator(), "provider_clearing:"), clearing.into());
    let fees = rows.map(|(currency, _, fee)| (currency.to_owned(), i64::try_from(fee).unwrap()));
    assert_eq!(balances(&dev.operator(), "fee_revenue:"), fees.into());
    assert_books_are_true(&dev);
    dev.stop();
}

#[test]
fn nobody_changes_a_payment_that_is_not_theirs() {
    let (_folder, dev) = Dev::fresh(&[]);
    let id = made(&dev, "sold", &sale(1_000, "USD"));
    let nobody = format!("pay_{}", "0".repeat(id.len() - 4));
    for what in ["capture", "void", "confirm", "refunds"] {
        let path = format!("/v1/payments/{id}/{what}");
        assert_eq!(dev.operator().post("k", &path, &json!({})).status, 403, "{what}");
        let missing = ask(&dev, &format!("missing-{what}"), &nobody, what, &json!({}));
        assert_eq!(
            (missing.status, missing.error("code").as_str()),
            (404, "resource_missing"),
            "{what}"
        );
        let unknown = ask(
            &dev,
            &format!("unknown-{what}"),
            &id,
            what,
            &json!({"nonsense": 1}),
        );
        assert_eq!(
            (unknown.status, unknown.error("code").as_str()),
            (400, "parameter_unknown"),
            "{what}"
        );
    }
    assert_eq!(shown(&dev, &id)["amount_refunded"], 0);
    dev.stop();
}
