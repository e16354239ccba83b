//! Refunds over all payments: listed, and read one by one.

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
