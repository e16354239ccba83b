//! What the shard is asked about the general ledger. Nothing changes; each answer holds as of a durable commit.

use super::ShardState;
use crate::reply::tell;
use florin_domain::ids::{LedgerAccountId, Seq};
use florin_domain::ledger::{
    AccountKey, AccountName, AccountState, EffectiveDate, PendingTransfer, Statement, TransferId,
};
use florin_domain::money::Currency;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use tokio::sync::oneshot;

/// A page of the accounts that payments are booked on.
#[derive(Clone, Copy, Debug)]
pub struct PaymentAccounts {
    /// Only those of this name in this mode.
    pub of: Option<(AccountName, bool)>,
    /// Only those behind this one.
    pub after: Option<AccountKey>,
    /// At most so many.
    pub limit: usize,
}

/// The last closed day in each mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClosedPeriods {
    /// Of test money.
    pub test: Option<EffectiveDate>,
    /// Of real money.
    pub live: Option<EffectiveDate>,
}

/// The name of an opened account in a currency and mode (`true` is live), in which it is there once.
pub type AccountTitle = (Arc<str>, Currency, bool);

/// What is asked.
#[derive(Debug)]
pub enum Question {
    /// Accounts that payments are booked on, in the order of their names.
    PaymentAccounts {
        /// Which.
        page: PaymentAccounts,
        /// Who asks.
        reply: oneshot::Sender<(Vec<(AccountKey, AccountState)>, Seq)>,
    },
    /// These accounts; nothing for one that was never touched.
    Standings {
        /// Which.
        keys: Vec<AccountKey>,
        /// Who asks.
        reply: oneshot::Sender<(Vec<Option<AccountState>>, Seq)>,
    },
    /// The sums by type of account.
    Statements(oneshot::Sender<(Vec<Statement>, Seq)>),
    /// What is closed.
    Closed(oneshot::Sender<ClosedPeriods>),
    /// The opened accounts with these names; nothing where there is none.
    Titled {
        /// Which.
        titles: Vec<AccountTitle>,
        /// Who asks.
        reply: oneshot::Sender<Vec<Option<LedgerAccountId>>>,
    },
    /// A reservation, if it stands.
    Pending {
        /// Whose.
        id: TransferId,
        /// Who asks.
        reply: oneshot::Sender<Option<PendingTransfer>>,
    },
    /// What opened accounts are called.
    Names {
        /// Which accounts.
        ids: Vec<LedgerAccountId>,
        /// Who asks.
        reply: oneshot::Sender<BTreeMap<LedgerAccountId, Arc<str>>>,
    },
}

impl ShardState {
    pub(super) fn answer(&self, question: Question) {
        let seq = self.head;
        match question {
            Question::PaymentAccounts { page, reply } => {
                let accounts = self.payment_accounts(&page);
                self.after_durable(move |_| tell(reply, (accounts, seq)));
            }
            Question::Standings { keys, reply } => {
                let standing = |key| self.books.has(key).then(|| self.books.account(key));
                let standings = keys.iter().map(standing).collect();
                self.after_durable(move |_| tell(reply, (standings, seq)));
            }
            Question::Statements(reply) => {
                let statements = self.books.statements();
                self.after_durable(move |_| tell(reply, (statements, seq)));
            }
            Question::Closed(reply) => {
                let closed = ClosedPeriods {
                    test: self.books.closed_through(false),
                    live: self.books.closed_through(true),
                };
                self.after_durable(move |_| tell(reply, closed));
            }
            Question::Titled { titles, reply } => {
                let found = titles
                    .iter()
                    .map(|(name, currency, livemode)| self.books.account_named(name, *currency, *livemode));
                let found = found.collect();
                self.after_durable(move |_| tell(reply, found));
            }
            Question::Pending { id, reply } => {
                let pending = self.books.pending_transfer(id).cloned();
                self.after_durable(move |_| tell(reply, pending));
            }
            Question::Names { ids, reply } => {
                let names = ids.into_iter().filter_map(|id| {
                    let account = self.books.general_account(id)?;
                    Some((id, Arc::clone(&account.name)))
                });
                // What is open stays open under its name.
                tell(reply, names.collect());
            }
        }
    }

    pub(super) fn payment_accounts(&self, page: &PaymentAccounts) -> Vec<(AccountKey, AccountState)> {
        let first = |name| {
            let currency = Currency::all().min()?;
            Some(AccountKey {
                name,
                currency,
                livemode: false,
            })
        };
        let start = page.of.and_then(|(name, _)| first(name));
        let from = match (page.after, start) {
            (Some(after), Some(start)) if after < start => Bound::Included(start),
            (Some(after), _) => Bound::Excluded(after),
            (None, Some(start)) => Bound::Included(start),
            (None, None) => Bound::Unbounded,
        };
        self.books
            .payment_accounts_from(from)
            .take_while(|(key, _)| page.of.is_none_or(|(name, _)| key.name == name))
            .filter(|(key, _)| page.of.is_none_or(|(_, livemode)| key.livemode == livemode))
            .take(page.limit)
            .map(|(key, state)| (key, *state))
            .collect()
    }
}
