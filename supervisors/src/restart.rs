//! Restart intensity: so many failures in a window, each followed by a longer wait, then the key is set aside.

use florin_actors::options::RestartPolicy;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// What follows a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Start it again after this wait.
    RestartAfter(Duration),
    /// It failed too often.
    GiveUp,
}

/// Failures of one actor.
#[derive(Clone, Debug, Default)]
pub struct RestartLog {
    failures: VecDeque<Instant>,
}

impl RestartLog {
    /// Notes a failure. `jitter` is any random number; it adds up to half of the wait.
    pub fn failed(&mut self, policy: &RestartPolicy, now: Instant, jitter: u64) -> Verdict {
        self.prune(policy, now);
        self.failures.push_back(now);
        let count = u32::try_from(self.failures.len()).unwrap_or(u32::MAX);
        if count > policy.restarts_max {
            return Verdict::GiveUp;
        }
        let wait = policy.backoff_after(count);
        let half_us = u64::try_from(wait.as_micros() / 2).unwrap_or(u64::MAX).max(1);
        Verdict::RestartAfter(wait + Duration::from_micros(jitter % half_us))
    }

    /// Failures in the present window.
    pub fn count(&mut self, policy: &RestartPolicy, now: Instant) -> u32 {
        self.prune(policy, now);
        u32::try_from(self.failures.len()).unwrap_or(u32::MAX)
    }

    fn prune(&mut self, policy: &RestartPolicy, now: Instant) {
        while self
            .failures
            .front()
            .is_some_and(|at| now.duration_since(*at) > policy.window)
        {
            self.failures.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: RestartPolicy = RestartPolicy {
        restarts_max: 3,
        window: Duration::from_mins(1),
        backoff: Duration::from_millis(100),
        backoff_max: Duration::from_millis(300),
    };

    #[test]
    fn waits_double_up_to_the_longest_and_the_fourth_failure_in_the_window_gives_up() {
        let (mut log, now) = (RestartLog::default(), Instant::now());
        let waits: Vec<Verdict> = (0..4).map(|_| log.failed(&POLICY, now, 0)).collect();
        let after = |ms| Verdict::RestartAfter(Duration::from_millis(ms));
        assert_eq!(waits, [after(100), after(200), after(300), Verdict::GiveUp]);
    }

    #[test]
    fn failures_leave_the_window() {
        let (mut log, start) = (RestartLog::default(), Instant::now());
        for n in 0..10 {
            let at = start + Duration::from_secs(61 * n);
            assert_eq!(
                log.failed(&POLICY, at, 0),
                Verdict::RestartAfter(Duration::from_millis(100))
            );
        }
        assert_eq!(log.count(&POLICY, start + Duration::from_secs(61 * 11)), 0);
    }

    #[test]
    fn jitter_adds_less_than_half() {
        let Verdict::RestartAfter(wait) = RestartLog::default().failed(&POLICY, Instant::now(), u64::MAX - 7)
        else {
            panic!("the first failure restarts");
        };
        assert!(wait >= Duration::from_millis(100) && wait < Duration::from_millis(150));
    }
}
