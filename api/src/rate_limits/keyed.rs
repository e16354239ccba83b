//! Buckets of payment links and of payments. Of each is kept only when it is full again, and nothing once it is: links and payments are made
//! without end, and anybody may ask about them.

use super::bucket::{Bucket, Pace};
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
    pace: Pace,
    clock: Since,
    taken: Mutex<Taken<K>>,
}

#[derive(Debug)]
struct Taken<K> {
    buckets: HashMap<K, Bucket>,
    /// With so many entries the full ones are dropped.
    sweep_at: usize,
}

impl<K: Copy + Eq + Hash> KeyedBuckets<K> {
    pub(super) fn new(pace: (NonZeroU32, Duration), clock: Since) -> Self {
        let taken = Taken {
            buckets: HashMap::new(),
            sweep_at: SWEPT_MIN,
        };
        Self {
            pace: Pace::new(pace),
            clock,
            taken: Mutex::new(taken),
        }
    }

    /// Takes one; if there is none, the seconds after which there is.
    pub(super) fn take(&self, whose: K) -> Result<(), u64> {
        self.take_and(whose, |_| {})
    }

    /// The same. What else is to be done with a bucket of which one was taken is done before anybody else takes another.
    pub(super) fn take_and(&self, whose: K, then: impl FnOnce(&mut Bucket)) -> Result<(), u64> {
        let now = self.clock.now();
        let mut taken = self.taken();
        taken.sweep(now);
        // Whoever is refused has an entry already: a new bucket holds one at least.
        let bucket = taken.buckets.entry(whose).or_default();
        bucket.take(now, self.pace).map_err(whole_s)?;
        then(bucket);
        Ok(())
    }

    /// Whether one could be taken; if not, the seconds after which it could.
    pub(super) fn check(&self, whose: K) -> Result<(), u64> {
        let now = self.clock.now();
        let taken = self.taken();
        let bucket = taken.buckets.get(&whose);
        bucket.map_or(Ok(()), |bucket| bucket.check(now, self.pace).map_err(whole_s))
    }

    /// Takes one, also if there is none: it is owed.
    pub(super) fn owe(&self, whose: K) {
        let now = self.clock.now();
        let mut taken = self.taken();
        taken.sweep(now);
        taken.buckets.entry(whose).or_default().owe(now, self.pace);
    }

    /// Gives one back.
    pub(super) fn give_back(&self, whose: K) {
        // What is full already is swept away as any other.
        if let Some(bucket) = self.taken().buckets.get_mut(&whose) {
            bucket.give_back(self.pace);
        }
    }

    /// Does something with a bucket, which is a full one if nothing was taken from it lately.
    pub(super) fn with<T>(&self, whose: K, act: impl FnOnce(&mut Bucket, Pace) -> T) -> T {
        let mut taken = self.taken();
        act(taken.buckets.entry(whose).or_default(), self.pace)
    }

    fn taken(&self) -> MutexGuard<'_, Taken<K>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.taken().buckets.len()
    }
}

impl<K: Eq + Hash> Taken<K> {
    fn sweep(&mut self, now: Duration) {
        if self.buckets.len() >= self.sweep_at {
            self.buckets.retain(|_, bucket| !bucket.is_forgettable(now));
            // At least as many come before the next look as are looked at then.
            self.sweep_at = self.buckets.len().saturating_mul(2).max(SWEPT_MIN);
        }
    }
}
