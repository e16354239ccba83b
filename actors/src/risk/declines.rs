//! The declines of cards that one velocity shard remembers, so that no network's limit on repetitions is passed. Live cards are
//! remembered apart from test cards, and when there is too much, whoever has most gives way first with what was declined longest ago: a
//! merchant that declines all day loses its own memories, not those of others.

use florin_domain::ids::{MerchantId, PaymentId};
use florin_domain::method::CardBrand;
use florin_domain::risk::{CardLimits, CardRecord, CardStanding};
use florin_domain::time::Timestamp;
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use super::Subject;

/// What is remembered for each card that may be known, on average.
const DECLINES_PER_CARD: usize = 8;

/// In whose book the declines of a card are: cards of one merchant in one mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Book {
    /// Whose.
    pub merchant: MerchantId,
    /// In which mode.
    pub livemode: bool,
}

/// Both modes, each with a budget of its own.
#[derive(Debug)]
pub(super) struct Declines {
    limits: CardLimits,
    live: Memory,
    test: Memory,
}

impl Declines {
    pub(super) fn new(limits: CardLimits, cards_max: usize) -> Self {
        Self {
            limits,
            live: Memory::new(cards_max),
            test: Memory::new(cards_max),
        }
    }

    const fn memory(&mut self, book: Book) -> &mut Memory {
        if book.livemode {
            &mut self.live
        } else {
            &mut self.test
        }
    }

    /// Whether a card may be tried now. Who was never declined is not remembered.
    pub(super) fn ask(
        &mut self,
        (book, subject): (Book, Subject),
        payment: PaymentId,
        brand: CardBrand,
        at: Timestamp,
    ) -> CardStanding {
        let limits = self.limits;
        self.memory(book)
            .known(book.merchant, subject, |record| {
                record.ask(payment, brand, &limits, at)
            })
            .unwrap_or_default()
    }

    /// What a payment tried has ended, however it did.
    pub(super) fn ended(&mut self, (book, subject): (Book, Subject), payment: PaymentId) {
        self.memory(book)
            .known(book.merchant, subject, |record| record.ended(payment));
    }

    /// Counts a decline. In which order they are told makes no difference: after a start the newest come first.
    pub(super) fn declined(&mut self, (book, subject): (Book, Subject), at: Timestamp, is_final: bool) {
        let kept = self.limits.declines_kept();
        self.memory(book)
            .declined((book.merchant, subject), at, is_final, kept);
    }
}

/// What is remembered of one card.
#[derive(Debug, Default)]
struct Entry {
    /// When it was declined last, in milliseconds: its place in the order.
    latest_ms: u64,
    record: CardRecord,
}

/// One merchant's.
#[derive(Debug, Default)]
struct Share {
    cards: HashMap<Subject, Entry>,
    /// Those, in the order last declined.
    order: BTreeSet<(u64, Subject)>,
    /// What all records hold together.
    held: usize,
}

impl Share {
    /// How much of the memory it has, as what each bound allows counts; the same for two, then since when.
    fn rank(&self, merchant: MerchantId) -> (usize, Reverse<u64>, MerchantId) {
        let load = self.held.max(self.cards.len().saturating_mul(DECLINES_PER_CARD));
        let oldest = self.order.first().map_or(0, |(latest_ms, _)| *latest_ms);
        (load, Reverse(oldest), merchant)
    }
}

/// One mode's.
#[derive(Debug)]
struct Memory {
    cards_max: usize,
    shares: HashMap<MerchantId, Share>,
    /// Whoever has most is last.
    ranks: BTreeSet<(usize, Reverse<u64>, MerchantId)>,
    cards: usize,
    held: usize,
}

impl Memory {
    fn new(cards_max: usize) -> Self {
        Self {
            cards_max: cards_max.max(1),
            shares: HashMap::new(),
            ranks: BTreeSet::new(),
            cards: 0,
            held: 0,
        }
    }

    /// Changes the record of a card that is remembered.
    fn known<T>(
        &mut self,
        merchant: MerchantId,
        subject: Subject,
        change: impl FnOnce(&mut CardRecord) -> T,
    ) -> Option<T> {
        self.change(merchant, |share| {
            let entry = share.cards.get_mut(&subject)?;
            let before = entry.record.len();
            let changed = change(&mut entry.record);
            share.held = (share.held + entry.record.len()).saturating_sub(before);
            Some(changed)
        })
    }

    fn declined(
        &mut self,
        (merchant, subject): (MerchantId, Subject),
        at: Timestamp,
        is_final: bool,
        kept: usize,
    ) {
        self.shares.entry(merchant).or_default();
        self.change(merchant, |share| {
            let entry = share.cards.entry(subject).or_default();
            let before = entry.record.len();
            entry.record.declined(at, is_final, kept);
            share.order.remove(&(entry.latest_ms, subject));
            entry.latest_ms = entry.latest_ms.max(at.unix_ms());
            share.order.insert((entry.latest_ms, subject));
            share.held = (share.held + entry.record.len()).saturating_sub(before);
            Some(())
        });
    }

    /// Changes what a merchant has, then forgets while there is too much.
    fn change<T>(&mut self, merchant: MerchantId, change: impl FnOnce(&mut Share) -> Option<T>) -> Option<T> {
        let share = self.shares.get_mut(&merchant)?;
        self.ranks.remove(&share.rank(merchant));
        let (cards, held) = (share.cards.len(), share.held);
        let changed = change(share);
        self.cards = (self.cards + share.cards.len()).saturating_sub(cards);
        self.held = (self.held + share.held).saturating_sub(held);
        self.ranks.insert(share.rank(merchant));
        let held_max = self.cards_max.saturating_mul(DECLINES_PER_CARD);
        while self.cards > self.cards_max || (self.held > held_max && self.cards > 1) {
            if !self.forgets_one() {
                break;
            }
        }
        changed
    }

