//! Charges that go on at another provider, and the breaker before a provider that fails.

use crate::kill::kill_payment;
use crate::provider::{Script, Scripted};
use crate::world::{World, amount_minor, let_settle, merchant, options, submit, until};
use florin_actors::options::Options;
use florin_domain::breaker::BreakerPolicy;
use florin_domain::ids::ApiKeyId;
use florin_domain::merchant::{ControlEvent, OperatorAction};
use florin_domain::payment::{Answer, AttemptState, Payment, Status};
use florin_domain::routing::Bar;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

fn two(seed: u64, prepares: bool, options: Options) -> World {
    let mut world = World::with(seed, options, Scripted::new(prepares, false));
    world.backup = Some(Arc::new(Scripted::named("backup", prepares, false)));
    world
}

fn with_breaker(seed: u64) -> World {
    let breaker = BreakerPolicy::default();
    two(seed, false, Options { breaker, ..options() })
}

fn charges(world: &World, n: usize) -> (usize, usize) {
    let amount = amount_minor(n);
    let backup = world.backup.as_ref().unwrap();
    (
        world.provider.charges_of_amount(amount),
        backup.charges_of_amount(amount),
    )
}

/// The provider and the end of each attempt of the charge.
fn attempts(payment: &Payment) -> Vec<(String, AttemptState)> {
    let op = &payment.operations[0];
    let all = op.earlier.iter().chain(&op.attempt);
    all.map(|attempt| (attempt.provider.to_string(), attempt.state))
        .collect()
}

#[test]
fn a_charge_that_never_left_goes_to_the_next_provider_within_the_same_request() {
    for prepares in [false, true] {
        two(71, prepares, options()).life(async |world, platform| {
            world.script(0, Script::NotSent { times: u32::MAX });
            let asked = tokio::time::Instant::now();
            let shown = submit(&platform.payments(), 0).await.unwrap();
            assert_eq!(
                (shown.answer, &shown.payment.status),
                (Answer::Shown, &Status::Succeeded)
            );
            assert!(asked.elapsed() < Duration::from_secs(1), "nothing is waited for");
            assert_eq!(charges(world, 0), (0, 1));
            assert_eq!(
                attempts(&shown.payment),
                [
                    ("scripted".to_owned(), AttemptState::NotSent),
                    ("backup".to_owned(), AttemptState::Succeeded),
                ]
            );
            world.check_at_rest(&platform).await;
        });
    }
}

#[test]
fn a_charge_that_nobody_takes_says_so_and_goes_out_again_with_its_key() {
    two(72, false, options()).life(async |world, platform| {
        let backup = world.backup.as_ref().unwrap();
        world.script(0, Script::NotSent { times: 3 });
        backup.script(amount_minor(0), Script::NotSent { times: 3 });
        let shown = submit(&platform.payments(), 0).await.unwrap();
        assert_eq!(shown.answer, Answer::NoProvider);
        let tried: Vec<_> = attempts(&shown.payment).into_iter().map(|(at, _)| at).collect();
        // At the last one there is nobody else to go to, so it is asked as often as it is worth it.
        assert_eq!(tried, ["scripted", "backup"]);

        let again = submit(&platform.payments(), 0).await.unwrap();
        assert_eq!(again.payment.id(), shown.payment.id());
        assert_eq!(again.answer, Answer::Shown);
        let (first, second) = charges(world, 0);
        assert_eq!(first + second, 1);
        world.check_at_rest(&platform).await;
    });
}

