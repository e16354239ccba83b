//! Challenges: asked for, passed, failed, cancelled and too late.

use super::*;
use crate::stripe::Challenged;

const RETURN_URL: &str = "&return_url=https://shop.example/back?cart=1";

fn asked(client: &mut Client, more: &str) -> Value {
    let form = format!("{}{more}", sale("pm_card_threeDSecure2Required"));
    let intent = ok(client.post(CREATE, &form, "confirm"));
    assert_eq!(intent["status"], "requires_action");
    intent
}

fn answer(client: &mut Client, id: &str, passed: Option<bool>) -> Challenged {
    let challenged = client.world.challenge(id, passed, client.now).unwrap();
    client.world.commit().unwrap();
    challenged
}

fn read(client: &mut Client, id: &str) -> Value {
    ok(client.get(&format!("{CREATE}/{id}")))
}

fn over(intent: &Value, passed: bool) -> Challenged {
    let (id, secret) = (
        intent["id"].as_str().unwrap(),
        intent["client_secret"].as_str().unwrap(),
    );
    let result = if passed { "succeeded" } else { "failed" };
    Challenged::Over {
        passed,
        location: Some(format!(
            "https://shop.example/back?cart=1&payment_intent={id}&payment_intent_client_secret={secret}&redirect_status={result}"
        )),
    }
}

#[test]
fn a_passed_challenge_charges_once_under_the_key_of_its_confirmation() {
    for (more, status, operation) in [
        ("", "succeeded", "sale"),
        ("&capture_method=manual", "requires_capture", "authorize"),
    ] {
        let mut client = client();
        let intent = asked(&mut client, &format!("{more}{RETURN_URL}"));
        let id = id_of(&intent);
        assert_eq!(
            intent["next_action"]["redirect_to_url"],
            serde_json::json!({"return_url": &RETURN_URL[12..], "url": format!("http://sandbox/3ds/{id}")})
        );
        assert_eq!(intent["latest_charge"], Value::Null);
        let waiting = answer(&mut client, &id, None);
        assert!(
            matches!(
                &waiting,
                Challenged::Waiting {
                    amount_minor: 1500,
                    ..
                }
            ),
            "{waiting:?}"
        );
        assert!(client.rows().is_empty());

        assert_eq!(answer(&mut client, &id, Some(true)), over(&intent, true));
        let charged = read(&mut client, &id);
        assert_eq!(charged["status"], status);
        assert_eq!(charged["next_action"], Value::Null);
        for passed in [Some(false), Some(true), None] {
            assert_eq!(
                answer(&mut client, &id, passed),
                over(&intent, true),
                "{passed:?}"
            );
        }
        assert_eq!(read(&mut client, &id), charged);
        let rows = client.rows();
        assert_eq!(rows.len(), 1);
        assert_eq!(
            (&rows[0]["operation"], &rows[0]["idempotency_key"], &rows[0]["id"]),
            (&operation.into(), &"confirm".into(), &charged["latest_charge"])
        );
    }
}

#[test]
fn a_failed_challenge_charges_nothing_and_lets_another_method_follow() {
    let mut client = client();
    let intent = asked(&mut client, RETURN_URL);
    let id = id_of(&intent);
    assert_eq!(answer(&mut client, &id, Some(false)), over(&intent, false));
    let failed = read(&mut client, &id);
    assert_eq!(failed["status"], "requires_payment_method");
    let error = &failed["last_payment_error"];
    assert_eq!(error["code"], "payment_intent_authentication_failure");
    assert_eq!(error["payment_method"]["id"], "pm_card_threeDSecure2Required");
    assert_eq!(answer(&mut client, &id, Some(true)), over(&intent, false));
    assert!(client.rows().is_empty());

    let path = format!("{CREATE}/{id}/confirm");
    let confirmed = ok(client.post(&path, "payment_method=pm_card_visa", "again"));
    assert_eq!(confirmed["status"], "succeeded");
    assert_eq!(confirmed["last_payment_error"], Value::Null);
    assert_eq!(client.rows().len(), 1);
}

#[test]
fn a_cancelled_intent_can_no_longer_be_charged_by_its_challenge() {
    let mut client = client();
    let intent = asked(&mut client, RETURN_URL);
    let id = id_of(&intent);
    let canceled = ok(client.post(&format!("{CREATE}/{id}/cancel"), "", "close"));
    assert_eq!(canceled["status"], "canceled");
    assert_eq!(answer(&mut client, &id, Some(true)), over(&intent, false));
    assert_eq!(read(&mut client, &id), canceled);
    assert!(client.rows().is_empty());
}

#[test]
fn only_intents_that_asked_have_a_challenge_and_without_a_return_url_it_ends_where_it_is() {
    let mut client = client();
    let plain = ok(client.post(CREATE, &sale("pm_card_visa"), "a"));
    for id in [id_of(&plain), "pi_unknown".to_owned()] {
        for passed in [None, Some(true), Some(false)] {
            assert_eq!(answer(&mut client, &id, passed), Challenged::Unknown);
        }
    }
    let id = id_of(&asked(&mut client, ""));
    let ended = Challenged::Over {
        passed: true,
        location: None,
    };
    assert_eq!(answer(&mut client, &id, Some(true)), ended);
    assert_eq!(client.rows().len(), 2);
}