    /// Forgets the card that was declined longest ago of whoever has most.
    fn forgets_one(&mut self) -> bool {
        let Some((.., merchant)) = self.ranks.pop_last() else {
            return false;
        };
        let Some(share) = self.shares.get_mut(&merchant) else {
            return false;
        };
        let oldest = share.order.pop_first();
        let forgotten = oldest.and_then(|(_, subject)| share.cards.remove(&subject));
        if let Some(forgotten) = forgotten {
            let held = forgotten.record.len();
            share.held = share.held.saturating_sub(held);
            self.held = self.held.saturating_sub(held);
            self.cards = self.cards.saturating_sub(1);
        }
        if share.cards.is_empty() {
            self.shares.remove(&merchant);
        } else {
            self.ranks.insert(share.rank(merchant));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use florin_domain::risk::CardBar;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_unix_ms(1_700_000_000_000 + ms)
    }

    const fn card(merchant: u128, livemode: bool, subject: u64) -> (Book, Subject) {
        let merchant = MerchantId::from_bits(merchant);
        (Book { merchant, livemode }, Subject(subject))
    }

    fn is_known(declines: &mut Declines, card: (Book, Subject)) -> bool {
        let standing = declines.ask(card, PaymentId::from_bits(1), CardBrand::Visa, at(1_000_000));
        standing == CardStanding::Barred(CardBar::Final)
    }

    fn check(memory: &Memory) {
        assert_eq!(memory.shares.len(), memory.ranks.len());
        let (mut cards, mut held) = (0, 0);
        for (merchant, share) in &memory.shares {
            assert!(memory.ranks.contains(&share.rank(*merchant)));
            assert_eq!(share.order.len(), share.cards.len());
            assert_eq!(
                share.held,
                share.cards.values().map(|card| card.record.len()).sum::<usize>()
            );
            cards += share.cards.len();
            held += share.held;
        }
        assert_eq!((memory.cards, memory.held), (cards, held));
        assert!(cards <= memory.cards_max && (cards <= 1 || held <= memory.cards_max * DECLINES_PER_CARD));
    }

    #[test]
    fn a_merchant_that_declines_all_day_displaces_nobody_elses_cards() {
        let mut declines = Declines::new(CardLimits::default(), 100);
        for subject in 0..40 {
            declines.declined(card(1, true, subject), at(subject), true);
        }
        for subject in 0..10_000 {
            declines.declined(card(2, true, 1_000 + subject), at(1_000 + subject), true);
            if subject % 500 == 0 {
                check(&declines.live);
            }
        }
        for subject in 0..40 {
            assert!(is_known(&mut declines, card(1, true, subject)), "{subject}");
        }
        assert!(is_known(&mut declines, card(2, true, 10_999)), "its own newest");
        assert!(
            !is_known(&mut declines, card(2, true, 1_000)),
            "and not its own oldest"
        );
        // Nor does it by declining a few cards over and over.
        for round in 0..40 {
            for subject in 0..60 {
                declines.declined(card(3, true, 20_000 + subject), at(20_000 + round), false);
            }
        }
        check(&declines.live);
        let known = (0..40).filter(|subject| is_known(&mut declines, card(1, true, *subject)));
        let known = known.count();
        assert!(
            known >= 32,
            "a third of the memory is left to each of three: {known}"
        );
    }

    #[test]
    fn test_cards_displace_no_live_ones() {
        let mut declines = Declines::new(CardLimits::default(), 10);
        declines.declined(card(1, true, 1), at(0), true);
        for subject in 0..1_000 {
            declines.declined(card(1, false, 10 + subject), at(1 + subject), true);
        }
        assert!(is_known(&mut declines, card(1, true, 1)));
        assert!(!is_known(&mut declines, card(1, false, 1)));
        check(&declines.live);
        check(&declines.test);
    }

    #[test]
    fn what_is_read_back_newest_first_leaves_the_newest() {
        let mut declines = Declines::new(CardLimits::default(), 10);
        for subject in (0..100).rev() {
            declines.declined(card(1, true, subject), at(subject), true);
        }
        let known: Vec<u64> = (0..100)
            .filter(|subject| is_known(&mut declines, card(1, true, *subject)))
            .collect();
        assert_eq!(known, (90..100).collect::<Vec<_>>());
        // An older decline of a card that is known makes it no older.
        declines.declined(card(1, true, 95), at(0), false);
        declines.declined(card(1, true, 200), at(200), true);
        assert!(is_known(&mut declines, card(1, true, 95)));
        assert!(!is_known(&mut declines, card(1, true, 90)));
    }

    #[test]
    fn of_merchants_with_as_much_the_one_whose_card_is_oldest_gives_way() {
        let mut declines = Declines::new(CardLimits::default(), 10);
        for merchant in 0..1_000_u64 {
            declines.declined(card(u128::from(merchant), true, merchant), at(merchant), true);
        }
        let known = (0..1_000_u64)
            .filter(|merchant| is_known(&mut declines, card(u128::from(*merchant), true, *merchant)));
        assert_eq!(known.collect::<Vec<_>>(), (990..1_000).collect::<Vec<_>>());
        check(&declines.live);
    }
}
