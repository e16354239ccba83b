//! Buckets of payment links and of payments. Of each is kept only when it is full again, and nothing once it is: links and payments are made
//! without end, and anybody may ask about them.

use super::{Since, whole_s};
use governor::clock::Clock;
use std::collections::HashMap;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
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
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.full_at.len() >= taken.sweep_at {
            taken.full_at.retain(|_, full_at| *full_at > now);
            // At least as many come before the next look as are looked at then.
            taken.sweep_at = taken.full_at.len().saturating_mul(2).max(SWEPT_MIN);
        }
        let full_at = taken.full_at.entry(whose).or_insert(now);
        let then = (*full_at).max(now).saturating_add(self.each);
        let over = then.saturating_sub(now).saturating_sub(self.room);
        if !over.is_zero() {
            return Err(whole_s(over));
        }
        *full_at = then;
        Ok(())
    }

    /// Gives one back.
    pub(super) fn give_back(&self, whose: K) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        // What is full already is swept away as any other.
        if let Some(full_at) = taken.full_at.get_mut(&whose) {
            *full_at = full_at.saturating_sub(self.each);
        }
    }

    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.full_at.len()
    }
}
