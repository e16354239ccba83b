//! What a delivery to a merchant's own server is made of.
//!
//! * [`WebhookSecret`] signs in two schemes at once, so that the libraries of either verify it
//! * [`is_reachable`] says which addresses may be connected to
//! * [`VettedClient`] sends to nobody else

mod client;
mod reach;
mod signature;

pub use client::{ClientSettings, VettedClient};
pub use reach::is_reachable;
pub use signature::{SecretError, WebhookSecret, sign};
