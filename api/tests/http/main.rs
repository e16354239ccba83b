//! The API over real sockets, in front of a whole platform in memory.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod agreed;
mod alerts;
mod bins;
mod bodies;
mod checkout;
mod connections;
mod consistency_token;
mod credentials;
mod events;
mod fake_provider;
mod health;
mod journal;
mod keys;
mod limits;
mod lists;
mod notices;
mod openapi;
mod operators;
mod ownership;
mod payment_links;
mod routing;
mod stages;
mod stand_ins;
mod states;
mod still;
mod stored_answers;
mod stores;
mod stripe;
mod stripe_balance;
mod stripe_drafts;
mod stripe_events;
mod stripe_listed;
mod stripe_moved;
mod stripe_refunds;
mod stripe_refusals;
mod stripe_search;
mod unresolved;
mod vault;
mod versions;
mod webhooks;
mod world;

use serde_json::{Value, json};
use std::collections::HashSet;
use world::{Answer, World};

const VISA: &str = r#"{"amount":10000,"currency":"usd","payment_method_id":"pm_card_visa"}"#;

fn pay(world: &World, key: &str, body: &str) -> Answer {
    let headers = [("Idempotency-Key", key), ("Content-Type", "application/json")];
    world.send(
        "POST",
        "/v1/payments",
        Some("sk_test_a"),
        &headers,
        body.as_bytes(),
    )
}

fn with_method(method: &str) -> String {
    VISA.replace("pm_card_visa", method)
}

#[test]
fn a_payment_is_made_once_and_replayed() {
    let world = World::start();
    let first = pay(&world, "k1", VISA);
    assert_eq!(first.status, 200, "{first:?}");
    let payment = first.json();
    assert_eq!(payment["status"], "succeeded");
    assert_eq!((&payment["fee"], &payment["net"]), (&json!(320), &json!(9680)));
    assert_eq!(payment["currency"], "USD");
    assert_eq!(first.header("idempotent-replayed"), None);
    let again = pay(&world, "k1", &VISA.replace(':', " : "));
    assert_eq!((again.status, &again.body), (200, &first.body), "byte for byte");
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    let other = pay(&world, "k1", &VISA.replace("10000", "10001"));
    assert_eq!(other.status, 422);
    assert_eq!(other.error("type"), "idempotency_error");
    assert_eq!(other.error("code"), "idempotency_key_reused");
    assert_eq!(world.charges(), 1);
    world.stop();
}

