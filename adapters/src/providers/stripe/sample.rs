//! For the tests of this adapter: attempts of each kind over 1500 US cents with a test Visa, answers about them, and outcomes in a line.

use crate::providers::sample::{self, line};
use florin_domain::payment::OperationKind;
use florin_domain::ports::AttemptRequest;
use florin_domain::provider::Outcome;
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) use crate::providers::sample::reply;

pub(super) const PAYMENT: &str = "pay_00000000000000000000000007";
pub(super) const CAPTURE: &str = "cap_00000000000000000000000001";
pub(super) const OTHER_CAPTURE: &str = "cap_00000000000000000000000002";
pub(super) const REFUND: &str = "ref_00000000000000000000000004";
pub(super) const INTENT: &str = "pi_1";

pub(super) fn attempt(kind: OperationKind) -> AttemptRequest {
    let charges = matches!(kind, OperationKind::Sale | OperationKind::Authorize);
    AttemptRequest {
        reference: charges.then(|| Arc::from(INTENT)),
        ..sample::attempt(kind, INTENT, 1000)
    }
}

/// An intent over 1500 cents in this state, with these fields changed.
pub(super) fn intent(status: &str, changes: &Value) -> Value {
    let mut intent = json!({
        "id": INTENT, "object": "payment_intent", "status": status, "currency": "usd", "amount": 1500,
        "amount_received": if status == "succeeded" { 1500 } else { 0 },
        "amount_capturable": if status == "requires_capture" { 1500 } else { 0 },
        "latest_charge": null, "last_payment_error": null, "next_action": null, "client_secret": "x",
        "metadata": {"payment_id": PAYMENT, "operation_id": PAYMENT}, "livemode": false,
    });
    merge(&mut intent, changes);
    intent
}

pub(super) fn refund(status: &str, changes: &Value) -> Value {
    let mut refund = json!({
        "id": "re_1", "object": "refund", "status": status, "currency": "usd", "amount": 1500,
        "payment_intent": INTENT, "metadata": {"operation_id": REFUND},
    });
    merge(&mut refund, changes);
    refund
}

fn merge(object: &mut Value, changes: &Value) {
    for (name, value) in changes.as_object().into_iter().flatten() {
        object[name] = value.clone();
    }
}

pub(super) fn error(fields: &Value) -> Value {
    json!({ "error": fields })
}

pub(super) fn unexpected_state(intent: &Value) -> Value {
    error(&json!({
        "type": "invalid_request_error", "code": "payment_intent_unexpected_state", "message": "no",
        "payment_intent": intent,
    }))
}

pub(super) fn check(name: &str, outcome: &Outcome, expected: &str) {
    assert_eq!(line(outcome), expected, "{name}: {outcome:?}");
}
