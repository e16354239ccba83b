//! How long a key stands for what was asked for under it.

use crate::stand_ins::StandingClock;
use crate::world::{Answer, World};
use crate::{VISA, pay, with_method};
use florin_adapters::journal::MemoryStore;
use florin_domain::time::Millis;
use std::sync::Arc;

/// Both keys are answered as they were, and stand for nothing else.
#[track_caller]
fn assert_kept(world: &World, firsts: &[(&str, String, Answer)]) {
    let text = |answer: &Answer| String::from_utf8(answer.body.clone()).unwrap();
    for (key, body, first) in firsts {
        let again = pay(world, key, body);
        assert_eq!(
            (again.status, text(&again), again.header("idempotent-replayed")),
            (first.status, text(first), Some("true")),
            "{key}"
        );
        let other = pay(world, key, &body.replace("10000", "10001"));
        assert_eq!(
            (other.status, other.error("code").as_str()),
            (422, "idempotency_key_reused"),
            "{key}"
        );
    }
}

#[test]
fn idem_14_an_answer_is_kept_for_24_hours_and_then_its_key_is_free() {
    let (store, clock) = (MemoryStore::default(), Arc::<StandingClock>::default());
    let start = || World::start_on((&store, Arc::clone(&clock) as _), |_| {}, |_| {});
    let world = start();
    let declined = with_method("pm_card_visa_chargeDeclinedInsufficientFunds");
    let firsts = [("paid", VISA.to_owned(), 200), ("declined", declined, 402)].map(|(key, body, status)| {
        let first = pay(&world, key, &body);
        assert_eq!(first.status, status, "{first:?}");
        (key, body, first)
    });
    clock.advance(Millis::from_s(12 * 3600));
    assert_kept(&world, &firsts);
    assert_eq!(world.charges(), 1);
    world.stop();

    // Another process, and the last moment.
    let world = start();
    clock.advance(Millis::from_s(12 * 3600));
    assert_kept(&world, &firsts);
    assert_eq!(world.charges(), 0, "of this process");

    clock.advance(Millis(1));
    for (key, body, first) in &firsts {
        let anew = pay(&world, key, &body.replace("10000", "10001"));
        assert_eq!(
            (anew.status, anew.header("idempotent-replayed")),
            (first.status, None),
            "{key}: {anew:?}"
        );
        assert_ne!(anew.body, first.body, "{key}");
    }
    assert_eq!(world.charges(), 1);
    let paid = firsts[0].2.json();
    let path = format!("/v1/payments/{}", paid["id"].as_str().unwrap());
    let still_there = world.get(&path, Some("sk_test_a"));
    assert_eq!((still_there.status, still_there.json()), (200, paid));
    let listed = world.get("/v1/payments", Some("sk_test_a")).json();
    assert_eq!(listed["data"].as_array().unwrap().len(), 4);
    world.stop();
}
