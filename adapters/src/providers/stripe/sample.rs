//! For the tests of this adapter: attempts of each kind over 1500 US cents with a test Visa, answers about them, and outcomes in a line.

use crate::providers::connection::Reply;
use bytes::Bytes;
use florin_domain::ids::{CaptureId, IncrementId, MerchantId, OperationId, PaymentId, RefundId, VoidId};
use florin_domain::method::PaymentMethod;
use florin_domain::money::{Amount, Currency, MinorSum};
use florin_domain::payment::OperationKind;
use florin_domain::ports::{AttemptRequest, ParentCharge};
use florin_domain::provider::Outcome;
use florin_domain::time::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) const PAYMENT: &str = "pay_00000000000000000000000007";
pub(super) const CAPTURE: &str = "cap_00000000000000000000000001";
pub(super) const OTHER_CAPTURE: &str = "cap_00000000000000000000000002";
pub(super) const REFUND: &str = "ref_00000000000000000000000004";
pub(super) const INTENT: &str = "pi_1";

pub(super) fn attempt(kind: OperationKind) -> AttemptRequest {
    let payment = PaymentId::from_bits(7);
    let (operation, charges) = match kind {
        OperationKind::Sale | OperationKind::Authorize => (OperationId::Authorize(payment), true),
        OperationKind::Capture => (OperationId::Capture(CaptureId::from_bits(1)), false),
        OperationKind::Void => (OperationId::Void(VoidId::from_bits(3)), false),
        OperationKind::Refund => (OperationId::Refund(RefundId::from_bits(4)), false),
        OperationKind::Increment => (OperationId::Increment(IncrementId::from_bits(5)), false),
    };
    AttemptRequest {
        merchant: MerchantId::from_bits(1),
        made_at: Timestamp::from_unix_ms(1_000),
        payment,
        operation,
        kind,
        amount: Amount::new(1500).unwrap(),
        currency: Currency::USD,
        method: PaymentMethod::test("pm_card_visa").unwrap(),
        key: Arc::from("flo_k"),
        reference: charges.then(|| Arc::from(INTENT)),
        parent: (!charges).then(|| ParentCharge {
            reference: Arc::from(INTENT),
            authorized: MinorSum::ZERO.checked_add(Amount::new(1000).unwrap()).unwrap(),
        }),
        is_final: true,
        return_url: None,
        details: None,
    }
}

pub(super) fn reply(status: u16, body: &(impl ToString + ?Sized)) -> Reply {
    Reply {
        status,
        retry_after_s: None,
        body: Bytes::from(body.to_string()),
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

/// An outcome in one line: what the core decides by, without the operators' texts.
fn line(outcome: &Outcome) -> String {
    let or_none = |text: &Option<Arc<str>>| text.as_deref().unwrap_or("-").to_owned();
    match outcome {
        Outcome::Succeeded {
            reference,
            transaction,
            amount_minor,
        } => {
            format!("succeeded {reference} {transaction} {amount_minor}")
        }
        Outcome::Declined {
            decline_code,
            reference,
        } => {
            format!("declined {decline_code} {}", or_none(reference))
        }
        Outcome::ActionRequired {
            reference,
            redirect_url,
        } => {
            format!("action {reference} {}", or_none(redirect_url))
        }
        Outcome::Pending { reference } => format!("pending {reference}"),
        Outcome::Cancelled { reference } => format!("cancelled {}", or_none(reference)),
        Outcome::NotSent { .. } => "not sent".to_owned(),
        Outcome::RateLimited { retry_after } => format!("rate limited {}", retry_after.0),
        Outcome::Rejected { .. } => "rejected".to_owned(),
        Outcome::Unknown { reference, .. } => format!("unknown {}", or_none(reference)),
    }
}

pub(super) fn check(name: &str, outcome: &Outcome, expected: &str) {
    assert_eq!(line(outcome), expected, "{name}: {outcome:?}");
}
