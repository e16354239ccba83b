//! The monitor under load, where it finds nothing, and when it fails itself, which stops nobody.

use crate::monitor::{failures, is_clean, pay, report, run};
use crate::operations::{Ask, ask, capture, payment_of, refund};
use crate::ports::lock;
use crate::provider::Scripted;
use crate::transfers_calls::Callers;
use crate::world::{World, let_settle, options, patient, request, until};
use florin_actors::context::Step;
use florin_actors::kind::Kind;
use florin_actors::options::Options;
use florin_actors::payments_handle::PaymentsHandle;
use florin_domain::consistency::{Check, CheckState};
use florin_domain::ids::Seq;
use florin_domain::payment::CaptureMethod;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

fn world(seed: u64) -> World {
    World::with(seed, options(), Scripted::new(false, true))
}

#[test]
fn a_check_that_cannot_be_run_is_a_failure_and_the_next_round_tries_again() {
    world(77).life(async |world, platform| {
        pay(&platform, 0..20).await;
        is_clean(&run(&platform).await);
        pay(&platform, 20..30).await;
        // One read for each reader: that of the last minutes, and that of the fold.
        world.faults.busy.store(2, Ordering::SeqCst);
        let round = run(&platform).await;
        let failed: Vec<(Check, &str)> = round.failures().collect();
        let why = "the journal cannot be read: busy";
        assert_eq!(
            failed,
            [
                (Check::Ledger, why),
                (Check::Balances, why),
                (Check::Payments, why)
            ],
            "{round:#?}"
        );
        assert_eq!(failures(&platform), 1, "one alert for a round");
        is_clean(&run(&platform).await);

        *lock(&world.faults.rotten) = Some(Seq(world.truth().head.0 + 1));
        pay(&platform, 30..31).await;
        let round = run(&platform).await;
        assert_eq!(round.failures().count(), 3, "{round:#?}");
        pay(&platform, 31..40).await;
        *lock(&world.faults.rotten) = None;
        is_clean(&run(&platform).await);
        assert_eq!(failures(&platform), 2);
    });
}

