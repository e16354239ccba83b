//! A request for transfers over several shards: which shard makes which of them, and one answer from all.

use super::{Answer, LedgerError, LedgerHandle, Told, weight};
use crate::account_shard::{Held, TransferRequest};
use crate::crossings::{Crossings, CrossingsMail, ELSEWHERE, step_of};
use crate::mailbox::{Class, Refused};
use crate::shards::Shards;
use florin_domain::ids::{Seq, ShardId};
use florin_domain::ledger::{
    AccountKey, Linkage, Transfer, TransferId, TransferLegs, TransferRefusal, TransferStep,
};
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::oneshot;

/// Where a transfer is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// In one shard.
    In(ShardId),
    /// From an account of one shard to one of another.
    Between(ShardId, ShardId),
    /// By no protocol that there is: more than a debit and a credit in several shards, or in two steps, or bound to others.
    Nowhere,
}

impl LedgerHandle {
    /// Makes transfers, each at most once for its id.
    pub async fn transfer(&self, request: TransferRequest) -> Result<Answer, LedgerError> {
        if self.shards() == 1 {
            let weights = request.transfers.iter().map(weight);
            let held = self.held(weights.sum())?;
            return self.transfer_here(request, held).await;
        }
        let routes = Routing::of(&self.shards, self.pending_homes(&request).await?).routes(&request);
        self.transfer_along(request, &routes).await
    }

    /// The shards of the reservations that a request ends.
    async fn pending_homes(
        &self,
        request: &TransferRequest,
    ) -> Result<BTreeMap<TransferId, ShardId>, LedgerError> {
        let mut homes = BTreeMap::new();
        for transfer in &request.transfers {
            let (TransferStep::Post { pending } | TransferStep::Void { pending }) = transfer.step else {
                continue;
            };
            for context in self.shards.iter() {
                if self.on(context).has(pending).await? {
                    homes.insert(pending, context.shard);
                }
            }
        }
        Ok(homes)
    }

    /// Has each shard make its part in the order of the request, and then what is between two shards.
    async fn transfer_along(
        &self,
        request: TransferRequest,
        routes: &[Route],
    ) -> Result<Answer, LedgerError> {
        let mut told: Vec<Option<Told>> = vec![None; routes.len()];
        let mut parts: BTreeMap<(bool, ShardId, ShardId), Vec<usize>> = BTreeMap::new();
        for (index, (route, transfer)) in routes.iter().zip(&request.transfers).enumerate() {
            let (source, target) = match route {
                Route::In(shard) => (*shard, *shard),
                Route::Between(source, target) => (*source, *target),
                Route::Nowhere => {
                    put(&mut told, index, Told::Refused(TransferRefusal::CrossesShards));
                    continue;
                }
            };
            if self.is_elsewhere(transfer.id, &[source, target]).await? {
                put(&mut told, index, Told::Refused(TransferRefusal::IdReused));
            } else {
                let part = parts.entry((source != target, source, target)).or_default();
                part.push(index);
            }
        }
        // All of the room is taken before anything is done.
        let mut held = Vec::with_capacity(parts.len());
        for part in parts.values() {
            let transfers = part.iter().filter_map(|index| request.transfers.get(*index));
            held.push(self.held(transfers.map(weight).sum())?);
        }
        let mut seqs: BTreeSet<Option<Seq>> = BTreeSet::new();
        for (((crosses, source, target), part), held) in parts.into_iter().zip(held) {
            let transfers = part.iter().filter_map(|index| request.transfers.get(*index));
            let asked = TransferRequest {
                transfers: transfers.cloned().collect(),
                linkage: request.linkage,
                is_dry_run: request.is_dry_run,
                by: request.by,
            };
            let said = if crosses {
                self.at(source).cross(target, asked, held).await?
            } else {
                let answer = self.at(source).transfer_here(asked, held).await?;
                seqs.insert(answer.seq);
                answer.told
            };
            for (index, said) in part.into_iter().zip(said) {
                put(&mut told, index, said);
            }
        }
        seqs.remove(&None);
        let seq = if seqs.len() == 1 {
            seqs.pop_first().flatten()
        } else {
            None
        };
        // Every place was filled above; a part that answers short is a part that is gone.
        let told: Option<Vec<Told>> = told.into_iter().collect();
        let told = told.ok_or(LedgerError::Gone)?;
        Ok(Answer { seq, told })
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
        waits.await.map_err(|_| LedgerError::Gone)
    }

