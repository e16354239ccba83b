//! What operators stop, and what goes on all the same.

use crate::world::{Answer, World};
use crate::{VISA, pay};
use florin_domain::ids::ShardId;
use serde_json::{Value, json};

const OPERATOR: &str = "ok_test_op";
const MERCHANT_A: &str = "mer_00000000000000000000000001";
const OPERATOR_ID: &str = "key_00000000000000000000000003";
const JSON: (&str, &str) = ("Content-Type", "application/json");

fn order(world: &World, path: &str, body: &str) -> Answer {
    let headers: &[(&str, &str)] = if body.is_empty() { &[] } else { &[JSON] };
    let path = format!("/v1/ops/{path}");
    world.send("POST", &path, Some(OPERATOR), headers, body.as_bytes())
}

#[track_caller]
fn ordered(world: &World, path: &str, body: &str) -> Value {
    let answer = order(world, path, body);
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.json()
}

fn ask(world: &World, key: &str, path: &str, body: &str) -> Answer {
    let headers = [("Idempotency-Key", key), JSON];
    world.send("POST", path, Some("sk_test_a"), &headers, body.as_bytes())
}

#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!(
        (answer.status, answer.error("code").as_str()),
        (status, code),
        "{answer:?}"
    );
}

/// The path of a new authorization.
#[track_caller]
fn authorized(world: &World, key: &str) -> String {
    let body = VISA.replace('}', r#","capture_method":"manual"}"#);
    let answer = pay(world, key, &body);
    assert_eq!(answer.json()["status"], "authorized", "{answer:?}");
    format!("/v1/payments/{}", answer.json()["id"].as_str().unwrap())
}

#[test]
fn only_operators_give_orders() {
    let world = World::start();
    let orders = [
        "tree/scrub/kill".to_owned(),
        "providers/fake/disable".to_owned(),
        "providers/fake/enable".to_owned(),
        format!("merchants/{MERCHANT_A}/freeze"),
        format!("merchants/{MERCHANT_A}/unfreeze"),
        "read_only".to_owned(),
    ];
    let body = br#"{"enabled":true,"reason":"mine now"}"#;
    for path in orders.map(|path| format!("/v1/ops/{path}")) {
        let merchant = world.send("POST", &path, Some("sk_test_a"), &[JSON], body);
        refused(&merchant, 403, "operator_key_required");
        refused(
            &world.send("POST", &path, None, &[JSON], body),
            401,
            "api_key_invalid",
        );
        refused(&world.get(&path, Some(OPERATOR)), 405, "method_not_allowed");
        let query = format!("{path}?force=1");
        refused(
            &world.send("POST", &query, Some(OPERATOR), &[], b""),
            400,
            "parameter_unknown",
        );
    }
    refused(
        &world.get("/v1/ops/merchants", Some("sk_test_a")),
        403,
        "operator_key_required",
    );
    assert_eq!(pay(&world, "k", VISA).status, 200);
    world.stop();
}

#[test]
fn an_actor_is_killed_by_the_name_that_the_tree_shows() {
    let world = World::start();
    let tree = || world.get("/v1/ops/tree", Some(OPERATOR)).json();
    let seat = |tree: &Value, id: &str| {
        let seats = tree["children"].as_array().unwrap();
        seats.iter().find(|seat| seat["id"] == id).unwrap().clone()
    };
    assert_eq!(tree()["id"], "root:florin");
    for id in ["provider:fake", "risk:0", "idempotency:0", "payment_guardian:1"] {
        let before = seat(&tree(), id);
        assert_eq!(before["restarts"], 0);
        let killed = ordered(&world, &format!("tree/{id}/kill"), r#"{"reason":"a drill"}"#);
        assert!(killed["seq"].is_u64());
        let expected = json!({
            "object": "operator_action", "action": "actor.kill", "target": id, "operator": OPERATOR_ID,
            "reason": "a drill", "seq": killed["seq"],
        });
        assert_eq!(killed, expected);
    }
    let killed = ordered(&world, "tree/scrub/kill", "");
    assert_eq!(killed["reason"], Value::Null);
    for (id, code, status) in [
        ("journal_writer", "actor_not_restartable", 409),
        ("account_shard:0", "actor_not_restartable", 409),
        ("root", "actor_not_restartable", 409),
        ("nobody", "resource_missing", 404),
        ("payment:pay_00000000000000000000000001", "resource_missing", 404),
    ] {
        refused(&order(&world, &format!("tree/{id}/kill"), ""), status, code);
    }
    world.stop();
}

#[test]
fn a_disabled_provider_gets_no_new_charges_and_finishes_what_it_has() {
    let world = World::start();
    let paths = ["a", "b", "c"].map(|key| authorized(&world, key));
    let sold = pay(&world, "sold", VISA).json();
    let charges = world.charges();
    ordered(&world, "providers/fake/disable", r#"{"reason":"it hangs"}"#);
    let tree = world.get("/v1/ops/tree", Some(OPERATOR)).json();
    assert_eq!(tree["providers_disabled"], json!(["fake"]));
    let none = pay(&world, "new", VISA);
    refused(&none, 503, "no_provider_available");
    assert!(none.header("retry-after").is_some());
    assert_eq!(world.charges(), charges);
    let captured = ask(&world, "ka", &format!("{}/capture", paths[0]), "{}");
    assert_eq!(captured.json()["status"], "succeeded", "{captured:?}");
    let voided = ask(&world, "kb", &format!("{}/void", paths[1]), "{}");
    assert_eq!(voided.json()["status"], "voided", "{voided:?}");
    let path = format!("/v1/payments/{}/refunds", sold["id"].as_str().unwrap());
    let refund = ask(&world, "kc", &path, "{}");
    assert_eq!(refund.json()["status"], "succeeded", "{refund:?}");

    ordered(&world, "providers/fake/enable", "");
    let again = pay(&world, "new", VISA);
    assert_eq!(again.status, 200, "the same key: {again:?}");
    refused(
        &order(&world, "providers/other/disable", ""),
        404,
        "resource_missing",
    );
    refused(
        &order(&world, "providers/NOT%20ONE/disable", ""),
        404,
        "resource_missing",
    );
    world.stop();
}

#[test]
fn a_frozen_merchant_takes_no_money_and_gives_it_back() {
    let world = World::start();
    let paths = ["a", "b", "c"].map(|key| authorized(&world, key));
    let sold = pay(&world, "sold", VISA).json();
    let charges = world.charges();
    let freeze = format!("merchants/{MERCHANT_A}/freeze");
    ordered(&world, &freeze, r#"{"reason":"a hunch"}"#);
    ordered(&world, &freeze, r#"{"reason":"chargebacks"}"#);
    for answer in [
        pay(&world, "new", VISA),
        pay(&world, "sold", VISA),
        ask(&world, "ka", &format!("{}/capture", paths[0]), "{}"),
        ask(&world, "kd", &format!("{}/confirm", paths[0]), "{}"),
        ask(
            &world,
            "ke",
            &format!("{}/confirm", paths[0]),
            r#"{"payment_method_id":"pm_card_visa"}"#,
        ),
    ] {
        refused(&answer, 403, "merchant_frozen");
    }
    assert_eq!(world.charges(), charges);
    let voided = ask(&world, "kb", &format!("{}/void", paths[1]), "{}");
    assert_eq!(voided.json()["status"], "voided", "{voided:?}");
    let sold_path = format!("/v1/payments/{}", sold["id"].as_str().unwrap());
    let refund = ask(&world, "kc", &format!("{sold_path}/refunds"), "{}");
    assert_eq!(refund.json()["status"], "succeeded", "{refund:?}");
    for path in [sold_path.as_str(), "/v1/payments", "/v1/ledger/accounts"] {
        assert_eq!(world.get(path, Some("sk_test_a")).status, 200, "{path}");
    }
    let other = world.send(
        "POST",
        "/v1/payments",
        Some("sk_test_b"),
        &[("Idempotency-Key", "b"), JSON],
        VISA.as_bytes(),
    );
    assert_eq!(other.status, 200, "another merchant");

    let listed = world.get("/v1/ops/merchants", Some(OPERATOR)).json();
    let expected = json!([
        {"object": "merchant", "id": "mer_00000000000000000000000002", "name": "b", "frozen": false, "reason": null,
         "frozen_by": null},
        {"object": "merchant", "id": MERCHANT_A, "name": "a", "frozen": true, "reason": "chargebacks",
         "frozen_by": OPERATOR_ID},
    ]);
    assert_eq!((&listed["data"], &listed["has_more"]), (&expected, &json!(false)));
    let page = world.get("/v1/ops/merchants?limit=1", Some(OPERATOR)).json();
    assert_eq!(
        (&page["data"][0], &page["has_more"]),
        (&expected[0], &json!(true))
    );
    let next = "/v1/ops/merchants?starting_after=mer_00000000000000000000000002";
    assert_eq!(
        world.get(next, Some(OPERATOR)).json()["data"],
        json!([expected[1]])
    );
    let nowhere = "/v1/ops/merchants?starting_after=mer_00000000000000000000000009";
    refused(&world.get(nowhere, Some(OPERATOR)), 400, "parameter_invalid");

    ordered(
        &world,
        &format!("merchants/{MERCHANT_A}/unfreeze"),
        r#"{"reason":"cleared"}"#,
    );
    let captured = ask(&world, "ka", &format!("{}/capture", paths[0]), "{}");
    assert_eq!(
        captured.json()["status"],
        "succeeded",
        "the same key: {captured:?}"
    );
    assert_eq!(pay(&world, "new", VISA).status, 200);
    assert_eq!(
        pay(&world, "sold", VISA).json()["id"],
        sold["id"],
        "its first answer"
    );
    let stranger = "merchants/mer_00000000000000000000000009/freeze";
    refused(
        &order(&world, stranger, r#"{"reason":"x"}"#),
        404,
        "resource_missing",
    );
    world.stop();
}

#[test]
fn in_read_only_mode_merchants_read_and_operators_act() {
    let world = World::start();
    let path = authorized(&world, "a");
    let charges = world.charges();
    ordered(&world, "read_only", r#"{"enabled":true,"reason":"moving house"}"#);
    for answer in [
        pay(&world, "new", VISA),
        pay(&world, "a", VISA),
        ask(&world, "ka", &format!("{path}/capture"), "{}"),
        ask(&world, "kb", &format!("{path}/void"), "{}"),
        ask(&world, "kc", &format!("{path}/refunds"), "{}"),
        ask(&world, "kd", &format!("{path}/confirm"), "{}"),
    ] {
        refused(&answer, 503, "read_only");
        assert_eq!(answer.header("retry-after"), Some("30"));
    }
    assert_eq!(world.charges(), charges);
    for read in [path.as_str(), "/v1/payments", "/v1/ledger/accounts"] {
        assert_eq!(world.get(read, Some("sk_test_a")).status, 200, "{read}");
    }
    assert_eq!(
        world.get("/readyz", None).status,
        200,
        "reads must still come here"
    );
    refused(
        &world.send("POST", "/v1/payments", None, &[JSON], b"{}"),
        401,
        "api_key_invalid",
    );
    assert_eq!(
        world.get("/v1/ops/tree", Some(OPERATOR)).json()["read_only"],
        true
    );
    ordered(
        &world,
        &format!("merchants/{MERCHANT_A}/freeze"),
        r#"{"reason":"as well"}"#,
    );
    ordered(
        &world,
        &format!("merchants/{MERCHANT_A}/unfreeze"),
        r#"{"reason":"not after all"}"#,
    );
    ordered(&world, "read_only", r#"{"enabled":false,"reason":"moved"}"#);
    assert_eq!(
        world.get("/v1/ops/tree", Some(OPERATOR)).json()["read_only"],
        false
    );
    let captured = ask(&world, "ka", &format!("{path}/capture"), "{}");
    assert_eq!(
        captured.json()["status"],
        "succeeded",
        "the same key: {captured:?}"
    );
    world.stop();
}

#[test]
fn orders_are_read_strictly() {
    let world = World::start();
    let freeze = format!("merchants/{MERCHANT_A}/freeze");
    let long = json!({"reason": "x".repeat(501)}).to_string();
    let cases = [
        (freeze.as_str(), "", "parameter_missing"),
        (&freeze, "{}", "parameter_missing"),
        (&freeze, r#"{"reason":"  "}"#, "parameter_invalid"),
        (&freeze, &long, "parameter_invalid"),
        (&freeze, r#"{"reason":7}"#, "parameter_invalid"),
        (&freeze, r#"{"reason":"x","force":true}"#, "parameter_unknown"),
        ("read_only", r#"{"enabled":true}"#, "parameter_missing"),
        ("read_only", r#"{"reason":"x"}"#, "parameter_missing"),
        (
            "read_only",
            r#"{"enabled":"yes","reason":"x"}"#,
            "parameter_invalid",
        ),
        ("providers/fake/disable", r#"{"reason":""}"#, "parameter_invalid"),
        ("tree/scrub/kill", "[]", "parameter_invalid"),
        ("tree/scrub/kill", "{", "body_invalid"),
    ];
    for (path, body, code) in cases {
        let answer = order(&world, path, body);
        assert_eq!(
            (answer.status, answer.error("code").as_str()),
            (400, code),
            "{path} {body}"
        );
    }
    assert_eq!(pay(&world, "k", VISA).status, 200, "nothing was done");
    let whole = json!({"reason": "é".repeat(500)}).to_string();
    ordered(&world, &freeze, &whole);
    world.stop();
}

#[test]
fn a_node_that_takes_no_new_work_says_why_to_load_balancers() {
    let world = World::start();
    let context = world.platform.context();
    let ready = || {
        let answer = world.get("/readyz", None);
        (answer.status, answer.json()["reason"].as_str().map(str::to_owned))
    };
    assert_eq!(ready(), (200, None));
    context.admission.set_no_room(ShardId::FIRST, true);
    assert_eq!(ready(), (503, Some("journal_full".to_owned())));
    assert_eq!(world.get("/readyz", None).header("retry-after"), Some("1"));
    assert_eq!(pay(&world, "k", VISA).status, 503);
    context.admission.set_no_room(ShardId::FIRST, false);
    assert_eq!(ready(), (200, None));
    context.lag.set_views(context.admission.caps().index_lag_max);
    assert_eq!(ready(), (200, None), "as far behind as it may be");
    // The view itself says as often as it looks that it is not behind.
    let behind = (503, Some("indexes_behind".to_owned()));
    let is_seen = (0..1_000).any(|_| {
        context.lag.set_views(context.admission.caps().index_lag_max + 1);
        ready() == behind
    });
    assert!(is_seen);
    context.lag.set_views(0);
    assert_eq!(ready(), (200, None));
    assert_eq!(world.get("/healthz", None).status, 200);
    context.admission.drain();
    assert_eq!(ready(), (503, Some("draining".to_owned())));
    world.stop();
}
