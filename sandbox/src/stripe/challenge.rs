//! The customer's side of a challenge: whether it still waits, and where the browser goes when it is over.

use super::call::{Authenticate, Call, Command};
use super::engine::Request;
use super::objects::{Currency, IntentStatus};
use super::render::client_secret;
use super::state::State;

/// A challenge as the customer meets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenged {
    /// No such intent, or it never asked for anything.
    Unknown,
    Waiting {
        intent: String,
        amount_minor: u64,
        currency: Currency,
    },
    Over {
        passed: bool,
        /// None when the confirmation named no `return_url`.
        location: Option<String>,
    },
}

/// What the customer's answer asks for. It has no key: an answer to a challenge that is over changes nothing.
pub(crate) fn authentication(intent: &str, passed: bool) -> Request {
    Request {
        call: Call::Command(Command::Authenticate(Authenticate {
            id: intent.into(),
            passed,
        })),
        idempotency: None,
    }
}

/// The intent's latest challenge.
pub(crate) fn challenged(state: &State, id: &str) -> Challenged {
    let Some((intent, challenge)) = state
        .intent(id)
        .and_then(|intent| Some((intent, intent.challenge.as_ref()?)))
    else {
        return Challenged::Unknown;
    };
    let passed = match intent.status {
        IntentStatus::RequiresAction => {
            return Challenged::Waiting {
                intent: id.to_owned(),
                amount_minor: intent.amount_minor,
                currency: intent.currency,
            };
        }
        IntentStatus::RequiresCapture | IntentStatus::Succeeded => true,
        IntentStatus::RequiresPaymentMethod | IntentStatus::RequiresConfirmation | IntentStatus::Canceled => {
            false
        }
    };
    let secret = client_secret(state.ids(), intent);
    let result = if passed { "succeeded" } else { "failed" };
    let added = format!("payment_intent={id}&payment_intent_client_secret={secret}&redirect_status={result}");
    Challenged::Over {
        passed,
        location: challenge.return_url.as_deref().map(|url| with_query(url, &added)),
    }
}

/// Adds to the query, before the fragment.
fn with_query(url: &str, added: &str) -> String {
    let (url, fragment) = url
        .split_once('#')
        .map_or((url, None), |(url, fragment)| (url, Some(fragment)));
    let separator = match url.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some(_) => "&",
    };
    let fragment = fragment
        .map(|fragment| format!("#{fragment}"))
        .unwrap_or_default();
    format!("{url}{separator}{added}{fragment}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_to_an_address_keeps_its_query_and_fragment() {
        let table = [
            ("https://shop/back", "https://shop/back?a=b"),
            ("https://shop/back?", "https://shop/back?a=b"),
            ("https://shop/back?cart=1", "https://shop/back?cart=1&a=b"),
            ("https://shop/#/done?x", "https://shop/?a=b#/done?x"),
            ("shop+app://back?cart=1#top", "shop+app://back?cart=1&a=b#top"),
        ];
        for (url, expected) in table {
            assert_eq!(with_query(url, "a=b"), expected, "{url}");
        }
    }
}
