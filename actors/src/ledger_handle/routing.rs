//! Which shard makes which transfer of a request: pure, from what the shards know.

use crate::account_shard::TransferRequest;
use florin_domain::ids::ShardId;
use florin_domain::ledger::{
    AccountKey, Linkage, Transfer, TransferId, TransferLegs, TransferRefusal, TransferStep,
};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// What is done about a transfer.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Plan {
    /// It is made from this shard to that one, which may be the same.
    Go(ShardId, ShardId),
    /// No shard is asked.
    Refused(TransferRefusal),
}

/// Where a transfer is made, looked at by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    /// From this shard to that one, which may be the same.
    Through(ShardId, ShardId),
    /// By no protocol that there is: more than a debit and a credit in several shards, or in two steps.
    Nowhere,
}

/// What is known when routes are chosen.
#[derive(Debug)]
pub(super) struct Routing {
    shards: BTreeSet<ShardId>,
    /// The shards that know each id of the request.
    pub(super) known: BTreeMap<TransferId, BTreeSet<ShardId>>,
    /// Where reservations stand.
    pub(super) pending: BTreeMap<TransferId, ShardId>,
    /// Where what is to be reverted is recorded: only there it is known whether that has happened already.
    pub(super) undone: BTreeMap<TransferId, ShardId>,
}

impl Routing {
    pub(super) fn new(shards: impl Iterator<Item = ShardId>) -> Self {
        Self {
            shards: shards.collect(),
            known: BTreeMap::new(),
            pending: BTreeMap::new(),
            undone: BTreeMap::new(),
        }
    }

    /// One plan for each transfer. What happens only together is made in one shard, or not at all.
    pub(super) fn plan(mut self, request: &TransferRequest) -> Vec<Plan> {
        let mut routes = Vec::with_capacity(request.transfers.len());
        for transfer in &request.transfers {
            let route = self.route(transfer);
            if let (TransferStep::Pending { .. }, Route::Through(shard, _)) = (transfer.step, route) {
                self.pending.insert(transfer.id, shard);
            }
            routes.push(route);
        }
        let reused = self.reused(request, &routes);
        let mut plans = Vec::with_capacity(routes.len());
        for chain in chains(request) {
            let of_chain = routes.get(chain.clone()).unwrap_or_default();
            let is_bound = of_chain.len() > 1;
            let first = of_chain.first();
            let is_together = !is_bound
                || (of_chain.iter().all(|route| Some(route) == first)
                    && matches!(first, Some(Route::Through(source, target)) if source == target));
            let fails = reused.get(chain.clone()).unwrap_or_default().contains(&true);
            // Only a shard that makes a chain can say that it is open at its end.
            let last = chain
                .end
                .checked_sub(1)
                .and_then(|last| request.transfers.get(last));
            let is_open = request.linkage == Linkage::Independent && last.is_some_and(|last| last.linked);
            for index in chain {
                let is_reused = reused.get(index) == Some(&true);
                plans.push(match routes.get(index) {
                    Some(Route::Through(source, target)) if is_together => match (is_reused, fails) {
                        (true, _) => Plan::Refused(TransferRefusal::IdReused),
                        (false, true) => Plan::Refused(TransferRefusal::LinkedFailed),
                        (false, false) if is_open && source != target => {
                            Plan::Refused(TransferRefusal::LinkedOpen)
                        }
                        (false, false) => Plan::Go(*source, *target),
                    },
                    Some(Route::Through(..) | Route::Nowhere) | None => {
                        Plan::Refused(TransferRefusal::CrossesShards)
                    }
                });
            }
        }
        plans
    }

    /// Which ids are those of other transfers: known to a shard while the one that would lead does not know it, or asked for
    /// before in the same request on another way. What the leading shard knows it judges itself.
    fn reused(&self, request: &TransferRequest, routes: &[Route]) -> Vec<bool> {
        let mut seen: BTreeMap<TransferId, Route> = BTreeMap::new();
        let each = request.transfers.iter().zip(routes);
        each.map(|(transfer, route)| {
            let Route::Through(leading, _) = route else {
                return false;
            };
            let known = self.known.get(&transfer.id);
            let is_elsewhere = known.is_some_and(|known| !known.is_empty() && !known.contains(leading));
            let first = *seen.entry(transfer.id).or_insert(*route);
            is_elsewhere || first != *route
        })
        .collect()
    }

    /// The shard of an account, if it is one of ours. An account of another one is unknown, as whoever is asked will say.
    fn home_of(&self, account: &AccountKey) -> Option<ShardId> {
        account.home().filter(|home| self.shards.contains(home))
    }

    fn first(&self) -> ShardId {
        self.shards.first().copied().unwrap_or(ShardId::FIRST)
    }

