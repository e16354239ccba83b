//! Buckets of payment links and of payments. Of each is kept only when it is full again, and nothing once it is: links and payments are made
//! without end, and anybody may ask about them.

use super::{Since, whole_s};
use governor::clock::Clock;
use std::collections::HashMap;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Fewer entries are not worth looking for those that are full.
const SWEPT_MIN: usize = 1024;

/// One bucket for each link or payment of which something was taken lately.
#[derive(Debug)]
pub(super) struct KeyedBuckets<K> {
    /// How long it takes from empty to full.
    room: Duration,
    /// How long it takes until one is back.
    each: Duration,
    clock: Since,
    taken: Mutex<Taken<K>>,
}

#[derive(Debug)]
struct Taken<K> {
    full_at: HashMap<K, Duration>,
    /// With so many entries the full ones are dropped.
    sweep_at: usize,
}

impl<K: Copy + Eq + Hash> KeyedBuckets<K> {
    pub(super) fn new((at_once, each): (NonZeroU32, Duration), clock: Since) -> Self {
        let taken = Taken {
            full_at: HashMap::new(),
            sweep_at: SWEPT_MIN,
        };
        Self {
            room: each.saturating_mul(at_once.get()),
            each,
            clock,
            taken: Mutex::new(taken),
        }
    }

    /// Takes one; if there is none, the seconds after which there is.
    pub(super) fn take(&self, whose: K) -> Result<(), u64> {
        let now = self.clock.now();
        let mut taken = self.taken();
        taken.sweep(now);
        let then = self.then(&taken, whose, now);
        self.within(then, now)?;
        taken.full_at.insert(whose, then);
        Ok(())
    }

    /// Whether one could be taken; if not, the seconds after which it could.
    pub(super) fn check(&self, whose: K) -> Result<(), u64> {
        let now = self.clock.now();
        self.within(self.then(&self.taken(), whose, now), now)
    }

    /// Takes one, also if there is none: it is owed.
    pub(super) fn owe(&self, whose: K) {
        let now = self.clock.now();
        let mut taken = self.taken();
        taken.sweep(now);
        let then = self.then(&taken, whose, now);
        taken.full_at.insert(whose, then);
    }

    fn taken(&self) -> MutexGuard<'_, Taken<K>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When it is full again after one more is taken.
    fn then(&self, taken: &Taken<K>, whose: K, now: Duration) -> Duration {
        let full_at = taken.full_at.get(&whose).copied().unwrap_or(now);
        full_at.max(now).saturating_add(self.each)
    }

    fn within(&self, then: Duration, now: Duration) -> Result<(), u64> {
        let over = then.saturating_sub(now).saturating_sub(self.room);
        if over.is_zero() {
            Ok(())
        } else {
            Err(whole_s(over))
        }
    }

    /// Gives one back.
    pub(super) fn give_back(&self, whose: K) {
        let mut taken = self.taken();
        // What is full already is swept away as any other.
        if let Some(full_at) = taken.full_at.get_mut(&whose) {
            *full_at = full_at.saturating_sub(self.each);
        }
    }

    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.taken().full_at.len()
    }
}

impl<K: Eq + Hash> Taken<K> {
    fn sweep(&mut self, now: Duration) {
        if self.full_at.len() >= self.sweep_at {
            self.full_at.retain(|_, full_at| *full_at > now);
            // At least as many come before the next look as are looked at then.
            self.sweep_at = self.full_at.len().saturating_mul(2).max(SWEPT_MIN);
        }
    }
}
