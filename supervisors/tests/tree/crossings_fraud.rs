//! The fraud check's vote on transfers between shards: a no aborts, and so does no answer; what it agreed to goes on.

use crate::crossings_land::{GRANTED_MINOR, Land, asked, check_at_rest, settlers, single};
use florin_actors::account_shard::TransferRequest;
use florin_actors::context::Step;
use florin_actors::ledger_handle::{LedgerHandle, Told};
use florin_domain::ledger::{AccountKey, Transfer, TransferRefusal};
use florin_domain::risk::TransferLimits;
use std::time::Duration;

/// A land where so many may go from one account within an hour.
fn land(seed: u64, hour_count_max: u32) -> Land {
    let mut land = Land::new(seed);
    land.world.options.transfer_limits = TransferLimits {
        hour_count_max: Some(hour_count_max),
    };
    land
}

async fn told(ledger: &LedgerHandle, transfers: Vec<Transfer>) -> Vec<Told> {
    ledger.transfer(asked(transfers)).await.unwrap().told
}

const fn no() -> Told {
    Told::Refused(TransferRefusal::FraudCheckRefused)
}

fn many(first: u128, count: u128, (debit, credit): (AccountKey, AccountKey)) -> Vec<Transfer> {
    (first..first + count)
        .map(|id| single(id, debit, credit, 10))
        .collect()
}

#[test]
fn cons_1_more_than_may_go_from_an_account_within_an_hour_is_aborted_and_stays_so() {
    land(21, 3).life(async |land, platform| {
        let ledger = platform.ledger();
        let accounts = settlers(&ledger).await;
        let out = (accounts[0], accounts[2]);
        let dry = TransferRequest {
            is_dry_run: true,
            ..asked(many(1, 4, out))
        };
        let expected = [Told::Done, Told::Done, Told::Done, no()];
        for round in 0..2 {
            let said = ledger.transfer(dry.clone()).await.unwrap().told;
            assert_eq!(said, expected, "asking counts nothing, round {round}");
        }
        assert_eq!(told(&ledger, many(1, 4, out)).await, expected);
        // To whichever shard, and one by one; another account has a count of its own, and within a shard nobody counts.
        assert_eq!(
            told(&ledger, many(10, 1, (accounts[0], accounts[4]))).await,
            [no()]
        );
        assert_eq!(
            told(&ledger, many(11, 1, (accounts[1], accounts[4]))).await,
            [Told::Done]
        );
        let within = told(&ledger, many(20, 9, (accounts[0], accounts[1]))).await;
        assert_eq!(within, [const { Told::Done }; 9]);
        land.settle().await;
        let balances = [880, 1080, 1030, GRANTED_MINOR, 1010, GRANTED_MINOR];
        assert_eq!(check_at_rest(&platform, &accounts).await, balances);
        // Its answer is in the journal, whatever the counters say later.
        land.world.clock.advance_s(3_600);
        let again = told(&ledger, many(1, 4, out)).await;
        assert!(matches!(
            again.as_slice(),
            [
                Told::Existed(_),
                Told::Existed(_),
                Told::Existed(_),
                Told::Refused(TransferRefusal::FraudCheckRefused)
            ]
        ));
        assert_eq!(told(&ledger, many(30, 4, out)).await, expected);
        land.settle().await;
        let balances = [850, 1080, 1060, GRANTED_MINOR, 1010, GRANTED_MINOR];
        assert_eq!(check_at_rest(&platform, &accounts).await, balances);
    });
}

#[test]
fn what_went_between_shards_before_a_start_still_counts() {
    let land = land(22, 3);
    let accounts = land.life(async |land, platform| {
        let ledger = platform.ledger();
        let accounts = settlers(&ledger).await;
        let said = told(&ledger, many(1, 2, (accounts[2], accounts[0]))).await;
        assert_eq!(said, [Told::Done, Told::Done]);
        land.settle().await;
        accounts
    });
    let out = (accounts[2], accounts[4]);
    land.life(async |land, platform| {
        land.settle().await;
        let ledger = platform.ledger();
        assert_eq!(told(&ledger, many(10, 2, out)).await, [Told::Done, no()]);
        land.settle().await;
        assert_eq!(
            check_at_rest(&platform, &accounts).await,
            [1020, 1000, 970, 1000, 1010, 1000]
        );
    });
    land.world.clock.advance_s(3_600);
    land.life(async |land, platform| {
        land.settle().await;
        let said = told(&platform.ledger(), many(20, 3, out)).await;
        assert_eq!(said, [const { Told::Done }; 3], "an hour later it is forgotten");
    });
}

#[test]
fn cons_1_a_fraud_check_that_does_not_answer_is_no_agreement() {
    for nth in 1..=6 {
        land(nth, 1_000).life(async |land, platform| {
            let ledger = platform.ledger();
            let accounts = settlers(&ledger).await;
            land.world.probe.arm(Step::RiskAssessing, nth);
            let places = [(0, 2), (2, 4), (4, 0), (1, 3), (3, 5), (5, 1)];
            let mut given_up = 0;
            for (number, (debit, credit)) in (0_u128..).zip(places) {
                let said = told(
                    &ledger,
                    many(100 * number + 1, 1, (accounts[debit], accounts[credit])),
                )
                .await;
                match said.as_slice() {
                    [Told::Done] => {}
                    [Told::Refused(TransferRefusal::GivenUp)] => {
                        given_up += 1;
                        // The counters start again in virtual time.
                        tokio::time::sleep(Duration::from_secs(5)).await;
                    }
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!((land.world.probe.fired(), given_up), (1, 1), "{nth}");
            land.world.probe.disarm();
            land.settle().await;
            assert_eq!(land.world.fatal.count(), 0);
            let sum: i128 = check_at_rest(&platform, &accounts).await.iter().sum();
            assert_eq!(sum, 6 * GRANTED_MINOR);
            let next = told(&ledger, many(9_000, 1, (accounts[0], accounts[2]))).await;
            assert_eq!(next, [Told::Done], "it counts again");
        });
    }
}
