//! Tests of the module beside it.

use super::super::response::{executed, read_intent, read_refund};
use super::super::sample::{CAPTURE, OTHER_CAPTURE, attempt, check, error, intent, refund, reply};
use super::*;
use OperationKind::{Authorize, Capture, Increment, Refund as Refunding, Sale, Void};
use serde_json::{Value, json};

/// Operation, state of the intent, what else it says; then what the operation's own answer means, and what a look means.
const STATES: &str = "
    sale       succeeded                charged   | succeeded pi_1 ch_1 1500             | succeeded pi_1 ch_1 1500
    sale       succeeded                -         | succeeded pi_1 pi_1 1500             | succeeded pi_1 pi_1 1500
    sale       requires_capture         charged   | unknown pi_1                         | unknown pi_1
    sale       requires_action          redirect  | action pi_1 https://bank             | action pi_1 https://bank
    sale       requires_action          in_app    | action pi_1 -                        | action pi_1 -
    sale       processing               -         | pending pi_1                         | pending pi_1
    sale       canceled                 -         | cancelled pi_1                       | cancelled pi_1
    sale       requires_payment_method  lost      | declined lost_card pi_1              | declined lost_card pi_1
    sale       requires_payment_method  network   | declined lost_card pi_1 41           | declined lost_card pi_1 41
    sale       requires_payment_method  expired   | declined expired_card pi_1           | declined expired_card pi_1
    sale       requires_payment_method  -         | declined generic_decline pi_1        | unknown pi_1
    sale       requires_confirmation    -         | unknown pi_1                         | unknown pi_1
    sale       requires_tribute         -         | unknown pi_1                         | unknown pi_1
    authorize  requires_capture         charged   | succeeded pi_1 ch_1 1500             | succeeded pi_1 ch_1 1500
    authorize  succeeded                charged   | unknown pi_1                         | unknown pi_1
    authorize  requires_action          redirect  | action pi_1 https://bank             | action pi_1 https://bank
    authorize  processing               -         | pending pi_1                         | pending pi_1
    authorize  canceled                 -         | cancelled pi_1                       | cancelled pi_1
    authorize  requires_payment_method  lost      | declined lost_card pi_1              | declined lost_card pi_1
    authorize  requires_payment_method  -         | declined generic_decline pi_1        | unknown pi_1
    authorize  requires_confirmation    -         | unknown pi_1                         | unknown pi_1
    capture    succeeded                charged   | succeeded pi_1 ch_1 1500             | unknown pi_1
    capture    processing               -         | pending pi_1                         | unknown pi_1
    capture    requires_capture         -         | succeeded pi_1 pi_1 0                | unknown pi_1
    capture    canceled                 -         | cancelled pi_1                       | cancelled pi_1
    capture    requires_action          -         | unknown pi_1                         | unknown pi_1
    capture    requires_confirmation    -         | unknown pi_1                         | unknown pi_1
    capture    requires_payment_method  lost      | unknown pi_1                         | unknown pi_1
    increment  requires_capture         charged   | succeeded pi_1 ch_1 500              | succeeded pi_1 ch_1 500
    increment  succeeded                charged   | succeeded pi_1 ch_1 500              | succeeded pi_1 ch_1 500
    increment  canceled                 -         | cancelled pi_1                       | cancelled pi_1
    increment  processing               -         | unknown pi_1                         | unknown pi_1
    void       canceled                 charged   | succeeded pi_1 ch_1 1500             | succeeded pi_1 ch_1 1500
    void       requires_capture         charged   | unknown pi_1                         | unknown pi_1
    void       succeeded                charged   | unknown pi_1                         | unknown pi_1
    void       processing               -         | unknown pi_1                         | unknown pi_1
    void       requires_action          redirect  | unknown pi_1                         | unknown pi_1
    void       requires_confirmation    -         | unknown pi_1                         | unknown pi_1
    void       requires_payment_method  lost      | unknown pi_1                         | unknown pi_1
    refund     succeeded                charged   | unknown -                            | unknown pi_1
";

