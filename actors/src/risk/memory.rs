//! What one velocity shard remembers: payments and declines of customers, devices and addresses, and apart from them transfers between
//! shards, each with a budget of its own. So however much the platform moves between its accounts, no customer is forgotten for it.

use super::cards::{CardQuestion, Cards};
use super::record::{Bounds, Record};
use super::{Recalled, Subject, TransferCount, Velocity, What};
use crate::options::Options;
use florin_domain::money::{Amount, Currency};
use florin_domain::risk::VelocityLimits;
use florin_domain::time::Timestamp;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};

/// Events that are remembered for each subject that may be known, on average.
const EVENTS_PER_SUBJECT: usize = 8;

/// Records within a budget: the subjects that were seen first leave when there is too much.
#[derive(Debug)]
struct Memory {
    bounds: Bounds,
    subjects_max: usize,
    records: HashMap<Subject, Record>,
    /// In the order first seen.
    order: VecDeque<Subject>,
    /// Events in all records together.
    events: usize,
}

impl Memory {
    fn new(bounds: Bounds, subjects_max: usize) -> Self {
        Self {
            bounds,
            subjects_max: subjects_max.max(1),
            records: HashMap::new(),
            order: VecDeque::new(),
            events: 0,
        }
    }

    /// Changes a subject's record, then forgets the oldest subjects while too much is remembered.
    fn with<T>(&mut self, subject: Subject, change: impl FnOnce(&mut Record, &Bounds) -> T) -> T {
        let record = match self.records.entry(subject) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                self.order.push_back(subject);
                unknown.insert(Record::default())
            }
        };
        let before = record.len();
        let changed = change(record, &self.bounds);
        self.events = (self.events + record.len()).saturating_sub(before);
        let events_max = self.subjects_max.saturating_mul(EVENTS_PER_SUBJECT);
        while self.order.len() > self.subjects_max || (self.events > events_max && self.order.len() > 1) {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            let forgotten = self.records.remove(&oldest);
            self.events = self
                .events
                .saturating_sub(forgotten.map_or(0, |record| record.len()));
        }
        changed
    }
}

/// All that is counted in one velocity shard.
#[derive(Debug)]
pub(super) struct Counters {
    limits: VelocityLimits,
    payments: Memory,
    transfers: Memory,
    pub(super) cards: Cards,
}

impl Counters {
    pub(super) fn of(options: &Options) -> Self {
        let subjects_max = options.risk_subjects_max;
        Self {
            limits: options.velocity.clone(),
            payments: Memory::new(Bounds::of_payments(options), subjects_max),
            transfers: Memory::new(Bounds::of_transfers(options), subjects_max),
            cards: Cards::of(options),
        }
    }

    pub(super) fn paid(&mut self, subject: Subject, at: Timestamp) -> Velocity {
        self.payments.with(subject, |record, bounds| {
            record.paid(at, bounds);
            record.velocity(at)
        })
    }

    /// A new payment with its amount.
    pub(super) fn began(&mut self, subject: Subject, at: Timestamp, asked: (Currency, Amount)) -> Velocity {
        let limits = &self.limits;
        self.payments.with(subject, |record, bounds| {
            record.paid(at, bounds);
            let day_amount_minor = record.asked(at, asked, limits);
            Velocity {
                day_amount_minor,
                ..record.velocity(at)
            }
        })
    }

    /// A payment's address; what was counted before is answered with it.
    pub(super) fn address(&mut self, subject: Subject, at: Timestamp, counted: Velocity) -> Velocity {
        Velocity {
            ip_hour_count: Some(self.paid(subject, at).hour_count),
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

    pub(super) fn declined(&mut self, subject: Subject, at: Timestamp) {
        self.payments
            .with(subject, |record, bounds| record.declined(at, bounds));
    }

    /// Counts transfers, and says how many there were within the hour before them.
    pub(super) fn transfers(
        &mut self,
        TransferCount { subject, times }: TransferCount,
        at: Timestamp,
    ) -> u32 {
        if times == 0 {
            // Whoever only asks makes nobody known.
            let known = self.transfers.records.get(&subject);
            return known.map_or(0, |record| record.velocity(at).hour_count);
        }
        self.transfers.with(subject, |record, bounds| {
            let before = record.velocity(at).hour_count;
            (0..times).for_each(|_| record.paid(at, bounds));
            before
        })
    }

    pub(super) fn recall(&mut self, recalled: &Recalled) {
        let Recalled { subject, at, what } = *recalled;
        match what {
            What::Declined => self.declined(subject, at),
            What::Paid(asked) => self.payments.with(subject, |record, bounds| {
                record.paid(at, bounds);
                if let Some((currency, amount)) = asked {
                    record.remember(at, currency, amount);
                }
            }),
            What::Transferred => {
                self.transfers(TransferCount { subject, times: 1 }, at);
            }
            What::Seen(payment) => self.cards.see(subject, payment, at),
            What::CardDeclined { book, is_final } => {
                self.cards.declines.declined((book, subject), at, is_final);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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

    fn transfers(counters: &mut Counters, account: u64, times: u32) -> u32 {
        let subject = Subject(account);
        counters.transfers(TransferCount { subject, times }, at(1))
    }

    #[test]
    fn no_account_however_busy_displaces_a_customer() {
        let mut counters = counters();
        let customers = || (0..50).map(Subject);
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
            counters.paid(Subject(5_000 + customer), at(2));
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
        assert_eq!(counters.transfers.events, SUBJECTS_MAX * EVENTS_PER_SUBJECT);
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
        assert_eq!(counters.paid(subject, at(1)).hour_count, 1);
    }
}
