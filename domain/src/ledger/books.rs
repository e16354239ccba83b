//! The books of one shard: running balances and holds. Their only writer is the shard's account actor.

use super::account::{AccountKey, Side};
use super::entry::{Entry, HoldChange, Line, PostedEntry, Posting, PostingError};
use crate::ids::Seq;
use crate::money::{Balance, Currency};
use std::collections::BTreeMap;

/// One account's standing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountState {
    /// Posted balance, positive on the account's normal side.
    pub posted: Balance,
    /// Expected credits, in minor units.
    pub pending_credit_minor: i128,
    /// Expected debits, in minor units.
    pub pending_debit_minor: i128,
    /// The commit that last posted to it.
    pub last_posted: Seq,
}

impl Default for AccountState {
    fn default() -> Self {
        Self {
            posted: Balance::ZERO,
            pending_credit_minor: 0,
            pending_debit_minor: 0,
            last_posted: Seq::ZERO,
        }
    }
}

/// Debits and credits of one currency in one mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CurrencyTotal {
    /// Of what.
    pub currency: Currency,
    /// Whether its money is real.
    pub livemode: bool,
    /// Sum of debit balances, in minor units.
    pub debits_minor: i128,
    /// Sum of credit balances, in minor units.
    pub credits_minor: i128,
}

/// All accounts of a shard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Books {
    accounts: BTreeMap<AccountKey, AccountState>,
}

impl Books {
    /// The standing of one account; an account that was never touched stands at zero.
    pub fn account(&self, key: &AccountKey) -> AccountState {
        self.accounts.get(key).copied().unwrap_or_default()
    }

    /// All accounts in order.
    pub fn accounts(&self) -> impl Iterator<Item = (&AccountKey, &AccountState)> {
        self.accounts.iter()
    }

    /// Puts an account back as a snapshot has it.
    pub fn restore(&mut self, key: AccountKey, state: AccountState) {
        self.accounts.insert(key, state);
    }

    /// Posts an entry as part of commit `seq`. On an error nothing has changed.
    pub fn post(&mut self, transaction: &str, entry: &Entry, seq: Seq) -> Result<PostedEntry, PostingError> {
        let mut lines: Vec<Line> = Vec::with_capacity(entry.postings().len());
        for posting in entry.postings() {
            let earlier = lines
                .iter()
                .rev()
                .find(|line| line.posting.account == posting.account);
            let state = self.account(&posting.account);
            let (balance, account_prev) = earlier.map_or((state.posted, state.last_posted), |line| {
                (line.balance_after, line.account_prev)
            });
            let balance_after = moved(balance, posting)?;
            lines.push(Line {
                posting: *posting,
                balance_after,
                account_prev,
            });
        }
        let posted = PostedEntry::checked(transaction, lines)?;
        for line in posted.lines() {
            let state = self.accounts.entry(line.posting.account).or_default();
            state.posted = line.balance_after;
            state.last_posted = seq;
        }
        Ok(posted)
    }

    /// Applies holds. On an error nothing has changed.
    pub fn hold(&mut self, changes: &[HoldChange]) -> Result<(), PostingError> {
        let mut held = BTreeMap::new();
        for change in changes {
            let state = held
                .entry(change.account)
                .or_insert_with(|| self.account(&change.account));
            let credit = state.pending_credit_minor.checked_add(change.credit_delta_minor);
            let debit = state.pending_debit_minor.checked_add(change.debit_delta_minor);
            let (Some(credit), Some(debit)) = (credit, debit) else {
                return Err(PostingError::Overflow);
            };
            state.pending_credit_minor = credit;
            state.pending_debit_minor = debit;
        }
        self.accounts.extend(held);
        Ok(())
    }

    /// Folds a recorded entry, and checks that its running balances are what these books come to. On an error nothing has changed.
    pub fn replay(&mut self, entry: &PostedEntry, seq: Seq) -> Result<(), PostingError> {
        let mut folded = BTreeMap::new();
        for line in entry.lines() {
            let key = line.posting.account;
            let state = folded.entry(key).or_insert_with(|| self.account(&key));
            if moved(state.posted, &line.posting)? != line.balance_after {
                return Err(PostingError::BalanceMismatch(key));
            }
            state.posted = line.balance_after;
            state.last_posted = seq;
        }
        self.accounts.extend(folded);
        Ok(())
    }

    /// Debits against credits per currency and mode: the trial balance.
    pub fn trial_balance(&self) -> Vec<CurrencyTotal> {
        let mut totals: BTreeMap<(Currency, bool), (i128, i128)> = BTreeMap::new();
        for (key, state) in &self.accounts {
            let (debits, credits) = totals.entry((key.currency, key.livemode)).or_default();
            let minor = state.posted.minor();
            let normal_is_debit = key.name.account_type().normal_side() == Side::Debit;
            let sum = if normal_is_debit == (minor >= 0) {
                debits
            } else {
                credits
            };
            *sum = sum.saturating_add(minor.saturating_abs());
        }
        let row = |((currency, livemode), (debits_minor, credits_minor))| CurrencyTotal {
            currency,
            livemode,
            debits_minor,
            credits_minor,
        };
        totals.into_iter().map(row).collect()
    }
}

fn moved(balance: Balance, posting: &Posting) -> Result<Balance, PostingError> {
    let amount = Balance::from_minor(posting.amount.minor()).map_err(|_| PostingError::Overflow)?;
    let grows = posting.account.name.account_type().normal_side() == posting.side;
    let moved = if grows {
        balance.checked_add(amount)
    } else {
        balance.checked_sub(amount)
    };
    moved.map_err(|_| PostingError::Overflow)
}
