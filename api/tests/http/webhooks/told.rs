//! What endpoints are told: signatures, events that are asked for once more, and the list of deliveries.

use super::{A, JSON, PATH, done, hooks, made, post, refused};
use crate::world::World;
use crate::{VISA, pay};
use florin_domain::announcement::AnnouncementKind;
use florin_domain::ids::{EndpointId, EventId, PaymentId};
use florin_domain::ports::{Delivery, DeliveryBook};
use florin_domain::time::Timestamp;
use florin_domain::webhook::{DeliveryOutcome, DeliveryRow, Noted, Then, WhyDisabled};
use serde_json::{Value, json};
use std::sync::Arc;

fn header<'a>(delivery: &'a Delivery, name: &str) -> &'a str {
    let found = delivery.headers.iter().find(|header| header.0 == name);
    &found.unwrap_or_else(|| panic!("no {name}")).1
}

fn body(delivery: &Delivery) -> String {
    String::from_utf8(delivery.body.clone()).unwrap()
}

fn id_at(path: &str) -> EndpointId {
    EndpointId::parse(path.rsplit('/').next().unwrap()).unwrap()
}

#[test]
fn while_a_secret_is_replaced_deliveries_have_a_signature_by_either() {
    let world = World::start();
    let path = made(&world, &["payment.succeeded"]);
    let old = done(&world.get(&path, Some(A)));
    let rotated = done(&post(
        &world,
        &format!("{path}/rotate_secret"),
        &json!({"old_secret_lifetime_s": 60}),
    ));
    assert!(rotated["secret"].as_str().unwrap().starts_with("whsec_"));
    assert_eq!(rotated["url"], old["url"]);
    assert_eq!(pay(&world, "p", VISA).status, 200);
    let delivery = world.receivers.next();
    assert_eq!(header(&delivery, "webhook-signature").split(' ').count(), 2);
    done(&post(
        &world,
        &format!("{path}/rotate_secret"),
        &json!({"old_secret_lifetime_s": 0}),
    ));
    assert_eq!(pay(&world, "p2", VISA).status, 200);
    let delivery = world.receivers.next();
    assert_eq!(header(&delivery, "webhook-signature").split(' ').count(), 1);
    for seconds in [json!(604_801), json!(-1), json!(1.5)] {
        let answer = post(
            &world,
            &format!("{path}/rotate_secret"),
            &json!({"old_secret_lifetime_s": seconds}),
        );
        refused(
            &answer,
            400,
            "parameter_invalid_integer",
            Some("old_secret_lifetime_s"),
        );
    }
    world.stop();
}

/// Makes one that is told at this address.
fn made_at(world: &World, url: &str) -> String {
    let hooks = json!({"url": url, "enabled_events": ["payment.succeeded"]});
    let body = done(&post(world, PATH, &hooks));
    format!("{PATH}/{}", body["id"].as_str().unwrap())
}

/// The events that arrive next at an address.
fn arrived(world: &World, url: &str, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    while ids.len() < count {
        let delivery = world.receivers.next();
        if &*delivery.url == url {
            assert!(body(&delivery).ends_with(" payment.succeeded"));
            ids.push(header(&delivery, "webhook-id").to_owned());
        }
    }
    ids.sort_unstable();
    ids
}

#[test]
fn events_are_sent_once_more_one_by_one_or_from_one_to_another() {
    let world = World::start();
    let first = "https://first.example/";
    let path = made_at(&world, first);
    let mut ids = Vec::new();
    for key in ["p1", "p2", "p3"] {
        assert_eq!(pay(&world, key, VISA).status, 200);
        ids.extend(arrived(&world, first, 1));
    }
    let resend = |path: &str, body: &Value| post(&world, &format!("{path}/resend"), body);
    for (number, asked, expected) in [
        (1, json!({"event": ids[1]}), &ids[1..2]),
        (2, json!({"from": ids[1]}), &ids[1..]),
        (3, json!({"to": ids[1]}), &ids[..2]),
        (4, json!({"from": ids[0], "to": ids[2]}), &ids[..]),
    ] {
        // Made after all of them, so it is told of none by itself.
        let url = format!("https://shop-{number}.example/");
        done(&resend(&made_at(&world, &url), &asked));
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(arrived(&world, &url, expected.len()), expected, "{asked}");
    }
    let strange = "evt_01m7y92abt0000000000000g01";
    for (asked, code, param) in [
        (json!({}), "parameter_missing", "event"),
        (json!({"event": strange}), "resource_missing", "event"),
        (json!({"from": strange}), "resource_missing", "from"),
        (json!({"to": "x"}), "resource_missing", "to"),
        (
            json!({"event": ids[0], "to": ids[1]}),
            "parameter_invalid",
            "event",
        ),
        (json!({"from": ids[1], "to": ids[0]}), "parameter_invalid", "to"),
        (json!({"event": ids[0], "more": 1}), "parameter_unknown", "more"),
    ] {
        refused(&resend(&path, &asked), 400, code, Some(param));
    }
    let live = made_live(&world);
    let body = json!({"event": ids[0]}).to_string();
    let answer = world.send(
        "POST",
        &format!("{live}/resend"),
        Some("sk_live_real_a"),
        &[JSON],
        body.as_bytes(),
    );
    refused(&answer, 400, "resource_missing", Some("event"));
    done(&post(&world, &path, &json!({"disabled": true})));
    let disabled = resend(&path, &json!({"event": ids[0]}));
    refused(&disabled, 409, "webhook_endpoint_disabled", None);
    world.stop();
}

