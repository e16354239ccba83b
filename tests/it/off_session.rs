//! Charges for which no customer is there: nobody is challenged, and what needs the customer is declined until one comes.

use crate::adyen;
use crate::deployment::{Dev, with_method};
use crate::operations::{ask, assert_books_are_true, executed, shown};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A card that needs its customer is a fault of no provider.
const CALM: [(&str, &str); 1] = [("FLORIN_BREAKER_OPEN_MS", "1")];
const CHALLENGED: &str = "pm_card_threeDSecure2Required";

fn unattended(method: &str) -> Value {
    let mut body = with_method(method);
    body["off_session"] = json!(true);
    body["return_url"] = json!("https://shop.example/back");
    body
}

/// What is so at either provider.
fn nobody_is_challenged((folder, dev): (TempDir, Dev), again: impl Fn(&TempDir) -> Dev) {
    let paid = dev.pay("easy", &unattended("pm_card_visa")).expect(200).json();
    assert_eq!(
        (&paid["status"], &paid["off_session"]),
        (&json!("succeeded"), &json!(true))
    );
    let refused = dev.pay("hard", &unattended(CHALLENGED)).expect(402);
    assert_eq!(refused.error("decline_code"), "authentication_required");
    // The flag is part of what was asked for.
    dev.pay("hard", &with_method(CHALLENGED)).expect(422);
    // It is in the journal, and so is what became of it.
    dev.process.kill_9();
    let dev = again(&folder);
    let repeated = dev.pay("hard", &unattended(CHALLENGED)).expect(402);
    assert_eq!((repeated.text(), repeated.is_replay()), (refused.text(), true));
    assert_eq!(
        shown(&dev, paid["id"].as_str().unwrap())["off_session"],
        json!(true)
    );
    // Stripe's way on: the customer is fetched, and confirms the same intent.
    let intent = json!({
        "amount": 900, "currency": "usd", "payment_method": CHALLENGED, "confirm": true, "off_session": true,
        "return_url": "https://shop.example/back",
    });
    let refused = dev
        .merchant()
        .post("intent", "/v1/payment_intents", &intent)
        .expect(402)
        .json();
    assert_eq!(refused["error"]["code"], "authentication_required", "{refused}");
    let id = refused["error"]["payment_intent"]["id"].as_str().unwrap();
    let confirm = format!("/v1/payment_intents/{id}/confirm");
    let came = dev
        .merchant()
        .post("came", &confirm, &json!({"payment_method": CHALLENGED}))
        .expect(200)
        .json();
    assert_eq!(came["status"], "requires_action", "{came}");
    // Without the flag a customer is there.
    let asked = dev.pay("asked", &with_method(CHALLENGED)).expect(200).json();
    assert_eq!(
        (&asked["status"], asked.get("off_session")),
        (&json!("requires_action"), None)
    );
    assert_eq!(executed(&dev), [("sale".to_owned(), 10_000)]);
    ask(&dev, "void", asked["id"].as_str().unwrap(), "void", &json!({}));
    assert_books_are_true(&dev);
    dev.stop();
}

#[test]
fn nobody_is_challenged_at_stripe_where_no_customer_is_there() {
    nobody_is_challenged(Dev::fresh(&CALM), |folder| Dev::start(folder.path(), &CALM));
}

#[test]
fn nobody_is_challenged_at_adyen_where_no_customer_is_there() {
    nobody_is_challenged(adyen::fresh(&CALM), |folder| adyen::start(folder.path(), &CALM));
}
