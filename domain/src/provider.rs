//! Providers as the core sees them: a name, what they can do, and the closed set of things an attempt can come back with.

use crate::time::Millis;
use std::fmt;
use std::sync::Arc;
use thiserror::Error;

/// A provider's short name, at most 16 bytes of `[a-z0-9_]`; small enough to copy into every posting.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProviderId([u8; 16]);

/// The text is not a provider name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a provider name is 1 to 16 characters of a-z, 0-9 and _")]
pub struct ProviderNameError;

impl ProviderId {
    /// Checks and packs a name.
    pub fn parse(name: &str) -> Result<Self, ProviderNameError> {
        let bytes = name.as_bytes();
        let valid = bytes
            .iter()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'_');
        if bytes.is_empty() || bytes.len() > 16 || !valid {
            return Err(ProviderNameError);
        }
        let mut packed = [0; 16];
        for (slot, byte) in packed.iter_mut().zip(bytes) {
            *slot = *byte;
        }
        Ok(Self(packed))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        let len = self.0.iter().position(|b| *b == 0).unwrap_or(16);
        self.0
            .get(..len)
            .and_then(|bytes| str::from_utf8(bytes).ok())
            .unwrap_or("")
    }
}

impl fmt::Display for ProviderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ProviderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The idempotency key sent to a provider: derived from the operation and the attempt number, journaled before it is used.
pub type ProviderKey = Arc<str>;

/// The provider's own name for the object that an attempt made (`pi_...`).
pub type ProviderReference = Arc<str>;

/// What a provider can do, and how safely; decides which recovery is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Its name.
    pub id: ProviderId,
    /// The charge is made in two requests, so that a reference is journaled before money can move.
    pub prepares: bool,
    /// How long it remembers an idempotency key.
    pub key_lifetime: Millis,
    /// An object can be read back by its reference.
    pub query_by_reference: bool,
    /// Cancelling an unconfirmed object makes it impossible to charge it later.
    pub cancel_closes: bool,
    /// How long one request may take before nothing is known of its outcome.
    pub time_limit: Millis,
}

/// What came back from one request about an attempt. `Unknown` is neither success nor failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The provider did it.
    Succeeded {
        /// Its reference for the object.
        reference: ProviderReference,
        /// Its id of the transaction (`ch_...`).
        transaction: ProviderReference,
        /// Its own amount for the transaction in minor units, to be compared with ours.
        amount_minor: i128,
    },
    /// Refused by the issuer or the provider; nothing was charged.
    Declined {
        /// The network's reason (`insufficient_funds`).
        decline_code: Arc<str>,
        /// Its reference, if it made an object.
        reference: Option<ProviderReference>,
    },
    /// The customer must act first; nothing was charged.
    ActionRequired {
        /// Its reference for the object.
        reference: ProviderReference,
        /// Where to send the customer, if the provider says.
        redirect_url: Option<Arc<str>>,
    },
    /// Accepted, the result comes later (bank methods).
    Pending {
        /// Its reference for the object.
        reference: ProviderReference,
    },
    /// Proof that nothing was charged and nothing will be: the object is closed.
    Cancelled {
        /// Its reference for the object.
        reference: Option<ProviderReference>,
    },
    /// No request byte left this process.
    NotSent {
        /// What went wrong, for operators.
        reason: Arc<str>,
    },
    /// Refused before execution because of rate.
    RateLimited {
        /// How long to wait.
        retry_after: Millis,
    },
    /// Refused before execution as our mistake (credentials, parameters).
    Rejected {
        /// What it said, for operators.
        reason: Arc<str>,
    },
    /// A request left and no usable answer came: it may have happened.
    Unknown {
        /// What went wrong, for operators.
        reason: Arc<str>,
        /// Its reference, if one is known by now.
        reference: Option<ProviderReference>,
    },
}