#[test]
fn an_unknown_charge_waits_for_its_provider_until_that_has_closed_it() {
    for charged in [false, true] {
        two(73, true, options()).life(async |world, platform| {
            world.script(0, Script::Mute { charged });
            let shown = submit(&platform.payments(), 0).await.unwrap();
            let id = shown.payment.id();
            assert_eq!(shown.answer, Answer::Unresolved);
            tokio::time::sleep(Duration::from_mins(20)).await;
            assert_eq!(
                charges(world, 0),
                (usize::from(charged), 0),
                "nothing moves without proof"
            );

            world.provider.tell_the_truth();
            tokio::time::sleep(Duration::from_mins(40)).await;
            let payment = world.check_always().payments[&id].clone();
            assert_eq!(payment.status, Status::Succeeded);
            let (first, second) = charges(world, 0);
            assert_eq!(first + second, 1);
            world.check_at_rest(&platform).await;
        });
    }
}

#[test]
fn five_failures_open_the_breaker_and_after_a_minute_one_probe_finds_out() {
    with_breaker(74).life(async |world, platform| {
        let refused = Script::NotSent { times: u32::MAX };
        for n in 0..5 {
            world.script(n, refused);
            submit(&platform.payments(), n).await.unwrap();
        }
        // It would work again, but nobody asks it.
        let sixth = submit(&platform.payments(), 5).await.unwrap();
        assert_eq!(charges(world, 5), (0, 1));
        assert_eq!(attempts(&sixth.payment).len(), 1, "it is not even tried");
        let seat = &platform.context().providers[0];
        let bar = || seat.entrant(None, platform.context().ports.clock.now()).bar;
        assert_eq!(bar(), Some(Bar::BreakerOpen));

        world.clock.advance_s(59);
        submit(&platform.payments(), 6).await.unwrap();
        assert_eq!(charges(world, 6), (0, 1));

        world.clock.advance_s(1);
        assert_eq!(bar(), None);
        // The probe fails: its charge goes on at the other provider, and the breaker is open for another minute.
        world.script(7, refused);
        let probe = submit(&platform.payments(), 7).await.unwrap();
        assert_eq!(attempts(&probe.payment).len(), 2);
        assert_eq!(charges(world, 7), (0, 1));
        assert_eq!(bar(), Some(Bar::BreakerOpen));

        world.clock.advance_s(60);
        submit(&platform.payments(), 8).await.unwrap();
        assert_eq!(charges(world, 8), (1, 0), "the probe went through");
        submit(&platform.payments(), 9).await.unwrap();
        assert_eq!(charges(world, 9), (1, 0));
        world.check_at_rest(&platform).await;
    });
}

#[test]
fn while_one_probe_is_under_way_everybody_else_goes_elsewhere() {
    with_breaker(75).life(async |world, platform| {
        for n in 0..5 {
            world.script(n, Script::NotSent { times: u32::MAX });
            submit(&platform.payments(), n).await.unwrap();
        }
        world.clock.advance_s(60);
        world.script(5, Script::Held);
        world.provider.latch.close();
        let payments = platform.payments();
        let probe = tokio::spawn(async move { submit(&payments, 5).await });
        let seat = &platform.context().providers[0];
        until("the probe is under way", || {
            seat.in_flight.load(Ordering::SeqCst) == 1
        })
        .await;
        for n in 6..10 {
            submit(&platform.payments(), n).await.unwrap();
            assert_eq!(charges(world, n), (0, 1));
        }
        world.provider.latch.open();
        assert_eq!(probe.await.unwrap().unwrap().answer, Answer::Shown);
        submit(&platform.payments(), 10).await.unwrap();
        assert_eq!(charges(world, 10), (1, 0));
        world.check_at_rest(&platform).await;
    });
}

#[test]
fn declines_open_no_breaker() {
    with_breaker(76).life(async |world, platform| {
        for n in 0..20 {
            world.script(n, Script::Decline);
            let shown = submit(&platform.payments(), n).await.unwrap();
            assert_eq!(shown.answer, Answer::Declined);
            assert_eq!(attempts(&shown.payment).len(), 1, "a decline goes nowhere else");
        }
        submit(&platform.payments(), 20).await.unwrap();
        assert_eq!(charges(world, 20), (1, 0));
    });
}

