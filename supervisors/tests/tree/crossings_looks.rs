//! Looks at the clearing accounts while transfers between shards are always under way.

use crate::crossings_land::{Land, asked, settlers, single};
use florin_actors::ledger_handle::LedgerHandle;
use florin_domain::ledger::{AccountKey, Nets};
use florin_domain::money::Currency;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::task::JoinHandle;

/// Callers who send a little to and fro between two shards until they are to stop, each as soon as it was answered.
fn traffic(
    ledger: &LedgerHandle,
    accounts: &[AccountKey],
    (first_id, is_over): (u128, &Arc<AtomicBool>),
) -> Vec<JoinHandle<u32>> {
    let pairs = [(0, 2), (2, 0), (1, 3), (3, 1), (0, 3), (3, 0)];
    let callers = (0..).zip(pairs).map(|(caller, (from, to))| {
        let (ledger, is_over) = (ledger.clone(), Arc::clone(is_over));
        let (from, to) = (accounts[from], accounts[to]);
        tokio::spawn(async move {
            let mut made = 0;
            while !is_over.load(Ordering::SeqCst) {
                made += 1;
                let id = first_id + (caller << 32) + u128::from(made);
                let sent = ledger.transfer(asked(vec![single(id, from, to, 3)])).await;
                sent.expect("both shards are there");
            }
            made
        })
    });
    callers.collect()
}

/// Looks fifty times, and how often something was under way between two looks.
async fn look(ledger: &LedgerHandle, expected: &Nets) -> usize {
    let mut busy = 0;
    for _ in 0..50 {
        assert_eq!(ledger.clearing().await.as_ref(), Some(expected));
        busy += usize::from(ledger.crossings().await.is_ok_and(|open| !open.is_empty()));
    }
    busy
}

#[test]
fn what_is_on_one_side_only_is_seen_though_something_is_always_under_way() {
    let land = Land::new(40);
    let usd = |minor| Nets::from([((Currency::USD, false), minor)]);
    let accounts = land.life(async |land, platform| {
        let ledger = platform.ledger();
        let accounts = settlers(&ledger).await;
        let moved = single(1, accounts[0], accounts[4], 400);
        ledger.transfer(asked(vec![moved])).await.unwrap();
        let is_over = Arc::default();
        let callers = traffic(&ledger, &accounts, (1 << 80, &is_over));
        let busy = look(&ledger, &usd(0)).await;
        assert!(busy > 40, "{busy}");
        is_over.store(true, Ordering::SeqCst);
        for caller in callers {
            assert!(caller.await.unwrap() > 10);
        }
        land.settle().await;
        accounts
    });
    // The shard that had the other half of the first one is left out, as no node would.
    land.life_of(2, async |_, platform| {
        let ledger = platform.ledger();
        let is_over = Arc::default();
        let callers = traffic(&ledger, &accounts, (1 << 81, &is_over));
        let busy = look(&ledger, &usd(400)).await;
        assert!(busy > 40, "{busy}");
        is_over.store(true, Ordering::SeqCst);
        for caller in callers {
            assert!(caller.await.unwrap() > 10);
        }
    });
}

#[test]
fn a_look_that_another_one_comes_into_is_broken_off_and_the_other_one_is_right() {
    let land = Land::new(41);
    land.life(async |_, platform| {
        let ledger = platform.ledger();
        let (one, other) = tokio::join!(ledger.clearing(), ledger.clearing());
        assert!(one.is_none() || other.is_none(), "{one:?} {other:?}");
        assert_eq!(ledger.clearing().await, Some(Nets::new()));
    });
}
