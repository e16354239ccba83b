//! Questions about what is already under way have permits of their own: a few, so that they are no flood, and none but theirs, so that
//! nothing that hangs keeps them from being asked.

use crate::ports::all_commits;
use crate::provider::{Script, Scripted};
use crate::world::{World, amount_minor, answers, options, submit, submit_all, until};
use florin_actors::options::{Options, ProviderCaps, ProviderTerms};
use florin_domain::commit::Body;
use florin_domain::payment::{Answer, Event, Status};
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
            let mut seen = 0;
            for _ in 0..120 {
                tokio::time::sleep(Duration::from_secs(30)).await;
                let (requests, questions) = under_way(&platform);
                assert_eq!(requests, 0);
                assert!(questions <= most, "{questions} questions at {permits} permits");
                seen = seen.max(questions);
            }
            assert_eq!(seen, most, "all of them are used");
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

/// Why nothing is known of the attempts of a payment, as its history says.
async fn doubts(world: &World, platform: &Platform, n: usize) -> Vec<String> {
    let commits = all_commits(platform.context().ports.journal.as_ref()).await;
    let payment = world.truth().payment(n).expect("it is journaled").spec.id;
    let of_it = commits.iter().filter_map(|commit| match &commit.body {
        Body::Payment(body) if body.payment == payment => Some(&body.events),
        Body::Payment(_) | Body::Control(_) | Body::Ledger(_) => None,
    });
    let why = of_it.flatten().filter_map(|event| match event {
        Event::AttemptUnknown { reason, .. } => Some(reason.to_string()),
        _ => None,
    });
    why.collect()
}

#[test]
fn a_call_that_never_ends_is_given_up_and_its_permit_goes_to_the_next_one() {
    let mut world = with_permits(93, 1);
    world.options.retry.tries_max = 1;
    world.life(async |world, platform| {
        world.provider.latch.close();
        world.script(0, Script::Held);
        let hanging = submit_all(&platform.payments(), [0]);
        until("it has the permit", || under_way(&platform).0 == 1).await;
        let began = tokio::time::Instant::now();
        let waiting = submit_all(&platform.payments(), [1]);

        // Nothing of this provider's is longer than a minute.
        tokio::time::sleep(Duration::from_secs(58)).await;
        assert_eq!(under_way(&platform).0, 1, "not before its time");
        assert_eq!(world.provider.charges_of_amount(amount_minor(1)), 0);
        until("the next one is charged", || {
            world.provider.charges_of_amount(amount_minor(1)) == 1
        })
        .await;
        assert!(began.elapsed() < Duration::from_secs(62), "{:?}", began.elapsed());
        until("the permit is back", || under_way(&platform).0 == 0).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(doubts(world, &platform, 0).await, ["provider_call_given_up"]);

        // What does not end either when it is asked about is given up as well, and once the provider speaks it is settled.
        tokio::time::sleep(Duration::from_mins(10)).await;
        let payments = world.check_always().payments;
        let unknown = payments
            .values()
            .find(|payment| payment.spec.amount.minor() == amount_minor(0));
        assert_eq!(unknown.expect("it is there").status, Status::Processing);
        world.provider.latch.open();
        drop(answers(hanging).await);
        drop(answers(waiting).await);
        tokio::time::sleep(Duration::from_hours(1)).await;
        for n in 0..2 {
            let shown = submit(&platform.payments(), n).await.unwrap();
            assert_eq!(shown.answer, Answer::Shown);
        }
        world.check_at_rest(&platform).await;
    });
}
