//! How much a key may ask, what strangers are told, how refusals are written and explained.

use crate::world::{Answer, World};
use crate::{VISA, pay, with_method};
use florin_api::server::{ApiOptions, ErrorProfile, RateLimit};
use serde_json::json;
use std::num::NonZeroU32;

const DEVELOPMENT_KEY: &str = "sk_test_florin_dev";

/// The lowest rate that there is: a request per second.
fn slow(options: &mut ApiOptions, burst: u32) {
    let limit = |burst| RateLimit {
        requests_per_s: NonZeroU32::MIN,
        burst,
    };
    options.rate_limit = NonZeroU32::new(burst).map(limit);
    options.accepts_development_keys = true;
}

fn left(answer: &Answer) -> u32 {
    let told = answer.header("ratelimit").unwrap();
    let rest = told.strip_prefix("\"default\";r=").unwrap();
    rest.split(';').next().unwrap().parse().unwrap()
}

/// Asks until nothing is left, and then once more. A slow machine is given more in between, so it may take a few rounds.
fn refused(mut ask: impl FnMut() -> Answer) -> Answer {
    for _ in 0..10_000 {
        let answer = ask();
        if answer.status == 429 {
            return answer;
        }
    }
    panic!("ten thousand requests were allowed")
}

#[test]
fn every_answer_to_a_limited_key_says_how_it_stands() {
    let world = World::start_with(|options| slow(options, 1000));
    let key = Some("sk_test_a");
    for (path, status) in [
        ("/v1/payments", 200),
        ("/v1/payments?limit=0", 400),
        ("/v1/payments/pay_unknown", 404),
        ("/v1/ops/tree", 403),
    ] {
        let answer = world.get(path, key);
        assert_eq!(answer.status, status);
        assert_eq!(
            answer.header("ratelimit-policy"),
            Some(r#""default";q=1000;w=1000"#),
            "{answer:?}"
        );
        assert!((900..1000).contains(&left(&answer)), "{answer:?}");
    }
    assert!(left(&pay(&world, "k", VISA)) < left(&world.get("/v1/payments", Some("sk_test_b"))));
    for (path, key) in [
        ("/healthz", None),
        ("/v1/payments", None),
        ("/v1/payments", Some(DEVELOPMENT_KEY)),
    ] {
        let answer = world.get(path, key);
        assert_eq!(answer.header("ratelimit"), None, "{answer:?}");
        assert_eq!(answer.header("ratelimit-policy"), None, "{answer:?}");
    }
    world.stop();
}

#[test]
fn beyond_the_limit_nothing_is_done_and_the_idempotency_key_stays_free() {
    let world = World::start_with(|options| slow(options, 3));
    let mut number = 0;
    let over = refused(|| {
        number += 1;
        pay(&world, &format!("k{number}"), VISA)
    });
    assert_eq!(over.error("code"), "rate_limited");
    assert_eq!(over.error("type"), "invalid_request_error");
    assert_eq!(over.header("ratelimit"), Some(r#""default";r=0;t=3"#));
    assert_eq!(over.header("ratelimit-policy"), Some(r#""default";q=3;w=3"#));
    assert_eq!(over.header("retry-after"), Some("1"));
    assert_eq!(world.charges(), number - 1);
    // The same merchant and mode, by the key that has no limit: the same idempotency keys.
    let headers = [
        ("Idempotency-Key", &*format!("k{number}")),
        ("Content-Type", "application/json"),
    ];
    let paid = world.send(
        "POST",
        "/v1/payments",
        Some(DEVELOPMENT_KEY),
        &headers,
        VISA.as_bytes(),
    );
    assert_eq!(
        (paid.status, paid.header("idempotent-replayed")),
        (200, None),
        "{paid:?}"
    );
    assert_eq!(world.charges(), number);
    for _ in 0..20 {
        assert_eq!(world.get("/v1/payments", Some(DEVELOPMENT_KEY)).status, 200);
    }
    world.stop();
}

#[test]
fn strangers_are_told_to_wait_and_valid_keys_are_served_from_the_same_address() {
    let world = World::start_with(|options| options.failed_auth_per_min = NonZeroU32::new(3));
    let mut number = 0;
    let over = refused(|| {
        number += 1;
        let answer = world.get("/v1/payments", Some(&format!("sk_test_guess_{number}")));
        assert!([401, 429].contains(&answer.status), "{answer:?}");
        answer
    });
    assert!(number > 3, "{number}");
    assert_eq!(over.error("code"), "rate_limited");
    let wait_s: u64 = over.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=20).contains(&wait_s), "{wait_s}");
    assert_eq!(over.header("ratelimit"), None);
    assert_eq!(world.get("/v1/payments", Some("sk_test_a")).status, 200);
    world.stop();
}

#[test]
fn what_a_refusal_points_to_explains_it_to_everybody() {
    let world = World::start();
    let refusal = world.get("/v1/payments", None);
    let page = world.get(&refusal.error("doc_url"), None);
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), Some("text/markdown; charset=utf-8"));
    assert!(page.body.starts_with(b"# `api_key_invalid`: "), "{page:?}");
    let accept = [("Accept", "application/problem+json")];
    let problem = world.send("GET", "/v1/payments", None, &accept, b"").json();
    assert_eq!(problem["type"], "/docs/errors/api_key_invalid");
    let index = world.get("/docs/errors/", None);
    assert_eq!(index.status, 200);
    assert_eq!(world.get("/docs/errors/README.md", None).body, index.body);
    assert_eq!(world.get("/docs/errors/api_key_invalid.md", None).body, page.body);
    for unknown in ["nothing", "..%2f..%2fCargo.toml", "%2e%2e", "a.md"] {
        let answer = world.get(&format!("/docs/errors/{unknown}"), None);
        assert_eq!(answer.status, 404, "{unknown}");
    }
    world.stop();
}

#[test]
fn orch_15_the_seed_profile_answers_a_decline_with_400() {
    let world = World::start_with(|options| options.error_profile = ErrorProfile::Seed);
    let declined = || {
        let body = with_method("pm_card_visa_chargeDeclinedInsufficientFunds");
        pay(&world, "d", &body)
    };
    let (first, again) = (declined(), declined());
    assert_eq!(first.status, 400);
    assert_eq!(first.error("code"), "CARD_DECLINED");
    assert_eq!(first.error("message"), "Your card was declined.");
    assert_eq!(first.error("decline_code"), "insufficient_funds");
    assert_eq!((again.status, &again.body), (400, &first.body));
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    let page = world.get("/docs/errors/CARD_DECLINED", None);
    assert!(page.body.starts_with(b"# `card_declined`: "), "{page:?}");
    assert_eq!(
        world.get("/nowhere", None).json()["error"]["code"],
        json!("route_unknown")
    );
    world.stop();
}
