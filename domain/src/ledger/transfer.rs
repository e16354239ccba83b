//! Transfers: money moved between accounts as one balanced entry, at once or in two steps (pending, then posted or voided).
//! What is asked, what is recorded, and why one may be refused.

use super::account::{AccountKey, Side};
use super::entry::{Line, PostedEntry, Posting};
use super::revert::Irreversible;
use crate::ids::Seq;
use crate::money::{Amount, Balance};
use crate::time::Timestamp;
use rust_decimal::Decimal;
use std::fmt;
use std::sync::Arc;
use thiserror::Error;

/// The client's own name for a transfer, unique for ever; written as a UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransferId(pub u128);

impl TransferId {
    /// Reads a UUID, with hyphens in their places or without any.
    pub fn parse(text: &str) -> Option<Self> {
        let is_hyphen = |place: usize| matches!(place, 8 | 13 | 18 | 23);
        let (len, mut bits) = (text.len(), 0_u128);
        if len != 32 && len != 36 {
            return None;
        }
        for (place, byte) in text.bytes().enumerate() {
            if len == 36 && is_hyphen(place) {
                if byte != b'-' {
                    return None;
                }
                continue;
            }
            let digit = char::from(byte).to_digit(16)?;
            bits = (bits << 4) | u128::from(digit);
        }
        Some(Self(bits))
    }
}

impl fmt::Display for TransferId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:032x}", self.0);
        let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
        write!(
            f,
            "{}-{}-{}-{}-{}",
            part(0, 8),
            part(8, 12),
            part(12, 16),
            part(16, 20),
            part(20, 32)
        )
    }
}

/// The day on which a transfer counts for the books, in days since the Unix epoch; the day of its record may be later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EffectiveDate(pub u32);

impl EffectiveDate {
    /// The day (UTC) of an instant.
    pub fn of(at: Timestamp) -> Self {
        Self(u32::try_from(at.unix_s() / 86_400).unwrap_or(u32::MAX))
    }

    /// Reads `YYYY-MM-DD`, from 1970 on.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = |part: &str, len: usize| {
            let fits = part.len() == len && part.bytes().all(|byte| byte.is_ascii_digit());
            fits.then(|| part.parse::<u32>().ok()).flatten()
        };
        let mut parts = text.splitn(3, '-');
        let (year, month) = (digits(parts.next()?, 4)?, digits(parts.next()?, 2)?);
        let day = digits(parts.next()?, 2)?;
        let is_day = (1970..=9999).contains(&year) && (1..=12).contains(&month);
        if !is_day || day == 0 || day > days_in(year, month) {
            return None;
        }
        let years: u32 = (1970..year)
            .map(|year| if is_leap(year) { 366 } else { 365 })
            .sum();
        let months: u32 = (1..month).map(|month| days_in(year, month)).sum();
        Some(Self(
            years.saturating_add(months).saturating_add(day).saturating_sub(1),
        ))
    }
}

impl fmt::Display for EffectiveDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut year, mut left) = (1970_u32, self.0);
        loop {
            let days = if is_leap(year) { 366 } else { 365 };
            if left < days {
                break;
            }
            (year, left) = (year.saturating_add(1), left.saturating_sub(days));
        }
        let mut month = 1_u32;
        while left >= days_in(year, month) {
            left = left.saturating_sub(days_in(year, month));
            month = month.saturating_add(1);
        }
        write!(f, "{year:04}-{month:02}-{:02}", left.saturating_add(1))
    }
}

/// The Gregorian rule.
const fn is_leap(year: u32) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

const fn days_in(year: u32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

/// What a transfer says besides its money.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Notes {
    /// Free text.
    pub description: Option<Arc<str>>,
    /// The rate at which an amount in another currency became this one.
    pub exchange_rate: Option<Decimal>,
    /// The client's own pairs.
    pub metadata: Vec<(Arc<str>, Arc<str>)>,
}

