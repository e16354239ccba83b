//! What must be consistent at once (CONS-*): authorizations are never spent twice, and whoever was told can read it.

use crate::deployment::Dev;
use crate::operations::{assert_books_are_true, assert_in_history, executed, made, manual, shown};
use serde_json::json;
use std::thread;

/// Strong consistency of authorizations: what is reserved is never spent twice, whoever asks at the same time.
#[test]
fn cons_11_an_authorization_is_never_spent_twice_however_many_ask_at_once() {
    let (_folder, dev) = Dev::fresh(&[]);
    let id = made(&dev, "cons-11", &manual(10_000, "USD"));
    let codes: Vec<u16> = thread::scope(|scope| {
        let ask = |n: usize| {
            let (merchant, path) = (dev.merchant(), format!("/v1/payments/{id}/capture"));
            scope.spawn(move || {
                let body = json!({"amount": 3_000, "final": false});
                merchant.post(&format!("cons-11-{n}"), &path, &body).status
            })
        };
        let asking: Vec<_> = (0..16).map(ask).collect();
        asking.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    let taken = codes.iter().filter(|code| **code == 200).count();
    assert_eq!(taken, 3, "{codes:?}");
    assert!(
        codes.iter().all(|code| matches!(code, 200 | 400 | 409)),
        "{codes:?}"
    );
    assert_eq!(shown(&dev, &id)["amount_captured"], 9_000);
    let captures: i64 = executed(&dev)
        .iter()
        .filter(|(operation, _)| operation == "capture")
        .map(|(_, minor)| minor)
        .sum();
    assert_eq!(captures, 9_000);
    assert_books_are_true(&dev);
}

/// Read-after-write of the transaction history: what was answered is in the next read, by itself, in the list and in the history.
#[test]
fn cons_13_what_was_answered_is_in_the_next_read_of_every_kind() {
    let (_folder, dev) = Dev::fresh(&[]);
    let merchant = dev.merchant();
    for n in 0..40 {
        let id = made(&dev, &format!("cons-13-{n}"), &manual(1_000, "USD"));
        let newest = &merchant.read("/v1/payments?limit=1")["data"][0];
        assert_eq!(
            (&newest["id"], &newest["status"]),
            (&json!(id), &json!("authorized"))
        );
        let path = format!("/v1/payments/{id}/capture");
        merchant
            .post(
                &format!("cons-13-{n}-capture"),
                &path,
                &json!({"amount": 400, "final": true}),
            )
            .expect(200);
        let read = shown(&dev, &id);
        assert_eq!(
            (&read["amount_captured"], &read["status"]),
            (&json!(400), &json!("succeeded"))
        );
        let newest = &merchant.read("/v1/payments?limit=1")["data"][0];
        assert_eq!(newest["amount_captured"], 400);
        assert_in_history(&dev, &id, &format!("cons-13-{n}-capture"), ("capture", true));
    }
}
