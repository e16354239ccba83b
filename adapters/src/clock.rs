//! The system's wall clock.

use florin_domain::ports::Clock;
use florin_domain::time::Timestamp;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Wall-clock milliseconds that never step back while the process lives.
#[derive(Debug, Default)]
pub struct SystemClock {
    latest_ms: AtomicU64,
}

impl SystemClock {
    /// A clock.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let ms = u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX);
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
        };
        assert_eq!((clock.now(), clock.now()), (ahead, ahead));
    }
}
