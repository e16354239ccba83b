//! When the same attempt is sent again with the same key (ORCH-12): three tries, one second after a network error, two after a
//! timeout. Nothing here may choose another provider: that needs proof that the last one did not charge.
//!
//! The waits are the least; what is drawn comes on top, so that callers who failed together do not come back together (R9). And all
//! retries at a provider live on one budget, a share of its calls: a provider that fails everybody is not asked three times as much.

use crate::provider::{Hindrance, Outcome};
use crate::time::{Millis, Timestamp};

/// Tries and waits of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Requests in all, the first included.
    pub tries_max: u32,
    /// Wait after a network error before anything was sent.
    pub network_error_wait: Millis,
    /// Wait after a timeout or another unknown outcome.
    pub timeout_wait: Millis,
    /// What a wait may be longer than it must, in basis points of it.
    pub jitter_bps: u32,
    /// What all retries at one provider live on.
    pub budget: BudgetPolicy,
}

/// How many retries one provider gets, of all payments together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetPolicy {
    /// Of the calls of a window that are no retries, in basis points.
    pub share_bps: u32,
    /// In a window whatever its calls, so that a lone payment gets its tries.
    pub retries_min: u32,
}

impl Default for BudgetPolicy {
    fn default() -> Self {
        Self {
            share_bps: 1000,
            retries_min: 10,
        }
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            tries_max: 3,
            network_error_wait: Millis::from_s(1),
            timeout_wait: Millis::from_s(2),
            jitter_bps: 5000,
            budget: BudgetPolicy::default(),
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
            Outcome::NotSent {
                hindrance: Hindrance::Provider,
                ..
            } => Some(self.network_error_wait),
            Outcome::Unknown { .. } => Some(self.timeout_wait),
            Outcome::RateLimited { retry_after } => Some((*retry_after).max(self.network_error_wait)),
            Outcome::Succeeded { .. }
            | Outcome::Declined { .. }
            | Outcome::ActionRequired { .. }
            | Outcome::Pending { .. }
            | Outcome::Cancelled { .. }
            | Outcome::Rejected { .. }
            // Asking again gives nobody credentials.
            | Outcome::NotSent {
                hindrance: Hindrance::Credentials,
                ..
            } => None,
        }
    }

    /// A wait with its jitter: evenly drawn between the wait and as much more as there may be. `random` is any 64 bits.
    pub fn jittered(&self, wait: Millis, random: u64) -> Millis {
        let most = u128::from(wait.0)
            .saturating_mul(u128::from(self.jitter_bps))
            .checked_div(10_000)
            .unwrap_or(0);
        let drawn = u128::from(random)
            .checked_rem(most.saturating_add(1))
            .unwrap_or(0);
        Millis(wait.0.saturating_add(u64::try_from(drawn).unwrap_or(u64::MAX)))
    }
}

/// The window of a budget.
pub const BUDGET_WINDOW: Millis = Millis::from_s(10);
/// Its parts: it slides by one of them at a time.
const PARTS: usize = 10;
const PART_MS: u64 = 1000;
const _: () = assert!(
    BUDGET_WINDOW.0 == PART_MS * 10 && PARTS == 10,
    "the parts are the window"
);

/// What one provider was asked within the window, and how much of it repeated something.
#[derive(Clone, Debug, Default)]
pub struct RetryBudget {
    /// The second of each part, its first calls and its retries.
    parts: [(u64, u64, u64); PARTS],
}

impl RetryBudget {
    fn part(&mut self, now: Timestamp) -> Option<&mut (u64, u64, u64)> {
        let second = now.unix_ms().checked_div(PART_MS)?;
        let index = usize::try_from(second).ok()?.checked_rem(PARTS)?;
        let part = self.parts.get_mut(index)?;
        if part.0 != second {
            *part = (second, 0, 0);
        }
        Some(part)
    }

    /// A call that is no retry.
    pub fn called(&mut self, now: Timestamp) {
        if let Some(part) = self.part(now) {
            part.1 = part.1.saturating_add(1);
        }
    }

