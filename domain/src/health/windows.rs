//! The last fifteen minutes of one provider in buckets of fifteen seconds, and what they make of it.

use super::counts::{Bucket, Counts, Measures};
use super::{CallResult, Health, HealthPolicy};
use crate::time::{Millis, Timestamp};

const BUCKETS: usize = 60;
/// As many slots as there are buckets.
const SLOTS: u64 = 60;
const SLOT_MS: u64 = 15_000;

/// Counts of one provider's calls, in as much memory as at the start however many there are. Time goes by slots of fifteen
/// seconds; the one that is under way counts as a whole, so a window is up to fifteen seconds shorter than it says.
#[derive(Clone, Debug)]
pub struct Windows {
    /// Each with the slot that it counts; another slot's counts are void.
    ring: [(u64, Bucket); BUCKETS],
    /// The latest slot seen.
    latest: u64,
    /// Slots before this one are no longer held against the provider.
    forgiven_before: u64,
    /// Until this slot it is given a trial, for want of knowledge.
    trial_until: u64,
    health: Health,
}

impl Default for Windows {
    fn default() -> Self {
        Self {
            ring: [(0, Bucket::default()); BUCKETS],
            latest: 0,
            forgiven_before: 0,
            trial_until: 0,
            health: Health::Healthy,
        }
    }
}

impl Windows {
    /// Counts a call that ended now.
    pub fn record(&mut self, result: CallResult, latency_ms: u64, now: Timestamp) {
        self.advance(now);
        let latest = self.latest;
        let place = usize::try_from(latest % SLOTS).unwrap_or(0);
        let Some((slot, bucket)) = self.ring.get_mut(place) else {
            return;
        };
        if *slot != latest {
            (*slot, *bucket) = (latest, Bucket::default());
        }
        bucket.add(result, latency_ms);
    }

    /// What the last `window` shows, at most fifteen minutes.
    pub fn measures(&self, window: Millis, now: Timestamp) -> Measures {
        self.counts(window, self.slot_at(now), 0).measures()
    }

    /// How the provider stands now. The worst that applies; once reduced or excluded, it stays so until it has recovered, which
    /// also wipes out what was before. An excluded one of which too little was heard to know, and nothing bad, gets a trial as a
    /// degraded one.
    pub fn judge(&mut self, policy: &HealthPolicy, now: Timestamp) -> Health {
        self.advance(now);
        let recent = self.held_against(policy.recovery_window);
        let is_telling = recent.calls() >= u64::from(policy.calls_min);
        let has_recovered = is_telling && recent.successes_exceed(policy.recovery_bps);
        let mut held = match self.health {
            Health::Healthy | Health::Degraded => Health::Healthy,
            Health::Reduced | Health::Excluded => self.health,
        };
        if has_recovered && held.max(self.shown(policy)) >= Health::Reduced {
            self.forgive(policy.recovery_window);
            held = Health::Healthy;
        }
        let mut health = held.max(self.shown(policy));
        if health == Health::Excluded && !is_telling && recent.errors() == 0 {
            self.forgive(policy.recovery_window);
            self.trial_until = self.latest.saturating_add(slots(policy.error_window));
            health = self.shown(policy);
        }
        if health == Health::Healthy && self.is_on_trial(policy) {
            health = Health::Degraded;
        }
        self.health = health;
        health
    }

    /// What the counts say by themselves.
    fn shown(&self, policy: &HealthPolicy) -> Health {
        let telling = |window| {
            let counts = self.held_against(window);
            (counts.calls() >= u64::from(policy.calls_min)).then_some(counts)
        };
        if telling(policy.success_window).is_some_and(|counts| counts.successes_miss(policy.success_bps_min))
        {
            return Health::Excluded;
        }
        if telling(policy.timeout_window).is_some_and(|counts| counts.timeouts_exceed(policy.timeout_bps_max))
        {
            return Health::Reduced;
        }
        if telling(policy.error_window).is_some_and(|counts| counts.errors_exceed(policy.error_bps_max)) {
            return Health::Degraded;
        }
        Health::Healthy
    }

    /// A trial ends with its time, or as soon as there are enough calls to go by.
    fn is_on_trial(&mut self, policy: &HealthPolicy) -> bool {
        let calls = self.held_against(policy.error_window).calls();
        if calls >= u64::from(policy.calls_min) {
            self.trial_until = 0;
        }
        self.latest < self.trial_until
    }

    fn forgive(&mut self, window: Millis) {
        self.forgiven_before = first_slot(self.latest, window);
    }

    fn held_against(&self, window: Millis) -> Counts {
        self.counts(window, self.latest, self.forgiven_before)
    }

    fn counts(&self, window: Millis, latest: u64, not_before: u64) -> Counts {
        let within = not_before.max(first_slot(latest, window))..=latest;
        let mut counts = Counts::default();
        for (slot, bucket) in &self.ring {
            if within.contains(slot) {
                counts.add(bucket);
            }
        }
        counts
    }

    /// A clock that goes back stands still. If it goes back by more than is remembered it was wrong before, and waiting for it
    /// would stop all judgement: what was counted by it is void.
    const fn slot_at(&self, now: Timestamp) -> u64 {
        let slot = now.unix_ms() / SLOT_MS;
        let is_still = slot < self.latest && self.latest.saturating_sub(slot) <= SLOTS;
        if is_still { self.latest } else { slot }
    }

    fn advance(&mut self, now: Timestamp) {
        let slot = self.slot_at(now);
        if slot < self.latest {
            *self = Self {
                health: self.health,
                ..Self::default()
            };
        }
        self.latest = slot;
    }
}

/// How many slots a window has, the one under way included.
fn slots(window: Millis) -> u64 {
    window.0.div_ceil(SLOT_MS).clamp(1, SLOTS)
}

fn first_slot(latest: u64, window: Millis) -> u64 {
    latest.saturating_add(1).saturating_sub(slots(window))
}
