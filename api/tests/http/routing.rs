//! Routing rules over HTTP: who may see and change them, what is refused, and what a dry run says. The world has one provider, `fake`.

use crate::pay;
use crate::world::{Answer, World};
use serde_json::{Value, json};

const OPERATOR: &str = "ok_test_op";
const MERCHANT_A: &str = "mer_00000000000000000000000001";
const JSON: (&str, &str) = ("Content-Type", "application/json");

fn set(world: &World, program: &str, expected_version: u32) -> Answer {
    let body = json!({"program": program, "expected_version": expected_version, "reason": "a better price"});
    world.send(
        "PUT",
        "/v1/ops/routing",
        Some(OPERATOR),
        &[JSON],
        body.to_string().as_bytes(),
    )
}

fn evaluate(world: &World, body: &Value) -> Answer {
    let body = body.to_string();
    world.send(
        "POST",
        "/v1/ops/routing/evaluate",
        Some(OPERATOR),
        &[JSON],
        body.as_bytes(),
    )
}

#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str, param: &str) -> String {
    assert_eq!(
        (
            answer.status,
            answer.error("code").as_str(),
            answer.error("param").as_str()
        ),
        (status, code, param),
        "{answer:?}"
    );
    answer.error("message")
}

#[test]
fn rules_are_set_on_top_of_the_version_that_was_seen() {
    let world = World::start();
    let get = || world.get("/v1/ops/routing", Some(OPERATOR)).json();
    let first = get();
    assert_eq!((&first["version"], &first["program"]), (&json!(0), &json!("")));
    assert_eq!(first["providers"][0]["provider"], "fake");
    assert_eq!(first["set_by"], Value::Null);
    let program = "# all\nvisa: brand is visa -> fake\n";
    let answer = set(&world, program, 0);
    assert_eq!(answer.status, 200, "{answer:?}");
    let seen = get();
    assert_eq!(answer.json(), seen);
    assert_eq!((&seen["version"], &seen["program"]), (&json!(1), &json!(program)));
    assert_eq!(
        seen["rules"],
        json!([{"name": "visa", "line": 2, "condition": "brand is visa", "target": "fake"}])
    );
    assert_eq!(
        (&seen["set_by"], &seen["reason"], &seen["problem"]),
        (
            &json!("key_00000000000000000000000003"),
            &json!("a better price"),
            &Value::Null
        )
    );
    for stale in [0, 2, u32::MAX] {
        let message = refused(
            &set(&world, "", stale),
            409,
            "routing_version_stale",
            "expected_version",
        );
        assert_eq!(message, "The latest routing rules have version 1.");
    }
    assert_eq!(get(), seen, "a refusal changes nothing");
    assert_eq!(set(&world, "", 1).json()["version"], 2);
    assert_eq!(get()["rules"], json!([]));
    world.stop();
}

#[test]
fn only_operators_see_and_change_rules() {
    let world = World::start();
    let body = br#"{"program":"","expected_version":0,"reason":"mine"}"#;
    for (method, path) in [
        ("GET", "/v1/ops/routing"),
        ("PUT", "/v1/ops/routing"),
        ("POST", "/v1/ops/routing/evaluate"),
    ] {
        for (key, status) in [(Some("sk_test_a"), 403), (None, 401)] {
            let answer = world.send(method, path, key, &[JSON], body);
            assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        }
    }
    let posted = world.send("POST", "/v1/ops/routing", Some(OPERATOR), &[JSON], body);
    assert_eq!(
        (posted.status, posted.header("allow")),
        (405, Some("GET, HEAD, PUT"))
    );
    assert_eq!(world.get("/v1/ops/routing", Some(OPERATOR)).json()["version"], 0);
    world.stop();
}

