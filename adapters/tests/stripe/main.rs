//! The Stripe adapter against the sandbox, over real sockets.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its tools as well"
)]

mod challenges;
mod closing;
mod faults;
mod operations;
mod world;
