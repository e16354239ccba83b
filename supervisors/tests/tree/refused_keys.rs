//! A provider that does not take a key, or not so often: it gets nothing new under it until one charge finds out that it is taken.

use crate::provider::{Script, Scripted};
use crate::world::{World, amount_minor, let_settle, merchant, options, request, submit, until};
use florin_actors::options::Options;
use florin_actors::payments_handle::NewPayment;
use florin_actors::provider::Line;
use florin_domain::breaker::{BreakerPolicy, BreakerState};
use florin_domain::credentials::KeyOwner;
use florin_domain::health::{Health, KeyStop};
use florin_domain::ids::MerchantId;
use florin_domain::payment::{AttemptState, Payment};
use florin_domain::routing::Bar;
use florin_domain::time::Timestamp;
use std::sync::Arc;
use std::sync::atomic::Ordering;

fn two(seed: u64) -> World {
    let breaker = BreakerPolicy::default();
    let mut world = World::with(
        seed,
        Options { breaker, ..options() },
        Scripted::new(false, false),
    );
    world.backup = Some(Arc::new(Scripted::named("backup", false, false)));
    world
}

fn charges(world: &World, n: usize) -> (usize, usize) {
    let amount = amount_minor(n);
    let backup = world.backup.as_ref().unwrap();
    (
        world.provider.charges_of_amount(amount),
        backup.charges_of_amount(amount),
    )
}

fn first_attempts(payment: &Payment) -> Vec<AttemptState> {
    let op = &payment.operations[0];
    op.earlier
        .iter()
        .chain(&op.attempt)
        .map(|attempt| attempt.state)
        .collect()
}

#[test]
fn a_refused_key_takes_its_provider_out_of_routing_at_once_and_a_probe_brings_it_back() {
    two(78).life(async |world, platform| {
        let refused = Script::KeyRefused { times: u32::MAX };
        world.script(0, refused);
        let shown = submit(&platform.payments(), 0).await.unwrap();
        assert_eq!(charges(world, 0), (0, 1), "it goes on within the request");
        assert_eq!(
            first_attempts(&shown.payment),
            [AttemptState::Rejected, AttemptState::Succeeded]
        );
        let seat = &platform.context().providers[0];
        let bar = || seat.entrant(None, platform.context().ports.clock.now()).bar;
        assert_eq!(bar(), Some(Bar::KeyRefused), "one is enough");
        // The key would be taken again, but nobody asks.
        let next = submit(&platform.payments(), 1).await.unwrap();
        assert_eq!(
            (charges(world, 1), first_attempts(&next.payment).len()),
            ((0, 1), 1)
        );
        let now = platform.context().ports.clock.now();
        let stops: Vec<KeyStop> = seat.standing.load().stopped_keys.stops(now).collect();
        assert_eq!(stops, [KeyStop::Refused(KeyOwner::Platform)]);
        // Its breaker, which captures and refunds of others do not share but its merchants do, stays as it is.
        let breaker = seat
            .standing
            .load()
            .breaker(Line::Charge)
            .state(platform.context().ports.clock.now());
        assert_eq!(breaker, BreakerState::Closed { failures: 0 });

        world.clock.advance_s(60);
        assert_eq!(bar(), None, "one may go");
        world.script(2, refused);
        let probe = submit(&platform.payments(), 2).await.unwrap();
        assert_eq!(
            (charges(world, 2), first_attempts(&probe.payment).len()),
            ((0, 1), 2)
        );
        assert_eq!(bar(), Some(Bar::KeyRefused));

        world.clock.advance_s(60);
        for n in 3..5 {
            submit(&platform.payments(), n).await.unwrap();
            assert_eq!(charges(world, n), (1, 0), "the key was mended");
        }
        assert!(seat.standing.load().stopped_keys.is_empty());
        world.check_at_rest(&platform).await;
    });
}

/// Turned away for its rate, and not asked once more within the request: the wait is too long for that.
const LIMITED: Script = Script::Limited {
    times: u32::MAX,
    retry_after_s: 3_600,
};

