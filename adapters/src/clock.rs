//! The system's wall clock.

use florin_domain::ports::Clock;
use florin_domain::time::Timestamp;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Wall-clock milliseconds that never step back while the process lives, nor behind what is journaled: what was put in force or
/// retired at a time stays before what happens later.
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
        Timestamp::from_unix_ms(latest.max(ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_back_stands_still() {
        let ahead = Timestamp::from_unix_ms(u64::MAX - 1);
        let clock = SystemClock {
            latest_ms: AtomicU64::new(ahead.unix_ms()),
            ..SystemClock::new()
        };
        assert_eq!((clock.now(), clock.now()), (ahead, ahead));
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