#[test]
fn a_task_that_dies_is_a_failure_and_everything_is_read_anew() {
    world(78).life(async |world, platform| {
        pay(&platform, 0..20).await;
        is_clean(&run(&platform).await);
        pay(&platform, 20..30).await;
        world.faults.traps[1].set(1);
        let round = run(&platform).await;
        assert_eq!(round.failures().count(), 4, "{round:#?}");
        assert_eq!(failures(&platform), 1);
        let round = run(&platform).await;
        is_clean(&round);
        assert_eq!((round.number, round.commits), (3, world.truth().head.0));
        let restarts = &platform.context().figures.kind(Kind::Monitor).restarts;
        assert_eq!(restarts.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn a_monitor_that_fails_again_and_again_stops_no_payment_and_not_the_process() {
    let options = Options {
        monitor_every: Duration::from_secs(1),
        ..options()
    };
    let world = World::with(79, options, Scripted::new(false, true));
    world.life(async |world, platform| {
        world.probe.arm_times(Step::MonitorEnded, 1, 15);
        until("it has failed more often than any other actor may", || {
            world.probe.fired() == 15
        })
        .await;
        pay(&platform, 0..20).await;
        let rounds = || platform.context().monitor_board.load().rounds;
        until("rounds go on", || rounds() >= 3).await;
        assert_eq!(failures(&platform), 15, "each incarnation but the first says so");
        is_clean(&run(&platform).await);
    });
    assert_eq!(world.fatal.count(), 0);
}

#[test]
fn a_round_that_takes_too_long_goes_on_in_the_next_one() {
    world(82).life(async |world, platform| {
        pay(&platform, 0..20).await;
        let_settle().await;
        let head = world.truth().head;
        world.faults.page_max.store(10, Ordering::SeqCst);
        world.faults.pages.close();
        let running = tokio::spawn({
            let consistency = platform.consistency();
            async move { consistency.run().await.unwrap().remove(0) }
        });
        tokio::time::sleep(Duration::from_secs(40)).await;
        world.faults.pages.open();
        let round = running.await.unwrap();
        let behind = |read| CheckState::Behind { read, head };
        assert_eq!(report(&round, Check::Ledger).state, behind(Seq(10)));
        assert_eq!(report(&round, Check::Payments).state, behind(Seq(10)));
        assert_eq!(report(&round, Check::Balances).state, behind(Seq(10)));
        assert_eq!(round.issues(), 0);
        is_clean(&run(&platform).await);
    });
}

#[test]
fn balances_are_compared_however_long_the_last_minutes_take_to_read() {
    let world = world(87);
    world.life(async |world, platform| {
        pay(&platform, 0..20).await;
        let_settle().await;
        world.clock.advance_s(301);
    });
    // The fold of this life begins far behind the last minutes.
    world.life(async |world, platform| {
        pay(&platform, 20..40).await;
        let_settle().await;
        let head = world.truth().head;
        world.faults.page_max.store(10, Ordering::SeqCst);
        world.faults.pages.close();
        let running = tokio::spawn({
            let consistency = platform.consistency();
            async move { consistency.run().await.unwrap().remove(0) }
        });
        tokio::time::sleep(Duration::from_secs(40)).await;
        world.faults.pages.open();
        let round = running.await.unwrap();
        let ledger = report(&round, Check::Ledger);
        assert!(
            matches!(ledger.state, CheckState::Behind { read, .. } if read < head),
            "{ledger:?}"
        );
        let balances = report(&round, Check::Balances);
        assert_eq!(balances.state, CheckState::Done, "they have a time of their own");
        assert!(balances.compared >= 3, "{balances:?}");
        is_clean(&run(&platform).await);
    });
}

#[test]
fn a_monitor_that_hangs_is_alerted_and_what_it_said_last_is_not_believed_for_ever() {
    let options = Options {
        monitor_every: Duration::from_mins(1),
        ..options()
    };
    World::with(86, options, Scripted::new(false, true)).life(async |world, platform| {
        pay(&platform, 0..20).await;
        tokio::time::sleep(Duration::from_mins(2)).await;
        let consistency = platform.consistency();
        let last = consistency.last().remove(0);
        is_clean(&last);
        assert!(!consistency.is_stale(&last));
        world.faults.pages.close();
        pay(&platform, 20..21).await;
        // The round that hangs begins within a minute, and should have ended three and a half minutes later.
        tokio::time::sleep(Duration::from_secs(209)).await;
        assert_eq!(failures(&platform), 0);
        world.clock.advance_s(209);
        assert!(!consistency.is_stale(&consistency.last()[0]));
        tokio::time::sleep(Duration::from_secs(62)).await;
        assert_eq!(failures(&platform), 1);
        tokio::time::sleep(Duration::from_secs(210)).await;
        assert_eq!(failures(&platform), 2, "as long as it hangs");
        world.clock.advance_s(300);
        let shown = consistency.last().remove(0);
        assert!(consistency.is_stale(&shown), "{shown:#?}");
        // It goes on where it hung.
        world.faults.pages.open();
        until("a round", || consistency.last()[0].number > shown.number).await;
        is_clean(&run(&platform).await);
        assert!(!consistency.is_stale(&consistency.last()[0]));
        assert_eq!(failures(&platform), 2);
    });
}

#[test]
fn whoever_asks_during_a_round_is_answered_with_the_next_one_and_too_many_are_refused() {
    world(83).life(async |world, platform| {
        pay(&platform, 0..20).await;
        world.faults.pages.close();
        let ask = || {
            let consistency = platform.consistency();
            tokio::spawn(async move { consistency.run().await })
        };
        let first = ask();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let others: Vec<_> = (0..17).map(|_| ask()).collect();
        tokio::time::sleep(Duration::from_secs(1)).await;
        world.faults.pages.open();
        assert_eq!(first.await.unwrap().unwrap()[0].number, 1);
        let mut answered = Vec::new();
        for other in others {
            answered.push(other.await.unwrap().map(|rounds| rounds[0].number));
        }
        let refused = answered.iter().filter(|answer| answer.is_err()).count();
        assert_eq!(refused, 1, "{answered:?}");
        let second = answered.iter().filter(|answer| **answer == Ok(2)).count();
        assert_eq!(second, 16, "{answered:?}");
    });
}
/// Payments in full and in parts, refunds, and transfers of every step, many at once, while rounds follow each other.
#[test]
fn nothing_is_found_under_load() {
    let world = World::with(84, patient(), Scripted::new(false, false));
    world.busy_life(async |_, platform| {
        let (done, ended) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let watching = tokio::spawn({
            let (consistency, done, ended) = (platform.consistency(), Arc::clone(&done), Arc::clone(&ended));
            async move {
                let mut rounds = Vec::new();
                while !done.load(Ordering::SeqCst) {
                    rounds.push(consistency.run().await.unwrap().remove(0));
                    ended.fetch_add(1, Ordering::SeqCst);
                }
                rounds
            }
        });
        let keys = Arc::new(AtomicUsize::new(0));
        for wave in 0..10 {
            let before = ended.load(Ordering::SeqCst);
            let paying: Vec<_> = (wave * 80..(wave + 1) * 80)
                .map(|n| {
                    let (payments, keys) = (platform.payments(), Arc::clone(&keys));
                    tokio::spawn(async move { one_payment(&payments, n, &keys).await })
                })
                .collect();
            let (ledger, n) = (platform.ledger(), wave as u64);
            let (callers, _) = Callers::open(&ledger, n).await;
            for caller in callers.start(&ledger, n, (6, 40)) {
                caller.await.expect("no caller fails");
            }
            for payment in paying {
                payment.await.expect("no payment fails");
            }
            // Each wave meets a round, and no round has to catch up with many of them.
            until("a round", || ended.load(Ordering::SeqCst) > before).await;
        }
        done.store(true, Ordering::SeqCst);
        let mut rounds = watching.await.unwrap();
        rounds.push(run(&platform).await);
        for round in &rounds {
            is_clean(round);
        }
        let commits: u64 = rounds.last().unwrap().commits;
        assert!(commits > 1_500, "{commits}");
        assert_eq!(failures(&platform), 0);
    });
}

async fn one_payment(payments: &PaymentsHandle, n: usize, keys: &AtomicUsize) {
    let method = if n.is_multiple_of(3) {
        CaptureMethod::Manual
    } else {
        CaptureMethod::Automatic
    };
    let minor = request(n).amount.minor();
    let created = payments.create(payment_of(n, minor, method)).await.unwrap();
    let payment = created.payment.id();
    let changes = match method {
        CaptureMethod::Manual => vec![capture(300, false), capture(200, true), refund(500)],
        CaptureMethod::Automatic => vec![refund(100), refund(minor - 100)],
    };
    for change in changes {
        let key = keys.fetch_add(1, Ordering::SeqCst);
        let asked = Ask { key, payment, change };
        ask(payments, &asked).await.unwrap();
    }
}
