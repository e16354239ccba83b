//! Reverts: what is recorded of each transfer says what undoes it, and the shard that has recorded it records that once.

use super::{Answer, LedgerError, LedgerHandle, steps_in, transfers_in};
use crate::account_shard::TransferRequest;
use florin_domain::ids::{ApiKeyId, Seq, ShardId};
use florin_domain::ledger::{
    CrossingStep, Irreversible, Linkage, Revert, TransferId, TransferLegs, TransferStep,
};
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// Reverts to make.
#[derive(Clone, Debug)]
pub struct RevertRequest {
    /// What.
    pub reverts: Vec<Revert>,
    /// What the refusal of one means for the others.
    pub linkage: Linkage,
    /// Only say what would become of them.
    pub is_dry_run: bool,
    /// On whose word.
    pub by: ApiKeyId,
    /// All of them together may post so many lines.
    pub lines_max: usize,
}

/// Why reverts were not made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RevertError {
    /// The ledger cannot answer.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// What they revert posted more lines than one request may.
    #[error("they would post too many lines")]
    TooManyLines,
}

fn lines_of(legs: &TransferLegs) -> usize {
    match legs {
        TransferLegs::Pair { .. } => 2,
        TransferLegs::Many(postings) => postings.len(),
        TransferLegs::OfPending(_) | TransferLegs::Irreversible(_) => 0,
    }
}

impl LedgerHandle {
    /// Reverts transfers, each at most once, and each revert at most once for its id.
    pub async fn revert(&self, request: RevertRequest) -> Result<Answer, RevertError> {
        let RevertRequest {
            reverts,
            linkage,
            is_dry_run,
            by,
            lines_max,
        } = request;
        // What is recorded never changes, so it may be read before the shard puts the reverts in order.
        let mut homes: BTreeMap<TransferId, ShardId> = BTreeMap::new();
        let mut commits: BTreeMap<(ShardId, Seq), BTreeSet<TransferId>> = BTreeMap::new();
        for revert in &reverts {
            if let Some((shard, seq)) = self.first_record(revert.reverts)? {
                homes.insert(revert.reverts, shard);
                let of_commit = commits.entry((shard, seq)).or_default();
                of_commit.insert(revert.reverts);
            }
        }
        // Any shard says of an unknown one that it is unknown; the shard of the others says it without binding them to another.
        if let Some(shard) = homes.values().next().copied() {
            for revert in &reverts {
                homes.entry(revert.reverts).or_insert(shard);
            }
        }
        let mut legs = BTreeMap::new();
        for ((shard, seq), wanted) in commits {
            let commit = self.at(shard).commit(seq).await?;
            for transfer in transfers_in(&commit) {
                if wanted.contains(&transfer.id) {
                    legs.insert(transfer.id, transfer.reverted_legs());
                }
            }
            for id in steps_in(&commit).iter().map(CrossingStep::id) {
                if wanted.contains(&id) {
                    legs.insert(id, TransferLegs::Irreversible(Irreversible::BetweenShards));
                }
            }
        }
        let lines = reverts.iter().filter_map(|revert| legs.get(&revert.reverts));
        if lines.map(lines_of).sum::<usize>() > lines_max {
            return Err(RevertError::TooManyLines);
        }
        let transfers = reverts.into_iter().map(|revert| {
            let undo = legs.get(&revert.reverts).cloned();
            revert.with(undo)
        });
        let request = TransferRequest {
            transfers: transfers.collect(),
            linkage,
            is_dry_run,
            by,
        };
        Ok(self.transfer_after(request, homes).await?)
    }

    /// The transfer that reverted this one.
    pub async fn reverted_by(&self, id: TransferId) -> Result<Option<TransferId>, LedgerError> {
        for context in self.shards.iter() {
            let found = context.ports.transfers.revert_of(id);
            let Some(seq) = found.map_err(LedgerError::Read)? else {
                continue;
            };
            let commit = self.on(context).commit(seq).await?;
            let is_revert = |step| step == TransferStep::Revert { reverts: id };
            let mut transfers = transfers_in(&commit).iter();
            let revert = transfers.find(|transfer| is_revert(transfer.step));
            return Ok(revert.map(|revert| revert.id));
        }
        Ok(None)
    }

    /// The first shard that has a record of a transfer, and the commit.
    fn first_record(&self, id: TransferId) -> Result<Option<(ShardId, Seq)>, LedgerError> {
        for context in self.shards.iter() {
            let found = context.ports.transfers.commit_of(id).map_err(LedgerError::Read)?;
            if let Some(seq) = found {
                return Ok(Some((context.shard, seq)));
            }
        }
        Ok(None)
    }
}
