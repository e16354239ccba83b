//! The declines of cards that one velocity shard remembers, so that no network's limit on repetitions is passed. Live cards are
//! remembered apart from test cards, and a merchant that declines all day loses its own memories, not those of others (`risk/shares.rs`).

use florin_domain::ids::{MerchantId, PaymentId};
use florin_domain::method::CardBrand;
use florin_domain::payment::Spec;
use florin_domain::risk::{CardLimits, CardRecord, CardStanding};
use florin_domain::time::Timestamp;

use super::Subject;
use super::shares::{Remembered, Shares};

/// In whose book something is counted: that of one merchant in one mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Book {
    /// Whose.
    pub merchant: MerchantId,
    /// In which mode.
    pub livemode: bool,
}

impl Book {
    /// Of a payment.
    pub fn of(spec: &Spec) -> Self {
        Self {
            merchant: spec.merchant,
            livemode: spec.livemode,
        }
    }
}

/// Both modes, each with a budget of its own.
#[derive(Debug)]
pub(super) struct Declines {
    limits: CardLimits,
    live: Shares<MerchantId, CardRecord>,
    test: Shares<MerchantId, CardRecord>,
}

impl Declines {
    pub(super) fn new(limits: CardLimits, cards_max: usize) -> Self {
        Self {
            limits,
            live: Shares::new(cards_max),
            test: Shares::new(cards_max),
        }
    }

    const fn memory(&mut self, book: Book) -> &mut Shares<MerchantId, CardRecord> {
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
            .known((book.merchant, subject), |record| {
                record.ask(payment, brand, &limits, at)
            })
            .unwrap_or_default()
    }

    /// What a payment tried has ended, however it did.
    pub(super) fn ended(&mut self, (book, subject): (Book, Subject), payment: PaymentId) {
        self.memory(book)
            .known((book.merchant, subject), |record| record.ended(payment));
    }

    /// Counts a decline. In which order they are told makes no difference: after a start the newest come first.
    pub(super) fn declined(&mut self, (book, subject): (Book, Subject), at: Timestamp, is_final: bool) {
        let kept = self.limits.declines_kept();
        self.memory(book).with((book.merchant, subject), at, |record| {
            record.declined(at, is_final, kept);
        });
    }
}

impl Remembered for CardRecord {
    fn held(&self) -> usize {
        self.len()
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

    #[test]
    fn a_merchant_that_declines_all_day_displaces_nobody_elses_cards() {
        let mut declines = Declines::new(CardLimits::default(), 100);
        for subject in 0..40 {
            declines.declined(card(1, true, subject), at(subject), true);
        }
        for subject in 0..10_000 {
            declines.declined(card(2, true, 1_000 + subject), at(1_000 + subject), true);
            if subject % 500 == 0 {
                declines.live.check();
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
        declines.live.check();
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
        declines.live.check();
        declines.test.check();
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
        declines.live.check();
    }
}
