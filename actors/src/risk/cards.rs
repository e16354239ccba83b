//! What one velocity shard remembers of cards: those that were declined, so that no network's limit on repetitions is passed; and the
//! payments of the last minutes, so that one that is like another under another key is noticed (IDEM-11).
//!
//! A card is one for a merchant, a mode and an amount; all that is asked about one comes to the shard that has it, one by one, so the
//! counts are exact. Both memories are bounded apart: however many payments succeed, no decline is forgotten for them.

use super::Subject;
use crate::options::Options;
use florin_domain::ids::PaymentId;
use florin_domain::method::CardBrand;
use florin_domain::risk::{CardLimits, CardRecord, CardStanding};
use florin_domain::time::Timestamp;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};

/// Declines that are remembered for each card that may be known, on average.
const DECLINES_PER_CARD: usize = 8;

/// Payments like one another that are remembered: whoever sees so many needs no exact count.
const TWINS_KEPT: usize = 16;

/// Whether a payment's card may be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CardQuestion {
    /// The card, with the amount.
    pub subject: Subject,
    /// Who wants to try it.
    pub payment: PaymentId,
    /// Of which network it is.
    pub brand: CardBrand,
    /// When.
    pub at: Timestamp,
    /// The payment has just been asked for.
    pub is_new: bool,
    /// It was declined at one provider right now, for good or not, and would go on at another one.
    pub declined: Option<bool>,
}

/// How a payment's try of its card ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardEnd {
    /// The network's side declined it, for good or not.
    Declined {
        /// For good.
        is_final: bool,
    },
    /// Nothing was charged, and no network was asked.
    Uncharged,
    /// Somehow else.
    Ended,
}

/// What a shard knows.
#[derive(Debug)]
pub(super) struct Cards {
    limits: CardLimits,
    window_ms: u64,
    subjects_max: usize,
    declined: HashMap<Subject, CardRecord>,
    /// Those, in the order first declined.
    order: VecDeque<Subject>,
    /// What all records hold together.
    held: usize,
    seen: HashMap<Subject, VecDeque<(u64, PaymentId)>>,
    /// Those, in the order of time.
    latest: VecDeque<(u64, Subject, PaymentId)>,
}

/// What is known of payments like a new one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Twins {
    pub(super) count: u32,
    pub(super) latest: Option<PaymentId>,
}

impl Cards {
    pub(super) fn of(options: &Options) -> Self {
        Self {
            limits: options.card_limits,
            window_ms: options.velocity.duplicates.window.0,
            subjects_max: options.risk_subjects_max.max(1),
            declined: HashMap::new(),
            order: VecDeque::new(),
            held: 0,
            seen: HashMap::new(),
            latest: VecDeque::new(),
        }
    }

    /// Whether the card may be tried, and which payments this one is like.
    pub(super) fn ask(&mut self, question: &CardQuestion) -> (CardStanding, Twins) {
        let CardQuestion {
            subject,
            payment,
            brand,
            at,
            ..
        } = *question;
        let twins = if question.is_new {
            let twins = self.twins(subject, payment, at);
            self.see(subject, payment, at);
            twins
        } else {
            Twins::default()
        };
        if let Some(is_final) = question.declined {
            self.declined(subject, at, is_final);
        }
        let limits = self.limits;
        // Who was never declined is not remembered.
        let standing = match self.declined.get_mut(&subject) {
            None => CardStanding::Fresh,
            Some(record) => {
                let before = record.len();
                let standing = record.ask(payment, brand, &limits, at);
                self.held = (self.held + record.len()).saturating_sub(before);
                standing
            }
        };
        (standing, twins)
    }

