//! A second ledger, as plain as it can be: maps, and a copy of everything to go back to. It shares no code with the first one.

use super::*;
use std::collections::{BTreeMap, BTreeSet};

/// An account, whether it is debited, and how much in minor units.
type Leg = (AccountKey, bool, i128);

/// What is reserved, and until when.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Promise {
    pub(super) legs: Vec<Leg>,
    pub(super) until_ms: Option<u64>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct PlainLedger {
    pub(super) posted: BTreeMap<AccountKey, i128>,
    /// By account and whether debits are expected.
    pub(super) expected: BTreeMap<(AccountKey, bool), i128>,
    pub(super) there: BTreeSet<AccountKey>,
    pub(super) promises: BTreeMap<u128, Promise>,
    /// By mode.
    pub(super) closed_through: BTreeMap<bool, u32>,
    opened: BTreeMap<AccountKey, (AccountType, AccountLimits)>,
    /// What transfers posted, by id.
    moved: BTreeMap<u128, Vec<Leg>>,
    reverted: BTreeSet<u128>,
}

impl PlainLedger {
    pub(super) fn open(&mut self, key: AccountKey, account_type: AccountType, limits: AccountLimits) {
        self.opened.insert(key, (account_type, limits));
        self.there.insert(key);
    }

    pub(super) fn account_type(&self, key: &AccountKey) -> AccountType {
        match key.name {
            AccountName::Bank | AccountName::ProviderClearing(_) => AccountType::Asset,
            AccountName::MerchantPayable(_)
            | AccountName::Suspense
            | AccountName::RefundsPayable
            | AccountName::ShardClearing => AccountType::Liability,
            AccountName::Rounding | AccountName::Equity => AccountType::Equity,
            AccountName::FeeRevenue | AccountName::PaymentRevenue => AccountType::Revenue,
            AccountName::ProcessingFees | AccountName::Chargebacks => AccountType::Expense,
            AccountName::General(_) => self.opened[key].0,
        }
    }

    pub(super) fn limits(&self, key: &AccountKey) -> AccountLimits {
        self.opened.get(key).map(|opened| opened.1).unwrap_or_default()
    }

    fn grows_by_debit(&self, key: &AccountKey) -> bool {
        matches!(self.account_type(key), AccountType::Asset | AccountType::Expense)
    }

    pub(super) fn posted(&self, key: &AccountKey) -> i128 {
        self.posted.get(key).copied().unwrap_or(0)
    }

    pub(super) fn expected(&self, key: &AccountKey, debits: bool) -> i128 {
        self.expected.get(&(*key, debits)).copied().unwrap_or(0)
    }

    /// What may be taken.
    pub(super) fn available(&self, key: &AccountKey) -> i128 {
        self.posted(key) - self.expected(key, !self.grows_by_debit(key))
    }

    /// What it may come to.
    pub(super) fn reached(&self, key: &AccountKey) -> i128 {
        self.posted(key) + self.expected(key, self.grows_by_debit(key))
    }

    pub(super) fn add(&mut self, (key, is_debit, minor): Leg) {
        let grows = self.grows_by_debit(&key) == is_debit;
        *self.posted.entry(key).or_default() += if grows { minor } else { -minor };
        self.there.insert(key);
    }

    pub(super) fn expect(&mut self, (key, is_debit, minor): Leg) {
        *self.expected.entry((key, is_debit)).or_default() += minor;
        self.there.insert(key);
    }

