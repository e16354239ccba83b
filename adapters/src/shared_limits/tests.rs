//! The script on a real server, by times that are given, since nobody can set that server's clock. Everything here takes minutes and hours of these
//! times, so that nothing runs out while a test does.

use super::*;
use florin_domain::ids::{ApiKeyId, PaymentLinkId};
use florin_services::{Redis as Server, RedisProgram};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::cell::Cell;
use std::time::Duration;

/// Some day, in microseconds.
const NOON_US: i64 = 1_764_000_000_000_000;
const MINUTE_US: u64 = 60_000_000;

async fn server() -> (Server, Redis) {
    let server = Server::start_anywhere(&RedisProgram::find().unwrap(), &[]).unwrap();
    let redis = Redis::start(&server.url(), Duration::from_secs(20)).unwrap();
    redis.connected().await;
    (server, redis)
}

fn key(bits: u128) -> LimitedBy {
    LimitedBy::Key(ApiKeyId::from_bits(bits))
}

/// Minutes each.
fn spent(whose: LimitedBy, untold: u32, own: u32, in_all: u32) -> Spent {
    Spent {
        whose,
        untold_us: u64::from(untold) * MINUTE_US,
        own_us: u64::from(own) * MINUTE_US,
        whole_us: u64::from(in_all) * MINUTE_US,
    }
}

/// The time so many minutes after noon.
fn after_noon(minutes: i64) -> i64 {
    NOON_US + minutes * 60_000_000
}

/// What one is told at so many minutes after noon: in minutes.
async fn told(redis: &Redis, minutes: i64, spent: Spent) -> u64 {
    let answer = spend(redis, vec![spent], Some(after_noon(minutes)))
        .await
        .unwrap();
    let [full_after] = answer[..] else {
        panic!("{answer:?}");
    };
    full_after / MINUTE_US
}

