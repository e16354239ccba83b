//! What each fault mode executes, stores and answers.

use super::{CREATE, client, id_of, sale};
use crate::stripe::Delivery;
use crate::world::tests::ok;

#[test]
fn every_fault_mode_does_what_it_says() {
    // mode, status if answered, rows, what the same key gets once the fault is gone: status, replayed
    for (mode, status, rows, again) in [
        ("decline", Some(402), 0, (402, true)),
        ("timeout_before", None, 0, (409, false)),
        ("timeout_after_charge", None, 1, (200, true)),
        ("http_500", Some(500), 0, (500, true)),
        ("rate_limit", Some(429), 0, (200, false)),
        ("slow", Some(200), 1, (409, false)),
        ("drop_connection", None, 0, (200, false)),
    ] {
        let mut client = client();
        client.fault("authorize", mode, "");
        let answered = client.send("POST", CREATE, &sale("pm_card_visa"), Some("key"));
        assert_eq!(
            answered.reply.as_ref().map(|reply| reply.status),
            status,
            "{mode}"
        );
        let delivery = match mode {
            "timeout_before" => Delivery::Silence {
                release: Some(client.slot(CREATE, &sale("pm_card_visa"), "key")),
            },
            "timeout_after_charge" => Delivery::Silence { release: None },
            "slow" => Delivery::After { delay_ms: 2000 },
            "drop_connection" => Delivery::Close,
            _ => Delivery::Now,
        };
        assert_eq!(answered.delivery, delivery, "{mode}");
        assert_eq!(client.rows().len(), rows, "{mode}");
        client.world.faults.clear();
        let reply = client.raw_post(CREATE, &sale("pm_card_visa"), "key");
        assert_eq!((reply.status, reply.replayed), again, "{mode}");
        assert!(client.rows().len() <= 1, "{mode}");
    }
}

#[test]
fn a_key_in_progress_is_free_when_its_connection_ends() {
    let mut client = client();
    client.fault("authorize", "timeout_before", r#","count":1"#);
    client.send("POST", CREATE, &sale("pm_card_visa"), Some("key"));
    assert_eq!(
        client.post(CREATE, &sale("pm_card_visa"), "key").1["error"]["code"],
        "idempotency_key_in_use"
    );
    assert_eq!(client.post(CREATE, &sale("pm_card_amex"), "key").0, 400);
    let slot = client.slot(CREATE, &sale("pm_card_visa"), "key");
    client.world.release(slot);
    ok(client.post(CREATE, &sale("pm_card_visa"), "key"));
    assert_eq!(client.rows().len(), 1);
}

#[test]
fn a_key_in_progress_is_free_when_its_time_is_over() {
    for (mode, replayed) in [("timeout_before", false), ("slow", true)] {
        let mut client = client();
        client.fault("authorize", mode, r#","count":1"#);
        client.send("POST", CREATE, &sale("pm_card_visa"), Some("key"));
        assert_eq!(
            client.raw_post(CREATE, &sale("pm_card_visa"), "key").status,
            409,
            "{mode}"
        );
        client.now = client.now.plus_ms(30_000);
        let reply = client.raw_post(CREATE, &sale("pm_card_visa"), "key");
        assert_eq!((reply.status, reply.replayed), (200, replayed), "{mode}");
    }
}

#[test]
fn faults_hit_only_the_operation_they_name() {
    let mut client = client();
    client.fault("authorize", "http_500", "");
    let form = sale("pm_card_visa").replace("&confirm=true", "&capture_method=manual");
    let intent = ok(client.post(CREATE, &form, "bare create"));
    let path = format!("{CREATE}/{}", id_of(&intent));
    assert_eq!(client.post(&format!("{path}/confirm"), "", "a").0, 500);
    assert_eq!(ok(client.get(&path))["status"], "requires_confirmation");
    client.world.faults.clear();
    ok(client.post(&format!("{path}/confirm"), "", "b"));
    for (operation, verb) in [("capture", "capture"), ("void", "cancel")] {
        client.fault(operation, "decline", "");
        assert_eq!(client.post(&format!("{path}/{verb}"), "", operation).0, 402);
        assert_eq!(ok(client.get(&path))["status"], "requires_capture");
    }
    client.world.faults.clear();
    ok(client.post(&format!("{path}/capture"), "", "c"));
    client.fault("refund", "decline", "");
    assert_eq!(
        client
            .post("/v1/refunds", &format!("payment_intent={}", id_of(&intent)), "d")
            .0,
        402
    );
    client.fault("query", "rate_limit", "");
    assert_eq!(client.get(&path).0, 429);
    assert_eq!(client.rows().len(), 2);
}

#[test]
fn replays_and_invalid_requests_do_not_use_up_a_fault() {
    let mut client = client();
    ok(client.post(CREATE, &sale("pm_card_visa"), "a"));
    client.fault("authorize", "http_500", r#","count":1"#);
    assert!(client.raw_post(CREATE, &sale("pm_card_visa"), "a").replayed);
    assert_eq!(
        client.post(CREATE, "amount=1&currency=usd&confirm=true", "b").0,
        400
    );
    assert_eq!(client.post(CREATE, &sale("pm_card_visa"), "c").0, 500);
    ok(client.post(CREATE, &sale("pm_card_visa"), "d"));
}
