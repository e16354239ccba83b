//! The document and the pages about it, and that answers are what it says.

use crate::world::{Answer, World};
use crate::{VISA, pay};
use serde_json::{Value, json};

fn document(world: &World) -> Value {
    let answer = world.get("/openapi.json", None);
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some("application/json"))
    );
    answer.json()
}

/// The same schemas, with which an object has no field that is not named.
fn close(shape: &mut Value) {
    if let Some(fields) = shape.as_object_mut() {
        if fields.contains_key("properties") && !fields.contains_key("additionalProperties") {
            fields.insert("additionalProperties".to_owned(), json!(false));
        }
        fields.values_mut().for_each(close);
    }
    if let Some(items) = shape.as_array_mut() {
        items.iter_mut().for_each(close);
    }
}

/// The document's schema for an answer must take it, as closed as can be.
#[track_caller]
fn keeps(document: &Value, (method, path): (&str, &str), answer: &Answer) {
    let mut response = &document["paths"][path][method]["responses"][answer.status.to_string()];
    if let Some(place) = response["$ref"].as_str() {
        response = document.pointer(&place[1..]).unwrap();
    }
    let shape = &response["content"]["application/json"]["schema"];
    assert!(
        shape.is_object(),
        "{method} {path} may not answer {}: {answer:?}",
        answer.status
    );
    let mut whole = json!({"components": document["components"], "allOf": [shape]});
    // The parts of an `allOf` each know some of the fields only.
    if answer.status < 300 {
        close(&mut whole);
    }
    let validator = jsonschema::draft202012::new(&whole).unwrap();
    let body = answer.json();
    let faults: Vec<String> = validator
        .iter_errors(&body)
        .map(|fault| format!("{}: {fault}", fault.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{method} {path}: {faults:?} in {body}");
    for (name, header) in response["headers"].as_object().unwrap() {
        let place = header["$ref"].as_str().unwrap();
        let header = document.pointer(&place[1..]).unwrap();
        let is_there = answer.header(&name.to_ascii_lowercase()).is_some();
        assert!(
            is_there || header["required"] != true,
            "{method} {path}: no {name}"
        );
    }
}

fn change(world: &World, id: &str, what: &str, body: &str) -> Answer {
    let headers = [("Idempotency-Key", what), ("Content-Type", "application/json")];
    let path = format!("/v1/payments/{id}/{what}");
    world.send("POST", &path, Some("sk_test_a"), &headers, body.as_bytes())
}

fn under_stripes_names(world: &World, document: &Value, hold: &str) {
    let intent = hold.replace("pay_", "pi_");
    let charge = hold.replace("pay_", "ch_");
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    for (path, filled, body) in [
        (
            "/v1/payment_intents",
            "/v1/payment_intents".to_owned(),
            "amount=100&currency=usd&payment_method=pm_card_visa&confirm=true&expand[]=latest_charge".to_owned(),
        ),
        (
            "/v1/payment_intents",
            "/v1/payment_intents".to_owned(),
            "amount=100&currency=usd".to_owned(),
        ),
        (
            "/v1/payment_intents",
            "/v1/payment_intents".to_owned(),
            "amount=100&currency=usd&payment_method=pm_card_visa_chargeDeclinedInsufficientFunds&confirm=true".to_owned(),
        ),
        ("/v1/payment_intents/{id}/capture", format!("/v1/payment_intents/{intent}/capture"), String::new()),
        ("/v1/charges/{id}/capture", "/v1/charges/ch_none/capture".to_owned(), String::new()),
        ("/v1/refunds", "/v1/refunds".to_owned(), format!("charge={charge}&amount=10")),
    ] {
        let answer = world.send("POST", &filled, Some("sk_test_a"), &form, body.as_bytes());
        keeps(document, ("post", path), &answer);
    }
    for (path, filled) in [
        ("/v1/payment_intents", "/v1/payment_intents".to_owned()),
        (
            "/v1/payment_intents/{id}",
            format!("/v1/payment_intents/{intent}"),
        ),
        ("/v1/refunds", format!("/v1/refunds?charge={charge}")),
        ("/v1/charges", "/v1/charges".to_owned()),
        ("/v1/charges/{id}", format!("/v1/charges/{charge}")),
    ] {
        keeps(document, ("get", path), &world.get(&filled, Some("sk_test_a")));
    }
}

#[test]
fn answers_have_the_fields_that_the_document_names_and_no_others() {
    let world = World::start();
    let document = document(&world);
    let sale = pay(&world, "sale", VISA);
    keeps(&document, ("post", "/v1/payments"), &sale);
    let hold = VISA.replace(
        '}',
        r#","capture_method":"manual","customer_id":"cus_1","metadata":{"a":"b"}}"#,
    );
    let hold = pay(&world, "hold", &hold).json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    keeps(
        &document,
        ("post", "/v1/payments/{id}/capture"),
        &change(&world, &hold, "capture", r#"{"amount":100}"#),
    );
    keeps(
        &document,
        ("post", "/v1/payments/{id}/refunds"),
        &change(&world, &hold, "refunds", r#"{"amount":10,"reason":"duplicate"}"#),
    );
    keeps(
        &document,
        ("post", "/v1/payments/{id}/void"),
        &change(&world, &hold, "void", ""),
    );
    let declined = pay(
        &world,
        "declined",
        &VISA.replace("pm_card_visa", "pm_card_visa_chargeDeclinedInsufficientFunds"),
    );
    assert_eq!(declined.status, 402);
    keeps(&document, ("post", "/v1/payments"), &declined);
    keeps(
        &document,
        ("post", "/v1/payments"),
        &pay(&world, "sale", &VISA.replace("10000", "5")),
    );
    keeps(
        &document,
        ("post", "/v1/payments"),
        &pay(&world, "bad", &VISA.replace("10000", "0")),
    );
    let round = world.send("POST", "/v1/ops/consistency/run", Some("ok_test_op"), &[], b"");
    assert_eq!(round.json()["consistent"], true, "{round:?}");
    keeps(&document, ("post", "/v1/ops/consistency/run"), &round);
    under_stripes_names(&world, &document, &hold);
    let accounts = world.get("/v1/ledger/accounts", Some("sk_test_a"));
    let account = accounts.json()["data"][0]["id"].as_str().unwrap().to_owned();
    let (merchant, operator) = (Some("sk_test_a"), Some("ok_test_op"));
    for (path, filled, key) in [
        ("/v1/payments", "/v1/payments".to_owned(), merchant),
        ("/v1/payments/{id}", format!("/v1/payments/{hold}"), merchant),
        (
            "/v1/payments/{id}/history",
            format!("/v1/payments/{hold}/history"),
            merchant,
        ),
        ("/v1/ledger/accounts", "/v1/ledger/accounts".to_owned(), merchant),
        (
            "/v1/ledger/accounts/{id}",
            format!("/v1/ledger/accounts/{account}"),
            merchant,
        ),
        (
            "/v1/ledger/accounts/{id}/entries",
            format!("/v1/ledger/accounts/{account}/entries"),
            merchant,
        ),
        (
            "/v1/ledger/trial_balance",
            "/v1/ledger/trial_balance".to_owned(),
            operator,
        ),
        ("/v1/bins/{bin}", "/v1/bins/42424242".to_owned(), merchant),
        ("/v1/bins/{bin}", "/v1/bins/999999".to_owned(), operator),
        ("/v1/bins/{bin}", "/v1/bins/4242".to_owned(), merchant),
        ("/v1/ops/tree", "/v1/ops/tree".to_owned(), operator),
        ("/v1/ops/consistency", "/v1/ops/consistency".to_owned(), operator),
        ("/v1/ops/consistency", "/v1/ops/consistency".to_owned(), merchant),
        ("/v1/ops/tree", "/v1/ops/tree".to_owned(), None),
        ("/v1/ops/tree", "/v1/ops/tree?payments_max=x".to_owned(), operator),
        ("/v1/payments/{id}", "/v1/payments/pay_none".to_owned(), merchant),
        ("/healthz", "/healthz".to_owned(), None),
        ("/readyz", "/readyz".to_owned(), None),
    ] {
        keeps(&document, ("get", path), &world.get(&filled, key));
    }
    world.stop();
}

#[test]
fn a_page_is_the_same_with_and_without_the_slash_at_its_end() {
    let world = World::start();
    for (page, kind) in [("/docs", "text/html"), ("/docs/errors", "text/markdown")] {
        let (bare, slashed) = (world.get(page, None), world.get(&format!("{page}/"), None));
        for answer in [&bare, &slashed] {
            assert_eq!(answer.status, 200, "{page}: {answer:?}");
            assert!(answer.header("content-type").unwrap().starts_with(kind), "{page}");
        }
        assert!(!bare.body.is_empty() && bare.body == slashed.body, "{page}");
        let answer = world.send("POST", &format!("{page}/"), None, &[], b"");
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")));
    }
    assert_eq!(world.get("/docs/nothing/", None).status, 404);
    world.stop();
}

#[test]
fn the_pages_are_open_and_guarded() {
    let world = World::start();
    for (path, kind) in [
        ("/docs", "text/html; charset=utf-8"),
        ("/docs/", "text/html; charset=utf-8"),
        ("/docs/style.css", "text/css; charset=utf-8"),
    ] {
        let answer = world.get(path, None);
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(kind)));
        let policy = answer.header("content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none'; style-src 'self'"),
            "{policy}"
        );
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    world.stop();
}
