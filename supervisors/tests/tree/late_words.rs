//! Words about objects that are closed by then, or that come while a payment is read: none is taken for news, and none costs a question.

use crate::notices::mute;
use crate::objects::{released, reserved};
use crate::operations::{Ask, ask, ask_all, confirm, payment_of, replies};
use crate::provider::{Script, Scripted};
use crate::world::{World, amount_minor, let_settle, live_payments, options, until};
use florin_actors::context::Step;
use florin_actors::options::Options;
use florin_actors::payments_handle::{Change, PaymentsHandle};
use florin_domain::ids::PaymentId;
use florin_domain::limits::Lifetimes;
use florin_domain::payment::{AttemptState, CaptureMethod, Status};
use florin_domain::provider::Said;
use florin_domain::time::Millis;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// One whose objects have names before they charge, and whose challenges last ten minutes.
fn world(seed: u64) -> World {
    let lifetimes = Lifetimes {
        challenge: Millis::from_s(600),
        ..Lifetimes::STANDARD
    };
    let hasty = Options {
        lifetimes,
        ..options()
    };
    World::with(seed, hasty, Scripted::new(true, false))
}

/// A hold whose customer is challenged.
async fn challenged(world: &World, payments: &PaymentsHandle, script: Script) -> PaymentId {
    world.script(0, script);
    let made = payments
        .create(payment_of(0, amount_minor(0), CaptureMethod::Manual))
        .await
        .unwrap();
    assert!(matches!(made.payment.status, Status::RequiresAction(_)));
    made.payment.id()
}

/// Closed, by an event of a version that names no transaction.
const CLOSED: Said = Said::Released {
    transaction: None,
    released_minor: 1_000,
    taken_minor: 0,
    is_closed: true,
};

/// Nothing moved that nobody asked for, and nothing is given back.
#[track_caller]
fn assert_nothing_is_late(world: &World, id: PaymentId, operations: usize) {
    let payment = world.payment(id);
    let late: usize = payment.operations.iter().map(|op| op.late.len()).sum();
    assert_eq!(
        (late, payment.late_minor, payment.operations.len()),
        (0, 0, operations),
        "{payment:?}"
    );
}

#[test]
fn an_old_hold_of_a_challenge_that_is_over_is_no_late_charge_whatever_was_tried_since() {
    // Over by an event, or by what was found out by asking.
    for is_told in [true, false] {
        world(770).life(async |world, platform| {
            let payments = platform.payments();
            let id = challenged(world, &payments, Script::Challenge).await;
            let closed = world.of_charge(id, CLOSED);
            let hold = world.of_charge(id, reserved("ch_1", 1_000));
            if is_told {
                assert!(payments.notice(closed.clone()).await.unwrap());
            } else {
                world.clock.advance_s(601);
                until("it is closed", || world.payment(id).status == Status::Failed).await;
            }
            assert_eq!(world.payment(id).status, Status::Failed);
            assert!(payments.notice(hold.clone()).await.unwrap());
            assert_nothing_is_late(world, id, 1);

            world.script(0, Script::Succeed);
            let again = Ask {
                key: 1,
                payment: id,
                change: confirm(),
            };
            ask(&payments, &again).await.unwrap();
            assert_eq!(world.payment(id).status, Status::Authorized);
            for old in [hold, closed] {
                assert!(payments.notice(old).await.unwrap());
                assert_nothing_is_late(world, id, 1);
            }
            assert_eq!(world.payment(id).status, Status::Authorized);
        });
    }
}

