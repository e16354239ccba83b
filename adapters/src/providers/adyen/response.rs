//! What an answer means. No I/O; whatever is not clearly said is `Unknown`.

use super::amounts::from_wire;
use super::names;
use super::request::is_psp_reference;
use super::wire::{Acknowledged, ApiError, Charged, network};
use crate::providers::connection::Reply;
use crate::providers::exchange::{refusal, shortened, undecided, unknown, unreadable};
use florin_domain::card_details::masked;
use florin_domain::money::Currency;
use florin_domain::ports::AttemptRequest;
use florin_domain::provider::{Outcome, ProviderReference};
use std::sync::Arc;

/// A request with this key is being executed at this moment.
const KEY_IN_USE: &str = "704";
/// The kind of an error that is not ours.
const INTERNAL: &str = "internal";

/// What the request that charges came back with.
pub(super) fn charged(request: &AttemptRequest, reply: &Reply) -> Outcome {
    if !reply.is_success() {
        return refused(request, reply);
    }
    let Some(charged) = reply.parse::<Charged<'_>>() else {
        return unreadable(request, reply);
    };
    of_charge(request, reply, &charged)
}

/// What handing over the customer's details came back with. A refusal to take them decides nothing: the challenge stays open. The customer
/// may have brought those of another payment, so the answer must say that it is about this one.
pub(super) fn detailed(request: &AttemptRequest, reply: &Reply) -> Outcome {
    let ours = names::of_attempt(request);
    let is_named = |charged: &Charged<'_>| charged.merchant_reference.as_deref() == Some(&*ours);
    if reply.is_success()
        && !reply
            .parse::<Charged<'_>>()
            .is_some_and(|charged| is_named(&charged))
    {
        let reason = "the answer to the details does not say that it is about this payment";
        return unknown(reason, request.reference.clone());
    }
    undecided(charged(request, reply), request)
}

fn of_charge(request: &AttemptRequest, reply: &Reply, charged: &Charged<'_>) -> Outcome {
    let ours = names::of_attempt(request);
    let is_another = charged
        .merchant_reference
        .as_deref()
        .is_some_and(|named| named != ours);
    if is_another {
        return unknown("the answer is about another payment", request.reference.clone());
    }
    let psp = charged
        .psp_reference
        .as_deref()
        .filter(|reference| is_psp_reference(reference));
    // Before a challenge is over Adyen may have named nothing; our own name finds the charge as well.
    let named: ProviderReference = Arc::from(psp.unwrap_or(&ours));
    match &*charged.result_code {
        "Authorised" | "PartiallyAuthorised" => {
            let Some(reference) = psp.map(Arc::from) else {
                return unknown("authorised, but under no reference", Some(named));
            };
            match amount_of(request, charged) {
                Some(amount_minor) => Outcome::Succeeded {
                    transaction: Arc::clone(&reference),
                    reference,
                    amount_minor,
                },
                None => unknown("authorised, but for another currency", Some(reference)),
            }
        }
        "Refused" => Outcome::Declined {
            decline_code: decline_code(
                charged.refusal_reason_code.as_deref(),
                charged.refusal_reason.as_deref(),
            ),
            reference: Some(named),
            network: network(&reply.body),
        },
        "Cancelled" => Outcome::declined(Arc::from("cancelled_by_customer"), Some(named)),
        "RedirectShopper" | "ChallengeShopper" | "IdentifyShopper" => {
            let url = charged.action.as_ref().and_then(|action| action.url.as_deref());
            Outcome::ActionRequired {
                reference: named,
                redirect_url: url.map(Arc::from),
            }
        }
        "Pending" | "Received" => Outcome::Pending { reference: named },
        // `Error` among them: the acquirer may have taken it all the same.
        other => {
            let reason = charged.refusal_reason.as_deref().unwrap_or_default();
            unknown(
                format!(
                    "the result {} decides nothing: {}",
                    shortened(other),
                    shortened(reason)
                ),
                Some(named),
            )
        }
    }
}

/// The answer to a request need not repeat its amount.
fn amount_of(request: &AttemptRequest, charged: &Charged<'_>) -> Option<i128> {
    let Some(amount) = &charged.amount else {
        // Less than was asked for is never said without the amount.
        return charged
            .result_code
            .is("Authorised")
            .then(|| request.amount.minor());
    };
    let currency = Currency::parse(&amount.currency).ok()?;
    (currency == request.currency)
        .then(|| from_wire(amount.value, currency))
        .flatten()
}

