//! Owns what the checker knows of balance alerts, by its own counting: how each stands, and when it was raised and armed.

use florin_actors::account_shard::ShownAlert;
use florin_domain::commit::Commit;
use florin_domain::ids::{Seq, ShardId};
use florin_domain::ledger::{AlertCondition, AlertEdge, AlertId, AlertTerms, LedgerEvent};
use florin_domain::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Edges that an alert remembers.
const REMEMBERED: usize = 32;

#[derive(Debug)]
struct Watch {
    shard: ShardId,
    terms: AlertTerms,
    created: (Timestamp, Seq),
    /// All of them, the oldest first.
    edges: Vec<AlertEdge>,
}

/// All alerts that stand, and the names of all that ever did.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    alerts: BTreeMap<AlertId, Watch>,
    used: BTreeSet<AlertId>,
}

fn holds(condition: AlertCondition, value_minor: i128, amount_minor: i128) -> bool {
    let order = value_minor.cmp(&amount_minor);
    match condition {
        AlertCondition::Below => order.is_lt(),
        AlertCondition::Above => order.is_gt(),
        AlertCondition::AtOrBelow => order.is_le(),
        AlertCondition::AtOrAbove => order.is_ge(),
    }
}

impl Watched {
    /// Whether an alert stands.
    pub(crate) fn has(&self, id: AlertId) -> bool {
        self.alerts.contains_key(&id)
    }

    /// Whether a name was ever used.
    pub(crate) fn is_used(&self, id: AlertId) -> bool {
        self.used.contains(&id)
    }

    /// An alert is made or deleted.
    pub(crate) fn ledger(&mut self, commit: &Commit, event: &LedgerEvent) -> Option<String> {
        match event {
            LedgerEvent::AlertCreated(terms) => {
                let watch = Watch {
                    shard: commit.shard,
                    terms: terms.clone(),
                    created: (commit.at, commit.seq),
                    edges: Vec::new(),
                };
                self.alerts.insert(terms.id, watch);
                let is_new = self.used.insert(terms.id);
                (!is_new).then(|| format!("alert {} is made again", terms.id))
            }
            LedgerEvent::AlertDeleted(id) => {
                let there = self.alerts.remove(id);
                there
                    .is_none()
                    .then(|| format!("alert {id} is deleted and was not there"))
            }
            LedgerEvent::AccountOpened(_)
            | LedgerEvent::Transferred(_)
            | LedgerEvent::PendingExpired(_)
            | LedgerEvent::Crossed(_)
            | LedgerEvent::PeriodClosed { .. } => None,
        }
    }

    /// Looks at what a commit has left.
    pub(crate) fn look(&mut self, commit: &Commit, value: impl Fn(&AlertTerms) -> i128) {
        let here = self
            .alerts
            .values_mut()
            .filter(|watch| watch.shard == commit.shard);
        for watch in here {
            let value_minor = value(&watch.terms);
            let is_raised = holds(watch.terms.condition, value_minor, watch.terms.amount_minor);
            if watch.edges.last().is_none_or(|last| last.is_raised != is_raised) {
                watch.edges.push(AlertEdge {
                    is_raised,
                    seq: commit.seq,
                    at: commit.at,
                    value_minor,
                });
            }
        }
    }

    /// What is shown otherwise than it was counted.
    pub(crate) fn wrong(&self, shown: &[ShownAlert]) -> Vec<String> {
        let shown_ids: BTreeSet<AlertId> = shown.iter().map(|shown| shown.alert.terms.id).collect();
        let own_ids: BTreeSet<AlertId> = self.alerts.keys().copied().collect();
        let missing = own_ids.symmetric_difference(&shown_ids);
        let mut wrong: Vec<String> = missing
            .map(|id| format!("alert {id} is shown and was not made, or the other way round"))
            .collect();
        for shown in shown {
            let alert = &shown.alert;
            let Some(own) = self.alerts.get(&alert.terms.id) else {
                continue;
            };
            let raised = own.edges.iter().filter(|edge| edge.is_raised).count();
            let edges: Vec<&AlertEdge> = own.edges.iter().rev().take(REMEMBERED).collect();
            let same = own.terms == alert.terms
                && own.shard == shown.shard
                && own.created == (alert.created_at, alert.created_seq)
                && u64::try_from(raised) == Ok(alert.times_raised)
                && alert.history().collect::<Vec<_>>() == edges;
            if !same {
                wrong.push(format!(
                    "alert {} stands otherwise: {alert:?} and {own:?}",
                    alert.terms.id
                ));
            }
        }
        wrong
    }
}
