//! What retries cost a provider that fails, what card networks allow after a decline, and how long a charge takes without either.

use crate::operations::{Ask, ask, ask_all, replies};
use crate::ports::lock;
use crate::provider::{Script, Scripted};
use crate::world::{
    Answered, World, amount_minor, answers, let_settle, options, request, submit, submit_all, until,
};
use florin_actors::options::Options;
use florin_actors::payment::NotStored;
use florin_actors::payments_handle::{Answered as Shown, Change, NewPayment, PaymentsHandle, RequestError};
use florin_domain::payment::{Answer, Payment, Status};
use florin_domain::retry::{BudgetPolicy, RetryPolicy};
use florin_domain::risk::CardLimits;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Requests to charge that a provider got for these payments.
fn calls(provider: &Scripted, answered: &[(usize, Answered)]) -> u32 {
    let of = |(_, answer): &(usize, Answered)| {
        let answered = answer.as_ref().expect("it was answered");
        provider.executes(answered.payment.id())
    };
    answered.iter().map(of).sum()
}

/// Request `n`, with the card, the customer and the amount of the first one.
async fn the_same_again(payments: &PaymentsHandle, n: usize) -> Answered {
    let first = request(0);
    let again = NewPayment {
        amount: first.amount,
        customer: first.customer,
        ..request(n)
    };
    payments.create(again).await
}

fn decline_code(payment: &Payment) -> Option<&str> {
    payment.failure.as_ref()?.decline_code.as_deref()
}

#[test]
fn a_provider_that_fails_everybody_is_asked_a_tenth_more_often_and_a_lone_payment_gets_its_tries() {
    const COUNT: usize = 100;
    for script in [
        Script::NotSent { times: u32::MAX },
        Script::Mute { charged: false },
    ] {
        for (count, expected) in [(COUNT, 100 + 10 + 3), (1, 3)] {
            let retry = RetryPolicy {
                budget: BudgetPolicy {
                    retries_min: 3,
                    ..BudgetPolicy::default()
                },
                ..RetryPolicy::default()
            };
            let limited = Options { retry, ..options() };
            World::with(211, limited, Scripted::new(false, false)).life(async |world, platform| {
                for n in 0..count {
                    world.script(n, script);
                }
                let answered = answers(submit_all(&platform.payments(), 0..count)).await;
                assert_eq!(calls(&world.provider, &answered), expected, "{script:?}");
                let unresolved = matches!(script, Script::Mute { .. });
                for (_, answer) in &answered {
                    let expected = if unresolved {
                        Answer::Unresolved
                    } else {
                        Answer::NoProvider
                    };
                    assert_eq!(answer.as_ref().unwrap().answer, expected);
                }
                // What was not repeated is asked about on its schedule.
                world.provider.tell_the_truth();
                if unresolved {
                    tokio::time::sleep(Duration::from_mins(30)).await;
                    let truth = world.check_always();
                    assert!(
                        truth
                            .payments
                            .values()
                            .all(|payment| payment.unresolved().count() == 0)
                    );
                }
            });
        }
    }
}

#[test]
fn waits_between_tries_are_never_shorter_than_they_must_be_nor_all_the_same() {
    World::with(212, options(), Scripted::new(false, false)).life(async |world, platform| {
        let mut took = Vec::new();
        for n in 0..20 {
            world.script(n, Script::NotSent { times: u32::MAX });
            let asked = Instant::now();
            submit(&platform.payments(), n).await.unwrap();
            took.push(asked.elapsed());
        }
        let (least, most) = (Duration::from_secs(2), Duration::from_millis(3_050));
        assert!(took.iter().all(|took| (least..most).contains(took)), "{took:?}");
        took.sort_unstable();
        took.dedup();
        assert!(took.len() > 10, "{took:?}");
    });
}

#[test]
fn however_many_come_at_once_a_declined_card_is_tried_no_more_often_than_its_network_allows() {
    World::with(213, options(), Scripted::new(false, true)).life(async |world, platform| {
        world.script(0, Script::Decline);
        let first = submit(&platform.payments(), 0).await.unwrap();
        assert_eq!(decline_code(&first.payment), Some("generic_decline"));
        let tasks: Vec<_> = (1..60)
            .map(|n| {
                let payments = platform.payments();
                (n, tokio::spawn(async move { the_same_again(&payments, n).await }))
            })
            .collect();
        let answered = answers(tasks).await;
        assert_eq!(calls(&world.provider, &answered), 15);
        let refused = |(_, answer): &&(usize, Answered)| {
            decline_code(&answer.as_ref().unwrap().payment) == Some("retry_limit_month")
        };
        assert_eq!(answered.iter().filter(refused).count(), 59 - 15);
        // After the month it may be tried again.
        world.clock.advance_s(30 * 24 * 3600 + 1);
        let later = the_same_again(&platform.payments(), 100).await.unwrap();
        assert_eq!(decline_code(&later.payment), Some("generic_decline"));
        world.check_always();
    });
}