#[test]
fn a_merchant_that_asks_too_much_under_its_own_key_stops_its_own_charges_and_nobody_elses() {
    two(79).life(async |world, platform| {
        let (payments, seat) = (platform.payments(), &platform.context().providers[0]);
        world.provider.own_keys.give(merchant());
        let bar = |merchant| {
            let now = platform.context().ports.clock.now();
            seat.entrant(Some((merchant, now)), now).bar
        };
        let others = MerchantId::from_bits(77);
        let of_other = |n| NewPayment {
            merchant: others,
            ..request(n)
        };
        for n in 0..4 {
            world.script(n, LIMITED);
            submit(&payments, n).await.unwrap();
            assert_eq!((charges(world, n), bar(merchant())), ((0, 1), None));
        }
        // One that is taken begins anew.
        submit(&payments, 4).await.unwrap();
        assert_eq!(charges(world, 4), (1, 0));
        for n in 5..10 {
            assert_eq!(bar(merchant()), None, "{n}");
            world.script(n, LIMITED);
            submit(&payments, n).await.unwrap();
            assert_eq!(charges(world, n), (0, 1));
        }
        assert_eq!(bar(merchant()), Some(Bar::KeyLimited));
        let next = submit(&payments, 10).await.unwrap();
        assert_eq!(
            (charges(world, 10), first_attempts(&next.payment).len()),
            ((0, 1), 1),
            "it is not even asked"
        );
        // All others are charged there as ever.
        assert_eq!(bar(others), None);
        payments.create(of_other(11)).await.unwrap();
        assert_eq!(charges(world, 11), (1, 0));
        let now = platform.context().ports.clock.now();
        let standing = seat.standing.load();
        assert_eq!(
            standing.breaker(Line::Charge).state(now),
            BreakerState::Closed { failures: 0 }
        );
        assert_eq!(standing.health, Health::Healthy);
        world.clock.advance_s(60);
        submit(&payments, 12).await.unwrap();
        assert_eq!((charges(world, 12), bar(merchant())), ((1, 0), None));
        world.check_at_rest(&platform).await;
    });
}

#[test]
fn a_charge_that_is_taken_counts_for_the_key_that_it_went_under_whatever_was_exchanged_meanwhile() {
    two(81).life(async |world, platform| {
        let (payments, seat) = (platform.payments(), &platform.context().providers[0]);
        world.provider.own_keys.give(merchant());
        // It goes out before anything is said of the key.
        world.script(0, Script::Held);
        world.provider.latch.close();
        let taken = tokio::spawn({
            let payments = payments.clone();
            async move { submit(&payments, 0).await }
        });
        until("it is under way", || seat.in_flight.load(Ordering::SeqCst) == 1).await;
        for n in 1..5 {
            world.script(n, LIMITED);
            submit(&payments, n).await.unwrap();
        }
        // When it comes back its key is not the one in force.
        world
            .provider
            .own_keys
            .give_since(merchant(), (Timestamp::from_unix_ms(0), 2));
        world.provider.latch.open();
        taken.await.unwrap().unwrap();
        assert_eq!(charges(world, 0), (1, 0));
        until("it is counted", || seat.in_flight.load(Ordering::SeqCst) == 0).await;
        let_settle().await;
        world.provider.own_keys.give(merchant());
        let bar = || {
            let now = platform.context().ports.clock.now();
            seat.entrant(Some((merchant(), now)), now).bar
        };
        for n in 5..9 {
            world.script(n, LIMITED);
            submit(&payments, n).await.unwrap();
            assert_eq!(bar(), None, "{n}: the row began anew");
        }
        world.script(9, LIMITED);
        submit(&payments, 9).await.unwrap();
        assert_eq!(bar(), Some(Bar::KeyLimited), "five in a row");
        world.check_at_rest(&platform).await;
    });
}

#[test]
fn too_many_requests_under_the_platforms_key_open_the_breaker_for_all_who_share_it() {
    two(80).life(async |world, platform| {
        for n in 0..5 {
            world.script(n, LIMITED);
            submit(&platform.payments(), n).await.unwrap();
        }
        let seat = &platform.context().providers[0];
        let bar = seat.entrant(None, platform.context().ports.clock.now()).bar;
        assert_eq!(bar, Some(Bar::BreakerOpen));
    });
}
