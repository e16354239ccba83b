//! Refunds over all payments: listed, and read one by one.

use crate::stand_ins::StandingClock;
use crate::world::{Answer, World};
use florin_domain::time::Millis;
use serde_json::{Value, json};
use std::sync::Arc;

const A: &str = "sk_test_a";
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

#[track_caller]
fn told(world: &World, path: &str, key: &str, body: &str) -> Value {
    let headers = [FORM, ("Idempotency-Key", key)];
    let answer = world.send("POST", path, Some(A), &headers, body.as_bytes());
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn get(world: &World, path: &str) -> Answer {
    world.get(path, Some(A))
}

#[track_caller]
fn ids(page: &Value) -> Vec<String> {
    let data = page["data"].as_array().unwrap_or_else(|| panic!("{page}"));
    data.iter()
        .map(|one| one["id"].as_str().unwrap().to_owned())
        .collect()
}

/// Three payments, each given back in two parts; all refunds, the newest first.
fn given_back(world: &World) -> Vec<Value> {
    let sale = "amount=5000&currency=usd&payment_method=pm_card_visa&confirm=true";
    let payments: Vec<String> = (0..3)
        .map(|n| {
            told(world, "/v1/payment_intents", &format!("pay {n}"), sale)["id"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    let mut refunds = Vec::new();
    for part in 0..2 {
        for payment in &payments {
            let body = format!("payment_intent={payment}&amount={}", 100 + 2 * part);
            refunds.push(told(world, "/v1/refunds", &format!("{payment} {part}"), &body));
        }
    }
    refunds.reverse();
    refunds
}

#[test]
fn refunds_of_all_payments_are_listed_in_both_directions_and_found_by_their_id() {
    let world = World::start();
    assert_eq!(get(&world, "/v1/refunds").json()["data"], json!([]));
    let refunds = given_back(&world);
    let all: Vec<String> = refunds
        .iter()
        .map(|refund| refund["id"].as_str().unwrap().to_owned())
        .collect();
    let page = get(&world, "/v1/refunds?limit=100").json();
    assert_eq!(
        (&page["data"], &page["has_more"], &page["url"]),
        (&json!(refunds), &json!(false), &json!("/v1/refunds"))
    );
    for limit in 1..=7 {
        let (mut forwards, mut after) = (Vec::new(), String::new());
        loop {
            let page = get(&world, &format!("/v1/refunds?limit={limit}{after}")).json();
            forwards.extend(ids(&page));
            after = format!("&starting_after={}", forwards.last().unwrap());
            if page["has_more"] == false {
                break;
            }
        }
        assert_eq!(forwards, all, "{limit}");
        let mut backwards = vec![all[5].clone()];
        loop {
            let page = get(
                &world,
                &format!("/v1/refunds?limit={limit}&ending_before={}", backwards[0]),
            )
            .json();
            backwards.splice(0..0, ids(&page));
            if page["has_more"] == false {
                break;
            }
        }
        assert_eq!(backwards, all, "{limit}");
    }
    for refund in &refunds {
        let id = refund["id"].as_str().unwrap();
        for name in [id.to_owned(), id.replacen("re_", "ref_", 1)] {
            assert_eq!(
                &get(&world, &format!("/v1/refunds/{name}")).json(),
                refund,
                "{name}"
            );
        }
    }
    let shown = get(
        &world,
        &format!(
            "/v1/refunds/{}?expand[]=charge&expand[]=balance_transaction",
            all[0]
        ),
    )
    .json();
    assert_eq!(
        (
            &shown["charge"]["object"],
            &shown["balance_transaction"]["amount"]
        ),
        (&json!("charge"), &json!(-102))
    );
    // Those of one payment, as ever.
    let of_one = format!(
        "/v1/refunds?payment_intent={}",
        refunds[0]["payment_intent"].as_str().unwrap()
    );
    assert_eq!(
        ids(&get(&world, &of_one).json()),
        [all[0].clone(), all[3].clone()]
    );
    world.stop();
}

#[test]
fn what_is_no_refund_of_the_merchant_is_not_there() {
    let world = World::start();
    let refunds = given_back(&world);
    let id = refunds[0]["id"].as_str().unwrap();
    let none = "re_00000000000000000000000007";
    for (path, key, status, param) in [
        (format!("/v1/refunds/{id}"), "sk_test_b", 404, Some("id")),
        (format!("/v1/refunds/{none}"), A, 404, Some("id")),
        ("/v1/refunds/re_nonsense".to_owned(), A, 404, Some("id")),
        (
            format!("/v1/refunds?starting_after={id}"),
            "sk_test_b",
            400,
            Some("starting_after"),
        ),
        (
            format!("/v1/refunds?ending_before={none}"),
            A,
            400,
            Some("ending_before"),
        ),
        ("/v1/refunds?shoe=1".to_owned(), A, 400, Some("shoe")),
    ] {
        let refused = world.get(&path, Some(key));
        let error = &refused.json()["error"];
        assert_eq!(
            (refused.status, error["param"].as_str()),
            (status, param),
            "{path}: {error}"
        );
    }
    let others = world.get("/v1/refunds", Some("sk_test_b")).json();
    assert_eq!(others["data"], json!([]));
    world.stop();
}

/// The kinds of the events about refunds, the oldest first.
fn kinds(world: &World) -> Vec<String> {
    let page = get(world, "/v1/events?type=refund.*&limit=100").json();
    let events = page["data"].as_array().unwrap().iter().rev();
    events
        .map(|event| event["type"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_refund_that_reaches_nobody_ends_as_failed_once_nobody_can_send_it_again() {
    let clock = Arc::<StandingClock>::default();
    let world = World::start_at(
        Arc::clone(&clock) as _,
        |_| {},
        |options| {
            options.retry.tries_max = 1;
            // Behind an open breaker no attempt would be made.
            options.breaker.failures_max = u32::MAX;
        },
    );
    let sale = "amount=5000&currency=usd&payment_method=pm_card_visa&confirm=true";
    let intent = told(&world, "/v1/payment_intents", "pay", sale)["id"].clone();
    let body = format!("payment_intent={}&amount=100", intent.as_str().unwrap());
    world.provider_leaves(true);

    // Nobody knows the key of a request that had none.
    let keyless = world.send("POST", "/v1/refunds", Some(A), &[FORM], body.as_bytes());
    let keyless = (keyless.status, keyless.json()["status"].clone());
    assert_eq!(keyless, (200, json!("failed")));
    assert_eq!(kinds(&world), ["refund.created", "refund.failed"]);

    // Refunds of one millisecond have no order.
    clock.advance(Millis::from_s(1));
    let headers = [FORM, ("Idempotency-Key", "back")];
    let refused = world.send("POST", "/v1/refunds", Some(A), &headers, body.as_bytes());
    assert_eq!(refused.status, 503, "{refused:?}");
    let id = get(&world, "/v1/refunds").json()["data"][0]["id"].clone();
    let stands = || get(&world, &format!("/v1/refunds/{}", id.as_str().unwrap())).json()["status"].clone();
    assert_eq!(stands(), json!("pending"));
    clock.advance(Millis::from_s(24 * 3600));
    while stands() == json!("pending") {
        std::thread::yield_now();
    }
    assert_eq!(stands(), json!("failed"));
    assert_eq!(kinds(&world)[2..], ["refund.created", "refund.failed"]);
    // Even the key that is still known sends it no more.
    world.provider_leaves(false);
    let again = told(&world, "/v1/refunds", "back", &body);
    assert_eq!((&again["id"], &again["status"]), (&id, &json!("failed")));
    let intent = format!("/v1/charges?payment_intent={}", intent.as_str().unwrap());
    assert_eq!(
        get(&world, &intent).json()["data"][0]["amount_refunded"],
        json!(0)
    );
    world.stop();
}
