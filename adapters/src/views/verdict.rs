//! What an entry tells of a search: whether the payment may be found, so that its state is worth fetching. It never says no to one that is.

use super::entry::{Entry, customer, status};
use super::mask::Mask;
use florin_domain::ids::PaymentId;
use florin_domain::payment::IntentStatus;
use florin_domain::ports::search::{Clause, Joined, Search, Test, TextTest};
use florin_domain::ports::{StatusName, dated_s};
use std::ops::RangeInclusive;

/// What is known of the answer to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Verdict {
    may_hold: bool,
    may_fail: bool,
}

/// Only the state knows.
const OPEN: Verdict = Verdict {
    may_hold: true,
    may_fail: true,
};

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

/// Whether the search may find this payment.
pub(super) fn may_find(search: &Search, id: PaymentId, entry: &Entry) -> bool {
    let may_hold = |Clause { is_negated, test }: &Clause| {
        let verdict = verdict(test, id, entry);
        if *is_negated {
            verdict.may_fail
        } else {
            verdict.may_hold
        }
    };
    match search.joined {
        Joined::All => search.clauses.iter().all(may_hold),
        Joined::Any => search.clauses.iter().any(may_hold),
    }
}

fn verdict(test: &Test, id: PaymentId, entry: &Entry) -> Verdict {
    match test {
        Test::Status(wanted) => stands(*wanted, entry),
        Test::AmountMinor(range) => entry.is_of(range).map_or(OPEN, sure),
        Test::CreatedS(range) => dated(range, id),
        Test::Currency(currency) => sure(entry.currency == i64::from(currency.numeric())),
        Test::Customer(test) => match (test, entry.customer) {
            (TextTest::Absent, found) => sure(found.is_none()),
            (TextTest::Is(_) | TextTest::Contains(_), None) => sure(false),
            (TextTest::Is(wanted), Some(found)) => not_unless(found == customer(wanted)),
            (TextTest::Contains(_), Some(_)) => OPEN,
        },
        Test::Metadata(key, test) => match test {
            TextTest::Absent if entry.metadata.has(Mask::key(key)) => OPEN,
            TextTest::Absent => sure(true),
            TextTest::Is(value) => not_unless(entry.metadata.has(Mask::pair(key, value))),
            TextTest::Contains(_) => not_unless(entry.metadata.has(Mask::key(key))),
        },
    }
}

fn stands(wanted: IntentStatus, entry: &Entry) -> Verdict {
    let name = StatusName::ALL
        .into_iter()
        .find(|name| status(*name) == entry.status);
    name.map_or(OPEN, |name| {
        let possible = IntentStatus::possible(name);
        Verdict {
            may_hold: possible.contains(&wanted),
            may_fail: possible.iter().any(|status| *status != wanted),
        }
    })
}

fn dated(range: &RangeInclusive<u64>, id: PaymentId) -> Verdict {
    let possible = dated_s(id);
    Verdict {
        may_hold: range.start() <= possible.end() && possible.start() <= range.end(),
        may_fail: !(range.contains(possible.start()) && range.contains(possible.end())),
    }
}
