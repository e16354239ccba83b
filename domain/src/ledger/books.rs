//! The books of one shard: running balances and holds. Their only writer is the shard's account actor.

use super::account::{AccountKey, Side};
use super::crossing::Crossing;
use super::entry::{Entry, HoldChange, Line, PostedEntry, Posting, PostingError};
use super::general::{AccountLimits, GeneralAccount};
use super::pending::PendingTransfer;
use super::transfer::{EffectiveDate, TransferId};
use super::watching::Alerts;
use crate::ids::{LedgerAccountId, Seq};
use crate::money::{Balance, Currency};
use crate::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

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

/// An opened account with its standing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Opened {
    pub(super) account: GeneralAccount,
    pub(super) state: AccountState,
}

/// All accounts of a shard.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Books {
    accounts: BTreeMap<AccountKey, AccountState>,
    /// By number.
    pub(super) general: Vec<Opened>,
    names: BTreeMap<(Arc<str>, Currency, bool), LedgerAccountId>,
    pub(super) pending: BTreeMap<TransferId, PendingTransfer>,
    pub(super) due: BTreeSet<(Timestamp, TransferId)>,
    pub(super) crossings: BTreeMap<TransferId, Crossing>,
    pub(super) alerts: Alerts,
    closed_test: Option<EffectiveDate>,
    closed_live: Option<EffectiveDate>,
}

impl Books {
    /// The standing of one account; an account that was never touched stands at zero.
    pub fn account(&self, key: &AccountKey) -> AccountState {
        match key.name.general() {
            Some(id) => self.opened(id).map(|opened| opened.state).unwrap_or_default(),
            None => self.accounts.get(key).copied().unwrap_or_default(),
        }
    }

    /// All accounts in order, those that were opened last.
    pub fn accounts(&self) -> impl Iterator<Item = (AccountKey, &AccountState)> {
        let general = self.general.iter();
        let general = general.filter_map(|opened| Some((opened.account.id.key()?, &opened.state)));
        self.accounts
            .iter()
            .map(|(key, state)| (*key, state))
            .chain(general)
    }

    /// Whether it was ever posted or reserved to, or opened.
    pub fn has(&self, key: &AccountKey) -> bool {
        match key.name.general() {
            Some(id) => self.opened(id).is_some(),
            None => self.accounts.contains_key(key),
        }
    }

    pub(super) fn opened(&self, id: LedgerAccountId) -> Option<&Opened> {
        let number = usize::try_from(id.number()).ok()?;
        self.general.get(number).filter(|opened| opened.account.id == id)
    }

    /// The accounts that were opened, by number.
    pub fn general_accounts(&self) -> impl ExactSizeIterator<Item = (&GeneralAccount, &AccountState)> {
        self.general.iter().map(|opened| (&opened.account, &opened.state))
    }

    /// The same from one number on.
    pub fn general_accounts_from(
        &self,
        number: usize,
    ) -> impl Iterator<Item = (&GeneralAccount, &AccountState)> {
        let opened = self.general.get(number..).unwrap_or_default();
        opened.iter().map(|opened| (&opened.account, &opened.state))
    }

    /// The accounts that payments are booked on, in order, from one on.
    pub fn payment_accounts_from(
        &self,
        from: Bound<AccountKey>,
    ) -> impl Iterator<Item = (AccountKey, &AccountState)> {
        let accounts = self.accounts.range((from, Bound::Unbounded));
        accounts.map(|(key, state)| (*key, state))
    }

    /// The opened account with this id.
    pub fn general_account(&self, id: LedgerAccountId) -> Option<&GeneralAccount> {
        self.opened(id).map(|opened| &opened.account)
    }

    /// The opened account with this name.
    pub fn account_named(
        &self,
        name: &Arc<str>,
        currency: Currency,
        livemode: bool,
    ) -> Option<LedgerAccountId> {
        self.names.get(&(Arc::clone(name), currency, livemode)).copied()
    }

    /// Opens an account. Refused (`false`) if its number is not the next one, or its name is taken.
    pub fn open_account(&mut self, account: GeneralAccount) -> bool {
        let Some(key) = account.id.key() else { return false };
        let name = (Arc::clone(&account.name), key.currency, key.livemode);
        let is_next = usize::try_from(account.id.number()) == Ok(self.general.len());
        if !is_next || self.names.contains_key(&name) {
            return false;
        }
        self.names.insert(name, account.id);
        self.general.push(Opened {
            account,
            state: AccountState::default(),
        });
        true
    }

