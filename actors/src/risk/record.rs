//! What is remembered of one subject: the instants of its latest payments and declines, and what it asked for within a day. Windows
//! slide and are exact; a count beyond what any rule asks for says "at least so many".

use super::Velocity;
use crate::options::Options;
use crate::risk_profile_handle::HOUR_COUNT_HIGH_MAX;
use florin_domain::money::{Amount, Currency};
use florin_domain::risk::VelocityLimits;
use florin_domain::time::Timestamp;
use std::collections::VecDeque;

pub(super) const MINUTE_MS: u64 = 60_000;
pub(super) const HOUR_MS: u64 = 3_600_000;
pub(super) const DAY_MS: u64 = 86_400_000;

/// Amounts of one subject that are kept one by one; beyond them the two oldest are joined, which forgets them later, not earlier.
const ASKED_MAX: usize = 4096;

/// How many instants are worth keeping: no rule asks whether there are more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    payments: usize,
    declines: usize,
}

impl Bounds {
    pub(super) fn of_payments(options: &Options) -> Self {
        let (profile, limits) = (&options.risk, &options.velocity);
        let payments = [
            profile.hour_count_high,
            // Operators may put it so high without a restart.
            HOUR_COUNT_HIGH_MAX,
            beyond(limits.minute_count_max),
            beyond(limits.hour_count_max),
            beyond(limits.ip_hour_count_max),
        ];
        let declines = profile
            .hour_declines_high
            .max(limits.hour_declines_max.unwrap_or(0));
        Self {
            payments: whole(payments.into_iter().max().unwrap_or(0)),
            declines: whole(declines),
        }
    }

    /// Transfers count as payments, and are never declined.
    pub(super) fn of_transfers(options: &Options) -> Self {
        Self {
            payments: whole(beyond(options.transfer_limits.hour_count_max)),
            declines: 1,
        }
    }
}

fn beyond(limit: Option<u32>) -> u32 {
    limit.map_or(0, |limit| limit.saturating_add(1))
}

fn whole(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX).max(1)
}

/// A subject's record, every part in the order of time.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    payments: VecDeque<u64>,
    declines: VecDeque<u64>,
    asked: VecDeque<(u64, Currency, i128)>,
}

impl Record {
    /// How many events it holds.
    pub(super) fn len(&self) -> usize {
        self.payments.len() + self.declines.len() + self.asked.len()
    }

    pub(super) fn paid(&mut self, at: Timestamp, bounds: &Bounds) {
        add(&mut self.payments, at.unix_ms(), bounds.payments);
    }

    pub(super) fn declined(&mut self, at: Timestamp, bounds: &Bounds) {
        add(&mut self.declines, at.unix_ms(), bounds.declines);
    }

    /// What was asked for within a day with this, if that is limited. What is beyond the limit is not remembered, or a refused
    /// payment would use up the day.
    pub(super) fn asked(
        &mut self,
        at: Timestamp,
        (currency, amount): (Currency, Amount),
        limits: &VelocityLimits,
    ) -> Option<i128> {
        limits.day_amount(currency)?;
        let now = at.unix_ms();
        let within = self
            .asked
            .iter()
            .filter(|asked| asked.1 == currency && is_within(asked.0, now, DAY_MS));
        let before: i128 = within.map(|asked| asked.2).sum();
        if limits.has_room(currency, before, amount) {
            self.remember(at, currency, amount);
        }
        Some(before + amount.minor())
    }

    pub(super) fn remember(&mut self, at: Timestamp, currency: Currency, amount: Amount) {
        let now = at.unix_ms();
        // The newest of all says what is old: what is recalled may be older than what is known.
        let newest = self.asked.back().map_or(now, |asked| asked.0.max(now));
        while self
            .asked
            .front()
            .is_some_and(|asked| !is_within(asked.0, newest, DAY_MS))
        {
            self.asked.pop_front();
        }
        let place = self.asked.partition_point(|asked| asked.0 <= now);
        self.asked.insert(place, (now, currency, amount.minor()));
        if self.asked.len() > ASKED_MAX
            && let Some((_, currency, minor)) = self.asked.pop_front()
            && let Some(next) = self.asked.iter_mut().find(|asked| asked.1 == currency)
        {
            next.2 += minor;
        }
    }

    pub(super) fn velocity(&self, at: Timestamp) -> Velocity {
        let now = at.unix_ms();
        Velocity {
            minute_count: count(&self.payments, now, MINUTE_MS),
            hour_count: count(&self.payments, now, HOUR_MS),
            hour_declines: count(&self.declines, now, HOUR_MS),
            day_amount_minor: None,
            ip_hour_count: None,
            ..Velocity::default()
        }
    }
}

/// A clock that stepped back leaves events in what it takes for the future: they count.
const fn is_within(at: u64, now: u64, window_ms: u64) -> bool {
    at.saturating_add(window_ms) > now
}

