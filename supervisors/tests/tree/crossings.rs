//! Transfers between shards: three shards in one process, money that goes from each to each, and whatever may be lost on the way.

use crate::crash::kind_of;
use crate::crossings_land::{GRANTED_MINOR, Land, asked, check_at_rest, open, settlers, single};
use crate::transfers_calls::Random;
use crate::world::{all_cases, until};
use florin_actors::account_shard::TransferRequest;
use florin_actors::context::Step;
use florin_actors::ledger_handle::{LedgerHandle, Told};
use florin_domain::ids::{ApiKeyId, LedgerAccountId, ShardId};
use florin_domain::ledger::{
    AccountKey, AccountLimits, AccountName, AccountType, CrossOutcome, EffectiveDate, Linkage, Transfer,
    TransferId, TransferLegs, TransferRefusal, TransferStep,
};
use florin_domain::money::Currency;
use florin_supervisors::platform::Platform;
use std::collections::BTreeMap;
use tokio::task::JoinHandle;

#[test]
fn money_goes_from_shard_to_shard_once_for_its_id() {
    Land::new(1).life(async |land, platform| {
        let ledger = platform.ledger();
        let accounts = settlers(&ledger).await;
        let (from, to) = (accounts[0], accounts[2]);
        let moved = single(7, from, to, 400);
        for told in [Told::Done, Told::Done] {
            let answer = ledger.transfer(asked(vec![moved.clone()])).await.unwrap();
            match (&told, &answer.told[0]) {
                (Told::Done, Told::Done | Told::Existed(_)) => {}
                other => panic!("{other:?}"),
            }
        }
        land.settle().await;
        assert_eq!(
            check_at_rest(&platform, &accounts).await,
            [600, 1000, 1400, 1000, 1000, 1000]
        );
        let again = ledger.transfer(asked(vec![moved])).await.unwrap();
        assert!(matches!(again.told[..], [Told::Existed(_)]), "{again:?}");
        let record = ledger.crossed(TransferId(7)).await.unwrap().unwrap();
        assert_eq!(record.outcome, Some(CrossOutcome::Decided));
        let after: Vec<_> = record
            .lines
            .iter()
            .map(|line| (line.posting.account, line.balance_after.minor()))
            .collect();
        assert_eq!(after, [(from, 600), (to, 1400)]);
        for other in [
            single(7, from, to, 401),
            single(7, to, from, 400),
            single(7, from, accounts[1], 400),
        ] {
            let answer = ledger.transfer(asked(vec![other])).await.unwrap();
            assert_eq!(answer.told, [Told::Refused(TransferRefusal::IdReused)]);
        }
        for (number, key) in accounts.iter().enumerate() {
            let (lines, _) = ledger.entries(*key, None, 10).await.unwrap();
            let expected = if number == 0 || number == 2 { 2 } else { 1 };
            assert_eq!(lines.len(), expected, "{key}");
        }
    });
}

#[test]
fn either_side_refuses_with_its_reason_and_nothing_stays_reserved() {
    Land::new(2).life(async |land, platform| {
        let ledger = platform.ledger();
        let accounts = settlers(&ledger).await;
        let unknown = open(&ledger, 2, "elsewhere", AccountLimits::default()).await;
        let unknown = AccountKey {
            name: AccountName::General(LedgerAccountId::pack(
                unknown.name.general().unwrap().drawn_at(),
                ShardId(2),
                (AccountType::Liability, Currency::USD, false),
                99,
            )),
            ..unknown
        };
        let cases = [
            (
                single(1, accounts[0], accounts[2], 1001),
                TransferRefusal::InsufficientFunds(accounts[0]),
            ),
            (
                single(2, accounts[0], accounts[2], 601),
                TransferRefusal::ExceedsLimit(accounts[2]),
            ),
            (
                single(3, accounts[0], unknown, 1),
                TransferRefusal::UnknownAccount(unknown),
            ),
            (
                single(4, unknown, accounts[0], 1),
                TransferRefusal::UnknownAccount(unknown),
            ),
            (
                Transfer {
                    effective: Some(EffectiveDate(u32::MAX)),
                    ..single(5, accounts[0], accounts[2], 1)
                },
                TransferRefusal::EffectiveInFuture,
            ),
            (
                Transfer {
                    step: TransferStep::Pending { expires_at: None },
                    ..single(6, accounts[0], accounts[2], 1)
                },
                TransferRefusal::CrossesShards,
            ),
        ];
        for round in 0..2 {
            for (transfer, refusal) in &cases {
                let answer = ledger.transfer(asked(vec![transfer.clone()])).await.unwrap();
                assert_eq!(answer.told, [Told::Refused(refusal.clone())], "round {round}");
            }
            land.settle().await;
            assert_eq!(check_at_rest(&platform, &accounts).await, [GRANTED_MINOR; 6]);
        }
        // In pairs that are bound to each other no shard can decide alone.
        let bound = vec![
            single(8, accounts[0], accounts[2], 1),
            single(9, accounts[0], accounts[1], 1),
        ];
        let atomic = TransferRequest {
            linkage: Linkage::Atomic,
            ..asked(bound)
        };
        let answer = ledger.transfer(atomic).await.unwrap();
        let crosses = Told::Refused(TransferRefusal::CrossesShards);
        assert_eq!(answer.told, [crosses.clone(), crosses]);
        let clearing = AccountKey {
            name: AccountName::ShardClearing,
            ..accounts[0]
        };
        let hidden = ledger
            .transfer(asked(vec![single(10, clearing, accounts[0], 1)]))
            .await;
        let refused = TransferRefusal::UnknownAccount(clearing);
        assert_eq!(hidden.unwrap().told, [Told::Refused(refused)]);
        assert_eq!(check_at_rest(&platform, &accounts).await, [GRANTED_MINOR; 6]);
    });
}