#[test]
fn a_card_that_was_declined_for_good_is_not_tried_again_also_after_a_crash() {
    let world = World::with(214, options(), Scripted::new(true, false));
    *lock(&world.provider.decline_code) = "stolen_card";
    world.script(0, Script::Decline);
    world.life(async |world, platform| {
        let first = submit(&platform.payments(), 0).await.unwrap();
        assert_eq!(decline_code(&first.payment), Some("stolen_card"));
        assert_eq!(world.provider.executes(first.payment.id()), 1);
    });
    for n in 1..4 {
        world.life(async |world, platform| {
            // Behind what is read back in the background.
            tokio::time::sleep(Duration::from_secs(1)).await;
            let again = the_same_again(&platform.payments(), n).await.unwrap();
            assert_eq!(
                (again.answer, &again.payment.status),
                (Answer::Declined, &Status::Failed)
            );
            assert_eq!(decline_code(&again.payment), Some("retry_not_allowed"));
            assert_eq!(world.provider.executes(again.payment.id()), 0);
            world.check_always();
        });
    }
}

#[test]
fn the_next_provider_is_a_repetition_as_well() {
    for (month_max, at_backup) in [(0, 0), (1, 1)] {
        let limits = CardLimits {
            month_max: Some(month_max),
            ..CardLimits::default()
        };
        let options = Options {
            card_limits: limits,
            soft_declines_go_on: true,
            ..options()
        };
        let mut world = World::with(215, options, Scripted::new(false, false));
        world.backup = Some(Arc::new(Scripted::named("backup", false, false)));
        world.life(async |world, platform| {
            let backup = world.backup.as_ref().unwrap();
            world.script(0, Script::Decline);
            backup.script(amount_minor(0), Script::Decline);
            let first = submit(&platform.payments(), 0).await.unwrap();
            let id = first.payment.id();
            assert_eq!(decline_code(&first.payment), Some("generic_decline"));
            assert_eq!((world.provider.executes(id), backup.executes(id)), (1, at_backup));
            let second = the_same_again(&platform.payments(), 1).await.unwrap();
            let id = second.payment.id();
            assert_eq!(decline_code(&second.payment), Some("retry_limit_month"));
            assert_eq!((world.provider.executes(id), backup.executes(id)), (0, 0));
            world.check_always();
        });
    }
}

/// A card's network allows one repetition for an amount; every payment is looked at by a person if `reviews`.
fn one_repetition(reviews: bool) -> Options {
    let mut options = Options {
        card_limits: CardLimits {
            month_max: Some(1),
            ..CardLimits::default()
        },
        ..options()
    };
    if reviews {
        options.risk.review_above_bps = 100;
    }
    options
}

/// Has the same charge once more, of which the provider says nothing while its latch is closed.
async fn held(world: &World, payments: &PaymentsHandle, n: usize) -> JoinHandle<Answered> {
    world.provider.latch.close();
    world.script(0, Script::Held);
    let task = tokio::spawn({
        let payments = payments.clone();
        async move { the_same_again(&payments, n).await }
    });
    let_settle().await;
    world.script(0, Script::Succeed);
    task
}