#[test]
fn what_is_no_program_is_refused_with_its_place() {
    let world = World::start();
    let cases = [
        (
            "visa: brand is visa\n".to_owned(),
            "`program`, line 1, column 20: found the end of the line, expected `and`, `or` or `->`.",
        ),
        (
            "a: otherwise -> fake\nb: otherwise -> adyen".to_owned(),
            "`program`, line 2, column 17: the rule `b` names the provider `adyen`, which is not configured; configured: fake.",
        ),
        (
            "#".repeat((16 << 10) + 1),
            "`program`, line 1, column 1: the program is longer than 16384 bytes.",
        ),
    ];
    for (program, expected) in cases {
        let message = refused(&set(&world, &program, 0), 400, "parameter_invalid", "program");
        assert_eq!(message, expected);
        let dry = evaluate(&world, &json!({"program": program, "latest": 1}));
        assert_eq!(refused(&dry, 400, "parameter_invalid", "program"), expected);
    }
    refused(&set(&world, "\u{1}", 0), 400, "parameter_invalid", "program");
    let bodies = [
        (
            r#"{"program":"","expected_version":-1,"reason":"x"}"#,
            "parameter_invalid_integer",
            "expected_version",
        ),
        (
            r#"{"program":"","expected_version":0,"reason":" "}"#,
            "parameter_invalid",
            "reason",
        ),
        (
            r#"{"program":"","reason":"x"}"#,
            "parameter_missing",
            "expected_version",
        ),
        (
            r#"{"program":"","expected_version":0,"reason":"x","force":true}"#,
            "parameter_unknown",
            "force",
        ),
    ];
    for (body, code, param) in bodies {
        let answer = world.send("PUT", "/v1/ops/routing", Some(OPERATOR), &[JSON], body.as_bytes());
        refused(&answer, 400, code, param);
    }
    assert_eq!(world.get("/v1/ops/routing", Some(OPERATOR)).json()["version"], 0);
    world.stop();
}

#[test]
fn a_dry_run_says_where_a_payment_would_go_and_stores_nothing() {
    let world = World::start();
    let payment = |more: Value| hypothetical(&more);
    let visa = payment(json!({"payment_method_id": "pm_card_visa"}));
    let program = "visa: brand is visa and country is US -> only fake\n";
    let answer = evaluate(&world, &json!({"program": program, "payment": visa}));
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = answer.json();
    assert_eq!((&body["version"], &body["comparison"]), (&json!(0), &Value::Null));
    assert_eq!(body["route"]["rule"], "visa");
    assert_eq!(body["route"]["choices"][0]["provider"], "fake");
    let german = payment(json!({"brand": "visa", "country": "de"}));
    let body = evaluate(&world, &json!({"program": program, "payment": german})).json();
    assert_eq!(body["route"]["rule"], Value::Null);
    let body = evaluate(&world, &json!({"disabled": ["fake"], "payment": visa})).json();
    assert_eq!(
        (&body["route"]["choices"], &body["route"]["left_out"]),
        (&json!([]), &json!([{"provider": "fake", "why": "disabled"}]))
    );
    let body = evaluate(
        &world,
        &json!({"excluded": ["fake"], "payment": visa, "draw_bps": 9_999}),
    )
    .json();
    assert_eq!(body["route"]["choices"][0]["health"], "excluded");
    let unwanted = payment(json!({"brand": "amex", "country": "US", "routing": {"exclude": ["fake"]}}));
    let body = evaluate(&world, &json!({"payment": unwanted})).json();
    assert_eq!(
        body["route"]["left_out"],
        json!([{"provider": "fake", "why": "unwanted"}])
    );
    assert_eq!(world.charges(), 0);
    assert_eq!(world.get("/v1/ops/routing", Some(OPERATOR)).json()["version"], 0);
    world.stop();
}

fn hypothetical(more: &Value) -> Value {
    let mut payment = json!({"amount": 10_000, "currency": "USD", "merchant_id": MERCHANT_A});
    let fields = payment.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    payment
}

