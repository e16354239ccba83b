//! What providers may say, and what callers are told: unknown stays unknown, unreachable may be driven again, final is final.

use crate::audit::shown;
use crate::provider::{Script, Scripted};
use crate::world::{
    World, amount_minor, answers, let_settle, live_payments, options, submit, submit_all, until,
};
use florin_actors::kind::Kind;
use florin_domain::payment::{Answer, AttemptState, Status};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

#[test]
fn an_unknown_outcome_is_said_to_be_unknown_within_the_budget_and_resolved_once_the_provider_answers() {
    for (prepares, charged) in [(false, true), (false, false), (true, true), (true, false)] {
        let world = World::with(21, options(), Scripted::new(prepares, true));
        world.script(0, Script::Mute { charged });
        world.life(async |world, platform| {
            let asked = Instant::now();
            let first = submit(&platform.payments(), 0).await.unwrap();
            assert!(asked.elapsed() <= platform.context().options.answer_budget);
            assert_eq!(first.answer, Answer::Unresolved);
            let id = first.payment.id();
            // An hour of questions changes nothing.
            tokio::time::sleep(Duration::from_hours(1)).await;
            assert_eq!(world.check_always().payments[&id].status, Status::Processing);
            assert_eq!(live_payments(&platform), 0, "a payment that waits is no actor");
            let replay = submit(&platform.payments(), 0).await.unwrap();
            assert_eq!((replay.payment.id(), replay.answer), (id, Answer::Unresolved));

            world.provider.tell_the_truth();
            tokio::time::sleep(Duration::from_secs(1900)).await;
            let payment = world.check_always().payments[&id].clone();
            // An object that was made and not charged was being closed by then: it is never sent again, and its key is free.
            let is_closed = prepares && !charged;
            let status = if is_closed {
                Status::RequiresConfirmation
            } else {
                Status::Succeeded
            };
            assert_eq!(payment.status, status, "the schedule asks by itself");
            assert_eq!(payment.operations[0].attempts, 1);
            let replay = submit(&platform.payments(), 0).await.unwrap();
            assert_eq!(replay.answer, Answer::Shown);
            assert_eq!(
                replay.payment.operations[0].attempts,
                if is_closed { 2 } else { 1 }
            );
            if !is_closed {
                assert_eq!(shown(&replay), (&payment, Answer::Shown));
            }
            world.check_at_rest(&platform).await;
        });
    }
}

#[test]
fn after_the_attempts_deadline_a_provider_is_only_asked_and_never_told_to_charge() {
    World::new(22).life(async |world, platform| {
        world.script(0, Script::Mute { charged: true });
        let id = submit(&platform.payments(), 0).await.unwrap().payment.id();
        world.clock.advance_s(31 * 60);
        let executes = world.provider.executes(id);
        tokio::time::sleep(Duration::from_hours(1)).await;
        assert_eq!(world.provider.executes(id), executes);
        world.provider.tell_the_truth();
        tokio::time::sleep(Duration::from_secs(1900)).await;
        assert_eq!(world.provider.executes(id), executes);
        assert_eq!(world.check_always().payments[&id].status, Status::Succeeded);
        world.check_at_rest(&platform).await;
    });
}

#[test]
fn a_caller_whose_provider_hangs_is_answered_at_the_budget_and_the_payment_goes_on() {
    World::new(23).life(async |world, platform| {
        world.script(0, Script::Held);
        world.provider.latch.close();
        let asked = Instant::now();
        let first = submit(&platform.payments(), 0).await.unwrap();
        let budget = platform.context().options.answer_budget;
        assert!(asked.elapsed() >= budget && asked.elapsed() < budget + Duration::from_millis(200));
        assert_eq!(first.answer, Answer::Unresolved);
        world.provider.latch.open();
        let_settle().await;
        let replay = submit(&platform.payments(), 0).await.unwrap();
        assert_eq!(
            (replay.answer, replay.payment.id()),
            (Answer::Shown, first.payment.id())
        );
        world.check_at_rest(&platform).await;
    });
}

