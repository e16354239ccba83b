//! Payment providers: one folder each. What they have in common is here as well; `docs/new-provider.md` says how another one is added.
//!
//! # Layout
//! * `connection` HTTP, with exact knowledge of whether a request can have left; `addresses` where its host is; `exchange` what it means that there is no answer
//! * `aside` what is told besides, and spoils no answer
//! * `readers` who reads what they send by themselves
//! * one folder for each provider; which of them runs is decided where the node is wired, from its configuration

mod addresses;
pub mod adyen;
mod aside;
mod cards;
mod connection;
mod exchange;
mod own;
mod readers;
#[cfg(test)]
mod sample;
pub mod stripe;

pub use connection::{Keeping, SetupError};
pub use readers::Readers;
