//! The shard's part in balance alerts: it makes and deletes them, and after every commit looks at those of the accounts that the
//! commit has changed. What an alert is and when it is raised is the books' to say; an edge is told when its commit is durable.

use super::alert_log::AlertLog;
use super::general::{GeneralMail, Held};
use super::{ShardMail, ShardState};
use crate::mailbox::Class;
use crate::reply::tell;
use florin_domain::ids::{ApiKeyId, Seq, ShardId};
use florin_domain::ledger::{
    AccountKey, AccountState, AlertChange, AlertId, AlertRefusal, AlertTerms, Alerts, BalanceAlert,
    LedgerEvent, Once,
};
use florin_domain::ports::ReadError;
use florin_domain::time::Timestamp;
use metrics::{Counter, Gauge};
use tokio::sync::oneshot;

/// An alert, and the account that it is about.
#[derive(Clone, Debug, PartialEq)]
pub struct ShownAlert {
    /// The alert.
    pub alert: BalanceAlert,
    /// The account as it stands.
    pub state: AccountState,
    /// The shard that has both.
    pub shard: ShardId,
    /// The commit as of which all of this is so.
    pub as_of: Seq,
}

/// What became of an alert that was to be made.
#[derive(Clone, Debug, PartialEq)]
pub enum AlertCreation {
    /// It is there now.
    Created(ShownAlert),
    /// It was there already, on the same terms.
    Existed(ShownAlert),
    /// It is not made.
    Refused(AlertRefusal),
}

/// A page of alerts.
#[derive(Clone, Copy, Debug, Default)]
pub struct AlertPage {
    /// Only those behind this one.
    pub after: Option<AlertId>,
    /// At most so many.
    pub limit: usize,
    /// Only those that are raised (`true`), or armed.
    pub is_raised: Option<bool>,
    /// Only those on this account.
    pub account: Option<AccountKey>,
}

/// What the shard is told and asked about alerts.
#[derive(Debug)]
pub enum AlertMail {
    /// Make one.
    Create {
        /// What it is about.
        terms: Box<AlertTerms>,
        /// On whose word.
        by: ApiKeyId,
        /// What it holds until it is durable.
        held: Held,
        /// Who waits; nothing comes if the index cannot be read.
        reply: oneshot::Sender<AlertCreation>,
    },
    /// Delete one.
    Delete {
        /// Which.
        id: AlertId,
        /// On whose word.
        by: ApiKeyId,
        /// What it holds until it is durable.
        held: Held,
        /// Who waits; `false` if there is none.
        reply: oneshot::Sender<bool>,
    },
    /// One of them.
    Get {
        /// Which.
        id: AlertId,
        /// Who asks.
        reply: oneshot::Sender<Option<ShownAlert>>,
    },
    /// Whether an id was ever used.
    IsUsed {
        /// Which.
        id: AlertId,
        /// Who asks; nothing comes if the index cannot be read.
        reply: oneshot::Sender<bool>,
    },
    /// Some of them, by id.
    List {
        /// Which.
        page: AlertPage,
        /// Who asks.
        reply: oneshot::Sender<Vec<ShownAlert>>,
    },
}

/// The figures of alerts, and what the log says of them.
#[derive(Clone)]
pub(super) struct AlertFigures {
    raised_total: Counter,
    raised: Gauge,
    log: AlertLog,
}

impl std::fmt::Debug for AlertFigures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AlertFigures").finish_non_exhaustive()
    }
}

impl AlertFigures {
    /// Those of one shard, as its journal has it.
    pub(super) fn of(shard: ShardId, alerts: &Alerts) -> Self {
        let label = shard.0.to_string();
        let figures = Self {
            raised_total: metrics::counter!("florin_ledger_alerts_raised_total", "shard" => label.clone()),
            raised: metrics::gauge!("florin_ledger_alerts_raised", "shard" => label),
            log: AlertLog::of(shard),
        };
        let (raised, total) = (alerts.raised(), alerts.raised_total());
        figures.show(raised, total);
        if raised > 0 {
            tracing::warn!(
                shard = shard.0,
                raised,
                "balance alerts are raised since before the start"
            );
        }
        figures
    }

    /// The count is the fold's: a raise is counted once, however often the process is started.
    fn show(&self, raised: usize, total: u64) {
        self.raised
            .set(f64::from(u32::try_from(raised).unwrap_or(u32::MAX)));
        self.raised_total.absolute(total);
    }

    /// This runs in the journal's writer: figures are exact at once, and the log follows by itself.
    fn tell_of(&self, changes: &[AlertChange]) {
        let raises = changes.iter().filter(|change| change.edge.is_raised).count();
        if raises > 0 {
            let raises = u64::try_from(raises).unwrap_or(u64::MAX);
            metrics::counter!("florin_alerts_total", "alert" => "balance_alert").increment(raises);
        }
        if !changes.is_empty() {
            self.log.hand_over(changes);
        }
    }
}

