//! How often a card that was declined may be tried for the same amount again, by the rules of its network: never after a decline for
//! good, else so many times within a day and within 30 days. What is not sent costs nothing; what is sent beyond the limits is fined.

use crate::decline::{DAY_USED_UP, MONTH_USED_UP, NEVER_AGAIN};
use crate::ids::PaymentId;
use crate::limits::ATTEMPT_RETRY_WINDOW;
use crate::method::CardBrand;
use crate::time::Timestamp;
use std::collections::VecDeque;

/// The day of a limit, in milliseconds.
const DAY_MS: u64 = 86_400_000;
/// The month of a limit, in milliseconds: 30 days.
pub const MONTH_MS: u64 = 30 * DAY_MS;

/// Repetitions after a decline that a card's network allows; what is not configured is not limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CardLimits {
    /// Within 30 days, of every scheme but Mastercard (Visa: 15).
    pub month_max: Option<u32>,
    /// Within 24 hours, of Mastercard (10).
    pub mastercard_day_max: Option<u32>,
    /// Within 30 days, of Mastercard (35).
    pub mastercard_month_max: Option<u32>,
    /// What was declined for good is never tried again.
    pub never_after_final: bool,
}

impl Default for CardLimits {
    fn default() -> Self {
        Self {
            month_max: Some(15),
            mastercard_day_max: Some(10),
            mastercard_month_max: Some(35),
            never_after_final: true,
        }
    }
}

impl CardLimits {
    /// Of one day and of one month.
    const fn of(&self, brand: CardBrand) -> (Option<u32>, Option<u32>) {
        match brand {
            CardBrand::Mastercard => (self.mastercard_day_max, self.mastercard_month_max),
            CardBrand::Visa
            | CardBrand::Amex
            | CardBrand::Discover
            | CardBrand::Diners
            | CardBrand::Jcb
            | CardBrand::Unionpay => (None, self.month_max),
        }
    }

    /// Declines worth remembering of one card: one more than any limit on what follows the first, so that it can be told to be passed.
    pub fn declines_kept(&self) -> usize {
        let limits = [self.month_max, self.mastercard_day_max, self.mastercard_month_max];
        let most = limits.into_iter().flatten().max().unwrap_or(0);
        usize::try_from(most).unwrap_or(usize::MAX).saturating_add(2)
    }
}

/// Why a card is not tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardBar {
    /// It was declined for good.
    Final,
    /// The day's repetitions are used up.
    Day,
    /// The month's are.
    Month,
}

impl CardBar {
    /// The decline code that the payment gets.
    pub const fn decline_code(self) -> &'static str {
        match self {
            Self::Final => NEVER_AGAIN,
            Self::Day => DAY_USED_UP,
            Self::Month => MONTH_USED_UP,
        }
    }
}

/// Whether a card may be tried now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CardStanding {
    /// It was not declined for this lately.
    #[default]
    Fresh,
    /// It was, and this is one of the repetitions that are allowed. Whoever gets it says when it has ended.
    Repeats,
    /// It may not, whatever becomes of others.
    Barred(CardBar),
    /// Not now: others that are under way have the repetitions that are left, and may give them back.
    Taken(CardBar),
}

impl CardStanding {
    /// Why it may not be tried.
    pub const fn bar(self) -> Option<CardBar> {
        match self {
            Self::Barred(bar) | Self::Taken(bar) => Some(bar),
            Self::Fresh | Self::Repeats => None,
        }
    }
}

/// What is remembered of a card and an amount that was declined. The order in which declines are told makes no difference.
#[derive(Clone, Debug, Default)]
pub struct CardRecord {
    /// When it was declined, in the order of time, in milliseconds.
    declines: VecDeque<u64>,
    is_final: bool,
    /// Repetitions that have not ended. An unknown one counts until its attempt can no longer be repeated; if it was declined after all,
    /// that counts from then on.
    under_way: Vec<(u64, PaymentId)>,
}

impl CardRecord {
    /// How much it holds.
    pub fn len(&self) -> usize {
        self.declines.len().saturating_add(self.under_way.len())
    }

    /// Nothing is known.
    pub fn is_empty(&self) -> bool {
        self.declines.is_empty() && self.under_way.is_empty() && !self.is_final
    }

