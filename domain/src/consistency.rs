//! What the consistency monitor compares, as pure functions: entries with themselves, balances with the journal, payments with
//! what they posted, views with payments. Nothing here shares code with what keeps the books, or a mistake would agree with itself.

mod entries;
mod fold;
mod lateness;
mod payments;
mod rows;
#[cfg(test)]
mod tests;

pub use entries::{check_entries, check_totals};
pub use fold::{JournalFold, OutOfOrder, Standing};
pub use lateness::{MISSED_ROUNDS_MAX, ROUND_MAX, UNFINISHED_ROUNDS_MAX, Unfinished, overdue_after};
pub use payments::PaymentTrace;
pub use rows::differing_row;

use crate::ids::{Seq, ShardId};
use crate::time::{Millis, Timestamp};
use std::fmt;

/// What is compared with what. Whatever keeps money of its own gets a check of its own here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Check {
    /// Entries balance, and so do the balances as a whole.
    Ledger,
    /// Balances are the fold of the journal.
    Balances,
    /// Payments come to what they posted.
    Payments,
    /// The payments view shows payments as the journal has them.
    Views,
    /// Settlements; there are none yet.
    Settlement,
}

impl Check {
    /// All checks, in the order in which they are shown.
    pub const ALL: [Self; 5] = [
        Self::Ledger,
        Self::Balances,
        Self::Payments,
        Self::Views,
        Self::Settlement,
    ];

    /// Stable name for metrics and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ledger => "ledger",
            Self::Balances => "balances",
            Self::Payments => "payments",
            Self::Views => "views",
            Self::Settlement => "settlement",
        }
    }

    /// The alert that its differences raise.
    pub const fn alert(self) -> &'static str {
        match self {
            Self::Ledger => "ledger_inconsistent",
            Self::Balances => "balances_inconsistent",
            Self::Payments => "payments_inconsistent",
            Self::Views => "views_inconsistent",
            Self::Settlement => "settlement_inconsistent",
        }
    }
}

/// Two figures that should be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which account, payment or transaction, as its id is written.
    pub subject: String,
    /// What of it.
    pub figure: &'static str,
    /// What it should be; of an entry, the debits.
    pub expected: String,
    /// What it is; of an entry, the credits.
    pub found: String,
    /// How far apart they are, in minor units, if they are sums.
    pub difference_minor: Option<i128>,
    /// The commit as of which they differ.
    pub seq: Seq,
}

/// The name of an entry's two sums.
const ENTRY: &str = "debits and credits";

impl Difference {
    /// Two sums, in minor units; nothing if they are equal.
    fn of_minor(
        subject: &impl fmt::Display,
        figure: &'static str,
        (expected, found): (i128, i128),
        seq: Seq,
    ) -> Option<Self> {
        (expected != found).then(|| Self {
            subject: subject.to_string(),
            figure,
            expected: expected.to_string(),
            found: found.to_string(),
            difference_minor: Some(apart(expected, found)),
            seq,
        })
    }

    /// Two words.
    fn of_words(
        subject: &impl fmt::Display,
        figure: &'static str,
        (expected, found): (String, String),
        seq: Seq,
    ) -> Self {
        Self {
            subject: subject.to_string(),
            figure,
            expected,
            found,
            difference_minor: None,
            seq,
        }
    }

    /// The view lacks a payment, or has it as of another commit.
    pub fn of_place(subject: &impl fmt::Display, expected: Seq, found: Option<Seq>, as_of: Seq) -> Self {
        let found = found.map_or_else(|| "none".to_owned(), |seq| seq.to_string());
        Self::of_words(subject, "commit", (expected.to_string(), found), as_of)
    }
}

fn apart(left: i128, right: i128) -> i128 {
    left.saturating_sub(right).saturating_abs()
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            subject,
            figure,
            expected,
            found,
            ..
        } = self;
        if *figure == ENTRY {
            return write!(
                f,
                "Transaction {subject}: Debits ({expected}) != Credits ({found})"
            );
        }
        write!(f, "{figure} of {subject}: {found} instead of {expected}")
    }
}

/// How many differences are kept of one check.
pub const KEPT_MAX: usize = 20;

/// What a check has found: all are counted, the first ones kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// How many things differ.
    pub issues: u64,
    /// The first of them.
    pub differences: Vec<Difference>,
}

impl Findings {
    /// Adds one.
    pub fn add(&mut self, difference: Difference) {
        self.issues = self.issues.saturating_add(1);
        if self.differences.len() < KEPT_MAX {
            self.differences.push(difference);
        }
    }

    /// Adds all of another check's.
    pub fn merge(&mut self, other: &Self) {
        self.issues = self.issues.saturating_add(other.issues);
        let room = KEPT_MAX.saturating_sub(self.differences.len());
        self.differences
            .extend(other.differences.iter().take(room).cloned());
    }
}

impl Extend<Difference> for Findings {
    fn extend<T: IntoIterator<Item = Difference>>(&mut self, differences: T) {
        differences
            .into_iter()
            .for_each(|difference| self.add(difference));
    }
}

/// Whether a check came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckState {
    /// It did.
    Done,
    /// It goes on in the next round: the journal has been read up to here, and goes on to there.
    Behind {
        /// Read so far.
        read: Seq,
        /// What there is to read.
        head: Seq,
    },
    /// It could not be run.
    Failed(String),
    /// There is nothing yet that it could compare.
    Absent,
}

/// What one check came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckReport {
    /// Which.
    pub check: Check,
    /// Whether it came to its end.
    pub state: CheckState,
    /// How many entries, accounts, payments or rows it compared.
    pub compared: u64,
    /// What differs.
    pub findings: Findings,
}

/// One round of all checks over one shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Round {
    /// Of which shard.
    pub shard: ShardId,
    /// 1, 2, ... since the process started.
    pub number: u64,
    /// When it began.
    pub began_at: Timestamp,
    /// How long it took.
    pub took: Millis,
    /// Commits of the window of recent ones that have been looked at, in this round or before.
    pub commits: u64,
    /// The last of them.
    pub through: Seq,
    /// How many commits the payments view was behind the journal.
    pub view_lag: u64,
    /// In the order of [`Check::ALL`].
    pub checks: Vec<CheckReport>,
}

impl Round {
    /// A round of which nothing came.
    pub fn failed(shard: ShardId, number: u64, began_at: Timestamp, why: &str) -> Self {
        let report = |check| {
            let state = match check {
                Check::Ledger | Check::Balances | Check::Payments | Check::Views => {
                    CheckState::Failed(why.to_owned())
                }
                Check::Settlement => CheckState::Absent,
            };
            CheckReport {
                check,
                state,
                compared: 0,
                findings: Findings::default(),
            }
        };
        Self {
            shard,
            number,
            began_at,
            took: Millis(0),
            commits: 0,
            through: Seq::ZERO,
            view_lag: 0,
            checks: Check::ALL.map(report).into(),
        }
    }

    /// Everything that differs.
    pub fn issues(&self) -> u64 {
        let issues = self.checks.iter().map(|report| report.findings.issues);
        issues.fold(0, u64::saturating_add)
    }

    /// Why checks could not be run, if some could not.
    pub fn failures(&self) -> impl Iterator<Item = (Check, &str)> {
        self.checks.iter().filter_map(|report| match &report.state {
            CheckState::Failed(why) => Some((report.check, why.as_str())),
            CheckState::Done | CheckState::Behind { .. } | CheckState::Absent => None,
        })
    }
}
