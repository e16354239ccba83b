//! A provider that cannot be asked and tells by itself: what is being closed is never sent again, what is said of it waits for the end of
//! the closing, and challenges that nobody ends are left to people.

use crate::notices::{mute, succeeded, taken_back};
use crate::operations::{Ask, ask, ask_all, payment_of, replies};
use crate::provider::{Script, Scripted, provider_id};
use crate::world::{World, amount_minor, let_settle, options, submit, until};
use florin_actors::options::Options;
use florin_actors::payments_handle::Change;
use florin_domain::breaker::BreakerPolicy;
use florin_domain::ids::{OperationId, PaymentId};
use florin_domain::limits::Lifetimes;
use florin_domain::payment::{AttemptState, CaptureMethod, Status};
use florin_domain::provider::{Outcome, Said};
use florin_domain::time::Millis;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const LIFETIME: Millis = Millis::from_s(3600);

fn telling(seed: u64, options: Options) -> World {
    World::with(seed, options, Scripted::new(false, false).telling(LIFETIME))
}

/// Minutes pass, for those who wait and on the clock.
async fn pass(world: &World, minutes: u64) {
    for _ in 0..minutes {
        world.clock.advance_s(60);
        tokio::time::sleep(Duration::from_mins(1)).await;
    }
}

/// The closing ended, of the charge that it names.
fn closed(transaction: &str, minor: i128) -> Said {
    let reference = Some(Arc::from(transaction));
    taken_back("psp_closing", minor, Some(Outcome::Cancelled { reference }))
}

/// A charge that was made, of which nothing usable was heard, and that is being closed.
async fn being_closed(
    world: &World,
    platform: &florin_supervisors::platform::Platform,
) -> (PaymentId, OperationId) {
    let (id, charge) = mute(world, &platform.payments(), 0, CaptureMethod::Automatic).await;
    // The schedule asks three times in vain, and then has it closed; each wait may be longer by half of it.
    tokio::time::sleep(Duration::from_mins(11)).await;
    assert!(world.attempt_of(charge).is_closing());
    (id, charge)
}

#[test]
fn what_is_being_closed_is_never_sent_again_by_no_incarnation() {
    let world = telling(80, options());
    let (charge, executes) = world.life(async |world, platform| {
        let (id, charge) = being_closed(world, &platform).await;
        let executes = world.provider.executes(id);
        tokio::time::sleep(Duration::from_mins(20)).await;
        assert_eq!(world.provider.executes(id), executes);
        ((id, charge), executes)
    });
    let (id, charge) = charge;
    world.life(async |world, _platform| {
        let before = world.provider.requests(charge);
        tokio::time::sleep(Duration::from_mins(20)).await;
        assert!(world.provider.requests(charge) > before, "it is closed once more");
        assert_eq!(world.provider.executes(id), executes);
        let attempt = world.attempt_of(charge);
        assert!(attempt.is_closing() && attempt.state == AttemptState::Unknown);
    });
}

#[test]
fn a_charge_and_its_closing_come_to_the_same_in_either_order_and_nothing_is_ever_in_suspense() {
    let minor = amount_minor(0);
    let made = || succeeded("psp_1", minor);
    let table = [
        (vec![made(), closed("psp_1", minor)], Status::RequiresConfirmation),
        (vec![closed("psp_1", minor), made()], Status::RequiresConfirmation),
        (vec![made(), Said::NotClosed, made()], Status::Succeeded),
        (vec![Said::NotClosed, made(), Said::NotClosed], Status::Succeeded),
    ];
    for (n, (words, ends)) in table.into_iter().enumerate() {
        telling(81, options()).life(async |world, platform| {
            let (id, charge) = being_closed(world, &platform).await;
            let first = world.said_of(id, charge, words[0].clone());
            assert!(platform.payments().notice(first).await.unwrap());
            assert_ne!(
                world.truth().payments[&id].status,
                Status::Succeeded,
                "{n}: not by one word"
            );
            for said in &words[1..] {
                let notice = world.said_of(id, charge, said.clone());
                assert!(platform.payments().notice(notice).await.unwrap());
            }
            let payment = world.truth().payments[&id].clone();
            let late: usize = payment.operations.iter().map(|op| op.late.len()).sum();
            assert_eq!((&payment.status, payment.late_minor, late), (&ends, 0, 0), "{n}");
            let_settle().await;
            crate::monitor::is_clean(&crate::monitor::run(&platform).await);
        });
    }
}

