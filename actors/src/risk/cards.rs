//! What one velocity shard remembers of cards: those that were declined, so that no network's limit on repetitions is passed; and the
//! payments of the last minutes, so that one that is like another under another key is noticed (IDEM-11).
//!
//! A card is one for a merchant, a mode and an amount; all that is asked about one comes to the shard that has it, one by one, so the
//! counts are exact. Both memories are bounded apart: however many payments succeed, no decline is forgotten for them
//! (`risk/declines.rs`).

use super::Subject;
use super::declines::{Book, Declines};
use crate::options::Options;
use florin_domain::ids::PaymentId;
use florin_domain::method::{CardBrand, PaymentMethod};
use florin_domain::payment::Spec;
use florin_domain::risk::CardStanding;
use florin_domain::time::Timestamp;
use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;

/// Payments like one another that are remembered: whoever sees so many needs no exact count.
const TWINS_KEPT: usize = 16;

/// A payment's card, with the amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Card {
    /// What is asked about it comes to one shard.
    pub subject: Subject,
    /// Where its declines are counted; nowhere if it is nobody's card.
    pub book: Option<Book>,
}

impl Card {
    /// Of a payment. A test method is everybody's, so it is another card for each customer (else device), and nobody's without one.
    pub fn of(spec: &Spec, method: &PaymentMethod) -> Self {
        let holder = spec.customer.as_deref().or(spec.device.fingerprint.as_deref());
        let is_somebodys = holder.is_some() || !method.is_test();
        let holder = holder.filter(|_| method.is_test()).unwrap_or_default();
        let (amount_minor, currency) = (spec.amount.minor(), spec.currency);
        // A card that was saved twice is one card.
        let named = |card: &dyn fmt::Display| {
            Subject::digest_of(spec, 3, format_args!("{card} {amount_minor} {currency} {holder}"))
        };
        let subject = match &method.stored {
            Some(stored) => named(&stored.fingerprint_text()),
            None => named(&method.id),
        };
        Self {
            subject,
            book: is_somebodys.then(|| Book::of(spec)),
        }
    }

    pub(super) fn counted(self) -> Option<(Book, Subject)> {
        Some((self.book?, self.subject))
    }
}

/// Whether a payment's card may be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CardQuestion {
    /// Which.
    pub card: Card,
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
    pub(super) declines: Declines,
    window_ms: u64,
    subjects_max: usize,
    seen: HashMap<Subject, VecDeque<(u64, PaymentId)>>,
    /// Those, in the order of time.
    latest: VecDeque<(u64, Subject, PaymentId)>,
    /// Payments that came to nothing while they were not known here, from the oldest on: what the journal tells of one of them later is
    /// older than its end.
    gone: VecDeque<(u64, PaymentId)>,
    gone_ids: HashSet<PaymentId>,
}

/// What is known of payments like a new one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Twins {
    pub(super) count: u32,
    pub(super) latest: Option<PaymentId>,
}

impl Cards {
    pub(super) fn of(options: &Options) -> Self {
        let subjects_max = options.risk_subjects_max.max(1);
        Self {
            declines: Declines::new(options.card_limits, subjects_max),
            window_ms: options.velocity.duplicates.window.0,
            subjects_max,
            seen: HashMap::new(),
            latest: VecDeque::new(),
            gone: VecDeque::new(),
            gone_ids: HashSet::new(),
        }
    }

    /// Whether the card may be tried, and which payments this one is like.
    pub(super) fn ask(&mut self, question: &CardQuestion) -> (CardStanding, Twins) {
        let CardQuestion {
            card,
            payment,
            brand,
            at,
            ..
        } = *question;
        let twins = if question.is_new {
            let twins = self.twins(card.subject, payment, at);
            self.see(card.subject, payment, at);
            twins
        } else {
            Twins::default()
        };
        let Some(card) = card.counted() else {
            return (CardStanding::Fresh, twins);
        };
        if let Some(is_final) = question.declined {
            self.declines.declined(card, at, is_final);
        }
        (self.declines.ask(card, payment, brand, at), twins)
    }

