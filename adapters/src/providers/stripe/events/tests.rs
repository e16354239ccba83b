//! Tests of the module beside it.

use super::super::sample::{CAPTURE, INTENT, OTHER_CAPTURE, PAYMENT, REFUND, intent, refund};
use super::*;
use crate::providers::sample::line;
use serde_json::{Value, json};

const INCREMENT: &str = "inc_00000000000000000000000005";
const REVERSAL: &str = "rev_00000000000000000000000006";

fn event(kind: &str, object: &Value) -> Vec<u8> {
    let event = json!({
        "id": "evt_1", "object": "event", "type": kind, "livemode": false, "created": 1, "data": {"object": object},
        "request": {"id": null, "idempotency_key": null},
    });
    event.to_string().into_bytes()
}

/// What is said, in lines: the operation, the object that names the attempt, and the word.
fn lines(kind: &str, object: &Value) -> Vec<String> {
    let body = event(kind, object);
    let told = told(&parse(&body).unwrap()).unwrap();
    let show = |told: &Told| {
        assert_eq!(
            (told.payment.to_string().as_str(), told.currency),
            (PAYMENT, Currency::USD)
        );
        let object = match &told.attempt {
            Named::Charge(charge) => charge.to_string(),
            Named::Refund { refund, charge } => format!("{refund}/{charge}"),
            Named::KeyEnd(_) => panic!("Stripe names no keys"),
        };
        let or_none = |text: &Option<ProviderReference>| text.as_deref().unwrap_or("-").to_owned();
        let said = match &told.said {
            Said::Became(outcome) => line(outcome),
            Said::Reserved {
                transaction,
                amount_minor,
                ..
            } => format!("reserved {transaction} {amount_minor}"),
            Said::Released {
                transaction,
                released_minor,
                taken_minor,
                is_closed,
            } => {
                let how = if *is_closed { "closed" } else { "let go" };
                format!("{how} {} {released_minor} of {taken_minor}", or_none(transaction))
            }
            Said::TakenBack {
                unheard,
                amount_minor,
                ..
            } => format!(
                "took back {amount_minor}, else {}",
                unheard.as_ref().map_or("nothing".to_owned(), line)
            ),
            Said::Changed => "changed".to_owned(),
            Said::NotClosed => "not closed".to_owned(),
        };
        format!("{} {object} {said}", told.operation)
    };
    told.iter().map(show).collect()
}

#[track_caller]
fn says(kind: &str, object: &Value, expected: &[&str]) {
    assert_eq!(lines(kind, object), expected, "{kind} {object}");
}

fn manual(status: &str, changes: &Value) -> Value {
    let mut object = intent(status, changes);
    object["capture_method"] = json!("manual");
    object
}

fn charge(changes: &Value) -> Value {
    let mut charge = json!({
        "id": "ch_1", "object": "charge", "amount": 1500, "amount_captured": 1500, "captured": true, "currency": "usd",
        "payment_intent": INTENT, "metadata": {"payment_id": PAYMENT, "operation_id": PAYMENT}, "status": "succeeded",
    });
    for (name, value) in changes.as_object().into_iter().flatten() {
        charge[name] = value.clone();
    }
    charge
}

#[test]
fn an_intent_says_how_it_stands_of_the_operations_that_it_names() {
    let charged = json!({"latest_charge": "ch_1", "capture_method": "automatic"});
    says(
        "payment_intent.succeeded",
        &intent("succeeded", &charged),
        &[&format!("{PAYMENT} pi_1 succeeded pi_1 ch_1 1500")],
    );
    // An old version of the API names no charge: a success by another name could look like another charge.
    says(
        "payment_intent.succeeded",
        &intent("succeeded", &json!({"capture_method": "automatic"})),
        &[&format!("{PAYMENT} pi_1 changed")],
    );
    says(
        "payment_intent.amount_capturable_updated",
        &manual("requires_capture", &json!({"latest_charge": "ch_1"})),
        &[&format!("{PAYMENT} pi_1 reserved ch_1 1500")],
    );
    says(
        "payment_intent.requires_action",
        &intent("requires_action", &json!({})),
        &[&format!("{PAYMENT} pi_1 action pi_1 -")],
    );
    says(
        "payment_intent.processing",
        &intent("processing", &json!({})),
        &[&format!("{PAYMENT} pi_1 pending pi_1")],
    );
    let lost = json!({"last_payment_error": {"code": "card_declined", "decline_code": "lost_card"}});
    says(
        "payment_intent.payment_failed",
        &intent("requires_payment_method", &lost),
        &[&format!("{PAYMENT} pi_1 declined lost_card pi_1")],
    );
    // It was never confirmed.
    says(
        "payment_intent.payment_failed",
        &intent("requires_payment_method", &json!({})),
        &[],
    );
    says(
        "payment_intent.canceled",
        &manual("canceled", &json!({"latest_charge": "ch_1"})),
        &[&format!("{PAYMENT} pi_1 closed ch_1 1500 of 0")],
    );
    says(
        "payment_intent.canceled",
        &intent("canceled", &json!({})),
        &[&format!("{PAYMENT} pi_1 closed - 1500 of 0")],
    );
}

