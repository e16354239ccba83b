//! Reverts where there are several shards: each is made where what it undoes is recorded, once, or refused.

use crate::crossings_land::{GRANTED_MINOR, Land, asked, check_at_rest, settlers, single};
use crate::ports::lock;
use florin_actors::admission::Shed;
use florin_actors::ledger_handle::{LedgerError, LedgerHandle, RevertError, RevertRequest, Told};
use florin_domain::ids::ApiKeyId;
use florin_domain::ledger::{Linkage, Revert, TransferId, TransferRefusal};

fn undo(pairs: &[(u128, u128)]) -> RevertRequest {
    let revert = |(id, reverts): &(u128, u128)| Revert {
        id: TransferId(*id),
        reverts: TransferId(*reverts),
        effective: None,
        notes: None,
    };
    RevertRequest {
        reverts: pairs.iter().map(revert).collect(),
        linkage: Linkage::Independent,
        is_dry_run: false,
        by: ApiKeyId::from_bits(1),
        lines_max: 1_000,
    }
}

async fn told(ledger: &LedgerHandle, request: RevertRequest) -> Vec<Told> {
    ledger.revert(request).await.unwrap().told
}

fn refused(refusal: TransferRefusal) -> Told {
    Told::Refused(refusal)
}

#[test]
fn a_transfer_is_reverted_once_by_the_shard_that_has_it() {
    let mut land = Land::new(11);
    let accounts = land.life(async |land, platform| {
        let ledger = platform.ledger();
        let accounts = settlers(&ledger).await;
        let made = vec![
            single(1, accounts[0], accounts[1], 100),
            single(2, accounts[2], accounts[3], 200),
            single(3, accounts[4], accounts[5], 300),
            single(4, accounts[0], accounts[4], 50),
        ];
        assert_eq!(
            ledger.transfer(asked(made)).await.unwrap().told,
            [const { Told::Done }; 4]
        );
        let all = [(21, 1), (22, 2), (23, 3)];
        let dry = RevertRequest {
            is_dry_run: true,
            ..undo(&all)
        };
        assert_eq!(told(&ledger, dry).await, [const { Told::Done }; 3]);
        for (_, reverts) in all {
            assert_eq!(ledger.reverted_by(TransferId(reverts)).await.unwrap(), None);
        }
        assert_eq!(told(&ledger, undo(&all)).await, [const { Told::Done }; 3]);
        let again = told(&ledger, undo(&all)).await;
        assert!(
            again.iter().all(|told| matches!(told, Told::Existed(_))),
            "{again:?}"
        );
        let twice = told(&ledger, undo(&[(31, 1), (32, 2), (33, 3)])).await;
        assert_eq!(
            twice,
            [const { Told::Refused(TransferRefusal::AlreadyReverted) }; 3]
        );
        for (id, reverts) in all {
            let by = ledger.reverted_by(TransferId(reverts)).await.unwrap();
            assert_eq!(by, Some(TransferId(id)));
        }
        // A revert is a transfer of its shard, and is reverted there.
        assert_eq!(told(&ledger, undo(&[(42, 22)])).await, [Told::Done]);
        land.settle().await;
        assert_eq!(
            check_at_rest(&platform, &accounts).await,
            [950, 1000, 800, 1200, 1050, 1000]
        );
        accounts
    });
    land.lose_indexes();
    land.life(async |_, platform| {
        let ledger = platform.ledger();
        let twice = told(&ledger, undo(&[(51, 1), (52, 2), (53, 3), (54, 22)])).await;
        assert_eq!(
            twice,
            [const { Told::Refused(TransferRefusal::AlreadyReverted) }; 4]
        );
        let again = told(&ledger, undo(&[(21, 1), (22, 2), (42, 22)])).await;
        assert!(
            again.iter().all(|told| matches!(told, Told::Existed(_))),
            "{again:?}"
        );
        check_at_rest(&platform, &accounts).await;
    });
}

#[test]
fn what_several_shards_would_have_to_undo_together_is_refused() {
    Land::new(12).life(async |land, platform| {
        let ledger = platform.ledger();
        let accounts = settlers(&ledger).await;
        let made = vec![
            single(1, accounts[0], accounts[1], 100),
            single(2, accounts[2], accounts[3], 200),
            single(3, accounts[2], accounts[3], 1),
            single(4, accounts[0], accounts[4], 50),
            single(5, accounts[0], accounts[4], 601),
        ];
        let said = ledger.transfer(asked(made)).await.unwrap().told;
        let exceeds = refused(TransferRefusal::ExceedsLimit(accounts[4]));
        assert_eq!(said, [Told::Done, Told::Done, Told::Done, Told::Done, exceeds]);
        land.settle().await;
        let before = check_at_rest(&platform, &accounts).await;
        let crosses = refused(TransferRefusal::CrossesShards);
        let unknown = refused(TransferRefusal::RevertedNotFound);
        for round in 0..2 {
            let between = told(&ledger, undo(&[(24, 4), (25, 5), (26, 6)])).await;
            // The one that was refused moved nothing in either shard.
            let nothing = refused(TransferRefusal::NothingToRevert);
            let expected = [crosses.clone(), nothing, unknown.clone()];
            assert_eq!(between, expected, "round {round}");
        }
        let atomic = |pairs: &[(u128, u128)]| RevertRequest {
            linkage: Linkage::Atomic,
            ..undo(pairs)
        };
        let both = told(&ledger, atomic(&[(21, 1), (22, 2)])).await;
        assert_eq!(both, [crosses.clone(), crosses.clone()]);
        // What nobody knows is no other shard's.
        let linked = refused(TransferRefusal::LinkedFailed);
        let missing = told(&ledger, atomic(&[(22, 2), (26, 6)])).await;
        assert_eq!(missing, [linked.clone(), unknown]);
        let half = told(&ledger, atomic(&[(22, 2), (24, 4)])).await;
        assert_eq!(half, [crosses.clone(), crosses]);
        // The id of a revert is as unique as that of any transfer, whichever shard knows it.
        let used = told(&ledger, undo(&[(1, 2), (4, 2)])).await;
        assert_eq!(used, [const { Told::Refused(TransferRefusal::IdReused) }; 2]);
        assert_eq!(check_at_rest(&platform, &accounts).await, before);
        assert_eq!(
            told(&ledger, atomic(&[(22, 2), (23, 3)])).await,
            [Told::Done, Told::Done]
        );
        let after = [850, 1100, GRANTED_MINOR, GRANTED_MINOR, 1050, GRANTED_MINOR];
        assert_eq!(check_at_rest(&platform, &accounts).await, after);
    });
}