/// Reads a rate: a positive decimal.
pub fn exchange_rate(text: &str) -> Option<Decimal> {
    let rate = Decimal::from_str_exact(text).ok()?;
    (rate.is_sign_positive() && !rate.is_zero()).then_some(rate)
}

/// Between which accounts.
#[derive(Clone, Debug, PartialEq)]
pub enum TransferLegs {
    /// From one to one.
    Pair {
        /// The account debited.
        debit: AccountKey,
        /// The account credited.
        credit: AccountKey,
        /// How much.
        amount: Amount,
    },
    /// Any postings that balance per currency.
    Many(Vec<Posting>),
    /// Those of the pending transfer that it ends; a post may move less than all between two accounts.
    OfPending(Option<Amount>),
    /// Those of the transfer that it reverts, and there are none.
    Irreversible(Irreversible),
}

/// Which step a transfer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferStep {
    /// The whole of it.
    Single,
    /// Reserves; the money moves when it is posted.
    Pending {
        /// When the reservation ends by itself.
        expires_at: Option<Timestamp>,
    },
    /// Moves what a pending transfer reserved, and lets go of the rest.
    Post {
        /// Which.
        pending: TransferId,
    },
    /// Lets go of what a pending transfer reserved.
    Void {
        /// Which.
        pending: TransferId,
    },
    /// Posts what another transfer posted, with the sides swapped.
    Revert {
        /// Which.
        reverts: TransferId,
    },
}

/// A transfer as asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Transfer {
    /// Its name.
    pub id: TransferId,
    /// Which step.
    pub step: TransferStep,
    /// Between which accounts.
    pub legs: TransferLegs,
    /// It happens only together with the next one.
    pub linked: bool,
    /// It pays somebody what we owe: no liability may be debited below nothing by it, whatever the account's own limits.
    pub is_payout: bool,
    /// For which day of the books; the day of the record if `None`.
    pub effective: Option<EffectiveDate>,
    /// What else it says.
    pub notes: Option<Box<Notes>>,
}

/// One debit and one credit, with what they left behind. The common case, without a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PostedPair {
    /// The account debited.
    pub debit: AccountKey,
    /// The account credited.
    pub credit: AccountKey,
    /// How much.
    pub amount: Amount,
    /// The balances after it, positive on each account's normal side.
    pub balances_after: [Balance; 2],
    /// The commits that last posted to each account before this one.
    pub account_prevs: [Seq; 2],
}

/// What a transfer did to accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Legs {
    /// Posted between two accounts.
    Pair(PostedPair),
    /// Posted among many.
    Many(PostedEntry),
    /// Reserved, nothing posted.
    Reserved(Vec<Posting>),
    /// A reservation was let go, nothing posted.
    Released,
}

/// A transfer as recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct PostedTransfer {
    /// Its name.
    pub id: TransferId,
    /// Which step.
    pub step: TransferStep,
    /// What it did.
    pub legs: Legs,
    /// The day on which it counts.
    pub effective: EffectiveDate,
    /// What else it says.
    pub notes: Option<Box<Notes>>,
}

impl PostedTransfer {
    /// Whether this is the record of what is asked for: the same id asked again, not used for something else.
    pub fn is_of(&self, asked: &Transfer) -> bool {
        let is_revert = matches!(self.step, TransferStep::Revert { .. });
        // A pair is the same transfer as its two postings.
        let are_own = |asked: &[Posting]| match &self.legs {
            Legs::Pair(pair) => pair.lines().iter().map(|line| &line.posting).eq(asked),
            Legs::Many(entry) => {
                let own = || entry.lines().iter().map(|line| &line.posting);
                // Older reverts are recorded in the order of what they undo.
                own().eq(asked) || (is_revert && own().rev().eq(asked))
            }
            Legs::Reserved(postings) => postings == asked,
            Legs::Released => false,
        };
        let same_legs = match &asked.legs {
            TransferLegs::Pair {
                debit,
                credit,
                amount,
            } => {
                let posting = |account: &AccountKey, side| Posting {
                    account: *account,
                    side,
                    amount: *amount,
                };
                are_own(&[posting(debit, Side::Debit), posting(credit, Side::Credit)])
            }
            TransferLegs::Many(asked) => are_own(asked),
            TransferLegs::OfPending(None) => true,
            TransferLegs::OfPending(Some(amount)) => match &self.legs {
                Legs::Pair(pair) => pair.amount == *amount,
                // Of what is among many only all of it may be posted.
                Legs::Many(entry) => entry.debits_minor() == amount.minor(),
                Legs::Reserved(_) | Legs::Released => true,
            },
            TransferLegs::Irreversible(_) => false,
        };
        let same_day = asked.effective.is_none_or(|day| day == self.effective);
        self.id == asked.id && self.step == asked.step && same_legs && same_day && self.notes == asked.notes
    }

