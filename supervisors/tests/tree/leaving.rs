//! A payment leaves memory at any moment, also while its guardian hands it what has waited for it.

use crate::operations::{Ask, ask, ask_all, capture, is_refused, payment_of, refund, replies};
use crate::provider::Scripted;
use crate::world::{World, patient, until};
use florin_actors::context::Step;
use florin_actors::idempotency::IdempotencyMail;
use florin_actors::payments_handle::Change;
use florin_domain::payment::{Answer, CaptureMethod};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn what_waits_for_a_payment_that_leaves_again_and_again_is_answered_by_the_payment() {
    let world = World::with(61, patient(), Scripted::new(false, false));
    world.busy_life(async |world, platform| {
        let (payments, probe) = (platform.payments(), Arc::clone(&world.probe));
        let made = payments
            .create(payment_of(0, 1_000, CaptureMethod::Manual))
            .await
            .unwrap();
        let payment = made.payment.id();
        let asks = |key: usize, change: Change| Ask { key, payment, change };
        ask(&payments, &asks(0, Change::Void)).await.unwrap();
        until("it has left", || probe.reached_so_far(Step::PaymentLeaving) == 1).await;

        // It closes its mailbox and stays for a moment, so that two requests come too late for it.
        let (forwarded, context) = (
            probe.reached_so_far(Step::GuardianForwarding),
            Arc::clone(platform.context()),
        );
        let seen = Arc::clone(&probe);
        probe.hold(Step::PaymentLeaving, move || {
            seen.reached_so_far(Step::GuardianForwarding) < forwarded + 3
                || context.guardian(payment).gate().depth() > 0
        });
        // Its next incarnation is handed one of them, answers it and leaves before it is handed the other.
        let (handed, seen) = (probe.reached_so_far(Step::GuardianHanding), Arc::clone(&probe));
        probe.hold(Step::GuardianHanding, move || {
            seen.reached_so_far(Step::GuardianHanding) == handed + 3
                && seen.reached_so_far(Step::PaymentLeaving) < 3
        });

        let first = ask(&payments, &asks(1, capture(100, false))).await;
        assert!(is_refused(&first), "{first:?}");
        until("it leaves", || probe.reached_so_far(Step::PaymentLeaving) == 2).await;
        let both = [2, 3].map(|key| asks(key, capture(100, false)));
        for (ask, answer) in replies(ask_all(&payments, &both)).await {
            assert!(is_refused(&answer), "{ask:?} {answer:?}");
        }
        assert!(
            probe.reached_so_far(Step::GuardianHanding) > handed + 3,
            "one was handed over twice"
        );
        world.check_operations_at_rest(&platform).await;
    });
}

#[test]
fn a_question_about_a_request_does_not_overtake_the_request_that_a_leaving_payment_leaves_behind() {
    let world = World::with(62, patient(), Scripted::new(false, false));
    world.busy_life(async |world, platform| {
        let (payments, probe) = (platform.payments(), Arc::clone(&world.probe));
        let context = Arc::clone(platform.context());
        let made = payments
            .create(payment_of(0, 1_000, CaptureMethod::Automatic))
            .await
            .unwrap();
        let payment = made.payment.id();
        until("it has left", || probe.reached_so_far(Step::PaymentLeaving) == 1).await;
        let guardian_has_forwarded = |count: u64| {
            probe.reached_so_far(Step::GuardianForwarding) == count
                && context.guardian(payment).gate().depth() == 0
        };

        // It is about to answer one request, and leaves then, while another waits in its mailbox already.
        let (answering, leaving) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(true)));
        for (step, flag) in [
            (Step::PaymentAnswering, &answering),
            (Step::PaymentLeaving, &leaving),
        ] {
            let flag = Arc::clone(flag);
            probe.hold(step, move || flag.load(Ordering::SeqCst));
        }
        let (forwarded, answered) = (
            probe.reached_so_far(Step::GuardianForwarding),
            probe.reached_so_far(Step::PaymentAnswering),
        );
        let refunds = |key: usize| Ask {
            key,
            payment,
            change: refund(100),
        };
        let first = ask_all(&payments, &[refunds(0)]);
        until("it answers", || {
            probe.reached_so_far(Step::PaymentAnswering) > answered
        })
        .await;
        let second = ask_all(&payments, &[refunds(1)]);
        until("the other has come", || guardian_has_forwarded(forwarded + 2)).await;
        answering.store(false, Ordering::SeqCst);
        until("it leaves", || probe.reached_so_far(Step::PaymentLeaving) == 2).await;
        context
            .idempotency
            .step(IdempotencyMail::PaymentRestarted(payment));
        until("it is asked about the other", || {
            guardian_has_forwarded(forwarded + 3)
        })
        .await;
        leaving.store(false, Ordering::SeqCst);
        for (ask, answer) in replies(first).await.into_iter().chain(replies(second).await) {
            assert_eq!(answer.map(|shown| shown.answer), Ok(Answer::Shown), "{ask:?}");
        }
        world.check_operations_at_rest(&platform).await;
    });
}