#[test]
fn an_open_breaker_keeps_nobody_from_finding_out_what_became_of_a_charge() {
    let world = World::with(
        77,
        Options {
            breaker: BreakerPolicy::default(),
            ..options()
        },
        Scripted::new(false, false),
    );
    world.life(async |world, platform| {
        world.script(0, Script::Mute { charged: true });
        let unknown = submit(&platform.payments(), 0).await.unwrap();
        for n in 1..5 {
            world.script(n, Script::NotSent { times: u32::MAX });
            drop(submit(&platform.payments(), n).await);
        }
        let refused = submit(&platform.payments(), 6).await;
        assert!(
            refused.is_err(),
            "one provider, and its breaker is open: {refused:?}"
        );
        world.provider.tell_the_truth();
        tokio::time::sleep(Duration::from_mins(10)).await;
        let payment = &world.check_always().payments[&unknown.payment.id()];
        assert_eq!(payment.status, Status::Succeeded);
    });
}

#[test]
fn what_an_earlier_incarnation_asked_for_proves_nothing_about_what_was_sent_since() {
    two(79, true, options()).life(async |world, platform| {
        let provider = Arc::clone(&world.provider);
        world.script(0, Script::PreparedTwice);
        for latch in provider.making.iter().chain([&provider.latch]) {
            latch.close();
        }
        let payments = platform.payments();
        let asked = tokio::spawn(async move { submit(&payments, 0).await });
        until("the object is being made", || {
            provider.made.load(Ordering::SeqCst) == 1
        })
        .await;
        let payment = kill_payment(&platform).await;
        until("it is made again", || provider.made.load(Ordering::SeqCst) == 2).await;
        // The first making comes back, so the object is confirmed, and charges; then the second one has failed.
        provider.making[0].open();
        until("it is charged", || charges(world, 0).0 == 1).await;
        provider.making[1].open();
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(charges(world, 0), (1, 0), "nobody else is asked");
        provider.latch.open();
        assert_eq!(asked.await.unwrap().unwrap().payment.id(), payment);
        let_settle().await;
        assert_eq!(world.check_always().payments[&payment].status, Status::Succeeded);
        assert_eq!(charges(world, 0), (1, 0));
        world.check_at_rest(&platform).await;
    });
}

#[test]
fn a_charge_that_somebody_else_has_closed_goes_nowhere_else() {
    two(80, true, options()).life(async |world, platform| {
        world.script(0, Script::Mute { charged: false });
        let shown = submit(&platform.payments(), 0).await.unwrap();
        assert_eq!(shown.answer, Answer::Unresolved);
        // Closed in the provider's own dashboard; the next question finds out.
        world.provider.close_all();
        world.provider.tell_the_truth();
        tokio::time::sleep(Duration::from_mins(20)).await;
        let payment = world.check_always().payments[&shown.payment.id()].clone();
        assert_eq!(payment.status, Status::RequiresConfirmation);
        assert_eq!(charges(world, 0), (0, 0));
    });
}

#[test]
fn a_charge_of_a_merchant_who_was_frozen_meanwhile_goes_nowhere_else() {
    two(81, true, options()).life(async |world, platform| {
        // Its object cannot be made, which comes out once the merchant is frozen.
        world.script(0, Script::PreparedTwice);
        world.provider.made.store(1, Ordering::SeqCst);
        world.provider.making[1].close();
        let payments = platform.payments();
        let asked = tokio::spawn(async move { submit(&payments, 0).await });
        until("the object is being made", || {
            world.provider.made.load(Ordering::SeqCst) == 2
        })
        .await;
        let because = OperatorAction {
            operator: ApiKeyId::from_bits(77),
            reason: None,
        };
        let frozen = ControlEvent::MerchantFrozen(merchant(), because);
        platform.ledger().record_control(frozen).await.unwrap();
        world.provider.making[1].open();
        assert_eq!(asked.await.unwrap().unwrap().answer, Answer::NoProvider);
        assert_eq!(charges(world, 0), (0, 0));
    });
}