fn said(word: &str) -> Value {
    match word {
        "charged" => json!({"latest_charge": "ch_1"}),
        "lost" => json!({"last_payment_error": {"code": "card_declined", "decline_code": "lost_card"}}),
        "network" => json!({"last_payment_error": {
            "code": "card_declined", "decline_code": "lost_card", "network_decline_code": "41",
        }}),
        "expired" => json!({"last_payment_error": {"code": "expired_card", "decline_code": null}}),
        "redirect" => {
            json!({"next_action": {"type": "redirect_to_url", "redirect_to_url": {"url": "https://bank"}}})
        }
        "in_app" => json!({"next_action": {"type": "use_stripe_sdk", "use_stripe_sdk": {"a": 1}}}),
        "-" => Value::Null,
        other => panic!("{other}"),
    }
}

#[test]
fn every_state_of_an_intent_has_one_meaning_per_operation_and_view() {
    for row in STATES.trim().lines() {
        let [about, answer, look] = *row.split('|').map(str::trim).collect::<Vec<_>>() else {
            panic!("{row}")
        };
        let [kind, status, word] = *about.split_whitespace().collect::<Vec<_>>() else {
            panic!("{row}")
        };
        let kinds = [Sale, Authorize, Capture, Increment, Void, Refunding];
        let kind = kinds.into_iter().find(|known| known.as_str() == kind).unwrap();
        let body = reply(200, &intent(status, &said(word)));
        check(
            &format!("answered: {row}"),
            &executed(&attempt(kind), &body),
            answer,
        );
        check(&format!("seen: {row}"), &read_intent(&attempt(kind), &body), look);
    }
}

#[test]
fn escaped_texts_are_read_like_plain_ones() {
    let body = intent(
        "requires_action",
        &json!({"next_action": {"redirect_to_url": {"url": "https://bank"}}}),
    );
    let escaped = body
        .to_string()
        .replace("https://bank", r"https:\/\/b\u0061nk")
        .replace("usd", r"us\u0064");
    assert!(escaped.contains('\\'));
    check(
        "escaped",
        &executed(&attempt(Sale), &reply(200, &escaped)),
        "action pi_1 https://bank",
    );
}

#[test]
fn amounts_are_the_providers_own_and_contradictions_are_unknown() {
    let short = json!({"amount_received": 1400});
    let partly = json!({"amount_received": 700});
    let euros = json!({"currency": "eur"});
    let capitals = json!({"currency": "USD"});
    let silent = json!({"amount_received": null});
    let half = json!({"amount_capturable": 750});
    let stranger = json!({"id": "pi_2"});
    let kept = json!({"amount_received": 10});
    let rows: Vec<(OperationKind, &str, &Value, &str)> = vec![
        (Sale, "succeeded", &short, "succeeded pi_1 pi_1 1400"),
        (Sale, "succeeded", &euros, "unknown pi_1"),
        (Sale, "succeeded", &capitals, "succeeded pi_1 pi_1 1500"),
        (Sale, "succeeded", &silent, "unknown pi_1"),
        (Sale, "succeeded", &stranger, "unknown pi_1"),
        (Sale, "canceled", &kept, "unknown pi_1"),
        (Authorize, "requires_capture", &half, "succeeded pi_1 pi_1 750"),
        (Authorize, "requires_capture", &euros, "unknown pi_1"),
        (Authorize, "canceled", &kept, "unknown pi_1"),
        (Void, "canceled", &partly, "succeeded pi_1 pi_1 800"),
        (Void, "canceled", &silent, "unknown pi_1"),
        (Void, "succeeded", &partly, "succeeded pi_1 pi_1 800"),
        (Void, "succeeded", &silent, "unknown pi_1"),
        (Capture, "succeeded", &short, "succeeded pi_1 pi_1 1400"),
        (Capture, "succeeded", &stranger, "unknown -"),
        (Capture, "succeeded", &silent, "unknown pi_1"),
    ];
    for (kind, status, changes, expected) in rows {
        let name = format!("{kind:?} {status} {changes}");
        check(
            &name,
            &executed(&attempt(kind), &reply(200, &intent(status, changes))),
            expected,
        );
    }
}