#[test]
fn of_many_who_revert_the_same_one_succeeds() {
    Land::new(13).life(async |_, platform| {
        let ledger = platform.ledger();
        let accounts = settlers(&ledger).await;
        let made = single(1, accounts[2], accounts[3], 100);
        ledger.transfer(asked(vec![made])).await.unwrap();
        let calls: Vec<_> = (0..40)
            .map(|number| {
                let ledger = ledger.clone();
                tokio::spawn(async move { told(&ledger, undo(&[(100 + number, 1)])).await })
            })
            .collect();
        let mut done = 0;
        for call in calls {
            match call.await.unwrap().as_slice() {
                [Told::Done] => done += 1,
                [Told::Refused(TransferRefusal::AlreadyReverted)] => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(done, 1);
        assert_eq!(check_at_rest(&platform, &accounts).await, [GRANTED_MINOR; 6]);
    });
}

#[test]
fn a_transfer_between_shards_that_came_to_nothing_hides_no_transfer_of_its_id() {
    Land::new(14).life(async |land, platform| {
        let ledger = platform.ledger();
        let accounts = settlers(&ledger).await;
        // Both are on their way before either shard knows of the other's.
        let (between, within) = tokio::join!(
            ledger.transfer(asked(vec![single(7, accounts[0], accounts[4], 700)])),
            ledger.transfer(asked(vec![single(7, accounts[2], accounts[3], 100)])),
        );
        let exceeds = refused(TransferRefusal::ExceedsLimit(accounts[4]));
        assert_eq!(
            (between.unwrap().told, within.unwrap().told),
            (vec![exceeds], vec![Told::Done])
        );
        land.settle().await;
        assert_eq!(
            check_at_rest(&platform, &accounts).await,
            [1000, 1000, 900, 1100, 1000, 1000]
        );
        assert_eq!(told(&ledger, undo(&[(27, 7)])).await, [Told::Done]);
        assert_eq!(check_at_rest(&platform, &accounts).await, [GRANTED_MINOR; 6]);
        let twice = told(&ledger, undo(&[(28, 7)])).await;
        assert_eq!(twice, [refused(TransferRefusal::AlreadyReverted)]);
    });
}

#[test]
fn nothing_is_read_for_reverts_that_are_not_let_in() {
    Land::new(15).life(async |land, platform| {
        let ledger = platform.ledger();
        let accounts = settlers(&ledger).await;
        let made = asked(vec![single(1, accounts[2], accounts[3], 100)]);
        let seq = ledger.transfer(made).await.unwrap().seq;
        *lock(&land.faults(1).rotten) = seq;
        // Whoever reads it hears that it is damaged.
        let read = ledger.revert(undo(&[(21, 1)])).await;
        assert!(
            matches!(read, Err(RevertError::Ledger(LedgerError::Read(_)))),
            "{read:?}"
        );
        assert_eq!(
            platform.context().admission.in_flight(),
            0,
            "who failed is out again"
        );
        platform.context().admission.drain();
        let shed = ledger.revert(undo(&[(21, 1)])).await;
        assert_eq!(shed, Err(RevertError::Ledger(LedgerError::Shed(Shed::Draining))));
    });
}

#[test]
fn reverts_are_made_the_last_recorded_first_and_told_in_the_order_of_the_request() {
    Land::new(16).life(async |_, platform| {
        let ledger = platform.ledger();
        let accounts = settlers(&ledger).await;
        // The second account gives back more than the first one gave it: undone in this order it would be overdrawn.
        let through = vec![
            single(1, accounts[0], accounts[1], 600),
            single(2, accounts[1], accounts[0], 1_601),
            single(3, accounts[1], accounts[0], 1_200),
        ];
        let made = ledger.transfer(asked(through)).await.unwrap().told;
        let short = refused(TransferRefusal::InsufficientFunds(accounts[1]));
        assert_eq!(made, [Told::Done, short, Told::Done]);
        let atomic = RevertRequest {
            linkage: Linkage::Atomic,
            ..undo(&[(21, 1), (23, 3)])
        };
        assert_eq!(told(&ledger, atomic).await, [Told::Done, Told::Done]);
        assert_eq!(check_at_rest(&platform, &accounts).await, [GRANTED_MINOR; 6]);
        let mixed = told(&ledger, undo(&[(31, 1), (32, 99), (33, 3), (34, 2)])).await;
        let already = refused(TransferRefusal::AlreadyReverted);
        let unknown = refused(TransferRefusal::RevertedNotFound);
        assert_eq!(mixed, [already.clone(), unknown.clone(), already, unknown]);
    });
}