#[test]
fn a_dry_run_says_what_would_become_of_it_and_leaves_nothing() {
    Land::new(3).life(async |_, platform| {
        let ledger = platform.ledger();
        let accounts = settlers(&ledger).await;
        let transfers = vec![
            single(1, accounts[0], accounts[2], 400),
            single(2, accounts[1], accounts[4], 601),
            single(3, accounts[3], accounts[5], 600),
        ];
        let dry = TransferRequest {
            is_dry_run: true,
            ..asked(transfers.clone())
        };
        let dry = ledger.transfer(dry).await.unwrap().told;
        let exceeds = Told::Refused(TransferRefusal::ExceedsLimit(accounts[4]));
        assert_eq!(dry, [Told::Done, exceeds, Told::Done]);
        assert_eq!(check_at_rest(&platform, &accounts).await, [GRANTED_MINOR; 6]);
        assert_eq!(ledger.transfer(asked(transfers)).await.unwrap().told, dry);
    });
}

#[test]
fn an_id_that_another_shard_knows_stops_all_that_is_bound_to_it_and_harms_its_owner_never() {
    Land::new(4).life(async |land, platform| {
        let ledger = platform.ledger();
        let accounts = settlers(&ledger).await;
        let (a, b) = (accounts[0], accounts[1]);
        let owned = single(1, accounts[2], accounts[3], 10);
        assert_eq!(
            ledger.transfer(asked(vec![owned.clone()])).await.unwrap().told,
            [Told::Done]
        );
        let reused = || Told::Refused(TransferRefusal::IdReused);
        // Two transfers of one shard that happen only together, one under an id of another shard.
        let bound = TransferRequest {
            linkage: Linkage::Atomic,
            ..asked(vec![single(1, a, b, 5), single(2, a, b, 5)])
        };
        let failed = Told::Refused(TransferRefusal::LinkedFailed);
        assert_eq!(ledger.transfer(bound).await.unwrap().told, [reused(), failed]);
        // The same id from another shard to the one that knows it, and between two that do not.
        for other in [single(1, a, accounts[2], 5), single(1, a, accounts[4], 5)] {
            assert_eq!(
                ledger.transfer(asked(vec![other])).await.unwrap().told,
                [reused()]
            );
        }
        let again = ledger.transfer(asked(vec![owned])).await.unwrap();
        assert!(matches!(again.told[..], [Told::Existed(_)]), "{again:?}");
        // One id twice in a request is one transfer.
        let twice = vec![
            single(3, a, accounts[2], 5),
            single(3, accounts[2], accounts[4], 5),
        ];
        assert_eq!(
            ledger.transfer(asked(twice)).await.unwrap().told,
            [Told::Done, reused()]
        );
        land.settle().await;
        assert_eq!(
            check_at_rest(&platform, &accounts).await,
            [995, 1000, 995, 1010, 1000, 1000]
        );
    });
}

