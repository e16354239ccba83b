//! Idempotency keys and request fingerprints.

use crate::limits::IDEMPOTENCY_KEY_BYTES_MAX;
use std::fmt;
use std::sync::Arc;
use thiserror::Error;

/// Why a text cannot be an idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// Missing or empty.
    #[error("Idempotency-Key header required")]
    Empty,
    /// Longer than [`IDEMPOTENCY_KEY_BYTES_MAX`].
    #[error("Idempotency-Key is longer than {IDEMPOTENCY_KEY_BYTES_MAX} characters")]
    TooLong,
    /// Holds a control character.
    #[error("Idempotency-Key holds a control character")]
    Control,
    /// Begins as the keys do that are made here.
    #[error("Idempotency-Key begins with `{OWN}`, as only keys do that Florin makes itself")]
    Reserved,
}

/// What keys begin with that are made here.
const OWN: &str = "florin-req_";

/// The merchant's name for one request; shared, because waiters and the journal hold it too.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdempotencyKey(Arc<str>);

impl IdempotencyKey {
    /// Checks a header value.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        if text.is_empty() {
            return Err(KeyError::Empty);
        }
        if text.len() > IDEMPOTENCY_KEY_BYTES_MAX {
            return Err(KeyError::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(KeyError::Control);
        }
        Ok(Self(text.into()))
    }

    /// One for a request whose caller gave none. `request_id` is told nobody before the answer, and never repeats.
    pub fn own(request_id: &str) -> Result<Self, KeyError> {
        let request_id = request_id.strip_prefix("req_").unwrap_or(request_id);
        Self::parse(&format!("{OWN}{request_id}"))
    }

    /// One that a caller sends; none of those that are made here.
    pub fn given(text: &str) -> Result<Self, KeyError> {
        let key = Self::parse(text)?;
        if key.is_own() {
            return Err(KeyError::Reserved);
        }
        Ok(key)
    }

    /// Made here: nobody can send the same request again.
    pub fn is_own(&self) -> bool {
        self.0.starts_with(OWN)
    }

    /// The key as sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Digest of (merchant, mode, key): what the key index is keyed by. Collisions would merge two requests, hence 128 bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyDigest(pub [u8; 16]);

/// Digest of (method, path, parameters): a second use of a key must carry the same one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub [u8; 16]);

macro_rules! hex_debug {
    ($($name:ident)*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    )*};
}
hex_debug!(KeyDigest Fingerprint);
