//! The supervision tree: who starts whom, in which order, how often a failed actor comes back, and how everything drains.
//!
//! # Layout
//! * [`platform`] starts the tree, recovers, drains; [`recovery`] reads the journal back
//! * [`root`] supervises the singletons; [`payment_guardian`] supervises payments
//! * [`webhook_guardian`] supervises webhook endpoints
//! * [`counted`] what velocity shards are told when they come, or come back
//! * [`restart`] restart intensity and backoff; `ending` in which order children end; [`ops`] what operators see

pub mod counted;
mod ending;
pub mod ops;
pub mod payment_guardian;
pub mod platform;
pub mod recovery;
pub mod restart;
pub mod root;
pub mod webhook_guardian;
