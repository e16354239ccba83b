//! Actors crash at every step while captures, refunds, voids and confirmations are under way.

use crate::crash::{expect_step_was_reached, kind_of, of_payments, options_for};
use crate::operations::{
    Ask, Reply, amount, ask, ask_all, capture, confirm, increment, is_refused, operation_key, payment_of,
    refund, replies, script_of_operation, script_operations,
};
use crate::provider::{Script, Scripted};
use crate::world::{World, all_cases, amount_minor, answers, let_settle, live_payments, submit_all, until};
use florin_actors::context::Step;
use florin_actors::kind::Kind;
use florin_actors::payment::NotStored;
use florin_actors::payments_handle::{Change, PaymentsHandle, RequestError};
use florin_domain::ids::PaymentId;
use florin_domain::money::Amount;
use florin_domain::payment::{Answer, AttemptState, CaptureMethod, Refusal, Status};
use std::collections::BTreeSet;

const PAYMENTS: usize = 16;
const SIBLINGS: std::ops::Range<usize> = 100..112;

/// Payments in every state that something can be asked of; every fourth is sold, authorized, partly captured, declined.
async fn set_up(world: &World, payments: &PaymentsHandle) -> Vec<PaymentId> {
    script_operations(world);
    let mut ids = Vec::new();
    for n in 0..PAYMENTS {
        let method = if n % 4 == 0 || n % 4 == 3 {
            CaptureMethod::Automatic
        } else {
            CaptureMethod::Manual
        };
        if n % 4 == 3 {
            world.script(n, Script::DeclineFirst);
        }
        let made = payments
            .create(payment_of(n, amount_minor(n), method))
            .await
            .unwrap();
        ids.push(made.payment.id());
        if n % 4 == 2 {
            let asked = Ask {
                key: 9_000 + n,
                payment: made.payment.id(),
                change: capture(400, false),
            };
            assert_eq!(ask(payments, &asked).await.unwrap().answer, Answer::Shown);
        }
    }
    ids
}

/// Three things asked of each payment at once. No two amounts of one payment are the same, so the fates differ.
fn asks(ids: &[PaymentId]) -> Vec<Ask> {
    let mut asks = Vec::new();
    for (n, payment) in ids.iter().enumerate() {
        let fate = i128::try_from(n / 4).unwrap();
        let changes = match n % 4 {
            0 => [refund(200 + fate), refund(310), refund(100)],
            1 if n % 8 == 1 => [
                increment(amount_minor(n) + 100 + fate),
                capture(300 + fate, false),
                Change::Void,
            ],
            1 => [capture(300 + fate, false), capture(200, false), Change::Void],
            2 => [refund(150 + fate), capture(250, false), refund(110)],
            _ => [confirm(), confirm(), refund(100)],
        };
        let places = changes.into_iter().enumerate();
        asks.extend(places.map(|(place, change)| Ask {
            key: n * 3 + place,
            payment: *payment,
            change,
        }));
    }
    asks
}

fn minor(change: &Change) -> Option<i128> {
    match change {
        Change::Capture { amount, .. } | Change::Refund { amount, .. } => amount.map(Amount::minor),
        // Its fate is that of what it adds, which cannot be seen here.
        Change::Increment { .. } => Some(1),
        Change::Void
        | Change::Confirm(_)
        | Change::ConfirmFor { .. }
        | Change::Amend(_)
        | Change::MethodGone
        | Change::Complete { .. }
        | Change::ApproveReview
        | Change::RejectReview
        | Change::Resolve { .. }
        | Change::Note { .. } => None,
    }
}

