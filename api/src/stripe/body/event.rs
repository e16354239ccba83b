//! What was announced, as Stripe's event: about the object that it names, as that stood then.

use super::{Shown, charge, object, payment_intent, refund, text};
use crate::stripe::expand::Expand;
use crate::stripe::{API_VERSION, ids};
use florin_domain::announcement::AnnouncementKind;
use florin_domain::ids::OperationId;
use florin_domain::payment::{Payment, Status};
use florin_domain::ports::ShownEvent;
use serde_json::{Value, json};

/// The event, under the type that Stripe has for it. The same announcement is the same event to whomever it is told, but for the secret.
pub fn event(told: &ShownEvent, client_secret: Option<&str>) -> Value {
    let shown = Shown {
        payment: &told.payment,
        client_secret,
    };
    object([
        ("id", told.id.to_string().into()),
        ("object", "event".into()),
        ("api_version", API_VERSION.into()),
        ("created", told.row.at.unix_s().into()),
        ("data", json!({"object": about(told, shown)})),
        ("livemode", told.payment.spec.livemode.into()),
        // How many have not taken it yet changes, and an event does not.
        ("pending_webhooks", 0.into()),
        ("request", Value::Null),
        ("type", told.row.kind.stripe().into()),
    ])
}

/// The object that the type names first.
fn about(told: &ShownEvent, shown: Shown<'_>) -> Value {
    match told.row.kind {
        AnnouncementKind::Processing
        | AnnouncementKind::RequiresAction
        | AnnouncementKind::AmountCapturableUpdated
        | AnnouncementKind::Succeeded
        | AnnouncementKind::Failed
        | AnnouncementKind::Canceled => payment_intent(shown, Expand::NONE),
        AnnouncementKind::ChargeSucceeded
        | AnnouncementKind::ChargeCaptured
        | AnnouncementKind::ChargeFailed
        | AnnouncementKind::ChargeRefunded => charge(shown, Expand::NONE),
        AnnouncementKind::RefundCreated
        | AnnouncementKind::RefundUpdated
        | AnnouncementKind::RefundFailed => {
            let of = |id| match id {
                OperationId::Refund(refund) => Some((refund, shown.payment.operation(id)?)),
                OperationId::Authorize(_)
                | OperationId::Capture(_)
                | OperationId::Void(_)
                | OperationId::Increment(_)
                | OperationId::Reversal(_) => None,
            };
            let refunded = told.operation.and_then(of);
            refunded.map_or_else(
                || charge(shown, Expand::NONE),
                |(id, operation)| refund(shown, id, operation, Expand::NONE),
            )
        }
        AnnouncementKind::ReviewOpened | AnnouncementKind::ReviewClosed => review(shown.payment),
    }
}

/// The review of a payment. What opens one is always a rule.
fn review(payment: &Payment) -> Value {
    let closed = match payment.status {
        Status::InReview { .. } => None,
        // Nothing was charged, whoever said so.
        Status::Failed | Status::Blocked | Status::Voided => Some("canceled"),
        Status::RequiresPaymentMethod
        | Status::RequiresConfirmation
        | Status::RequiresAction(_)
        | Status::Processing
        | Status::Authorized
        | Status::Succeeded => Some("approved"),
    };
    let charged = super::has_charge(payment).then(|| ids::named(ids::CHARGE, payment.id()));
    object([
        ("id", ids::named(ids::REVIEW, payment.id()).into()),
        ("object", "review".into()),
        ("billing_zip", Value::Null),
        ("charge", text(charged.as_deref())),
        ("closed_reason", text(closed)),
        ("created", payment.spec.created_at.unix_s().into()),
        ("ip_address", text(payment.spec.device.ip.as_deref())),
        ("ip_address_location", Value::Null),
        ("livemode", payment.spec.livemode.into()),
        ("open", closed.is_none().into()),
        ("opened_reason", "rule".into()),
        (
            "payment_intent",
            ids::named(ids::PAYMENT_INTENT, payment.id()).into(),
        ),
        ("reason", closed.unwrap_or("rule").into()),
        ("session", Value::Null),
    ])
}
