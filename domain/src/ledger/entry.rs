//! Postings and the journal entries that they make up.

use super::account::{AccountKey, Side};
use crate::ids::Seq;
use crate::money::{Amount, Balance, Currency, decimal_string};
use std::collections::BTreeMap;
use thiserror::Error;

/// An amount on one side of one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posting {
    /// Where.
    pub account: AccountKey,
    /// Which side.
    pub side: Side,
    /// How much.
    pub amount: Amount,
}

/// Why postings are refused; nothing of them is recorded.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PostingError {
    /// The sides differ.
    #[error("Transaction {transaction}: Debits ({debits}) != Credits ({credits})")]
    Imbalance {
        /// What was being posted.
        transaction: String,
        /// Sum of debits, as a decimal.
        debits: String,
        /// Sum of credits, as a decimal.
        credits: String,
    },
    /// Fewer than two postings.
    #[error("an entry needs at least two postings")]
    TooFew,
    /// A sum leaves the bounded range.
    #[error("a balance would overflow")]
    Overflow,
    /// A record that cannot follow what these books hold.
    #[error("the record cannot follow here: {0}")]
    IllegalRecord(&'static str),
    /// A record's running balance is not what the books come to.
    #[error("the recorded running balance of {0} is not the fold of the journal")]
    BalanceMismatch(AccountKey),
}

/// Postings whose debits equal their credits in every currency and mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry(Vec<Posting>);

impl Entry {
    /// Checks the balance per currency and mode; `transaction` names it in the refusal.
    pub fn balanced(transaction: &str, postings: Vec<Posting>) -> Result<Self, PostingError> {
        check_balance(transaction, postings.iter())?;
        Ok(Self(postings))
    }

    /// The postings in order.
    pub fn postings(&self) -> &[Posting] {
        &self.0
    }
}

fn check_balance<'a>(
    transaction: &str,
    postings: impl Iterator<Item = &'a Posting>,
) -> Result<(), PostingError> {
    let mut sums: BTreeMap<(Currency, bool), (i128, i128)> = BTreeMap::new();
    let mut count = 0_usize;
    for posting in postings {
        count = count.saturating_add(1);
        let account = &posting.account;
        let (debits, credits) = sums.entry((account.currency, account.livemode)).or_default();
        let sum = match posting.side {
            Side::Debit => debits,
            Side::Credit => credits,
        };
        *sum = sum
            .checked_add(posting.amount.minor())
            .ok_or(PostingError::Overflow)?;
    }
    if count < 2 {
        return Err(PostingError::TooFew);
    }
    match sums.iter().find(|(_, (debits, credits))| debits != credits) {
        None => Ok(()),
        Some(((currency, _), (debits, credits))) => Err(PostingError::Imbalance {
            transaction: transaction.to_owned(),
            debits: decimal_string(*debits, *currency),
            credits: decimal_string(*credits, *currency),
        }),
    }
}

/// A posting in the journal, with the balance that it left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// What was posted.
    pub posting: Posting,
    /// The account's balance after it, positive on the account's normal side.
    pub balance_after: Balance,
    /// The commit that last posted to the account, so that its history walks back without an index.
    pub account_prev: Seq,
}

/// An entry in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostedEntry(Vec<Line>);

impl PostedEntry {
    /// Checks the balance once more, after the running balances were assigned or the record was read back.
    pub fn checked(transaction: &str, lines: Vec<Line>) -> Result<Self, PostingError> {
        check_balance(transaction, lines.iter().map(|line| &line.posting))?;
        Ok(Self(lines))
    }

    /// The lines in order.
    pub fn lines(&self) -> &[Line] {
        &self.0
    }

    /// The sum of its debits, in minor units.
    pub(super) fn debits_minor(&self) -> i128 {
        let debits = self.0.iter().filter(|line| line.posting.side == Side::Debit);
        debits.fold(0, |sum, line| sum.saturating_add(line.posting.amount.minor()))
    }
}

/// A change of what is expected on an account: counted in the available balance, not in the posted one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldChange {
    /// Where.
    pub account: AccountKey,
    /// Change of expected credits, in minor units.
    pub credit_delta_minor: i128,
    /// Change of expected debits, in minor units.
    pub debit_delta_minor: i128,
}
