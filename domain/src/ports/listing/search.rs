//! A search among the payments of a merchant: clauses of which all must hold, or any. It is decided by the payment as it stands, so a list with a
//! search is as exact as one with filters.

use super::StatusName;
use crate::money::Currency;
use crate::payment::{IntentStatus, Payment};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// Which of the clauses must hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Joined {
    /// All of them.
    #[default]
    All,
    /// At least one of them.
    Any,
}

/// What is searched for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// How the clauses are joined.
    pub joined: Joined,
    /// What is asked.
    pub clauses: Vec<Clause>,
}

/// One thing that is asked of a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// It holds when the question is answered with no.
    pub is_negated: bool,
    /// The question.
    pub test: Test,
}

/// A question about a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// Does its intent stand there?
    Status(IntentStatus),
    /// Is its amount one of these?
    AmountMinor(RangeInclusive<u64>),
    /// Was it asked for in one of these seconds since the Unix epoch?
    CreatedS(RangeInclusive<u64>),
    /// Is it in this currency?
    Currency(Currency),
    /// What is said of its customer?
    Customer(TextTest),
    /// What is under this key of its metadata?
    Metadata(Arc<str>, TextTest),
}

/// A question about a text that may not be there. The letters of ASCII are the same in either case, as Stripe has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextTest {
    /// There is none.
    Absent,
    /// It is this one.
    Is(Arc<str>),
    /// This is a part of it.
    Contains(Arc<str>),
}

impl TextTest {
    /// The answer.
    pub fn takes(&self, text: Option<&str>) -> bool {
        match (self, text) {
            (Self::Absent, text) => text.is_none(),
            (Self::Is(_) | Self::Contains(_), None) => false,
            (Self::Is(wanted), Some(text)) => text.eq_ignore_ascii_case(wanted),
            (Self::Contains(part), Some(text)) => contains(text, part),
        }
    }
}

/// In time that grows with both lengths and not with their product.
fn contains(text: &str, part: &str) -> bool {
    text.to_ascii_lowercase().contains(&part.to_ascii_lowercase())
}

/// Where an intent may stand whose payment has a status of this name.
pub const fn possible(name: StatusName) -> &'static [IntentStatus] {
    match name {
        StatusName::RequiresPaymentMethod => &[IntentStatus::RequiresPaymentMethod],
        StatusName::RequiresConfirmation => &[IntentStatus::RequiresConfirmation],
        StatusName::RequiresAction => &[IntentStatus::RequiresAction],
        StatusName::InReview | StatusName::Processing => &[IntentStatus::Processing],
        StatusName::Authorized => &[IntentStatus::Processing, IntentStatus::RequiresCapture],
        StatusName::Succeeded => &[IntentStatus::Succeeded],
        StatusName::Failed => &[IntentStatus::RequiresPaymentMethod, IntentStatus::Canceled],
        StatusName::Blocked | StatusName::Voided => &[IntentStatus::Canceled],
    }
}

impl Test {
    fn takes(&self, payment: &Payment) -> bool {
        let spec = &payment.spec;
        match self {
            Self::Status(status) => IntentStatus::of(payment) == *status,
            Self::AmountMinor(range) => super::is_within(Some(range), payment.amount_minor()),
            Self::CreatedS(range) => range.contains(&spec.created_at.unix_s()),
            Self::Currency(currency) => spec.currency == *currency,
            Self::Customer(test) => test.takes(spec.customer.as_deref()),
            Self::Metadata(key, test) => test.takes(super::under(&spec.metadata, key)),
        }
    }
}

impl Search {
    /// Whether a payment in this state is found.
    pub fn takes(&self, payment: &Payment) -> bool {
        let holds = |clause: &Clause| clause.test.takes(payment) != clause.is_negated;
        match self.joined {
            Joined::All => self.clauses.iter().all(holds),
            Joined::Any => self.clauses.iter().any(holds),
        }
    }

    /// Outside of which seconds nothing is found, so that a search by time need not look there.
    pub fn created_s(&self) -> Option<RangeInclusive<u64>> {
        if self.joined == Joined::Any {
            return None;
        }
        let ranges = self.clauses.iter().filter_map(|clause| match &clause.test {
            Test::CreatedS(range) if !clause.is_negated => Some(range.clone()),
            Test::Status(_)
            | Test::AmountMinor(_)
            | Test::CreatedS(_)
            | Test::Currency(_)
            | Test::Customer(_)
            | Test::Metadata(..) => None,
        });
        ranges.reduce(|left, right| *left.start().max(right.start())..=*left.end().min(right.end()))
    }
}
