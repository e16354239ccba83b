//! Every adapter before the same situations, over real sockets: what it makes of them must be what recovery relies on.
//!
//! # Layout
//! * `subject` an adapter as the suite sees it; `stage` a sandbox, and attempts of every kind; `peer` a server that misbehaves
//! * `record` the capability record; `wire` answers that are none; `money` what is executed and how often
//! * one file for each provider: its words, and the suite run on it

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its tools as well"
)]

mod money;
mod peer;
mod record;
mod stage;
mod subject;
mod wire;

mod adyen;
mod stripe;
