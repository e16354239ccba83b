//! What an answer means. No I/O; whatever is not clearly said is `Unknown`, and only Stripe's own words prove that nothing happened.
//!
//! Captures of one intent share its `amount_received`. Each capture therefore leaves its operation and amount in the intent's
//! metadata, in the same request, and its own amount is the received total less the other records.

use super::request::{intent_of, is_object_id};
use super::wire::{ApiError, Envelope, Intent, Refund, RefundPage};
use bytes::Bytes;
use florin_domain::payment::OperationKind;
use florin_domain::ports::AttemptRequest;
use florin_domain::provider::{Outcome, ProviderReference};
use florin_domain::time::Millis;
use serde::Deserialize;
use std::sync::Arc;

/// What a capture's record in the metadata starts with: the prefix of its operation id.
const CAPTURE_PREFIX: &str = florin_domain::ids::CaptureId::PREFIX;
const RETRY_AFTER_DEFAULT: Millis = Millis::from_s(1);
/// Longer waits are not believed.
const RETRY_AFTER_MAX: Millis = Millis::from_s(3600);
/// Enough for an operator to see what a message is about.
const MESSAGE_CHARS_MAX: usize = 200;

/// A complete answer.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    /// `Retry-After`, if it was given in seconds.
    pub(super) retry_after_s: Option<u64>,
    pub(super) body: Bytes,
}

impl Reply {
    fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    fn parse<'a, T: Deserialize<'a>>(&'a self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }

    fn retry_after(&self) -> Millis {
        self.retry_after_s.map_or(RETRY_AFTER_DEFAULT, Millis::from_s).min(RETRY_AFTER_MAX)
    }
}

/// What an object was read from: the answer of the very request that asks for it to be changed, or any other look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Answer,
    Look,
}

pub(super) fn unknown(reason: impl Into<Arc<str>>, reference: Option<ProviderReference>) -> Outcome {
    Outcome::Unknown { reason: reason.into(), reference }
}

fn unreadable(request: &AttemptRequest, reply: &Reply) -> Outcome {
    let reason = format!("status {} with a body that cannot be understood", reply.status);
    unknown(reason, request.reference.clone())
}

fn described(status: u16, error: &ApiError<'_>) -> String {
    let word = error.code.as_deref().or(error.kind.as_deref()).unwrap_or("no code");
    let message = error.message.as_deref().unwrap_or_default();
    let message: String = message.chars().take(MESSAGE_CHARS_MAX).collect();
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
    let is_ours = same_currency(request, &intent.currency)
        && i128::from(intent.amount_minor) == request.amount.minor();
    if is_ours { Ok(reference) } else { Err(unknown("the payment intent is for another sum", Some(reference))) }
}

fn not_made(request: &AttemptRequest, reply: &Reply) -> Outcome {
    let envelope: Option<Envelope<'_>> = reply.parse();
    match (reply.status, envelope) {
        (429, _) => Outcome::RateLimited { retry_after: reply.retry_after() },
        (402, Some(Envelope { error })) => {
            Outcome::Declined { decline_code: decline_code(&error), reference: None }
        }
        (400 | 401 | 403 | 404, Some(Envelope { error })) => {
            Outcome::Rejected { reason: described(reply.status, &error).into() }
        }
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
        OperationKind::Sale | OperationKind::Authorize | OperationKind::Capture | OperationKind::Void => {
            match reply.parse() {
                Some(intent) => of_intent(request, &intent, Seen::Answer),
                None => unreadable(request, reply),
            }
        }
        OperationKind::Refund => read_refund(request, reply),
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
        (429, _) => Outcome::RateLimited { retry_after: reply.retry_after() },
        (status, Some(Envelope { error })) => unknown(described(status, &error), request.reference.clone()),
        (_, None) => unreadable(request, reply),
    }
}

fn refused(request: &AttemptRequest, reply: &Reply) -> Outcome {
    let envelope: Option<Envelope<'_>> = reply.parse();
    let Some(Envelope { error }) = envelope else {
        return match reply.status {
            429 => Outcome::RateLimited { retry_after: reply.retry_after() },
            _ => unreadable(request, reply),
        };
    };
    let reason = || described(reply.status, &error);
    match reply.status {
        402 => declined(request, reply, &error),
        // The lock may be held by an earlier request of this attempt.
        429 if error.code.as_deref() == Some("lock_timeout") => unknown(reason(), request.reference.clone()),
        429 => Outcome::RateLimited { retry_after: reply.retry_after() },
        // An earlier request with this key was taken on, so it may have been done.
        400 if is_key_reuse(&error) => {
            let reason = format!("the key was used with other parameters: {}", reason());
            unknown(reason, request.reference.clone())
        }
        400 if is_unexpected_state(&error) => stands_otherwise(request, reply, &error),
        400 | 401 | 403 | 404 => Outcome::Rejected { reason: reason().into() },
        _ => unknown(reason(), request.reference.clone()),
    }
}

