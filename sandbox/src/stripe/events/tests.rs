//! Which events are sent, how, and when.

use super::*;
use crate::stripe::authentication;
use crate::world::tests::{Client, ok};
use serde_json::Value;

const CREATE: &str = "/v1/payment_intents";
const SECRET: &str = "whsec_sandbox";

fn client() -> Client {
    let mut client = Client::in_memory();
    let target = parse_target(br#"{"url": "http://127.0.0.1:1/x", "secret": "whsec_sandbox"}"#).unwrap();
    client.world.tell_stripe(target);
    client
}

fn sale(method: &str) -> String {
    format!("amount=1500&currency=usd&payment_method={method}&confirm=true&metadata[payment_id]=pay_1")
}

/// Whatever is due: it is acknowledged.
fn due(client: &mut Client) -> Vec<Due> {
    let (due, _) = client.world.notices(&[], 100, client.now);
    let told: Vec<_> = due.iter().map(|due| (due.of, true)).collect();
    client.world.notices(&told, 0, client.now);
    due
}

fn body(due: &Due) -> Value {
    serde_json::from_slice(&due.body).unwrap()
}

fn kinds(client: &mut Client) -> Vec<String> {
    due(client)
        .iter()
        .map(|due| body(due)["type"].as_str().unwrap().to_owned())
        .collect()
}

fn id_of(intent: &Value) -> String {
    intent["id"].as_str().unwrap().to_owned()
}

#[test]
fn what_happens_to_objects_is_told_once_each_in_its_own_words() {
    let mut client = client();
    let bare = "amount=1500&currency=usd&payment_method=pm_card_visa";
    let made = id_of(&ok(client.post(CREATE, bare, "bare")));
    assert!(kinds(&mut client).is_empty(), "nothing is charged yet");
    ok(client.post(&format!("{CREATE}/{made}/confirm"), "", "confirm"));
    assert_eq!(
        kinds(&mut client),
        ["charge.succeeded", "payment_intent.succeeded"]
    );
    // A replay does nothing again.
    ok(client.post(&format!("{CREATE}/{made}/confirm"), "", "confirm"));
    assert!(kinds(&mut client).is_empty());
    ok(client.post(
        "/v1/refunds",
        &format!("payment_intent={made}&amount=100"),
        "refund",
    ));
    assert_eq!(kinds(&mut client), ["charge.refunded", "refund.created"]);

    client.post(CREATE, &sale("pm_card_visa_chargeDeclined"), "declined");
    assert_eq!(
        kinds(&mut client),
        ["charge.failed", "payment_intent.payment_failed"]
    );

    let options = "payment_method_options[card][request_multicapture]=if_available\
        &payment_method_options[card][request_incremental_authorization]=if_available";
    let hold = format!("{}&capture_method=manual&{options}", sale("pm_card_visa"));
    let id = id_of(&ok(client.post(CREATE, &hold, "hold")));
    let capturable = "payment_intent.amount_capturable_updated";
    assert_eq!(kinds(&mut client), ["charge.succeeded", capturable]);
    ok(client.post(
        &format!("{CREATE}/{id}/increment_authorization"),
        "amount=2000",
        "more",
    ));
    assert_eq!(kinds(&mut client), [capturable]);
    let capture = format!("{CREATE}/{id}/capture");
    ok(client.post(&capture, "amount_to_capture=400&final_capture=false", "some"));
    assert_eq!(kinds(&mut client), ["charge.captured", capturable]);
    assert_eq!(client.post(&capture, "amount_to_capture=9000", "too much").0, 400);
    assert!(kinds(&mut client).is_empty(), "a refusal changes nothing");
    ok(client.post(&capture, "amount_to_capture=600", "last"));
    assert_eq!(
        kinds(&mut client),
        ["charge.captured", "payment_intent.succeeded"]
    );

    let voided = id_of(&ok(client.post(CREATE, &hold, "to void")));
    ok(client.post(&format!("{CREATE}/{voided}/cancel"), "", "void"));
    assert_eq!(kinds(&mut client)[2..], ["payment_intent.canceled"]);
}

#[test]
fn a_challenge_is_told_and_so_is_its_end() {
    let mut client = client();
    for (passed, told) in [
        (true, vec!["charge.succeeded", "payment_intent.succeeded"]),
        (false, vec!["payment_intent.payment_failed"]),
    ] {
        let key = format!("challenged {passed}");
        let id = id_of(&ok(client.post(
            CREATE,
            &sale("pm_card_threeDSecure2Required"),
            &key,
        )));
        assert_eq!(kinds(&mut client), ["payment_intent.requires_action"]);
        client
            .world
            .handle(&authentication(&id, passed), client.now)
            .unwrap();
        assert_eq!(kinds(&mut client), told);
    }
}

#[test]
fn an_event_is_signed_over_its_bytes_with_the_time_at_which_it_is_sent() {
    let mut client = client();
    ok(client.post(CREATE, &sale("pm_card_visa"), "k"));
    let due = due(&mut client);
    let sent = due.last().unwrap();
    let (header, seal) = sent.seal.as_ref().unwrap();
    let signed_at = client.now.seconds();
    let payload = [format!("{signed_at}.").as_bytes(), &sent.body].concat();
    let expected = format!(
        "t={signed_at},v1={}",
        hex(&hmac_sha256(SECRET.as_bytes(), &payload))
    );
    assert_eq!((*header, seal), ("stripe-signature", &expected));
    let event = body(sent);
    assert_eq!(
        (&event["object"], &event["livemode"]),
        (&Value::from("event"), &Value::from(false))
    );
    let intent = &event["data"]["object"];
    assert_eq!(intent["metadata"]["payment_id"], "pay_1");
    assert_eq!(intent["amount_received"], 1500);
    assert!(intent["latest_charge"].as_str().unwrap().starts_with("ch_"));
    let charge = body(&due[0])["data"]["object"].clone();
    assert_eq!(
        (&charge["id"], &charge["payment_intent"]),
        (&intent["latest_charge"], &intent["id"])
    );
}

#[test]
fn what_is_not_acknowledged_comes_again_and_faults_tell_twice_or_late() {
    let mut client = client();
    client.fault("authorize", "duplicate_webhook", r#","count":1"#);
    client.fault("authorize", "late_webhook", r#","delay_ms":500,"count":1"#);
    ok(client.post(CREATE, &sale("pm_card_visa"), "k"));
    let (due_now, next_ms) = client.world.notices(&[], 100, client.now);
    assert_eq!((due_now.len(), next_ms), (0, Some(500)));
    client.now = client.now.plus_ms(500);
    let (due_then, _) = client.world.notices(&[], 1, client.now);
    assert_eq!((due_then.len(), due_then[0].copies), (1, 2));
    let failed = [(due_then[0].of, false)];
    let (others, next_ms) = client.world.notices(&failed, 100, client.now);
    assert_eq!((others.len(), next_ms), (1, Some(WAIT_MS_MIN)));
    client.now = client.now.plus_ms(WAIT_MS_MIN);
    let (again, _) = client.world.notices(&[(others[0].of, true)], 100, client.now);
    assert_eq!(again.len(), 1);
    assert_eq!(body(&again[0]), body(&due_then[0]));
    client.world.notices(&[(again[0].of, true)], 100, client.now);
    assert!(kinds(&mut client).is_empty());
}

#[test]
fn nobody_is_told_before_there_is_an_address_and_a_wrong_one_is_refused() {
    let mut client = Client::in_memory();
    ok(client.post(CREATE, &sale("pm_card_visa"), "k"));
    let target = parse_target(br#"{"url": "http://127.0.0.1:1/x", "secret": "whsec_sandbox"}"#).unwrap();
    client.world.tell_stripe(target);
    assert!(kinds(&mut client).is_empty());
    for wrong in [
        "{}",
        r#"{"url": "https://shop.example/x", "secret": "whsec_sandbox"}"#,
        r#"{"url": "http://shop.example", "secret": "whsec_sandbox"}"#,
        r#"{"url": "http://shop.example/x", "secret": "short"}"#,
        r#"{"url": "http://shop.example/x", "secret": "whsec_one,whsec_two"}"#,
        r#"{"url": "http://shop.example/x", "secret": "whsec_sandbox", "more": 1}"#,
    ] {
        assert!(parse_target(wrong.as_bytes()).is_err(), "{wrong}");
    }
}