    /// The lines that it posted.
    pub fn lines(&self) -> Vec<Line> {
        match &self.legs {
            Legs::Pair(pair) => pair.lines().into(),
            Legs::Many(entry) => entry.lines().to_vec(),
            Legs::Reserved(_) | Legs::Released => Vec::new(),
        }
    }
}

impl PostedPair {
    /// Debit and credit as lines.
    pub fn lines(&self) -> [Line; 2] {
        let line = |account, side, place: usize| Line {
            posting: Posting {
                account,
                side,
                amount: self.amount,
            },
            balance_after: self.balances_after[place],
            account_prev: self.account_prevs[place],
        };
        [
            line(self.debit, Side::Debit, 0),
            line(self.credit, Side::Credit, 1),
        ]
    }
}

/// Why a transfer is refused; nothing of it is recorded.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TransferRefusal {
    /// The sides differ.
    #[error("{0}")]
    Unbalanced(String),
    /// Fewer than two postings.
    #[error("an entry needs at least two postings")]
    TooFewPostings,
    /// The two accounts are in different currencies.
    #[error("the accounts are in different currencies")]
    MixedCurrencies,
    /// Test money and real money never meet.
    #[error("one account is live and another one is not")]
    MixedModes,
    /// From an account to itself.
    #[error("debit and credit are the same account")]
    SameAccount,
    /// There is no such account.
    #[error("there is no account {0}")]
    UnknownAccount(AccountKey),
    /// The id was used for another transfer.
    #[error("this id was used for another transfer")]
    IdReused,
    /// Only a post or a void ends a pending transfer, and both need one.
    #[error("no transfer is pending under this id: it was never made, or it has ended")]
    PendingNotFound,
    /// The pending transfer's time is over.
    #[error("the pending transfer has expired")]
    PendingExpired,
    /// More than what is pending.
    #[error("the amount exceeds what is pending")]
    ExceedsPending,
    /// An account would fall below its limit.
    #[error("Insufficient funds")]
    InsufficientFunds(AccountKey),
    /// An account would rise above its limit.
    #[error("the account would hold more than it may")]
    ExceedsLimit(AccountKey),
    /// The period is closed.
    #[error("the books are closed up to that day")]
    PeriodClosed,
    /// The day has not come yet.
    #[error("the effective day has not come yet")]
    EffectiveInFuture,
    /// Another one of its chain, or of an atomic request, was refused.
    #[error("a transfer that this one is linked to was refused")]
    LinkedFailed,
    /// The last one of a request cannot be linked to a next one.
    #[error("the last transfer is linked to a next one")]
    LinkedOpen,
    /// A balance leaves its bounds.
    #[error("a balance would overflow")]
    Overflow,
    /// What is to be reverted is not there.
    #[error("no transfer is recorded under the id that is to be reverted")]
    RevertedNotFound,
    /// What is to be reverted posted nothing.
    #[error("the transfer posted nothing that could be reverted; what is pending is voided")]
    NothingToRevert,
    /// A transfer is reverted once.
    #[error("the transfer is reverted already")]
    AlreadyReverted,
    /// Its accounts are at home in several shards, and it is more than one debit and one credit at once.
    #[error(
        "its accounts are in several shards: only a transfer of one step between two accounts, bound to no other, may be"
    )]
    CrossesShards,
    /// It was given up before both shards had agreed.
    #[error("it was given up before both shards had agreed; nothing moved")]
    GivenUp,
    /// A payout would take more than is owed on an account.
    #[error(
        "the payout is more than is owed on {0}: what was settled is on the account that the settlement credited, and is paid from there"
    )]
    ExceedsOwed(AccountKey),
    /// The fraud check did not agree to a transfer between shards.
    #[error(
        "the fraud check refused it: the merchant takes no money, or too many transfers went from the account within an hour"
    )]
    FraudCheckRefused,
}