#[test]
fn a_payment_that_could_not_be_sent_is_driven_again_by_its_key() {
    // At once, and after its actor has left memory.
    for pause in [Duration::ZERO, Duration::from_mins(2)] {
        World::new(24).life(async |world, platform| {
            world.script(0, Script::NotSent { times: 3 });
            let first = submit(&platform.payments(), 0).await.unwrap();
            assert_eq!(first.answer, Answer::NoProvider);
            world.check_replies(&[(0, Ok(first.clone()))]);
            tokio::time::sleep(pause).await;
            assert_eq!(world.provider.charges_of_amount(amount_minor(0)), 0);
            let second = submit(&platform.payments(), 0).await.unwrap();
            world.check_replies(&[(0, Ok(second.clone()))]);
            assert_eq!(
                (second.answer, second.payment.id()),
                (Answer::Shown, first.payment.id()),
                "{pause:?}"
            );
            let attempt = second.payment.operations[0].attempt.as_ref().unwrap();
            assert_eq!((attempt.number, attempt.state), (2, AttemptState::Succeeded));
            world.check_at_rest(&platform).await;
        });
    }
}

#[test]
fn what_may_have_been_charged_is_never_said_to_be_unsent() {
    for script in [
        Script::ChargedThenNotSent { times: 5 },
        Script::Panic { times: 5 },
    ] {
        World::new(28).life(async |world, platform| {
            world.script(0, script);
            let first = vec![(0, submit(&platform.payments(), 0).await)];
            assert_eq!(
                first[0].1.as_ref().unwrap().answer,
                Answer::Unresolved,
                "{script:?}"
            );
            let resolved = world.resolve_all(&platform, &first).await;
            assert_eq!(resolved[&0].payment.operations[0].attempts, 1, "{script:?}");
            world.check_at_rest(&platform).await;
        });
    }
}

#[test]
fn an_attempt_of_the_last_process_that_cannot_be_sent_now_may_have_been_sent_then() {
    let world = World::new(29);
    world.script(0, Script::ChargedThenNotSent { times: 5 });
    world.life(async |world, platform| {
        let asked = submit_all(&platform.payments(), [0]);
        until("it is charged", || {
            world.provider.charges_of_amount(amount_minor(0)) == 1
        })
        .await;
        assert!(asked.iter().all(|(_, task)| !task.is_finished()));
    });
    world.life(async |world, platform| {
        let first = vec![(0, submit(&platform.payments(), 0).await)];
        assert_eq!(first[0].1.as_ref().unwrap().answer, Answer::Unresolved);
        let resolved = world.resolve_all(&platform, &first).await;
        assert_eq!(resolved[&0].payment.operations[0].attempts, 1);
        world.check_at_rest(&platform).await;
    });
}

#[test]
fn without_an_enabled_provider_nothing_is_stored() {
    World::new(25).life(async |world, platform| {
        platform.context().providers[0]
            .disabled
            .store(true, Ordering::SeqCst);
        let refused = vec![(0, submit(&platform.payments(), 0).await)];
        assert!(refused[0].1.is_err());
        world.check_not_stored(&refused);
        platform.context().providers[0]
            .disabled
            .store(false, Ordering::SeqCst);
        assert_eq!(
            submit(&platform.payments(), 0).await.unwrap().answer,
            Answer::Shown
        );
        world.check_at_rest(&platform).await;
    });
}

#[test]
fn a_decline_is_final_and_replayed_also_by_the_next_process() {
    let world = World::new(26);
    world.script(0, Script::Decline);
    let first = world.life(async |_, platform| submit(&platform.payments(), 0).await.unwrap());
    assert_eq!(
        (first.answer, &first.payment.status),
        (Answer::Declined, &Status::Failed)
    );
    world.script(0, Script::Succeed);
    world.life(async |world, platform| {
        let replay = submit(&platform.payments(), 0).await.unwrap();
        assert_eq!(shown(&replay), shown(&first));
        assert!(replay.replayed);
        world.check_at_rest(&platform).await;
    });
}

#[test]
fn a_restarted_schedule_still_asks_about_everything_unresolved() {
    World::new(27).life(async |world, platform| {
        for n in 0..20 {
            world.script(n, Script::Mute { charged: n % 2 == 0 });
        }
        for (n, answer) in answers(submit_all(&platform.payments(), 0..20)).await {
            assert_eq!(answer.unwrap().answer, Answer::Unresolved, "{n}");
        }
        let context = platform.context();
        context.resolution.actor().unwrap().kill();
        let restarts = &context.figures.kind(Kind::Resolution).restarts;
        until("the schedule is back", || restarts.load(Ordering::SeqCst) == 1).await;
        world.provider.tell_the_truth();
        tokio::time::sleep(Duration::from_hours(1)).await;
        let truth = world.check_always();
        assert!(
            truth
                .payments
                .values()
                .all(|payment| payment.status == Status::Succeeded)
        );
        world.check_at_rest(&platform).await;
    });
}
