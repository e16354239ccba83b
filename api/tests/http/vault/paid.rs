//! Cards that pay, and those that no longer do.

use super::*;

#[test]
fn a_detached_or_foreign_card_pays_nothing() {
    let world = World::start();
    let card = saved(&world);
    let pay = |merchant: &str, key: &str| {
        let body = json!({"amount": 100, "currency": "USD", "payment_method_id": card}).to_string();
        world.send(
            "POST",
            "/v1/payments",
            Some(merchant),
            &[JSON, ("Idempotency-Key", key)],
            body.as_bytes(),
        )
    };
    refused(&pay(B, "b"), 400, "resource_missing", "payment_method_id");
    let detached = post(
        &world,
        &format!("/v1/payment_methods/{card}/detach"),
        A,
        &json!({}),
    );
    assert_eq!(detached.json()["customer"], Value::Null);
    refused(
        &pay(A, "a"),
        400,
        "payment_method_unexpected_state",
        "payment_method_id",
    );
    assert_eq!(world.charges(), 0);
    world.stop();
}

#[test]
fn what_a_card_paid_is_answered_the_same_after_it_is_gone_and_its_key_never_says_otherwise() {
    let world = World::start();
    let owned = id(&post(&world, "/v1/customers", A, &json!({"name": "Ada"})));
    for (n, end) in ["detach", "erase"].into_iter().enumerate() {
        let card = saved(&world);
        let attached = json!({"customer": owned});
        shown(post(
            &world,
            &format!("/v1/payment_methods/{card}/attach"),
            A,
            &attached,
        ));
        let pay = |key: &str, minor: u32| {
            let body = json!({"amount": minor, "currency": "USD", "payment_method_id": card}).to_string();
            let headers = [JSON, ("Idempotency-Key", key)];
            world.send("POST", "/v1/payments", Some(A), &headers, body.as_bytes())
        };
        let first = pay(end, 100);
        assert_eq!(first.status, 200, "{first:?}");
        if end == "detach" {
            shown(post(
                &world,
                &format!("/v1/payment_methods/{card}/detach"),
                A,
                &json!({}),
            ));
        } else {
            let gone = world.send("DELETE", &format!("/v1/customers/{owned}"), Some(A), &[], b"");
            assert_eq!(gone.status, 200, "{gone:?}");
        }
        let again = pay(end, 100);
        assert_eq!((again.status, &again.body), (200, &first.body), "{end}");
        assert_eq!(again.header("idempotent-replayed"), Some("true"), "{end}");
        assert_eq!(pay(end, 101).status, 422, "{end}: another request under the key");
        let other = pay(&format!("other-{end}"), 100);
        assert_eq!(
            (other.status, other.error("param").as_str()),
            (400, "payment_method_id"),
            "{end}"
        );
        // It left nothing behind: the key is free.
        let visa = json!({"amount": 100, "currency": "USD", "payment_method_id": "pm_card_visa"}).to_string();
        let headers = [JSON, ("Idempotency-Key", &*format!("other-{end}"))];
        assert_eq!(
            world
                .send("POST", "/v1/payments", Some(A), &headers, visa.as_bytes())
                .status,
            200
        );
        assert_eq!(world.charges(), 2 * (n + 1), "{end}");
    }
    world.stop();
}
