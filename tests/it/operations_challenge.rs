//! Challenges and declines: the customer's way out and back, and another method after a decline.

use crate::deployment::{Dev, with_method};
use crate::http::Client;
use crate::operations::{ask, assert_books_are_true, assert_fields, executed, pending, shown};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// Where the customer is sent.
#[track_caller]
fn challenge_page(payment: &Value) -> (SocketAddr, String) {
    let url = payment["next_action"]["redirect_to_url"]["url"].as_str();
    let url = url.unwrap_or_else(|| panic!("no page in {payment}"));
    let (address, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    (address.parse().unwrap(), format!("/{path}"))
}

/// What the customer does at the page.
#[track_caller]
pub(crate) fn press(payment: &Value, button: &str) {
    let (address, path) = challenge_page(payment);
    let answer = Client::new(address)
        .send("POST", &format!("{path}/{button}"), &[], b"")
        .unwrap();
    assert!([200, 303].contains(&answer.status), "{answer:?}");
}

#[test]
fn orch_10_a_challenge_goes_to_the_customer_and_its_end_comes_back() {
    let (_folder, dev) = Dev::fresh(&[]);
    for (n, capture_method) in ["automatic", "manual"].into_iter().enumerate() {
        let mut body = with_method("pm_card_threeDSecure2Required");
        body["capture_method"] = json!(capture_method);
        body["return_url"] = json!("https://shop.example/back");
        let payment = dev.pay(&format!("challenged-{n}"), &body).expect(200).json();
        let id = payment["id"].as_str().unwrap();
        assert_eq!(payment["status"], "requires_action");
        assert_eq!(payment["next_action"]["type"], "redirect_to_url");
        let (address, path) = challenge_page(&payment);
        let page = Client::new(address)
            .send("GET", &path, &[], b"")
            .unwrap()
            .expect(200);
        assert!(page.text().contains("Complete authentication"), "{page:?}");

        // Asked too early, the customer is waited for; the same key asks again later.
        let early = ask(&dev, &format!("complete-{n}"), id, "confirm", &json!({})).expect(200);
        assert_eq!(early.json()["status"], "requires_action");
        assert!(!early.is_replay());
        press(&payment, "complete");
        let done = ask(&dev, &format!("complete-{n}"), id, "confirm", &json!({})).expect(200);
        let status = if capture_method == "automatic" {
            "succeeded"
        } else {
            "authorized"
        };
        assert_fields(
            &done.json(),
            &[("status", json!(status)), ("next_action", json!(null))],
        );
        let again = ask(&dev, &format!("complete-{n}"), id, "confirm", &json!({})).expect(200);
        assert_eq!((again.text(), again.is_replay()), (done.text(), true));
        let late = ask(&dev, &format!("late-{n}"), id, "confirm", &json!({}));
        assert_eq!(late.status, 409, "{late:?}");
    }
    assert_eq!(
        executed(&dev),
        [("sale".to_owned(), 10_000), ("authorize".to_owned(), 10_000)]
    );
    assert_books_are_true(&dev);
    dev.stop();
}

#[test]
fn orch_10_a_failed_challenge_is_a_decline_and_another_method_may_follow() {
    let (_folder, dev) = Dev::fresh(&[]);
    let payment = dev
        .pay("challenged", &with_method("pm_card_threeDSecure2Required"))
        .expect(200)
        .json();
    let id = payment["id"].as_str().unwrap();
    press(&payment, "fail");
    let failed = ask(&dev, "complete", id, "confirm", &json!({})).expect(402);
    assert_eq!(failed.error("code"), "card_declined");
    assert_eq!(shown(&dev, id)["status"], "failed");
    assert_eq!(executed(&dev), []);
    let other = json!({"payment_method_id": "pm_card_mastercard"});
    let paid = ask(&dev, "other", id, "confirm", &other).expect(200).json();
    assert_fields(
        &paid,
        &[
            ("status", json!("succeeded")),
            ("payment_method_id", json!("pm_card_mastercard")),
            ("failure_code", json!(null)),
        ],
    );
    // The first answers stay what they were.
    let replay = ask(&dev, "complete", id, "confirm", &json!({})).expect(402);
    assert_eq!((replay.text(), replay.is_replay()), (failed.text(), true));
    assert_eq!(executed(&dev), [("sale".to_owned(), 10_000)]);
    assert_books_are_true(&dev);
    dev.stop();
}

#[test]
fn a_challenged_payment_can_be_voided_and_the_customer_pays_nothing() {
    let (_folder, dev) = Dev::fresh(&[]);
    let payment = dev
        .pay("challenged", &with_method("pm_card_authenticationRequired"))
        .expect(200)
        .json();
    let id = payment["id"].as_str().unwrap();
    let answer = ask(&dev, "void", id, "void", &json!({})).expect(200).json();
    assert_eq!(answer["status"], "voided");
    press(&payment, "complete");
    assert_eq!(ask(&dev, "complete", id, "confirm", &json!({})).status, 409);
    assert_eq!(executed(&dev), []);
    assert_eq!(pending(&dev), (0, 0));
    assert_books_are_true(&dev);
    dev.stop();
}

#[test]
fn a_declined_payment_is_confirmed_with_another_method() {
    let (_folder, dev) = Dev::fresh(&[]);
    let declined = dev
        .pay("declined", &with_method("pm_card_visa_chargeDeclined"))
        .expect(402);
    let id = declined.error("payment_id");
    let confirm =
        |key: &str, method: &str| ask(&dev, key, &id, "confirm", &json!({"payment_method_id": method}));
    let again = confirm("again", "pm_card_visa_chargeDeclinedInsufficientFunds").expect(402);
    assert_eq!(again.error("decline_code"), "insufficient_funds");
    let unknown = confirm("unknown", "pm_card_nobody");
    assert_eq!(
        (unknown.status, unknown.error("param").as_str()),
        (400, "payment_method_id")
    );
    let paid = confirm("paid", "pm_card_mastercard").expect(200);
    assert_eq!(paid.json()["status"], "succeeded");
    assert_eq!(confirm("more", "pm_card_visa").status, 409);
    for (key, method, first) in [
        ("again", "pm_card_visa_chargeDeclinedInsufficientFunds", &again),
        ("paid", "pm_card_mastercard", &paid),
    ] {
        let replay = confirm(key, method);
        assert_eq!(
            (replay.status, replay.text()),
            (first.status, first.text()),
            "{key}"
        );
        assert!(replay.is_replay());
    }
    let creation = dev.pay("declined", &with_method("pm_card_visa_chargeDeclined"));
    assert_eq!((creation.status, creation.text()), (402, declined.text()));
    assert_eq!(executed(&dev), [("sale".to_owned(), 10_000)]);
    assert_books_are_true(&dev);
    dev.stop();
}
