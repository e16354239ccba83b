//! Copies of what was read lately: in memory (the first tier, bounded), and in Redis if there is one (the second). Nothing here is the truth,
//! and nothing here can change an answer:
//!
//! * A copy in memory is used only while no change of its key has begun since it was read (`fences`).
//! * A copy in Redis is read together with a count of what this process has written there. If the count is behind what Redis has acknowledged, it
//!   lost something (a restart, a copy that took over, an eviction, FLUSHALL), and everything that this process has there is forgotten at once
//!   (`shared`). So it is after a write that failed or was not answered in time. Redis takes a write only if the count is where it was.
//! * What is in Redis is sealed under a key that this process draws when it starts, and bound to its place. Nobody else can read it, and whatever
//!   else is found in its place counts as nothing.
//!
//! A process uses only what it wrote itself. That is exact because everything that is cached has one process that changes it, the one that has the shards.
//!
//! * [`CachedViews`] remembers payments and customers' lists of them, as they are written
//! * [`CachedCards`] remembers saved cards as they may be shown, as they are read

mod cards;
mod fences;
mod kind;
mod payments;
mod redis;
mod shared;
#[cfg(test)]
mod tests;
mod tiers;

pub use cards::CachedCards;
pub use kind::{CUSTOMER_PAYMENTS, Kind, PAYMENT_METHODS, PAYMENTS};
pub use payments::{CachedViews, PaymentCache};
pub use shared::{KeyValues, Numbered, Put, Shared};
