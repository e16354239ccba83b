//! What was seen is seen again: every answer to a merchant says up to where, and a later request may ask for at least that.

use crate::world::{Answer, World};
use serde_json::json;

const A: &str = "sk_test_a";
const HEADER: &str = "florin-consistency-token";
const JSON: (&str, &str) = ("Content-Type", "application/json");

fn token(answer: &Answer) -> (u64, u64) {
    let text = answer.header(HEADER).expect("a token");
    let (shard, seq) = text.split_once('-').unwrap();
    (shard.parse().unwrap(), seq.parse().unwrap())
}

fn pay(world: &World, key: &str, with: Option<&str>) -> Answer {
    let body = json!({"amount": 1000, "currency": "USD", "payment_method_id": "pm_card_visa"}).to_string();
    let mut headers = vec![JSON, ("Idempotency-Key", key)];
    headers.extend(with.map(|token| ("Florin-Consistency-Token", token)));
    world.send("POST", "/v1/payments", Some(A), &headers, body.as_bytes())
}

fn read(world: &World, path: &str, tokens: &[&str]) -> Answer {
    let headers: Vec<_> = tokens
        .iter()
        .map(|token| ("Florin-Consistency-Token", *token))
        .collect();
    world.send("GET", path, Some(A), &headers, b"")
}

#[test]
fn cons_10_every_answer_to_a_merchant_has_a_token_and_what_it_covers_is_read_at_once() {
    let world = World::start();
    let mut last = token(&read(&world, "/v1/payments", &[]));
    for n in 0..50 {
        let paid = pay(&world, &format!("k{n}"), None);
        assert_eq!(paid.status, 200);
        let seen = token(&paid);
        assert!(
            seen.0 == last.0 && seen.1 >= last.1 + 2,
            "two commits more: {last:?} {seen:?}"
        );
        last = seen;
        let id = paid.json()["id"].as_str().unwrap().to_owned();
        let text = format!("{}-{}", seen.0, seen.1);
        for path in [
            "/v1/payments?limit=1",
            "/v1/payment_intents?limit=1",
            "/v1/charges?limit=1",
        ] {
            let listed = read(&world, path, &[&text]);
            let newest = listed.json()["data"][0]["id"].as_str().unwrap().to_owned();
            assert_eq!(
                newest.split_once('_').unwrap().1,
                id.split_once('_').unwrap().1,
                "{path}"
            );
            assert!(token(&listed) >= seen);
        }
        let one = read(&world, &format!("/v1/payments/{id}"), &[&text]);
        let sequence: u64 = one.header("florin-sequence").unwrap().parse().unwrap();
        assert!(sequence <= seen.1, "the answer covers what it shows");
    }
    for refused in [
        read(&world, "/v1/payments/pay_00000000000000000000000001", &[]),
        pay(&world, "k0", None),
        world.send(
            "POST",
            "/v1/payments",
            Some(A),
            &[JSON, ("Idempotency-Key", "x")],
            b"{",
        ),
    ] {
        assert!(token(&refused) >= last, "{}", refused.status);
    }
    assert_eq!(
        world.send("GET", "/v1/payments", None, &[], b"").header(HEADER),
        None
    );
    let operator = world.send("GET", "/v1/ops/merchants", Some("ok_test_op"), &[], b"");
    assert_eq!((operator.status, operator.header(HEADER)), (200, None));
    world.stop();
}

#[test]
fn whoever_has_seen_more_than_is_here_is_told_to_wait_and_nothing_is_begun() {
    let world = World::start();
    let (shard, seq) = token(&pay(&world, "first", None));
    let beyond = format!("{shard}-{}", seq + 1_000);
    for answer in [
        read(&world, "/v1/payments", &[&beyond]),
        pay(&world, "second", Some(&beyond)),
    ] {
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
        let error = &answer.json()["error"];
        assert_eq!(
            (&error["code"], &error["param"]),
            (&json!("node_behind"), &json!("Florin-Consistency-Token"))
        );
    }
    assert_eq!(world.charges(), 1);
    let there = format!("{shard}-{seq}");
    assert_eq!(pay(&world, "second", Some(&there)).status, 200);
    assert_eq!(world.charges(), 2);
    world.stop();
}

#[test]
fn what_is_no_token_is_refused_by_name() {
    let world = World::start();
    let (shard, seq) = token(&pay(&world, "first", None));
    let good = format!("{shard}-{seq}");
    for wrong in [
        "",
        "x",
        "1",
        "0-x",
        "60000-1",
        "0-01",
        "0-18446744073709551616",
        "é",
    ] {
        let answer = read(&world, "/v1/payments", &[wrong]);
        let error = &answer.json()["error"];
        assert_eq!(
            (answer.status, &error["code"], &error["param"]),
            (
                400,
                &json!("parameter_invalid"),
                &json!("Florin-Consistency-Token")
            ),
            "{wrong:?}"
        );
    }
    assert_eq!(read(&world, "/v1/payments", &[&good, &good]).status, 400);
    // Only those with a key are told anything.
    let headers = [("Florin-Consistency-Token", "x")];
    assert_eq!(
        world
            .send("GET", "/v1/payments", Some("sk_test_no"), &headers, b"")
            .status,
        401
    );
    world.stop();
}