    pub(super) fn ended(&mut self, card: Card, payment: PaymentId, at: Timestamp, end: CardEnd) {
        let subject = card.subject;
        let card = card.counted();
        if let Some(card) = card {
            self.declines.ended(card, payment);
        }
        match end {
            CardEnd::Declined { is_final } => {
                if let Some(card) = card {
                    self.declines.declined(card, at, is_final);
                }
                self.came_to_nothing(subject, payment, at);
            }
            CardEnd::Uncharged => self.came_to_nothing(subject, payment, at),
            CardEnd::Ended => {}
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

    /// So many payments are about to be told of by the journal.
    pub(super) fn expect(&mut self, payments: usize) {
        let room = self.subjects_max.saturating_sub(self.latest.len());
        self.latest.reserve(payments.min(room));
        self.seen.reserve(payments.min(room));
    }

    /// What the journal tells of a payment, behind what was heard of it since.
    pub(super) fn recall(&mut self, subject: Subject, payment: PaymentId, at: Timestamp) {
        if !self.gone_ids.contains(&payment) {
            self.see(subject, payment, at);
        }
    }

    /// A payment that came to nothing is no other one's twin.
    fn came_to_nothing(&mut self, subject: Subject, payment: PaymentId, at: Timestamp) {
        if self.unsee(subject, payment) || self.window_ms == 0 || !self.gone_ids.insert(payment) {
            return;
        }
        let now = at.unix_ms();
        self.gone.push_back((now, payment));
        while let Some((since, payment)) = self.gone.front().copied() {
            // It was asked for before its end: what is told later than that is no twin any more.
            if self.gone.len() <= self.subjects_max && since.saturating_add(self.window_ms) > now {
                break;
            }
            self.gone.pop_front();
            self.gone_ids.remove(&payment);
        }
    }

    /// Whether it was known.
    fn unsee(&mut self, subject: Subject, payment: PaymentId) -> bool {
        let Some(seen) = self.seen.get_mut(&subject) else {
            return false;
        };
        let before = seen.len();
        seen.retain(|(_, other)| *other != payment);
        let was_known = seen.len() < before;
        if seen.is_empty() {
            self.seen.remove(&subject);
        }
        was_known
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use florin_domain::ids::MerchantId;
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

    const BOOK: Book = Book {
        merchant: MerchantId::from_bits(1),
        livemode: false,
    };

    const fn card(subject: u64) -> Card {
        Card {
            subject: Subject(subject),
            book: Some(BOOK),
        }
    }

    fn question(subject: u64, payment: u128, ms: u64) -> CardQuestion {
        CardQuestion {
            card: card(subject),
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
            cards.ended(card(1), PaymentId::from_bits(payment), at(1), end);
        }
        assert_eq!(twins(&mut cards, 1, 3, 2), (0, None));
        cards.ended(card(1), PaymentId::from_bits(3), at(1), CardEnd::Ended);
        assert_eq!(twins(&mut cards, 1, 4, 2), (1, Some(3)));
    }

    #[test]
    fn what_came_to_nothing_while_the_journal_was_read_back_is_nobodys_twin_either() {
        for end in [CardEnd::Declined { is_final: false }, CardEnd::Uncharged] {
            let mut cards = cards(10);
            // Its end is heard before what the journal tells of its beginning.
            cards.ended(card(1), PaymentId::from_bits(1), at(5), end);
            cards.recall(Subject(1), PaymentId::from_bits(1), at(0));
            cards.recall(Subject(1), PaymentId::from_bits(2), at(1));
            assert_eq!(twins(&mut cards, 1, 3, 6), (1, Some(2)));
            // However many there are, no more are remembered than may be known.
            for number in 100..200 {
                cards.ended(card(1), PaymentId::from_bits(number), at(7), end);
            }
            assert_eq!((cards.gone.len(), cards.gone_ids.len()), (10, 10));
            cards.ended(card(1), PaymentId::from_bits(300), at(8 + WINDOW_MS), end);
            assert_eq!((cards.gone.len(), cards.gone_ids.len()), (1, 1));
        }
    }

    #[test]
    fn a_card_is_barred_after_its_repetitions_wherever_the_declines_came_from() {
        let mut cards = cards(100);
        assert_eq!(cards.ask(&question(1, 0, 0)).0, CardStanding::Fresh);
        for number in 0..15 {
            let payment = PaymentId::from_bits(number);
            cards.ended(card(1), payment, at(1), CardEnd::Declined { is_final: false });
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
        cards.declines.declined((BOOK, Subject(2)), at(3), true);
        assert_eq!(
            cards.ask(&question(2, 16, 3)).0,
            CardStanding::Barred(CardBar::Final)
        );
    }

    #[test]
    fn successes_are_bounded_and_displace_no_decline() {
        let mut cards = cards(10);
        cards.declines.declined((BOOK, Subject(1)), at(0), true);
        for payment in 0..1000 {
            cards.ask(&question(1_000 + u64::try_from(payment).unwrap(), payment, 1));
        }
        assert_eq!((cards.latest.len(), cards.seen.len()), (10, 10));
        assert_eq!(
            cards.ask(&question(1, 1, 2)).0,
            CardStanding::Barred(CardBar::Final)
        );
    }

    #[test]
    fn nobodys_card_has_twins_and_no_count() {
        let mut cards = cards(10);
        let card = Card {
            book: None,
            ..card(1)
        };
        for payment in 0..100 {
            let question = CardQuestion {
                card,
                ..question(1, payment, 1)
            };
            let (standing, twins) = cards.ask(&question);
            assert_eq!((standing, twins.count), (CardStanding::Fresh, 0));
            let declined = CardEnd::Declined { is_final: true };
            cards.ended(card, PaymentId::from_bits(payment), at(1), declined);
        }
        assert_eq!(twins(&mut cards, 1, 100, 2), (0, None));
        assert_eq!(twins(&mut cards, 1, 101, 2), (1, Some(100)));
    }
}
