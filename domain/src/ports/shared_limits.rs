//! Allowances that outlive a process: what was spent of them is told to a place that all processes know, and what others spent is heard there.

use super::BoxFuture;
use crate::ids::{ApiKeyId, PaymentLinkId};
use std::fmt;

/// Whose requests are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LimitedBy {
    /// Those of an API key.
    Key(ApiKeyId),
    /// Those of customers under a payment link.
    Link(PaymentLinkId),
}

/// What was spent of one allowance. Allowances come back steadily, so they are measured by the microseconds that this takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent {
    /// Whose it is.
    pub whose: LimitedBy,
    /// How long what was spent since it was told before takes to come back.
    pub untold_us: u64,
    /// After how long it would be full again if only this process had spent of it.
    pub own_us: u64,
    /// How long it takes to come back from nothing.
    pub whole_us: u64,
}

/// Port of the shared allowances. It is never asked before a request is answered.
pub trait SharedLimits: Send + Sync + fmt::Debug {
    /// Takes what was spent, and says in the same order after how many microseconds each allowance is full again, whoever has spent of it. Nothing if nobody
    /// knows: then it was taken, or was not, or will be. Answers in a bounded time.
    fn exchange(&self, spent: Vec<Spent>) -> BoxFuture<'_, Option<Vec<u64>>>;
}