    /// A change of one account, which its limits may forbid.
    fn change(&mut self, leg: Leg, is_payout: bool, how: fn(&mut Self, Leg)) -> Result<(), &'static str> {
        let key = leg.0;
        let before = (self.available(&key), self.reached(&key));
        how(self, leg);
        let after = (self.available(&key), self.reached(&key));
        let is_owed = self.account_type(&key) == AccountType::Liability;
        if is_payout && is_owed && after.0 < before.0 && after.0 < 0 {
            return Err("payout_exceeds_owed");
        }
        let limits = self.limits(&key);
        if after.0 < before.0 && limits.min_minor.is_some_and(|min| after.0 < min) {
            return Err("insufficient_funds");
        }
        if after.1 > before.1 && limits.max_minor.is_some_and(|max| after.1 > max) {
            return Err("account_limit_exceeded");
        }
        Ok(())
    }

    /// What a request comes to, one word for each transfer.
    pub(super) fn request(
        &mut self,
        asked: &[Transfer],
        is_atomic: bool,
        now_ms: u64,
        used: &BTreeSet<u128>,
    ) -> Vec<&'static str> {
        let mut chains: Vec<Vec<&Transfer>> = vec![Vec::new()];
        for transfer in asked {
            chains.last_mut().unwrap().push(transfer);
            if !is_atomic && !transfer.linked {
                chains.push(Vec::new());
            }
        }
        let mut seen = BTreeSet::new();
        let mut words = Vec::new();
        for chain in chains {
            let whole = self.clone();
            let mut said = Vec::new();
            for transfer in &chain {
                let before = self.clone();
                said.push(if used.contains(&transfer.id.0) {
                    "exists"
                } else if !seen.insert(transfer.id.0) {
                    "transfer_id_reused"
                } else if let Err(word) = self.apply(transfer, now_ms, used) {
                    *self = before;
                    word
                } else {
                    "done"
                });
            }
            if !is_atomic && chain.last().is_some_and(|last| last.linked) {
                *said.last_mut().unwrap() = "linked_chain_open";
            }
            if said.iter().any(|word| *word != "done") {
                *self = whole;
                for word in said.iter_mut().filter(|word| **word == "done") {
                    *word = "linked_transfer_failed";
                }
            }
            words.extend(said);
        }
        words
    }

    fn apply(&mut self, transfer: &Transfer, now_ms: u64, used: &BTreeSet<u128>) -> Result<(), &'static str> {
        let today = u32::try_from(now_ms / 1000 / 60 / 60 / 24).unwrap();
        let day = transfer.effective.map_or(today, |day| day.0);
        if day > today {
            return Err("effective_in_future");
        }
        match transfer.step {
            TransferStep::Single => {
                self.check_day(mode(&transfer.legs)?, day)?;
                let legs = checked(&transfer.legs)?;
                for leg in &legs {
                    self.check_known(&leg.0)?;
                    self.change(*leg, transfer.is_payout, Self::add)?;
                }
                self.moved.insert(transfer.id.0, legs);
            }
            TransferStep::Pending { expires_at } => {
                self.check_day(mode(&transfer.legs)?, day)?;
                let legs = checked(&transfer.legs)?;
                for leg in &legs {
                    self.check_known(&leg.0)?;
                }
                for leg in &legs {
                    self.change(*leg, transfer.is_payout, Self::expect)?;
                }
                let until_ms = expires_at.map(crate::time::Timestamp::unix_ms);
                self.promises.insert(transfer.id.0, Promise { legs, until_ms });
            }
            TransferStep::Post { pending } => {
                let promise = self.standing(pending, now_ms)?;
                let TransferLegs::OfPending(amount) = &transfer.legs else {
                    return Err("pending_transfer_missing");
                };
                let legs = part(&promise.legs, amount.map(Amount::minor))?;
                self.check_day(legs[0].0.livemode, day)?;
                self.release(pending.0);
                for leg in &legs {
                    self.change(*leg, transfer.is_payout, Self::add)?;
                }
                self.moved.insert(transfer.id.0, legs);
            }
            TransferStep::Void { pending } => {
                self.standing(pending, now_ms)?;
                if !matches!(transfer.legs, TransferLegs::OfPending(_)) {
                    return Err("pending_transfer_missing");
                }
                self.release(pending.0);
            }
            TransferStep::Revert { reverts } => {
                if !used.contains(&reverts.0) {
                    return Err("reverted_transfer_missing");
                }
                let back = self.moved.get(&reverts.0).cloned();
                let mut back = back.ok_or("transfer_not_revertible")?;
                self.check_day(back[0].0.livemode, day)?;
                if !self.reverted.insert(reverts.0) {
                    return Err("transfer_already_reverted");
                }
                // Each line the other way, the last one first.
                for leg in &mut back {
                    leg.1 = !leg.1;
                }
                back.reverse();
                for leg in &back {
                    self.change(*leg, transfer.is_payout, Self::add)?;
                }
                self.moved.insert(transfer.id.0, back);
            }
        }
        Ok(())
    }

    fn standing(&self, pending: TransferId, now_ms: u64) -> Result<Promise, &'static str> {
        match self.promises.get(&pending.0) {
            None => Err("pending_transfer_missing"),
            Some(promise) if promise.until_ms.is_some_and(|until| until <= now_ms) => {
                Err("pending_transfer_expired")
            }
            Some(promise) => Ok(promise.clone()),
        }
    }

    /// Lets go of everything that a pending transfer reserved.
    pub(super) fn release(&mut self, id: u128) {
        for (key, is_debit, minor) in self.promises.remove(&id).unwrap().legs {
            self.expect((key, is_debit, -minor));
        }
    }

    pub(super) fn over(&self, now_ms: u64) -> BTreeSet<u128> {
        let over = |promise: &Promise| promise.until_ms.is_some_and(|until| until <= now_ms);
        let ended = self.promises.iter().filter(|(_, promise)| over(promise));
        ended.map(|(id, _)| *id).collect()
    }

    fn check_day(&self, livemode: bool, day: u32) -> Result<(), &'static str> {
        match self.closed_through.get(&livemode) {
            Some(closed) if day <= *closed => Err("period_closed"),
            _ => Ok(()),
        }
    }

    fn check_known(&self, key: &AccountKey) -> Result<(), &'static str> {
        let must_be_there = matches!(
            key.name,
            AccountName::General(_) | AccountName::MerchantPayable(_) | AccountName::ProviderClearing(_)
        );
        if must_be_there && !self.there.contains(key) {
            return Err("account_unknown");
        }
        Ok(())
    }
}

