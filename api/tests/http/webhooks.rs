//! Webhook endpoints over HTTP: made, changed, switched off and on, and told again.

use crate::world::{Answer, World};
use serde_json::{Value, json};

mod told;

const A: &str = "sk_test_a";
const B: &str = "sk_test_b";
const JSON: (&str, &str) = ("Content-Type", "application/json");
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
const PATH: &str = "/v1/webhook_endpoints";

fn post(world: &World, path: &str, body: &Value) -> Answer {
    world.send("POST", path, Some(A), &[JSON], body.to_string().as_bytes())
}

/// Under an idempotency key.
fn keyed(world: &World, path: &str, key: &str, body: &Value) -> Answer {
    let headers = [JSON, ("Idempotency-Key", key)];
    world.send("POST", path, Some(A), &headers, body.to_string().as_bytes())
}

fn hooks(events: &[&str]) -> Value {
    json!({"url": "https://shop.example/hooks", "enabled_events": events})
}

#[track_caller]
fn done(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    answer.json()
}

/// Makes one, and where it is.
#[track_caller]
fn made(world: &World, events: &[&str]) -> String {
    let body = done(&post(world, PATH, &hooks(events)));
    format!("{PATH}/{}", body["id"].as_str().unwrap())
}

#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str, param: Option<&str>) {
    let error = &answer.json()["error"];
    let got = (answer.status, error["code"].as_str(), error["param"].as_str());
    assert_eq!(got, (status, Some(code), param), "{error}");
}