/// A capture, void or refund was taken on; what becomes of it is told in a notification.
pub(super) fn acknowledged(request: &AttemptRequest, reply: &Reply) -> Outcome {
    if !reply.is_success() {
        return refused(request, reply);
    }
    match received(reply, &names::of_attempt(request)) {
        Some(reference) => Outcome::Pending { reference },
        None => unreadable(request, reply),
    }
}

/// The closing of a charge was taken on, which proves nothing yet.
pub(super) fn closing(request: &AttemptRequest, reply: &Reply) -> Outcome {
    if !reply.is_success() {
        return undecided(refused(request, reply), request);
    }
    match received(reply, &names::of_closing(request)) {
        Some(_) => unknown(
            "Adyen was asked to close the charge and will tell whether it did",
            request.reference.clone(),
        ),
        None => unreadable(request, reply),
    }
}

/// Adyen's name of the modification that it received under our name of it.
fn received(reply: &Reply, ours: &str) -> Option<ProviderReference> {
    let answer = reply.parse::<Acknowledged<'_>>()?;
    let is_ours = answer.reference.as_deref().is_none_or(|named| named == ours);
    let is_received = answer.status.is("received") && is_psp_reference(&answer.psp_reference);
    (is_ours && is_received).then(|| Arc::from(&*answer.psp_reference))
}

fn refused(request: &AttemptRequest, reply: &Reply) -> Outcome {
    if reply.status == 429 {
        return Outcome::RateLimited {
            retry_after: reply.retry_after(),
        };
    }
    let Some(error) = reply.parse::<ApiError<'_>>() else {
        return unreadable(request, reply);
    };
    let code = error.error_code.as_deref().or(error.error_type.as_deref());
    let message = shortened(error.message.as_deref().unwrap_or_default());
    let word = shortened(code.unwrap_or("no code"));
    let reason: Arc<str> = format!("{} {word}: {message}", reply.status).into();
    match reply.status {
        // Something was sent under the key before.
        _ if code == Some(KEY_IN_USE) || is_about_the_key(error.message.as_deref()) => {
            unknown(reason, request.reference.clone())
        }
        // An error of Adyen's own, whatever its status says, may have come after the charge.
        _ if error.error_type.as_deref() == Some(INTERNAL) => unknown(reason, request.reference.clone()),
        // Refused before anything was done: who we are, or what we asked for.
        400 | 401 | 403 | 404 | 422 if code.is_some() => refusal(reply, reason),
        _ => unknown(reason, request.reference.clone()),
    }
}

/// Which code a key has that was used for another request is not documented, so what is said decides.
fn is_about_the_key(message: Option<&str>) -> bool {
    message.is_some_and(|message| message.to_ascii_lowercase().contains("idempotency"))
}

/// The refusal in the words that all providers share; what has no such word keeps Adyen's.
pub(super) fn decline_code(code: Option<&str>, reason: Option<&str>) -> Arc<str> {
    let word = match code {
        Some("2") => "generic_decline",
        Some("5") => "card_blocked",
        Some("6") => "expired_card",
        Some("8") => "incorrect_number",
        Some("11") => "authentication_failed",
        Some("38") => "authentication_required",
        Some("12") => "insufficient_funds",
        Some("14" | "20" | "31") => "fraudulent",
        Some("17" | "32") => "incorrect_pin",
        Some("24") => "incorrect_cvc",
        Some("25") => "transaction_not_allowed",
        _ => return Arc::from(snake(reason.unwrap_or_default())),
    };
    Arc::from(word)
}

/// `Issuer Unavailable` as `issuer_unavailable`; masked first, as underscores would hide a number from who masks.
pub(super) fn snake(reason: &str) -> String {
    let reason = masked(reason);
    let words = reason
        .split(|letter: char| !letter.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase);
    let joined = words.collect::<Vec<_>>().join("_");
    if joined.is_empty() {
        "generic_decline".to_owned()
    } else {
        joined.chars().take(64).collect()
    }
}

#[cfg(test)]
mod tests;
