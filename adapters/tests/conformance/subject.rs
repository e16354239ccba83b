//! An adapter as the suite sees it.

use florin_domain::payment::OperationKind;
use florin_domain::ports::{AttemptRequest, Provider};
use florin_domain::provider::Outcome;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// Long enough never to matter.
pub(crate) const PATIENT: Duration = Duration::from_mins(1);
/// For requests that end only by it.
pub(crate) const IMPATIENT: Duration = Duration::from_millis(500);

pub(crate) type Opened = Result<Arc<dyn Provider>, Box<dyn Error>>;

/// What the suite must know of a provider.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject {
    /// Where the sandbox imitates it, below the sandbox's address.
    pub(crate) base: &'static str,
    /// What the adapter has; anything else it must refuse before it connects.
    pub(crate) operations: &'static [OperationKind],
    /// The adapter, against this base address, with this request timeout.
    pub(crate) open: fn(String, Duration) -> Opened,
    /// The body with which the provider itself refuses with this status.
    pub(crate) refusal: fn(u16) -> String,
    /// The same attempt under the same key with something else in its request.
    pub(crate) altered: fn(AttemptRequest) -> AttemptRequest,
    /// What comes back from a key under which something else was asked before.
    pub(crate) reused: Class,
    /// A method of the sandbox that the issuer declines, and one that asks for a challenge.
    pub(crate) declined: &'static str,
    pub(crate) challenged: &'static str,
}

impl Subject {
    pub(crate) fn patient(&self, base_url: String) -> Arc<dyn Provider> {
        (self.open)(base_url, PATIENT).unwrap()
    }

    pub(crate) fn impatient(&self, base_url: String) -> Arc<dyn Provider> {
        (self.open)(base_url, IMPATIENT).unwrap()
    }

    /// A newcomer that has nothing yet cannot be opened, whoever registers it; there is nothing else to see then.
    pub(crate) fn is_unwritten(&self) -> bool {
        let is_empty = self.operations.is_empty();
        if is_empty {
            let opened = (self.open)("http://127.0.0.1:9".to_owned(), PATIENT);
            assert!(opened.is_err(), "an adapter that has no operation must not open");
        }
        is_empty
    }
}

/// What the core decides by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Succeeded,
    Declined,
    ActionRequired,
    Pending,
    Cancelled,
    NotSent,
    RateLimited,
    Rejected,
    Unknown,
}

impl Class {
    pub(crate) fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Succeeded { .. } => Self::Succeeded,
            Outcome::Declined { .. } => Self::Declined,
            Outcome::ActionRequired { .. } => Self::ActionRequired,
            Outcome::Pending { .. } => Self::Pending,
            Outcome::Cancelled { .. } => Self::Cancelled,
            Outcome::NotSent { .. } => Self::NotSent,
            Outcome::RateLimited { .. } => Self::RateLimited,
            Outcome::Rejected { .. } => Self::Rejected,
            Outcome::Unknown { .. } => Self::Unknown,
        }
    }

    /// Whether it lets the core believe that money may have moved.
    pub(crate) fn admits_execution(self) -> bool {
        match self {
            Self::Succeeded | Self::Pending | Self::Unknown => true,
            Self::Declined
            | Self::ActionRequired
            | Self::Cancelled
            | Self::NotSent
            | Self::RateLimited
            | Self::Rejected => false,
        }
    }
}
