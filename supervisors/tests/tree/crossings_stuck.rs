//! Transfers between shards of which one hangs at its disk: nobody tells, or goes by, what is not durable there.

use crate::crossings_land::{GRANTED_MINOR, Land, asked, check_at_rest, settlers, single};
use crate::world::all_cases;
use florin_actors::ledger_handle::{Answer, LedgerHandle, Told};
use florin_domain::ledger::{Transfer, TransferRefusal};
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;
use tokio::task::JoinHandle;

/// More turns than a transfer takes from the call to its end.
const TURNS: u64 = 90;

fn send(ledger: &LedgerHandle, transfers: Vec<Transfer>) -> JoinHandle<Answer> {
    let ledger = ledger.clone();
    tokio::spawn(async move { ledger.transfer(asked(transfers)).await.unwrap() })
}

/// Lets every task that is ready go one step, so often. A yield to the runtime would let them all come to a stop first.
async fn turns(count: u64) {
    for _ in 0..count {
        let mut has_passed = false;
        let turn = poll_fn(|context| {
            if std::mem::replace(&mut has_passed, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        });
        turn.await;
    }
}

/// A shard's disk hangs after so many steps of every task. Done by a task of its own: the runtime polls its main one less often.
fn hang_after(land: &Land, shard: usize, count: u64) {
    let faults = land.faults(shard);
    tokio::spawn(async move {
        turns(count).await;
        faults.appends.close();
    });
}

/// Longer than whoever takes up what is left needs, while the clock stands.
async fn a_while() {
    tokio::time::sleep(Duration::from_secs(5)).await;
}

#[test]
fn what_hung_in_one_shard_is_whole_or_undone_right_after_the_next_start() {
    let (mut made, mut undone, mut told_of) = (0, 0, 0);
    let cases = (0..2).flat_map(|stuck| (0..TURNS).map(move |count| (stuck, count)));
    all_cases(cases, |&(stuck, count)| {
        let land = Land::new(count);
        let (accounts, told) = land.life(async |land, platform| {
            let accounts = settlers(&platform.ledger()).await;
            let call = send(&platform.ledger(), vec![single(7, accounts[0], accounts[2], 400)]);
            hang_after(land, stuck, count);
            a_while().await;
            let told = if call.is_finished() {
                call.await.unwrap().told
            } else {
                Vec::new()
            };
            (accounts, told)
        });
        land.faults(stuck).appends.open();
        land.life(async |_, platform| {
            a_while().await;
            let balances = check_at_rest(&platform, &accounts).await;
            let moved = GRANTED_MINOR - balances[0];
            assert!(moved == 0 || moved == 400, "{balances:?}");
            assert_eq!(balances[2], GRANTED_MINOR + moved);
            match told[..] {
                [] => {}
                [Told::Done] => assert_eq!(moved, 400),
                _ => panic!("{told:?}"),
            }
            made += u32::from(moved > 0);
            undone += u32::from(moved == 0);
            told_of += u32::from(!told.is_empty());
        });
    });
    assert!(
        told_of > 0 && made >= told_of && undone > 0,
        "{made} {told_of} {undone}"
    );
}

#[test]
fn an_id_is_used_as_soon_as_it_is_in_order() {
    let mut refused = [0, 0];
    all_cases(0..TURNS / 3, |&count| {
        Land::new(count).life(async |land, platform| {
            let ledger = platform.ledger();
            let accounts = settlers(&ledger).await;
            land.faults(1).appends.close();
            let across = send(&ledger, vec![single(7, accounts[0], accounts[2], 10)]);
            // Its first transfer keeps it busy in the first shard; the second one is another one under the same id.
            let within = vec![
                single(8, accounts[0], accounts[1], 1),
                single(7, accounts[2], accounts[3], 20),
            ];
            let within = tokio::spawn(async move {
                turns(count).await;
                send(&ledger, within).await.unwrap()
            });
            a_while().await;
            land.faults(1).appends.open();
            let told = [
                across.await.unwrap().told[0].clone(),
                within.await.unwrap().told[1].clone(),
            ];
            land.settle().await;
            let balances = check_at_rest(&platform, &accounts).await;
            let used_up = Told::Refused(TransferRefusal::IdReused);
            let expected = if told == [Told::Done, used_up.clone()] {
                refused[1] += 1;
                [
                    GRANTED_MINOR - 11,
                    GRANTED_MINOR + 1,
                    GRANTED_MINOR + 10,
                    GRANTED_MINOR,
                ]
            } else {
                assert_eq!(told, [used_up, Told::Done]);
                refused[0] += 1;
                [
                    GRANTED_MINOR - 1,
                    GRANTED_MINOR + 1,
                    GRANTED_MINOR - 20,
                    GRANTED_MINOR + 20,
                ]
            };
            assert_eq!(balances[..4], expected);
        });
    });
    assert!(refused[0] > 0 && refused[1] > 0, "{refused:?}");
}

#[test]
fn one_id_from_two_shards_to_a_third_moves_money_once() {
    let mut told_of = [0, 0];
    all_cases(0..TURNS, |&count| {
        Land::new(count).life(async |land, platform| {
            let ledger = platform.ledger();
            let accounts = settlers(&ledger).await;
            // The first one is not durable, so that the second one is not seen to be another one under the same id.
            land.faults(0).appends.close();
            let first = send(&ledger, vec![single(7, accounts[0], accounts[2], 10)]);
            let second = send(&ledger, vec![single(7, accounts[4], accounts[3], 20)]);
            hang_after(land, 2, count);
            a_while().await;
            land.faults(0).appends.open();
            a_while().await;
            land.faults(2).appends.open();
            let told = [
                first.await.unwrap().told[0].clone(),
                second.await.unwrap().told[0].clone(),
            ];
            land.settle().await;
            let balances = check_at_rest(&platform, &accounts).await;
            let [is_first, is_second] = told.map(|told| i128::from(told == Told::Done));
            assert_eq!(is_first + is_second, 1, "one of the two");
            told_of[usize::from(is_second == 1)] += 1;
            let expected = [
                GRANTED_MINOR - 10 * is_first,
                GRANTED_MINOR + 10 * is_first,
                GRANTED_MINOR + 20 * is_second,
                GRANTED_MINOR - 20 * is_second,
            ];
            let came_to = [balances[0], balances[2], balances[3], balances[4]];
            assert_eq!(came_to, expected);
        });
    });
    assert!(told_of[0] > 0 && told_of[1] > 0, "{told_of:?}");
}