/// Whose periods are asked before anything else is looked at: of a pair those of the account debited.
fn mode(legs: &TransferLegs) -> Result<bool, &'static str> {
    match legs {
        TransferLegs::Pair { debit, .. } => Ok(debit.livemode),
        TransferLegs::Many(postings) => Ok(postings.iter().any(|posting| posting.account.livemode)),
        TransferLegs::OfPending(_) | TransferLegs::Irreversible(_) => Err("pending_transfer_missing"),
    }
}

fn checked(legs: &TransferLegs) -> Result<Vec<Leg>, &'static str> {
    match legs {
        TransferLegs::Pair {
            debit,
            credit,
            amount,
        } => {
            if debit == credit {
                return Err("transfer_same_account");
            }
            if debit.livemode != credit.livemode {
                return Err("transfer_mixed_modes");
            }
            if debit.currency != credit.currency {
                return Err("transfer_mixed_currencies");
            }
            Ok(vec![
                (*debit, true, amount.minor()),
                (*credit, false, amount.minor()),
            ])
        }
        TransferLegs::Many(postings) => {
            let modes: BTreeSet<bool> = postings.iter().map(|posting| posting.account.livemode).collect();
            if modes.len() > 1 {
                return Err("transfer_mixed_modes");
            }
            if postings.len() < 2 {
                return Err("transfer_too_few_postings");
            }
            let mut debits_less_credits: BTreeMap<&str, i128> = BTreeMap::new();
            for posting in postings {
                let sum = debits_less_credits
                    .entry(posting.account.currency.code())
                    .or_default();
                *sum += match posting.side {
                    Side::Debit => posting.amount.minor(),
                    Side::Credit => -posting.amount.minor(),
                };
            }
            if debits_less_credits.values().any(|sum| *sum != 0) {
                return Err("transfer_unbalanced");
            }
            let leg = |posting: &Posting| {
                (
                    posting.account,
                    posting.side == Side::Debit,
                    posting.amount.minor(),
                )
            };
            Ok(postings.iter().map(leg).collect())
        }
        TransferLegs::OfPending(_) | TransferLegs::Irreversible(_) => Err("pending_transfer_missing"),
    }
}

/// What of a promise is kept: any part of it from one account to another, otherwise all.
fn part(promised: &[Leg], minor: Option<i128>) -> Result<Vec<Leg>, &'static str> {
    if let [(from, true, whole), (to, false, _)] = promised
        && from != to
    {
        let minor = minor.unwrap_or(*whole);
        if minor > *whole {
            return Err("amount_exceeds_pending");
        }
        return Ok(vec![(*from, true, minor), (*to, false, minor)]);
    }
    let whole: i128 = promised.iter().filter(|leg| leg.1).map(|leg| leg.2).sum();
    match minor {
        Some(minor) if minor != whole => Err("amount_exceeds_pending"),
        _ => Ok(promised.to_vec()),
    }
}
