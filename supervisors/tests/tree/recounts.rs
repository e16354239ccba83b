//! A velocity shard that fails is told again what it had counted, once.

use crate::kill::{figures, kill};
use crate::ports::lock;
use crate::provider::{Script, Scripted};
use crate::world::{World, answers, let_settle, options, request, submit, submit_all, until};
use florin_actors::options::Options;
use florin_actors::payments_handle::NewPayment;
use florin_domain::payment::Status;
use florin_domain::risk::VelocityLimits;
use florin_supervisors::platform::Platform;
use std::ops::Range;

/// As many customers as requests are shared by.
const CUSTOMERS: usize = 8;

fn limited_to(hour_count_max: u32, seed: u64) -> World {
    let velocity = VelocityLimits {
        hour_count_max: Some(hour_count_max),
        ..VelocityLimits::default()
    };
    let limited = Options {
        velocity,
        risk_shards: 2,
        ..options()
    };
    World::with(seed, limited, Scripted::new(false, true))
}

/// Crashes every velocity shard, and waits until all are back.
async fn crash_all(platform: &Platform) {
    let shards = platform.context().risk.len();
    let (restarts, live) = figures(platform, "risk");
    for shard in 0..shards {
        kill(platform, &format!("risk:{shard}")).await.unwrap();
    }
    until("all are back", || {
        figures(platform, "risk") == (restarts + u64::try_from(shards).unwrap(), live)
    })
    .await;
}

async fn blocked(platform: &Platform, requests: Range<usize>) -> usize {
    let mut blocked = 0;
    for n in requests {
        let made = submit(&platform.payments(), n).await.unwrap();
        blocked += usize::from(made.payment.status == Status::Blocked);
    }
    blocked
}

#[test]
fn limits_hold_after_every_velocity_shard_has_failed() {
    limited_to(2, 131).life(async |world, platform| {
        answers(submit_all(&platform.payments(), 0..2 * CUSTOMERS)).await;
        let_settle().await;
        crash_all(&platform).await;
        let_settle().await;
        assert_eq!(blocked(&platform, 2 * CUSTOMERS..3 * CUSTOMERS).await, CUSTOMERS);
        world.check_at_rest(&platform).await;
    });
}

#[test]
fn a_velocity_shard_that_fails_while_it_is_told_is_told_everything_once() {
    let world = limited_to(3, 132);
    world.life(async |world, platform| {
        answers(submit_all(&platform.payments(), 0..2 * CUSTOMERS)).await;
        let_settle().await;
        world.faults.pages.close();
        for _ in 0..3 {
            crash_all(&platform).await;
        }
        world.faults.pages.open();
        let_settle().await;
        assert_eq!(
            blocked(&platform, 2 * CUSTOMERS..3 * CUSTOMERS).await,
            0,
            "each customer's third is within its limit: nothing was counted twice"
        );
        assert_eq!(
            blocked(&platform, 3 * CUSTOMERS..4 * CUSTOMERS).await,
            CUSTOMERS,
            "its fourth is not: nothing was forgotten, nor what came after the failures"
        );
        world.check_at_rest(&platform).await;
    });
    assert_eq!(world.fatal.count(), 0);
}

#[test]
fn what_one_incarnation_counted_itself_is_not_told_to_it() {
    limited_to(3, 133).life(async |world, platform| {
        answers(submit_all(&platform.payments(), 0..CUSTOMERS)).await;
        let_settle().await;
        world.faults.pages.close();
        crash_all(&platform).await;
        // Counted by the incarnations that are still to be told of the others.
        assert_eq!(blocked(&platform, CUSTOMERS..2 * CUSTOMERS).await, 0);
        world.faults.pages.open();
        let_settle().await;
        assert_eq!(
            blocked(&platform, 2 * CUSTOMERS..3 * CUSTOMERS).await,
            0,
            "the third"
        );
        assert_eq!(
            blocked(&platform, 3 * CUSTOMERS..4 * CUSTOMERS).await,
            CUSTOMERS,
            "the fourth"
        );
        world.check_at_rest(&platform).await;
    });
}

/// Whether request `n`, with the card and the amount of the first one, is taken for another one once more.
async fn is_suspected(platform: &Platform, n: usize) -> bool {
    let first = request(0);
    let again = NewPayment {
        amount: first.amount,
        customer: first.customer,
        ..request(n)
    };
    let made = platform.payments().create(again).await.unwrap();
    let reasons = &made.payment.risk.as_ref().unwrap().reasons;
    reasons.iter().any(|reason| **reason == *"duplicate_suspected")
}

#[test]
fn what_was_declined_is_no_duplicate_after_a_velocity_shard_has_failed_whoever_declined_it() {
    // By the issuer, by a customer who left, and by a word that nobody knows.
    for code in ["insufficient_funds", "cancelled_by_customer", "a_word_of_its_own"] {
        limited_to(100, 134).life(async |world, platform| {
            *lock(&world.provider.decline_code) = code;
            world.script(0, Script::Decline);
            submit(&platform.payments(), 0).await.unwrap();
            let_settle().await;
            crash_all(&platform).await;
            let_settle().await;
            world.script(0, Script::Succeed);
            assert!(
                !is_suspected(&platform, 1).await,
                "{code}: nothing was charged before"
            );
            let_settle().await;
            crash_all(&platform).await;
            let_settle().await;
            assert!(is_suspected(&platform, 2).await, "{code}: now something was");
            world.check_always();
        });
    }
}
