//! The surface that Stripe's official SDKs speak to, unmodified: the same payments under Stripe's names. It has no state and no rule of
//! its own: what it reads becomes the same commands that the native endpoints make, and what it shows is the same payment.
//!
//! # Layout
//! * [`body`] a payment as Stripe's objects: pure functions, with nothing left out
//! * [`expand`] which of an object's references are shown as objects themselves
//! * `ids` the same object under two names
//! * `tree` forms, queries and JSON as one; `params` reads it by name

pub mod body;
pub mod expand;
pub(crate) mod ids;
mod params;
pub(crate) mod tree;