#[test]
fn an_endpoint_is_made_and_its_secret_is_shown_once() {
    let world = World::start();
    let answer = post(
        &world,
        PATH,
        &json!({
            "url": "https://shop.example/hooks?a=1", "enabled_events": ["payment.*", "charge.refunded"],
            "description": "orders", "metadata": {"team": "checkout"},
        }),
    );
    let mut made = done(&answer);
    let id = made["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("we_"));
    let secret = made.as_object_mut().unwrap().remove("secret").unwrap();
    assert!(secret.as_str().unwrap().starts_with("whsec_"));
    let created = made["created"].as_u64().unwrap();
    let expected = json!({
        "id": id, "object": "webhook_endpoint", "api_version": null, "application": null, "created": created,
        "description": "orders", "disabled_reason": null, "enabled_events": ["payment.*", "charge.refunded"],
        "event_shape": "native", "livemode": false, "metadata": {"team": "checkout"}, "status": "enabled",
        "url": "https://shop.example/hooks?a=1",
    });
    assert_eq!(made, expected);
    let path = format!("{PATH}/{id}");
    assert_eq!(done(&world.get(&path, Some(A))), expected);
    let all = done(&world.get(PATH, Some(A)));
    assert_eq!(
        all,
        json!({"object": "list", "url": PATH, "has_more": false, "data": [expected]})
    );
    world.stop();
}

#[test]
fn a_form_makes_one_as_stripes_sdks_send_it_and_they_are_told_in_their_words() {
    let world = World::start();
    let form = "url=https%3A%2F%2Fshop.example%2Fhooks&enabled_events[0]=payment_intent.succeeded&enabled_events[1]=refund.created";
    let headers = [FORM, ("Stripe-Version", "2025-08-27.basil")];
    let made = done(&world.send("POST", PATH, Some(A), &headers, form.as_bytes()));
    assert_eq!(made["event_shape"], "stripe");
    assert_eq!(
        made["enabled_events"],
        json!(["payment_intent.succeeded", "refund.created"])
    );
    world.stop();
}

#[test]
fn another_merchants_and_the_other_modes_endpoints_are_not_there() {
    let world = World::start();
    let path = made(&world, &["*"]);
    for key in [B, "sk_live_real_a"] {
        for (method, path) in [
            ("GET", path.clone()),
            ("POST", path.clone()),
            ("DELETE", path.clone()),
            ("GET", format!("{path}/deliveries")),
            ("POST", format!("{path}/rotate_secret")),
        ] {
            let answer = world.send(method, &path, Some(key), &[JSON], b"");
            refused(&answer, 404, "resource_missing", Some("id"));
        }
        assert_eq!(done(&world.get(PATH, Some(key)))["data"], json!([]));
    }
    for (key, status) in [(None, 401), (Some("ok_test_op"), 403)] {
        assert_eq!(world.get(PATH, key).status, status);
    }
    done(&world.get(&path, Some(A)));
    world.stop();
}

#[test]
fn what_is_wrong_is_refused_by_name() {
    let world = World::start();
    let path = made(&world, &["*"]);
    for (body, code, param) in [
        (json!({"enabled_events": ["*"]}), "parameter_missing", "url"),
        (
            json!({"url": "https://shop.example/"}),
            "parameter_missing",
            "enabled_events",
        ),
        (
            json!({"url": "http://shop.example/", "enabled_events": ["*"]}),
            "parameter_invalid",
            "url",
        ),
        (
            json!({"url": "https://shop.example/", "enabled_events": ["refund.*", "refund"]}),
            "parameter_invalid",
            "enabled_events[1]",
        ),
        (
            json!({"url": "https://shop.example/", "enabled_events": ["*"], "metadata": {"card": "4242 4242 4242 4242"}}),
            "card_number_misplaced",
            "metadata[card]",
        ),
        (
            json!({"url": "https://shop.example/", "enabled_events": ["*"], "more": 1}),
            "parameter_unknown",
            "more",
        ),
    ] {
        refused(&post(&world, PATH, &body), 400, code, Some(param));
    }
    for (body, code, param) in [
        (json!({"url": "ftp://x"}), "parameter_invalid", "url"),
        (json!({"url": ""}), "parameter_invalid", "url"),
        (json!({"disabled": "maybe"}), "parameter_invalid", "disabled"),
        (
            json!({"event_shape": "stripe"}),
            "parameter_unknown",
            "event_shape",
        ),
        (
            json!({"description": "4242424242424242"}),
            "card_number_misplaced",
            "description",
        ),
    ] {
        refused(&post(&world, &path, &body), 400, code, Some(param));
    }
    let unknown = format!("{PATH}/we_00000000000000000000000000");
    refused(&world.get(&unknown, Some(A)), 404, "resource_missing", Some("id"));
    refused(
        &world.get(
            &format!("{PATH}?starting_after=we_00000000000000000000000000"),
            Some(A),
        ),
        400,
        "parameter_invalid",
        Some("starting_after"),
    );
    world.stop();
}

#[test]
fn only_a_node_for_development_takes_addresses_without_tls_and_only_of_test_mode() {
    let world = World::start_with(|options| options.allows_local_webhooks = true);
    let local = json!({"url": "http://127.0.0.1:3000/hooks", "enabled_events": ["*"]});
    done(&post(&world, PATH, &local));
    let body = local.to_string();
    let live = world.send("POST", PATH, Some("sk_live_real_a"), &[JSON], body.as_bytes());
    refused(&live, 400, "parameter_invalid", Some("url"));
    world.stop();
}

#[test]
fn an_endpoint_is_changed_and_deleted() {
    let world = World::start();
    let path = made(&world, &["*"]);
    let change = json!({
        "url": "https://other.example/", "enabled_events": ["refund.*"], "description": "words",
        "metadata": {"a": "1", "b": "2"},
    });
    let body = done(&post(&world, &path, &change));
    for name in ["url", "enabled_events", "description", "metadata"] {
        assert_eq!(body[name], change[name], "{name}");
    }
    assert_eq!(body.get("secret"), None);
    let body = done(&post(
        &world,
        &path,
        &json!({"description": "", "metadata": {"a": "", "c": "3"}}),
    ));
    assert_eq!(
        (&body["description"], &body["metadata"]),
        (&Value::Null, &json!({"b": "2", "c": "3"}))
    );
    let body = done(&post(&world, &path, &json!({"metadata": ""})));
    assert_eq!((&body["metadata"], &body["url"]), (&json!({}), &change["url"]));
    let gone = done(&world.send("DELETE", &path, Some(A), &[], b""));
    let id = path.rsplit('/').next().unwrap();
    assert_eq!(
        gone,
        json!({"id": id, "object": "webhook_endpoint", "deleted": true})
    );
    for (method, path) in [("GET", &path), ("DELETE", &path), ("POST", &path)] {
        let answer = world.send(method, path, Some(A), &[JSON], b"");
        refused(&answer, 404, "resource_missing", Some("id"));
    }
    world.stop();
}

#[test]
fn one_is_switched_off_and_on_together_with_another_change() {
    let world = World::start();
    let path = made(&world, &["*"]);
    let off = json!({"disabled": true, "description": "for now"});
    let body = done(&keyed(&world, &path, "off", &off));
    assert_eq!(
        [&body["status"], &body["disabled_reason"], &body["description"]],
        ["disabled", "asked", "for now"]
    );
    let resend = post(&world, &format!("{path}/resend"), &json!({"to": ""}));
    refused(&resend, 400, "parameter_missing", Some("event"));
    let on = done(&post(&world, &path, &json!({"disabled": false})));
    assert_eq!(
        (&on["status"], &on["disabled_reason"]),
        (&json!("enabled"), &Value::Null)
    );
    done(&post(&world, &path, &json!({"description": "later"})));
    // Sent again, it does nothing more: neither part of it.
    let again = keyed(&world, &path, "off", &off);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(done(&again), body);
    let now = done(&world.get(&path, Some(A)));
    assert_eq!(
        (&now["status"], &now["description"]),
        (&json!("enabled"), &json!("later"))
    );
    world.stop();
}

#[test]
fn a_key_makes_one_endpoint_and_shows_its_first_secret_again() {
    let world = World::start();
    let first = keyed(&world, PATH, "k", &hooks(&["*"]));
    let body = done(&first);
    assert_eq!(first.header("idempotent-replayed"), None);
    let path = format!("{PATH}/{}", body["id"].as_str().unwrap());
    done(&post(&world, &format!("{path}/rotate_secret"), &json!({})));
    let again = keyed(&world, PATH, "k", &hooks(&["*"]));
    assert_eq!(done(&again), body);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    let other = keyed(&world, PATH, "k", &hooks(&["refund.*"]));
    refused(&other, 400, "idempotency_key_reused", Some("Idempotency-Key"));
    done(&world.send("DELETE", &path, Some(A), &[], b""));
    let late = keyed(&world, PATH, "k", &hooks(&["*"]));
    refused(&late, 400, "resource_missing", Some("Idempotency-Key"));
    assert_eq!(done(&world.get(PATH, Some(A)))["data"], json!([]));
    world.stop();
}

#[test]
fn sixteen_endpoints_are_made_in_each_mode_and_no_more() {
    let world = World::start();
    let mut ids = Vec::new();
    for _ in 0..16 {
        ids.push(done(&post(&world, PATH, &hooks(&["*"])))["id"].clone());
    }
    let more = post(&world, PATH, &hooks(&["*"]));
    refused(&more, 409, "webhook_endpoints_full", None);
    let body = hooks(&["*"]).to_string();
    done(&world.send("POST", PATH, Some("sk_live_real_a"), &[JSON], body.as_bytes()));
    let page = done(&world.get(&format!("{PATH}?limit=100"), Some(A)));
    let listed: Vec<Value> = page["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["id"].clone())
        .collect();
    assert_eq!(listed.len(), 16);
    let last = listed.last().unwrap().as_str().unwrap();
    let before = done(&world.get(&format!("{PATH}?limit=1&ending_before={last}"), Some(A)));
    assert_eq!(
        (&before["data"][0]["id"], &before["has_more"]),
        (&listed[14], &json!(true))
    );
    let first = done(&world.get(PATH, Some(A)));
    assert_eq!(
        (first["data"].as_array().unwrap().len(), &first["has_more"]),
        (10, &json!(true))
    );
    assert!(ids.iter().all(|id| listed.contains(id)));
    world.stop();
}

#[test]
fn without_a_key_to_seal_secrets_under_none_is_made() {
    let world = World::start_without_webhooks();
    refused(
        &post(&world, PATH, &hooks(&["*"])),
        400,
        "webhooks_not_kept",
        None,
    );
    assert_eq!(done(&world.get(PATH, Some(A)))["data"], json!([]));
    world.stop();
}
