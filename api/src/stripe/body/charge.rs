//! The payment's charge: what became of the latest attempt to take or reserve its money.

use super::{
    Shown, currency, decline_message, failure_code, metadata, minor, moved, moved_id, object, payment_intent,
    reference, refunds, text,
};
use crate::stripe::expand::Expand;
use crate::stripe::ids;
use florin_domain::decline::Decline;
use florin_domain::money::MinorSum;
use florin_domain::payment::{Payment, Status};
use florin_domain::ports::charged_last;
use florin_domain::risk::Action;
use serde_json::{Value, json};

/// How far a charge has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Succeeded,
    Pending,
    Failed,
}

/// How the charge stands, if there is one: nobody has tried before the customer acted or a person decided.
fn standing(payment: &Payment) -> Option<Standing> {
    if payment.authorized != MinorSum::ZERO || payment.captured != MinorSum::ZERO {
        return Some(Standing::Succeeded);
    }
    let failed = payment.failure.as_ref().map(|_| Standing::Failed);
    match &payment.status {
        Status::Authorized | Status::Succeeded => Some(Standing::Succeeded),
        Status::Processing => {
            let charge = payment.operations.first();
            charge
                .and_then(|operation| operation.attempt.as_ref())
                .map(|_| Standing::Pending)
        }
        Status::Failed | Status::RequiresPaymentMethod | Status::Blocked | Status::Voided => failed,
        Status::RequiresConfirmation | Status::RequiresAction(_) | Status::InReview { .. } => None,
    }
}

/// Whether the payment has a charge to show.
pub fn has_charge(payment: &Payment) -> bool {
    standing(payment).is_some()
}

/// The charge. Of a payment that has none it shows one that is pending; see [`has_charge`].
pub fn charge(shown: Shown<'_>, expand: &Expand) -> Value {
    let payment = shown.payment;
    let spec = payment.spec.as_ref();
    let standing = standing(payment).unwrap_or(Standing::Pending);
    let failure = payment.failure.as_ref().filter(|_| standing == Standing::Failed);
    let (captured, refunded) = (payment.captured, payment.refunded);
    let is_captured = captured != MinorSum::ZERO;
    // Each capture has one of its own; nobody is owed anything for our own sales.
    let balance_transaction = charged_last(payment).map(|entry| {
        let id = moved_id(&entry);
        reference(id, expand.get("balance_transaction"), |_| moved(payment, &entry))
    });
    let intent = reference(
        ids::named(ids::PAYMENT_INTENT, spec.id),
        expand.get("payment_intent"),
        |inner| payment_intent(shown, inner),
    );
    let given_back = expand
        .get("refunds")
        .map(|inner| refunds(shown, inner.get("data").unwrap_or(Expand::NONE)));
    object([
        ("id", ids::named(ids::CHARGE, spec.id).into()),
        ("object", "charge".into()),
        ("amount", minor(payment.amount_minor())),
        ("amount_captured", minor(captured.minor())),
        ("amount_refunded", minor(refunded.minor())),
        ("application", Value::Null),
        ("application_fee", Value::Null),
        ("application_fee_amount", Value::Null),
        ("balance_transaction", balance_transaction.unwrap_or_default()),
        ("billing_details", billing_details()),
        ("calculated_statement_descriptor", Value::Null),
        ("captured", is_captured.into()),
        ("created", created(payment).into()),
        ("currency", currency(payment)),
        ("customer", text(spec.customer.as_deref())),
        ("description", text(spec.description.as_deref())),
        ("disputed", false.into()),
        ("failure_balance_transaction", Value::Null),
        ("failure_code", text(failure.map(failure_code))),
        (
            "failure_message",
            text(failure.map(|failure| decline_message(failure.decline_code.as_deref()))),
        ),
        ("fraud_details", json!({})),
        ("livemode", spec.livemode.into()),
        ("metadata", metadata(payment)),
        ("on_behalf_of", Value::Null),
        ("outcome", outcome(payment, standing)),
        ("paid", (standing == Standing::Succeeded).into()),
        ("payment_intent", intent),
        (
            "payment_method",
            text(payment.method.as_ref().map(|method| &*method.id)),
        ),
        (
            "payment_method_details",
            payment_method_details(payment, standing),
        ),
        ("receipt_email", Value::Null),
        ("receipt_number", Value::Null),
        ("receipt_url", Value::Null),
        ("refunded", (is_captured && refunded == captured).into()),
        ("refunds", given_back.unwrap_or_default()),
        ("review", payment_intent::review(payment)),
        ("shipping", Value::Null),
        ("source", Value::Null),
        ("source_transfer", Value::Null),
        ("statement_descriptor", Value::Null),
        ("statement_descriptor_suffix", Value::Null),
        (
            "status",
            match standing {
                Standing::Succeeded => "succeeded",
                Standing::Pending => "pending",
                Standing::Failed => "failed",
            }
            .into(),
        ),
        ("transfer_data", Value::Null),
        ("transfer_group", Value::Null),
    ])
}

