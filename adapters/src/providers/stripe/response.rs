//! What an answer means. No I/O; whatever is not clearly said is `Unknown`, and only Stripe's own words prove that nothing happened.

use super::objects::{Seen, Status, of_intent, of_refund, operation_of, same_currency};
use super::request::is_object_id;
use super::wire::{ApiError, Envelope, Intent, Refund, RefundPage};
use crate::providers::connection::Reply;
use crate::providers::exchange::{refusal, shortened, unknown, unreadable};
use florin_domain::payment::OperationKind;
use florin_domain::ports::AttemptRequest;
use florin_domain::provider::{Outcome, ProviderReference};
use std::sync::Arc;

fn described(status: u16, error: &ApiError<'_>) -> String {
    let word = error.code.as_deref().or(error.kind.as_deref());
    let word = shortened(word.unwrap_or("no code"));
    let message = shortened(error.message.as_deref().unwrap_or_default());
    format!("{status} {word}: {message}")
}

/// The reference of the intent just made, or why there is none.
pub(super) fn prepared(request: &AttemptRequest, reply: &Reply) -> Result<ProviderReference, Outcome> {
    if !reply.is_success() {
        return Err(not_made(request, reply));
    }
    let intent: Intent<'_> = reply.parse().ok_or_else(|| unreadable(request, reply))?;
    if !intent.id.starts_with("pi_") || !is_object_id(&intent.id) {
        return Err(unknown("the answer names no payment intent", None));
    }
    let reference: ProviderReference = Arc::from(&*intent.id);
    let is_ours =
        same_currency(request, &intent.currency) && i128::from(intent.amount_minor) == request.amount.minor();
    if is_ours {
        Ok(reference)
    } else {
        Err(unknown("the payment intent is for another sum", Some(reference)))
    }
}

fn not_made(request: &AttemptRequest, reply: &Reply) -> Outcome {
    let envelope: Option<Envelope<'_>> = reply.parse();
    match (reply.status, envelope) {
        (429, _) => Outcome::RateLimited {
            retry_after: reply.retry_after(),
        },
        (402, Some(Envelope { error })) => Outcome::Declined {
            decline_code: decline_code(&error),
            reference: None,
            network: error.network(),
        },
        (400 | 401 | 403 | 404, Some(Envelope { error })) => refusal(reply, described(reply.status, &error)),
        (status, Some(Envelope { error })) => unknown(described(status, &error), None),
        (_, None) => unreadable(request, reply),
    }
}

/// What the request that does it came back with.
pub(super) fn executed(request: &AttemptRequest, reply: &Reply) -> Outcome {
    if !reply.is_success() {
        return refused(request, reply);
    }
    match request.kind {
        OperationKind::Sale
        | OperationKind::Authorize
        | OperationKind::Capture
        | OperationKind::Increment
        | OperationKind::Void
        | OperationKind::Reversal => match reply.parse() {
            Some(intent) => of_intent(request, &intent, Seen::Answer),
            None => unreadable(request, reply),
        },
        OperationKind::Refund => read_refund(request, reply),
    }
}

/// A void was refused because something was captured before: the rest must be released in another way.
pub(super) fn is_partly_captured(reply: &Reply) -> bool {
    let envelope: Option<Envelope<'_>> = reply.parse();
    envelope.is_some_and(|Envelope { error }| {
        let intent = error.payment_intent.as_ref();
        reply.status == 400
            && is_unexpected_state(&error)
            && intent.is_some_and(|intent| {
                Status::parse(&intent.status) == Some(Status::RequiresCapture)
                    && intent
                        .received_minor
                        .is_some_and(|received_minor| received_minor > 0)
            })
    })
}

/// Whether the answer to a repeated request says what the first one could not.
pub(super) fn says_more(request: &AttemptRequest, reply: &Reply) -> bool {
    match executed(request, reply) {
        Outcome::Succeeded { .. }
        | Outcome::Declined { .. }
        | Outcome::ActionRequired { .. }
        | Outcome::Pending { .. }
        | Outcome::Cancelled { .. } => true,
        Outcome::NotSent { .. }
        | Outcome::RateLimited { .. }
        | Outcome::Rejected { .. }
        | Outcome::Unknown { .. } => is_partly_captured(reply),
    }
}