fn is_key_reuse(error: &ApiError<'_>) -> bool {
    [&error.kind, &error.code].into_iter().any(|word| word.as_deref() == Some("idempotency_error"))
}

fn is_unexpected_state(error: &ApiError<'_>) -> bool {
    error.code.as_deref() == Some("payment_intent_unexpected_state")
}

/// The intent was not in a state for this request, perhaps because it was already done: the intent itself says so.
fn stands_otherwise(request: &AttemptRequest, reply: &Reply, error: &ApiError<'_>) -> Outcome {
    let seen = error.payment_intent.as_ref().map(|intent| of_intent(request, intent, Seen::Look));
    let reason = described(reply.status, error);
    match (request.kind, seen) {
        // Nobody but this attempt confirms its intent.
        (OperationKind::Sale | OperationKind::Authorize, Some(outcome)) => outcome,
        (OperationKind::Sale | OperationKind::Authorize, None) => unknown(reason, request.reference.clone()),
        (
            OperationKind::Capture | OperationKind::Void,
            Some(outcome @ (Outcome::Succeeded { .. } | Outcome::Cancelled { .. })),
        ) => outcome,
        (OperationKind::Capture | OperationKind::Void | OperationKind::Refund, _) => {
            Outcome::Rejected { reason: reason.into() }
        }
    }
}

fn decline_code(error: &ApiError<'_>) -> Arc<str> {
    let word = error.decline_code.as_deref().or(error.code.as_deref());
    Arc::from(word.unwrap_or("generic_decline"))
}

fn declined(request: &AttemptRequest, reply: &Reply, error: &ApiError<'_>) -> Outcome {
    let charges = matches!(request.kind, OperationKind::Sale | OperationKind::Authorize);
    let intent = error.payment_intent.as_ref();
    let is_uncharged = intent.is_none_or(|intent| match Status::parse(&intent.status) {
        Some(Status::RequiresPaymentMethod | Status::RequiresConfirmation | Status::Canceled) => true,
        Some(
            Status::RequiresAction | Status::Processing | Status::RequiresCapture | Status::Succeeded,
        )
        | None => false,
    });
    if charges && !is_uncharged {
        let reason = format!("declined, and yet not without a charge: {}", described(reply.status, error));
        return unknown(reason, request.reference.clone());
    }
    Outcome::Declined { decline_code: decline_code(error), reference: request.reference.clone() }
}

/// The states of an intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    RequiresPaymentMethod,
    RequiresConfirmation,
    RequiresAction,
    Processing,
    RequiresCapture,
    Canceled,
    Succeeded,
}

impl Status {
    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "requires_payment_method" => Self::RequiresPaymentMethod,
            "requires_confirmation" => Self::RequiresConfirmation,
            "requires_action" => Self::RequiresAction,
            "processing" => Self::Processing,
            "requires_capture" => Self::RequiresCapture,
            "canceled" => Self::Canceled,
            "succeeded" => Self::Succeeded,
            _ => return None,
        })
    }
}

fn same_currency(request: &AttemptRequest, currency: &str) -> bool {
    currency.eq_ignore_ascii_case(request.currency.code())
}

fn of_intent(request: &AttemptRequest, intent: &Intent<'_>, seen: Seen) -> Outcome {
    if intent_of(request) != Ok(&*intent.id) {
        return unknown("the answer is about another payment intent", request.reference.clone());
    }
    let reference: ProviderReference = Arc::from(&*intent.id);
    if !same_currency(request, &intent.currency) {
        return unknown("the intent is in another currency", Some(reference));
    }
    let Some(status) = Status::parse(&intent.status) else {
        return unknown(format!("the intent has a state of its own: {}", &*intent.status), Some(reference));
    };
    let outcome = match request.kind {
        OperationKind::Sale | OperationKind::Authorize => charge(request, intent, status, seen),
        OperationKind::Capture => capture(request, intent, status, seen),
        OperationKind::Void => void(intent, status),
        OperationKind::Refund => None,
    };
    outcome.unwrap_or_else(|| {
        let reason = format!("the intent is in {}, which decides nothing yet", &*intent.status);
        unknown(reason, Some(reference))
    })
}

fn succeeded(intent: &Intent<'_>, amount_minor: i128) -> Outcome {
    let reference: ProviderReference = Arc::from(&*intent.id);
    let transaction = intent.latest_charge.as_deref().map_or_else(|| Arc::clone(&reference), Arc::from);
    Outcome::Succeeded { reference, transaction, amount_minor }
}