    pub(super) fn ended(&mut self, subject: Subject, payment: PaymentId, at: Timestamp, end: CardEnd) {
        if let Some(record) = self.declined.get_mut(&subject) {
            let before = record.len();
            record.ended(payment);
            self.held = (self.held + record.len()).saturating_sub(before);
        }
        match end {
            CardEnd::Declined { is_final } => {
                self.declined(subject, at, is_final);
                self.unsee(subject, payment);
            }
            CardEnd::Uncharged => self.unsee(subject, payment),
            CardEnd::Ended => {}
        }
    }

    /// Counts a decline; then the cards that were declined first are forgotten while too much is remembered.
    pub(super) fn declined(&mut self, subject: Subject, at: Timestamp, is_final: bool) {
        let kept = self.limits.declines_kept();
        let record = match self.declined.entry(subject) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                self.order.push_back(subject);
                unknown.insert(CardRecord::default())
            }
        };
        let before = record.len();
        record.declined(at, is_final, kept);
        self.held = (self.held + record.len()).saturating_sub(before);
        let held_max = self.subjects_max.saturating_mul(DECLINES_PER_CARD);
        while self.order.len() > self.subjects_max || (self.held > held_max && self.order.len() > 1) {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            let forgotten = self.declined.remove(&oldest);
            self.held = self
                .held
                .saturating_sub(forgotten.map_or(0, |record| record.len()));
        }
    }

    /// Other payments like this one within the window.
    fn twins(&self, subject: Subject, payment: PaymentId, at: Timestamp) -> Twins {
        let now = at.unix_ms();
        let seen = self.seen.get(&subject).into_iter().flatten();
        let like =
            seen.filter(|(since, other)| since.saturating_add(self.window_ms) > now && *other != payment);
        Twins {
            count: u32::try_from(like.clone().count()).unwrap_or(u32::MAX),
            latest: like.max_by_key(|(since, _)| *since).map(|(_, other)| *other),
        }
    }

    /// Remembers a payment for as long as others may be like it. What is recalled may be older than what is known.
    pub(super) fn see(&mut self, subject: Subject, payment: PaymentId, at: Timestamp) {
        if self.window_ms == 0 {
            return;
        }
        let now = at.unix_ms();
        let place = self.latest.partition_point(|(since, ..)| *since <= now);
        self.latest.insert(place, (now, subject, payment));
        let seen = self.seen.entry(subject).or_default();
        let place = seen.partition_point(|(since, _)| *since <= now);
        seen.insert(place, (now, payment));
        if seen.len() > TWINS_KEPT {
            seen.pop_front();
        }
        let newest = self.latest.back().map_or(now, |(since, ..)| *since);
        while let Some((since, subject, payment)) = self.latest.front().copied() {
            if self.latest.len() <= self.subjects_max && since.saturating_add(self.window_ms) > newest {
                break;
            }
            self.latest.pop_front();
            self.unsee(subject, payment);
        }
    }

    /// A payment that came to nothing is no other one's twin.
    fn unsee(&mut self, subject: Subject, payment: PaymentId) {
        if let Some(seen) = self.seen.get_mut(&subject) {
            seen.retain(|(_, other)| *other != payment);
            if seen.is_empty() {
                self.seen.remove(&subject);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use florin_domain::risk::CardBar;

    const WINDOW_MS: u64 = 600_000;

    fn cards(risk_subjects_max: usize) -> Cards {
        Cards::of(&Options {
            risk_subjects_max,
            ..Options::default()
        })
    }

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_unix_ms(1_700_000_000_000 + ms)
    }

    fn question(card: u64, payment: u128, ms: u64) -> CardQuestion {
        CardQuestion {
            subject: Subject(card),
            payment: PaymentId::from_bits(payment),
            brand: CardBrand::Visa,
            at: at(ms),
            is_new: true,
            declined: None,
        }
    }

    fn twins(cards: &mut Cards, card: u64, payment: u128, ms: u64) -> (u32, Option<u128>) {
        let twins = cards.ask(&question(card, payment, ms)).1;
        (twins.count, twins.latest.map(PaymentId::bits))
    }

    #[test]
    fn payments_of_one_card_and_amount_are_twins_within_the_window_and_not_after_it() {
        let mut cards = cards(100);
        assert_eq!(twins(&mut cards, 1, 1, 0), (0, None));
        assert_eq!(twins(&mut cards, 1, 2, 5), (1, Some(1)));
        assert_eq!(
            twins(&mut cards, 2, 3, 6),
            (0, None),
            "another card, or another amount"
        );
        assert_eq!(twins(&mut cards, 1, 4, WINDOW_MS - 1), (2, Some(2)));
        assert_eq!(twins(&mut cards, 1, 5, WINDOW_MS + 5), (1, Some(4)));
        assert_eq!(twins(&mut cards, 1, 6, 3 * WINDOW_MS), (0, None));
        assert_eq!(
            (cards.latest.len(), cards.seen.len()),
            (1, 1),
            "what is over is forgotten"
        );
    }

    #[test]
    fn of_many_twins_the_latest_are_enough() {
        let mut cards = cards(1000);
        for payment in 0..100_u128 {
            let expected = u32::try_from(payment).unwrap().min(16);
            let latest = payment.checked_sub(1);
            assert_eq!(
                twins(&mut cards, 1, payment, u64::try_from(payment).unwrap()),
                (expected, latest)
            );
        }
    }

    #[test]
    fn what_was_declined_or_never_sent_is_nobodys_twin() {
        let mut cards = cards(100);
        for (payment, end) in [
            (1, CardEnd::Declined { is_final: false }),
            (2, CardEnd::Uncharged),
        ] {
            assert_eq!(twins(&mut cards, 1, payment, 0), (0, None));
            cards.ended(Subject(1), PaymentId::from_bits(payment), at(1), end);
        }
        assert_eq!(twins(&mut cards, 1, 3, 2), (0, None));
        cards.ended(Subject(1), PaymentId::from_bits(3), at(1), CardEnd::Ended);
        assert_eq!(twins(&mut cards, 1, 4, 2), (1, Some(3)));
    }

    #[test]
    fn a_card_is_barred_after_its_repetitions_wherever_the_declines_came_from() {
        let mut cards = cards(100);
        assert_eq!(cards.ask(&question(1, 0, 0)).0, CardStanding::Fresh);
        for number in 0..15 {
            let payment = PaymentId::from_bits(number);
            cards.ended(Subject(1), payment, at(1), CardEnd::Declined { is_final: false });
            assert_eq!(cards.ask(&question(1, number + 1, 2)).0, CardStanding::Repeats);
        }
        // The last one goes on elsewhere: its own decline counts, and it is a repetition that is left for nobody.
        let next = CardQuestion {
            declined: Some(false),
            is_new: false,
            ..question(1, 15, 3)
        };
        assert_eq!(cards.ask(&next).0, CardStanding::Barred(CardBar::Month));
        assert_eq!(cards.ask(&question(2, 16, 3)).0, CardStanding::Fresh);
        cards.declined(Subject(2), at(3), true);
        assert_eq!(
            cards.ask(&question(2, 16, 3)).0,
            CardStanding::Barred(CardBar::Final)
        );
    }

    #[test]
    fn both_memories_are_bounded_and_successes_displace_no_decline() {
        let mut cards = cards(10);
        cards.declined(Subject(1), at(0), true);
        for payment in 0..1000 {
            cards.ask(&question(1_000 + u64::try_from(payment).unwrap(), payment, 1));
        }
        assert_eq!((cards.latest.len(), cards.seen.len()), (10, 10));
        assert_eq!(
            cards.ask(&question(1, 1, 2)).0,
            CardStanding::Barred(CardBar::Final)
        );
        for card in 0..1000 {
            for ms in 0..9 {
                cards.declined(Subject(card), at(ms), false);
            }
            assert!(cards.order.len() <= 10 && cards.declined.len() == cards.order.len());
            assert!(cards.held <= 10 * DECLINES_PER_CARD);
        }
    }
}