impl TransferRefusal {
    /// Stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unbalanced(_) => "transfer_unbalanced",
            Self::TooFewPostings => "transfer_too_few_postings",
            Self::MixedCurrencies => "transfer_mixed_currencies",
            Self::MixedModes => "transfer_mixed_modes",
            Self::SameAccount => "transfer_same_account",
            Self::UnknownAccount(_) => "account_unknown",
            Self::IdReused => "transfer_id_reused",
            Self::PendingNotFound => "pending_transfer_missing",
            Self::PendingExpired => "pending_transfer_expired",
            Self::ExceedsPending => "amount_exceeds_pending",
            Self::InsufficientFunds(_) => "insufficient_funds",
            Self::ExceedsLimit(_) => "account_limit_exceeded",
            Self::PeriodClosed => "period_closed",
            Self::EffectiveInFuture => "effective_in_future",
            Self::LinkedFailed => "linked_transfer_failed",
            Self::LinkedOpen => "linked_chain_open",
            Self::Overflow => "balance_overflow",
            Self::RevertedNotFound => "reverted_transfer_missing",
            Self::NothingToRevert => "transfer_not_revertible",
            Self::AlreadyReverted => "transfer_already_reverted",
            Self::CrossesShards => "transfer_crosses_shards",
            Self::GivenUp => "transfer_given_up",
            Self::ExceedsOwed(_) => "payout_exceeds_owed",
            Self::FraudCheckRefused => "fraud_check_refused",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_transfer_is_named_by_a_uuid() {
        let id = TransferId::parse("123e4567-e89b-12d3-a456-426614174000").unwrap();
        assert_eq!(id.to_string(), "123e4567-e89b-12d3-a456-426614174000");
        assert_eq!(TransferId::parse("123E4567E89B12D3A456426614174000"), Some(id));
        for bad in [
            "",
            "123e4567",
            "123e4567-e89b-12d3-a456-42661417400g",
            "123e4567e-89b-12d3-a456-426614174000",
            "123e4567-e89b-12d3-a456-4266141740000",
            "{23e4567-e89b-12d3-a456-426614174000",
        ] {
            assert_eq!(TransferId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_day_is_written_as_people_write_it() {
        for (text, day) in [
            ("1970-01-01", 0),
            ("1970-12-31", 364),
            ("2000-02-29", 11_016),
            ("2026-11-21", 20_778),
            ("9999-12-31", 2_932_896),
        ] {
            assert_eq!(EffectiveDate::parse(text), Some(EffectiveDate(day)), "{text}");
            assert_eq!(EffectiveDate(day).to_string(), text);
        }
        for bad in [
            "",
            "2026-11",
            "2026-13-01",
            "2026-02-29",
            "1969-12-31",
            "26-11-21",
            "2026-1-1",
            "2026-11-21T00:00:00Z",
            "+026-11-21",
        ] {
            assert_eq!(EffectiveDate::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_day_reads_back(day in 0..2_932_897_u32) {
            prop_assert_eq!(EffectiveDate::parse(&EffectiveDate(day).to_string()), Some(EffectiveDate(day)));
        }

        #[test]
        fn every_id_reads_back(bits: u128) {
            let id = TransferId(bits);
            prop_assert_eq!(TransferId::parse(&id.to_string()), Some(id));
        }
    }
}
