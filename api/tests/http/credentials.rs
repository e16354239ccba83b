//! Credentials of merchants: what goes in does not come out, and who may change what.

use crate::world::{Answer, World};
use florin_adapters::clock::SystemClock;
use florin_adapters::secrets::{Book, FileKek, SecretStore, Terms, development_kek_in, folder_in};
use florin_domain::credentials::{CredentialKind, JournaledCredentials};
use florin_domain::ports::{Kek, Secrets};
use florin_domain::provider::ProviderId;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::sync::Arc;

const OPERATOR: &str = "ok_test_op";
const LIVE: &str = "sk_live_real_a";
const MERCHANT_A: &str = "mer_00000000000000000000000001";
const MERCHANT_B: &str = "mer_00000000000000000000000002";
const JSON: (&str, &str) = ("Content-Type", "application/json");
const CANARIES: [&str; 4] = ["canaryALPHA", "canaryBRAVO", "canaryCHARLIE", "123456789012"];

/// A store in this folder, of which the provider takes what Stripe takes.
pub(crate) fn store(folder: &Path) -> Arc<dyn Secrets> {
    let kek = FileKek::load_or_create(&development_kek_in(folder)).unwrap();
    let terms = Terms {
        kind: CredentialKind::Stripe,
        is_clear: false,
        is_live: false,
        refuses_live: false,
    };
    let (provider, clock) = (ProviderId::parse("fake").unwrap(), Arc::new(SystemClock::new()));
    let (keks, book): (Vec<Arc<dyn Kek>>, _) = (vec![Arc::new(kek)], Arc::new(Book::default()));
    let terms = [(provider, terms)].into();
    let store = SecretStore::open(&folder_in(folder), keks, terms, clock, book).unwrap();
    store.compare(&JournaledCredentials::new()).unwrap();
    Arc::new(store)
}

fn path(merchant: &str) -> String {
    format!("/v1/ops/merchants/{merchant}/providers/fake/credentials")
}

fn send(world: &World, method: &str, path: &str, key: &str, body: &Value) -> Answer {
    let text = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let headers: &[_] = if body.is_null() { &[] } else { &[JSON] };
    let answer = world.send(method, path, Some(key), headers, text.as_bytes());
    let shown = String::from_utf8_lossy(&answer.body).into_owned();
    for canary in CANARIES {
        assert!(!shown.contains(canary), "{shown}");
    }
    answer
}

#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str, param: Option<&str>) {
    let error = &answer.json()["error"];
    let got = (answer.status, error["code"].as_str(), error["param"].as_str());
    assert_eq!(got, (status, Some(code), param), "{answer:?}");
}

fn first() -> Value {
    json!({"secret_key": "sk_test_canaryALPHA_4Tz1", "webhook_secret": "whsec_canaryBRAVO"})
}

fn second() -> Value {
    json!({"secret_key": "sk_test_canaryCHARLIE_9Xy2"})
}

#[test]
fn an_operator_gives_a_merchant_credentials_and_retires_them_and_sees_no_secret() {
    let world = World::start();
    let path = path(MERCHANT_A);
    let none = send(&world, "GET", &path, OPERATOR, &Value::Null);
    assert_eq!(none.json()["data"], json!([]));
    let answer = send(&world, "PUT", &path, OPERATOR, &first());
    assert_eq!(answer.status, 200, "{answer:?}");
    let one = answer.json();
    let expected = json!({
        "object": "credentials", "merchant_id": MERCHANT_A, "provider": "fake", "version": 1, "created": one["created"],
        "retired": null, "livemode": false, "hint": "4Tz1", "fields": ["secret_key", "webhook_secret"],
    });
    assert_eq!(one, expected);
    assert!(one["created"].as_u64().unwrap() > 1_700_000_000);
    // The same again changes nothing.
    assert_eq!(send(&world, "PUT", &path, OPERATOR, &first()).json(), one);
    let two = send(&world, "PUT", &path, OPERATOR, &second()).json();
    assert_eq!((&two["version"], &two["hint"]), (&json!(2), &json!("9Xy2")));
    let retire = format!("{path}?version=1");
    let gone = send(&world, "DELETE", &retire, OPERATOR, &Value::Null);
    assert_eq!((gone.status, gone.json()["version"].clone()), (200, json!(1)));
    assert!(gone.json()["retired"].is_u64());
    let listed = send(&world, "GET", &path, OPERATOR, &Value::Null).json();
    assert_eq!(listed["url"], path);
    assert_eq!(listed["data"], json!([two, gone.json()]));
    refused(
        &send(&world, "DELETE", &retire, OPERATOR, &Value::Null),
        404,
        "resource_missing",
        Some("id"),
    );
    // The last one is not retired by mistake.
    let last = format!("{path}?version=2");
    for kept in [last.clone(), format!("{last}&falls_back=false")] {
        let answer = send(&world, "DELETE", &kept, OPERATOR, &Value::Null);
        refused(&answer, 409, "credentials_last", Some("falls_back"));
    }
    let unclear = send(
        &world,
        "DELETE",
        &format!("{last}&falls_back=yes"),
        OPERATOR,
        &Value::Null,
    );
    refused(&unclear, 400, "parameter_invalid", Some("falls_back"));
    assert_eq!(
        send(&world, "GET", &path, OPERATOR, &Value::Null).json()["data"][0]["retired"],
        Value::Null
    );
    let meant = format!("{last}&falls_back=true");
    let gone = send(&world, "DELETE", &meant, OPERATOR, &Value::Null);
    assert_eq!((gone.status, gone.json()["version"].clone()), (200, json!(2)));
    // Nothing of it is in the folder, not even the end of a key.
    for entry in fs::read_dir(world.folder.path().join("credentials")).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(CANARIES.iter().all(|canary| !text.contains(canary)) && !text.contains("9Xy2"));
    }
    world.stop();
}