#[tokio::test(flavor = "multi_thread")]
async fn what_processes_spent_adds_up_comes_back_with_time_and_is_never_owed_without_end() {
    let (server, redis) = server().await;
    let told = async |minutes, untold, own| told(&redis, minutes, spent(key(1), untold, own, 60)).await;
    for (minutes, (untold, own), full_after, why) in [
        (0, (10, 10), 10, "one process, to whom it was full"),
        (0, (20, 20), 30, "another one adds to it"),
        (5, (1, 6), 26, "five came back and one was spent"),
        (5, (0, 11), 26, "less than is known already changes nothing"),
        (5, (0, 40), 40, "more than is known was lost on the way"),
        (15, (50, 50), 80, "more than there is, by twenty"),
        (70, (0, 0), 25, "which were owed"),
        (70, (99, 99), 120, "no more than twice as much as there is"),
        (500, (3, 3), 3, "full for a long time"),
        (
            -500,
            (1, 1),
            1,
            "a clock that went far back: nobody told of that time",
        ),
        (-500, (0, 9), 9, "but what a process alone has spent"),
    ] {
        assert_eq!(told(minutes, untold, own).await, full_after, "{why}");
    }
    // What was less is kept as long as it is less.
    let name = format!("florin:limit:key:{}", ApiKeyId::from_bits(1));
    assert_eq!(server.names("*").unwrap(), [name.as_str()]);
    let left_ms: i64 = server.ask(&format!("PTTL {name}")).unwrap().trim()[1..]
        .parse()
        .unwrap();
    assert!((1..=7_200_000).contains(&left_ms), "{left_ms}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_allowance_has_its_own_name_and_is_answered_in_its_place() {
    let (server, redis) = server().await;
    let link = LimitedBy::Link(PaymentLinkId::from_bits(1));
    let all = vec![
        spent(key(1), 5, 5, 60),
        spent(link, 7, 7, 60),
        spent(key(2), 0, 0, 60),
        spent(key(3), 999, 999, 60),
    ];
    // By the server's own clock, which stands still while a script runs.
    assert_eq!(
        redis.exchange(all).await.unwrap(),
        [5, 7, 0, 120].map(|minutes| minutes * MINUTE_US)
    );
    let names = [
        format!("florin:limit:key:{}", ApiKeyId::from_bits(1)),
        format!("florin:limit:key:{}", ApiKeyId::from_bits(3)),
        format!("florin:limit:link:{}", PaymentLinkId::from_bits(1)),
    ];
    assert_eq!(server.names("*").unwrap(), names, "nothing of what is full");
    // A second later or a minute, on a busy machine: less is missing, and it is one allowance.
    let again = redis.exchange(vec![spent(key(1), 5, 5, 60)]).await.unwrap();
    assert!(
        5 * MINUTE_US < again[0] && again[0] <= 10 * MINUTE_US,
        "{again:?}"
    );
    assert_eq!(redis.exchange(Vec::new()).await, Some(Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_there_and_is_no_time_counts_as_nothing_and_is_replaced() {
    let (server, redis) = server().await;
    let name = name(key(1));
    for command in [
        format!("SET {name} text"),
        format!("SET {name} nan"),
        format!("SET {name} -1"),
        format!("SET {name} inf"),
        format!("RPUSH {name} 1"),
        format!("SET {name} {}", "9".repeat(400)),
    ] {
        server.ask(&format!("DEL {name}")).unwrap();
        server.ask(&command).unwrap();
        assert_eq!(told(&redis, 0, spent(key(1), 2, 3, 60)).await, 3, "{command}");
        assert_eq!(told(&redis, 0, spent(key(1), 2, 2, 60)).await, 5, "{command}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_nothing_answers_with_what_it_was_told_and_one_that_is_ended_with_nothing() {
    let (mut server, redis) = server().await;
    server.ask("CONFIG SET maxmemory 1").unwrap();
    for _ in 0..2 {
        assert_eq!(told(&redis, 0, spent(key(1), 2, 3, 60)).await, 3);
    }
    server.ask("CONFIG SET maxmemory 0").unwrap();
    server.kill().unwrap();
    assert_eq!(redis.exchange(vec![spent(key(1), 2, 3, 60)]).await, None);
}

/// One process's bucket, one request after the other: what `florin-api` keeps of it.
#[derive(Clone, Copy, Default)]
struct Process {
    own_full_at: i64,
    untold: u32,
}

/// Requests of processes at minutes after noon, and who tells of them then.
fn history() -> impl Strategy<Value = Vec<(i64, usize, u32, bool)>> {
    proptest::collection::vec((0_i64..30, 0_usize..2, 0_u32..4, any::<bool>()), 1..25)
}

#[test]
fn told_one_by_one_or_together_the_script_counts_as_one_bucket_does() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (_server, redis) = runtime.block_on(server());
    let (each, in_all) = (7, 70);
    let number = Cell::new(0);
    let mut runner = TestRunner::new(Config::with_cases(64));
    // The first of two tells of each request at once, and is alone; the other one tells of several together.
    let ran = runner.run(&(history(), 0_usize..2), |(history, who)| {
        number.set(number.get() + 1);
        let mut process = Process::default();
        let (mut now, mut bucket_full_at) = (0_i64, 0_i64);
        for (later, from, requests, tells) in history {
            now += later;
            for _ in 0..requests {
                let then = bucket_full_at.max(now) + each;
                if then - now <= in_all {
                    bucket_full_at = then;
                    process.own_full_at = process.own_full_at.max(now) + each;
                    process.untold += u32::try_from(each).unwrap();
                }
            }
            if tells || who == from {
                let own = u32::try_from((process.own_full_at - now).max(0)).unwrap();
                let tells = spent(
                    key(number.get()),
                    std::mem::take(&mut process.untold),
                    own,
                    u32::try_from(in_all).unwrap(),
                );
                let answer = runtime.block_on(told(&redis, now, tells));
                prop_assert_eq!(i64::try_from(answer).unwrap(), (bucket_full_at - now).max(0));
            }
        }
        Ok(())
    });
    ran.unwrap();
}
