//! What lets a customer's browser act on one payment and nothing else.

use crate::ids::PaymentId;
use std::fmt;

/// Port of whoever makes client secrets.
pub trait ClientSecrets: Send + Sync + fmt::Debug {
    /// The same bits for the same payment every time, which nobody can tell without the key they are made with.
    fn client_secret(&self, payment: PaymentId) -> u128;

    /// What proves that a session of the checkout page is ours: the same bits for the same words every time, as above.
    fn checkout_seal(&self, words: &str) -> u128;
}