#[test]
fn a_charge_that_is_asked_for_anew_asks_about_its_card_once_more() {
    World::with(218, one_repetition(false), Scripted::new(false, false)).life(async |world, platform| {
        let payments = platform.payments();
        world.script(0, Script::NotSent { times: u32::MAX });
        let (first, other) = (
            the_same_again(&payments, 1).await.unwrap(),
            the_same_again(&payments, 2).await.unwrap(),
        );
        assert_eq!(
            (first.answer, other.answer),
            (Answer::NoProvider, Answer::NoProvider)
        );
        let sent = |answered: &Shown| world.provider.executes(answered.payment.id());
        let (first_sent, other_sent) = (sent(&first), sent(&other));
        world.script(0, Script::Decline);
        let declined = the_same_again(&payments, 3).await.unwrap();
        assert_eq!(decline_code(&declined.payment), Some("generic_decline"));

        // Somebody else has the only repetition that is left: that ends nothing.
        let task = held(world, &payments, 4).await;
        let waits = the_same_again(&payments, 1).await.unwrap();
        assert_eq!((waits.answer, sent(&waits)), (Answer::NoProvider, first_sent));
        world.provider.latch.open();
        task.await.unwrap().unwrap();
        let_settle().await;
        assert_eq!(world.provider.charges_of_amount(amount_minor(0)), 1);
        let paid = the_same_again(&payments, 1).await.unwrap();
        assert_eq!(paid.payment.status, Status::Succeeded);
        assert_eq!(sent(&paid), first_sent + 1);

        // It is used up: the charge is declined, and nobody is asked.
        world.script(0, Script::Decline);
        the_same_again(&payments, 5).await.unwrap();
        world.script(0, Script::Succeed);
        for _ in 0..2 {
            let refused = the_same_again(&payments, 2).await.unwrap();
            assert_eq!(
                (refused.answer, decline_code(&refused.payment), sent(&refused)),
                (Answer::Declined, Some("retry_limit_month"), other_sent)
            );
        }
        world.check_always();
    });
}

#[test]
fn a_review_that_is_approved_asks_about_the_card_before_it_charges() {
    World::with(219, one_repetition(true), Scripted::new(false, false)).life(async |world, platform| {
        let payments = platform.payments();
        let mut made = Vec::new();
        for n in 0..5 {
            let reviewed = the_same_again(&payments, n).await.unwrap().payment;
            assert!(matches!(reviewed.status, Status::InReview { .. }));
            made.push(reviewed.id());
        }
        let approval = |n: usize| Ask {
            key: n,
            payment: made[n],
            change: Change::ApproveReview,
        };
        world.script(0, Script::Decline);
        let declined = ask(&payments, &approval(0)).await.unwrap();
        assert_eq!(decline_code(&declined.payment), Some("generic_decline"));

        world.provider.latch.close();
        world.script(0, Script::Held);
        let held = ask_all(&payments, &[approval(1)]);
        let_settle().await;
        world.script(0, Script::Succeed);
        let busy = ask(&payments, &approval(2)).await;
        assert!(
            matches!(busy, Err(RequestError::NotStored(NotStored::Busy))),
            "{busy:?}"
        );
        assert_eq!(world.provider.executes(made[2]), 0);
        world.provider.latch.open();
        replies(held).await[0].1.as_ref().unwrap();
        let_settle().await;
        assert_eq!(world.provider.charges_of_amount(amount_minor(0)), 1);
        let paid = ask(&payments, &approval(2)).await.unwrap();
        assert_eq!(paid.payment.status, Status::Succeeded);

        world.script(0, Script::Decline);
        ask(&payments, &approval(3)).await.unwrap();
        let refused = ask(&payments, &approval(4)).await.unwrap();
        assert_eq!(
            (refused.answer, decline_code(&refused.payment)),
            (Answer::Declined, Some("retry_limit_month"))
        );
        assert_eq!(world.provider.executes(made[4]), 0);
        world.check_always();
    });
}

/// The budget of a usual charge (ORCH-16): 500 ms for the processor, 10 for storing what is about to be asked and 15 for the books come to
/// 540 ms at most, and a decline, which the books do not see, to 520. Time passes here only where somebody waits for it, so
/// this says that Florin adds no wait of its own; what its work costs is measured by `florin bench`.
#[test]
fn a_charge_takes_what_its_processor_and_its_two_commits_take_and_nothing_else() {
    for (script, appends_ms, least_ms, most_ms) in [
        (Script::Succeed, [10, 15], 525, 540),
        (Script::Decline, [10, 10], 520, 520),
    ] {
        for prepares in [false, true] {
            World::with(216, options(), Scripted::new(prepares, false)).life(async |world, platform| {
                world.script(0, script);
                world.provider.takes_ms.store(500, Ordering::SeqCst);
                // A provider that prepares has one more commit, with the reference of its object; it is no part of the budget.
                let reference = prepares.then_some(0);
                let [stored, booked] = appends_ms;
                let waits = [stored].into_iter().chain(reference).chain([booked]);
                lock(&world.faults.appends_ms).extend(waits);
                let asked = Instant::now();
                submit(&platform.payments(), 0).await.unwrap();
                let took = asked.elapsed();
                assert!(lock(&world.faults.appends_ms).is_empty());
                let expected = Duration::from_millis(least_ms)..=Duration::from_millis(most_ms);
                assert!(expected.contains(&took), "{script:?}: {took:?}");
                until("the view to follow", || platform.context().lag.views() == 0).await;
            });
        }
    }
}
