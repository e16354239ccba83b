//! Authorizations that grow: what is held, what may then be taken, what the provider executed, and what survives a crash.

use crate::deployment::{Dev, add_fault, clear_faults, sale};
use crate::operations::{
    ask, assert_books_are_true, assert_fields, assert_in_history, executed, made, manual, pending, shown,
};
use crate::process::wait_for;
use serde_json::{Value, json};

const INCREMENT: &str = "increment_authorization";

fn rows(expected: &[(&str, i64)]) -> Vec<(String, i64)> {
    let row = |(operation, amount): &(&str, i64)| ((*operation).to_owned(), *amount);
    expected.iter().map(row).collect()
}

#[test]
fn an_authorization_grows_to_a_total_and_all_of_it_can_be_captured() {
    let (folder, dev) = Dev::fresh(&[]);
    let id = made(&dev, "auth", &manual(10_000, "USD"));
    let body = json!({"amount": 15_000});
    let first = ask(&dev, "more", &id, INCREMENT, &body).expect(200);
    let grown: &[(&str, Value)] = &[
        ("status", json!("authorized")),
        ("amount", json!(15_000)),
        ("amount_capturable", json!(15_000)),
        ("amount_captured", json!(0)),
    ];
    assert_fields(&first.json(), grown);
    assert_eq!(
        executed(&dev),
        rows(&[("authorize", 10_000), ("authorize", 5_000)])
    );
    assert_eq!(pending(&dev), (15_000, 0));
    assert_in_history(&dev, &id, "more", ("increment", false));

    // The key does it once, also for a process that only read about it.
    dev.process.kill_9();
    let dev = Dev::start(folder.path(), &[]);
    let again = ask(&dev, "more", &id, INCREMENT, &body).expect(200);
    assert_eq!(again.body, first.body);
    assert!(again.is_replay());
    assert_eq!(
        ask(&dev, "more", &id, INCREMENT, &json!({"amount": 16_000})).status,
        422
    );
    assert_fields(&shown(&dev, &id), grown);

    let taken = ask(
        &dev,
        "take",
        &id,
        "capture",
        &json!({"amount": 12_000, "final": false}),
    )
    .expect(200);
    assert_fields(
        &taken.json(),
        &[
            ("amount_captured", json!(12_000)),
            ("amount_capturable", json!(3_000)),
        ],
    );
    let late = ask(&dev, "late", &id, INCREMENT, &json!({"amount": 20_000})).expect(409);
    assert_eq!(late.error("code"), "payment_unexpected_state");
    ask(&dev, "rest", &id, "void", &json!({})).expect(200);
    let all = [
        ("authorize", 10_000),
        ("authorize", 5_000),
        ("capture", 12_000),
        ("void", 3_000),
    ];
    assert_eq!(executed(&dev), rows(&all));
    assert_eq!(pending(&dev), (0, 0));
    let listed = dev.merchant().read("/v1/payments?amount[gte]=15000");
    assert_eq!(
        listed["data"][0]["id"],
        json!(id),
        "lists go by what the payment is about now"
    );
    assert_books_are_true(&dev);
    dev.stop();
}

#[test]
fn what_is_no_increment_is_refused_and_a_declined_one_changes_nothing() {
    let (_folder, dev) = Dev::fresh(&[]);
    let id = made(&dev, "auth", &manual(10_000, "USD"));
    for (n, (amount, code)) in [
        (json!(10_000), "amount_too_small"),
        (json!(9_999), "amount_too_small"),
        (json!(0), "amount_too_small"),
        (json!(1_000_000_000_000_u64), "amount_too_large"),
        (json!("15000"), "parameter_invalid"),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = ask(
            &dev,
            &format!("bad-{n}"),
            &id,
            INCREMENT,
            &json!({"amount": amount}),
        )
        .expect(400);
        let said = (answer.error("code"), answer.error("param"));
        assert_eq!(said, (code.to_owned(), "amount".to_owned()), "{amount}");
    }
    ask(&dev, "none", &id, INCREMENT, &json!({})).expect(400);
    let sold = made(&dev, "sale", &sale(5_000, "USD"));
    ask(&dev, "sold", &sold, INCREMENT, &json!({"amount": 6_000})).expect(409);

    add_fault(dev.sandbox, "decline", &json!({"operation": "authorize"}));
    let declined = ask(&dev, "declined", &id, INCREMENT, &json!({"amount": 15_000})).expect(402);
    assert_eq!(declined.error("code"), "operation_declined");
    clear_faults(dev.sandbox);
    assert_fields(
        &shown(&dev, &id),
        &[
            ("status", json!("authorized")),
            ("amount", json!(10_000)),
            ("amount_capturable", json!(10_000)),
        ],
    );
    assert_eq!(executed(&dev), rows(&[("authorize", 10_000), ("sale", 5_000)]));
    assert_eq!(pending(&dev), (10_000, 0));
    ask(&dev, "other", &id, INCREMENT, &json!({"amount": 11_000})).expect(200);
    ask(&dev, "all", &id, "capture", &json!({})).expect(200);
    assert_fields(
        &shown(&dev, &id),
        &[("status", json!("succeeded")), ("amount_captured", json!(11_000))],
    );
    assert_books_are_true(&dev);
    dev.stop();
}

#[test]
fn an_increment_whose_answer_was_lost_is_found_out_and_made_once() {
    let (_folder, dev) = Dev::fresh(&[("FLORIN_STAGES_AUTHORIZATION_MS", "300")]);
    let id = made(&dev, "auth", &manual(10_000, "USD"));
    add_fault(
        dev.sandbox,
        "timeout_after_charge",
        &json!({"operation": "authorize"}),
    );
    let answer = ask(&dev, "more", &id, INCREMENT, &json!({"amount": 15_000}));
    assert!([200, 202].contains(&answer.status), "{answer:?}");
    clear_faults(dev.sandbox);
    wait_for("the increment to be found", || {
        (shown(&dev, &id)["amount_capturable"] == 15_000).then_some(())
    });
    assert_eq!(
        executed(&dev),
        rows(&[("authorize", 10_000), ("authorize", 5_000)])
    );
    ask(&dev, "more", &id, INCREMENT, &json!({"amount": 15_000})).expect(200);
    ask(&dev, "all", &id, "capture", &json!({})).expect(200);
    assert_books_are_true(&dev);
    dev.stop();
}
