//! `GET /v1/ops/unresolved`: attempts of all merchants that a provider was asked about in vain or owes its word about, and what else
//! about them a person must look at. An attempt is named by its payment
//! and, unless it is the charge itself, its operation: `pay_...` or `pay_...:ref_...`.

use super::list::List;
use crate::auth::Caller;
use crate::errors::ApiError;
use crate::query;
use crate::reply::{Reply, json};
use crate::state::State;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use florin_domain::ids::{CaptureId, IncrementId, OperationId, PaymentId, RefundId, ReversalId, VoidId};
use florin_domain::payment::{Attempt, Matter, Operation, Payment, Resolution};
use florin_domain::time::Timestamp;
use serde::Serialize;

#[derive(Debug, Serialize)]
struct AttemptBody<'a> {
    object: &'static str,
    id: String,
    payment_id: String,
    operation_id: String,
    operation: &'static str,
    merchant_id: String,
    amount: i128,
    currency: &'static str,
    provider: String,
    provider_key: &'a str,
    reference: Option<&'a str>,
    status: &'static str,
    unknown_reason: Option<&'a str>,
    created: u64,
    retry_until: u64,
    overdue_since: Option<u64>,
    proposal: Option<ProposalBody<'a>>,
    /// How many there ever were.
    matters_raised: usize,
    matters: Vec<MatterBody<'a>>,
}

/// What a person has still to look at.
#[derive(Debug, Serialize)]
struct MatterBody<'a> {
    kind: &'static str,
    attempt: u32,
    reference: &'a str,
    amount: i128,
    currency: &'static str,
    at: u64,
}

impl<'a> MatterBody<'a> {
    fn of(matter: &'a Matter) -> Self {
        Self {
            kind: matter.kind.as_str(),
            attempt: matter.number,
            reference: &matter.said,
            amount: matter.amount_minor,
            currency: matter.currency.code(),
            at: matter.at.unix_s(),
        }
    }
}

/// What one person says became of an attempt.
#[derive(Debug, Serialize)]
pub(super) struct ProposalBody<'a> {
    outcome: &'static str,
    transaction: Option<&'a str>,
    evidence: &'a str,
    reason: &'a str,
    operator: &'a str,
}

impl<'a> ProposalBody<'a> {
    pub(super) fn of(resolution: &'a Resolution) -> Self {
        Self {
            outcome: if resolution.transaction.is_some() {
                "executed"
            } else {
                "not_executed"
            },
            transaction: resolution.transaction.as_deref(),
            evidence: &resolution.evidence,
            reason: &resolution.reason,
            operator: &resolution.operator,
        }
    }
}

pub(crate) async fn handle(state: Data<State>, request: HttpRequest) -> Reply {
    Reply(list(&state, &request).await)
}

async fn list(state: &State, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    Caller::of(state, request)?.operator()?;
    let page = query::page(request, parse)?;
    let found = state.payments.unresolved(page.starting_after, page.limit).await?;
    let found = found.ok_or_else(|| query::no_entry("starting_after"))?;
    let data: Vec<_> = found
        .attempts
        .iter()
        .filter_map(|(row, operation)| shown(&row.payment, *operation))
        .collect();
    let list = List::new("/v1/ops/unresolved", data, found.has_more);
    json(StatusCode::OK, &list)
}

fn shown(payment: &Payment, operation: OperationId) -> Option<AttemptBody<'_>> {
    let op = payment.operation(operation)?;
    Some(body(payment, op, op.attempt.as_ref()?))
}

fn body<'a>(payment: &Payment, op: &'a Operation, attempt: &'a Attempt) -> AttemptBody<'a> {
    AttemptBody {
        object: "attempt",
        id: name(payment.id(), op.id),
        payment_id: payment.id().to_string(),
        operation_id: op.id.to_string(),
        operation: op.kind.as_str(),
        merchant_id: payment.spec.merchant.to_string(),
        amount: op.amount.minor(),
        currency: payment.spec.currency.code(),
        provider: attempt.provider.to_string(),
        provider_key: &attempt.key,
        reference: attempt.reference.as_deref(),
        status: attempt.state.as_str(),
        unknown_reason: attempt.unknown_reason.as_deref(),
        created: op.opened_at.unix_s(),
        retry_until: attempt.deadline.unix_s(),
        overdue_since: attempt.overdue_since.map(Timestamp::unix_s),
        proposal: op.proposal.as_ref().map(ProposalBody::of),
        matters_raised: op.matters.len(),
        matters: op.open_matters().iter().map(MatterBody::of).collect(),
    }
}

/// What an attempt is called.
pub(super) fn name(payment: PaymentId, operation: OperationId) -> String {
    match operation {
        OperationId::Authorize(id) => id.to_string(),
        OperationId::Capture(_)
        | OperationId::Void(_)
        | OperationId::Refund(_)
        | OperationId::Increment(_)
        | OperationId::Reversal(_) => format!("{payment}:{operation}"),
    }
}

/// The payment and the operation that an attempt's name says.
pub(super) fn parse(name: &str) -> Option<(PaymentId, OperationId)> {
    let Some((payment, operation)) = name.split_once(':') else {
        let id = PaymentId::parse(name).ok()?;
        return Some((id, OperationId::Authorize(id)));
    };
    let capture = || CaptureId::parse(operation).map(OperationId::Capture).ok();
    let void = || VoidId::parse(operation).map(OperationId::Void).ok();
    let refund = || RefundId::parse(operation).map(OperationId::Refund).ok();
    let increment = || IncrementId::parse(operation).map(OperationId::Increment).ok();
    let reversal = || ReversalId::parse(operation).map(OperationId::Reversal).ok();
    let operation = capture()
        .or_else(void)
        .or_else(refund)
        .or_else(increment)
        .or_else(reversal)?;
    Some((PaymentId::parse(payment).ok()?, operation))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_named_by_its_payment_and_its_operation() {
        let payment = PaymentId::from_bits(7);
        let refund = OperationId::Refund(RefundId::from_bits(9));
        assert_eq!(
            parse(&payment.to_string()),
            Some((payment, OperationId::Authorize(payment)))
        );
        assert_eq!(parse(&format!("{payment}:{refund}")), Some((payment, refund)));
        for operation in [
            OperationId::Authorize(payment),
            OperationId::Capture(CaptureId::from_bits(8)),
            OperationId::Void(VoidId::from_bits(8)),
            OperationId::Increment(IncrementId::from_bits(8)),
            OperationId::Reversal(ReversalId::from_bits(8)),
            refund,
        ] {
            assert_eq!(parse(&name(payment, operation)), Some((payment, operation)));
        }
        for wrong in [
            "",
            ":",
            "pay_",
            "ref_1",
            &format!("{payment}:"),
            &format!("{refund}:{payment}"),
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