    /// It was declined, for good or not; of older ones so many are `kept`.
    pub fn declined(&mut self, at: Timestamp, is_final: bool, kept: usize) {
        let at_ms = at.unix_ms();
        let place = self.declines.partition_point(|other| *other <= at_ms);
        self.declines.insert(place, at_ms);
        while self.declines.len() > kept.max(1) {
            self.declines.pop_front();
        }
        self.is_final |= is_final;
    }

    /// What a payment tried has ended, however it did.
    pub fn ended(&mut self, payment: PaymentId) {
        self.under_way.retain(|(_, other)| *other != payment);
    }

    /// Whether it may be tried once more; if so, that counts from now on.
    pub fn ask(
        &mut self,
        payment: PaymentId,
        brand: CardBrand,
        limits: &CardLimits,
        at: Timestamp,
    ) -> CardStanding {
        let now = at.unix_ms();
        self.ended(payment);
        self.under_way
            .retain(|(since, _)| now.saturating_sub(*since) < ATTEMPT_RETRY_WINDOW.0);
        if self.is_final && limits.never_after_final {
            return CardStanding::Barred(CardBar::Final);
        }
        let (day_max, month_max) = limits.of(brand);
        if self.declines_within(now, MONTH_MS) == 0 {
            return CardStanding::Fresh;
        }
        let limits = [
            (month_max, MONTH_MS, CardBar::Month),
            (day_max, DAY_MS, CardBar::Day),
        ];
        let used_up = |under_way: usize| {
            let is_used_up = |limit: u32, window_ms| {
                let done = self.repetitions(now, window_ms).saturating_add(under_way);
                done >= usize::try_from(limit).unwrap_or(usize::MAX)
            };
            let passed = limits
                .iter()
                .find(|(limit, window_ms, _)| limit.is_some_and(|limit| is_used_up(limit, *window_ms)));
            passed.map(|(.., bar)| *bar)
        };
        if let Some(bar) = used_up(0) {
            return CardStanding::Barred(bar);
        }
        if let Some(bar) = used_up(self.under_way.len()) {
            return CardStanding::Taken(bar);
        }
        self.under_way.push((now, payment));
        CardStanding::Repeats
    }

    fn declines_within(&self, now: u64, window_ms: u64) -> usize {
        let is_within = |at: &&u64| at.saturating_add(window_ms) > now;
        self.declines.iter().filter(is_within).count()
    }

    /// Those that were declined: all declines within the window but the month's first, which was no repetition.
    fn repetitions(&self, now: u64, window_ms: u64) -> usize {
        let declines = self.declines_within(now, window_ms);
        let has_first = declines == self.declines_within(now, MONTH_MS);
        declines.saturating_sub(usize::from(has_first))
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small numbers of the tests' own")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR_MS: u64 = 3_600_000;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_unix_ms(1_700_000_000_000 + ms)
    }

    fn payment(number: u128) -> PaymentId {
        PaymentId::from_bits(number)
    }

    /// Tries once an hour, is declined each time, and says after how many sent it is told what.
    fn sent_until_barred(brand: CardBrand, every_ms: u64) -> (u128, CardBar) {
        let (mut record, limits) = (CardRecord::default(), CardLimits::default());
        for number in 0..100 {
            let now = at(u64::try_from(number).unwrap() * every_ms);
            if let Some(bar) = record.ask(payment(number), brand, &limits, now).bar() {
                return (number, bar);
            }
            record.declined(now, false, limits.declines_kept());
            record.ended(payment(number));
        }
        panic!("never barred");
    }

    #[test]
    fn visa_takes_fifteen_repetitions_in_thirty_days_and_mastercard_ten_a_day_and_thirty_five() {
        assert_eq!(sent_until_barred(CardBrand::Visa, HOUR_MS), (16, CardBar::Month));
        assert_eq!(sent_until_barred(CardBrand::Amex, HOUR_MS), (16, CardBar::Month));
        assert_eq!(
            sent_until_barred(CardBrand::Mastercard, HOUR_MS),
            (11, CardBar::Day)
        );
        // Five hours apart no day has more than five.
        assert_eq!(
            sent_until_barred(CardBrand::Mastercard, 5 * HOUR_MS),
            (36, CardBar::Month)
        );
    }

