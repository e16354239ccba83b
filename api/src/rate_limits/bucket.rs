//! What is left of one allowance, kept as the time at which it is full again (GCRA: a leaky bucket without a timer). With it is kept what other
//! processes have not been told yet.

use std::num::NonZeroU32;
use std::time::Duration;

/// How fast a bucket fills, and how much it holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// How long it takes until one is back.
    each: Duration,
    /// How long it takes from empty to full.
    pub(super) whole: Duration,
}

impl Pace {
    pub(super) fn new((at_once, each): (NonZeroU32, Duration)) -> Self {
        let each = each.max(Duration::from_nanos(1));
        Self {
            each,
            whole: each.saturating_mul(at_once.get()),
        }
    }
}

/// One bucket. The time of all of its moments is the limits' own.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bucket {
    full_at: Duration,
    /// The same if only this process had taken from it. Nothing that was heard of others is in it, so telling it again and again changes nothing.
    own_full_at: Duration,
    /// How long it takes until that is back which was taken since it was told before.
    untold: Duration,
    /// It stands among those that are to be told of.
    pub(super) is_waiting: bool,
    /// It was told of before.
    pub(super) is_known: bool,
}

/// What is to be told of a bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Untold {
    /// How long it takes until that is back which was taken since it was told before.
    pub(super) spent: Duration,
    /// After how long it is full again if nobody else has taken from it.
    pub(super) own: Duration,
}

impl Bucket {
    /// Takes one and says how many are left; if there is none, after how long there is.
    pub(super) fn take(&mut self, now: Duration, pace: Pace) -> Result<u32, Duration> {
        self.check(now, pace)?;
        self.owe(now, pace);
        let left = pace.whole.saturating_sub(self.full_at.saturating_sub(now));
        // One is a nanosecond at least.
        let left = left.as_nanos().checked_div(pace.each.as_nanos()).unwrap_or(0);
        Ok(u32::try_from(left).unwrap_or(u32::MAX))
    }

    /// Whether one could be taken; if not, after how long it could.
    pub(super) fn check(&self, now: Duration, pace: Pace) -> Result<(), Duration> {
        let then = after_one(self.full_at, now, pace);
        let over = then.saturating_sub(now).saturating_sub(pace.whole);
        if over.is_zero() { Ok(()) } else { Err(over) }
    }

    /// Takes one, also if there is none: it is owed.
    pub(super) fn owe(&mut self, now: Duration, pace: Pace) {
        self.full_at = after_one(self.full_at, now, pace);
        self.own_full_at = after_one(self.own_full_at, now, pace);
        self.untold = self.untold.saturating_add(pace.each);
    }

    /// Gives one back.
    pub(super) fn give_back(&mut self, pace: Pace) {
        self.full_at = self.full_at.saturating_sub(pace.each);
    }

    /// Whether it is like a new one, and nobody is to be told of it.
    pub(super) fn is_forgettable(&self, now: Duration) -> bool {
        self.full_at <= now && !self.is_waiting
    }

    /// What is to be told, which counts as told from now on.
    pub(super) fn tell(&mut self, now: Duration) -> Untold {
        self.is_waiting = false;
        self.is_known = true;
        Untold {
            spent: std::mem::take(&mut self.untold),
            own: self.own_full_at.saturating_sub(now),
        }
    }

    /// How long it takes until nothing is owed.
    pub(super) fn owed(&self, now: Duration, pace: Pace) -> Duration {
        self.full_at.saturating_sub(now).saturating_sub(pace.whole)
    }

    /// Hears that with all that was told until then it is full at a time. It is drained as far as that says, and never filled.
    ///
    /// What several processes let pass before they heard of each other is owed, up to as much as there is in all.
    pub(super) fn hear(&mut self, full_at: Duration, now: Duration, pace: Pace) {
        let with_ours = full_at.saturating_add(self.untold);
        let at_most = now.saturating_add(pace.whole).saturating_add(pace.whole);
        self.full_at = self.full_at.max(with_ours.min(at_most));
    }
}

fn after_one(full_at: Duration, now: Duration, pace: Pace) -> Duration {
    full_at.max(now).saturating_add(pace.each)
}
