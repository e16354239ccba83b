//! Refusals by the payment's status, and answers after which the same key has the work done.

use crate::world::{Answer, World};
use crate::{VISA, pay, with_method};
use florin_domain::limits::ATTEMPTS_MAX;
use serde_json::{Value, json};

fn post(world: &World, path: &str, secret: &str, key: &str, body: &str) -> Answer {
    let headers = [("Idempotency-Key", key), ("Content-Type", "application/json")];
    world.send("POST", path, Some(secret), &headers, body.as_bytes())
}

fn ask(world: &World, id: &str, what: &str, key: &str, body: &str) -> Answer {
    post(
        world,
        &format!("/v1/payments/{id}/{what}"),
        "sk_test_a",
        key,
        body,
    )
}

fn id(answer: &Answer) -> String {
    answer.json()["id"].as_str().unwrap().to_owned()
}

/// An authorization.
fn held(world: &World, key: &str) -> Answer {
    pay(world, key, &VISA.replace('}', r#","capture_method":"manual"}"#))
}

#[test]
fn a_refusal_names_the_status_that_is_in_the_way() {
    let world = World::start();
    let voided = id(&held(&world, "voided"));
    assert_eq!(ask(&world, &voided, "void", "v", "{}").status, 200);
    let authorized = id(&held(&world, "authorized"));
    let sold = id(&pay(&world, "sold", VISA));
    let unknown = id(&pay(&world, "unknown", &with_method("pm_card_createDispute")));
    let method = r#"{"payment_method_id":"pm_card_visa"}"#;
    for (id, what, body, status, cannot) in [
        (&voided, "capture", "{}", "voided", "cannot be captured"),
        (&voided, "void", "{}", "voided", "cannot be voided"),
        (&voided, "refunds", "{}", "voided", "cannot be refunded"),
        (&authorized, "refunds", "{}", "authorized", "cannot be refunded"),
        (&sold, "capture", "{}", "succeeded", "cannot be captured"),
        (&sold, "void", "{}", "succeeded", "cannot be voided"),
        (
            &sold,
            "increment_authorization",
            r#"{"amount":20000}"#,
            "succeeded",
            "cannot have more reserved: that takes an authorization without captures",
        ),
        (
            &sold,
            "confirm",
            method,
            "succeeded",
            "cannot be confirmed with another payment method",
        ),
        (
            &sold,
            "confirm",
            "{}",
            "succeeded",
            "cannot be confirmed: no challenge of the customer is open",
        ),
        (&unknown, "capture", "{}", "processing", "cannot be captured"),
    ] {
        let refused = ask(&world, id, what, &format!("{what}-{id}-{}", body.len()), body);
        assert_eq!(
            (refused.status, refused.error("code").as_str()),
            (409, "payment_unexpected_state"),
            "{what} {status}: {refused:?}"
        );
        assert_eq!(refused.error("payment_status"), status, "{what}");
        assert_eq!(
            refused.error("message"),
            format!("A payment that is `{status}` {cannot}."),
            "{what}"
        );
    }
    for what in ["approve", "reject"] {
        let path = format!("/v1/ops/reviews/{authorized}/{what}");
        let refused = post(&world, &path, "ok_test_op", what, "{}");
        assert_eq!(refused.status, 409, "{refused:?}");
        assert_eq!(refused.error("payment_status"), "authorized", "{what}");
        assert!(
            refused.error("message").contains("it is not under review"),
            "{refused:?}"
        );
    }
    let path = format!("/v1/ops/attempts/{sold}/resolve");
    let said = r#"{"outcome":"not_executed","evidence":"e","reason":"r"}"#;
    let refused = post(&world, &path, "ok_test_op", "resolve", said);
    assert_eq!(refused.error("payment_status"), "succeeded", "{refused:?}");
    assert_eq!(
        refused.error("message"),
        "A payment that is `succeeded` has nothing to resolve here: what became of the attempt is known."
    );
    // What is another merchant's has no status to tell.
    let theirs = post(
        &world,
        &format!("/v1/payments/{voided}/capture"),
        "sk_test_b",
        "theirs",
        "{}",
    );
    assert_eq!(theirs.status, 404, "{theirs:?}");
    world.stop();
}

#[test]
fn the_request_that_drives_a_payment_again_repeats_no_answer() {
    let world = World::start();
    let authorized = id(&held(&world, "held"));
    world.provider_leaves(true);
    let capture = || ask(&world, &authorized, "capture", "capture", "{}");
    let requests: [&dyn Fn() -> Answer; 2] = [&|| pay(&world, "k", VISA), &capture];
    for request in requests {
        for _ in 0..2 {
            let refused = request();
            assert_eq!(
                (refused.status, refused.error("code").as_str()),
                (503, "no_provider_available"),
                "{refused:?}"
            );
            assert_eq!(refused.header("idempotent-replayed"), None);
        }
    }
    world.provider_leaves(false);
    for request in requests {
        let done = request();
        assert_eq!(done.status, 200, "{done:?}");
        assert_eq!(
            done.header("idempotent-replayed"),
            None,
            "it did the work: {done:?}"
        );
        for _ in 0..2 {
            let again = request();
            assert_eq!((again.status, &again.body), (200, &done.body));
            assert_eq!(again.header("idempotent-replayed"), Some("true"));
        }
    }
    world.stop();
}

#[test]
fn what_was_tried_as_often_as_it_may_be_has_failed_for_good() {
    let world = World::start_with_actors(|options| {
        options.retry.tries_max = 1;
        // Behind an open breaker no attempt would be made.
        options.breaker.failures_max = u32::MAX;
    });
    let authorized = id(&held(&world, "held"));
    world.provider_leaves(true);
    let capture = || ask(&world, &authorized, "capture", "capture", "{}");
    let requests: [&dyn Fn() -> Answer; 2] = [&|| pay(&world, "k", VISA), &capture];
    for request in requests {
        for _ in 1..ATTEMPTS_MAX {
            let refused = request();
            assert_eq!(refused.error("code"), "no_provider_available", "{refused:?}");
        }
        let last = request();
        assert_eq!(
            (last.status, last.error("code").as_str()),
            (409, "too_many_attempts"),
            "{last:?}"
        );
        assert_eq!(last.header("retry-after"), None);
        assert_eq!(last.header("idempotent-replayed"), None);
        world.provider_leaves(false);
        let again = request();
        assert_eq!(
            (again.status, again.header("idempotent-replayed")),
            (409, Some("true"))
        );
        world.provider_leaves(true);
    }
    let failed = pay(&world, "k", VISA).error("payment_id");
    let shown = world
        .get(&format!("/v1/payments/{failed}"), Some("sk_test_a"))
        .json();
    assert_eq!(
        (
            &shown["status"],
            &shown["failure_code"],
            &shown["amount_captured"]
        ),
        (&json!("failed"), &json!("too_many_attempts"), &json!(0))
    );
    world.provider_leaves(false);
    assert_eq!(pay(&world, "new", VISA).status, 200);
    assert_eq!(ask(&world, &authorized, "capture", "another", "{}").status, 200);
    world.stop();
}

#[test]
fn a_refund_that_reached_nobody_has_not_failed_as_long_as_its_key_may_send_it() {
    let world = World::start_with_actors(|options| {
        options.retry.tries_max = 1;
        // Behind an open breaker no attempt would be made.
        options.breaker.failures_max = u32::MAX;
    });
    let paid = id(&pay(&world, "p", VISA));
    let read = |path: &str| world.get(path, Some("sk_test_a")).json();
    let refund = |key: &str| ask(&world, &paid, "refunds", key, r#"{"amount":100}"#);
    // How the refund at a place stands, natively and in Stripe's shape.
    let stands = |place: usize| {
        let shown = read(&format!("/v1/payments/{paid}"))["refunds"][place].take();
        let in_stripe = read(&format!("/v1/refunds/{}", shown["id"].as_str().unwrap()));
        let status = |object: &Value| object["status"].as_str().unwrap().to_owned();
        (status(&shown), status(&in_stripe))
    };
    let told = || {
        let page = read("/v1/events?type=refund.*&limit=100");
        let events = page["data"].as_array().unwrap().iter().rev();
        let kinds: Vec<String> = events
            .map(|event| event["type"].as_str().unwrap().to_owned())
            .collect();
        kinds
    };
    world.provider_leaves(true);
    assert_eq!(refund("back").error("code"), "no_provider_available");
    assert_eq!(stands(0), ("not_sent".to_owned(), "pending".to_owned()));
    assert_eq!(told(), ["refund.created"]);
    world.provider_leaves(false);
    assert_eq!(refund("back").status, 200);
    assert_eq!(stands(0), ("succeeded".to_owned(), "succeeded".to_owned()));

    world.provider_leaves(true);
    for _ in 1..ATTEMPTS_MAX {
        refund("vain");
        assert_eq!(stands(1).0, "not_sent");
    }
    let last = refund("vain");
    assert_eq!((last.status, &last.json()["status"]), (200, &json!("failed")));
    assert_eq!(stands(1), ("failed".to_owned(), "failed".to_owned()));
    assert_eq!(
        told(),
        [
            "refund.created",
            "refund.updated",
            "refund.created",
            "refund.failed"
        ]
    );
    world.stop();
}
