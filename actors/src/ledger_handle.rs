//! The face of the ledger: accounts, their entries and the trial balance, all as of a durable commit.

use crate::account_shard::ShardMail;
use crate::context::Context;
use crate::mailbox::{Class, Refused};
use florin_domain::commit::{Body, Commit};
use florin_domain::ids::Seq;
use florin_domain::ledger::{AccountKey, AccountState, CurrencyTotal, Line};
use florin_domain::merchant::ControlEvent;
use florin_domain::ports::ReadError;
use std::sync::Arc;
use thiserror::Error;
use tokio::sync::oneshot;

/// Why the ledger cannot answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LedgerError {
    /// Too many questions wait.
    #[error("too many ledger requests wait")]
    Busy,
    /// The shard is gone.
    #[error("the ledger is stopping")]
    Gone,
    /// The journal cannot be read.
    #[error("{0}")]
    Read(ReadError),
}

/// One line of an account, with the commit that posted it.
#[derive(Clone, Debug)]
pub struct AccountEntry {
    /// The commit.
    pub commit: Arc<Commit>,
    /// The line.
    pub line: Line,
}

/// The face of the ledger.
#[derive(Clone, Debug)]
pub struct LedgerHandle {
    context: Arc<Context>,
}

impl LedgerHandle {
    /// A handle on these actors.
    pub fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    async fn ask<T>(&self, mail: impl FnOnce(oneshot::Sender<T>) -> ShardMail) -> Result<T, LedgerError> {
        let (reply, waits) = oneshot::channel();
        let sent = self.context.account_shard.send(Class::New, mail(reply));
        sent.map_err(|returned| match returned.why {
            Refused::Full { .. } => LedgerError::Busy,
            Refused::Gone => LedgerError::Gone,
        })?;
        waits.await.map_err(|_| LedgerError::Gone)
    }

    /// One account and the commit as of which it stands so.
    pub async fn account(&self, key: AccountKey) -> Result<(AccountState, Seq), LedgerError> {
        self.ask(|reply| ShardMail::Account { key, reply }).await
    }

    /// All accounts of the shard.
    pub async fn accounts(&self) -> Result<(Vec<(AccountKey, AccountState)>, Seq), LedgerError> {
        self.ask(ShardMail::Accounts).await
    }

    /// Debits against credits per currency.
    pub async fn trial_balance(&self) -> Result<Vec<CurrencyTotal>, LedgerError> {
        self.ask(ShardMail::TrialBalance).await
    }

    /// The newest `limit` lines of an account older than commit `before`, newest first, and whether more follow.
    pub async fn entries(
        &self,
        key: AccountKey,
        before: Option<Seq>,
        limit: usize,
    ) -> Result<(Vec<AccountEntry>, bool), LedgerError> {
        let mut next = self.account(key).await?.0.last_posted;
        let mut entries = Vec::new();
        while next != Seq::ZERO && entries.len() < limit {
            let read = self.context.ports.journal.read(self.context.shard, next, 1).await;
            let commit = read.map_err(LedgerError::Read)?.into_iter().next();
            let missing = || {
                LedgerError::Read(ReadError::Damaged {
                    seq: next,
                    why: "missing".to_owned(),
                })
            };
            let commit = Arc::new(commit.ok_or_else(missing)?);
            let lines = match &commit.body {
                Body::Payment(body) => body.entry.as_ref().map_or(&[][..], |entry| entry.lines()),
                Body::Control(_) => &[],
            };
            let of_account = lines.iter().filter(|line| line.posting.account == key);
            let prev = of_account.clone().next().ok_or_else(missing)?.account_prev;
            if before.is_none_or(|before| commit.seq < before) {
                let entry = |line: &Line| AccountEntry {
                    commit: Arc::clone(&commit),
                    line: *line,
                };
                entries.extend(of_account.rev().map(entry));
            }
            next = prev;
        }
        Ok((entries, next != Seq::ZERO))
    }

    /// Records a change of control data.
    pub async fn record_control(&self, event: ControlEvent) -> Result<Seq, LedgerError> {
        self.ask(|reply| ShardMail::Control { event, reply }).await
    }

    /// Keeps a snapshot now.
    pub async fn snapshot(&self) -> Result<(), LedgerError> {
        self.ask(ShardMail::Snapshot).await
    }
}
