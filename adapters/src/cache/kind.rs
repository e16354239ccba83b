//! Which things are remembered, how many of them, and for how long: the seed's sizes and lifetimes.

use std::time::Duration;

/// One kind of thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// In metrics.
    pub name: &'static str,
    /// What its keys in Redis begin with, behind the process's own prefix.
    pub key: &'static str,
    /// At most so many are remembered in memory.
    pub entries_max: u64,
    /// For so long, in memory and in Redis.
    pub lifetime: Duration,
}

/// Payments, as they stand (CONS-8, CONS-9). Written as they change.
pub const PAYMENTS: Kind = Kind {
    name: "payments",
    key: "payment",
    entries_max: 10_000,
    lifetime: Duration::from_mins(5),
};

/// The newest payments of one customer, by their ids (CONS-9). Written as they are made.
pub const CUSTOMER_PAYMENTS: Kind = Kind {
    name: "customer_payments",
    key: "user_payments",
    entries_max: 10_000,
    lifetime: Duration::from_mins(5),
};

/// Saved cards, as they may be shown (CACHE-4). Remembered when they are read, forgotten when they change.
pub const PAYMENT_METHODS: Kind = Kind {
    name: "payment_methods",
    key: "payment_method",
    entries_max: 10_000,
    lifetime: Duration::from_hours(1),
};
