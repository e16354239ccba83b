//! The system's wall clock.

use florin_domain::ports::Clock;
use florin_domain::time::Timestamp;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Wall-clock milliseconds that never step back while the process lives, nor behind what is journaled: what was put in force or
/// retired at a time stays before what happens later. Nor do they stand still while a system clock that was set back catches up: what waits
/// for a time would wait as long.
#[derive(Debug)]
pub struct SystemClock {
    began: Instant,
    /// The latest time that was told.
    latest_ms: AtomicU64,
    /// The clock shows at least this much more than the milliseconds since it began.
    floor_ms: AtomicU64,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            latest_ms: AtomicU64::new(0),
            floor_ms: AtomicU64::new(0),
        }
    }
}

impl SystemClock {
    /// A clock.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on it is `at` or later. A system clock that is behind it is passed over until it has caught up. By how many
    /// milliseconds it is behind.
    pub fn not_before(&self, at: Timestamp) -> u64 {
        let behind_ms = at.unix_ms().saturating_sub(self.now().unix_ms());
        if behind_ms > 0 {
            let floor_ms = at.unix_ms().saturating_sub(self.lived_ms());
            self.floor_ms.fetch_max(floor_ms, Ordering::Relaxed);
        }
        behind_ms
    }

    fn lived_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let system_ms = u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX);
        let floor_ms = self.floor_ms.load(Ordering::Relaxed);
        let ms = if floor_ms == 0 {
            system_ms
        } else {
            system_ms.max(floor_ms.saturating_add(self.lived_ms()))
        };
        let latest = self.latest_ms.fetch_max(ms, Ordering::Relaxed);
        if latest > ms {
            // Set back, or another thread was faster. Read after `latest` was told, so that this floor is never ahead of that.
            let floor_ms = latest.saturating_sub(self.lived_ms());
            self.floor_ms.fetch_max(floor_ms, Ordering::Relaxed);
        }
        Timestamp::from_unix_ms(latest.max(ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_back_goes_on_from_where_it_was() {
        let clock = SystemClock::new();
        let ahead = Timestamp::from_unix_ms(clock.now().unix_ms() + 3_600_000);
        clock.latest_ms.store(ahead.unix_ms(), Ordering::Relaxed);
        let mut last = clock.now();
        assert_eq!(last, ahead);
        for _ in 0..3 {
            let next = std::iter::repeat_with(|| clock.now()).find(|now| *now != last);
            let next = next.expect("it goes on");
            assert!(next > last, "{next:?} {last:?}");
            last = next;
        }
        let far = SystemClock {
            latest_ms: AtomicU64::new(u64::MAX - 1),
            ..SystemClock::new()
        };
        assert!(far.now().unix_ms() >= u64::MAX - 1);
    }

    #[test]
    fn a_clock_is_never_behind_what_it_was_told() {
        let clock = SystemClock::new();
        let past = Timestamp::from_unix_ms(1);
        assert_eq!(clock.not_before(past), 0);
        let ahead = Timestamp::from_unix_ms(clock.now().unix_ms() + 600_000);
        assert!(clock.not_before(ahead) > 500_000);
        assert!(clock.now() >= ahead);
        assert_eq!(clock.not_before(ahead), 0);
    }
}
