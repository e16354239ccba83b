//! What one velocity shard remembers: payments and declines of customers, devices and addresses, and apart from them transfers between
//! shards, each with a budget of its own. So however much the platform moves between its accounts, no customer is forgotten for it; nor
//! for the customers that another merchant has, or invents (`risk/shares.rs`).

use super::cards::{CardQuestion, Cards};
use super::declines::Book;
use super::record::{Bounds, Record};
use super::shares::{Remembered, Shares};
use super::{Payer, Recalled, TransferCount, Velocity, What};
use crate::options::Options;
use florin_domain::money::{Amount, Currency};
use florin_domain::risk::VelocityLimits;
use florin_domain::time::Timestamp;

impl Remembered for Record {
    fn held(&self) -> usize {
        self.len()
    }
}

/// All that is counted in one velocity shard.
#[derive(Debug)]
pub(super) struct Counters {
    limits: VelocityLimits,
    bounds: Bounds,
    payments: Shares<Book, Record>,
    /// Accounts are the platform's.
    transfer_bounds: Bounds,
    transfers: Shares<(), Record>,
    pub(super) cards: Cards,
}

impl Counters {
    pub(super) fn of(options: &Options) -> Self {
        let subjects_max = options.risk_subjects_max;
        Self {
            limits: options.velocity.clone(),
            bounds: Bounds::of_payments(options),
            payments: Shares::new(subjects_max),
            transfer_bounds: Bounds::of_transfers(options),
            transfers: Shares::new(subjects_max),
            cards: Cards::of(options),
        }
    }

    pub(super) fn paid(&mut self, payer: Payer, at: Timestamp) -> Velocity {
        let bounds = self.bounds;
        let counted = self.payments.with(payer.place(), at, |record| {
            record.paid(at, &bounds);
            record.velocity(at)
        });
        counted.unwrap_or_default()
    }

    /// A new payment with its amount.
    pub(super) fn began(&mut self, payer: Payer, at: Timestamp, asked: (Currency, Amount)) -> Velocity {
        let (limits, bounds) = (&self.limits, self.bounds);
        let counted = self.payments.with(payer.place(), at, |record| {
            record.paid(at, &bounds);
            let day_amount_minor = record.asked(at, asked, limits);
            Velocity {
                day_amount_minor,
                ..record.velocity(at)
            }
        });
        counted.unwrap_or_default()
    }

    /// A payment's address; what was counted before is answered with it.
    pub(super) fn address(&mut self, payer: Payer, at: Timestamp, counted: Velocity) -> Velocity {
        Velocity {
            ip_hour_count: Some(self.paid(payer, at).hour_count),
            ..counted
        }
    }

    /// What is known of a payment's card, with what was counted before.
    pub(super) fn card(&mut self, question: &CardQuestion, counted: Velocity) -> Velocity {
        let (card, twins) = self.cards.ask(question);
        Velocity {
            twins: twins.count,
            twin: twins.latest,
            card,
            ..counted
        }
    }

    pub(super) fn declined(&mut self, payer: Payer, at: Timestamp) {
        let bounds = self.bounds;
        self.payments
            .with(payer.place(), at, |record| record.declined(at, &bounds));
    }

    /// Counts transfers, and says how many there were within the hour before them.
    pub(super) fn transfers(
        &mut self,
        TransferCount { subject, times }: TransferCount,
        at: Timestamp,
    ) -> u32 {
        if times == 0 {
            // Whoever only asks makes nobody known.
            let known = self.transfers.get((), subject);
            return known.map_or(0, |record| record.velocity(at).hour_count);
        }
        let bounds = self.transfer_bounds;
        let before = self.transfers.with(((), subject), at, |record| {
            let before = record.velocity(at).hour_count;
            (0..times).for_each(|_| record.paid(at, &bounds));
            before
        });
        before.unwrap_or_default()
    }

    pub(super) fn recall_all(&mut self, all: &[Recalled]) {
        let are_seen = all
            .iter()
            .filter(|recalled| matches!(recalled.what, What::Seen(_)));
        self.cards.expect(are_seen.count());
        for recalled in all {
            self.recall(recalled);
        }
    }

