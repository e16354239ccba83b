//! A payment leaves memory at any moment, also while its guardian hands it what has waited for it.

use crate::operations::{Ask, ask, ask_all, capture, is_refused, payment_of, replies};
use crate::provider::Scripted;
use crate::world::{World, patient, until};
use florin_actors::context::Step;
use florin_actors::payments_handle::Change;
use florin_domain::payment::CaptureMethod;
use std::sync::Arc;

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
