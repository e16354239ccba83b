//! Time, entropy and keyed digests.

use crate::ids::OperationId;
use crate::provider::ProviderKey;
use crate::time::Timestamp;
use std::fmt;

/// Reads the wall clock.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// Unpredictable bits for ids and jitter.
pub trait Entropy: Send + Sync + fmt::Debug {
    /// 64 fresh bits.
    fn next_u64(&self) -> u64;
}

/// Derives the idempotency key of an attempt: the same operation and number always give the same key.
pub trait ProviderKeys: Send + Sync + fmt::Debug {
    /// A keyed digest of the operation and the attempt's number.
    fn derive(&self, operation: OperationId, number: u32) -> ProviderKey;
}