#[test]
fn an_answer_that_is_older_than_the_closing_of_a_challenge_is_no_late_charge() {
    world(771).life(async |world, platform| {
        let payments = platform.payments();
        let id = challenged(world, &payments, Script::PassedTooLate).await;
        let charge = world.payment(id).authorize_id();
        world.provider.latch.close();
        world.provider.takes_ms.store(1_000, Ordering::SeqCst);
        world.clock.advance_s(601);
        until("it is being closed", || world.attempt_of(charge).is_closing()).await;
        let brought = Ask {
            key: 1,
            payment: id,
            change: Change::Complete { details: None },
        };
        let brought = ask_all(&payments, &[brought]);
        until("it is closed", || world.payment(id).status == Status::Failed).await;
        assert_eq!(world.provider.requests(charge), 3);
        world.provider.latch.open();
        assert_eq!(replies(brought).await.len(), 1);
        let_settle().await;
        assert_eq!(world.provider.requests(charge), 4);
        assert_nothing_is_late(world, id, 1);
        assert_eq!(world.payment(id).status, Status::Failed);
    });
}

#[test]
fn a_void_that_an_event_ends_without_a_transaction_is_not_done_a_second_time_by_its_answer() {
    // Of a hold, and of a challenge, which has no transaction at all.
    for is_held in [true, false] {
        world(772).life(async |world, platform| {
            let payments = platform.payments();
            let id = if is_held {
                let hold = payment_of(0, amount_minor(0), CaptureMethod::Manual);
                payments.create(hold).await.unwrap().payment.id()
            } else {
                challenged(world, &payments, Script::Challenge).await
            };
            world.script(0, Script::Held);
            world.provider.latch.close();
            let void = Ask {
                key: 1,
                payment: id,
                change: Change::Void,
            };
            let asked = ask_all(&payments, &[void]);
            until("it is asked for", || world.provider.executes(id) == 2).await;
            let closed = world.of_charge(id, CLOSED);
            assert!(payments.notice(closed.clone()).await.unwrap());
            assert_eq!(world.payment(id).status == Status::Voided, is_held);
            world.provider.latch.open();
            replies(asked).await[0].1.as_ref().unwrap();
            let_settle().await;
            assert!(payments.notice(closed).await.unwrap());
            assert_eq!(world.payment(id).status, Status::Voided);
            assert_nothing_is_late(world, id, 2);
        });
    }
}

#[test]
fn a_challenge_that_an_event_ends_keeps_the_name_of_its_object() {
    world(773).life(async |world, platform| {
        let payments = platform.payments();
        let id = challenged(world, &payments, Script::Challenge).await;
        let object = world.object(id);
        let hold = world.of_charge(id, reserved("ch_1", 1_000));
        let closed = world.of_charge(id, released(1_000, 0, true));
        assert!(payments.notice(closed.clone()).await.unwrap());
        let attempt = world.attempt_of(world.payment(id).authorize_id());
        assert_eq!(
            (
                attempt.state,
                attempt.reference,
                attempt.closing.closed.as_deref()
            ),
            (AttemptState::Declined, Some(object), Some("ch_1"))
        );
        for word in [hold, closed] {
            assert!(payments.notice(word).await.unwrap(), "it is about this attempt");
            assert_nothing_is_late(world, id, 1);
        }
    });
}

#[test]
fn a_word_that_comes_while_a_payment_is_read_costs_no_question_that_is_due() {
    world(774).life(async |world, platform| {
        let payments = platform.payments();
        let (id, charge) = mute(world, &payments, 0, CaptureMethod::Manual).await;
        until("it leaves memory", || live_payments(&platform) == 0).await;
        let started = world.probe.reached_so_far(Step::PaymentStarting);
        world.faults.singles.close();
        until("a question is due", || {
            world.probe.reached_so_far(Step::PaymentStarting) > started
        })
        .await;
        let asked = world.provider.requests(charge);
        // It says nothing of the charge.
        let word = world.of_charge(id, released(600, 400, false));
        let told = tokio::spawn({
            let payments = payments.clone();
            async move { payments.notice(word).await.unwrap() }
        });
        tokio::time::sleep(Duration::from_millis(100)).await;
        world.faults.singles.open();
        assert!(told.await.unwrap());
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(world.provider.requests(charge) > asked);
    });
}
