//! What entries tell of a search: whether a payment may be found, so that its state is worth fetching. They never say no to one that is. Whatever
//! does not depend on the entry is made ready beforehand, since millions may be looked at.

use super::entry::{Entry, customer, status};
use super::mask::Mask;
use florin_domain::ids::PaymentId;
use florin_domain::payment::IntentStatus;
use florin_domain::ports::search::{Joined, Search, Test, TextTest, possible};
use florin_domain::ports::{StatusName, dated_s};
use std::ops::RangeInclusive;

/// A search as entries are asked.
#[derive(Debug)]
pub(super) struct Questions<'a> {
    joined: Joined,
    questions: Vec<(bool, Question<'a>)>,
}

/// A clause as an entry is asked.
#[derive(Debug)]
enum Question<'a> {
    /// With the stored numbers of statuses whose intents may stand there, and of those whose may not.
    Status(Vec<i64>, Vec<i64>),
    AmountMinor(&'a RangeInclusive<u64>),
    CreatedS(&'a RangeInclusive<u64>),
    Currency(i64),
    NoCustomer,
    /// With the digest of its id, if all of that is known.
    Customer(Option<i64>),
    NoKey(Mask),
    /// With what metadata must have that is asked for.
    Metadata(Mask),
}

/// What is known of the answer to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Verdict {
    may_hold: bool,
    may_fail: bool,
}

const fn sure(holds: bool) -> Verdict {
    Verdict {
        may_hold: holds,
        may_fail: !holds,
    }
}

/// No, unless the entry cannot tell.
const fn not_unless(may_hold: bool) -> Verdict {
    Verdict {
        may_hold,
        may_fail: true,
    }
}

/// Yes, unless the entry cannot tell.
const fn yes_unless(may_fail: bool) -> Verdict {
    Verdict {
        may_hold: true,
        may_fail,
    }
}

impl<'a> Questions<'a> {
    /// Of a search.
    pub(super) fn of(search: &'a Search) -> Self {
        let clauses = search.clauses.iter();
        Self {
            joined: search.joined,
            questions: clauses
                .map(|clause| (clause.is_negated, Question::of(&clause.test)))
                .collect(),
        }
    }

    /// Whether the search may find this payment.
    pub(super) fn may_find(&self, id: PaymentId, entry: &Entry) -> bool {
        let may_hold = |(is_negated, question): &(bool, Question<'_>)| {
            let verdict = question.ask(id, entry);
            if *is_negated {
                verdict.may_fail
            } else {
                verdict.may_hold
            }
        };
        match self.joined {
            Joined::All => self.questions.iter().all(may_hold),
            Joined::Any => self.questions.iter().any(may_hold),
        }
    }
}

impl<'a> Question<'a> {
    fn of(test: &'a Test) -> Self {
        match test {
            Test::Status(wanted) => Self::Status(
                statuses(|possible| possible == wanted),
                statuses(|possible| possible != wanted),
            ),
            Test::AmountMinor(range) => Self::AmountMinor(range),
            Test::CreatedS(range) => Self::CreatedS(range),
            Test::Currency(currency) => Self::Currency(currency.numeric().into()),
            Test::Customer(TextTest::Absent) => Self::NoCustomer,
            Test::Customer(TextTest::Is(wanted)) => Self::Customer(Some(customer(wanted))),
            Test::Customer(TextTest::Contains(_)) => Self::Customer(None),
            Test::Metadata(key, TextTest::Absent) => Self::NoKey(Mask::key(key)),
            Test::Metadata(key, TextTest::Is(value)) => Self::Metadata(Mask::pair(key, value)),
            Test::Metadata(key, TextTest::Contains(_)) => Self::Metadata(Mask::key(key)),
        }
    }

    fn ask(&self, id: PaymentId, entry: &Entry) -> Verdict {
        match self {
            Self::Status(may_hold, may_fail) => Verdict {
                may_hold: may_hold.contains(&entry.status),
                may_fail: may_fail.contains(&entry.status),
            },
            Self::AmountMinor(range) => match entry.is_of(range) {
                Some(holds) => sure(holds),
                None => not_unless(true),
            },
            Self::CreatedS(range) => dated(range, id),
            Self::Currency(currency) => sure(entry.currency == *currency),
            Self::NoCustomer => sure(entry.customer.is_none()),
            Self::Customer(digest) => {
                not_unless(entry.customer.is_some() && (digest.is_none() || *digest == entry.customer))
            }
            Self::NoKey(key) => yes_unless(entry.metadata.has(*key)),
            Self::Metadata(wanted) => not_unless(entry.metadata.has(*wanted)),
        }
    }
}

/// The stored numbers of the statuses of which such an intent is possible.
fn statuses(is_such: impl Fn(&IntentStatus) -> bool) -> Vec<i64> {
    let names = StatusName::ALL.into_iter();
    names
        .filter(|name| possible(*name).iter().any(&is_such))
        .map(status)
        .collect()
}

/// A payment is dated about when its id was drawn.
fn dated(range: &RangeInclusive<u64>, id: PaymentId) -> Verdict {
    let possible = dated_s(id);
    Verdict {
        may_hold: range.start() <= possible.end() && possible.start() <= range.end(),
        may_fail: !(range.contains(possible.start()) && range.contains(possible.end())),
    }
}