/// What a look at the attempt's intent shows.
pub(super) fn read_intent(request: &AttemptRequest, reply: &Reply) -> Outcome {
    if !reply.is_success() {
        return not_read(request, reply);
    }
    match reply.parse() {
        Some(intent) => of_intent(request, &intent, Seen::Look),
        None => unreadable(request, reply),
    }
}

/// What a refund shows.
pub(super) fn read_refund(request: &AttemptRequest, reply: &Reply) -> Outcome {
    if !reply.is_success() {
        return not_read(request, reply);
    }
    match reply.parse() {
        Some(refund) => of_refund(request, &refund),
        None => unreadable(request, reply),
    }
}

/// Where to go on after one page of refunds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Listed {
    /// The refund was there, or nothing can be said.
    Ended(Outcome),
    /// It may be on the page after this refund.
    After(String),
}

/// Looks for the attempt's refund on a page. That it is not there proves nothing: its request may still be on its way.
pub(super) fn listed_refund(request: &AttemptRequest, reply: &Reply) -> Listed {
    if !reply.is_success() {
        return Listed::Ended(not_read(request, reply));
    }
    let Some(page) = reply.parse::<RefundPage<'_>>() else {
        return Listed::Ended(unreadable(request, reply));
    };
    let operation = request.operation.to_string();
    let recorded = |refund: &&Refund<'_>| operation_of(refund) == Some(&*operation);
    match (page.data.iter().find(recorded), page.data.last()) {
        (Some(refund), _) => Listed::Ended(of_refund(request, refund)),
        (None, Some(last)) if page.has_more => Listed::After(last.id.to_string()),
        (None, _) => Listed::Ended(unknown("the intent has no refund of this operation", None)),
    }
}

/// What closing came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Closed {
    /// This is known.
    Ended(Outcome),
    /// It could not be closed as it stands: look at it.
    Look,
    /// The answer to this key is an error for good: the request must be repeated without one.
    Failed(Outcome),
}

/// Only an intent that says `canceled` is closed.
pub(super) fn cancelled(request: &AttemptRequest, reply: &Reply) -> Closed {
    if reply.is_success() {
        let Some(intent) = reply.parse::<Intent<'_>>() else {
            return Closed::Ended(unreadable(request, reply));
        };
        return match of_intent(request, &intent, Seen::Look) {
            outcome @ (Outcome::Cancelled { .. } | Outcome::Unknown { .. }) => Closed::Ended(outcome),
            Outcome::Succeeded { .. }
            | Outcome::Declined { .. }
            | Outcome::ActionRequired { .. }
            | Outcome::Pending { .. }
            | Outcome::NotSent { .. }
            | Outcome::RateLimited { .. }
            | Outcome::Rejected { .. } => {
                let reason = format!("cancelling left the intent in {}", &*intent.status);
                Closed::Ended(unknown(reason, request.reference.clone()))
            }
        };
    }
    let envelope: Option<Envelope<'_>> = reply.parse();
    let is_state = envelope.is_some_and(|envelope| is_unexpected_state(&envelope.error));
    match reply.status {
        400 if is_state => Closed::Look,
        500.. => Closed::Failed(not_read(request, reply)),
        _ => Closed::Ended(not_read(request, reply)),
    }
}

/// A refusal to show or to close says nothing of what happened.
fn not_read(request: &AttemptRequest, reply: &Reply) -> Outcome {
    let envelope: Option<Envelope<'_>> = reply.parse();
    match (reply.status, envelope) {
        (429, _) => Outcome::RateLimited {
            retry_after: reply.retry_after(),
        },
        (status, Some(Envelope { error })) => unknown(described(status, &error), request.reference.clone()),
        (_, None) => unreadable(request, reply),
    }
}

