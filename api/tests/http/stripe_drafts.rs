//! Intents that are made first and confirmed later: nobody is asked for anything before, and what they cost may change until then.

use crate::world::{Answer, World};
use serde_json::{Value, json};

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
const DRAFT: &str = "amount=10000&currency=usd&metadata[order]=7";

fn post(world: &World, path: &str, key: &str, body: &str) -> Answer {
    let headers = [FORM, ("Idempotency-Key", key)];
    world.send("POST", path, Some("sk_test_a"), &headers, body.as_bytes())
}

#[track_caller]
fn told(world: &World, path: &str, key: &str, body: &str) -> Value {
    let answer = post(world, path, key, body);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn path_of(intent: &Value) -> String {
    format!("/v1/payment_intents/{}", intent["id"].as_str().unwrap())
}

#[test]
fn an_intent_is_made_changed_and_confirmed_and_costs_what_it_cost_then() {
    let world = World::start();
    let made = told(&world, "/v1/payment_intents", "make", DRAFT);
    assert_eq!(
        (&made["status"], &made["payment_method"], &made["latest_charge"]),
        (&json!("requires_payment_method"), &Value::Null, &Value::Null)
    );
    let path = path_of(&made);
    let changed = told(
        &world,
        &path,
        "change",
        "amount=7000&payment_method=pm_card_visa&description=Pears&metadata[order]=&metadata[shop]=3",
    );
    assert_eq!(
        (
            &changed["status"],
            &changed["amount"],
            &changed["metadata"],
            &changed["description"]
        ),
        (
            &json!("requires_confirmation"),
            &json!(7000),
            &json!({"shop": "3"}),
            &json!("Pears")
        )
    );
    assert_eq!(world.charges(), 0, "nobody was asked for anything");
    let paid = told(&world, &format!("{path}/confirm"), "confirm", "");
    assert_eq!(
        (&paid["status"], &paid["amount_received"], &paid["payment_method"]),
        (&json!("succeeded"), &json!(7000), &json!("pm_card_visa"))
    );
    assert_eq!(world.charges(), 1);
    // Each key is answered as it was at first.
    for (path, key, body, first) in [
        ("/v1/payment_intents".to_owned(), "make", DRAFT, &made),
        (format!("{path}/confirm"), "confirm", "", &paid),
    ] {
        let again = post(&world, &path, key, body);
        assert_eq!(again.header("idempotent-replayed"), Some("true"), "{key}");
        assert_eq!(&again.json(), first, "{key}");
    }
    assert_eq!(world.charges(), 1);
    let history = world.get(
        &format!("{}/history", path.replace("payment_intents", "payments")),
        Some("sk_test_a"),
    );
    let history = history.json();
    let types: Vec<_> = history["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        types
            .iter()
            .filter(|name| name.starts_with("payment."))
            .collect::<Vec<_>>(),
        [&"payment.drafted", &"payment.amended", &"payment.confirmed"]
    );
    world.stop();
}

#[test]
fn what_was_confirmed_keeps_its_price_and_what_is_said_of_it_may_change() {
    let world = World::start();
    let made = told(&world, "/v1/payment_intents", "make", DRAFT);
    let path = path_of(&made);
    told(
        &world,
        &format!("{path}/confirm"),
        "confirm",
        "payment_method=pm_card_mastercard",
    );
    for body in ["amount=9999", "payment_method=pm_card_visa"] {
        let refused = post(&world, &path, body, body);
        assert_eq!(
            (refused.status, refused.error("code").as_str()),
            (400, "payment_intent_unexpected_state"),
            "{body}: {refused:?}"
        );
    }
    let renamed = told(&world, &path, "rename", "description=Later&metadata[b]=2");
    assert_eq!(
        (&renamed["description"], &renamed["metadata"], &renamed["amount"]),
        (&json!("Later"), &json!({"order": "7", "b": "2"}), &json!(10_000))
    );
    let nameless = told(&world, &path, "unname", "description=");
    assert_eq!(
        (&nameless["description"], &nameless["metadata"]),
        (&Value::Null, &json!({"order": "7", "b": "2"}))
    );
    let kept = told(&world, &path, "keep", "metadata[b]=");
    assert_eq!(
        (&kept["description"], &kept["metadata"]),
        (&Value::Null, &json!({"order": "7"}))
    );
    for (body, param) in [
        ("currency=eur", "currency"),
        ("amount=", "amount"),
        ("payment_method=", "payment_method"),
        ("metadata=", "metadata"),
        ("amount=0", "amount"),
        ("amout=1", "amout"),
        ("payment_method=pm_nope", "payment_method"),
    ] {
        let refused = post(&world, &path, body, body);
        assert_eq!(
            (refused.status, refused.error("param").as_str()),
            (400, param),
            "{body}"
        );
    }
    world.stop();
}

#[test]
fn an_intent_without_a_method_is_not_confirmed_and_one_that_was_given_up_never_is() {
    let world = World::start();
    let made = told(&world, "/v1/payment_intents", "make", DRAFT);
    let path = path_of(&made);
    let refused = post(&world, &format!("{path}/confirm"), "early", "");
    assert_eq!(
        (refused.status, refused.error("code").as_str()),
        (400, "payment_intent_unexpected_state")
    );
    let cancelled = told(&world, &format!("{path}/cancel"), "cancel", "");
    assert_eq!(cancelled["status"], "canceled");
    let refused = post(
        &world,
        &format!("{path}/confirm"),
        "late",
        "payment_method=pm_card_visa",
    );
    assert_eq!(refused.error("code"), "payment_intent_unexpected_state");
    assert_eq!(world.charges(), 0);
    world.stop();
}

#[test]
fn a_decline_of_a_confirmed_intent_leaves_it_to_another_method_and_never_to_the_same_one_unnamed() {
    let world = World::start();
    let body = format!("{DRAFT}&payment_method=pm_card_visa_chargeDeclinedInsufficientFunds");
    let made = told(&world, "/v1/payment_intents", "make", &body);
    assert_eq!(made["status"], "requires_confirmation");
    let path = path_of(&made);
    let declined = post(&world, &format!("{path}/confirm"), "first", "");
    assert_eq!(
        (declined.status, declined.error("code").as_str()),
        (402, "card_declined")
    );
    let unnamed = post(&world, &format!("{path}/confirm"), "unnamed", "");
    assert_eq!(unnamed.status, 400, "{unnamed:?}");
    let paid = told(
        &world,
        &format!("{path}/confirm"),
        "second",
        "payment_method=pm_card_visa",
    );
    assert_eq!((&paid["status"], world.charges()), (&json!("succeeded"), 1));
    world.stop();
}

#[test]
fn a_draft_is_a_native_payment_without_a_method_and_in_every_list() {
    let world = World::start();
    let made = told(&world, "/v1/payment_intents", "make", DRAFT);
    let native = world
        .get(
            &path_of(&made).replace("payment_intents", "payments"),
            Some("sk_test_a"),
        )
        .json();
    assert_eq!(
        (
            &native["status"],
            &native["payment_method_id"],
            &native["payment_method_details"],
            &native["risk"]
        ),
        (
            &json!("requires_payment_method"),
            &Value::Null,
            &Value::Null,
            &Value::Null
        )
    );
    let listed = |query: &str| {
        let list = world
            .get(&format!("/v1/payments?{query}"), Some("sk_test_a"))
            .json();
        list["data"].as_array().unwrap().len()
    };
    assert_eq!(
        (
            listed("status=requires_payment_method"),
            listed("amount[gte]=8000")
        ),
        (1, 1)
    );
    told(&world, &path_of(&made), "cheaper", "amount=500");
    assert_eq!((listed("amount[gte]=8000"), listed("amount[lte]=500")), (0, 1));
    let csv = world.get("/v1/payments/export.csv", Some("sk_test_a"));
    assert_eq!(csv.status, 200, "{csv:?}");
    world.stop();
}