    /// The last day that is closed in a mode.
    pub fn closed_through(&self, livemode: bool) -> Option<EffectiveDate> {
        if livemode {
            self.closed_live
        } else {
            self.closed_test
        }
    }

    /// Closes every day up to and including this one; an earlier day than before changes nothing.
    pub fn close_through(&mut self, livemode: bool, day: EffectiveDate) {
        let closed = if livemode {
            &mut self.closed_live
        } else {
            &mut self.closed_test
        };
        *closed = (*closed).max(Some(day));
    }

    /// Reservations that stand, by id.
    pub fn pending_transfers(&self) -> impl ExactSizeIterator<Item = (TransferId, &PendingTransfer)> {
        self.pending.iter().map(|(id, pending)| (*id, pending))
    }

    /// The reservation with this id, if it stands.
    pub fn pending_transfer(&self, id: TransferId) -> Option<&PendingTransfer> {
        self.pending.get(&id)
    }

    /// Reservations whose time is over, at most so many, the longest over first.
    pub fn pending_over(&self, now: Timestamp, limit: usize) -> Vec<TransferId> {
        let over = self.due.iter().take_while(|(at, _)| *at <= now);
        over.map(|(_, id)| *id).take(limit).collect()
    }

    /// Puts an account back as a snapshot has it; an opened one must be open again before.
    pub fn restore(&mut self, key: AccountKey, state: AccountState) {
        self.replace(key, Some(state));
    }

    /// Sets an account's standing as part of a commit, or forgets that it ever was touched, and gives what was before; nothing for an account that
    /// was not there. An opened account is always there.
    pub(super) fn put(&mut self, key: AccountKey, state: Option<AccountState>) -> Option<AccountState> {
        self.alerts.touch(&key);
        self.replace(key, state)
    }

    fn replace(&mut self, key: AccountKey, state: Option<AccountState>) -> Option<AccountState> {
        match (key.name.general(), state) {
            (Some(id), state) => {
                let number = usize::try_from(id.number()).unwrap_or(usize::MAX);
                let opened = self.general.get_mut(number)?;
                Some(std::mem::replace(&mut opened.state, state.unwrap_or_default()))
            }
            (None, Some(state)) => self.accounts.insert(key, state),
            (None, None) => self.accounts.remove(&key),
        }
    }

    /// Puts a reservation back as a snapshot has it; what it reserves is in the accounts' standings already.
    pub fn restore_pending(&mut self, id: TransferId, pending: PendingTransfer) {
        self.due.extend(pending.expires_at.map(|at| (at, id)));
        self.pending.insert(id, pending);
    }

    pub(super) fn limits(&self, key: &AccountKey) -> AccountLimits {
        match key.name.general() {
            Some(id) => self
                .opened(id)
                .map(|opened| opened.account.limits)
                .unwrap_or_default(),
            None => AccountLimits::default(),
        }
    }

    pub(super) fn set(&mut self, key: AccountKey, state: AccountState) {
        self.put(key, Some(state));
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
            let mut state = self.account(&line.posting.account);
            state.posted = line.balance_after;
            state.last_posted = seq;
            self.set(line.posting.account, state);
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
        for (key, state) in held {
            self.set(key, state);
        }
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
        for (key, state) in folded {
            self.set(key, state);
        }
        Ok(())
    }

    /// Debits against credits per currency and mode: the trial balance.
    pub fn trial_balance(&self) -> Vec<CurrencyTotal> {
        let mut totals: BTreeMap<(Currency, bool), (i128, i128)> = BTreeMap::new();
        for (key, state) in self.accounts() {
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

pub(super) fn moved(balance: Balance, posting: &Posting) -> Result<Balance, PostingError> {
    let amount = Balance::from_minor(posting.amount.minor()).map_err(|_| PostingError::Overflow)?;
    let grows = posting.account.name.account_type().normal_side() == posting.side;
    let moved = if grows {
        balance.checked_add(amount)
    } else {
        balance.checked_sub(amount)
    };
    moved.map_err(|_| PostingError::Overflow)
}