    fn route(&self, transfer: &Transfer) -> Route {
        let within = |shard| Route::Through(shard, shard);
        if let TransferStep::Revert { reverts } = transfer.step {
            let shard = self.undone.get(&reverts).copied();
            return within(shard.unwrap_or(self.first()));
        }
        match &transfer.legs {
            TransferLegs::Pair { debit, credit, .. } => match (self.home_of(debit), self.home_of(credit)) {
                (None, None) => within(self.first()),
                (Some(shard), None) | (None, Some(shard)) => within(shard),
                (Some(source), Some(target)) if source == target => within(source),
                (Some(source), Some(target)) if transfer.step == TransferStep::Single => {
                    Route::Through(source, target)
                }
                (Some(_), Some(_)) => Route::Nowhere,
            },
            TransferLegs::Many(postings) => {
                let homes = postings
                    .iter()
                    .filter_map(|posting| self.home_of(&posting.account));
                let homes: BTreeSet<ShardId> = homes.collect();
                match (homes.len(), homes.first()) {
                    (0, _) => within(self.first()),
                    (1, Some(shard)) => within(*shard),
                    _ => Route::Nowhere,
                }
            }
            TransferLegs::OfPending(_) => match transfer.step {
                TransferStep::Post { pending } | TransferStep::Void { pending } => {
                    let shard = self.pending.get(&pending).copied();
                    within(shard.unwrap_or(self.first()))
                }
                TransferStep::Single | TransferStep::Pending { .. } | TransferStep::Revert { .. } => {
                    within(self.first())
                }
            },
            TransferLegs::Irreversible(_) => within(self.first()),
        }
    }
}

/// What of a request happens only together. A chain that is open at the end is for its shard to refuse.
fn chains(request: &TransferRequest) -> Vec<Range<usize>> {
    let count = request.transfers.len();
    let is_atomic = request.linkage == Linkage::Atomic;
    let mut chains = Vec::new();
    let mut begin = 0;
    for (index, transfer) in request.transfers.iter().enumerate() {
        let next = index.saturating_add(1);
        if next == count || !(is_atomic || transfer.linked) {
            chains.push(begin..next);
            begin = next;
        }
    }
    chains
}

#[cfg(test)]
mod tests {
    use super::*;
    use florin_domain::ids::{ApiKeyId, LedgerAccountId};
    use florin_domain::ledger::{AccountName, AccountType};
    use florin_domain::money::{Amount, Currency};
    use florin_domain::time::Timestamp;

    fn account(shard: u16) -> AccountKey {
        let terms = (AccountType::Asset, Currency::USD, false);
        let id = LedgerAccountId::pack(Timestamp::default(), ShardId(shard), terms, 0);
        id.key().unwrap()
    }

    fn bank() -> AccountKey {
        AccountKey {
            name: AccountName::Bank,
            ..account(0)
        }
    }

    fn pair(id: u128, debit: AccountKey, credit: AccountKey, linked: bool) -> Transfer {
        Transfer {
            id: TransferId(id),
            step: TransferStep::Single,
            legs: TransferLegs::Pair {
                debit,
                credit,
                amount: Amount::new(1).unwrap(),
            },
            linked,
            is_payout: false,
            effective: None,
            notes: None,
        }
    }

    fn planned(linkage: Linkage, transfers: Vec<Transfer>, known: &[(u128, u16)]) -> Vec<Plan> {
        let mut routing = Routing::new((0..3).map(ShardId));
        for (id, shard) in known {
            let shards = routing.known.entry(TransferId(*id)).or_default();
            shards.insert(ShardId(*shard));
        }
        routing.plan(&TransferRequest {
            transfers,
            linkage,
            is_dry_run: false,
            by: ApiKeyId::from_bits(1),
        })
    }

    fn go(source: u16, target: u16) -> Plan {
        Plan::Go(ShardId(source), ShardId(target))
    }

    fn refused(refusal: TransferRefusal) -> Plan {
        Plan::Refused(refusal)
    }

    #[test]
    fn each_transfer_goes_where_its_accounts_are() {
        let pending = Transfer {
            step: TransferStep::Pending { expires_at: None },
            ..pair(8, account(1), account(2), false)
        };
        let reserved = Transfer {
            step: TransferStep::Pending { expires_at: None },
            ..pair(9, account(2), bank(), false)
        };
        let posted = Transfer {
            step: TransferStep::Post {
                pending: TransferId(9),
            },
            legs: TransferLegs::OfPending(None),
            ..pair(10, account(0), bank(), false)
        };
        let transfers = vec![
            pair(1, account(1), account(1), false),
            pair(2, account(1), account(2), false),
            pair(3, bank(), account(2), false),
            pair(4, bank(), bank(), false),
            pair(5, account(1), account(7), false),
            pending,
            reserved,
            posted,
        ];
        let plans = planned(Linkage::Independent, transfers, &[]);
        let expected = [
            go(1, 1),
            go(1, 2),
            go(2, 2),
            go(0, 0),
            go(1, 1),
            refused(TransferRefusal::CrossesShards),
            go(2, 2),
            go(2, 2),
        ];
        assert_eq!(plans, expected);
    }

