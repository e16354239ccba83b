//! Kinds of actors and their figures. Figures are kept per kind, never per key, so that metrics stay bounded.

use metrics::{Counter, Histogram};
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};

/// What an actor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Group commit of one shard.
    JournalWriter,
    /// Balances and order of one shard.
    AccountShard,
    /// The tail of the journal and the views behind it.
    Projection,
    /// Permits of one provider.
    Provider,
    /// Velocity counters.
    Risk,
    /// Due times of unresolved attempts.
    Resolution,
    /// Supervisor of payments.
    PaymentGuardian,
    /// One payment.
    Payment,
    /// Owners of idempotency keys.
    Idempotency,
    /// Reader of the whole journal.
    Scrub,
    /// Deadlines of payments that wait for somebody.
    Deadlines,
    /// Transfers between shards.
    Crossings,
    /// Checks that books, payments and views agree.
    Monitor,
    /// Supervisor of webhook endpoints.
    WebhookGuardian,
    /// One webhook endpoint.
    WebhookEndpoint,
}

impl Kind {
    /// All kinds, in start order, which is the order of the variants.
    pub const ALL: [Self; 15] = [
        Self::JournalWriter,
        Self::AccountShard,
        Self::Projection,
        Self::Provider,
        Self::Risk,
        Self::Resolution,
        Self::PaymentGuardian,
        Self::Payment,
        Self::Idempotency,
        Self::Scrub,
        Self::Deadlines,
        Self::Crossings,
        Self::Monitor,
        Self::WebhookGuardian,
        Self::WebhookEndpoint,
    ];

    /// Stable name for metrics and the tree.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::JournalWriter => "journal_writer",
            Self::AccountShard => "account_shard",
            Self::Provider => "provider",
            Self::Risk => "risk",
            Self::Idempotency => "idempotency",
            Self::PaymentGuardian => "payment_guardian",
            Self::Payment => "payment",
            Self::Projection => "projection",
            Self::Resolution => "resolution",
            Self::Scrub => "scrub",
            Self::Deadlines => "deadlines",
            Self::Crossings => "crossings",
            Self::Monitor => "monitor",
            Self::WebhookGuardian => "webhook_guardian",
            Self::WebhookEndpoint => "webhook_endpoint",
        }
    }

    /// Whether a failure ends the process: what such an actor holds exists nowhere else until recovery reads it back.
    pub const fn is_restartable(self) -> bool {
        match self {
            Self::JournalWriter | Self::AccountShard => false,
            Self::Provider
            | Self::Risk
            | Self::Idempotency
            | Self::PaymentGuardian
            | Self::Payment
            | Self::Projection
            | Self::Resolution
            | Self::Scrub
            | Self::Deadlines
            | Self::Crossings
            | Self::Monitor
            | Self::WebhookGuardian
            | Self::WebhookEndpoint => true,
        }
    }
}

/// Parts of a sum that is changed for every message: threads that share one counter would wait for each other's cache line.
const COUNTS: usize = 8;

#[derive(Debug, Default)]
#[repr(align(128))]
struct PaddedCount(AtomicI64);

thread_local! {
    static PART: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed) % COUNTS
    };
}

/// Live figures of one kind.
#[derive(Debug)]
pub struct KindStats {
    /// Which kind.
    pub kind: Kind,
    depth: [PaddedCount; COUNTS],
    /// Actors alive.
    pub live: AtomicI64,
    /// Messages refused.
    pub shed: AtomicU64,
    /// Restarts after a failure.
    pub restarts: AtomicU64,
    shed_counter: Counter,
    restart_counter: Counter,
    wait_seconds: Histogram,
}

impl KindStats {
    /// Registers the kind's metrics.
    pub fn new(kind: Kind) -> Self {
        let name = kind.as_str();
        Self {
            kind,
            depth: Default::default(),
            live: AtomicI64::new(0),
            shed: AtomicU64::new(0),
            restarts: AtomicU64::new(0),
            shed_counter: metrics::counter!("florin_mailbox_shed_total", "kind" => name),
            restart_counter: metrics::counter!("florin_actor_restarts_total", "kind" => name),
            wait_seconds: metrics::histogram!("florin_mailbox_wait_seconds", "kind" => name),
        }
    }

    /// Messages waiting or being handled.
    pub fn depth(&self) -> i64 {
        self.depth.iter().map(|part| part.0.load(Ordering::Relaxed)).sum()
    }

    /// Changes the number of messages waiting or being handled.
    pub(crate) fn add_depth(&self, change: i64) {
        PART.with(|part| self.depth[*part].0.fetch_add(change, Ordering::Relaxed));
    }

    /// Counts a refused message.
    pub fn count_shed(&self) {
        self.shed.fetch_add(1, Ordering::Relaxed);
        self.shed_counter.increment(1);
    }

    /// Counts a restart.
    pub fn count_restart(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
        self.restart_counter.increment(1);
    }

    /// Records how long a sampled message waited.
    pub fn record_wait(&self, seconds: f64) {
        self.wait_seconds.record(seconds);
    }

    /// Refreshes the gauges; called when metrics are read.
    pub fn publish(&self) {
        let name = self.kind.as_str();
        #[expect(clippy::cast_precision_loss, reason = "a gauge")]
        let (depth, live) = (self.depth() as f64, self.live.load(Ordering::Relaxed) as f64);
        metrics::gauge!("florin_mailbox_depth", "kind" => name).set(depth);
        metrics::gauge!("florin_actors_live", "kind" => name).set(live);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_stands_at_its_own_index() {
        for (index, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index, "{kind:?}");
        }
    }
}