/// An answer that nobody would wonder about who knows only what this request was.
fn is_usual((ask, answer): &Reply) -> bool {
    let fate = minor(&ask.change).map_or(Script::Succeed, script_of_operation);
    match answer {
        Ok(answered) => match fate {
            Script::Unknown { .. } | Script::ChargedThenNotSent { .. } | Script::Panic { .. } => {
                answered.answer != Answer::NoProvider
            }
            Script::Decline => answered.answer == Answer::Declined,
            Script::Succeed
            | Script::NotSent { .. }
            | Script::KeyRefused { .. }
            | Script::Mute { .. }
            | Script::Held
            | Script::DeclineFirst
            | Script::Lies { .. }
            | Script::PreparedTwice
            | Script::TakesOn
            | Script::Refuses { .. }
            | Script::Limited { .. }
            | Script::PassedTooLate
            | Script::Challenge => answered.answer.is_final(),
        },
        Err(_) => is_refused(answer),
    }
}

/// Whose requests may be answered oddly after a crash at `step`.
fn check_odd(world: &World, step: Step, replies: &[Reply]) {
    let odd: Vec<&Reply> = replies.iter().filter(|reply| !is_usual(reply)).collect();
    if world.probe.fired() == 0 {
        assert!(odd.is_empty(), "{odd:?}");
    }
    match kind_of(step) {
        Kind::Payment => {
            let payments: BTreeSet<PaymentId> = odd.iter().map(|(ask, _)| ask.payment).collect();
            assert!(payments.len() <= 1, "{step:?}: one payment crashed: {odd:?}");
        }
        Kind::Risk
        | Kind::Projection
        | Kind::Resolution
        | Kind::Scrub
        | Kind::Deadlines
        | Kind::Crossings
        | Kind::Monitor
        | Kind::WebhookGuardian
        | Kind::WebhookEndpoint => {
            assert!(odd.is_empty(), "{step:?}: {odd:?}");
        }
        Kind::Provider => assert!(odd.iter().all(|(_, answer)| answer.is_ok()), "{step:?}: {odd:?}"),
        Kind::PaymentGuardian => {
            let lost = |(_, answer): &&Reply| {
                answer.is_ok() || matches!(answer, Err(RequestError::NotStored(NotStored::Failed)))
            };
            assert!(odd.iter().all(lost), "{step:?}: {odd:?}");
        }
        Kind::Idempotency => {
            let lost = |(_, answer): &&Reply| {
                let late = RequestError::NotStored(NotStored::StageTimeout("idempotency"));
                let excused = |error: &RequestError| *error == late || *error == RequestError::Lost;
                answer.as_ref().err().is_none_or(excused)
            };
            assert!(odd.iter().all(lost), "{step:?}: {odd:?}");
        }
        Kind::AccountShard | Kind::JournalWriter => panic!("{step:?} is not restartable"),
    }
}

fn crash_at_every_step(nth: u64) {
    all_cases(
        of_payments().filter(|step| kind_of(*step).is_restartable()),
        |&step| {
            let world = World::with(nth, options_for(step), Scripted::new(nth == 4, true));
            let before = world.life(async |world, platform| {
                let payments = platform.payments();
                let ids = set_up(world, &payments).await;
                // Some are asked in memory, others have to be loaded.
                if nth == 12 {
                    until("all have left", || live_payments(&platform) == 0).await;
                }
                world.probe.arm(step, nth);
                let asked = ask_all(&payments, &asks(&ids));
                let siblings = answers(submit_all(&payments, SIBLINGS)).await;
                let first = replies(asked).await;
                world.check_operations(&first);
                world.check_replies(&siblings);
                check_odd(world, step, &first);
                let_settle().await;
                world.check_nothing_taken(&first);
                expect_step_was_reached(world, step, nth);
                world.resolve_all(&platform, &siblings).await;
                let settled = world.resolve_operations(&platform, &first).await;
                let_settle().await;
                world.check_operations_at_rest(&platform).await;
                assert_eq!(world.fatal.count(), 0);
                (settled, world.accounts(&platform).await)
            });
            // The next process knows every answer, and the indexes are no part of the truth.
            if nth == 1 {
                world.lose_indexes();
            }
            world.life(async |world, platform| {
                let finals: Vec<Reply> = before
                    .0
                    .iter()
                    .filter(|(_, answer)| answer.is_ok())
                    .cloned()
                    .collect();
                let head = world.truth().head;
                world.resolve_operations(&platform, &finals).await;
                assert_eq!(world.truth().head, head, "replays store nothing");
                assert_eq!(world.accounts(&platform).await, before.1);
                world.check_operations_at_rest(&platform).await;
            });
        },
    );
}

