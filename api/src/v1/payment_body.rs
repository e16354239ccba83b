//! A payment as it is shown, borrowed from its state and written straight into bytes.

use super::list::Displayed;
use florin_domain::decline::Decline;
use florin_domain::ids::{OperationId, PaymentId};
use florin_domain::payment::{
    AttemptState, CaptureMethod, NextAction, Operation, OperationKind, Payment, Status,
};
use florin_domain::time::Timestamp;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use std::sync::Arc;

/// The payment object.
#[derive(Debug, Serialize)]
pub(crate) struct PaymentBody<'a> {
    object: &'static str,
    id: Displayed<PaymentId>,
    payment_id: Displayed<PaymentId>,
    pub(super) status: &'static str,
    pub(super) amount: i128,
    amount_capturable: i128,
    pub(super) amount_captured: i128,
    pub(super) amount_refunded: i128,
    pub(super) currency: &'static str,
    pub(super) fee: i128,
    pub(super) net: i128,
    pub(super) capture_method: &'static str,
    pub(super) payment_method_id: Option<&'a str>,
    pub(super) payment_method_details: Option<MethodBody<'a>>,
    pub(super) customer_id: Option<&'a str>,
    pub(super) provider: Option<&'a str>,
    pub(super) processor_transaction_id: Option<&'a str>,
    pub(super) risk: Option<RiskBody<'a>>,
    captures: Operations<'a>,
    refunds: Operations<'a>,
    pub(super) created: u64,
    authorization_expires_at: Option<u64>,
    pub(super) livemode: bool,
    pub(super) description: Option<&'a str>,
    pub(super) metadata: Metadata<'a>,
    pub(super) failure_code: Option<&'a str>,
    pub(super) decline_code: Option<&'a str>,
    advice_code: Option<&'static str>,
    /// Only where the network said it, so that what was answered before is answered the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    network_decline_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network_advice_code: Option<&'a str>,
    next_action: Option<NextActionBody<'a>>,
    /// Only where it was asked for, so that what was answered before is answered the same.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    off_session: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct MethodBody<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    pub(super) card: CardBody<'a>,
}

#[derive(Debug, Serialize)]
pub(super) struct CardBody<'a> {
    pub(super) brand: &'static str,
    pub(super) last4: &'a str,
    pub(super) country: &'a str,
}

#[derive(Debug, Serialize)]
pub(super) struct RiskBody<'a> {
    score: f64,
    pub(super) action: &'static str,
    reasons: Reasons<'a>,
}

#[derive(Debug)]
struct Reasons<'a>(&'a [Arc<str>]);

impl Serialize for Reasons<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(AsRef::<str>::as_ref))
    }
}

#[derive(Debug)]
pub(super) struct Metadata<'a>(pub(super) &'a [(Arc<str>, Arc<str>)]);

impl Serialize for Metadata<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0 {
            map.serialize_entry(name.as_ref(), value.as_ref())?;
        }
        map.end()
    }
}

/// The operations of one kind, in the order opened.
#[derive(Debug)]
struct Operations<'a> {
    payment: &'a Payment,
    kind: OperationKind,
    object: &'static str,
}

impl Serialize for Operations<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let operations = self
            .payment
            .operations
            .iter()
            .filter(|operation| operation.kind == self.kind);
        serializer
            .collect_seq(operations.map(|operation| OperationBody::of(self.payment, operation, self.object)))
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct OperationBody<'a> {
    object: &'static str,
    id: Displayed<OperationId>,
    payment_id: Displayed<PaymentId>,
    amount: i128,
    currency: &'static str,
    status: &'static str,
    reason: Option<&'a str>,
    created: u64,
}

impl<'a> OperationBody<'a> {
    pub(crate) fn of(payment: &Payment, operation: &'a Operation, object: &'static str) -> Self {
        Self {
            object,
            id: Displayed(operation.id),
            payment_id: Displayed(payment.id()),
            amount: operation.amount.minor(),
            currency: payment.spec.currency.code(),
            status: status(operation),
            reason: operation.reason.as_deref(),
            created: operation.opened_at.unix_s(),
        }
    }
}

