//! What a charge or a refund did to what the merchant is owed.

use super::{currency, minor, object, text};
use crate::stripe::ids;
use florin_domain::ids::RefundId;
use florin_domain::money::{Amount, Fee};
use florin_domain::payment::{AttemptState, FeeReturn, Operation, OperationKind, Payment};
use serde_json::{Value, json};

/// Of all that was captured, as one.
pub fn of_charge(payment: &Payment) -> Value {
    let created = payment
        .operations
        .iter()
        .find(|operation| is_taken(operation))
        .map_or(payment.spec.created_at, |operation| operation.opened_at);
    entry(
        payment,
        &Moved {
            id: ids::named(ids::BALANCE_TRANSACTION, payment.id()),
            source: ids::named(ids::CHARGE, payment.id()),
            kind: "charge",
            created_s: created.unix_s(),
            amount_minor: payment.captured.minor(),
            fee_minor: fee_charged_minor(payment),
        },
    )
}

/// Of a refund.
pub fn of_refund(payment: &Payment, id: RefundId, refund: &Operation) -> Value {
    entry(
        payment,
        &Moved {
            id: ids::named(ids::BALANCE_TRANSACTION, id),
            source: ids::named(ids::REFUND, id),
            kind: "refund",
            created_s: refund.opened_at.unix_s(),
            amount_minor: refund.amount.minor().saturating_neg(),
            fee_minor: fee_returned_minor(payment, refund).saturating_neg(),
        },
    )
}

struct Moved {
    id: String,
    source: String,
    kind: &'static str,
    created_s: u64,
    amount_minor: i128,
    fee_minor: i128,
}

fn entry(payment: &Payment, moved: &Moved) -> Value {
    let fee = json!([{
        "amount": minor(moved.fee_minor),
        "application": null,
        "currency": currency(payment),
        "description": "Florin processing fees",
        "type": "stripe_fee",
    }]);
    object([
        ("id", moved.id.as_str().into()),
        ("object", "balance_transaction".into()),
        ("amount", minor(moved.amount_minor)),
        // It is owed from the moment on that it is booked.
        ("available_on", moved.created_s.into()),
        ("balance_type", "payments".into()),
        ("created", moved.created_s.into()),
        ("currency", currency(payment)),
        ("description", text(payment.spec.description.as_deref())),
        ("exchange_rate", Value::Null),
        ("fee", minor(moved.fee_minor)),
        ("fee_details", if moved.fee_minor == 0 { json!([]) } else { fee }),
        ("net", minor(moved.amount_minor.saturating_sub(moved.fee_minor))),
        ("reporting_category", moved.kind.into()),
        ("source", moved.source.as_str().into()),
        ("status", "available".into()),
        ("type", moved.kind.into()),
    ])
}

fn is_taken(operation: &Operation) -> bool {
    let takes = match operation.kind {
        OperationKind::Sale | OperationKind::Capture => true,
        OperationKind::Authorize
        | OperationKind::Void
        | OperationKind::Refund
        | OperationKind::Increment
        | OperationKind::Reversal => false,
    };
    takes && operation.state() == Some(AttemptState::Succeeded)
}

/// The fee that the captures cost, before refunds returned any of it.
fn fee_charged_minor(payment: &Payment) -> i128 {
    if payment.spec.fee_return == FeeReturn::Kept || payment.refunded.minor() == 0 {
        return payment.fee_minor;
    }
    if !payment.posting_profile.owes_merchant() {
        return 0;
    }
    let schedule = &payment.spec.fee;
    let cost = |(number, capture): (usize, &Operation)| {
        let fee = if number == 0 {
            schedule.fee(capture.amount, payment.spec.currency)
        } else {
            schedule.percent_fee(capture.amount)
        };
        fee.map_or(0, Fee::minor)
    };
    let taken = payment.operations.iter().filter(|operation| is_taken(operation));
    taken.enumerate().map(cost).fold(0, i128::saturating_add)
}

/// The part of the fee that a refund returned: its share of what was left when it was booked.
fn fee_returned_minor(payment: &Payment, refund: &Operation) -> i128 {
    if payment.spec.fee_return == FeeReturn::Kept {
        return 0;
    }
    let (mut left, mut fee) = (payment.captured.minor(), fee_charged_minor(payment));
    let given = payment.operations.iter().filter(|operation| {
        operation.kind == OperationKind::Refund && operation.state() == Some(AttemptState::Succeeded)
    });
    for other in given {
        let part = share(fee, other.amount, left);
        if other.id == refund.id {
            return part;
        }
        left = left.saturating_sub(other.amount.minor());
        fee = fee.saturating_sub(part);
    }
    0
}

fn share(fee_minor: i128, amount: Amount, left_minor: i128) -> i128 {
    if amount.minor() >= left_minor {
        return fee_minor;
    }
    fee_minor
        .saturating_mul(amount.minor())
        .checked_div(left_minor)
        .unwrap_or(0)
}
