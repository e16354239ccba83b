//! Reverts: what is recorded of each transfer says what undoes it, and the shard records that once.

use super::{Answer, LedgerError, LedgerHandle, transfers_in};
use crate::account_shard::TransferRequest;
use florin_domain::ids::{ApiKeyId, Seq};
use florin_domain::ledger::{Linkage, Revert, TransferId, TransferLegs, TransferStep};
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
        let mut commits: BTreeMap<Seq, BTreeSet<TransferId>> = BTreeMap::new();
        for revert in &reverts {
            let found = self.context.ports.transfers.commit_of(revert.reverts);
            if let Some(seq) = found.map_err(LedgerError::Read)? {
                commits.entry(seq).or_default().insert(revert.reverts);
            }
        }
        let mut legs = BTreeMap::new();
        for (seq, wanted) in commits {
            let commit = self.commit(seq).await?;
            for transfer in transfers_in(&commit) {
                if wanted.contains(&transfer.id) {
                    legs.insert(transfer.id, transfer.reverted_legs());
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
        Ok(self.transfer(request).await?)
    }

    /// The transfer that reverted this one.
    pub async fn reverted_by(&self, id: TransferId) -> Result<Option<TransferId>, LedgerError> {
        let found = self.context.ports.transfers.revert_of(id);
        let Some(seq) = found.map_err(LedgerError::Read)? else {
            return Ok(None);
        };
        let commit = self.commit(seq).await?;
        let is_revert = |step| step == TransferStep::Revert { reverts: id };
        let revert = transfers_in(&commit)
            .iter()
            .find(|transfer| is_revert(transfer.step));
        Ok(revert.map(|revert| revert.id))
    }
}