    #[test]
    fn a_month_after_its_declines_a_card_is_as_good_as_new_unless_it_was_declined_for_good() {
        let (limits, kept) = (CardLimits::default(), CardLimits::default().declines_kept());
        for is_final in [false, true] {
            let mut record = CardRecord::default();
            for ms in 0..16 {
                record.declined(at(ms), is_final, kept);
            }
            let asked =
                |record: &mut CardRecord, ms| record.ask(payment(1), CardBrand::Visa, &limits, at(ms));
            let barred = if is_final { CardBar::Final } else { CardBar::Month };
            assert_eq!(asked(&mut record, MONTH_MS - 1), CardStanding::Barred(barred));
            let later = if is_final {
                CardStanding::Barred(CardBar::Final)
            } else {
                CardStanding::Fresh
            };
            assert_eq!(asked(&mut record, MONTH_MS + 15), later);
        }
    }

    #[test]
    fn what_is_under_way_counts_and_ends_once() {
        let limits = CardLimits {
            month_max: Some(2),
            ..CardLimits::default()
        };
        let mut record = CardRecord::default();
        record.declined(at(0), false, limits.declines_kept());
        let ask = |record: &mut CardRecord, number, ms| {
            record.ask(payment(number), CardBrand::Visa, &limits, at(ms))
        };
        assert_eq!(ask(&mut record, 1, 1), CardStanding::Repeats);
        assert_eq!(
            ask(&mut record, 1, 2),
            CardStanding::Repeats,
            "the same payment takes no second place"
        );
        assert_eq!(ask(&mut record, 2, 2), CardStanding::Repeats);
        assert_eq!(ask(&mut record, 3, 2), CardStanding::Taken(CardBar::Month));
        record.ended(payment(1));
        assert_eq!(ask(&mut record, 3, 3), CardStanding::Repeats);
        assert_eq!(ask(&mut record, 4, 3), CardStanding::Taken(CardBar::Month));
        assert_eq!(
            ask(&mut record, 4, 3 + ATTEMPT_RETRY_WINDOW.0),
            CardStanding::Repeats,
            "nobody repeats the others"
        );
        record.declined(at(4), false, limits.declines_kept());
        record.declined(at(5), false, limits.declines_kept());
        assert_eq!(
            ask(&mut record, 5, 6),
            CardStanding::Barred(CardBar::Month),
            "whatever becomes of those under way"
        );
    }

    #[test]
    fn without_limits_everything_may_be_tried() {
        let limits = CardLimits {
            month_max: None,
            mastercard_day_max: None,
            mastercard_month_max: None,
            never_after_final: false,
        };
        let mut record = CardRecord::default();
        for number in 0..100 {
            record.declined(at(1), true, limits.declines_kept());
            assert_eq!(
                record.ask(payment(number), CardBrand::Visa, &limits, at(2)).bar(),
                None
            );
        }
    }

    proptest! {
        /// However many ask at once, and in whatever order it is told of them, no more are sent than the limit and the first.
        #[test]
        fn no_more_repetitions_than_the_limit_are_sent_in_any_month(
            steps in prop::collection::vec((0..3 * HOUR_MS, any::<bool>()), 1..120),
            month_max in 0_u32..20,
        ) {
            let limits = CardLimits { month_max: Some(month_max), ..CardLimits::default() };
            let (mut record, mut now, mut open, mut repeated) = (CardRecord::default(), 0, Vec::new(), Vec::new());
            record.declined(at(0), false, limits.declines_kept());
            for (number, (wait, ends)) in steps.into_iter().enumerate() {
                now += wait;
                let number = payment(u128::try_from(number).unwrap());
                match record.ask(number, CardBrand::Visa, &limits, at(now)) {
                    CardStanding::Repeats => {
                        repeated.push(now);
                        open.push(number);
                    }
                    CardStanding::Fresh => prop_assert!(now >= MONTH_MS),
                    CardStanding::Barred(_) | CardStanding::Taken(_) => {}
                }
                if ends && let Some(number) = open.pop() {
                    record.declined(at(now), false, limits.declines_kept());
                    record.ended(number);
                }
            }
            if now < ATTEMPT_RETRY_WINDOW.0 {
                prop_assert!(repeated.len() <= usize::try_from(month_max).unwrap());
            }
            prop_assert!(record.declines.len() <= limits.declines_kept());
        }
    }
}
