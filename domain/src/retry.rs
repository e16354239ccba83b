//! When the same attempt is sent again with the same key (ORCH-12): three tries, one second after a network error, two after a
//! timeout. Nothing here may choose another provider: that needs proof that the last one did not charge.

use crate::provider::Outcome;
use crate::time::Millis;

/// Tries and waits of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Requests in all, the first included.
    pub tries_max: u32,
    /// Wait after a network error before anything was sent.
    pub network_error_wait: Millis,
    /// Wait after a timeout or another unknown outcome.
    pub timeout_wait: Millis,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            tries_max: 3,
            network_error_wait: Millis::from_s(1),
            timeout_wait: Millis::from_s(2),
        }
    }
}

impl RetryPolicy {
    /// How long to wait before the next try, or `None` when `outcome` ends the attempt or the tries are used up.
    pub fn wait_after(&self, tries_done: u32, outcome: &Outcome) -> Option<Millis> {
        if tries_done >= self.tries_max {
            return None;
        }
        match outcome {
            Outcome::NotSent { .. } => Some(self.network_error_wait),
            Outcome::Unknown { .. } => Some(self.timeout_wait),
            Outcome::RateLimited { retry_after } => Some((*retry_after).max(self.network_error_wait)),
            Outcome::Succeeded { .. }
            | Outcome::Declined { .. }
            | Outcome::ActionRequired { .. }
            | Outcome::Pending { .. }
            | Outcome::Cancelled { .. }
            | Outcome::Rejected { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_errors_wait_one_second_and_timeouts_two_and_three_tries_are_all() {
        let policy = RetryPolicy::default();
        let not_sent = Outcome::not_sent("connect refused");
        let unknown = Outcome::Unknown {
            reason: "read timeout".into(),
            reference: None,
        };
        let declined = Outcome::Declined {
            decline_code: "generic_decline".into(),
            reference: None,
        };
        let cases = [
            (1, &not_sent, Some(Millis(1000))),
            (2, &not_sent, Some(Millis(1000))),
            (3, &not_sent, None),
            (1, &unknown, Some(Millis(2000))),
            (3, &unknown, None),
            (1, &declined, None),
        ];
        for (tries_done, outcome, expected) in cases {
            assert_eq!(
                policy.wait_after(tries_done, outcome),
                expected,
                "{tries_done} {outcome:?}"
            );
        }
    }
}