    #[test]
    fn what_happens_only_together_is_made_in_one_shard_or_not_at_all() {
        let crosses = || refused(TransferRefusal::CrossesShards);
        let both = |linked| {
            vec![
                pair(1, account(1), bank(), linked),
                pair(2, account(2), bank(), false),
            ]
        };
        assert_eq!(
            planned(Linkage::Independent, both(false), &[]),
            [go(1, 1), go(2, 2)]
        );
        assert_eq!(
            planned(Linkage::Independent, both(true), &[]),
            [crosses(), crosses()]
        );
        assert_eq!(planned(Linkage::Atomic, both(false), &[]), [crosses(), crosses()]);
        let alone = vec![pair(1, account(1), account(2), false)];
        assert_eq!(planned(Linkage::Atomic, alone, &[]), [go(1, 2)]);
        let open = vec![pair(1, account(1), account(2), true)];
        let plans = planned(Linkage::Independent, open, &[]);
        assert_eq!(plans, [refused(TransferRefusal::LinkedOpen)]);
    }

    #[test]
    fn an_id_of_another_shard_takes_all_that_is_bound_to_it_along() {
        let (reused, failed) = (
            || refused(TransferRefusal::IdReused),
            || refused(TransferRefusal::LinkedFailed),
        );
        let two = |linked| {
            vec![
                pair(1, account(0), bank(), linked),
                pair(2, account(0), bank(), false),
            ]
        };
        assert_eq!(
            planned(Linkage::Atomic, two(false), &[(1, 1)]),
            [reused(), failed()]
        );
        assert_eq!(
            planned(Linkage::Independent, two(true), &[(2, 1)]),
            [failed(), reused()]
        );
        assert_eq!(
            planned(Linkage::Independent, two(false), &[(1, 1)]),
            [reused(), go(0, 0)]
        );
        // What the leading shard knows it judges itself, whoever else knows it.
        assert_eq!(
            planned(Linkage::Atomic, two(false), &[(1, 1), (1, 0)]),
            [go(0, 0), go(0, 0)]
        );
        let across = vec![pair(1, account(0), account(1), false)];
        assert_eq!(
            planned(Linkage::Independent, across.clone(), &[(1, 1)]),
            [reused()]
        );
        assert_eq!(
            planned(Linkage::Independent, across, &[(1, 1), (1, 0)]),
            [go(0, 1)]
        );
    }

    #[test]
    fn a_revert_goes_where_what_it_undoes_is_recorded() {
        let revert = |id, reverts| Transfer {
            step: TransferStep::Revert {
                reverts: TransferId(reverts),
            },
            ..pair(id, bank(), bank(), false)
        };
        let planned = |linkage, transfers: Vec<Transfer>| {
            let mut routing = Routing::new((0..3).map(ShardId));
            routing.undone = [(1, 1), (2, 2)]
                .map(|(id, shard)| (TransferId(id), ShardId(shard)))
                .into();
            routing.plan(&TransferRequest {
                transfers,
                linkage,
                is_dry_run: false,
                by: ApiKeyId::from_bits(1),
            })
        };
        let three = vec![revert(11, 1), revert(12, 2), revert(13, 3)];
        assert_eq!(
            planned(Linkage::Independent, three),
            [go(1, 1), go(2, 2), go(0, 0)]
        );
        let crosses = || refused(TransferRefusal::CrossesShards);
        let two = vec![revert(11, 1), revert(12, 2)];
        assert_eq!(planned(Linkage::Atomic, two), [crosses(), crosses()]);
        let twice = vec![revert(11, 1), revert(12, 1)];
        assert_eq!(planned(Linkage::Atomic, twice), [go(1, 1), go(1, 1)]);
    }

    #[test]
    fn one_id_goes_one_way_in_a_request() {
        let twice = vec![
            pair(1, account(0), bank(), false),
            pair(1, account(1), bank(), false),
            pair(1, account(0), account(1), false),
            pair(1, account(0), bank(), false),
        ];
        let reused = || refused(TransferRefusal::IdReused);
        let plans = planned(Linkage::Independent, twice, &[]);
        assert_eq!(plans, [go(0, 0), reused(), reused(), go(0, 0)]);
    }
}
