//! What can happen to the general ledger; payments book through their own commits.

use super::alert::{AlertId, AlertTerms};
use super::books::Books;
use super::crossing::CrossingStep;
use super::entry::{Line, PostingError};
use super::general::GeneralAccount;
use super::transfer::{EffectiveDate, PostedTransfer, TransferId};
use crate::ids::{ApiKeyId, Seq};
use crate::time::Timestamp;

/// One fact about the general ledger.
#[derive(Clone, Debug, PartialEq)]
pub enum LedgerEvent {
    /// An account was opened.
    AccountOpened(GeneralAccount),
    /// Transfers were recorded, together.
    Transferred(Vec<PostedTransfer>),
    /// Reservations ended because their time was over.
    PendingExpired(Vec<TransferId>),
    /// Steps of transfers between shards.
    Crossed(Vec<CrossingStep>),
    /// Nothing more is booked for any day up to this one.
    PeriodClosed {
        /// The last day that is closed.
        through: EffectiveDate,
        /// In which mode.
        livemode: bool,
    },
    /// An alert was made.
    AlertCreated(AlertTerms),
    /// An alert was deleted.
    AlertDeleted(AlertId),
}

/// What happened, and on whose word.
#[derive(Clone, Debug, PartialEq)]
pub struct LedgerCommit {
    /// What.
    pub event: LedgerEvent,
    /// The operator's key; nobody when time did it.
    pub by: Option<ApiKeyId>,
}

impl LedgerEvent {
    /// Stable name for histories and exports.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::AccountOpened(_) => "ledger.account_opened",
            Self::Transferred(_) => "ledger.transferred",
            Self::PendingExpired(_) => "ledger.pending_expired",
            Self::PeriodClosed { .. } => "ledger.period_closed",
            Self::Crossed(_) => "ledger.crossed",
            Self::AlertCreated(_) => "ledger.alert_created",
            Self::AlertDeleted(_) => "ledger.alert_deleted",
        }
    }

    /// The lines that it posted.
    pub fn lines(&self) -> Vec<Line> {
        match self {
            Self::Transferred(transfers) => transfers.iter().flat_map(PostedTransfer::lines).collect(),
            Self::Crossed(steps) => steps.iter().flat_map(CrossingStep::lines).collect(),
            Self::AccountOpened(_)
            | Self::PendingExpired(_)
            | Self::PeriodClosed { .. }
            | Self::AlertCreated(_)
            | Self::AlertDeleted(_) => Vec::new(),
        }
    }
}

impl Books {
    /// Folds a recorded event, which is a commit of its own, and checks that it can follow and that its running balances are what
    /// these books come to.
    pub fn replay_ledger(
        &mut self,
        event: &LedgerEvent,
        place: (Timestamp, Seq),
    ) -> Result<(), PostingError> {
        self.replay_event(event, place)?;
        self.evaluate_alerts(place);
        Ok(())
    }

    fn replay_event(&mut self, event: &LedgerEvent, (at, seq): (Timestamp, Seq)) -> Result<(), PostingError> {
        match event {
            LedgerEvent::AccountOpened(account) => {
                if self.open_account(account.clone()) {
                    Ok(())
                } else {
                    Err(PostingError::IllegalRecord("the account cannot be opened"))
                }
            }
            LedgerEvent::Transferred(transfers) => transfers
                .iter()
                .try_for_each(|transfer| self.replay_transfer(transfer, (at, seq))),
            LedgerEvent::Crossed(steps) => self.replay_crossings(steps, (at, seq)),
            LedgerEvent::PendingExpired(ids) => ids.iter().try_for_each(|id| self.expire_pending(*id)),
            LedgerEvent::PeriodClosed { through, livemode } => {
                self.close_through(*livemode, *through);
                Ok(())
            }
            LedgerEvent::AlertCreated(terms) => {
                let created = self.create_alert(terms.clone(), (at, seq));
                created
                    .map(drop)
                    .ok_or(PostingError::IllegalRecord("the alert is there already"))
            }
            LedgerEvent::AlertDeleted(id) => {
                let deleted = self.delete_alert(*id);
                deleted
                    .map(drop)
                    .ok_or(PostingError::IllegalRecord("no such alert is there"))
            }
        }
    }
}
