//! A provider that does not take the platform's key: it gets nothing new until one charge finds out that the key was mended.

use crate::provider::{Script, Scripted};
use crate::world::{World, amount_minor, options, submit};
use florin_actors::options::Options;
use florin_actors::provider::Line;
use florin_domain::breaker::{BreakerPolicy, BreakerState};
use florin_domain::credentials::KeyOwner;
use florin_domain::payment::{AttemptState, Payment};
use florin_domain::routing::Bar;
use std::sync::Arc;

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
        let owners: Vec<KeyOwner> = seat.standing.load().refused_keys.owners().collect();
        assert_eq!(owners, [KeyOwner::Platform]);
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
        assert!(seat.standing.load().refused_keys.is_empty());
        world.check_at_rest(&platform).await;
    });
}
