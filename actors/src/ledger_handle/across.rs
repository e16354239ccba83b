//! A request for transfers over several shards: which shard makes which of them, and one answer from all.

use super::routing::{Plan, Routing};
use super::{Answer, LedgerError, LedgerHandle, Told, weight};
use crate::account_shard::{Held, TransferRequest};
use crate::crossings::{Crossings, CrossingsMail};
use crate::mailbox::{Class, Refused};
use florin_domain::ids::ShardId;
use florin_domain::ledger::{TransferId, TransferStep};
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::oneshot;

impl LedgerHandle {
    /// Makes transfers, each at most once for its id.
    pub async fn transfer(&self, request: TransferRequest) -> Result<Answer, LedgerError> {
        self.transfer_after(request, BTreeMap::new()).await
    }

    /// Makes transfers of which some undo others, in the shards that have recorded those.
    pub(super) async fn transfer_after(
        &self,
        request: TransferRequest,
        undone: BTreeMap<TransferId, ShardId>,
    ) -> Result<Answer, LedgerError> {
        if self.shards() == 1 {
            let weights = request.transfers.iter().map(weight);
            let held = self.held(weights.sum())?;
            return self.transfer_here(request, held).await;
        }
        let mut routing = self.routing(&request)?;
        routing.undone = undone;
        let plans = routing.plan(&request);
        self.carry_out(request, plans).await
    }

    /// What the shards know about the transfers of a request.
    fn routing(&self, request: &TransferRequest) -> Result<Routing, LedgerError> {
        let mut routing = Routing::new(self.shards.iter().map(|context| context.shard));
        for transfer in &request.transfers {
            routing.known.insert(transfer.id, self.knows(transfer.id)?);
            if let TransferStep::Post { pending } | TransferStep::Void { pending } = transfer.step
                && let Some(shard) = self.knows(pending)?.first()
            {
                routing.pending.insert(pending, *shard);
            }
        }
        Ok(routing)
    }

    /// The shards whose index has a transfer.
    fn knows(&self, id: TransferId) -> Result<BTreeSet<ShardId>, LedgerError> {
        let mut shards = BTreeSet::new();
        for context in self.shards.iter() {
            let found = context.ports.transfers.commit_of(id);
            if found.map_err(LedgerError::Read)?.is_some() {
                shards.insert(context.shard);
            }
        }
        Ok(shards)
    }

    /// Has each shard make its part in the order of the request, and then what is between two shards.
    async fn carry_out(&self, request: TransferRequest, plans: Vec<Plan>) -> Result<Answer, LedgerError> {
        let mut told: Vec<Option<Told>> = Vec::with_capacity(plans.len());
        let mut parts: BTreeMap<(bool, ShardId, ShardId), Vec<usize>> = BTreeMap::new();
        for (index, plan) in plans.into_iter().enumerate() {
            told.push(match plan {
                Plan::Refused(refusal) => Some(Told::Refused(refusal)),
                Plan::Go(source, target) => {
                    let part = parts.entry((source != target, source, target)).or_default();
                    part.push(index);
                    None
                }
            });
        }
        // All of the room is taken before anything is done.
        let mut held = Vec::with_capacity(parts.len());
        for part in parts.values() {
            let transfers = part.iter().filter_map(|index| request.transfers.get(*index));
            held.push(self.held(transfers.map(weight).sum())?);
        }
        let is_one = parts.len() == 1;
        let (mut seq, mut is_begun) = (None, false);
        for (((crosses, source, target), part), held) in parts.into_iter().zip(held) {
            let transfers = part.iter().filter_map(|index| request.transfers.get(*index));
            let asked = TransferRequest {
                transfers: transfers.cloned().collect(),
                linkage: request.linkage,
                is_dry_run: request.is_dry_run,
                by: request.by,
            };
            let made = self.at(source).part(asked, (crosses, target), held).await;
            // What was made before stays made: nobody may be told that nothing was started.
            let Answer {
                seq: of_part,
                told: said,
            } = made.map_err(|error| if is_begun { LedgerError::Unknown } else { error })?;
            is_begun = true;
            // Only one commit is one that all of it is in.
            seq = of_part.filter(|_| is_one);
            for (index, said) in part.into_iter().zip(said) {
                if let Some(place) = told.get_mut(index) {
                    *place = Some(said);
                }
            }
        }
        // Every place was filled above; a part that answers short is a part that is gone.
        let told: Option<Vec<Told>> = told.into_iter().collect();
        let told = told.ok_or(LedgerError::Unknown)?;
        Ok(Answer { seq, told })
    }

    async fn part(
        &self,
        asked: TransferRequest,
        (crosses, target): (bool, ShardId),
        held: Held,
    ) -> Result<Answer, LedgerError> {
        if !crosses {
            return self.transfer_here(asked, held).await;
        }
        let told = self.cross(target, asked, held).await?;
        Ok(Answer { seq: None, told })
    }

    /// Makes transfers from this shard to another one.
    async fn cross(
        &self,
        target: ShardId,
        request: TransferRequest,
        held: Held,
    ) -> Result<Vec<Told>, LedgerError> {
        let (reply, waits) = oneshot::channel();
        let crossings = Crossings {
            transfers: request.transfers,
            target,
            is_dry_run: request.is_dry_run,
            by: request.by,
            held,
            reply,
        };
        let begin = CrossingsMail::Begin(Box::new(crossings));
        let sent = self.context.crossings.send(Class::New, begin);
        sent.map_err(|returned| match returned.why {
            Refused::Full { .. } => LedgerError::Busy,
            Refused::Gone => LedgerError::Gone,
        })?;
        waits.await.map_err(|_| LedgerError::Unknown)
    }
}
