//! What an idempotency key replays, refuses and forgets.

use serde_json::Value;

use super::{CREATE, client, id_of, sale};
use crate::world::tests::ok;

#[test]
fn a_key_replays_its_answer_and_refuses_another_request() {
    let mut client = client();
    let sold = client.raw_post(CREATE, &sale("pm_card_visa"), "same");
    let again = client.raw_post(CREATE, &sale("pm_card_visa"), "same");
    assert_eq!((again.status, &again.body), (sold.status, &sold.body));
    assert_eq!(again.executed_as, sold.executed_as);
    assert!(again.replayed && !sold.replayed);
    let (status, body) = client.post(CREATE, &sale("pm_card_amex"), "same");
    assert_eq!(
        (status, body["error"]["type"].as_str()),
        (400, Some("idempotency_error"))
    );
    assert_eq!(client.rows().len(), 1);
    let (status, _) = client.post(CREATE, &sale("pm_card_visa_chargeDeclined"), "declined");
    assert_eq!(status, 402);
    assert!(
        client
            .raw_post(CREATE, &sale("pm_card_visa_chargeDeclined"), "declined")
            .replayed
    );
}

#[test]
fn a_replay_shows_the_object_as_it_was_answered_first() {
    let mut client = client();
    let form = format!("{}&capture_method=manual", sale("pm_card_visa"));
    let authorized = client.raw_post(CREATE, &form, "a");
    let intent: Value = serde_json::from_slice(&authorized.body).unwrap();
    ok(client.post(&format!("{CREATE}/{}/capture", id_of(&intent)), "", "b"));
    assert_eq!(client.raw_post(CREATE, &form, "a").body, authorized.body);
}

#[test]
fn keys_of_two_accounts_are_two_keys() {
    let mut client = client();
    ok(client.post(CREATE, &sale("pm_card_visa"), "same"));
    client.api_key = "sk_test_other".to_owned();
    assert!(!client.raw_post(CREATE, &sale("pm_card_visa"), "same").replayed);
    assert_eq!(client.rows().len(), 2);
}

#[test]
fn a_key_is_free_again_after_a_day() {
    let mut client = client();
    ok(client.post(CREATE, &sale("pm_card_visa"), "same"));
    client.now = client.now.plus_ms(24 * 3600 * 1000 - 1);
    assert!(client.raw_post(CREATE, &sale("pm_card_visa"), "same").replayed);
    client.now = client.now.plus_ms(1);
    assert!(!client.raw_post(CREATE, &sale("pm_card_visa"), "same").replayed);
    assert_eq!(client.rows().len(), 2);
}

#[test]
fn invalid_requests_leave_their_key_free() {
    let mut client = client();
    assert_eq!(
        client
            .post(CREATE, "amount=1&currency=usd&confirm=true", "same")
            .0,
        400
    );
    assert_eq!(
        client.post(&format!("{CREATE}/pi_unknown/capture"), "", "same").0,
        404
    );
    assert_eq!(
        client.post("/v1/refunds", "payment_intent=pi_unknown", "same").0,
        400
    );
    ok(client.post(CREATE, &sale("pm_card_visa"), "same"));
}

#[test]
fn a_refusal_by_state_is_stored() {
    let mut client = client();
    let intent = ok(client.post(CREATE, "amount=5&currency=usd", "a"));
    let path = format!("{CREATE}/{}", id_of(&intent));
    let refused = client.raw_post(&format!("{path}/capture"), "", "b");
    assert_eq!(refused.status, 400);
    let again = client.raw_post(&format!("{path}/capture"), "", "b");
    assert!(again.replayed);
    assert_eq!(again.body, refused.body);
}
