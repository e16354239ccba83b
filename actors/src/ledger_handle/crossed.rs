//! Transfers between shards as both of them have recorded them.

use super::{LedgerError, LedgerHandle};
use crate::account_shard::{CrossingMail, ShardMail};
use crate::crossings::clearing::nets;
use crate::crossings::step_of;
use florin_domain::ids::Seq;
use florin_domain::ledger::{
    AccountName, CrossOutcome, CrossTransfer, Crossing, Line, Nets, PostedTransfer, TransferId,
};
use florin_domain::time::Timestamp;

/// A transfer between two shards.
#[derive(Clone, Debug, PartialEq)]
pub struct CrossRecord {
    /// What was asked for.
    pub transfer: CrossTransfer,
    /// How it was decided; nothing while it is not.
    pub outcome: Option<CrossOutcome>,
    /// The leading shard's latest commit about it, and its time.
    pub recorded: (Seq, Timestamp),
    /// The lines posted so far on the two accounts.
    pub lines: Vec<Line>,
}

impl LedgerHandle {
    /// A transfer between two shards, as far as it has come.
    pub async fn crossed(&self, id: TransferId) -> Result<Option<CrossRecord>, LedgerError> {
        let mut found: Option<CrossRecord> = None;
        let mut lines = Vec::new();
        for context in self.shards.iter() {
            let seq = context.ports.transfers.commit_of(id).map_err(LedgerError::Read)?;
            let Some(seq) = seq else { continue };
            let commit = self.on(context).past_commit(seq).await?;
            let Some((transfer, outcome)) = step_of(&commit, id) else {
                continue;
            };
            let of_it = super::posted_in(&commit).filter(|posted| posted.id == id);
            lines.extend(of_it.flat_map(PostedTransfer::lines));
            // If two were asked under one id at once, the one that was made is it.
            let is_made = |found: &CrossRecord| found.outcome == Some(CrossOutcome::Decided);
            if transfer.debit.home() == Some(context.shard) && !found.as_ref().is_some_and(is_made) {
                let recorded = (seq, commit.at);
                found = Some(CrossRecord {
                    transfer,
                    outcome,
                    recorded,
                    lines: Vec::new(),
                });
            }
        }
        lines.retain(|line| line.posting.account.name != AccountName::ShardClearing);
        Ok(found.map(|found| CrossRecord { lines, ..found }))
    }

    /// What the clearing accounts of all shards come to, in minor units, by currency and mode, beyond what transfers under way explain: zero.
    /// Nothing if another look came in between.
    pub async fn clearing(&self) -> Option<Nets> {
        nets(&self.context).await
    }

    /// All transfers between shards that are under way, each as every shard has it that still has to do with it.
    pub async fn crossings(&self) -> Result<Vec<Crossing>, LedgerError> {
        let mut open = Vec::new();
        for context in self.shards.iter() {
            let asked = |reply| ShardMail::Crossing(CrossingMail::Open(reply));
            open.extend(self.on(context).ask(asked).await?);
        }
        Ok(open)
    }
}