    /// Whether a shard that has nothing to do with a transfer has its id.
    async fn is_elsewhere(&self, id: TransferId, but: &[ShardId]) -> Result<bool, LedgerError> {
        for context in self.shards.iter().filter(|context| !but.contains(&context.shard)) {
            if self.on(context).has(id).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether this shard has a transfer of that id. It has none that it gave up because another shard has the id.
    async fn has(&self, id: TransferId) -> Result<bool, LedgerError> {
        let found = self.context.ports.transfers.commit_of(id);
        let Some(seq) = found.map_err(LedgerError::Read)? else {
            return Ok(false);
        };
        Ok(!step_of(&*self.commit(seq).await?, id).is_some_and(|(_, outcome)| outcome == Some(ELSEWHERE)))
    }
}

fn put(told: &mut [Option<Told>], index: usize, said: Told) {
    if let Some(place) = told.get_mut(index) {
        *place = Some(said);
    }
}

/// What is known when routes are chosen.
#[derive(Debug)]
pub(super) struct Routing {
    home: ShardId,
    shards: BTreeSet<ShardId>,
    /// Where reservations stand, those of the request itself among them.
    pending: BTreeMap<TransferId, ShardId>,
}

impl Routing {
    fn of(shards: &Shards, pending: BTreeMap<TransferId, ShardId>) -> Self {
        Self {
            home: shards.home().shard,
            shards: shards.iter().map(|context| context.shard).collect(),
            pending,
        }
    }

    /// The shard of an account, if it is one of ours: an account of another one is unknown, as any shard will say.
    fn home_of(&self, account: &AccountKey) -> Option<ShardId> {
        let home = account.home()?;
        Some(if self.shards.contains(&home) {
            home
        } else {
            self.home
        })
    }

    /// One route for each transfer of a request.
    fn routes(mut self, request: &TransferRequest) -> Vec<Route> {
        let mut routes = Vec::with_capacity(request.transfers.len());
        for transfer in &request.transfers {
            let route = self.route(transfer);
            if let (TransferStep::Pending { .. }, Route::In(shard)) = (transfer.step, route) {
                self.pending.insert(transfer.id, shard);
            }
            routes.push(route);
        }
        let mut rest = routes.as_mut_slice();
        let mut asked = request.transfers.as_slice();
        while !asked.is_empty() {
            let last = match request.linkage {
                Linkage::Atomic => None,
                Linkage::Independent => asked.iter().position(|transfer| !transfer.linked),
            };
            let count = last.map_or(asked.len(), |last| last.saturating_add(1));
            let (chain, later) = rest.split_at_mut(count);
            bind(chain);
            (rest, asked) = (later, asked.get(count..).unwrap_or_default());
        }
        routes
    }

    fn route(&self, transfer: &Transfer) -> Route {
        match &transfer.legs {
            TransferLegs::Pair { debit, credit, .. } => match (self.home_of(debit), self.home_of(credit)) {
                (None, None) => Route::In(self.home),
                (Some(shard), None) | (None, Some(shard)) => Route::In(shard),
                (Some(source), Some(target)) if source == target => Route::In(source),
                (Some(source), Some(target)) if transfer.step == TransferStep::Single => {
                    Route::Between(source, target)
                }
                (Some(_), Some(_)) => Route::Nowhere,
            },
            TransferLegs::Many(postings) => {
                let homes = postings
                    .iter()
                    .filter_map(|posting| self.home_of(&posting.account));
                let homes: BTreeSet<ShardId> = homes.collect();
                match (homes.len(), homes.first()) {
                    (0, _) => Route::In(self.home),
                    (1, Some(shard)) => Route::In(*shard),
                    _ => Route::Nowhere,
                }
            }
            TransferLegs::OfPending(_) => match transfer.step {
                TransferStep::Post { pending } | TransferStep::Void { pending } => {
                    Route::In(self.pending.get(&pending).copied().unwrap_or(self.home))
                }
                TransferStep::Single | TransferStep::Pending { .. } => Route::In(self.home),
            },
        }
    }
}

/// Transfers that happen only together are made in one shard, or not at all.
fn bind(chain: &mut [Route]) {
    if let [first, others @ ..] = chain
        && !others.is_empty()
        && (!matches!(first, Route::In(_)) || others.iter().any(|other| other != first))
    {
        chain.fill(Route::Nowhere);
    }
}