#[test]
fn a_dry_run_that_makes_no_sense_is_refused_by_the_name_of_what_is_wrong() {
    let world = World::start();
    let payment = |more: Value| hypothetical(&more);
    let visa = payment(json!({"payment_method_id": "pm_card_visa"}));
    let brand = json!({"brand": "visa", "country": "US"});
    for (body, code, param) in [
        (json!({}), "parameter_missing", "payment"),
        (
            json!({"payment": visa, "latest": 1}),
            "parameter_invalid",
            "latest",
        ),
        (
            json!({"payment": visa, "draw_bps": 10_000}),
            "parameter_invalid_integer",
            "draw_bps",
        ),
        (json!({"latest": 1_001}), "parameter_invalid_integer", "latest"),
        (
            json!({"latest": 1, "draw_bps": 1}),
            "parameter_invalid",
            "draw_bps",
        ),
        (
            json!({"latest": 1, "merchant_id": "x"}),
            "parameter_invalid",
            "merchant_id",
        ),
        (
            json!({"latest": 1, "disabled": ["adyen"]}),
            "parameter_invalid",
            "disabled",
        ),
        (
            json!({"payment": payment(json!({}))}),
            "parameter_missing",
            "payment.brand",
        ),
        (
            json!({"payment": payment(json!({"brand": "visa"}))}),
            "parameter_missing",
            "payment.country",
        ),
        (
            json!({"payment": payment(json!({"brand": "maestro", "country": "US"}))}),
            "parameter_invalid",
            "payment.brand",
        ),
        (
            json!({"payment": payment(json!({"payment_method_id": "pm_x"}))}),
            "resource_missing",
            "payment.payment_method_id",
        ),
        (
            json!({"payment": {"amount": 0, "currency": "USD", "merchant_id": MERCHANT_A, "brand": "visa", "country": "US"}}),
            "amount_too_small",
            "payment.amount",
        ),
    ] {
        let message = refused(&evaluate(&world, &body), 400, code, param);
        assert!(message.contains(&format!("`{param}`")), "{message}");
    }
    let mut wished = payment(brand);
    wished["routing"] = json!({"pin": "adyen"});
    refused(
        &evaluate(&world, &json!({"payment": wished})),
        400,
        "parameter_invalid",
        "payment.routing.pin",
    );
    world.stop();
}

#[test]
fn a_dry_run_of_the_latest_payments_says_who_would_get_how_many() {
    let world = World::start();
    for n in 0..5 {
        let method = if n < 2 {
            "pm_card_mastercard"
        } else {
            "pm_card_visa"
        };
        let body = json!({"amount": 1_000, "currency": "EUR", "payment_method_id": method}).to_string();
        assert_eq!(pay(&world, &format!("k{n}"), &body).status, 200);
    }
    let compare = |body: Value| evaluate(&world, &body).json()["comparison"].clone();
    let all = compare(json!({"latest": 1_000, "disabled": ["fake"]}));
    assert_eq!(
        all,
        json!({
            "payments": 5, "moved": 5,
            "before": [{"provider": "fake", "payments": 5, "share_bps": 10_000}],
            "after": [{"provider": null, "payments": 5, "share_bps": 10_000}],
        })
    );
    let newest = compare(json!({"latest": 3, "merchant_id": MERCHANT_A}));
    assert_eq!((&newest["payments"], &newest["moved"]), (&json!(3), &json!(0)));
    let others = compare(json!({"latest": 3, "merchant_id": "mer_00000000000000000000000002"}));
    assert_eq!((&others["payments"], &others["before"]), (&json!(0), &json!([])));
    world.stop();
}

#[test]
fn a_payment_may_name_only_configured_providers_and_is_another_request_if_it_names_others() {
    let world = World::start();
    let body = |routing: Value| {
        json!({"amount": 1_000, "currency": "EUR", "payment_method_id": "pm_card_visa", "routing": routing})
            .to_string()
    };
    for (routing, param) in [
        (json!({"pin": "adyen"}), "routing.pin"),
        (json!({"prefer": ["fake", "adyen"]}), "routing.prefer"),
        (json!({"exclude": ["adyen"]}), "routing.exclude"),
    ] {
        refused(&pay(&world, "k", &body(routing)), 400, "parameter_invalid", param);
    }
    let paid = pay(&world, "k", &body(json!({"pin": "fake"})));
    assert_eq!(paid.status, 200, "{paid:?}");
    let again = pay(&world, "k", &body(json!({"pin": "fake"})));
    assert_eq!((again.status, &again.body), (200, &paid.body));
    let other = pay(&world, "k", &body(json!({"prefer": ["fake"]})));
    assert_eq!(
        (other.status, other.error("code").as_str()),
        (422, "idempotency_key_reused")
    );
    assert_eq!(world.charges(), 1);
    world.stop();
}
