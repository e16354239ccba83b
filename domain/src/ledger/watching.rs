//! The alerts of a shard, and the books' part in them: whatever changes an account that is watched marks it, and at the end of a
//! commit the marked ones are looked at, once. What dips and recovers within one commit raises nothing.

use super::account::{AccountKey, AccountName};
use super::alert::{
    ALERTS_OF_ACCOUNT_MAX, ALERTS_OF_SHARD_MAX, AlertChange, AlertId, AlertRefusal, AlertTerms, BalanceAlert,
};
use super::books::Books;
use crate::ids::Seq;
use crate::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// The alerts of a shard.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alerts {
    by_id: BTreeMap<AlertId, BalanceAlert>,
    watched: BTreeMap<AccountKey, BTreeSet<AlertId>>,
    /// Watched accounts that the commit at hand has changed.
    touched: BTreeSet<AccountKey>,
    /// Raises of all alerts there ever were.
    raised_total: u64,
}

impl Alerts {
    /// Marks an account that has changed. Where nothing is watched, this is one look at an empty map.
    pub(super) fn touch(&mut self, key: &AccountKey) {
        if !self.watched.is_empty() && self.watched.contains_key(key) {
            self.touched.insert(*key);
        }
    }

    /// What was changed is as it was before.
    pub(super) fn untouch(&mut self) {
        self.touched.clear();
    }

    /// How often any alert was raised, those that are deleted included.
    pub const fn raised_total(&self) -> u64 {
        self.raised_total
    }

    /// How many are raised now.
    pub fn raised(&self) -> usize {
        self.by_id.values().filter(|alert| alert.last.is_raised).count()
    }

    /// All of them, by id.
    pub fn all(&self) -> impl ExactSizeIterator<Item = &BalanceAlert> {
        self.by_id.values()
    }

    /// Those behind an id, by id.
    pub fn behind(&self, after: Option<AlertId>) -> impl Iterator<Item = &BalanceAlert> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.by_id.range((from, Bound::Unbounded)).map(|(_, alert)| alert)
    }

    /// One of them.
    pub fn get(&self, id: AlertId) -> Option<&BalanceAlert> {
        self.by_id.get(&id)
    }

    fn insert(&mut self, alert: BalanceAlert) {
        let (id, account) = (alert.terms.id, alert.terms.account);
        self.watched.entry(account).or_default().insert(id);
        self.by_id.insert(id, alert);
    }
}

impl Books {
    /// The alerts.
    pub const fn alerts(&self) -> &Alerts {
        &self.alerts
    }

    /// Whether an alert could be made. That its id is new is for the caller to know.
    pub fn check_alert(&self, terms: &AlertTerms) -> Result<(), AlertRefusal> {
        let account = terms.account;
        let is_there = match account.name {
            AccountName::General(_) | AccountName::MerchantPayable(_) | AccountName::ProviderClearing(_) => {
                self.has(&account)
            }
            AccountName::FeeRevenue
            | AccountName::ProcessingFees
            | AccountName::Bank
            | AccountName::Suspense
            | AccountName::Rounding
            | AccountName::ShardClearing
            | AccountName::PaymentRevenue
            | AccountName::RefundsPayable
            | AccountName::Chargebacks
            | AccountName::Equity => true,
        };
        if !is_there {
            return Err(AlertRefusal::UnknownAccount(account));
        }
        if self.alerts.by_id.contains_key(&terms.id) {
            return Err(AlertRefusal::IdReused);
        }
        if self.alerts.by_id.len() >= ALERTS_OF_SHARD_MAX {
            return Err(AlertRefusal::ShardFull);
        }
        let on_account = self.alerts.watched.get(&account).map_or(0, BTreeSet::len);
        if on_account >= ALERTS_OF_ACCOUNT_MAX {
            return Err(AlertRefusal::AccountFull);
        }
        Ok(())
    }

    /// Makes an alert as commit `seq`; it may be raised at once. Nothing (and nothing has changed) if its id is there already. The
    /// bounds are not looked at: what is recorded was within those of its time.
    pub fn create_alert(&mut self, terms: AlertTerms, place: (Timestamp, Seq)) -> Option<AlertChange> {
        if self.alerts.by_id.contains_key(&terms.id) {
            return None;
        }
        let state = self.account(&terms.account);
        let alert = BalanceAlert::new(terms, &state, place);
        let change = AlertChange {
            id: alert.terms.id,
            account: alert.terms.account,
            edge: alert.last,
        };
        self.alerts.raised_total = self.alerts.raised_total.saturating_add(alert.times_raised);
        self.alerts.insert(alert);
        Some(change)
    }

    /// Forgets an alert. Nothing if there is none.
    pub fn delete_alert(&mut self, id: AlertId) -> Option<BalanceAlert> {
        let alert = self.alerts.by_id.remove(&id)?;
        let account = alert.terms.account;
        if let Some(ids) = self.alerts.watched.get_mut(&account) {
            ids.remove(&id);
            if ids.is_empty() {
                self.alerts.watched.remove(&account);
                self.alerts.touched.remove(&account);
            }
        }
        Some(alert)
    }

    /// Looks at what commit `seq` has changed, at the end of it. The edges, by account and by id.
    pub fn evaluate_alerts(&mut self, place: (Timestamp, Seq)) -> Vec<AlertChange> {
        let mut changes = Vec::new();
        while let Some(account) = self.alerts.touched.pop_first() {
            let state = self.account(&account);
            let Alerts {
                by_id,
                watched,
                raised_total,
                ..
            } = &mut self.alerts;
            for id in watched.get(&account).into_iter().flatten() {
                let edge = by_id.get_mut(id).and_then(|alert| alert.look(&state, place));
                let Some(edge) = edge else { continue };
                *raised_total = raised_total.saturating_add(u64::from(edge.is_raised));
                changes.push(AlertChange {
                    id: *id,
                    account,
                    edge,
                });
            }
        }
        changes
    }

    /// Puts the alerts back as a snapshot has them. `false` if one of them is there twice.
    pub(super) fn restore_alerts(&mut self, alerts: Vec<BalanceAlert>, raised_total: u64) -> bool {
        self.alerts.raised_total = raised_total;
        let count = alerts.len();
        for alert in alerts {
            self.alerts.insert(alert);
        }
        self.alerts.by_id.len() == count
    }
}
