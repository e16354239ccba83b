//! That limits and profiles reach the server from the configuration, and whom they leave alone.

use crate::cli::another_merchant;
use crate::deployment::{Caller, Dev, MERCHANT, with_method};
use crate::http::Client;
use crate::process::wait_for;
use crate::takeover::{Pair, keys, taking_payments};
use florin_services::{Redis, RedisProgram};
use serde_json::json;

#[test]
fn a_key_has_the_configured_limit_and_the_published_keys_have_none() {
    let folder = tempfile::tempdir().unwrap();
    let limits = [
        ("FLORIN_LIMITS_REQUESTS_PER_S", "1"),
        ("FLORIN_LIMITS_BURST", "20"),
    ];
    let key = another_merchant(folder.path(), &[]);
    let dev = Dev::start(folder.path(), &limits);
    let limited = Caller::new(dev.api, &key);
    let first = limited.get("/v1/payments").expect(200);
    assert_eq!(first.header("ratelimit-policy"), Some(r#""default";q=20;w=20"#));
    assert_eq!(first.header("ratelimit"), Some(r#""default";r=19;t=1"#));
    // More than the burst; a slow machine may be given some back in between, never all.
    let statuses: Vec<u16> = (0..500).map(|_| limited.get("/v1/payments").status).collect();
    assert!(statuses.contains(&429), "{statuses:?}");
    assert!(
        statuses.iter().all(|status| [200, 429].contains(status)),
        "{statuses:?}"
    );
    for _ in 0..50 {
        let answer = dev.merchant().get("/v1/payments").expect(200);
        assert_eq!(answer.header("ratelimit"), None);
        dev.operator().get("/v1/ledger/trial_balance").expect(200);
    }
    dev.stop();
}

#[test]
fn failed_authentications_and_heads_have_the_configured_limits() {
    let (_folder, dev) = Dev::fresh(&[
        ("FLORIN_LIMITS_FAILED_AUTH_PER_MIN", "3"),
        ("FLORIN_HTTP_HEAD_LIMIT_BYTES", "2048"),
    ]);
    let stranger = Caller::new(dev.api, "sk_test_stranger");
    let over = (0..500)
        .map(|_| stranger.get("/v1/payments"))
        .find(|answer| answer.status == 429);
    let over = over.expect("more than three in a minute");
    assert_eq!(over.error("code"), "rate_limited");
    assert!(over.header("retry-after").is_some(), "{over:?}");
    dev.merchant().get("/v1/payments").expect(200);
    let filling = "x".repeat(2048);
    let headers = [("X-Filling", filling.as_str())];
    let large = Client::new(dev.api)
        .send("GET", "/healthz", &headers, b"")
        .unwrap();
    assert_eq!(large.expect(431).error("code"), "head_too_large");
    dev.stop();
}

#[test]
fn orch_15_a_declined_card_is_a_400_under_the_seed_profile_and_a_402_otherwise() {
    let declined = with_method("pm_card_visa_chargeDeclinedInsufficientFunds");
    for (profile, status, code) in [("stripe", 402, "card_declined"), ("seed", 400, "CARD_DECLINED")] {
        let (_folder, dev) = Dev::fresh(&[("FLORIN_ERRORS_PROFILE", profile)]);
        let answer = dev.pay("k", &declined).expect(status);
        assert_eq!(answer.error("code"), code);
        assert_eq!(answer.error("message"), "Your card was declined.");
        assert_eq!(answer.error("decline_code"), "insufficient_funds");
        assert_eq!(answer.error("doc_url"), "/docs/errors/card_declined");
        let again = dev.pay("k", &declined).expect(status);
        assert!(again.is_replay());
        assert_eq!(again.body, answer.body);
        let payment =
            Caller::new(dev.api, MERCHANT).read(&format!("/v1/payments/{}", answer.error("payment_id")));
        assert_eq!(payment["status"], json!("failed"));
        dev.stop();
    }
}

/// What is left of a key's burst with one request more.
fn left(caller: &Caller) -> u64 {
    let answer = caller.get("/v1/payments").expect(200);
    let told = answer.header("ratelimit").unwrap();
    let left = told.split(';').find_map(|part| part.strip_prefix("r="));
    left.unwrap().parse().unwrap()
}

#[test]
fn what_a_key_has_spent_at_a_node_that_died_is_missing_at_the_next_one_which_goes_on_without_redis() {
    let mut redis = Redis::start_anywhere(&RedisProgram::find().unwrap(), &[]).unwrap();
    let mut pair = Pair::new();
    // So little comes back in the time of this test that it makes no difference.
    pair.more = [
        ("FLORIN_REDIS_URL", redis.url().as_str()),
        ("FLORIN_REDIS_TIMEOUT_MS", "20000"),
        ("FLORIN_LIMITS_REQUESTS_PER_S", "1"),
        ("FLORIN_LIMITS_BURST", "5000"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .to_vec();
    let (key, _) = keys(&pair);
    let first = pair.start_first(0);
    let caller = pair.caller(0, &key);
    for _ in 0..2_000 {
        caller.get("/v1/payments").expect(200);
    }
    // It runs out when everything is back: after a second for each.
    wait_for("what was spent, in Redis", || {
        let names = redis.names("florin:limit:key:*").unwrap();
        let [name] = &names[..] else { return None };
        let left_ms = redis.ask(&format!("PTTL {name}")).unwrap();
        let left_ms: u64 = left_ms.trim().strip_prefix(':')?.parse().ok()?;
        (left_ms > 1_500 * 1_000).then_some(())
    });
    let mut second = pair.start_second(1);
    first.kill_9();
    second.says("that it takes payments", taking_payments);
    let caller = pair.caller(1, &key);
    let mut asked = 0;
    wait_for("what the first node has let pass", || {
        asked += 1;
        // Alone it would have all that was not asked for.
        (left(&caller) + asked < 5_000 - 1_000).then_some(())
    });
    redis.kill().unwrap();
    let before = left(&caller);
    for asked in 1..=20 {
        assert!(
            left(&caller) >= before - asked,
            "nothing but what is asked for is missing"
        );
    }
    second.stop();
}
