//! What a delivery to a merchant's own server is made of.
//!
//! * [`WebhookSecret`] signs in two schemes at once, so that the libraries of either verify it; [`TwoSchemes`] is the port on it
//! * [`is_reachable`] says which addresses may be connected to
//! * [`VettedClient`] sends to nobody else
//! * [`store`] merchants' endpoints in a file, [`MemoryEndpoints`] the same in memory

mod client;
mod memory;
mod page;
mod reach;
#[cfg(test)]
mod samples;
mod signature;
mod signer;
pub mod store;

pub use client::{ClientSettings, VettedClient};
pub use memory::MemoryEndpoints;
pub use reach::is_reachable;
pub use signature::{SecretError, WebhookSecret, sign};
pub use signer::TwoSchemes;
