//! Questions about what is already under way have permits of their own: a few, so that they are no flood, and none but theirs, so that
//! nothing that hangs keeps them from being asked.

use crate::provider::{Script, Scripted};
use crate::world::{World, amount_minor, answers, options, submit, submit_all, until};
use florin_actors::options::{Options, ProviderCaps, ProviderTerms};
use florin_domain::payment::{Answer, Status};
use florin_supervisors::platform::Platform;
use std::sync::atomic::Ordering;
use std::time::Duration;

fn with_permits(seed: u64, permits: usize) -> World {
    let caps = ProviderCaps {
        permits,
        queue_max: 1000,
    };
    let terms = ProviderTerms {
        caps,
        cost_bps: 290,
        settles_within: None,
    };
    let options = Options {
        provider_terms: terms,
        ..options()
    };
    World::with(seed, options, Scripted::new(false, false))
}

/// Requests and questions under way.
fn under_way(platform: &Platform) -> (usize, usize) {
    let seat = &platform.context().providers[0];
    (
        seat.in_flight.load(Ordering::SeqCst),
        seat.resolving.load(Ordering::SeqCst),
    )
}

/// Charges whose answers are lost.
async fn leave_unknown(world: &World, platform: &Platform, count: usize) {
    for n in 0..count {
        world.script(n, Script::Mute { charged: true });
    }
    for (_, answer) in answers(submit_all(&platform.payments(), 0..count)).await {
        assert_eq!(answer.unwrap().answer, Answer::Unresolved);
    }
}

#[test]
fn of_many_questions_as_many_are_under_way_as_a_tenth_of_the_permits() {
    // A provider of few permits has one all the same.
    for (permits, most) in [(1, 1), (4, 1), (20, 2), (100, 10)] {
        with_permits(91, permits).life(async |world, platform| {
            leave_unknown(world, &platform, 40).await;
            world.provider.latch.close();
            for n in 0..40 {
                world.script(n, Script::Held);
            }
            // Each is due several times in an hour, and nobody is answered.
            for _ in 0..60 {
                tokio::time::sleep(Duration::from_mins(1)).await;
                let (requests, questions) = under_way(&platform);
                assert_eq!(requests, 0);
                assert!(questions <= most, "{questions} questions at {permits} permits");
            }
            assert_eq!(under_way(&platform).1, most, "all of them are used");
            // Those that waited are asked in turn.
            world.provider.latch.open();
            tokio::time::sleep(Duration::from_mins(1)).await;
            assert_eq!(under_way(&platform), (0, 0));
            let payments = world.check_always().payments;
            assert_eq!(payments.len(), 40);
            for payment in payments.values() {
                assert_eq!(payment.status, Status::Succeeded);
            }
            world.check_at_rest(&platform).await;
        });
    }
}

#[test]
fn questions_are_answered_while_every_request_hangs_and_more_of_them_wait() {
    with_permits(92, 4).life(async |world, platform| {
        leave_unknown(world, &platform, 3).await;
        world.provider.latch.close();
        for n in 3..20 {
            world.script(n, Script::Held);
        }
        let hanging = submit_all(&platform.payments(), 3..20);
        until("all permits are taken", || under_way(&platform).0 == 4).await;
        let seat = &platform.context().providers[0];
        until("the others wait", || seat.waiting.load(Ordering::SeqCst) == 13).await;

        world.provider.tell_the_truth();
        let unknown: Vec<_> = (0..3).map(amount_minor).collect();
        until("the questions are answered", || {
            let payments = world.check_always().payments;
            let mut asked_about = payments
                .values()
                .filter(|payment| unknown.contains(&payment.spec.amount.minor()));
            asked_about.all(|payment| payment.status == Status::Succeeded)
        })
        .await;
        assert_eq!(under_way(&platform), (4, 0), "the requests hang as before");

        world.provider.latch.open();
        drop(answers(hanging).await);
        tokio::time::sleep(Duration::from_mins(30)).await;
        for n in 0..20 {
            let shown = submit(&platform.payments(), n).await.unwrap();
            assert_eq!(shown.answer, Answer::Shown);
        }
        world.check_at_rest(&platform).await;
    });
}