fn made_live(world: &World) -> String {
    let body = hooks(&["*"]).to_string();
    let made = done(&world.send("POST", PATH, Some("sk_live_real_a"), &[JSON], body.as_bytes()));
    format!("{PATH}/{}", made["id"].as_str().unwrap())
}

fn row(number: u64, outcome: DeliveryOutcome, then: Then) -> DeliveryRow {
    DeliveryRow {
        at: Timestamp::from_unix_ms(1_795_238_734_500),
        event: EventId::from_bits(u128::from(number)),
        kind: AnnouncementKind::Canceled,
        payment: PaymentId::from_bits(5),
        number,
        attempt: 2,
        took_ms: 12,
        outcome,
        then,
        is_replay: false,
    }
}

#[test]
fn deliveries_are_listed_newest_first_with_how_they_went() {
    let world = World::start();
    let path = made(&world, &["refund.*"]);
    let endpoint = id_at(&path);
    let (_, progress) = world
        .runtime
        .block_on(world.endpoints.open(endpoint))
        .unwrap()
        .unwrap();
    let again = Then::Again(Timestamp::from_unix_ms(1_795_238_740_000));
    let noted = Noted {
        endpoint,
        // Of another time: only what was sent is kept of it.
        generation: progress.generation + 1,
        told: progress.told,
        parked: Vec::new(),
        failing: None,
        replay: None,
        disabled: None,
        rows: vec![
            row(1, DeliveryOutcome::Status(204), Then::Delivered),
            row(2, DeliveryOutcome::Status(500), again),
            row(3, DeliveryOutcome::Unanswered(Arc::from("nobody")), Then::GivenUp),
            row(4, DeliveryOutcome::Status(410), Then::Disabled(WhyDisabled::Gone)),
        ],
    };
    world.runtime.block_on(world.endpoints.note(noted)).unwrap();
    let page = |query: &str| done(&world.get(&format!("{path}/deliveries?{query}"), Some(A)));
    let all = page("");
    assert_eq!(all["url"], format!("{path}/deliveries"));
    let field = |name: &str| -> Vec<Value> {
        let data = all["data"].as_array().unwrap();
        data.iter().map(|row| row[name].clone()).collect()
    };
    assert_eq!(json!(field("number")), json!([4, 3, 2, 1]));
    assert_eq!(json!(field("http_status")), json!([410, null, 500, 204]));
    assert_eq!(json!(field("error")), json!([null, "nobody", null, null]));
    assert_eq!(
        json!(field("outcome")),
        json!(["endpoint_disabled", "given_up", "retried", "delivered"])
    );
    assert_eq!(
        json!(field("next_attempt")),
        json!([null, null, 1_795_238_740, null])
    );
    assert_eq!(json!(field("disabled_reason")), json!(["gone", null, null, null]));
    let first = &all["data"][3];
    assert_eq!(
        *first,
        json!({
            "object": "webhook_delivery", "number": 1, "event": EventId::from_bits(1).to_string(), "type": "payment.voided",
            "payment_id": PaymentId::from_bits(5).to_string(), "sequence": 1, "attempt": 2, "is_resend": false,
            "created": 1_795_238_734, "took_ms": 12, "http_status": 204, "error": null, "outcome": "delivered",
            "next_attempt": null, "disabled_reason": null,
        })
    );
    let part = page("limit=2&starting_after=4");
    assert_eq!(
        (
            &part["data"][0]["number"],
            &part["data"][1]["number"],
            &part["has_more"]
        ),
        (&json!(3), &json!(2), &json!(true))
    );
    let wrong = world.get(&format!("{path}/deliveries?limit=0"), Some(A));
    refused(&wrong, 400, "parameter_invalid_integer", Some("limit"));
    world.stop();
}
