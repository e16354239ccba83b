//! What was announced, in Stripe's shape: for whoever names a version of Stripe's API, as its SDKs do.

use crate::world::{Answer, World};
use crate::{VISA, pay};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const A: Option<&str> = Some("sk_test_a");
const SDK: (&str, &str) = ("Stripe-Version", "2026-10-28.endive");
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

fn get(world: &World, path: &str) -> Answer {
    world.send("GET", path, A, &[SDK], b"")
}

#[track_caller]
fn told(world: &World, path: &str, body: &str) -> Value {
    let key = format!("{path}-{body}");
    let answer = world.send(
        "POST",
        path,
        A,
        &[FORM, ("Idempotency-Key", &key)],
        body.as_bytes(),
    );
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

#[track_caller]
fn listed(world: &World) -> Vec<Value> {
    let answer = get(world, "/v1/events?limit=100");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("stripe-version"), Some(SDK.1));
    let mut events = answer.json()["data"].as_array().unwrap().clone();
    events.reverse();
    events
}

fn of_type<'a>(events: &'a [Value], kind: &str) -> &'a Value {
    let mut of = events.iter().filter(|event| event["type"] == kind);
    &of.next().unwrap_or_else(|| panic!("no {kind}"))["data"]["object"]
}

#[test]
fn a_life_is_told_in_stripes_words_each_event_with_its_own_object_as_it_stood_then() {
    let world = World::start();
    let body = "amount=5000&currency=usd&payment_method=pm_card_visa&confirm=true&capture_method=manual&customer=cus_1";
    let intent = told(&world, "/v1/payment_intents", body);
    let one = format!("/v1/payment_intents/{}", intent["id"].as_str().unwrap());
    let taken = told(&world, &format!("{one}/capture"), "amount_to_capture=4000");
    let given = told(
        &world,
        "/v1/refunds",
        &format!("amount=1000&payment_intent={}", intent["id"].as_str().unwrap()),
    );
    let events = listed(&world);
    let types: Vec<&str> = events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        types,
        [
            "charge.succeeded",
            "payment_intent.amount_capturable_updated",
            "charge.captured",
            "payment_intent.succeeded",
            "refund.created",
            "charge.refunded",
            "refund.updated",
        ]
    );
    let fields = "api_version created data id livemode object pending_webhooks request type";
    let fields: BTreeSet<&str> = fields.split(' ').collect();
    let native = world.get("/v1/events?limit=100", A).json();
    let mut native = native["data"].as_array().unwrap().clone();
    native.reverse();
    for (event, native) in events.iter().zip(&native) {
        let found: BTreeSet<&str> = event.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(found, fields);
        // The same event, whoever asks.
        assert_eq!(
            (&event["id"], &event["created"]),
            (&native["id"], &native["created"])
        );
        assert_ne!(
            event["type"],
            native["type"].as_str().unwrap().replace("refund", "-")
        );
        assert_eq!(
            (
                &event["api_version"],
                &event["pending_webhooks"],
                &event["request"]
            ),
            (&json!(SDK.1), &json!(0), &Value::Null)
        );
        let path = format!("/v1/events/{}", event["id"].as_str().unwrap());
        assert_eq!(&get(&world, &path).json(), event);
        assert_eq!(world.get(&path, A).json(), *native);
    }
    assert_eq!(
        of_type(&events, "payment_intent.amount_capturable_updated"),
        &intent
    );
    assert_eq!(of_type(&events, "payment_intent.succeeded"), &taken);
    assert_eq!(of_type(&events, "refund.updated"), &given);
    let asked = of_type(&events, "refund.created");
    assert_eq!(
        (&asked["id"], &asked["status"], &asked["balance_transaction"]),
        (&given["id"], &json!("pending"), &Value::Null)
    );
    let held = of_type(&events, "charge.succeeded");
    assert_eq!(
        (&held["object"], &held["captured"], &held["amount_refunded"]),
        (&json!("charge"), &json!(false), &json!(0))
    );
    let charge = format!("/v1/charges/{}", held["id"].as_str().unwrap());
    assert_eq!(of_type(&events, "charge.refunded"), &get(&world, &charge).json());
    world.stop();
}

#[test]
fn a_review_is_told_as_one_that_is_open_and_then_closed() {
    for (what, reason) in [("approve", "approved"), ("reject", "canceled")] {
        let world = World::start_with_actors(|options| options.risk.review_above_bps = 1);
        let payment = pay(&world, "k", VISA).json()["id"].as_str().unwrap().to_owned();
        let path = format!("/v1/ops/reviews/{payment}/{what}");
        let json = ("Content-Type", "application/json");
        let decided = world.send(
            "POST",
            &path,
            Some("ok_test_op"),
            &[json, ("Idempotency-Key", "r")],
            b"{}",
        );
        assert_eq!(decided.status, 200, "{decided:?}");
        let events = listed(&world);
        let (open, closed) = (
            of_type(&events, "review.opened"),
            of_type(&events, "review.closed"),
        );
        assert_eq!(
            (&open["open"], &open["reason"], &open["closed_reason"]),
            (&json!(true), &json!("rule"), &Value::Null)
        );
        assert_eq!(
            (&closed["open"], &closed["reason"], &closed["closed_reason"]),
            (&json!(false), &json!(reason), &json!(reason))
        );
        let intent = payment.replacen("pay_", "pi_", 1);
        for review in [open, closed] {
            assert_eq!(
                (&review["object"], &review["payment_intent"], &review["id"]),
                (
                    &json!("review"),
                    &json!(intent),
                    &json!(payment.replacen("pay_", "prv_", 1))
                )
            );
        }
        world.stop();
    }
}

#[test]
fn what_is_no_event_is_refused_as_sdks_expect_it() {
    let world = World::start();
    pay(&world, "k", VISA);
    for (path, status, code) in [
        ("/v1/events/evt_nothing", 404, "resource_missing"),
        ("/v1/events?type=payment.shoe", 400, "parameter_invalid"),
    ] {
        let refused = get(&world, path);
        assert_eq!(
            (
                refused.status,
                refused.error("code").as_str(),
                refused.header("stripe-should-retry")
            ),
            (status, code, Some("false")),
            "{path}"
        );
    }
    world.stop();
}