#[test]
fn what_is_no_set_is_refused_by_its_field_and_never_repeated() {
    let world = World::start();
    let path = path(MERCHANT_A);
    let put = |body: Value| send(&world, "PUT", &path, OPERATOR, &body);
    let table = [
        (json!({}), "parameter_invalid", Some("secret_key")),
        (
            json!({"secret_key": "canaryALPHA\u{e9}"}),
            "parameter_invalid",
            Some("secret_key"),
        ),
        (
            json!({"secret_key": "short"}),
            "parameter_invalid",
            Some("secret_key"),
        ),
        (
            json!({"secret_key": 123_456_789_012_u64}),
            "parameter_invalid",
            Some("secret_key"),
        ),
        (
            json!({"secret_key": ["canaryALPHA"]}),
            "parameter_invalid",
            Some("secret_key"),
        ),
        (
            json!({"api_key": "AQE_canaryALPHA"}),
            "parameter_invalid",
            Some("api_key"),
        ),
        (
            json!({"password": "canaryALPHA"}),
            "parameter_unknown",
            Some("password"),
        ),
    ];
    for (body, code, param) in table {
        refused(&put(body), 400, code, param);
    }
    for version in 1..=8 {
        let body = json!({"secret_key": format!("sk_test_canaryALPHA_{version}")});
        assert_eq!(put(body).json()["version"], version);
    }
    refused(&put(second()), 400, "credentials_full", None);
    let delete = |query: &str| {
        send(
            &world,
            "DELETE",
            &format!("{path}{query}"),
            OPERATOR,
            &Value::Null,
        )
    };
    refused(&delete(""), 400, "parameter_missing", Some("version"));
    refused(
        &delete("?version=x"),
        400,
        "parameter_invalid_integer",
        Some("version"),
    );
    refused(&delete("?version=9"), 404, "resource_missing", Some("id"));
    refused(&delete("?all=1"), 400, "parameter_unknown", Some("all"));
    refused(
        &send(&world, "POST", &path, OPERATOR, &first()),
        405,
        "method_not_allowed",
        None,
    );
    let unknown = path.replace("/fake/", "/nobody/");
    refused(
        &send(&world, "GET", &unknown, OPERATOR, &Value::Null),
        404,
        "resource_missing",
        Some("id"),
    );
    world.stop();
}

#[test]
fn a_merchant_changes_its_own_and_no_test_key_changes_what_is_live() {
    let world = World::start();
    let (own, other) = (path(MERCHANT_A), path(MERCHANT_B));
    for (method, body) in [("PUT", first()), ("GET", Value::Null)] {
        let answer = send(&world, method, &other, "sk_test_a", &body);
        refused(&answer, 404, "resource_missing", Some("id"));
        assert_eq!(world.send(method, &own, None, &[], b"").status, 401);
    }
    let nobody = path("mer_00000000000000000000000009");
    refused(
        &send(&world, "PUT", &nobody, OPERATOR, &first()),
        404,
        "resource_missing",
        Some("id"),
    );
    let live = json!({"secret_key": "sk_live_canaryALPHA_4Tz1"});
    assert_eq!(
        send(&world, "PUT", &own, "sk_test_a", &first()).json()["version"],
        1
    );
    // Each key brings in sets of its own mode.
    for (key, body) in [("sk_test_a", &live), (LIVE, &second())] {
        let answer = send(&world, "PUT", &own, key, body);
        refused(&answer, 400, "parameter_invalid", Some("secret_key"));
    }
    let set = send(&world, "PUT", &own, LIVE, &live).json();
    assert_eq!((&set["version"], &set["livemode"]), (&json!(2), &json!(true)));
    refused(
        &send(&world, "PUT", &own, "sk_test_a", &second()),
        403,
        "operator_key_required",
        None,
    );
    let retire = format!("{own}?version=2");
    refused(
        &send(&world, "DELETE", &retire, "sk_test_a", &Value::Null),
        403,
        "operator_key_required",
        None,
    );
    assert_eq!(
        send(&world, "GET", &own, "sk_test_a", &Value::Null).json()["data"][0],
        set
    );
    // Merchants change nothing while nothing may be changed; operators do.
    let stop = json!({"enabled": true, "reason": "moving"});
    assert_eq!(
        send(&world, "POST", "/v1/ops/read_only", OPERATOR, &stop).status,
        200
    );
    refused(
        &send(&world, "DELETE", &retire, LIVE, &Value::Null),
        503,
        "read_only",
        None,
    );
    let retire = format!("{retire}&falls_back=true");
    assert_eq!(
        send(&world, "DELETE", &retire, OPERATOR, &Value::Null).status,
        200
    );
    world.stop();
}
