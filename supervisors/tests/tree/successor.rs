//! A key owner that failed has a successor, and what others still have to say to the one that failed proves nothing to it.

use crate::provider::Scripted;
use crate::world::{World, amount_minor, answers, key_digest, patient, request, submit, submit_all, until};
use florin_actors::context::{Context, Step};
use florin_actors::guardian::GuardianMail;
use florin_actors::idempotency::IdempotencyMail;
use florin_actors::kind::Kind;
use florin_actors::payments_handle::RequestError;
use florin_domain::ids::PaymentId;
use florin_domain::payment::Answer;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::oneshot;

/// Holds whoever reaches `step` until the flag falls.
fn hold(world: &World, step: Step) -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(true));
    let holds = Arc::clone(&flag);
    world.probe.hold(step, move || holds.load(Ordering::SeqCst));
    flag
}

/// Kills the owner for the `nth` time, and waits for the next one.
async fn replace_owner(context: &Context, nth: u64) {
    context.idempotency.actor().unwrap().kill();
    let stats = context.figures.kind(Kind::Idempotency);
    until("the owner is back", || {
        stats.restarts.load(Ordering::SeqCst) == nth && stats.live.load(Ordering::SeqCst) == 1
    })
    .await;
}

/// The payment in memory of request `n`.
async fn live_payment(context: &Context, n: usize) -> PaymentId {
    let mut found = None;
    for guardian in &context.guardians {
        let (reply, waits) = oneshot::channel();
        guardian.step(GuardianMail::Live { limit: 100, reply });
        let of_key = waits.await.unwrap().into_iter();
        let mut of_key = of_key.filter(|live| live.key.is_some_and(|(key, _)| key == key_digest(n)));
        found = found.or_else(|| of_key.next().map(|live| live.payment));
    }
    found.unwrap()
}

/// Has the guardian of `payment` stand still until the flag falls.
async fn silence(world: &World, context: &Context, payment: PaymentId) -> Arc<AtomicBool> {
    let flag = hold(world, Step::GuardianForwarding);
    let before = world.probe.reached_so_far(Step::GuardianForwarding);
    // Another one of its payments, which does not exist.
    let other = PaymentId::from_bits(payment.bits() ^ (1 << 100));
    let resume = GuardianMail::Resume {
        payment: other,
        closes: false,
    };
    context.guardian(payment).step(resume);
    until("its guardian is silent", || {
        world.probe.reached_so_far(Step::GuardianForwarding) > before
    })
    .await;
    flag
}

#[test]
fn an_owner_is_not_settled_by_what_its_predecessor_waited_for() {
    let world = World::with(71, patient(), Scripted::new(false, false));
    world.busy_life(async |world, platform| {
        let context = Arc::clone(platform.context());
        let (payments, probe) = (platform.payments(), Arc::clone(&world.probe));
        submit(&payments, 9).await.unwrap();
        world.faults.appends.close();
        let queued = probe.reached_so_far(Step::WriterQueued);
        let first = submit_all(&payments, [0]);
        until("one waits for the journal", || {
            probe.reached_so_far(Step::WriterQueued) > queued
        })
        .await;
        let begun = probe.reached_so_far(Step::PaymentBegun);
        let beginning = hold(world, Step::PaymentBegun);
        let second = submit_all(&payments, [1]);
        until("another begins", || {
            probe.reached_so_far(Step::PaymentBegun) > begun
        })
        .await;

        // The next owner hears of both keys, and waits for the commit that is on its way.
        context.keys_held.store(0, Ordering::SeqCst);
        replace_owner(&context, 1).await;
        until("both keys are listed", || {
            context.keys_held.load(Ordering::SeqCst) == 2
        })
        .await;
        let payment = live_payment(&context, 1).await;
        let failed = context.idempotency.actor().unwrap().get_id();
        let silent = silence(world, &context, payment).await;
        replace_owner(&context, 2).await;

        // What that one waited for comes when its successor has not heard of the second key yet.
        world.faults.appends.open();
        until("the first is durable", || world.truth().payment(0).is_some()).await;
        platform.ledger().trial_balance().await.unwrap();
        context.idempotency.step(IdempotencyMail::Settled(failed));
        let again = submit_all(&payments, [1]);
        until("the key is sent again", || context.admission.in_flight() == 1).await;
        until("it has come", || context.idempotency.gate().depth() == 0).await;
        silent.store(false, Ordering::SeqCst);
        beginning.store(false, Ordering::SeqCst);
        for (n, lost) in answers(first).await.into_iter().chain(answers(second).await) {
            assert_eq!(lost.unwrap_err(), RequestError::Lost, "{n}");
        }
        for (_, answer) in answers(again).await {
            assert_eq!(answer.unwrap().payment.id(), payment);
        }
        let charges = world.provider.charges_of_amount(amount_minor(1));
        assert_eq!(charges, 1, "under one key");
        world.check_at_rest(&platform).await;
    });
}

#[test]
fn an_owner_has_not_heard_a_guardian_that_answered_its_predecessor() {
    let world = World::with(72, patient(), Scripted::new(false, false));
    world.busy_life(async |world, platform| {
        let context = Arc::clone(platform.context());
        let (payments, probe) = (platform.payments(), Arc::clone(&world.probe));
        let beginning = hold(world, Step::PaymentBegun);
        let first = submit_all(&payments, [1]);
        until("it begins", || probe.reached_so_far(Step::PaymentBegun) == 1).await;
        let payment = live_payment(&context, 1).await;
        let failed = context.idempotency.actor().unwrap().get_id();
        let silent = silence(world, &context, payment).await;
        replace_owner(&context, 1).await;

        // Said before the payment began; since then another key has been answered, and is free.
        let (stale, index) = (request(2), context.guardian_index(payment));
        context.idempotency.step(IdempotencyMail::LiveKeys {
            owner: failed,
            index,
            keys: vec![(stale.key_digest, stale.fingerprint, payment)],
        });
        let again = submit_all(&payments, [1, 2]);
        until("both keys are sent", || context.admission.in_flight() == 2).await;
        until("they have come", || context.idempotency.gate().depth() == 0).await;
        silent.store(false, Ordering::SeqCst);
        beginning.store(false, Ordering::SeqCst);
        for (_, lost) in answers(first).await {
            assert_eq!(lost.unwrap_err(), RequestError::Lost);
        }
        for (n, answer) in answers(again).await {
            let answer = answer.unwrap();
            assert_eq!(answer.answer, Answer::Shown);
            assert_eq!(answer.payment.id() == payment, n == 1, "{n}");
            assert_eq!(world.provider.charges_of_amount(amount_minor(n)), 1, "{n}");
        }
        world.check_at_rest(&platform).await;
    });
}