#[test]
fn a_challenge_that_nobody_ends_goes_to_people_and_is_asked_about_once_a_day() {
    let lifetimes = Lifetimes {
        challenge: Millis::from_s(600),
        ..Lifetimes::STANDARD
    };
    let hasty = Options {
        lifetimes,
        ..options()
    };
    telling(82, hasty).life(async |world, platform| {
        let payments = platform.payments();
        world.script(0, Script::Challenge);
        let made = payments
            .create(payment_of(0, amount_minor(0), CaptureMethod::Automatic))
            .await
            .unwrap();
        let (id, charge) = (made.payment.id(), made.payment.authorize_id());
        assert!(matches!(made.payment.status, Status::RequiresAction(_)));
        pass(world, 65).await;
        let attempt = world.attempt_of(charge);
        assert!(attempt.is_closing() && attempt.state == AttemptState::ActionRequired);
        let asked = world.provider.requests(charge);
        assert!(asked <= 40, "{asked} requests in an hour");

        pass(world, 10).await;
        assert!(world.attempt_of(charge).is_abandoned());
        let listed = payments.unresolved(None, 10).await.unwrap().unwrap();
        assert_eq!(listed.attempts.len(), 1);
        assert_eq!(
            (listed.attempts[0].0.payment.id(), listed.attempts[0].1),
            (id, charge)
        );
        let asked = world.provider.requests(charge);
        pass(world, 120).await;
        assert_eq!(
            world.provider.requests(charge),
            asked,
            "nobody asks before tomorrow"
        );
        // What the customer brings now is not charged: it was given up.
        let brought = Ask {
            key: 1,
            payment: id,
            change: Change::Complete {
                details: Some(Arc::from("brought")),
            },
        };
        assert!(ask(&payments, &brought).await.is_err());
        assert_eq!(world.provider.brought(), 0);

        // The offer is closed at last.
        let over = Said::Became(Outcome::Cancelled { reference: None });
        assert!(payments.notice(world.said_of(id, charge, over)).await.unwrap());
        assert_eq!(world.truth().payments[&id].status, Status::Failed);
    });
}

#[test]
fn what_a_customer_brings_back_waits_among_the_charges_and_passes_an_open_breaker() {
    let with_breaker = Options {
        breaker: BreakerPolicy::default(),
        ..options()
    };
    telling(83, with_breaker).life(async |world, platform| {
        let payments = platform.payments();
        world.script(10, Script::Challenge);
        let made = payments
            .create(payment_of(10, amount_minor(10), CaptureMethod::Automatic))
            .await
            .unwrap();
        let id = made.payment.id();
        for n in 1..6 {
            world.script(n, Script::NotSent { times: u32::MAX });
            drop(submit(&payments, n).await);
        }
        assert!(submit(&payments, 6).await.is_err(), "the breaker is open");
        let seat = platform.context().provider(provider_id()).cloned().unwrap();
        world.provider.latch.close();
        let brought = Ask {
            key: 1,
            payment: id,
            change: Change::Complete {
                details: Some(Arc::from("brought")),
            },
        };
        let asked = ask_all(&payments, std::slice::from_ref(&brought));
        until("it is under way", || seat.in_flight.load(Ordering::SeqCst) == 1).await;
        assert_eq!(seat.resolving.load(Ordering::SeqCst), 0, "it is no question");
        world.provider.latch.open();
        assert_eq!(replies(asked).await.len(), 1);
        assert_eq!(world.provider.brought(), 1);
        assert_eq!(world.truth().payments[&id].status, Status::Succeeded);
    });
}
