//! The ledger over all shards. An account is in one shard, or each shard has a part of it; then its balance is the sum.

use super::{LedgerError, LedgerHandle};
use crate::account_shard::{AccountTitle, ClosedPeriods, GeneralMail, PaymentAccounts, Question, ShardMail};
use crate::mailbox::Class;
use florin_domain::ids::{ApiKeyId, LedgerAccountId, Seq, ShardId};
use florin_domain::ledger::{
    AccountKey, AccountState, CurrencyTotal, EffectiveDate, GeneralAccount, PendingTransfer, PostedTransfer,
    Statement, TransferId,
};
use florin_domain::money::{Balance, Currency};
use florin_domain::placement::Unplaced;
use florin_domain::ports::PastCommit;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// An account's standing, with the commit of its shard as of which it stands so; with none if it is the sum of several shards' parts.
pub type Standing = (AccountState, Option<Seq>);

/// Rows and the commit as of which they are; with none if several shards gave them.
pub type AsOfRows<T> = (Vec<T>, Option<Seq>);

fn sum(left: &AccountState, right: &AccountState) -> AccountState {
    let posted = left.posted.checked_add(right.posted);
    AccountState {
        // No sum of parts comes near the bound of one.
        posted: posted.unwrap_or(Balance::ZERO),
        pending_credit_minor: left
            .pending_credit_minor
            .saturating_add(right.pending_credit_minor),
        pending_debit_minor: left.pending_debit_minor.saturating_add(right.pending_debit_minor),
        // Says only that it was ever posted to.
        last_posted: left.last_posted.max(right.last_posted),
    }
}

impl LedgerHandle {
    /// A handle on one shard alone, if there is such a one: its part of what each shard has a part of.
    pub fn in_shard(&self, shard: ShardId) -> Option<Self> {
        let context = Arc::clone(self.shards.get(shard)?);
        Some(Self::new(crate::shards::Shards::new(context, Vec::new())))
    }

    /// How many shards there are.
    pub fn shards(&self) -> usize {
        self.shards.count()
    }

    fn is_one(&self) -> bool {
        self.shards.count() == 1
    }

    /// The only shard that has something of an account, if there is only one.
    pub(super) fn part_of(&self, key: AccountKey) -> Result<Self, LedgerError> {
        match key.home() {
            Some(home) => Ok(self.at(home)),
            None if self.is_one() => Ok(self.clone()),
            None => Err(LedgerError::Striped),
        }
    }

    /// One account.
    pub async fn account(&self, key: AccountKey) -> Result<Standing, LedgerError> {
        if let Ok(part) = self.part_of(key) {
            let (state, seq) = part.account_here(key).await?;
            return Ok((state, Some(seq)));
        }
        let mut whole = AccountState::default();
        for context in self.shards.iter() {
            whole = sum(&whole, &self.on(context).account_here(key).await?.0);
        }
        Ok((whole, None))
    }

    /// Accounts of all shards, those of which several have a part summed up.
    pub async fn accounts(&self) -> Result<AsOfRows<(AccountKey, AccountState)>, LedgerError> {
        let mut parts = Vec::new();
        for context in self.shards.iter() {
            parts.push(self.on(context).ask(ShardMail::Accounts).await?);
        }
        Ok(merged(parts))
    }

    /// Accounts that payments are booked on, in the order of their names.
    pub async fn payment_accounts(
        &self,
        page: PaymentAccounts,
    ) -> Result<AsOfRows<(AccountKey, AccountState)>, LedgerError> {
        let mut parts = Vec::new();
        for context in self.shards.iter() {
            let asked = |reply| ShardMail::Question(Question::PaymentAccounts { page, reply });
            parts.push(self.on(context).ask(asked).await?);
        }
        let (mut accounts, as_of) = merged(parts);
        accounts.truncate(page.limit);
        Ok((accounts, as_of))
    }

