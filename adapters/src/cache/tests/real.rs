//! A real Redis, which is emptied, ended, held still and lied to.

use super::{CUSTOMERS, cached, id, listed, row, seen, shown};
use crate::cache::payments::{CachedViews, PaymentCache};
use crate::cache::shared::Shared;
use crate::redis::Redis;
use crate::views::MemoryViews;
use florin_domain::ids::Seq;
use florin_domain::ports::Follower as _;
use florin_services::{Redis as Server, RedisProgram};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// As long as a busy machine takes.
const PATIENCE: Duration = Duration::from_secs(20);

type Cached = (CachedViews<MemoryViews>, Arc<PaymentCache>);

fn server() -> Server {
    Server::start_anywhere(&RedisProgram::find().unwrap(), &[]).unwrap()
}

async fn over(server: &Server, patience: Duration) -> Cached {
    let redis = Redis::start(&server.url(), patience).unwrap();
    redis.connected().await;
    let shared = Shared::start(Arc::new(redis)).unwrap();
    let cache = Arc::new(PaymentCache::new(Some(shared)));
    (
        CachedViews::new(MemoryViews::default(), Arc::clone(&cache)),
        cache,
    )
}

async fn commit(views: &CachedViews<MemoryViews>, n: u64, seq: u64) {
    let rows = vec![row(n, seq)];
    views.apply(rows, Vec::new(), Seq(seq)).await.unwrap();
}

/// The names that end so.
fn names(server: &Server, end: &str) -> Vec<String> {
    server.names(&format!("florin:*:{end}")).unwrap()
}

fn lifetime_s(server: &Server, name: &str) -> u64 {
    let answer = server.ask(&format!("TTL {name}")).unwrap();
    answer.trim_start_matches(':').trim_end().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_and_lists_are_there_under_their_names_for_their_time_and_nobody_can_read_them() {
    let server = server();
    let (views, cache) = over(&server, PATIENCE).await;
    commit(&views, 1, 1).await;
    listed(&views, CUSTOMERS[0], 3).await;
    // Behind the list in the order of what is written.
    commit(&views, 4, 2).await;
    let payment = format!("payment:{}", id(1));
    let [name] = names(&server, &payment).try_into().unwrap();
    let list = format!("user_payments:{}:test:{}", super::merchant(), CUSTOMERS[0]);
    let [list] = names(&server, &list).try_into().unwrap();
    for name in [&name, &list] {
        let left_s = lifetime_s(&server, name);
        assert!(0 < left_s && left_s <= 300, "{left_s}");
    }
    let kept = server.ask(&format!("GET {name}")).unwrap();
    for word in [CUSTOMERS[0], "Jane", "EUR"] {
        assert!(!kept.contains(word), "{kept}");
    }
    cache.forget_memory();
    assert_eq!(shown(&views, 1).await, Some(seen(&row(1, 1))));
    assert_eq!(
        listed(&views, CUSTOMERS[0], 3).await,
        [seen(&row(4, 2)), seen(&row(1, 1))]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_puts_there_counts_as_nothing() {
    let server = server();
    let (views, cache) = over(&server, PATIENCE).await;
    commit(&views, 1, 1).await;
    commit(&views, 2, 2).await;
    let [first] = names(&server, &format!("payment:{}", id(1))).try_into().unwrap();
    let [second] = names(&server, &format!("payment:{}", id(2))).try_into().unwrap();
    for lie in [
        format!("COPY {first} {second} REPLACE"),
        format!("SET {second} 12345678901234567890123456789012"),
    ] {
        server.ask(&lie).unwrap();
        cache.forget_memory();
        assert_eq!(shown(&views, 2).await, Some(seen(&row(2, 2))), "{lie}");
    }
}

/// Looks at payment 1 until what was kept is forgotten; each time it is what it has become.
async fn until_forgotten((views, cache): &Cached, wanted: u64) {
    let before = cache.space();
    while cache.space() == before {
        cache.forget_memory();
        assert_eq!(shown(views, 1).await, Some(seen(&row(1, wanted))));
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lost_its_last_writes_is_found_out() {
    let mut server = server();
    let cached = over(&server, PATIENCE).await;
    commit(&cached.0, 1, 1).await;
    server.ask("SAVE").unwrap();
    commit(&cached.0, 1, 2).await;
    server.kill().unwrap();
    server.start_again().unwrap();
    assert_eq!(
        names(&server, &format!("payment:{}", id(1))).len(),
        1,
        "it has the older one"
    );
    until_forgotten(&cached, 2).await;
    // And is of use again.
    commit(&cached.0, 1, 3).await;
    cached.1.forget_memory();
    assert_eq!(shown(&cached.0, 1).await, Some(seen(&row(1, 3))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lost_its_last_writes_takes_no_others_on_top() {
    let mut server = server();
    let redis = Redis::start(&server.url(), PATIENCE).unwrap();
    redis.connected().await;
    let (views, cache) = cached(MemoryViews::default(), Arc::new(redis.clone()));
    commit(&views, 1, 1).await;
    server.ask("SAVE").unwrap();
    commit(&views, 1, 2).await;
    let before = cache.space();
    server.kill().unwrap();
    server.start_again().unwrap();
    // Nobody has asked for anything meanwhile, so that nothing but the number tells.
    redis.connected_anew().await;
    assert_eq!(cache.space(), before);
    commit(&views, 2, 3).await;
    cache.forget_memory();
    assert_eq!(shown(&views, 1).await, Some(seen(&row(1, 2))));
    assert_ne!(cache.space(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_server_is_forgotten() {
    let server = server();
    let cached = over(&server, PATIENCE).await;
    commit(&cached.0, 1, 1).await;
    server.ask("FLUSHALL").unwrap();
    until_forgotten(&cached, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_answer_is_not_waited_for() {
    let server = server();
    let (views, cache) = over(&server, PATIENCE).await;
    commit(&views, 1, 1).await;
    drop((views, cache));
    let (views, cache) = over(&server, Duration::from_millis(50)).await;
    let hold = |signal: &str| {
        let pid = server.process_id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .unwrap()
                .success()
        );
    };
    hold("-STOP");
    for seq in 1..5 {
        commit(&views, 1, seq).await;
        cache.forget_memory();
        assert_eq!(shown(&views, 1).await, Some(seen(&row(1, seq))));
    }
    hold("-CONT");
    commit(&views, 1, 5).await;
    cache.forget_memory();
    assert_eq!(shown(&views, 1).await, Some(seen(&row(1, 5))));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_everything_is_read_where_it_is_kept() {
    let mut server = server();
    let (views, cache) = over(&server, Duration::from_millis(50)).await;
    server.kill().unwrap();
    commit(&views, 1, 1).await;
    cache.forget_memory();
    assert_eq!(shown(&views, 1).await, Some(seen(&row(1, 1))));
    let (views, cache) = cached(
        MemoryViews::default(),
        Arc::new(Redis::start(&server.url(), PATIENCE).unwrap()),
    );
    commit(&views, 1, 1).await;
    cache.forget_memory();
    assert_eq!(shown(&views, 1).await, Some(seen(&row(1, 1))));
}
