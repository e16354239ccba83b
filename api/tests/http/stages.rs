//! What the stages of a payment may take: what takes longer before a provider is asked ends the request, and nothing of it is kept;
//! and what a whole payment takes.

use crate::still::{Deed, Manner, Still};
use crate::world::World;
use crate::{VISA, pay};
use florin_actors::options::{Options, StageTimeouts};
use serde_json::json;
use std::time::Duration;

/// Risk has somebody to look up.
const OF_A_CUSTOMER: &str =
    r#"{"amount":10000,"currency":"usd","payment_method_id":"pm_card_visa","customer_id":"cus_1"}"#;

/// Every stage but one has all the time that it wants, and that one has none.
#[track_caller]
fn assert_refused_and_nothing_kept(body: &str, hurry: impl Fn(&mut StageTimeouts, Duration)) {
    let world = World::start_with_actors(|options| hurry(&mut options.stages, Duration::ZERO));
    for _ in 0..2 {
        let late = pay(&world, "k", body);
        assert_eq!(
            (late.status, late.error("code").as_str()),
            (503, "temporarily_unavailable")
        );
        assert_eq!(late.header("idempotent-replayed"), None);
    }
    // The key is not taken either: another request may use it, and fails for the same reason only.
    let other = pay(&world, "k", &body.replace("10000", "10001"));
    assert_eq!(other.status, 503, "{other:?}");
    assert_eq!(world.charges(), 0, "no provider has heard of it");
    let listed = world.get("/v1/payments", Some("sk_test_a")).json();
    assert_eq!(listed["data"], json!([]));
    world.stop();

    let world = World::start_with_actors(|options| hurry(&mut options.stages, Duration::from_mins(1)));
    assert_eq!(pay(&world, "k", body).status, 200);
    assert_eq!(world.charges(), 1);
    world.stop();
}

#[test]
fn orch_2_a_key_that_is_looked_up_too_late_starts_nothing() {
    assert_eq!(Options::default().stages.idempotency, Duration::from_millis(50));
    assert_refused_and_nothing_kept(VISA, |stages, limit| stages.idempotency = limit);
}

#[test]
fn orch_3_risk_that_is_assessed_too_late_ends_the_request_before_a_provider_is_chosen() {
    assert_eq!(Options::default().stages.risk, Duration::from_millis(200));
    assert_refused_and_nothing_kept(OF_A_CUSTOMER, |stages, limit| stages.risk = limit);
}

#[test]
fn risk_27_no_payment_goes_on_after_half_a_second_of_assessing_it() {
    let ceiling = Options::default().stages.risk;
    assert!(
        !ceiling.is_zero() && ceiling < Duration::from_millis(500),
        "{ceiling:?}"
    );
    // Nobody but a device is known of it.
    let body = VISA.replace('}', r#","device":{"fingerprint":"f"}}"#);
    assert_refused_and_nothing_kept(&body, |stages, limit| stages.risk = limit);
}

#[test]
fn orch_4_a_provider_that_is_chosen_too_late_is_not_asked() {
    assert_eq!(Options::default().stages.selection, Duration::from_millis(10));
    assert_refused_and_nothing_kept(VISA, |stages, limit| stages.selection = limit);
}

#[test]
fn orch_7_a_commit_that_takes_too_long_changes_no_answer() {
    assert_eq!(Options::default().stages.ledger, Duration::from_millis(100));
    let world = World::start_with_actors(|options| options.stages.ledger = Duration::ZERO);
    let paid = pay(&world, "k", VISA);
    assert_eq!((paid.status, &paid.json()["status"]), (200, &json!("succeeded")));
    let again = pay(&world, "k", VISA);
    assert_eq!((again.status, &again.body), (200, &paid.body));
    assert_eq!(world.charges(), 1);
    world.stop();
}

/// The example has half a second for the provider, 10 ms to store what it said and 15 ms for the ledger: 540 ms in all, and 520 ms for
/// a decline. Here the outcome and its entry are one write, and there is one before the provider is asked.
#[test]
fn orch_16_beside_the_provider_a_payment_waits_for_two_writes_and_nothing_else() {
    let still = Still::start(&["fake"], 10, |_| {});
    for (deed, status) in [(Deed::Charges, 200), (Deed::Declines, 402)] {
        still.providers[0].behaves(Manner { deed, takes_ms: 500 });
        let began = still.now();
        let answer = pay(&still.world, &format!("{deed:?}"), VISA);
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!((still.now() - began).as_millis(), 500 + 2 * 10, "{deed:?}");
    }
    still.stop();
}