    /// Opened accounts behind one, shard by shard and by number, each with its shard's commit.
    pub async fn general_accounts(
        &self,
        after: Option<LedgerAccountId>,
        limit: usize,
    ) -> Result<Vec<(GeneralAccount, AccountState, Seq)>, LedgerError> {
        let mut found = Vec::new();
        let behind = after.map(|id| (id.shard(), usize::try_from(id.number()).unwrap_or(usize::MAX)));
        for context in self.shards.iter() {
            let from = match behind {
                Some((shard, _)) if context.shard < shard => continue,
                Some((shard, number)) if context.shard == shard => number.saturating_add(1),
                Some(_) | None => 0,
            };
            let limit = limit.saturating_sub(found.len());
            if limit == 0 {
                break;
            }
            let page = |reply| ShardMail::General(GeneralMail::Page { from, limit, reply });
            let (accounts, seq) = self.on(context).ask(page).await?;
            found.extend(accounts.into_iter().map(|(account, state)| (account, state, seq)));
        }
        Ok(found)
    }

    /// An opened account.
    pub async fn general_account(
        &self,
        id: LedgerAccountId,
    ) -> Result<Option<(GeneralAccount, AccountState, Seq)>, LedgerError> {
        let from = usize::try_from(id.number()).unwrap_or(usize::MAX);
        let page = |reply| {
            ShardMail::General(GeneralMail::Page {
                from,
                limit: 1,
                reply,
            })
        };
        let (found, seq) = self.at(id.shard()).ask(page).await?;
        let found = found.into_iter().find(|(account, _)| account.id == id);
        Ok(found.map(|(account, state)| (account, state, seq)))
    }

    /// Debits against credits per currency.
    pub async fn trial_balance(&self) -> Result<Vec<CurrencyTotal>, LedgerError> {
        let mut totals: BTreeMap<(Currency, bool), CurrencyTotal> = BTreeMap::new();
        for context in self.shards.iter() {
            for part in self.on(context).ask(ShardMail::TrialBalance).await? {
                let key = (part.currency, part.livemode);
                match totals.entry(key) {
                    Entry::Vacant(free) => drop(free.insert(part)),
                    Entry::Occupied(mut known) => {
                        let total = known.get_mut();
                        total.debits_minor = total.debits_minor.saturating_add(part.debits_minor);
                        total.credits_minor = total.credits_minor.saturating_add(part.credits_minor);
                    }
                }
            }
        }
        Ok(totals.into_values().collect())
    }

    /// The sums by type of account, for each currency and mode.
    pub async fn statements(&self) -> Result<AsOfRows<Statement>, LedgerError> {
        let mut whole: BTreeMap<(Currency, bool), Statement> = BTreeMap::new();
        let mut as_of = None;
        for context in self.shards.iter() {
            let asked = |reply| ShardMail::Question(Question::Statements(reply));
            let (parts, seq) = self.on(context).ask(asked).await?;
            as_of = self.is_one().then_some(seq);
            for part in parts {
                match whole.entry((part.currency, part.livemode)) {
                    Entry::Vacant(free) => drop(free.insert(part)),
                    Entry::Occupied(mut known) => {
                        let total = known.get().plus(&part);
                        known.insert(total);
                    }
                }
            }
        }
        Ok((whole.into_values().collect(), as_of))
    }

    /// What is closed in every shard.
    pub async fn closed_periods(&self) -> Result<ClosedPeriods, LedgerError> {
        let mut whole: Option<ClosedPeriods> = None;
        for context in self.shards.iter() {
            let asked = |reply| ShardMail::Question(Question::Closed(reply));
            let part = self.on(context).ask(asked).await?;
            whole = Some(whole.map_or(part, |known| ClosedPeriods {
                test: known.test.min(part.test),
                live: known.live.min(part.live),
            }));
        }
        whole.ok_or(LedgerError::Gone)
    }

