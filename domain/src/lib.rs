//! The business of Florin, pure: no I/O, no clock, no randomness, no floating-point money, no hash-map order.
//!
//! # Layout
//! * [`money`] amounts, currencies, rounding, fees; [`time`] instants as arguments; [`ids`] one newtype per identity
//! * [`payment`] the life of a payment: `decide(state, command) -> Decision | Refusal`, `evolve(state, event) -> state`
//! * [`payment_link`] what a merchant asks for on a page of ours
//! * [`announcement`] what merchants are told of a payment; [`webhook`] where they want to be told, and in which order
//! * [`ledger`] accounts, postings, holds, balances, and the canonical entries of a payment
//! * [`risk`] rules and bands; [`routing`] which provider; [`retry`] when the same attempt is tried again; [`decline`] what may be done
//!   after a decline
//! * [`health`] how providers have been doing; [`breaker`] when one is left alone
//! * [`commit`] what one atomic journal record says; [`merchant`] tenants and their API keys; [`versions`] what is put in force from a time on; [`credentials`] what they have at providers
//! * [`method`] payment methods; [`card`] what a card number says by itself; [`card_details`] a card as it is typed; [`token`] what stands
//!   for one; [`vault`] customers and what they saved
//! * [`consistency`] what the monitor compares, and what it has found
//! * [`placement`] in which shard a new merchant or account begins
//! * [`idempotency`] keys and fingerprints; [`limits`] every bound with its reason
//! * [`ports`] what the core asks of the world; business modules never use them

#![deny(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::float_arithmetic,
    clippy::wildcard_enum_match_arm
)]

#[cfg(test)]
mod fuzz;

pub mod announcement;
pub mod breaker;
pub mod card;
pub mod card_details;
pub mod commit;
pub mod consistency;
pub mod credentials;
pub mod decline;
pub mod health;
pub mod idempotency;
pub mod ids;
pub mod ledger;
pub mod limits;
pub mod merchant;
pub mod method;
pub mod money;
pub mod payment;
pub mod payment_link;
pub mod placement;
pub mod ports;
pub mod provider;
pub mod retry;
pub mod risk;
pub mod routing;
pub mod time;
pub mod token;
pub mod vault;
pub mod versions;
pub mod webhook;