#[test]
fn a_crash_of_any_restartable_actor_under_operations_loses_doubles_and_misstates_nothing() {
    crash_at_every_step(1);
}

#[test]
fn a_later_crash_under_operations_at_a_provider_that_prepares_loses_doubles_and_misstates_nothing() {
    crash_at_every_step(4);
}

#[test]
fn a_crash_under_operations_on_payments_that_have_to_be_loaded_loses_doubles_and_misstates_nothing() {
    crash_at_every_step(12);
}

#[test]
fn a_crash_of_the_shard_or_the_writer_under_operations_ends_the_process_and_the_next_one_knows_every_answer()
{
    let fatal = of_payments().filter(|step| !kind_of(*step).is_restartable());
    let cases =
        fatal.flat_map(|step| [2, 9, 30].map(|nth| [true, false].map(|survive| (step, nth, survive))));
    all_cases(cases.flatten(), |&(step, nth, indexes_survive)| {
        let world = World::new(nth);
        let first = world.life(async |world, platform| {
            let payments = platform.payments();
            let ids = set_up(world, &payments).await;
            world.probe.arm(step, nth);
            let first = replies(ask_all(&payments, &asks(&ids))).await;
            world.check_operations(&first);
            // What no operation leads to comes with the sweep of deadlines.
            until("the process ends", || world.fatal.count() >= 1).await;
            expect_step_was_reached(world, step, nth);
            first
        });
        if !indexes_survive {
            world.lose_indexes();
        }
        world.life(async |world, platform| {
            let taken = world.truth();
            for (ask, answer) in &first {
                if is_refused(answer) {
                    let payment = &taken.payments[&ask.payment];
                    assert!(payment.request(operation_key(ask.key)).is_none(), "{ask:?}");
                }
            }
            world.resolve_operations(&platform, &first).await;
            let_settle().await;
            world.check_operations_at_rest(&platform).await;
        });
    });
}

/// A process that ends at any moment: commits may be there that nobody was told of.
#[test]
fn a_process_that_ends_in_the_middle_of_operations_goes_on_where_it_was() {
    for after_executions in [1_usize, 5, 20, 40] {
        let world = World::new(31);
        let ids = world.life(async |world, platform| {
            let payments = platform.payments();
            let ids = set_up(world, &payments).await;
            let goal = world.provider.executed().len() + after_executions;
            let asked = ask_all(&payments, &asks(&ids));
            until("so much is executed", || {
                world.provider.executed().len() >= goal || asked.iter().all(|(_, task)| task.is_finished())
            })
            .await;
            ids
        });
        world.life(async |world, platform| {
            let again = replies(ask_all(&platform.payments(), &asks(&ids))).await;
            world.check_operations(&again);
            world.resolve_operations(&platform, &again).await;
            let_settle().await;
            world.check_operations_at_rest(&platform).await;
        });
    }
}