    /// Takes one retry from the budget, if there is any left.
    pub fn take(&mut self, policy: BudgetPolicy, now: Timestamp) -> bool {
        let second = now.unix_ms().checked_div(PART_MS).unwrap_or(0);
        let oldest = second.saturating_sub(9);
        let (mut calls, mut retries) = (0_u64, 0_u64);
        for part in self
            .parts
            .iter()
            .filter(|part| (oldest..=second).contains(&part.0))
        {
            calls = calls.saturating_add(part.1);
            retries = retries.saturating_add(part.2);
        }
        let share = u128::from(calls)
            .saturating_mul(u128::from(policy.share_bps))
            .checked_div(10_000)
            .unwrap_or(0);
        let has_room = u128::from(retries) < share.saturating_add(u128::from(policy.retries_min));
        if has_room && let Some(part) = self.part(now) {
            part.2 = part.2.saturating_add(1);
        }
        has_room
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small numbers of the tests' own")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_unix_ms(1_700_000_000_000 + ms)
    }

    #[test]
    fn a_lone_payment_gets_its_tries_and_many_get_a_tenth_of_their_calls() {
        let (mut budget, policy) = (RetryBudget::default(), BudgetPolicy::default());
        assert_eq!((0..20).filter(|_| budget.take(policy, at(0))).count(), 10);
        (0..100).for_each(|_| budget.called(at(1)));
        assert_eq!((0..20).filter(|_| budget.take(policy, at(2))).count(), 10);
        // The window has passed, and with it both calls and retries.
        assert_eq!(
            (0..20)
                .filter(|_| budget.take(policy, at(BUDGET_WINDOW.0)))
                .count(),
            10
        );
    }

    #[test]
    fn jitter_only_lengthens_a_wait_and_no_further_than_it_may() {
        let policy = RetryPolicy::default();
        assert_eq!(policy.jittered(Millis(1000), 0), Millis(1000));
        assert_eq!(policy.jittered(Millis(1000), 500), Millis(1500));
        assert_eq!(policy.jittered(Millis(1000), 501), Millis(1000));
        let none = RetryPolicy {
            jitter_bps: 0,
            ..policy
        };
        assert_eq!(none.jittered(Millis(u64::MAX), u64::MAX), Millis(u64::MAX));
    }

    proptest! {
        #[test]
        fn a_wait_with_jitter_is_between_it_and_half_as_much_again(wait in 0..100_000_u64, random: u64) {
            let drawn = RetryPolicy::default().jittered(Millis(wait), random).0;
            prop_assert!((wait..=wait + wait / 2).contains(&drawn));
        }

        /// Over any ten seconds, calls are never more than those that are no retries, a tenth of them, and the least.
        #[test]
        fn retries_never_exceed_their_share(steps in prop::collection::vec((0..700_u64, any::<bool>()), 1..400)) {
            let (mut budget, policy) = (RetryBudget::default(), BudgetPolicy { retries_min: 3, ..BudgetPolicy::default() });
            let (mut now, mut calls, mut retries) = (0, Vec::new(), Vec::new());
            for (wait, is_retry) in steps {
                now += wait;
                if !is_retry {
                    budget.called(at(now));
                    calls.push(now);
                } else if budget.take(policy, at(now)) {
                    retries.push(now);
                    // By whole seconds, as the window slides.
                    let within = |all: &[u64]| all.iter().filter(|ms| **ms / 1000 + 9 >= now / 1000).count();
                    prop_assert!(within(&retries) <= 3 + within(&calls) / 10);
                }
            }
        }
    }

    #[test]
    fn network_errors_wait_one_second_and_timeouts_two_and_three_tries_are_all() {
        let policy = RetryPolicy::default();
        let not_sent = Outcome::not_sent("connect refused");
        let unknown = Outcome::Unknown {
            reason: "read timeout".into(),
            reference: None,
        };
        let declined = Outcome::declined("generic_decline".into(), None);
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
