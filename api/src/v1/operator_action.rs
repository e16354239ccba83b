//! What an operator decides: who decides it, why, and where the journal says so.

use super::list::Displayed;
use crate::auth::Caller;
use crate::errors::{ApiError, Code, Invalid};
use crate::json::Text;
use crate::reply::json;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use florin_domain::ids::{ApiKeyId, Seq};
use florin_domain::merchant::OperatorAction;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Characters of a reason at most.
const REASON_CHARS_MAX: usize = 500;

/// The body of an action whose reason may be left out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MaybeReason<'a> {
    #[serde(borrow, default)]
    pub(super) reason: Option<Text<'a>>,
}

/// The body of an action that needs a reason.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reason<'a> {
    #[serde(borrow)]
    pub(super) reason: Text<'a>,
}

/// An action of this operator for this reason.
pub(super) fn action(caller: &Caller, reason: Option<&Text<'_>>) -> Result<OperatorAction, ApiError> {
    Ok(OperatorAction {
        operator: caller.operator_id()?,
        reason: reason.map(checked).transpose()?,
    })
}

fn checked(reason: &Text<'_>) -> Result<Arc<str>, Invalid> {
    let text = reason.as_str().trim();
    if text.is_empty() || text.chars().count() > REASON_CHARS_MAX {
        let message = format!("`reason` has 1 to {REASON_CHARS_MAX} characters.");
        return Err(Invalid::new("reason", Code::ParameterInvalid, message));
    }
    Ok(Arc::from(text))
}

#[derive(Debug, Serialize)]
struct ActionBody<'a> {
    object: &'static str,
    action: &'static str,
    target: Option<&'a str>,
    operator: Displayed<ApiKeyId>,
    reason: Option<&'a str>,
    /// The commit that says it.
    seq: u64,
}

/// The answer to an action that is done and durable.
pub(super) fn done(
    name: &'static str,
    target: Option<&str>,
    action: &OperatorAction,
    seq: Seq,
) -> Result<HttpResponse, ApiError> {
    let body = ActionBody {
        object: "operator_action",
        action: name,
        target,
        operator: Displayed(action.operator),
        reason: action.reason.as_deref(),
        seq: seq.0,
    };
    json(StatusCode::OK, &body)
}