    /// Closes in every shard what is closed in any: a shard may have been added since, or the process ended in between. This is a step of the
    /// start, and paid for in advance: one message at a time, before anybody is served. So neither a lagging index nor a store without room
    /// refuses it, as they refuse new work; where there is no room, it waits for some.
    pub async fn level_periods(&self) -> Result<(), LedgerError> {
        let mut parts = Vec::new();
        for context in self.shards.iter() {
            let asked = |reply| ShardMail::Question(Question::Closed(reply));
            parts.push(self.on(context).ask_as(Class::Internal, asked).await?);
        }
        let furthest = [
            (false, parts.iter().filter_map(|part| part.test).max()),
            (true, parts.iter().filter_map(|part| part.live).max()),
        ];
        for (livemode, through) in furthest {
            let Some(through) = through else { continue };
            let closed = |part: &ClosedPeriods| if livemode { part.live } else { part.test };
            if parts.iter().any(|part| closed(part) < Some(through)) {
                for context in self.shards.iter() {
                    let mail = |reply| GeneralMail::ClosePeriod {
                        through,
                        livemode,
                        by: None,
                        held: None,
                        reply,
                    };
                    let closing = self.on(context);
                    closing
                        .ask_as(Class::Internal, |reply| ShardMail::General(mail(reply)))
                        .await?;
                }
            }
        }
        Ok(())
    }

    /// Closes every day up to and including `through` in every shard. What fails on the way may be asked again.
    pub async fn close_period(
        &self,
        through: EffectiveDate,
        livemode: bool,
        by: ApiKeyId,
    ) -> Result<(), LedgerError> {
        for context in self.shards.iter() {
            let held = Some(self.held(0)?);
            let mail = |reply| GeneralMail::ClosePeriod {
                through,
                livemode,
                by: Some(by),
                held,
                reply,
            };
            let closing = self.on(context);
            closing.ask(|reply| ShardMail::General(mail(reply))).await?;
        }
        Ok(())
    }

    /// The accounts that are open under these names, one in each shard at most, in the order of the shards.
    pub async fn accounts_titled(
        &self,
        titles: BTreeSet<AccountTitle>,
    ) -> Result<BTreeMap<AccountTitle, Vec<AccountKey>>, LedgerError> {
        let titles: Vec<AccountTitle> = titles.into_iter().collect();
        let mut open: BTreeMap<AccountTitle, Vec<AccountKey>> = BTreeMap::new();
        for context in self.shards.iter() {
            let asked = titles.clone();
            let mail = |reply| ShardMail::Question(Question::Titled { titles: asked, reply });
            let found = self.on(context).ask(mail).await?;
            let keys = found.into_iter().map(|id| id.and_then(LedgerAccountId::key));
            for (title, key) in titles.iter().zip(keys) {
                open.entry(title.clone()).or_default().extend(key);
            }
        }
        Ok(open)
    }

    /// The shard for an account of this name. One that is open stays where it is, so that what opened it may be asked again however
    /// accounts are placed by then.
    pub async fn place_account(
        &self,
        title: &AccountTitle,
        asked: Option<ShardId>,
    ) -> Result<Result<ShardId, Unplaced>, LedgerError> {
        let open = if self.is_one() {
            BTreeMap::new()
        } else {
            self.accounts_titled(BTreeSet::from([title.clone()])).await?
        };
        let homes: Vec<ShardId> = open.values().flatten().filter_map(AccountKey::home).collect();
        let placement = &self.context.options.placement;
        Ok(placement.of_open_account(&title.0, asked, &homes))
    }

    /// The reservation of a pending transfer, while it stands.
    pub async fn pending(&self, id: TransferId) -> Result<Option<PendingTransfer>, LedgerError> {
        for context in self.shards.iter() {
            let asked = |reply| ShardMail::Question(Question::Pending { id, reply });
            let found = self.on(context).ask(asked).await?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The record of a transfer, and the commit that holds it.
    pub async fn recorded(
        &self,
        id: TransferId,
    ) -> Result<Option<(PastCommit, PostedTransfer)>, LedgerError> {
        for context in self.shards.iter() {
            let found = self.on(context).recorded_here(id).await?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}

fn merged(parts: Vec<(Vec<(AccountKey, AccountState)>, Seq)>) -> AsOfRows<(AccountKey, AccountState)> {
    let as_of = match parts.as_slice() {
        [(_, seq)] => Some(*seq),
        _ => None,
    };
    let mut accounts: BTreeMap<AccountKey, AccountState> = BTreeMap::new();
    for (key, part) in parts.into_iter().flat_map(|(part, _)| part) {
        let whole = accounts.get(&key).map_or(part, |known| sum(known, &part));
        accounts.insert(key, whole);
    }
    (accounts.into_iter().collect(), as_of)
}
