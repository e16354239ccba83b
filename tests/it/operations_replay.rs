//! One key, one operation: replays of captures, voids, refunds and confirmations, also by the next process; and what refunds cost.

use crate::deployment::{Dev, balances, sale, with_method};
use crate::http::Answer;
use crate::operations::{
    ask, assert_books_are_true, assert_fields, assert_in_history, executed, made, manual, shown,
};
use serde_json::{Value, json};

/// What was asked and answered.
struct Asked {
    key: &'static str,
    id: String,
    what: &'static str,
    body: Value,
    other: Value,
    answer: Answer,
}

/// One of each, all final.
fn one_of_each(dev: &Dev) -> Vec<Asked> {
    let captured = made(dev, "captured", &manual(1_000, "USD"));
    let voided = made(dev, "voided", &manual(2_000, "USD"));
    let sold = made(dev, "sold", &sale(3_000, "USD"));
    let declined = dev
        .pay("declined", &with_method("pm_card_visa_chargeDeclined"))
        .expect(402);
    let declined = declined.error("payment_id");
    let rows = [
        (
            "capture-part",
            &captured,
            "capture",
            json!({"amount": 400}),
            json!({"amount": 401}),
        ),
        (
            "capture-rest",
            &captured,
            "capture",
            json!({}),
            json!({"amount": 600}),
        ),
        ("void", &voided, "void", json!({}), json!({})),
        (
            "refund",
            &sold,
            "refunds",
            json!({"amount": 1_000}),
            json!({"amount": 1_000, "reason": "duplicate"}),
        ),
        (
            "confirm",
            &declined,
            "confirm",
            json!({"payment_method_id": "pm_card_mastercard"}),
            json!({"payment_method_id": "pm_card_visa"}),
        ),
    ];
    let asked = rows.map(|(key, id, what, body, other)| Asked {
        key,
        id: id.clone(),
        what,
        answer: ask(dev, key, id, what, &body).expect(200),
        body,
        other,
    });
    asked.into()
}

#[track_caller]
fn assert_replayed(dev: &Dev, asked: &[Asked]) {
    let before = (executed(dev), dev.merchant().read_all("/v1/payments"));
    for Asked {
        key,
        id,
        what,
        body,
        other,
        answer,
    } in asked
    {
        let replay = ask(dev, key, id, what, body);
        assert_eq!(
            (replay.status, replay.text()),
            (answer.status, answer.text()),
            "{key}"
        );
        assert!(replay.is_replay() && !answer.is_replay(), "{key}");
        if other != body {
            let mismatch = ask(dev, key, id, what, other).expect(422);
            assert_eq!(mismatch.error("code"), "idempotency_key_reused", "{key}");
        }
        // A key belongs to one request, wherever it is sent.
        assert_eq!(dev.pay(key, &sale(1, "USD")).status, 422, "{key}");
        let elsewhere = if *what == "refunds" { "capture" } else { "refunds" };
        assert_eq!(ask(dev, key, id, elsewhere, &json!({})).status, 422, "{key}");
    }
    assert_eq!((executed(dev), dev.merchant().read_all("/v1/payments")), before);
    assert_books_are_true(dev);
}

#[test]
fn every_operation_is_done_once_for_its_key_and_answered_the_same_by_the_next_process() {
    let (folder, dev) = Dev::fresh(&[]);
    let asked = one_of_each(&dev);
    for Asked { key, id, what, .. } in &asked {
        let kind = match *what {
            "refunds" => "refund",
            "confirm" => continue,
            what => what,
        };
        assert_in_history(&dev, id, key, (kind, kind != "void"));
    }
    assert_replayed(&dev, &asked);
    // What happened later does not change what was answered.
    ask(&dev, "later", &asked[0].id, "refunds", &json!({"amount": 1})).expect(200);
    assert_replayed(&dev, &asked);
    dev.process.kill_9();
    let dev = Dev::start(folder.path(), &[]);
    assert_replayed(&dev, &asked);
    dev.stop();
}

