//! A refund, and all of a payment's.

use super::{Shown, charge, currency, minor, moved, moved_id, object, payment_intent, reference, text};
use crate::stripe::expand::Expand;
use crate::stripe::ids;
use florin_domain::ids::{OperationId, RefundId};
use florin_domain::payment::{AttemptState, Operation, Payment};
use florin_domain::ports::{MovedBy, entries_of};
use serde_json::{Value, json};

/// The refunds of a payment, newest first.
pub(crate) fn newest_first(payment: &Payment) -> Vec<(RefundId, &Operation)> {
    let of = |operation: &'_ Operation| match operation.id {
        OperationId::Refund(id) => Some(id),
        OperationId::Authorize(_)
        | OperationId::Capture(_)
        | OperationId::Void(_)
        | OperationId::Increment(_)
        | OperationId::Reversal(_) => None,
    };
    let refunds = payment
        .operations
        .iter()
        .filter_map(|operation| Some((of(operation)?, operation)));
    let mut refunds: Vec<_> = refunds.collect();
    refunds.sort_unstable_by_key(|refund| std::cmp::Reverse(refund.0));
    refunds
}

/// Refunds that are shown inside a charge, as Stripe has it; `/v1/refunds` lists all.
const SHOWN_MAX: usize = 10;

/// The newest refunds of a payment as a list.
pub fn refunds(shown: Shown<'_>, expand: &Expand) -> Value {
    let refunds = newest_first(shown.payment);
    let has_more = refunds.len() > SHOWN_MAX;
    let data: Vec<Value> = refunds
        .into_iter()
        .take(SHOWN_MAX)
        .map(|(id, refunded)| refund(shown, id, refunded, expand))
        .collect();
    let charge = ids::named(ids::CHARGE, shown.payment.id());
    json!({"object": "list", "data": data, "has_more": has_more, "url": format!("/v1/charges/{charge}/refunds")})
}

/// One refund of a payment.
pub fn refund(shown: Shown<'_>, id: RefundId, operation: &Operation, expand: &Expand) -> Value {
    let payment = shown.payment;
    let entry = entries_of(payment).find(|entry| entry.row.by == MovedBy::Refund(id));
    let balance_transaction = entry.map(|entry| {
        let own = moved_id(&entry);
        reference(own, expand.get("balance_transaction"), |_| moved(payment, &entry))
    });
    let charged = reference(
        ids::named(ids::CHARGE, payment.id()),
        expand.get("charge"),
        |inner| charge(shown, inner),
    );
    let intent = reference(
        ids::named(ids::PAYMENT_INTENT, payment.id()),
        expand.get("payment_intent"),
        |inner| payment_intent(shown, inner),
    );
    object([
        ("id", ids::named(ids::REFUND, id).into()),
        ("object", "refund".into()),
        ("amount", minor(operation.amount.minor())),
        ("balance_transaction", balance_transaction.unwrap_or_default()),
        ("charge", charged),
        ("created", operation.opened_at.unix_s().into()),
        ("currency", currency(payment)),
        ("customer", text(payment.spec.customer.as_deref())),
        ("customer_account", Value::Null),
        (
            "destination_details",
            json!({"card": {"type": "refund"}, "type": "card"}),
        ),
        ("metadata", json!({})),
        ("payment_intent", intent),
        (
            "payment_method",
            text(payment.method.as_ref().map(|method| &*method.id)),
        ),
        ("reason", text(operation.reason.as_deref())),
        ("receipt_number", Value::Null),
        ("source_transfer_reversal", Value::Null),
        ("status", status(operation).into()),
        ("transfer_reversal", Value::Null),
    ])
}

fn status(operation: &Operation) -> &'static str {
    match operation.state() {
        // Stripe has no word for what the same key may still send; whoever read that it has failed might give the money back twice.
        _ if operation.is_unsent() => "pending",
        None
        | Some(
            AttemptState::Open | AttemptState::Pending | AttemptState::ActionRequired | AttemptState::Unknown,
        ) => "pending",
        Some(AttemptState::Succeeded) => "succeeded",
        Some(
            AttemptState::Declined
            | AttemptState::NotSent
            | AttemptState::Rejected
            | AttemptState::Cancelled
            | AttemptState::GivenUp,
        ) => "failed",
    }
}