fn status(operation: &Operation) -> &'static str {
    match operation.state() {
        _ if operation.is_unsent() => "not_sent",
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

#[derive(Debug, Serialize)]
struct NextActionBody<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    redirect_to_url: Option<RedirectBody<'a>>,
    expires_at: u64,
}

#[derive(Debug, Serialize)]
struct RedirectBody<'a> {
    url: &'a str,
    return_url: Option<&'a str>,
}

fn next_action<'a>(payment: &'a Payment, action: &'a NextAction) -> NextActionBody<'a> {
    let redirect = |url: &'a Arc<str>| RedirectBody {
        url,
        return_url: payment.spec.return_url.as_deref(),
    };
    NextActionBody {
        kind: if action.redirect_url.is_some() {
            "redirect_to_url"
        } else {
            "wait_for_customer"
        },
        redirect_to_url: action.redirect_url.as_ref().map(redirect),
        expires_at: action.expires_at.unix_s(),
    }
}

/// Basis points as the decimal between 0 and 1 that they stand for. A quotient is the double nearest to it, and the shortest
/// text of that double is the decimal again, since both have less than sixteen digits.
pub(crate) fn score(bps: u32) -> f64 {
    f64::from(bps) / 10_000.0
}

impl<'a> PaymentBody<'a> {
    pub(crate) fn of(payment: &'a Payment) -> Self {
        let spec = payment.spec.as_ref();
        let authorization = payment.operations.first();
        let failure = payment.failure.as_ref();
        let decline_code = failure.and_then(|failure| failure.decline_code.as_deref());
        let operations = |kind, object| Operations {
            payment,
            kind,
            object,
        };
        let (captured, refunded) = (payment.captured.minor(), payment.refunded.minor());
        let next_action = match &payment.status {
            Status::RequiresAction(action) => Some(next_action(payment, action)),
            Status::RequiresPaymentMethod
            | Status::RequiresConfirmation
            | Status::InReview { .. }
            | Status::Processing
            | Status::Authorized
            | Status::Succeeded
            | Status::Failed
            | Status::Blocked
            | Status::Voided => None,
        };
        Self {
            object: "payment",
            id: Displayed(spec.id),
            payment_id: Displayed(spec.id),
            status: payment.status.as_str(),
            amount: payment.amount_minor(),
            amount_capturable: payment.capturable_minor(),
            amount_captured: captured,
            amount_refunded: refunded,
            currency: spec.currency.code(),
            fee: payment.fee_minor,
            net: captured
                .saturating_sub(refunded)
                .saturating_sub(payment.fee_minor),
            capture_method: match spec.capture_method {
                CaptureMethod::Automatic => "automatic",
                CaptureMethod::Manual => "manual",
            },
            payment_method_id: payment.method.as_ref().map(|method| &*method.id),
            payment_method_details: payment.method.as_ref().map(|method| MethodBody {
                kind: "card",
                card: CardBody {
                    brand: method.brand.as_str(),
                    last4: method.last4(),
                    country: method.country(),
                },
            }),
            customer_id: spec.customer.as_deref(),
            provider: authorization.and_then(|op| Some(op.attempt.as_ref()?.provider.as_str())),
            processor_transaction_id: authorization.and_then(|op| op.transaction.as_deref()),
            risk: payment.risk.as_ref().map(|risk| RiskBody {
                score: score(risk.score_bps),
                action: risk.action.as_str(),
                reasons: Reasons(&risk.reasons),
            }),
            captures: operations(OperationKind::Capture, "capture"),
            refunds: operations(OperationKind::Refund, "refund"),
            created: spec.created_at.unix_s(),
            authorization_expires_at: payment.authorization_expires_at.map(Timestamp::unix_s),
            livemode: spec.livemode,
            description: spec.description.as_deref(),
            metadata: Metadata(&spec.metadata),
            failure_code: failure.map(|failure| failure.code),
            decline_code,
            advice_code: decline_code.and_then(|code| Some(Decline::of(code).advice()?.as_str())),
            network_decline_code: failure.and_then(|failure| failure.network.decline_code.as_deref()),
            network_advice_code: failure.and_then(|failure| failure.network.advice_code.as_deref()),
            next_action,
            off_session: spec.off_session,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
