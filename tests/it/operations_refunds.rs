//! Refunds: what may be given back, what is refused, and what is said while the provider is silent.

use crate::deployment::{Dev, add_fault, clear_faults, sale};
use crate::http::Answer;
use crate::operations::{
    ask, assert_books_are_true, assert_fields, assert_in_history, executed, made, manual, shown,
};
use crate::process::wait_for;
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[test]
fn txn_3_refunds_give_back_part_or_all_of_what_was_taken_and_never_more() {
    let (_folder, dev) = Dev::fresh(&[]);
    let id = made(&dev, "sold", &sale(10_000, "USD"));
    let body = json!({"amount": 2_500, "reason": "requested_by_customer"});
    let refund = ask(&dev, "part", &id, "refunds", &body).expect(200).json();
    let expected = [
        ("object", json!("refund")),
        ("payment_id", json!(id)),
        ("amount", json!(2_500)),
        ("currency", json!("USD")),
        ("status", json!("succeeded")),
        ("reason", json!("requested_by_customer")),
    ];
    assert_fields(&refund, &expected);
    assert!(refund["id"].as_str().unwrap().starts_with("ref_"), "{refund}");
    assert_in_history(&dev, &id, "part", ("refund", true));
    for (amount, code) in [
        (json!(0), "amount_too_small"),
        (json!(-100), "parameter_invalid_integer"),
        (json!(7_501), "amount_exceeds_refundable"),
        (json!(999_999_999_999_u64), "amount_exceeds_refundable"),
        (json!(1_000_000_000_000_u64), "amount_too_large"),
        (json!(100.5), "parameter_invalid_integer"),
    ] {
        let answer = ask(&dev, "wrong", &id, "refunds", &json!({"amount": amount}));
        assert_eq!(
            (answer.status, answer.error("code").as_str()),
            (400, code),
            "{amount}"
        );
        assert_eq!(answer.error("param"), "amount", "{amount}");
    }
    let answer = ask(&dev, "wrong", &id, "refunds", &json!({"reason": "because"}));
    assert_eq!((answer.status, answer.error("param").as_str()), (400, "reason"));
    let rest = ask(&dev, "rest", &id, "refunds", &json!({})).expect(200).json();
    assert_fields(&rest, &[("amount", json!(7_500)), ("reason", json!(null))]);
    let nothing = ask(&dev, "nothing", &id, "refunds", &json!({}));
    assert_eq!(
        (nothing.status, nothing.error("code").as_str()),
        (409, "nothing_left")
    );
    let payment = shown(&dev, &id);
    assert_fields(
        &payment,
        &[("amount_refunded", json!(10_000)), ("status", json!("succeeded"))],
    );
    assert_eq!(payment["refunds"], json!([refund, rest]));
    // Nothing was taken: nothing can be given back.
    let authorized = made(&dev, "auth", &manual(500, "USD"));
    let early = ask(&dev, "early", &authorized, "refunds", &json!({}));
    assert_eq!(
        (early.status, early.error("code").as_str()),
        (409, "payment_unexpected_state")
    );
    let rows = [
        ("sale", 10_000),
        ("refund", 2_500),
        ("refund", 7_500),
        ("authorize", 500),
    ];
    assert_eq!(executed(&dev), rows.map(|(what, minor)| (what.to_owned(), minor)));
    assert_books_are_true(&dev);
    dev.stop();
}

#[test]
fn txn_3_refunds_that_come_at_once_never_give_back_more_than_was_taken() {
    let (_folder, dev) = Dev::fresh(&[]);
    for round in 0..10 {
        let id = made(&dev, &format!("sold-{round}"), &sale(1_000, "USD"));
        let callers: Vec<_> = (0..8)
            .map(|n| {
                let (merchant, id) = (dev.merchant(), id.clone());
                std::thread::spawn(move || {
                    let key = format!("refund-{round}-{n}");
                    merchant.post(
                        &key,
                        &format!("/v1/payments/{id}/refunds"),
                        &json!({"amount": 300}),
                    )
                })
            })
            .collect();
        let answers: Vec<Answer> = callers.into_iter().map(|caller| caller.join().unwrap()).collect();
        let (accepted, refused): (Vec<&Answer>, Vec<&Answer>) =
            answers.iter().partition(|answer| answer.status == 200);
        assert_eq!(accepted.len(), 3, "{answers:?}");
        assert!(
            refused
                .iter()
                .all(|answer| answer.error("code") == "amount_exceeds_refundable")
        );
        let ids: BTreeSet<String> = accepted
            .iter()
            .map(|answer| answer.json()["id"].to_string())
            .collect();
        assert_eq!(ids.len(), 3);
        assert_eq!(shown(&dev, &id)["amount_refunded"], 900);
        let of_payment = |row: &Value| row["payment_id"] == id.as_str() && row["operation"] == "refund";
        assert_eq!(dev.charges().iter().filter(|row| of_payment(row)).count(), 3);
    }
    assert_books_are_true(&dev);
    dev.stop();
}

/// A provider that executes a refund and does not say so.
#[test]
fn a_refund_whose_answer_is_lost_is_pending_until_the_provider_has_been_asked() {
    let (_folder, dev) = Dev::fresh(&[
        ("FLORIN_LIMITS_ANSWER_BUDGET_MS", "5000"),
        ("FLORIN_STAGES_AUTHORIZATION_MS", "4000"),
        ("FLORIN_PROVIDER_STRIPE_REQUEST_TIMEOUT_MS", "500"),
        ("FLORIN_RETRY_TRIES_MAX", "1"),
        ("FLORIN_RESOLUTION_WAITS_S", "1"),
    ]);
    let id = made(&dev, "sold", &sale(1_000, "USD"));
    add_fault(
        dev.sandbox,
        "timeout_after_charge",
        &json!({"operation": "refund"}),
    );
    let body = json!({"amount": 600});
    let lost = ask(&dev, "refund", &id, "refunds", &body).expect(202);
    assert_fields(
        &lost.json(),
        &[("status", json!("pending")), ("amount", json!(600))],
    );
    assert_eq!(
        lost.header("location"),
        Some(format!("/v1/payments/{id}").as_str())
    );
    assert_eq!(executed(&dev).len(), 2, "it was executed, and we do not know");
    let beyond = ask(&dev, "beyond", &id, "refunds", &json!({"amount": 401}));
    assert_eq!(beyond.error("code"), "amount_exceeds_refundable");
    clear_faults(dev.sandbox);
    wait_for("the refund", || {
        (shown(&dev, &id)["amount_refunded"] == 600).then_some(())
    });
    let found = ask(&dev, "refund", &id, "refunds", &body).expect(200);
    assert_fields(
        &found.json(),
        &[("status", json!("succeeded")), ("id", lost.json()["id"].clone())],
    );
    assert!(found.is_replay());
    assert_eq!(
        executed(&dev),
        [("sale".to_owned(), 1_000), ("refund".to_owned(), 600)]
    );
    assert_books_are_true(&dev);
    dev.stop();
}