impl ShardState {
    pub(super) fn alert(&mut self, mail: AlertMail) {
        match mail {
            AlertMail::Create {
                terms,
                by,
                held,
                reply,
            } => match self.create_alert(*terms, by) {
                Ok(creation) => self.after_durable(move |_| {
                    drop(held);
                    tell(reply, creation);
                }),
                Err(error) => unreadable(&error),
            },
            AlertMail::Delete { id, by, held, reply } => {
                let is_there = self.books.delete_alert(id).is_some();
                if is_there {
                    let at = self.context.ports.clock.now();
                    self.record_at(LedgerEvent::AlertDeleted(id), Some(by), at);
                    self.tell_of_alerts(Vec::new());
                }
                self.after_durable(move |_| {
                    drop(held);
                    tell(reply, is_there);
                });
            }
            AlertMail::Get { id, reply } => {
                let shown = self.books.alerts().get(id).map(|alert| self.shown(alert));
                self.after_durable(move |_| tell(reply, shown));
            }
            AlertMail::IsUsed { id, reply } => match self.is_alert_used(id) {
                Ok(is_used) => self.after_durable(move |_| tell(reply, is_used)),
                Err(error) => unreadable(&error),
            },
            AlertMail::List { page, reply } => {
                let alerts = self.books.alerts().behind(page.after);
                let wanted = alerts.filter(|alert| {
                    page.is_raised
                        .is_none_or(|is_raised| alert.last.is_raised == is_raised)
                        && page.account.is_none_or(|account| alert.terms.account == account)
                });
                let shown = wanted.take(page.limit).map(|alert| self.shown(alert)).collect();
                self.after_durable(move |_| tell(reply, shown));
            }
        }
    }

    fn shown(&self, alert: &BalanceAlert) -> ShownAlert {
        ShownAlert {
            alert: alert.clone(),
            state: self.books.account(&alert.terms.account),
            shard: self.context.shard,
            as_of: self.head,
        }
    }

    /// Ids of alerts that are deleted stay used.
    fn is_alert_used(&self, id: AlertId) -> Result<bool, ReadError> {
        if self.books.alerts().get(id).is_some() || self.recent.has(Once::Alert(id)) {
            return Ok(true);
        }
        Ok(self.context.ports.transfers.alert_of(id)?.is_some())
    }

    fn create_alert(&mut self, terms: AlertTerms, by: ApiKeyId) -> Result<AlertCreation, ReadError> {
        let id = terms.id;
        if let Some(alert) = self.books.alerts().get(id) {
            return Ok(if alert.terms == terms {
                AlertCreation::Existed(self.shown(alert))
            } else {
                AlertCreation::Refused(AlertRefusal::IdReused)
            });
        }
        if self.is_alert_used(id)? {
            return Ok(AlertCreation::Refused(AlertRefusal::IdReused));
        }
        if let Err(refusal) = self.books.check_alert(&terms) {
            return Ok(AlertCreation::Refused(refusal));
        }
        let (at, seq) = (self.context.ports.clock.now(), self.head.next());
        let change = self.books.create_alert(terms.clone(), (at, seq));
        let seq = self.record_at(LedgerEvent::AlertCreated(terms), Some(by), at);
        self.recent.add(seq, vec![Once::Alert(id)]);
        let shard = self.context.account_shard.clone();
        self.after_durable(move |_| {
            // A full mailbox refuses no internal mail, and a dead shard has nothing to forget.
            drop(shard.send(Class::Internal, ShardMail::General(GeneralMail::Published(seq))));
        });
        self.tell_of_alerts(
            change
                .into_iter()
                .filter(|change| change.edge.is_raised)
                .collect(),
        );
        Ok(match self.books.alerts().get(id) {
            Some(alert) => AlertCreation::Created(self.shown(alert)),
            None => AlertCreation::Refused(AlertRefusal::IdReused),
        })
    }

    /// Looks at what the last commit has changed. Every commit that touches the books ends with this, before a snapshot is taken
    /// of it: recovery does the same at the same place.
    pub(super) fn watch_balances(&mut self, at: Timestamp) {
        let changes = self.books.evaluate_alerts((at, self.head));
        if !changes.is_empty() {
            self.tell_of_alerts(changes);
        }
    }

    /// Says so once it is durable: nobody is told of what a crash takes back.
    fn tell_of_alerts(&self, changes: Vec<AlertChange>) {
        let figures = self.alert_figures.clone();
        let alerts = self.books.alerts();
        let (raised, total) = (alerts.raised(), alerts.raised_total());
        self.after_durable(move |_| {
            figures.show(raised, total);
            figures.tell_of(&changes);
        });
    }
}

fn unreadable(error: &ReadError) {
    tracing::error!(%error, "the index of alerts cannot be read");
}
