//! Owns time, ids and keys of the simulated world: they outlive its processes.

use crate::dice::Dice;
use florin_domain::ids::OperationId;
use florin_domain::ports::{Clock, Entropy, ProviderKeys};
use florin_domain::provider::ProviderKey;
use florin_domain::time::Timestamp;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// 2023-11-14: every run begins on the same day.
const EPOCH_MS: u64 = 1_700_000_000_000;

/// Half of the time for which idempotency keys are kept.
const OFFSET_MS_MAX: i64 = 12 * 3_600_000;

/// A lock that a failing actor does not spoil for the checks that follow.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The wall clock: the runtime's paused one, carried on from life to life, and whatever it was set to.
#[derive(Debug)]
pub(crate) struct WorldClock {
    /// Milliseconds of the lives before this one.
    before_ms: AtomicU64,
    /// When the present life began.
    began: Mutex<Option<Instant>>,
    /// How far the clock is off.
    offset_ms: AtomicI64,
    /// What time it is, if that was asked since the process last had nothing to do: only then does time pass.
    known_ms: AtomicU64,
}

/// Nobody has asked.
const UNKNOWN: u64 = u64::MAX;

impl WorldClock {
    pub(crate) fn new() -> Self {
        Self {
            before_ms: AtomicU64::new(0),
            began: Mutex::new(None),
            offset_ms: AtomicI64::new(0),
            known_ms: AtomicU64::new(UNKNOWN),
        }
    }

    /// A life begins on the present runtime.
    pub(crate) fn begin(&self) {
        *lock(&self.began) = Some(Instant::now());
        self.passes();
    }

    /// The process had nothing to do: time has passed.
    pub(crate) fn passes(&self) {
        self.known_ms.store(UNKNOWN, Ordering::Relaxed);
    }

    /// The life ends; a second passes before the next one.
    pub(crate) fn end(&self) {
        let passed = self.true_ms().saturating_add(1_000);
        *lock(&self.began) = None;
        self.before_ms.store(passed, Ordering::SeqCst);
        self.passes();
    }

    /// Milliseconds since the run began, whatever the clock was set to.
    pub(crate) fn true_ms(&self) -> u64 {
        let known = self.known_ms.load(Ordering::Relaxed);
        if known != UNKNOWN {
            debug_assert_eq!(
                known,
                self.asked_ms(),
                "time has passed while somebody had something to do"
            );
            return known;
        }
        let now = self.asked_ms();
        self.known_ms.store(now, Ordering::Relaxed);
        now
    }

    fn asked_ms(&self) -> u64 {
        let before = self.before_ms.load(Ordering::SeqCst);
        let lived = lock(&self.began).map_or(0, |began| began.elapsed().as_millis());
        before.saturating_add(u64::try_from(lived).unwrap_or(u64::MAX))
    }

    /// Sets the clock ahead or back, but never by so much that keys would be forgotten.
    pub(crate) fn jump(&self, ms: i64) {
        if self.offset_ms.load(Ordering::SeqCst).saturating_add(ms) < OFFSET_MS_MAX {
            self.offset_ms.fetch_add(ms, Ordering::SeqCst);
        }
    }

    /// Sets the clock right, as time services do. An offset into the future stays: time would go back for hours.
    pub(crate) fn set_right(&self) {
        self.offset_ms.fetch_max(0, Ordering::SeqCst);
    }
}

impl Clock for WorldClock {
    fn now(&self) -> Timestamp {
        let offset = self.offset_ms.load(Ordering::SeqCst);
        Timestamp::from_unix_ms((EPOCH_MS + self.true_ms()).saturating_add_signed(offset))
    }
}

/// Bits for ids and jitter.
#[derive(Debug)]
pub(crate) struct WorldEntropy(Mutex<Dice>);

impl WorldEntropy {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Mutex::new(Dice::new(seed, "entropy")))
    }
}

impl Entropy for WorldEntropy {
    fn next_u64(&self) -> u64 {
        lock(&self.0).next()
    }
}

/// Provider keys that say what they are for, and under which secret they were derived: who loses it derives others.
#[derive(Debug, Default)]
pub(crate) struct WorldKeys(AtomicU64);

impl WorldKeys {
    /// The secret is lost.
    pub(crate) fn lose(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl ProviderKeys for WorldKeys {
    fn derive(&self, operation: OperationId, number: u32) -> ProviderKey {
        let secret = self.0.load(Ordering::SeqCst);
        Arc::from(format!("{operation}|{number}|{secret}"))
    }
}