#[test]
fn the_same_refund_sent_by_many_at_once_is_one_refund() {
    let (_folder, dev) = Dev::fresh(&[]);
    let id = made(&dev, "sold", &sale(1_000, "USD"));
    let callers: Vec<_> = (0..10)
        .map(|_| {
            let (merchant, path) = (dev.merchant(), format!("/v1/payments/{id}/refunds"));
            std::thread::spawn(move || {
                merchant
                    .post("refund", &path, &json!({"amount": 100}))
                    .expect(200)
            })
        })
        .collect();
    let answers: Vec<Answer> = callers.into_iter().map(|caller| caller.join().unwrap()).collect();
    assert!(answers.iter().all(|answer| answer.text() == answers[0].text()));
    assert_eq!(answers.iter().filter(|answer| !answer.is_replay()).count(), 1);
    assert_eq!(
        executed(&dev),
        [("sale".to_owned(), 1_000), ("refund".to_owned(), 100)]
    );
    assert_books_are_true(&dev);
    dev.stop();
}

#[test]
fn a_key_is_required_and_an_operation_without_one_does_nothing() {
    let (_folder, dev) = Dev::fresh(&[]);
    let id = made(&dev, "sold", &sale(1_000, "USD"));
    for what in ["capture", "void", "confirm", "refunds"] {
        let refused = ask(&dev, "", &id, what, &json!({})).expect(400);
        assert_eq!(refused.error("code"), "idempotency_key_required", "{what}");
    }
    assert_eq!(executed(&dev).len(), 1);
    dev.stop();
}

/// A sale of 100.00 costs 3.20; what refunds of 25.00, 25.00 and the rest make of the fee.
#[track_caller]
fn refund_in_three(variables: &[(&str, &str)], fees: [i64; 3]) {
    let (_folder, dev) = Dev::fresh(variables);
    let id = made(&dev, "sold", &sale(10_000, "USD"));
    let steps = [
        (json!({"amount": 2_500}), 2_500),
        (json!({"amount": 2_500}), 5_000),
        (json!({}), 10_000),
    ];
    for (n, ((body, refunded), fee)) in steps.into_iter().zip(fees).enumerate() {
        ask(&dev, &format!("refund-{n}"), &id, "refunds", &body).expect(200);
        let expected = [
            ("amount_refunded", json!(refunded)),
            ("fee", json!(fee)),
            ("net", json!(10_000 - refunded - fee)),
        ];
        assert_fields(&shown(&dev, &id), &expected);
        let revenue = balances(&dev.operator(), "fee_revenue:");
        assert_eq!(revenue.get("USD").copied().unwrap_or(0), fee);
        assert_books_are_true(&dev);
    }
    dev.stop();
}

#[test]
fn a_refund_keeps_the_fee_unless_told_otherwise() {
    refund_in_three(&[], [320, 320, 320]);
    refund_in_three(&[("FLORIN_REFUNDS_FEE", "kept")], [320, 320, 320]);
}

#[test]
fn a_refund_returns_its_share_of_the_fee_when_fees_are_returned() {
    refund_in_three(&[("FLORIN_REFUNDS_FEE", "returned")], [240, 160, 0]);
}

#[test]
fn what_is_said_of_the_fee_at_the_sale_holds_for_its_refunds() {
    let (folder, dev) = Dev::fresh(&[("FLORIN_REFUNDS_FEE", "returned")]);
    let id = made(&dev, "sold", &sale(10_000, "USD"));
    dev.stop();
    let dev = Dev::start(folder.path(), &[("FLORIN_REFUNDS_FEE", "kept")]);
    ask(&dev, "refund", &id, "refunds", &json!({})).expect(200);
    assert_fields(&shown(&dev, &id), &[("fee", json!(0)), ("net", json!(0))]);
    assert_books_are_true(&dev);
    dev.stop();
}
