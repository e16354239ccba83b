//! What Stripe's objects say of an attempt. No I/O; a state that decides nothing is `Unknown`.
//!
//! Captures of one intent share its `amount_received`. Each capture therefore leaves its operation and amount in the intent's
//! metadata, in the same request, and its own amount is the received total less the other records.

use super::request::{intent_of, is_object_id};
use super::wire::{Intent, Metadata, PaymentError, Refund};
use crate::providers::exchange::{shortened, unknown};
use florin_domain::ids::CaptureId;
use florin_domain::payment::OperationKind;
use florin_domain::ports::AttemptRequest;
use florin_domain::provider::{Outcome, ProviderReference};
use std::sync::Arc;

/// What an object was read from: the answer of the very request that asks for it to be changed, or any other look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Answer,
    Look,
}

/// The states of an intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    RequiresPaymentMethod,
    RequiresConfirmation,
    RequiresAction,
    Processing,
    RequiresCapture,
    Canceled,
    Succeeded,
}

impl Status {
    pub(super) fn parse(word: &str) -> Option<Self> {
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

pub(super) fn same_currency(request: &AttemptRequest, currency: &str) -> bool {
    currency.eq_ignore_ascii_case(request.currency.code())
}

pub(super) fn of_intent(request: &AttemptRequest, intent: &Intent<'_>, seen: Seen) -> Outcome {
    if intent_of(request) != Ok(&*intent.id) {
        return unknown(
            "the answer is about another payment intent",
            request.reference.clone(),
        );
    }
    let reference: ProviderReference = Arc::from(&*intent.id);
    if !same_currency(request, &intent.currency) {
        return unknown("the intent is in another currency", Some(reference));
    }
    let Some(status) = Status::parse(&intent.status) else {
        return unknown(
            format!("the intent has a state of its own: {}", &*intent.status),
            Some(reference),
        );
    };
    let outcome = match request.kind {
        OperationKind::Sale | OperationKind::Authorize => charge(request, intent, status, seen),
        OperationKind::Capture => capture(request, intent, status, seen),
        OperationKind::Increment => increment(request, intent, status),
        OperationKind::Void => void(intent, status),
        OperationKind::Refund | OperationKind::Reversal => None,
    };
    outcome.unwrap_or_else(|| {
        let reason = format!("the intent is in {}, which decides nothing yet", &*intent.status);
        unknown(reason, Some(reference))
    })
}

fn succeeded(intent: &Intent<'_>, amount_minor: i128) -> Outcome {
    let reference: ProviderReference = Arc::from(&*intent.id);
    let transaction = intent
        .latest_charge
        .as_deref()
        .filter(|charge| !charge.is_empty())
        .map_or_else(|| Arc::clone(&reference), Arc::from);
    Outcome::Succeeded {
        reference,
        transaction,
        amount_minor,
    }
}

/// `None` is undecided.
fn charge(request: &AttemptRequest, intent: &Intent<'_>, status: Status, seen: Seen) -> Option<Outcome> {
    let reference: ProviderReference = Arc::from(&*intent.id);
    match (status, request.kind) {
        (Status::Succeeded, OperationKind::Sale) => intent
            .received_minor
            .map(|received_minor| succeeded(intent, received_minor.into())),
        (Status::RequiresCapture, OperationKind::Authorize) => intent
            .capturable_minor
            .map(|capturable_minor| succeeded(intent, capturable_minor.into())),
        (Status::Succeeded | Status::RequiresCapture | Status::RequiresConfirmation, _) => None,
        (Status::RequiresAction, _) => {
            let redirect = intent
                .next_action
                .as_ref()
                .and_then(|next| next.redirect_to_url.as_ref());
            let redirect_url = redirect
                .and_then(|redirect| redirect.url.as_deref())
                .map(Arc::from);
            Some(Outcome::ActionRequired {
                reference,
                redirect_url,
            })
        }
        (Status::Processing, _) => Some(Outcome::Pending { reference }),
        (Status::Canceled, _) => {
            let is_uncharged = intent
                .received_minor
                .is_none_or(|received_minor| received_minor == 0);
            is_uncharged.then_some(Outcome::Cancelled {
                reference: Some(reference),
            })
        }
        (Status::RequiresPaymentMethod, _) => {
            let error = intent.last_payment_error.as_ref();
            let word = error.and_then(|error| error.decline_code.as_deref().or(error.code.as_deref()));
            // An intent that was never confirmed names no error; only the confirmation's own answer may do without.
            (error.is_some() || seen == Seen::Answer).then(|| Outcome::Declined {
                decline_code: Arc::from(shortened(word.unwrap_or("generic_decline"))),
                reference: Some(reference),
                network: error.map(PaymentError::network).unwrap_or_default(),
            })
        }
    }
}

/// `None` is undecided.
fn capture(request: &AttemptRequest, intent: &Intent<'_>, status: Status, seen: Seen) -> Option<Outcome> {
    let operation = request.operation.to_string();
    let mut others_minor: i128 = 0;
    let mut is_recorded = false;
    for (name, value) in intent.metadata.iter().flat_map(Metadata::pairs) {
        if name == operation {
            is_recorded = true;
        } else if name.starts_with(CaptureId::PREFIX) {
            others_minor += i128::from(value.parse::<u64>().ok()?);
        }
    }
    let captured_minor = i128::from(intent.received_minor?) - others_minor;
    // The records say more than the total: neither can be believed.
    if captured_minor < 0 {
        return None;
    }
    match status {
        Status::Succeeded | Status::RequiresCapture if is_recorded || seen == Seen::Answer => {
            Some(succeeded(intent, captured_minor))
        }
        // The rest of the authorization was released after this capture.
        Status::Canceled if is_recorded => Some(succeeded(intent, captured_minor)),
        Status::Canceled if captured_minor == 0 => Some(Outcome::Cancelled {
            reference: Some(Arc::from(&*intent.id)),
        }),
        Status::Processing if is_recorded || seen == Seen::Answer => Some(Outcome::Pending {
            reference: Arc::from(&*intent.id),
        }),
        Status::Succeeded
        | Status::RequiresCapture
        | Status::Canceled
        | Status::Processing
        | Status::RequiresPaymentMethod
        | Status::RequiresConfirmation
        | Status::RequiresAction => None,
    }
}

/// `None` is undecided. The intent's amount tells: nothing else changes it.
fn increment(request: &AttemptRequest, intent: &Intent<'_>, status: Status) -> Option<Outcome> {
    let before_minor = request.parent.as_ref()?.authorized.minor();
    let added_minor = i128::from(intent.amount_minor) - before_minor;
    match status {
        Status::RequiresCapture | Status::Succeeded if added_minor > 0 => {
            Some(succeeded(intent, added_minor))
        }
        Status::Canceled => Some(Outcome::Cancelled {
            reference: Some(Arc::from(&*intent.id)),
        }),
        Status::Succeeded
        | Status::RequiresCapture
        | Status::Processing
        | Status::RequiresPaymentMethod
        | Status::RequiresConfirmation
        | Status::RequiresAction => None,
    }
}

/// `None` is undecided. What is released is what was authorized and not received; after a capture the intent ends as succeeded.
fn void(intent: &Intent<'_>, status: Status) -> Option<Outcome> {
    let released_minor = i128::from(intent.amount_minor) - i128::from(intent.received_minor?);
    if released_minor < 0 {
        return None;
    }
    match status {
        Status::Canceled => Some(succeeded(intent, released_minor)),
        Status::Succeeded if released_minor > 0 => Some(succeeded(intent, released_minor)),
        Status::Succeeded
        | Status::RequiresCapture
        | Status::Processing
        | Status::RequiresPaymentMethod
        | Status::RequiresConfirmation
        | Status::RequiresAction => None,
    }
}

/// The operation that a refund was made for.
pub(super) fn operation_of<'a>(refund: &'a Refund<'_>) -> Option<&'a str> {
    refund.metadata.as_ref()?.get("operation_id")
}

pub(super) fn of_refund(request: &AttemptRequest, refund: &Refund<'_>) -> Outcome {
    let parent = request.parent.as_ref().map(|parent| &*parent.reference);
    let is_another = !is_object_id(&refund.id)
        || request
            .reference
            .as_deref()
            .is_some_and(|known| known != &*refund.id)
        || refund
            .payment_intent
            .as_deref()
            .is_some_and(|intent| Some(intent) != parent)
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
            Outcome::Succeeded {
                reference,
                transaction,
                amount_minor: refund.amount_minor.into(),
            }
        }
        Some("pending" | "requires_action") => Outcome::Pending { reference },
        Some("failed") => {
            let decline_code = Arc::from(shortened(
                refund.failure_reason.as_deref().unwrap_or("refund_failed"),
            ));
            Outcome::declined(decline_code, Some(reference))
        }
        Some("canceled") => Outcome::Cancelled {
            reference: Some(reference),
        },
        Some(_) | None => unknown("the refund has a state of its own", Some(reference)),
    }
}

#[cfg(test)]
mod tests;
