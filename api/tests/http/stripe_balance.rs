//! What a merchant is owed, and what moved it, in Stripe's words.

use crate::world::{Answer, World};
use serde_json::{Value, json};

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

/// The available amounts by their currencies.
fn available(world: &World) -> Vec<(String, i64)> {
    let balance = get(world, "/v1/balance").json();
    assert_eq!(
        (&balance["object"], &balance["livemode"]),
        (&json!("balance"), &json!(false))
    );
    let amounts = |of: &str| -> Vec<(String, i64)> {
        let all = balance[of].as_array().unwrap().iter();
        all.map(|one| {
            assert_eq!(one["source_types"], json!({"card": one["amount"]}));
            (
                one["currency"].as_str().unwrap().to_owned(),
                one["amount"].as_i64().unwrap(),
            )
        })
        .collect()
    };
    assert!(amounts("pending").iter().all(|pending| pending.1 == 0));
    amounts("available")
}

#[test]
fn the_balance_is_what_the_transactions_come_to() {
    let world = World::start();
    assert_eq!(available(&world), []);
    let pay = |key: &str, amount: u32, currency: &str| {
        let body = format!("amount={amount}&currency={currency}&payment_method=pm_card_visa&confirm=true");
        told(&world, "/v1/payment_intents", key, &body)
    };
    let (first, second) = (pay("1", 10_000, "usd"), pay("2", 5_000, "eur"));
    let held = "amount=700&currency=usd&payment_method=pm_card_visa&confirm=true&capture_method=manual";
    let held = told(&world, "/v1/payment_intents", "held", held);
    let body = format!("payment_intent={}&amount=2500", first["id"].as_str().unwrap());
    let refund = told(&world, "/v1/refunds", "back", &body);
    let mut sums = [("eur", 0), ("usd", 0)];
    let mut moved = Vec::new();
    for (path, id) in [
        ("charges", &first["latest_charge"]),
        ("charges", &second["latest_charge"]),
        ("refunds", &refund["id"]),
    ] {
        let path = format!("/v1/{path}/{}?expand[]=balance_transaction", id.as_str().unwrap());
        let shown = get(&world, &path).json()["balance_transaction"].take();
        let id = shown["id"].as_str().unwrap().to_owned();
        let read = get(&world, &format!("/v1/balance_transactions/{id}"));
        assert_eq!(read.json(), shown, "the same by itself");
        for sum in &mut sums {
            if shown["currency"] == sum.0 {
                sum.1 += shown["net"].as_i64().unwrap();
            }
        }
        moved.push((shown["type"].clone(), shown["amount"].clone()));
    }
    assert_eq!(
        moved,
        [
            (json!("charge"), json!(10_000)),
            (json!("charge"), json!(5_000)),
            (json!("refund"), json!(-2_500))
        ]
    );
    let owed: Vec<(String, i64)> = sums.map(|(currency, sum)| (currency.to_owned(), sum)).into();
    let mut shown = available(&world);
    shown.sort();
    assert_eq!(shown, owed, "what is held is not owed yet");
    // What was captured of nothing moved nothing.
    let nothing = held["id"].as_str().unwrap().replace("pi_", "txn_");
    for id in [nothing.as_str(), "txn_00000000000000000000000001", "txn_", "pi_x"] {
        let missing = get(&world, &format!("/v1/balance_transactions/{id}"));
        assert_eq!(
            (missing.status, &missing.json()["error"]["code"]),
            (404, &json!("resource_missing")),
            "{id}"
        );
    }
    world.stop();
}

#[test]
fn a_balance_is_shown_to_its_merchant_alone() {
    let world = World::start();
    let body = "amount=10000&currency=usd&payment_method=pm_card_visa&confirm=true";
    let paid = told(&world, "/v1/payment_intents", "1", body);
    let moved = paid["id"].as_str().unwrap().replace("pi_", "txn_");
    let path = format!("/v1/balance_transactions/{moved}");
    assert_eq!(get(&world, &path).status, 200);
    assert_eq!(world.get(&path, Some("sk_test_b")).status, 404);
    assert_eq!(
        world.get("/v1/balance", Some("sk_test_b")).json()["available"],
        json!([])
    );
    assert_eq!(world.get("/v1/balance", Some("ok_test_op")).status, 403);
    let strange = get(&world, "/v1/balance?currency=usd");
    assert_eq!(
        (strange.status, &strange.json()["error"]["param"]),
        (400, &json!("currency"))
    );
    world.stop();
}
