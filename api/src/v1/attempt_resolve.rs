//! `POST /v1/ops/attempts/{id}/resolve`: what became of an attempt, by the word of two people; or that one has looked at what is open
//! about it besides.

use super::answer;
use super::change::{Checked, order};
use super::payment_body::PaymentBody;
use super::unresolved_list::{ProposalBody, name};
use crate::errors::{ApiError, Code, Invalid};
use crate::json::{self, Text};
use crate::reply::Reply;
use crate::state::State;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use florin_actors::payments_handle::{Answered, Change};
use florin_domain::ids::OperationId;
use florin_domain::limits::TEXT_BYTES_MAX;
use florin_domain::payment::{Note, Resolution};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ResolveRequest<'a> {
    #[serde(borrow)]
    outcome: Text<'a>,
    /// The provider's id of the transaction; only when it was executed.
    #[serde(borrow, default)]
    transaction: Option<Text<'a>>,
    #[serde(borrow)]
    evidence: Text<'a>,
    #[serde(borrow)]
    reason: Text<'a>,
    /// How many matters had been raised about it when somebody looked; only when that is said.
    #[serde(default)]
    matters_seen: Option<u32>,
}

/// Nothing is said of the outcome: somebody has looked at what else is open about the attempt.
const NOTED: &str = "noted";

/// The payment with how far the resolution has come.
#[derive(Debug, Serialize)]
struct ResolvedBody<'a> {
    #[serde(flatten)]
    payment: PaymentBody<'a>,
    resolution: ResolutionBody<'a>,
}

#[derive(Debug, Serialize)]
struct ResolutionBody<'a> {
    attempt_id: String,
    status: &'static str,
    awaits: Option<&'static str>,
    /// What somebody else must confirm; nothing once it is so.
    proposal: Option<ProposalBody<'a>>,
}

pub(crate) async fn handle(state: Data<State>, request: HttpRequest, payload: Payload) -> Reply {
    let name = request.match_info().get("id").unwrap_or_default().to_owned();
    let mut is_note = false;
    let check = |bytes: &[u8], operator: &Arc<str>| {
        let checked = check(bytes, &name, operator)?;
        is_note = matches!(checked.change, Change::Note { .. });
        Ok(checked)
    };
    let answered = order(&state, &request, payload, check).await;
    Reply(answered.and_then(|answered| shown(&answered, is_note, &request)))
}

fn shown(answered: &Answered, is_note: bool, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    let payment = answered.payment.as_ref();
    let operation = answered.operation.ok_or(ApiError::Internal)?;
    let operation = payment.operation(operation).ok_or(ApiError::Internal)?;
    let proposal = operation.proposal.as_ref().map(ProposalBody::of);
    let resolution = ResolutionBody {
        attempt_id: name(payment.id(), operation.id),
        status: match &proposal {
            _ if is_note => NOTED,
            Some(_) => "proposed",
            None => "confirmed",
        },
        awaits: proposal.as_ref().map(|_| "second_person"),
        proposal,
    };
    let body = ResolvedBody {
        payment: PaymentBody::of(payment),
        resolution,
    };
    answer::shown_as(&body, answered, request)
}

pub(super) fn check(bytes: &[u8], id: &str, operator: &Arc<str>) -> Result<Checked, Invalid> {
    let body: ResolveRequest<'_> = json::read(bytes)?;
    let missing = || Invalid::new("id", Code::ResourceMissing, "No such attempt.");
    let (_, operation) = super::unresolved_list::parse(id).ok_or_else(missing)?;
    let transaction = body.transaction.as_ref().map(Text::as_str);
    let wrong = |param: &str, message: &str| Err(Invalid::new(param, Code::ParameterInvalid, message));
    let transaction = match (body.outcome.as_str(), transaction) {
        ("executed", Some(transaction)) => Some(said("transaction", transaction)?),
        ("executed", None) => {
            let message = "`transaction` is the provider's id of what was executed.";
            return Err(Invalid::new("transaction", Code::ParameterMissing, message));
        }
        ("not_executed" | NOTED, None) => None,
        ("not_executed" | NOTED, Some(_)) => {
            return wrong("transaction", "Only what was executed has a `transaction`.");
        }
        _ => return wrong("outcome", "`outcome` is `executed`, `not_executed` or `noted`."),
    };
    let seen = match (body.outcome.as_str(), body.matters_seen) {
        (NOTED, None) => {
            let message = "`matters_seen` is what the list showed as `matters_raised` of this attempt.";
            return Err(Invalid::new("matters_seen", Code::ParameterMissing, message));
        }
        (NOTED, Some(0)) => return wrong("matters_seen", "`matters_seen` is at least 1."),
        (NOTED, Some(seen)) => seen,
        (_, None) => 0,
        (_, Some(_)) => {
            return wrong("matters_seen", "Only what is `noted` has `matters_seen`.");
        }
    };
    let (evidence, reason) = (
        said("evidence", body.evidence.as_str())?,
        said("reason", body.reason.as_str())?,
    );
    if body.outcome.as_str() == NOTED {
        let canonical = format!("2 noted {seen} {evidence:?} {reason:?}");
        let operator = Arc::clone(operator);
        let note = Note {
            evidence,
            reason,
            operator,
        };
        let seen = usize::try_from(seen).unwrap_or(usize::MAX);
        let change = Change::Note {
            operation,
            note,
            seen,
        };
        return Ok(Checked { change, canonical });
    }
    let canonical = format!("1 {transaction:?} {evidence:?} {reason:?}");
    let resolution = Resolution {
        transaction,
        evidence,
        reason,
        operator: Arc::clone(operator),
    };
    let operation: OperationId = operation;
    Ok(Checked {
        change: Change::Resolve {
            operation,
            resolution,
        },
        canonical,
    })
}

fn said(param: &str, text: &str) -> Result<Arc<str>, Invalid> {
    if text.trim().is_empty() || text.len() > TEXT_BYTES_MAX {
        let message = format!("`{param}` is a text of 1 to {TEXT_BYTES_MAX} bytes.");
        return Err(Invalid::new(param, Code::ParameterInvalid, message));
    }
    Ok(Arc::from(text))
}