#[test]
fn captures_of_one_intent_are_told_apart_by_their_records() {
    let both = json!({"operation_id": OTHER_CAPTURE, CAPTURE: "1000", OTHER_CAPTURE: "500"});
    let other = json!({"operation_id": OTHER_CAPTURE, OTHER_CAPTURE: "500"});
    let broken = json!({CAPTURE: "1000", OTHER_CAPTURE: "all"});
    // status, received, records, seen in the answer, seen in a look
    let rows: Vec<(&str, u64, &Value, &str, &str)> = vec![
        (
            "succeeded",
            1500,
            &both,
            "succeeded pi_1 pi_1 1000",
            "succeeded pi_1 pi_1 1000",
        ),
        (
            "requires_capture",
            1500,
            &both,
            "succeeded pi_1 pi_1 1000",
            "succeeded pi_1 pi_1 1000",
        ),
        (
            "canceled",
            1500,
            &both,
            "succeeded pi_1 pi_1 1000",
            "succeeded pi_1 pi_1 1000",
        ),
        (
            "succeeded",
            1600,
            &both,
            "succeeded pi_1 pi_1 1100",
            "succeeded pi_1 pi_1 1100",
        ),
        (
            "requires_capture",
            500,
            &other,
            "succeeded pi_1 pi_1 0",
            "unknown pi_1",
        ),
        ("succeeded", 500, &other, "succeeded pi_1 pi_1 0", "unknown pi_1"),
        ("canceled", 500, &other, "cancelled pi_1", "cancelled pi_1"),
        ("canceled", 900, &other, "unknown pi_1", "unknown pi_1"),
        ("succeeded", 1500, &broken, "unknown pi_1", "unknown pi_1"),
    ];
    for (status, received_minor, records, answer, look) in rows {
        let body = intent(
            status,
            &json!({"amount_received": received_minor, "metadata": records}),
        );
        let (body, name) = (reply(200, &body), format!("{status} {received_minor} {records}"));
        check(
            &format!("{name} answered"),
            &executed(&attempt(Capture), &body),
            answer,
        );
        check(
            &format!("{name} seen"),
            &read_intent(&attempt(Capture), &body),
            look,
        );
    }
}

#[test]
fn refunds_end_as_they_say() {
    let lost = json!({"failure_reason": "lost_or_stolen_card"});
    let (less, euros) = (json!({"amount": 20}), json!({"currency": "eur"}));
    let (elsewhere, other) = (
        json!({"payment_intent": "pi_2"}),
        json!({"metadata": {"operation_id": "ref_x"}}),
    );
    let none = Value::Null;
    let rows: Vec<(&str, &Value, &str)> = vec![
        ("succeeded", &none, "succeeded re_1 re_1 1500"),
        ("succeeded", &less, "succeeded re_1 re_1 20"),
        ("succeeded", &euros, "unknown re_1"),
        ("succeeded", &elsewhere, "unknown -"),
        ("succeeded", &other, "unknown -"),
        ("pending", &none, "pending re_1"),
        ("requires_action", &none, "pending re_1"),
        ("failed", &lost, "declined lost_or_stolen_card re_1"),
        ("failed", &none, "declined refund_failed re_1"),
        ("canceled", &none, "cancelled re_1"),
        ("unheard_of", &none, "unknown re_1"),
    ];
    for (status, changes, expected) in rows {
        let body = reply(200, &refund(status, changes));
        check(
            &format!("{status} {changes}"),
            &executed(&attempt(Refunding), &body),
            expected,
        );
        check(
            &format!("{status} {changes} read"),
            &read_refund(&attempt(Refunding), &body),
            expected,
        );
    }
    let declined = error(&json!({"type": "card_error", "code": "card_declined"}));
    check(
        "402",
        &executed(&attempt(Refunding), &reply(402, &declined)),
        "declined card_declined -",
    );
    let again = error(&json!({"type": "invalid_request_error", "code": "charge_already_refunded"}));
    check(
        "400",
        &executed(&attempt(Refunding), &reply(400, &again)),
        "rejected",
    );
}

#[test]
fn sums_that_contradict_each_other_decide_nothing() {
    let recorded = json!({"amount_received": 500, "metadata": {CAPTURE: "1000", OTHER_CAPTURE: "1000"}});
    let answer = reply(200, &intent("succeeded", &recorded));
    check(
        "more recorded than received",
        &executed(&attempt(Capture), &answer),
        "unknown pi_1",
    );
    let received = json!({"amount_received": 2000});
    let answer = reply(200, &intent("canceled", &received));
    check(
        "more received than authorized",
        &executed(&attempt(Void), &answer),
        "unknown pi_1",
    );
    let unnamed = json!({"latest_charge": ""});
    let answer = reply(200, &intent("succeeded", &unnamed));
    check(
        "a charge without a name",
        &executed(&attempt(Sale), &answer),
        "succeeded pi_1 pi_1 1500",
    );
}