#[test]
fn captures_and_increments_are_told_by_their_records_and_the_rest_is_let_go() {
    let both =
        json!({"payment_id": PAYMENT, "operation_id": OTHER_CAPTURE, CAPTURE: "600", OTHER_CAPTURE: "400"});
    let seen = json!({"latest_charge": "ch_1", "amount_received": 1000, "metadata": both});
    says(
        "payment_intent.succeeded",
        &manual("succeeded", &seen),
        &[
            &format!("{CAPTURE} pi_1 succeeded pi_1 ch_1 600"),
            &format!("{OTHER_CAPTURE} pi_1 succeeded pi_1 ch_1 400"),
            &format!("{PAYMENT} pi_1 let go ch_1 500 of 1000"),
        ],
    );
    // The records say more than what was received.
    let short = json!({"latest_charge": "ch_1", "amount_received": 300, "metadata": both});
    says(
        "payment_intent.succeeded",
        &manual("succeeded", &short),
        &[
            &format!("{CAPTURE} pi_1 changed"),
            &format!("{OTHER_CAPTURE} pi_1 changed"),
            &format!("{PAYMENT} pi_1 let go ch_1 1200 of 300"),
        ],
    );
    let broken = json!({"payment_id": PAYMENT, CAPTURE: "all"});
    let broken = json!({"latest_charge": "ch_1", "amount_received": 1500, "metadata": broken});
    says(
        "payment_intent.succeeded",
        &manual("succeeded", &broken),
        &[&format!("{PAYMENT} pi_1 changed")],
    );
    let part = json!({"payment_id": PAYMENT, "operation_id": CAPTURE, CAPTURE: "600"});
    let part =
        json!({"latest_charge": "ch_1", "amount_received": 600, "amount_capturable": 900, "metadata": part});
    says(
        "payment_intent.amount_capturable_updated",
        &manual("requires_capture", &part),
        &[
            &format!("{PAYMENT} pi_1 reserved ch_1 900"),
            &format!("{CAPTURE} pi_1 succeeded pi_1 ch_1 600"),
        ],
    );
    says(
        "payment_intent.processing",
        &manual("processing", &part),
        &[&format!("{CAPTURE} pi_1 pending pi_1")],
    );
    let grown = json!({"payment_id": PAYMENT, "operation_id": INCREMENT});
    let grown =
        json!({"latest_charge": "ch_1", "amount": 2000, "amount_capturable": 2000, "metadata": grown});
    says(
        "payment_intent.amount_capturable_updated",
        &manual("requires_capture", &grown),
        &[
            &format!("{PAYMENT} pi_1 reserved ch_1 2000"),
            &format!("{INCREMENT} pi_1 succeeded pi_1 ch_1 2000"),
        ],
    );
}

#[test]
fn a_charge_says_that_it_was_made_and_else_only_that_something_changed() {
    let held = json!({"captured": false, "amount_captured": 0});
    says(
        "charge.succeeded",
        &charge(&json!({})),
        &[&format!("{PAYMENT} pi_1 succeeded pi_1 ch_1 1500")],
    );
    says(
        "charge.succeeded",
        &charge(&held),
        &[&format!("{PAYMENT} pi_1 reserved ch_1 1500")],
    );
    for kind in ["charge.failed", "charge.captured", "charge.refunded"] {
        says(kind, &charge(&json!({})), &[&format!("{PAYMENT} pi_1 changed")]);
    }
}

#[test]
fn a_refund_says_what_became_of_it_and_one_that_failed_takes_its_success_back() {
    let with = |status: &str, operation: &str, changes: &Value| {
        let mut object = refund(status, changes);
        object["metadata"] = json!({"payment_id": PAYMENT, "operation_id": operation});
        object
    };
    let none = json!({});
    let rows = [
        ("refund.created", "pending", "pending re_1"),
        ("refund.updated", "requires_action", "pending re_1"),
        ("refund.updated", "succeeded", "succeeded re_1 re_1 1500"),
        ("charge.refund.updated", "succeeded", "succeeded re_1 re_1 1500"),
        (
            "refund.failed",
            "failed",
            "took back 1500, else declined refund_failed re_1",
        ),
        ("refund.updated", "canceled", "took back 1500, else cancelled -"),
    ];
    for (kind, status, expected) in rows {
        for operation in [REFUND, REVERSAL] {
            says(
                kind,
                &with(status, operation, &none),
                &[&format!("{operation} re_1/pi_1 {expected}")],
            );
        }
    }
    says("refund.updated", &with("unheard_of", REFUND, &none), &[]);
    // By hand, or of another program: it names no operation of ours.
    says(
        "refund.created",
        &refund("succeeded", &json!({"metadata": {}})),
        &[],
    );
    says("refund.created", &with("succeeded", "ref_1", &none), &[]);
}

#[test]
fn what_is_none_of_ours_or_of_another_kind_says_nothing() {
    for metadata in [json!({}), json!({"payment_id": "order-1"}), Value::Null] {
        let object = intent(
            "succeeded",
            &json!({"latest_charge": "ch_1", "metadata": metadata}),
        );
        says("payment_intent.succeeded", &object, &[]);
        says("charge.succeeded", &charge(&json!({"metadata": metadata})), &[]);
    }
    for kind in [
        "payment_intent.created",
        "customer.updated",
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
        "invoice.paid",
        "",
    ] {
        says(kind, &json!({"id": 5}), &[]);
    }
    says("charge.succeeded", &charge(&json!({"payment_intent": null})), &[]);
    says("charge.succeeded", &charge(&json!({"id": "../x"})), &[]);
}

#[test]
fn what_cannot_be_read_is_refused_by_its_field() {
    for body in ["", "[]", "{}", r#"{"type":"payment_intent.succeeded"}"#] {
        assert_eq!(parse(body.as_bytes()).unwrap_err(), malformed("type"), "{body}");
    }
    for object in [
        json!({}),
        json!(5),
        Value::Null,
        json!({"id": "pi_1", "status": 7}),
    ] {
        let body = event("payment_intent.succeeded", &object);
        let event = parse(&body).unwrap();
        assert_eq!(told(&event).unwrap_err(), malformed("data.object"), "{object}");
    }
}
