//! The payment as a payment intent.

use super::{
    Shown, charge, currency, decline_message, failure_code, has_charge, metadata, minor, object, reference,
    text,
};
use crate::stripe::expand::Expand;
use crate::stripe::ids;
use florin_domain::decline::Decline;
use florin_domain::payment::{
    CaptureMethod, Failure, IntentStatus, NextAction, OperationKind, Payment, Status,
};
use serde_json::{Value, json};

/// The intent.
pub fn payment_intent(shown: Shown<'_>, expand: &Expand) -> Value {
    let payment = shown.payment;
    let spec = payment.spec.as_ref();
    let latest_charge = has_charge(payment).then(|| {
        reference(
            ids::named(ids::CHARGE, spec.id),
            expand.get("latest_charge"),
            |inner| charge(shown, inner),
        )
    });
    object([
        ("id", ids::named(ids::PAYMENT_INTENT, spec.id).into()),
        ("object", "payment_intent".into()),
        ("amount", minor(payment.amount_minor())),
        ("amount_capturable", minor(payment.capturable_minor())),
        ("amount_details", json!({"tip": {}})),
        ("amount_received", minor(payment.captured.minor())),
        ("application", Value::Null),
        ("application_fee_amount", Value::Null),
        ("automatic_payment_methods", Value::Null),
        ("canceled_at", canceled_at(payment)),
        ("cancellation_reason", cancellation_reason(payment)),
        ("capture_method", capture_method(payment).into()),
        ("client_secret", text(shown.client_secret)),
        ("confirmation_method", "automatic".into()),
        ("created", spec.created_at.unix_s().into()),
        ("currency", currency(payment)),
        ("customer", text(spec.customer.as_deref())),
        ("customer_account", Value::Null),
        ("description", text(spec.description.as_deref())),
        ("excluded_payment_method_types", Value::Null),
        ("last_payment_error", last_payment_error(payment)),
        ("latest_charge", latest_charge.unwrap_or_default()),
        ("livemode", spec.livemode.into()),
        ("managed_payments", json!({"enabled": false})),
        ("metadata", metadata(payment)),
        ("next_action", next_action(payment)),
        ("on_behalf_of", Value::Null),
        (
            "payment_method",
            text(payment.method.as_ref().map(|method| &*method.id)),
        ),
        ("payment_method_configuration_details", Value::Null),
        ("payment_method_options", payment_method_options()),
        ("payment_method_types", json!(["card"])),
        ("processing", Value::Null),
        ("receipt_email", Value::Null),
        ("review", review(payment)),
        ("setup_future_usage", Value::Null),
        ("shipping", Value::Null),
        ("source", Value::Null),
        ("statement_descriptor", Value::Null),
        ("statement_descriptor_suffix", Value::Null),
        ("status", status(payment).into()),
        ("transfer_data", Value::Null),
        ("transfer_group", Value::Null),
    ])
}

/// Where the payment stands, in Stripe's words.
pub fn status(payment: &Payment) -> &'static str {
    IntentStatus::of(payment).as_str()
}

pub(super) fn capture_method(payment: &Payment) -> &'static str {
    match payment.spec.capture_method {
        CaptureMethod::Automatic => "automatic",
        CaptureMethod::Manual => "manual",
    }
}

/// When it was given up, as far as somebody asked for that: null where it ended by itself.
fn canceled_at(payment: &Payment) -> Value {
    if payment.status != Status::Voided {
        return Value::Null;
    }
    let mut voids = payment.operations.iter().rev();
    let void = voids.find(|operation| operation.kind == OperationKind::Void);
    void.map_or(Value::Null, |void| void.opened_at.unix_s().into())
}

fn cancellation_reason(payment: &Payment) -> Value {
    match &payment.status {
        Status::Blocked => "fraudulent".into(),
        Status::Failed if payment.failure.as_ref().is_some_and(Failure::is_exhaustion) => "automatic".into(),
        // Why it was given up is not kept.
        Status::Voided
        | Status::Failed
        | Status::RequiresPaymentMethod
        | Status::RequiresConfirmation
        | Status::RequiresAction(_)
        | Status::InReview { .. }
        | Status::Processing
        | Status::Authorized
        | Status::Succeeded => Value::Null,
    }
}

/// Why it is not charged, while it is not.
fn last_payment_error(payment: &Payment) -> Value {
    let is_over = match &payment.status {
        Status::RequiresPaymentMethod | Status::Failed | Status::Blocked => true,
        Status::RequiresConfirmation
        | Status::RequiresAction(_)
        | Status::InReview { .. }
        | Status::Processing
        | Status::Authorized
        | Status::Succeeded
        | Status::Voided => false,
    };
    let Some(failure) = payment.failure.as_ref().filter(|_| is_over) else {
        return Value::Null;
    };
    let decline_code = failure.decline_code.as_deref();
    let advice = decline_code.and_then(|code| Some(Decline::of(code).advice()?.as_str()));
    let charge = has_charge(payment).then(|| ids::named(ids::CHARGE, payment.id()));
    object([
        ("advice_code", text(advice)),
        ("charge", text(charge.as_deref())),
        ("code", failure_code(failure).into()),
        ("decline_code", text(decline_code)),
        ("doc_url", format!("/docs/errors/{}", failure.code).into()),
        ("message", decline_message(decline_code).into()),
        (
            "network_advice_code",
            text(failure.network.advice_code.as_deref()),
        ),
        (
            "network_decline_code",
            text(failure.network.decline_code.as_deref()),
        ),
        ("type", "card_error".into()),
    ])
}

fn next_action(payment: &Payment) -> Value {
    let Status::RequiresAction(NextAction { redirect_url, .. }) = &payment.status else {
        return Value::Null;
    };
    match redirect_url {
        Some(url) => json!({
            "type": "redirect_to_url",
            "redirect_to_url": {"url": url.as_ref(), "return_url": payment.spec.return_url.as_deref()},
        }),
        // The provider has the customer act by other ways; Stripe has no word for that.
        None => json!({"type": "wait_for_customer"}),
    }
}

/// The review that a person has to end, while there is one.
pub(super) fn review(payment: &Payment) -> Value {
    let is_reviewed = matches!(payment.status, Status::InReview { .. });
    let id = is_reviewed.then(|| ids::named(ids::REVIEW, payment.id()));
    text(id.as_deref())
}

fn payment_method_options() -> Value {
    json!({
        "card": {
            "installments": null,
            "mandate_options": null,
            "network": null,
            "request_three_d_secure": "automatic",
        },
    })
}