fn created(payment: &Payment) -> u64 {
    let charge = payment.operations.first();
    charge
        .map_or(payment.spec.created_at, |operation| operation.opened_at)
        .unix_s()
}

fn billing_details() -> Value {
    let nowhere = json!({
        "city": null, "country": null, "line1": null, "line2": null, "postal_code": null, "state": null,
    });
    json!({"address": nowhere, "email": null, "name": null, "phone": null, "tax_id": null})
}

/// What the network and risk said of it.
fn outcome(payment: &Payment, standing: Standing) -> Value {
    let failure = payment.failure.as_ref().filter(|_| standing == Standing::Failed);
    let decline_code = failure.and_then(|failure| failure.decline_code.as_deref());
    let is_blocked = payment.status == Status::Blocked;
    let (network_status, kind, seller_message) = match standing {
        Standing::Pending => return Value::Null,
        Standing::Succeeded => ("approved_by_network", "authorized", "Payment complete."),
        Standing::Failed if is_blocked => (
            "not_sent_to_network",
            "blocked",
            "Florin blocked this payment as too risky.",
        ),
        Standing::Failed => (
            "declined_by_network",
            "issuer_declined",
            "The bank did not return any further details with this decline.",
        ),
    };
    let risk = payment.risk.as_ref();
    let level = risk.map_or("not_assessed", |risk| match risk.action {
        Action::Allow => "normal",
        Action::Review => "elevated",
        Action::Block => "highest",
    });
    let advice = decline_code.and_then(|code| Some(Decline::of(code).advice()?.as_str()));
    object([
        ("advice_code", text(advice)),
        (
            "network_advice_code",
            text(failure.and_then(|failure| failure.network.advice_code.as_deref())),
        ),
        (
            "network_decline_code",
            text(failure.and_then(|failure| failure.network.decline_code.as_deref())),
        ),
        ("network_status", network_status.into()),
        (
            "reason",
            text(if is_blocked {
                Some("highest_risk_level")
            } else {
                decline_code
            }),
        ),
        ("risk_level", level.into()),
        (
            "risk_score",
            risk.map_or(Value::Null, |risk| risk.score_bps.div_euclid(100).into()),
        ),
        ("seller_message", seller_message.into()),
        ("type", kind.into()),
    ])
}

fn payment_method_details(payment: &Payment, standing: Standing) -> Value {
    let Some(method) = &payment.method else {
        return Value::Null;
    };
    let is_held = standing == Standing::Succeeded;
    let card = object([
        (
            "amount_authorized",
            if is_held {
                minor(payment.authorized.minor())
            } else {
                Value::Null
            },
        ),
        ("authorization_code", Value::Null),
        ("brand", method.brand.as_str().into()),
        (
            "capture_before",
            payment
                .authorization_expires_at
                .map_or(Value::Null, |at| at.unix_s().into()),
        ),
        ("checks", Value::Null),
        ("country", method.country().into()),
        ("exp_month", Value::Null),
        ("exp_year", Value::Null),
        ("fingerprint", Value::Null),
        ("funding", "unknown".into()),
        ("installments", Value::Null),
        ("last4", method.last4().into()),
        ("mandate", Value::Null),
        ("network", method.brand.as_str().into()),
        ("network_token", Value::Null),
        ("three_d_secure", Value::Null),
        ("wallet", Value::Null),
    ]);
    json!({"card": card, "type": "card"})
}
