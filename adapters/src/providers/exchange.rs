//! What all adapters say in the same words: that a request cannot be sent, and what it means that nothing usable came back.
//!
//! Nothing here turns doubt into certainty: what may have left this process is [`Outcome::Unknown`].

use super::connection::{Failure, Reply};
use florin_domain::card_details::masked;
use florin_domain::ports::AttemptRequest;
use florin_domain::provider::{Outcome, ProviderReference};
use florin_domain::time::Millis;
use std::sync::Arc;
use std::time::Duration;

/// Enough for an operator to see what a message is about.
const MESSAGE_CHARS_MAX: usize = 200;

/// The attempt lacks what the request needs, or the adapter does not have the operation: nothing can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unsendable(pub(super) &'static str);

impl From<Unsendable> for Outcome {
    fn from(Unsendable(reason): Unsendable) -> Self {
        Self::rejected(reason)
    }
}

pub(super) fn unknown(reason: impl Into<Arc<str>>, reference: Option<ProviderReference>) -> Outcome {
    Outcome::Unknown {
        reason: reason.into(),
        reference,
    }
}

/// An answer came, but not in the provider's words: it may be anybody's on the way, and proves nothing.
pub(super) fn unreadable(request: &AttemptRequest, reply: &Reply) -> Outcome {
    let reason = format!("status {} with a body that cannot be understood", reply.status);
    unknown(reason, request.reference.clone())
}

/// Refused before anything was done, for what was asked or for the key.
pub(super) fn refusal(reply: &Reply, reason: impl Into<Arc<str>>) -> Outcome {
    Outcome::Rejected {
        reason: reason.into(),
        refused_key: reply.refused_key(),
    }
}

/// There is no whole answer.
pub(super) fn unanswered(request: &AttemptRequest, failure: Failure) -> Outcome {
    match failure {
        Failure::NotSent(reason) => Outcome::not_sent(reason),
        Failure::Unknown(reason) => unknown(reason, request.reference.clone()),
    }
}

/// A question or a cancellation that cannot be sent, or is refused, leaves the attempt as unknown as it was.
pub(super) fn undecided(outcome: Outcome, request: &AttemptRequest) -> Outcome {
    match outcome {
        Outcome::Rejected { reason, .. } => unknown(reason, request.reference.clone()),
        outcome => outcome,
    }
}

/// What was found out, on whichever way.
pub(super) fn either(result: Result<Outcome, Outcome>) -> Outcome {
    result.unwrap_or_else(|outcome| outcome)
}

/// The beginning of what a provider said. It is journaled, so a card number in it is masked; before it is cut, which could leave most of one.
pub(super) fn shortened(message: &str) -> String {
    masked(message).chars().take(MESSAGE_CHARS_MAX).collect()
}

/// A request timeout as the capability record has it.
pub(super) fn time_limit(request_timeout: Duration) -> Millis {
    Millis(u64::try_from(request_timeout.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    //! Tests of the module around it.

    use super::*;

    #[test]
    fn a_number_in_a_message_is_masked_even_where_the_message_is_cut() {
        let message = format!("{} 4000056655665556 is no card", "x".repeat(185));
        let shown = shortened(&message);
        assert_eq!(shown.chars().count(), MESSAGE_CHARS_MAX);
        assert!(shown.ends_with(" ************55"), "{shown}");
    }
}