#[test]
fn a_refund_that_timed_out_after_it_was_executed_is_unknown_and_resolution_finds_it() {
    for in_memory in [true, false] {
        World::new(41).life(async |world, platform| {
            let payments = platform.payments();
            let made = payments
                .create(payment_of(0, 1_000, CaptureMethod::Automatic))
                .await
                .unwrap();
            let payment = made.payment.id();
            if !in_memory {
                until("it has left memory", || live_payments(&platform) == 0).await;
            }
            world.provider.script(600, Script::Mute { charged: true });
            let of = |key, minor| Ask {
                key,
                payment,
                change: refund(minor),
            };
            let first = ask(&payments, &of(1, 600)).await.unwrap();
            assert_eq!(first.answer, Answer::Unresolved);
            let operation = first.operation.unwrap();
            let state = || {
                world.truth().payments[&payment]
                    .operation(operation)
                    .unwrap()
                    .state()
            };
            assert_eq!(state(), Some(AttemptState::Unknown));
            assert_eq!(world.provider.executed()[&operation], 1);
            // What may have been given back is not given back again.
            let beyond = ask(&payments, &of(2, 401)).await;
            let refusal = RequestError::NotStored(NotStored::Refused(Refusal::ExceedsRefundable));
            assert_eq!(beyond.err(), Some(refusal));
            assert_eq!(ask(&payments, &of(3, 400)).await.unwrap().answer, Answer::Shown);
            tokio::time::sleep(std::time::Duration::from_hours(1)).await;
            assert_eq!(
                state(),
                Some(AttemptState::Unknown),
                "an hour of silence proves nothing"
            );
            world.provider.tell_the_truth();
            tokio::time::sleep(std::time::Duration::from_secs(1900)).await;
            assert_eq!(
                state(),
                Some(AttemptState::Succeeded),
                "the schedule asks by itself"
            );
            let replay = ask(&payments, &of(1, 600)).await.unwrap();
            assert_eq!(
                (replay.answer, replay.operation),
                (Answer::Shown, Some(operation))
            );
            assert_eq!(world.truth().payments[&payment].refunded.minor(), 1_000);
            world.check_operations_at_rest(&platform).await;
        });
    }
}

#[test]
fn a_key_that_its_owner_has_forgotten_is_still_no_key_for_another_request_about_the_payment() {
    World::new(47).life(async |world, platform| {
        let payments = platform.payments();
        let made = payments
            .create(payment_of(0, 1_000, CaptureMethod::Automatic))
            .await
            .unwrap();
        let of = |minor| Ask {
            key: 1,
            payment: made.payment.id(),
            change: refund(minor),
        };
        let first = ask(&payments, &of(300)).await.unwrap();
        world.clock.advance_s(25 * 3600);
        let other = ask(&payments, &of(200)).await;
        assert_eq!(other.err(), Some(RequestError::Mismatch));
        let same = ask(&payments, &of(300)).await.unwrap();
        assert_eq!((same.operation, &same.payment), (first.operation, &first.payment));
        assert_eq!(world.provider.sum_minor(), 700);
        world.check_operations_at_rest(&platform).await;
    });
}

#[test]
fn a_challenge_is_asked_about_under_one_key_until_the_customer_is_done() {
    World::with(43, crate::world::options(), Scripted::new(true, true)).life(async |world, platform| {
        let payments = platform.payments();
        world.script(0, Script::Challenge);
        let made = payments
            .create(payment_of(0, amount_minor(0), CaptureMethod::Manual))
            .await
            .unwrap();
        assert!(matches!(made.payment.status, Status::RequiresAction(_)));
        let complete = |key| Ask {
            key,
            payment: made.payment.id(),
            change: Change::Complete { details: None },
        };
        for _ in 0..3 {
            let waits = ask(&payments, &complete(1)).await.unwrap();
            assert_eq!(waits.answer, Answer::Unresolved);
            assert!(matches!(waits.payment.status, Status::RequiresAction(_)));
        }
        let taken = world.truth().payments[&made.payment.id()].requests.len();
        assert_eq!(taken, 1, "one key is taken once");
        world.provider.tell_the_truth();
        let done = ask(&payments, &complete(1)).await.unwrap();
        assert_eq!(
            (done.answer, &done.payment.status),
            (Answer::Shown, &Status::Authorized)
        );
        let again = ask(&payments, &complete(1)).await.unwrap();
        assert_eq!((&again.payment, again.replayed), (&done.payment, true));
        // What was answered stays answered, whatever happens later.
        let taken = Ask {
            key: 2,
            payment: made.payment.id(),
            change: Change::Capture {
                amount: Some(amount(400)),
                is_final: true,
            },
        };
        assert_eq!(
            ask(&payments, &taken).await.unwrap().payment.status,
            Status::Succeeded
        );
        assert_eq!(ask(&payments, &complete(1)).await.unwrap().payment, done.payment);
        let_settle().await;
        world.check_operations_at_rest(&platform).await;
    });
}