/// `None` is undecided.
fn charge(request: &AttemptRequest, intent: &Intent<'_>, status: Status, seen: Seen) -> Option<Outcome> {
    let reference: ProviderReference = Arc::from(&*intent.id);
    match (status, request.kind) {
        (Status::Succeeded, OperationKind::Sale) => {
            intent.received_minor.map(|received_minor| succeeded(intent, received_minor.into()))
        }
        (Status::RequiresCapture, OperationKind::Authorize) => {
            intent.capturable_minor.map(|capturable_minor| succeeded(intent, capturable_minor.into()))
        }
        (Status::Succeeded | Status::RequiresCapture | Status::RequiresConfirmation, _) => None,
        (Status::RequiresAction, _) => {
            let redirect = intent.next_action.as_ref().and_then(|next| next.redirect_to_url.as_ref());
            let redirect_url = redirect.and_then(|redirect| redirect.url.as_deref()).map(Arc::from);
            Some(Outcome::ActionRequired { reference, redirect_url })
        }
        (Status::Processing, _) => Some(Outcome::Pending { reference }),
        (Status::Canceled, _) => {
            let is_uncharged = intent.received_minor.is_none_or(|received_minor| received_minor == 0);
            is_uncharged.then_some(Outcome::Cancelled { reference: Some(reference) })
        }
        (Status::RequiresPaymentMethod, _) => {
            let error = intent.last_payment_error.as_ref();
            let word = error.and_then(|error| error.decline_code.as_deref().or(error.code.as_deref()));
            // An intent that was never confirmed names no error; only the confirmation's own answer may do without.
            (error.is_some() || seen == Seen::Answer).then(|| Outcome::Declined {
                decline_code: Arc::from(word.unwrap_or("generic_decline")),
                reference: Some(reference),
            })
        }
    }
}

/// `None` is undecided.
fn capture(request: &AttemptRequest, intent: &Intent<'_>, status: Status, seen: Seen) -> Option<Outcome> {
    let operation = request.operation.to_string();
    let mut others_minor: i128 = 0;
    let mut is_recorded = false;
    for (name, value) in intent.metadata.iter().flat_map(|metadata| metadata.pairs()) {
        if name == operation {
            is_recorded = true;
        } else if name.starts_with(CAPTURE_PREFIX) {
            others_minor += i128::from(value.parse::<u64>().ok()?);
        }
    }
    let captured_minor = i128::from(intent.received_minor?) - others_minor;
    match status {
        Status::Succeeded | Status::RequiresCapture if is_recorded || seen == Seen::Answer => {
            Some(succeeded(intent, captured_minor))
        }
        // The rest of the authorization was released after this capture.
        Status::Canceled if is_recorded => Some(succeeded(intent, captured_minor)),
        Status::Canceled if captured_minor == 0 => {
            Some(Outcome::Cancelled { reference: Some(Arc::from(&*intent.id)) })
        }
        Status::Processing if is_recorded || seen == Seen::Answer => {
            Some(Outcome::Pending { reference: Arc::from(&*intent.id) })
        }
        Status::Succeeded
        | Status::RequiresCapture
        | Status::Canceled
        | Status::Processing
        | Status::RequiresPaymentMethod
        | Status::RequiresConfirmation
        | Status::RequiresAction => None,
    }
}

/// `None` is undecided. What is released is what was authorized and not received.
fn void(intent: &Intent<'_>, status: Status) -> Option<Outcome> {
    match status {
        Status::Canceled => {
            let received_minor = i128::from(intent.received_minor?);
            Some(succeeded(intent, i128::from(intent.amount_minor) - received_minor))
        }
        Status::Succeeded
        | Status::RequiresCapture
        | Status::Processing
        | Status::RequiresPaymentMethod
        | Status::RequiresConfirmation
        | Status::RequiresAction => None,
    }
}

fn operation_of<'a>(refund: &'a Refund<'_>) -> Option<&'a str> {
    refund.metadata.as_ref()?.get("operation_id")
}

fn of_refund(request: &AttemptRequest, refund: &Refund<'_>) -> Outcome {
    let parent = request.parent.as_ref().map(|parent| &*parent.reference);
    let is_another = !is_object_id(&refund.id)
        || request.reference.as_deref().is_some_and(|known| known != &*refund.id)
        || refund.payment_intent.as_deref().is_some_and(|intent| Some(intent) != parent)
        || operation_of(refund).is_some_and(|operation| operation != request.operation.to_string());
    if is_another {
        return unknown("the answer is about another refund", request.reference.clone());
    }
    let reference: ProviderReference = Arc::from(&*refund.id);
    if !same_currency(request, &refund.currency) {
        return unknown("the refund is in another currency", Some(reference));
    }
    match refund.status.as_deref() {
        Some("succeeded") => {
            let transaction = Arc::clone(&reference);
            Outcome::Succeeded { reference, transaction, amount_minor: refund.amount_minor.into() }
        }
        Some("pending" | "requires_action") => Outcome::Pending { reference },
        Some("failed") => {
            let decline_code = Arc::from(refund.failure_reason.as_deref().unwrap_or("refund_failed"));
            Outcome::Declined { decline_code, reference: Some(reference) }
        }
        Some("canceled") => Outcome::Cancelled { reference: Some(reference) },
        Some(_) | None => unknown("the refund has a state of its own", Some(reference)),
    }
}

#[cfg(test)]
mod tests;