    fn recall(&mut self, recalled: &Recalled) {
        let Recalled { subject, at, what } = *recalled;
        match what {
            What::Declined(book) => self.declined(Payer { book, subject }, at),
            What::Paid { book, asked } => {
                let bounds = self.bounds;
                self.payments.with((book, subject), at, |record| {
                    record.paid(at, &bounds);
                    if let Some((currency, amount)) = asked {
                        record.remember(at, currency, amount);
                    }
                });
            }
            What::Transferred => {
                self.transfers(TransferCount { subject, times: 1 }, at);
            }
            What::Seen(payment) => self.cards.recall(subject, payment, at),
            What::CardDeclined { book, is_final } => {
                self.cards.declines.declined((book, subject), at, is_final);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::Subject;
    use crate::risk::shares::HELD_PER_SUBJECT;
    use florin_domain::ids::MerchantId;
    use florin_domain::risk::TransferLimits;

    const SUBJECTS_MAX: usize = 100;
    const LIMIT: u32 = 99;

    fn options(hour_count_max: u32) -> Options {
        Options {
            risk_subjects_max: SUBJECTS_MAX,
            transfer_limits: TransferLimits {
                hour_count_max: Some(hour_count_max),
            },
            ..Options::default()
        }
    }

    fn counters() -> Counters {
        let options = options(LIMIT);
        options.check().unwrap();
        Counters::of(&options)
    }

    #[test]
    fn a_limit_that_could_not_be_counted_is_refused() {
        let refused = options(LIMIT + 1).check().unwrap_err();
        assert_eq!(
            refused.to_string(),
            "`risk.transfers.hour_count_max` must be at most 99, or it could not be counted for enough accounts"
        );
    }

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_unix_ms(1_700_000_000_000 + ms)
    }

    const fn payer(merchant: u128, subject: u64) -> Payer {
        Payer {
            book: Book {
                merchant: MerchantId::from_bits(merchant),
                livemode: true,
            },
            subject: Subject(subject),
        }
    }

    fn transfers(counters: &mut Counters, account: u64, times: u32) -> u32 {
        let subject = Subject(account);
        counters.transfers(TransferCount { subject, times }, at(1))
    }

    #[test]
    fn no_account_however_busy_displaces_a_customer() {
        let mut counters = counters();
        let customers = || (0..50).map(|customer| payer(1, customer));
        for customer in customers() {
            assert_eq!(counters.paid(customer, at(0)).hour_count, 1);
        }
        for account in 1_000..1_500 {
            transfers(&mut counters, account, 200);
        }
        for customer in customers() {
            assert_eq!(counters.paid(customer, at(1)).hour_count, 2, "{customer:?}");
        }
        // Nor does a customer displace an account: 1,499 was the last one seen.
        assert_eq!(transfers(&mut counters, 1_499, 0), LIMIT + 1);
        for customer in 0..1_000 {
            counters.paid(payer(1, 5_000 + customer), at(2));
        }
        assert_eq!(transfers(&mut counters, 1_499, 0), LIMIT + 1);
    }

    #[test]
    fn as_many_accounts_as_are_promised_are_counted_up_to_the_limit_and_no_more_of_each() {
        let mut counters = counters();
        for account in 0..8 {
            assert_eq!(transfers(&mut counters, account, LIMIT), 0);
        }
        for account in 0..8 {
            assert_eq!(transfers(&mut counters, account, 3), LIMIT);
        }
        for account in 0..8 {
            assert_eq!(
                transfers(&mut counters, account, 0),
                LIMIT + 1,
                "one more says it all"
            );
        }
        assert_eq!(counters.transfers.held(), SUBJECTS_MAX * HELD_PER_SUBJECT);
        for account in 100..200 {
            assert_eq!(transfers(&mut counters, account, 0), 0, "who only asks");
        }
        assert_eq!(transfers(&mut counters, 0, 0), LIMIT + 1, "displaces nobody");
    }

    #[test]
    fn what_the_journal_tells_of_transfers_counts_with_transfers_alone() {
        let mut counters = counters();
        let (subject, what) = (Subject(7), What::Transferred);
        for _ in 0..3 {
            counters.recall(&Recalled {
                subject,
                at: at(0),
                what,
            });
        }
        assert_eq!(transfers(&mut counters, 7, 0), 3);
        assert_eq!(counters.paid(payer(1, 7), at(1)).hour_count, 1);
    }

    #[test]
    fn a_merchant_that_invents_customers_displaces_nobody_elses() {
        let mut counters = counters();
        for customer in 0..40 {
            counters.declined(payer(1, customer), at(customer));
        }
        for customer in 0..10_000 {
            counters.paid(payer(2, 1_000 + customer), at(1_000 + customer));
        }
        counters.payments.check();
        for customer in 0..40 {
            let known = counters.paid(payer(1, customer), at(20_000));
            assert_eq!(known.hour_declines, 1, "{customer}");
        }
        // It has displaced its own: the oldest, and not the newest.
        assert_eq!(counters.paid(payer(2, 10_999), at(20_000)).hour_count, 2);
        assert_eq!(counters.paid(payer(2, 1_000), at(20_000)).hour_count, 1);
        // Nor does one that pays all day with a few.
        for round in 0..LIMIT.into() {
            for customer in 0..60 {
                counters.paid(payer(3, 50_000 + customer), at(20_000 + round));
            }
        }
        counters.payments.check();
        let known = (0..40).filter(|customer| {
            let known = counters
                .payments
                .get(payer(1, *customer).book, Subject(*customer));
            known.is_some_and(|record| record.velocity(at(30_000)).hour_declines == 1)
        });
        let known = known.count();
        assert!(
            known >= 30,
            "a third of the memory is left to each of three: {known}"
        );
    }

    #[test]
    fn what_is_read_back_newest_first_leaves_the_newest() {
        let mut counters = counters();
        let last = 3 * u64::try_from(SUBJECTS_MAX).unwrap();
        for customer in (0..last).rev() {
            for what in [
                What::Declined(payer(1, 0).book),
                What::Paid {
                    book: payer(1, 0).book,
                    asked: None,
                },
            ] {
                let subject = Subject(customer);
                counters.recall(&Recalled {
                    subject,
                    at: at(customer),
                    what,
                });
            }
        }
        counters.payments.check();
        let known = (0..last).filter(|customer| {
            let known = counters.payments.get(payer(1, 0).book, Subject(*customer));
            known.is_some_and(|record| record.velocity(at(last)).hour_declines == 1)
        });
        let newest = last - u64::try_from(SUBJECTS_MAX).unwrap();
        assert_eq!(known.collect::<Vec<_>>(), (newest..last).collect::<Vec<_>>());
    }
}