#[test]
fn money_that_is_on_one_side_only_shows_on_the_clearing_accounts() {
    let land = Land::new(6);
    let usd = |minor| Some([((Currency::USD, false), minor)].into());
    land.life(async |land, platform| {
        let ledger = platform.ledger();
        let accounts = settlers(&ledger).await;
        let moved = vec![
            single(1, accounts[0], accounts[4], 400),
            single(2, accounts[2], accounts[0], 30),
        ];
        ledger.transfer(asked(moved)).await.unwrap();
        land.settle().await;
        assert_eq!(ledger.clearing().await, usd(0));
    });
    // The shard that had the other half of the first one is left out, as no node would.
    land.life_of(2, async |_, platform| {
        assert_eq!(platform.ledger().clearing().await, usd(400));
    });
}

#[test]
fn what_is_closed_in_one_shard_is_closed_in_those_that_are_added() {
    let mut land = Land::new(5);
    let day = EffectiveDate(19_000);
    land.life_of(1, async |_, platform| {
        let ledger = platform.ledger();
        let closed = ledger.close_period(day, false, ApiKeyId::from_bits(1)).await;
        closed.unwrap();
    });
    land.lose_indexes();
    land.life(async |_, platform| {
        let ledger = platform.ledger();
        assert_eq!(ledger.closed_periods().await.unwrap().test, Some(day));
        let accounts = settlers(&ledger).await;
        let late = Transfer {
            effective: Some(day),
            ..single(1, accounts[4], accounts[5], 1)
        };
        let closed = Told::Refused(TransferRefusal::PeriodClosed);
        assert_eq!(ledger.transfer(asked(vec![late])).await.unwrap().told, [closed]);
    });
}

/// What a caller heard of each transfer; nothing if nobody answered.
type Heard = Vec<(TransferId, Option<Told>)>;

/// Callers who send money to and fro, each transfer under its own id.
struct Traffic {
    transfers: Vec<Transfer>,
    told: BTreeMap<TransferId, Option<Told>>,
}

impl Traffic {
    fn new(seed: u64, accounts: &[AccountKey], count: usize) -> Self {
        let mut random = Random(seed);
        let mut one = |number: usize| {
            let from = random.below(accounts.len());
            let to = (from + 1 + random.below(accounts.len() - 1)) % accounts.len();
            let minor = 1 + i128::try_from(random.below(700)).unwrap();
            single(number as u128 + 1000, accounts[from], accounts[to], minor)
        };
        Self {
            transfers: (0..count).map(&mut one).collect(),
            told: BTreeMap::new(),
        }
    }

    /// Sends all of them, some together in one request.
    fn send(&self, ledger: &LedgerHandle, seed: u64) -> Vec<JoinHandle<Heard>> {
        let mut random = Random(seed);
        let mut rest = self.transfers.as_slice();
        let mut calls = Vec::new();
        while !rest.is_empty() {
            let (request, later) = rest.split_at(rest.len().min(1 + random.below(4)));
            rest = later;
            let (ledger, request) = (ledger.clone(), request.to_vec());
            calls.push(tokio::spawn(async move {
                let ids: Vec<TransferId> = request.iter().map(|transfer| transfer.id).collect();
                match ledger.transfer(asked(request)).await {
                    Ok(answer) => ids.into_iter().zip(answer.told.into_iter().map(Some)).collect(),
                    Err(_) => ids.into_iter().map(|id| (id, None)).collect(),
                }
            }));
        }
        calls
    }

    /// Notes what was told. What was told for good stays so.
    async fn note(&mut self, calls: Vec<JoinHandle<Heard>>) {
        for call in calls {
            for (id, told) in call.await.expect("a caller does not panic") {
                self.note_one(id, told);
            }
        }
    }

    fn note_one(&mut self, id: TransferId, told: Option<Told>) {
        let known = self.told.entry(id).or_default();
        if matches!(known, Some(Told::Done | Told::Existed(_))) {
            assert!(
                matches!(told, None | Some(Told::Existed(_))),
                "{id}: it was done, now {told:?}"
            );
        } else {
            *known = told;
        }
    }

    /// What the accounts must come to by what was told.
    fn expected(&self, accounts: &[AccountKey]) -> Vec<i128> {
        let mut balances: BTreeMap<AccountKey, i128> =
            accounts.iter().map(|key| (*key, GRANTED_MINOR)).collect();
        for transfer in &self.transfers {
            match self.told[&transfer.id]
                .as_ref()
                .expect("everything was told in the end")
            {
                Told::Done | Told::Existed(_) => {
                    let TransferLegs::Pair {
                        debit,
                        credit,
                        amount,
                    } = transfer.legs
                    else {
                        panic!("all are pairs");
                    };
                    *balances.get_mut(&debit).unwrap() -= amount.minor();
                    *balances.get_mut(&credit).unwrap() += amount.minor();
                }
                Told::Refused(_) => {}
            }
        }
        accounts.iter().map(|key| balances[key]).collect()
    }
}

