//! Reverts: what is recorded of each transfer says what undoes it, and the shard that has recorded it records that once.

use super::{Answer, LedgerError, LedgerHandle, Told, steps_in, transfers_in};
use crate::account_shard::TransferRequest;
use florin_domain::ids::{ApiKeyId, Seq, ShardId};
use florin_domain::ledger::{
    CrossingStep, Irreversible, Linkage, Revert, TransferId, TransferLegs, TransferStep, newest_first,
};
use std::collections::btree_map::Entry;
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

/// What a shard's record of an id is worth, the best last. A shard may know an id as that of a transfer to another shard while a second
/// one has made a transfer of its own under it: only that one can be reverted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    /// One half is reserved, and the leading shard knows more.
    Undecided,
    /// A transfer between shards that came to nothing.
    Aborted,
    /// Half of a transfer between shards.
    Half,
    /// A transfer within the shard.
    Whole,
}

impl Worth {
    const fn of(step: &CrossingStep) -> Self {
        match step {
            CrossingStep::Prepared(_) | CrossingStep::Reserved(_) => Self::Undecided,
            CrossingStep::Aborted { .. } => Self::Aborted,
            CrossingStep::Decided { .. } | CrossingStep::Applied { .. } | CrossingStep::Settled(_) => {
                Self::Half
            }
        }
    }
}

/// What is recorded of a transfer that is to be reverted.
#[derive(Clone, Debug, PartialEq)]
struct Record {
    /// Who has it, in which commit, and where in it.
    place: (ShardId, Seq, usize),
    worth: Worth,
    /// What undoes it.
    undo: TransferLegs,
}

impl LedgerHandle {
    /// Reverts transfers, each at most once, and each revert at most once for its id. What was recorded last is undone first.
    pub async fn revert(&self, request: RevertRequest) -> Result<Answer, RevertError> {
        let RevertRequest {
            reverts,
            linkage,
            is_dry_run,
            by,
            lines_max,
        } = request;
        // What is recorded never changes, so it may be read before the shard puts the reverts in order; but for nobody who is not
        // let in. How much room they take is known only then, and they are let in again with that.
        let admitted = self.held(reverts.len())?;
        let records = self.reverted_records(&reverts).await?;
        drop(admitted);
        let lines = reverts.iter().filter_map(|revert| records.get(&revert.reverts));
        if lines.map(|record| lines_of(&record.undo)).sum::<usize>() > lines_max {
            return Err(RevertError::TooManyLines);
        }
        let mut homes: BTreeMap<TransferId, ShardId> =
            records.iter().map(|(id, record)| (*id, record.place.0)).collect();
        // Any shard says of an unknown one that it is unknown; the shard of the others says it without binding them to another.
        if let Some(shard) = homes.values().next().copied() {
            for revert in &reverts {
                homes.entry(revert.reverts).or_insert(shard);
            }
        }
        let places = reverts
            .iter()
            .map(|revert| Some(records.get(&revert.reverts)?.place));
        let order = newest_first(&places.collect::<Vec<_>>());
        let made = |index: &usize| {
            let revert = reverts.get(*index)?.clone();
            let undo = records.get(&revert.reverts).map(|record| record.undo.clone());
            Some(revert.with(undo))
        };
        let request = TransferRequest {
            transfers: order.iter().filter_map(made).collect(),
            linkage,
            is_dry_run,
            by,
        };
        let Answer { seq, told } = self.transfer_after(request, homes).await?;
        let mut told: Vec<(usize, Told)> = order.into_iter().zip(told).collect();
        told.sort_by_key(|(index, _)| *index);
        Ok(Answer {
            seq,
            told: told.into_iter().map(|(_, told)| told).collect(),
        })
    }

    /// What is recorded of each transfer, wherever it is.
    async fn reverted_records(
        &self,
        reverts: &[Revert],
    ) -> Result<BTreeMap<TransferId, Record>, LedgerError> {
        let mut commits: BTreeMap<(ShardId, Seq), BTreeSet<TransferId>> = BTreeMap::new();
        for id in reverts.iter().map(|revert| revert.reverts) {
            for context in self.shards.iter() {
                let found = context.ports.transfers.commit_of(id).map_err(LedgerError::Read)?;
                if let Some(seq) = found {
                    commits.entry((context.shard, seq)).or_default().insert(id);
                }
            }
        }
        let mut records: BTreeMap<TransferId, Record> = BTreeMap::new();
        for ((shard, seq), wanted) in commits {
            let commit = self.at(shard).commit(seq).await?;
            let plain = transfers_in(&commit)
                .iter()
                .filter(|transfer| wanted.contains(&transfer.id))
                .map(|transfer| (transfer.id, Worth::Whole, transfer.reverted_legs()));
            let between = steps_in(&commit)
                .iter()
                .filter(|step| wanted.contains(&step.id()))
                .map(|step| {
                    let worth = Worth::of(step);
                    let why = if worth == Worth::Aborted {
                        Irreversible::NothingPosted
                    } else {
                        Irreversible::BetweenShards
                    };
                    (step.id(), worth, TransferLegs::Irreversible(why))
                });
            for (number, (id, worth, undo)) in plain.chain(between).enumerate() {
                let place = (shard, seq, number);
                let record = Record { place, worth, undo };
                match records.entry(id) {
                    Entry::Vacant(free) => drop(free.insert(record)),
                    Entry::Occupied(mut known) if record.worth > known.get().worth => {
                        known.insert(record);
                    }
                    Entry::Occupied(_) => {}
                }
            }
        }
        Ok(records)
    }

    /// The transfer that reverted this one.
    pub async fn reverted_by(&self, id: TransferId) -> Result<Option<TransferId>, LedgerError> {
        for context in self.shards.iter() {
            let found = context.ports.transfers.revert_of(id);
            let Some(seq) = found.map_err(LedgerError::Read)? else {
                continue;
            };
            let commit = self.on(context).past_commit(seq).await?;
            let is_revert = |step| step == TransferStep::Revert { reverts: id };
            let mut transfers = transfers_in(&commit).iter();
            let revert = transfers.find(|transfer| is_revert(transfer.step));
            return Ok(revert.map(|revert| revert.id));
        }
        Ok(None)
    }
}