#[test]
fn what_is_refused_early_consumes_no_key() {
    let world = World::start();
    let headers = [("Content-Type", "application/json")];
    let missing = world.send(
        "POST",
        "/v1/payments",
        Some("sk_test_a"),
        &headers,
        VISA.as_bytes(),
    );
    assert_eq!(missing.status, 400);
    assert_eq!(missing.error("message"), "Idempotency-Key header required");
    assert_eq!(missing.error("param"), "Idempotency-Key");
    assert_eq!(missing.error("code"), "idempotency_key_required");
    let invalid = pay(&world, "k", &VISA.replace("10000", "1.5"));
    assert_eq!(
        (invalid.status, invalid.error("param")),
        (400, "amount".to_owned())
    );
    let form = [
        ("Idempotency-Key", "k"),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ];
    let media = world.send("POST", "/v1/payments", Some("sk_test_a"), &form, b"amount=1");
    assert_eq!(media.status, 415);
    let large = format!(r#"{{"description":"{}"}}"#, "x".repeat(300 * 1024));
    let too_large = pay(&world, "k", &large);
    assert_eq!(
        (too_large.status, too_large.error("code")),
        (413, "body_too_large".to_owned())
    );
    assert_eq!(pay(&world, "k", VISA).status, 200, "the key is still free");
    assert_eq!(world.charges(), 1);
    world.stop();
}

#[test]
fn declines_and_unresolved_payments_have_their_own_answers() {
    let world = World::start();
    let declined = pay(
        &world,
        "d",
        &with_method("pm_card_visa_chargeDeclinedInsufficientFunds"),
    );
    assert_eq!(declined.status, 402);
    assert_eq!(declined.error("type"), "card_error");
    assert_eq!(declined.error("code"), "card_declined");
    assert_eq!(declined.error("decline_code"), "insufficient_funds");
    let shown = world
        .get(
            &format!("/v1/payments/{}", declined.error("payment_id")),
            Some("sk_test_a"),
        )
        .json();
    assert_eq!(
        (&shown["status"], &shown["failure_code"]),
        (&json!("failed"), &json!("card_declined"))
    );
    let again = pay(
        &world,
        "d",
        &with_method("pm_card_visa_chargeDeclinedInsufficientFunds"),
    );
    assert_eq!(
        (again.status, again.header("idempotent-replayed")),
        (402, Some("true"))
    );
    let unknown = pay(&world, "u", &with_method("pm_card_createDispute"));
    assert_eq!(unknown.status, 202, "{unknown:?}");
    let body = unknown.json();
    assert_eq!(body["status"], "processing");
    let location = format!("/v1/payments/{}", body["id"].as_str().unwrap());
    assert_eq!(unknown.header("location"), Some(location.as_str()));
    assert_eq!(unknown.header("idempotent-replayed"), None);
    world.stop();
}

#[test]
fn nobody_sees_what_is_not_theirs() {
    let world = World::start();
    let id = pay(&world, "k", VISA).json()["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/payments/{id}");
    let account = world.get("/v1/ledger/accounts", Some("sk_test_a")).json()["data"][0]["id"].clone();
    let account = format!("/v1/ledger/accounts/{}", account.as_str().unwrap());
    assert_eq!(world.get(&path, Some("sk_test_a")).status, 200);
    assert_eq!(world.get(&account, Some("sk_test_a")).json()["balance"], 9680);
    for (path, key, status) in [
        (path.as_str(), "sk_test_b", 404),
        (&format!("{path}/history"), "sk_test_b", 404),
        (&account, "sk_test_b", 404),
        (&format!("{account}/entries"), "sk_test_b", 404),
        ("/v1/ledger/accounts/fee_revenue:USD", "sk_test_a", 404),
        ("/v1/ledger/accounts/fee_revenue:USD", "ok_test_op", 200),
        ("/v1/ledger/accounts/fee_revenue:EUR", "ok_test_op", 404),
        ("/v1/payments/pay_nonsense", "sk_test_a", 404),
        ("/v1/ledger/trial_balance", "sk_test_a", 403),
        ("/v1/ops/tree", "sk_test_a", 403),
        ("/v1/payments", "ok_test_op", 403),
        ("/v1/ledger/trial_balance", "ok_test_op", 200),
        ("/v1/ops/tree?payments_max=0", "ok_test_op", 200),
    ] {
        assert_eq!(world.get(path, Some(key)).status, status, "{path} with {key}");
    }
    assert_eq!(
        world.get("/v1/payments", Some("sk_test_b")).json()["data"],
        json!([])
    );
    let refused: HashSet<Vec<u8>> = [
        None,
        Some("sk_test_nobody"),
        Some("sk_live_a"),
        Some("sk_test_florin_dev"),
        Some(""),
    ]
    .into_iter()
    .map(|key| {
        let answer = world.get(&path, key);
        assert_eq!(answer.status, 401, "{key:?}");
        answer.body
    })
    .collect();
    assert_eq!(refused.len(), 1, "one body for all reasons");
    world.stop();
}

#[test]
fn lists_and_histories_are_paged_and_complete() {
    let world = World::start();
    let ids: Vec<Value> = (0..3)
        .map(|n| pay(&world, &format!("k{n}"), VISA).json()["id"].clone())
        .collect();
    let page = world.get("/v1/payments?limit=2", Some("sk_test_a")).json();
    assert_eq!(
        (&page["object"], &page["has_more"]),
        (&json!("list"), &json!(true))
    );
    let first: Vec<Value> = page["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["id"].clone())
        .collect();
    let rest = world.get(
        &format!("/v1/payments?starting_after={}", first[1].as_str().unwrap()),
        Some("sk_test_a"),
    );
    let rest = rest.json();
    assert_eq!(rest["has_more"], false);
    let mut all: HashSet<String> = first.iter().map(ToString::to_string).collect();
    all.extend(
        rest["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| p["id"].to_string()),
    );
    assert_eq!(all, ids.iter().map(ToString::to_string).collect());
    let unknown = world.get("/v1/payments?state=succeeded", Some("sk_test_a"));
    assert_eq!(
        (unknown.status, unknown.error("param")),
        (400, "state".to_owned())
    );

    let history = world.get(
        &format!("/v1/payments/{}/history", ids[0].as_str().unwrap()),
        Some("sk_test_a"),
    );
    let text = String::from_utf8(history.body.clone()).unwrap();
    assert!(!text.contains("k0\"") && !text.contains("idempotency"), "{text}");
    let rows = history.json()["data"].as_array().unwrap().clone();
    let kinds: Vec<&str> = rows.iter().map(|row| row["type"].as_str().unwrap()).collect();
    assert_eq!(kinds.first(), Some(&"payment.created"), "{kinds:?}");
    assert!(
        kinds.contains(&"attempt.planned") && kinds.contains(&"attempt.succeeded"),
        "{kinds:?}"
    );
    assert_eq!(kinds.last(), Some(&"ledger.entry_posted"));
    let planned = rows.iter().find(|row| row["type"] == "attempt.planned").unwrap();
    assert_eq!(planned["provider"], "fake");
    assert_eq!(planned["provider_key"].as_str().unwrap().len(), 8);
    let lines = rows.last().unwrap()["lines"].as_array().unwrap();
    let sum = |side: &str| -> i64 {
        lines
            .iter()
            .filter(|l| l["side"] == side)
            .map(|l| l["amount"].as_i64().unwrap())
            .sum()
    };
    assert_eq!((sum("debit"), sum("credit")), (10_000, 10_000));
    for line in lines {
        let own = line["account"].as_str().unwrap().starts_with("merchant_payable:");
        assert_eq!(line["balance_after"].is_null(), !own, "{line}");
    }

    let account = world.get("/v1/ledger/accounts", Some("sk_test_a")).json()["data"][0]["id"].clone();
    let entries = format!("/v1/ledger/accounts/{}/entries", account.as_str().unwrap());
    let page = world.get(&format!("{entries}?limit=2"), Some("sk_test_a")).json();
    assert_eq!(page["has_more"], true, "{page}");
    assert_eq!(page["data"][0]["balance_after"], 3 * 9680);
    let balance = world.get("/v1/ledger/trial_balance", Some("ok_test_op")).json();
    assert_eq!(
        (&balance["data"][0]["debits"], &balance["data"][0]["difference"]),
        (&json!(30_000), &json!(0))
    );
    world.stop();
}

#[test]
fn test_money_and_live_money_stand_on_accounts_of_their_own() {
    let world = World::start();
    assert_eq!(pay(&world, "k", VISA).status, 200);
    world.sell_live(2_000);
    let accounts = |key| world.get("/v1/ledger/accounts", Some(key)).json()["data"].clone();
    let payable = |key| {
        let own = accounts(key).as_array().unwrap().clone();
        assert_eq!(own.len(), 1, "{own:?}");
        own[0].clone()
    };
    let (test, live) = (payable("sk_test_a"), payable("sk_live_real_a"));
    assert_eq!(
        (&test["livemode"], &test["balance"]),
        (&json!(false), &json!(9_680))
    );
    assert_eq!(
        (&live["livemode"], &live["balance"]),
        (&json!(true), &json!(1_912))
    );
    let id = |account: &Value| account["id"].as_str().unwrap().to_owned();
    assert_eq!(id(&live), format!("{}:live", id(&test)));
    for (id, own, other) in [
        (id(&test), "sk_test_a", "sk_live_real_a"),
        (id(&live), "sk_live_real_a", "sk_test_a"),
    ] {
        for path in [
            format!("/v1/ledger/accounts/{id}"),
            format!("/v1/ledger/accounts/{id}/entries"),
        ] {
            assert_eq!(world.get(&path, Some(other)).status, 404, "{path} with {other}");
            for key in [own, "ok_test_op"] {
                assert_eq!(world.get(&path, Some(key)).status, 200, "{path} with {key}");
            }
        }
    }
    let entries = format!("/v1/ledger/accounts/{}/entries", id(&live));
    let entries = world.get(&entries, Some("sk_live_real_a")).json()["data"].clone();
    assert_eq!(
        (entries.as_array().unwrap().len(), &entries[0]["balance_after"]),
        (1, &json!(1_912))
    );
    let all = accounts("ok_test_op");
    let modes = all.as_array().unwrap().iter().map(|a| a["livemode"] == true);
    let (live, test): (Vec<bool>, Vec<bool>) = modes.partition(|live| *live);
    assert_eq!((live.len(), test.len()), (3, 3), "{all}");
    let row = |livemode, minor| json!({"currency": "USD", "livemode": livemode, "debits": minor, "credits": minor, "difference": 0});
    assert_eq!(
        world.get("/v1/ledger/trial_balance", Some("ok_test_op")).json()["data"],
        json!([row(false, 10_000), row(true, 2_000)])
    );
    world.stop();
}

#[test]
fn every_answer_has_a_name_of_its_own_and_every_refusal_a_body() {
    let world = World::start();
    let mut names = HashSet::new();
    let mut check = |answer: Answer, status: u16| {
        assert_eq!(answer.status, status, "{answer:?}");
        let name = answer.header("request-id").unwrap().to_owned();
        assert!(name.starts_with("req_") && names.insert(name), "{answer:?}");
        answer
    };
    assert_eq!(check(world.get("/healthz", None), 200).json()["status"], "ok");
    assert_eq!(check(world.get("/readyz", None), 200).json()["status"], "ready");
    check(world.get("/metrics", None), 401);
    check(world.get("/metrics", Some("sk_test_a")), 403);
    assert_eq!(
        check(world.get("/metrics", Some("ok_test_op")), 200).body,
        b"florin_up 1\n"
    );
    assert_eq!(
        check(world.get("/nowhere", None), 404).error("code"),
        "route_unknown"
    );
    let wrong = check(
        world.send("DELETE", "/v1/payments", Some("sk_test_a"), &[], b""),
        405,
    );
    assert_eq!(wrong.header("allow"), Some("GET, HEAD, POST"));
    assert_eq!(wrong.error("code"), "method_not_allowed");
    assert_eq!(
        check(world.send("POST", "/healthz", None, &[], b""), 405).header("allow"),
        Some("GET, HEAD")
    );
    assert!(
        check(world.send("HEAD", "/healthz", None, &[], b""), 200)
            .body
            .is_empty()
    );
    check(world.get("/v1/payments", None), 401);
    check(pay(&world, "big", &"x".repeat(8 * 1024 * 1024)), 413);
    check(pay(&world, "k", VISA), 200);
    let problem = [("Accept", "application/problem+json")];
    let problem = check(world.send("GET", "/nowhere", None, &problem, b""), 404);
    assert_eq!(problem.header("content-type"), Some("application/problem+json"));
    assert_eq!(problem.json()["status"], 404);
    world.stop();
}

#[test]
fn a_slow_body_is_given_up_and_a_stopped_server_is_gone() {
    let world = World::start();
    let head = concat!(
        "POST /v1/payments HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer sk_test_a\r\nIdempotency-Key: k\r\n",
        "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    );
    let answer = world.raw(head.as_bytes());
    assert_eq!(answer.status, 408, "{answer:?}");
    assert_eq!(answer.error("code"), "body_timeout");
    let address = world.address();
    world.stop();
    assert!(std::net::TcpStream::connect(address).is_err());
}