/// Whatever was said once, all is told in the end, and the books are what was told.
async fn check_told(land: &Land, platform: &Platform, accounts: &[AccountKey], mut traffic: Traffic) {
    land.settle().await;
    let calls = traffic.send(&platform.ledger(), 5);
    traffic.note(calls).await;
    land.settle().await;
    let balances = check_at_rest(platform, accounts).await;
    assert_eq!(balances, traffic.expected(accounts));
}

#[test]
fn hundreds_at_once_between_all_shards_come_to_what_was_told() {
    for seed in 0..6 {
        Land::new(seed).life(async |land, platform| {
            let accounts = settlers(&platform.ledger()).await;
            let mut traffic = Traffic::new(seed, &accounts, 300);
            let calls = traffic.send(&platform.ledger(), seed);
            traffic.note(calls).await;
            let told: Vec<_> = traffic.told.values().flatten().collect();
            assert_eq!(told.len(), 300);
            let done = told.iter().filter(|told| ***told == Told::Done).count();
            assert!(
                (30..300).contains(&done),
                "{done}: some are made, some are refused"
            );
            check_told(land, &platform, &accounts, traffic).await;
        });
    }
}

const STEPS: [Step; 9] = [
    Step::ShardCrossing,
    Step::CrossingBegun,
    Step::CrossingPrepared,
    Step::CrossingReserved,
    Step::CrossingDecided,
    Step::CrossingFinished,
    Step::CrossingsSwept,
    Step::WriterQueued,
    Step::WriterFlushed,
];

#[test]
fn a_crash_at_any_step_leaves_each_transfer_whole_or_undone_and_nothing_reserved() {
    let cases = STEPS
        .into_iter()
        .flat_map(|step| [1, 2, 3, 5, 8, 12].map(|nth| (step, nth)));
    let cases = cases.flat_map(|(step, nth)| [true, false].map(|survive| (step, nth, survive)));
    all_cases(cases, |&(step, nth, indexes_survive)| {
        let mut land = Land::new(nth);
        let (accounts, traffic) = land.life(async |land, platform| {
            let accounts = settlers(&platform.ledger()).await;
            let mut traffic = Traffic::new(nth, &accounts, 40);
            land.world.probe.arm(step, nth);
            let calls = traffic.send(&platform.ledger(), nth);
            if kind_of(step).is_restartable() {
                traffic.note(calls).await;
                land.settle().await;
                assert_eq!(land.world.fatal.count(), 0);
                assert_eq!(land.world.probe.fired(), 1, "{step:?}");
                land.world.probe.disarm();
                check_told(
                    land,
                    &platform,
                    &accounts,
                    Traffic {
                        told: traffic.told.clone(),
                        transfers: traffic.transfers.clone(),
                    },
                )
                .await;
            } else {
                until("the process ends", || land.world.fatal.count() > 0).await;
                for call in calls {
                    if call.is_finished() {
                        traffic.note(vec![call]).await;
                    }
                }
            }
            (accounts, traffic)
        });
        if !indexes_survive {
            land.lose_indexes();
        }
        land.world.probe.disarm();
        land.life(async |land, platform| check_told(land, &platform, &accounts, traffic).await);
    });
}

#[test]
fn whenever_the_process_ends_each_transfer_is_whole_or_undone_after_the_next_start() {
    all_cases(0..60_u64, |&seed| {
        let mut random = Random(seed);
        let mut land = Land::new(seed);
        let accounts = land.life(async |_, platform| settlers(&platform.ledger()).await);
        let mut traffic = Traffic::new(seed, &accounts, 60);
        for life in 0..4 {
            let yields = random.below(400);
            let told = land.life(async |_, platform| {
                let calls = traffic.send(&platform.ledger(), seed + life);
                for _ in 0..yields {
                    tokio::task::yield_now().await;
                }
                let mut told = Vec::new();
                for call in calls {
                    if call.is_finished() {
                        told.extend(call.await.expect("a caller does not panic"));
                    }
                }
                told
            });
            for (id, told) in told {
                traffic.note_one(id, told);
            }
            if random.below(3) == 0 {
                land.lose_indexes();
            }
        }
        land.life(async |land, platform| check_told(land, &platform, &accounts, traffic).await);
    });
}