fn refused(request: &AttemptRequest, reply: &Reply) -> Outcome {
    let envelope: Option<Envelope<'_>> = reply.parse();
    let Some(Envelope { error }) = envelope else {
        return match reply.status {
            429 => Outcome::RateLimited {
                retry_after: reply.retry_after(),
            },
            _ => unreadable(request, reply),
        };
    };
    let reason = || described(reply.status, &error);
    match reply.status {
        402 => declined(request, reply, &error),
        // The lock may be held by an earlier request of this attempt.
        429 if error.code.as_deref() == Some("lock_timeout") => unknown(reason(), request.reference.clone()),
        429 => Outcome::RateLimited {
            retry_after: reply.retry_after(),
        },
        // An earlier request with this key was taken on, so it may have been done.
        400 if is_key_reuse(&error) => {
            let reason = format!("the key was used with other parameters: {}", reason());
            unknown(reason, request.reference.clone())
        }
        400 if is_unexpected_state(&error) => stands_otherwise(request, reply, &error),
        400 | 401 | 403 | 404 => refusal(reply, reason()),
        _ => unknown(reason(), request.reference.clone()),
    }
}

/// Another request was taken on under this key before.
pub(super) fn is_key_reused(reply: &Reply) -> bool {
    let envelope: Option<Envelope<'_>> = reply.parse();
    reply.status == 400 && envelope.is_some_and(|envelope| is_key_reuse(&envelope.error))
}

fn is_key_reuse(error: &ApiError<'_>) -> bool {
    [&error.kind, &error.code]
        .into_iter()
        .any(|word| word.as_deref() == Some("idempotency_error"))
}

fn is_unexpected_state(error: &ApiError<'_>) -> bool {
    error.code.as_deref() == Some("payment_intent_unexpected_state")
}

/// The intent was not in a state for this request, perhaps because it was already done: the intent itself says so.
fn stands_otherwise(request: &AttemptRequest, reply: &Reply, error: &ApiError<'_>) -> Outcome {
    let seen = error
        .payment_intent
        .as_ref()
        .map(|intent| of_intent(request, intent, Seen::Look));
    let reason = described(reply.status, error);
    match request.kind {
        // Nobody but this attempt confirms its intent.
        OperationKind::Sale | OperationKind::Authorize => {
            seen.unwrap_or_else(|| unknown(reason, request.reference.clone()))
        }
        OperationKind::Capture
        | OperationKind::Increment
        | OperationKind::Void
        | OperationKind::Refund
        | OperationKind::Reversal => {
            let is_word = |outcome: &Outcome| {
                matches!(
                    outcome,
                    Outcome::Succeeded { .. } | Outcome::Pending { .. } | Outcome::Cancelled { .. }
                )
            };
            seen.filter(is_word).unwrap_or_else(|| Outcome::rejected(reason))
        }
    }
}

fn decline_code(error: &ApiError<'_>) -> Arc<str> {
    let word = error.decline_code.as_deref().or(error.code.as_deref());
    Arc::from(shortened(word.unwrap_or("generic_decline")))
}

fn declined(request: &AttemptRequest, reply: &Reply, error: &ApiError<'_>) -> Outcome {
    let charges = matches!(request.kind, OperationKind::Sale | OperationKind::Authorize);
    let intent = error.payment_intent.as_ref();
    let is_uncharged = intent.is_none_or(|intent| match Status::parse(&intent.status) {
        Some(Status::RequiresPaymentMethod | Status::RequiresConfirmation | Status::Canceled) => true,
        Some(Status::RequiresAction | Status::Processing | Status::RequiresCapture | Status::Succeeded)
        | None => false,
    });
    if charges && !is_uncharged {
        let reason = format!(
            "declined, and yet not without a charge: {}",
            described(reply.status, error)
        );
        return unknown(reason, request.reference.clone());
    }
    Outcome::Declined {
        decline_code: decline_code(error),
        reference: request.reference.clone(),
        network: error.network(),
    }
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