fn count(times: &VecDeque<u64>, now: u64, window_ms: u64) -> u32 {
    let old = times.partition_point(|at| !is_within(*at, now, window_ms));
    u32::try_from(times.len() - old).unwrap_or(u32::MAX)
}

/// Keeps the newest `keep` instants of the last hour.
fn add(times: &mut VecDeque<u64>, at: u64, keep: usize) {
    let place = times.partition_point(|other| *other <= at);
    times.insert(place, at);
    let newest = times.back().copied().unwrap_or(at);
    while times.len() > keep
        || times
            .front()
            .is_some_and(|oldest| !is_within(*oldest, newest, HOUR_MS))
    {
        times.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: u64 = 1_700_000_000_000;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_unix_ms(START + ms)
    }

    fn bounds(payments: usize) -> Bounds {
        Bounds {
            payments,
            declines: 3,
        }
    }

    #[test]
    fn a_payment_leaves_the_minute_after_a_minute_and_the_hour_after_an_hour() {
        let mut record = Record::default();
        record.paid(at(0), &bounds(10));
        record.declined(at(0), &bounds(10));
        let counts = |ms| {
            let velocity = record.velocity(at(ms));
            (velocity.minute_count, velocity.hour_count, velocity.hour_declines)
        };
        assert_eq!(counts(MINUTE_MS - 1), (1, 1, 1));
        assert_eq!(counts(MINUTE_MS), (0, 1, 1));
        assert_eq!(counts(HOUR_MS - 1), (0, 1, 1));
        assert_eq!(counts(HOUR_MS), (0, 0, 0));
    }

    #[test]
    fn a_clock_that_steps_back_loses_no_count() {
        let mut record = Record::default();
        record.paid(at(600_000), &bounds(10));
        record.paid(at(0), &bounds(10));
        assert_eq!(record.velocity(at(0)).hour_count, 2);
    }

    #[test]
    fn what_is_beyond_the_day_is_told_and_not_remembered() {
        let limits = VelocityLimits {
            day_amounts: vec![(Currency::USD, 1000)],
            ..VelocityLimits::default()
        };
        let mut record = Record::default();
        let mut ask = |ms, currency, minor| {
            let amount = Amount::new(minor).unwrap();
            record.asked(at(ms), (currency, amount), &limits)
        };
        assert_eq!(ask(0, Currency::USD, 600), Some(600));
        assert_eq!(ask(1, Currency::USD, 600), Some(1200), "beyond");
        assert_eq!(
            ask(2, Currency::USD, 400),
            Some(1000),
            "the refused one does not count"
        );
        assert_eq!(ask(3, Currency::EUR, 9999), None);
        assert_eq!(ask(DAY_MS, Currency::USD, 600), Some(1000), "the first has left");
        assert_eq!(ask(DAY_MS, Currency::USD, 1), Some(1001));
    }

    #[test]
    fn ever_more_amounts_of_a_day_are_joined_and_none_is_lost() {
        let limits = VelocityLimits {
            day_amounts: vec![(Currency::USD, 1_000_000)],
            ..VelocityLimits::default()
        };
        let (mut record, one) = (Record::default(), Amount::new(1).unwrap());
        for ms in 0..10_000 {
            let told = record.asked(at(ms), (Currency::USD, one), &limits);
            assert_eq!(told, Some(i128::from(ms) + 1));
        }
        assert_eq!(record.len(), ASKED_MAX);
    }

    proptest! {
        /// Against the plain definition: those of the last hour, as far as they are kept.
        #[test]
        fn counts_are_exact_up_to_what_is_kept(times in prop::collection::vec(0..3 * HOUR_MS, 1..60), keep in 1_usize..40) {
            let mut record = Record::default();
            let mut sorted = times.clone();
            sorted.sort_unstable();
            for ms in &sorted {
                record.paid(at(*ms), &bounds(keep));
                let expected = sorted.iter().filter(|other| *other <= ms && **other + HOUR_MS > *ms);
                // Equal instants come one after the other.
                let seen = record.velocity(at(*ms)).hour_count;
                prop_assert!(usize::try_from(seen).unwrap() <= expected.clone().count().min(keep));
                if sorted.iter().filter(|other| *other == ms).count() == 1 {
                    prop_assert_eq!(usize::try_from(seen).unwrap(), expected.count().min(keep));
                }
            }
            prop_assert!(record.len() <= keep);
        }

        /// What is recalled after newer ones were counted comes to the same.
        #[test]
        fn the_order_of_counting_makes_no_difference(
            times in prop::collection::vec(0..2 * HOUR_MS, 1..40).prop_shuffle(),
            keep in 1_usize..40,
        ) {
            let (mut shuffled, mut ordered) = (Record::default(), Record::default());
            let mut sorted = times.clone();
            sorted.sort_unstable();
            for ms in &times {
                shuffled.paid(at(*ms), &bounds(keep));
            }
            for ms in &sorted {
                ordered.paid(at(*ms), &bounds(keep));
            }
            prop_assert_eq!(shuffled.payments, ordered.payments);
        }
    }
}
