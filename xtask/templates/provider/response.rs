//! What an answer means. No I/O; whatever is not clearly said is `Unknown`, and only the provider's own words prove that nothing happened.

use super::wire::ApiError;
use crate::providers::connection::Reply;
use crate::providers::exchange::{shortened, unknown, unreadable};
use florin_domain::ports::AttemptRequest;
use florin_domain::provider::Outcome;

/// What the request that does it came back with.
///
/// To be filled in, each for a sentence of the documentation, and each with a payload in `tests/data/providers/nameless`:
/// * 2xx, and it names our attempt, the currency and the amount: `Succeeded`, `Pending` or `ActionRequired`
/// * the issuer said no: `Declined`, in the words that all providers share
/// * 429, if the documentation says that it comes before anything is done: `RateLimited`
/// * refused before anything was done, in the provider's own envelope: `exchange::refusal`, which says whose key it was at 401 and 403
/// * the key is in use, or was used for something else: `Unknown`, because the other request may have charged
pub(super) fn executed(request: &AttemptRequest, reply: &Reply) -> Outcome {
    match reply.parse::<ApiError<'_>>() {
        Some(error) => unknown(described(reply.status, &error), request.reference.clone()),
        None => unreadable(request, reply),
    }
}

fn described(status: u16, error: &ApiError<'_>) -> String {
    let code = error.code.as_deref().unwrap_or("no code");
    format!(
        "{status} {code}: {}",
        shortened(error.message.as_deref().unwrap_or_default())
    )
}

#[cfg(test)]
mod tests;
