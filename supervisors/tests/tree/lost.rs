//! What is lost on its way to a payment, and whoever waits for it: they are told, and the key works the next time.

use crate::operations::{Ask, ask, ask_all, confirm, payment_of, refund, replies};
use crate::provider::{Script, Scripted};
use crate::world::{World, answers, let_settle, live_payments, options, patient, submit, submit_all, until};
use florin_actors::context::Step;
use florin_actors::guardian::GuardianMail;
use florin_actors::idempotency::IdempotencyMail;
use florin_actors::mailbox::Envelope;
use florin_actors::options::Options;
use florin_actors::payment::NotStored;
use florin_actors::payments_handle::RequestError;
use florin_domain::payment::{Answer, CaptureMethod, Status};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Stands in for a guardian, and does nothing of what it is told.
struct Deaf;

impl Actor for Deaf {
    type Msg = Envelope<GuardianMail>;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _myself: ActorRef<Self::Msg>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}

fn one_guardian(seed: u64) -> World {
    let options = Options {
        guardians: 1,
        ..options()
    };
    World::with(seed, options, Scripted::new(false, true))
}

#[test]
fn a_key_whose_request_was_lost_is_asked_about_when_it_comes_again_after_the_budget() {
    one_guardian(81).life(async |world, platform| {
        let (payments, context) = (platform.payments(), platform.context());
        assert_eq!(submit(&payments, 1).await.unwrap().answer, Answer::Shown);
        let guardian = context.guardians[0].actor().unwrap();
        let (deaf, _) = Actor::spawn(None, Deaf, ()).await.unwrap();
        context.guardians[0].attach(deaf);
        assert_eq!(submit(&payments, 0).await.unwrap_err(), RequestError::Lost);
        context.guardians[0].attach(guardian.as_ref().clone());
        let began = Instant::now();
        let again = submit(&payments, 0).await.unwrap_err();
        assert_eq!(again, RequestError::NotStored(NotStored::Failed));
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        assert_eq!(submit(&payments, 0).await.unwrap().answer, Answer::Shown);
        world.check_at_rest(&platform).await;
    });
}

#[test]
fn a_late_word_that_a_request_is_unknown_is_not_taken_for_the_request_that_came_after_it() {
    let world = World::with(82, patient(), Scripted::new(false, false));
    world.busy_life(async |world, platform| {
        let (payments, probe) = (platform.payments(), Arc::clone(&world.probe));
        let context = Arc::clone(platform.context());
        world.script(0, Script::DeclineFirst);
        let declined = payments
            .create(payment_of(0, 1_000, CaptureMethod::Automatic))
            .await
            .unwrap();
        assert_eq!(declined.answer, Answer::Declined);
        let payment = declined.payment.id();
        let flag = || Arc::new(AtomicBool::new(true));
        let (submitting, asking) = (flag(), flag());

        // It is asked about the first request because somebody believes that it was restarted; the question takes its time.
        let (submitted, forwarded) = (
            probe.reached_so_far(Step::KeySubmitted),
            probe.reached_so_far(Step::GuardianForwarding),
        );
        let holds = Arc::clone(&submitting);
        probe.hold(Step::KeySubmitted, move || holds.load(Ordering::SeqCst));
        let (holds, seen) = (Arc::clone(&asking), Arc::clone(&probe));
        probe.hold(Step::GuardianForwarding, move || {
            seen.reached_so_far(Step::GuardianForwarding) >= forwarded + 2 && holds.load(Ordering::SeqCst)
        });
        context.providers[0].disabled.store(true, Ordering::SeqCst);
        let confirms = Ask {
            key: 0,
            payment,
            change: confirm(),
        };
        let first = ask_all(&payments, std::slice::from_ref(&confirms));
        until("it is submitted", || {
            probe.reached_so_far(Step::KeySubmitted) > submitted
        })
        .await;
        context
            .idempotency
            .step(IdempotencyMail::PaymentRestarted(payment));
        submitting.store(false, Ordering::SeqCst);
        for (_, answer) in replies(first).await {
            assert_eq!(
                answer.unwrap_err(),
                RequestError::NotStored(NotStored::NoProvider)
            );
        }
        until("the question is on its way", || {
            probe.reached_so_far(Step::GuardianForwarding) == forwarded + 2
        })
        .await;

        // Meanwhile the request comes again, and waits behind the question.
        context.providers[0].disabled.store(false, Ordering::SeqCst);
        let second = ask_all(&payments, &[confirms]);
        until("it waits behind the question", || {
            context.guardian(payment).gate().depth() == 2
        })
        .await;
        asking.store(false, Ordering::SeqCst);
        for (_, answer) in replies(second).await {
            assert_eq!(answer.map(|shown| shown.answer), Ok(Answer::Shown));
        }
        world.check_operations_at_rest(&platform).await;
    });
}

#[test]
fn whoever_waits_for_a_payment_that_cannot_be_started_is_told_at_once_and_succeeds_later() {
    one_guardian(83).life(async |world, platform| {
        let (payments, probe, began) = (platform.payments(), &world.probe, Instant::now());
        probe.arm(Step::PaymentStarting, 1);
        for (_, lost) in answers(submit_all(&payments, [0, 0])).await {
            assert_eq!(lost.unwrap_err(), RequestError::Lost);
        }
        assert_eq!(probe.fired(), 1);
        let made = submit(&payments, 0).await.unwrap();
        assert_eq!(made.answer, Answer::Shown);

        let payment = made.payment.id();
        until("it has left memory", || live_payments(&platform) == 0).await;
        probe.arm(Step::PaymentStarting, 1);
        let refunds = Ask {
            key: 0,
            payment,
            change: refund(100),
        };
        assert_eq!(ask(&payments, &refunds).await.unwrap_err(), RequestError::Lost);
        assert_eq!(probe.fired(), 1);
        let refunded = ask(&payments, &refunds).await;
        assert_eq!(refunded.unwrap().answer, Answer::Shown);

        // Asked about the payment's own key, it is shown as it is stored.
        until("it has left memory", || live_payments(&platform) == 0).await;
        probe.arm(Step::PaymentStarting, 1);
        assert_eq!(submit(&payments, 0).await.unwrap().answer, Answer::Shown);
        assert_eq!(probe.fired(), 1);
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        world.check_operations_at_rest(&platform).await;
    });
}

#[test]
fn an_unresolved_payment_that_cannot_be_started_is_asked_about_later() {
    one_guardian(84).life(async |world, platform| {
        world.script(0, Script::Mute { charged: true });
        let first = submit(&platform.payments(), 0).await.unwrap();
        assert_eq!(first.answer, Answer::Unresolved);
        until("it has left memory", || live_payments(&platform) == 0).await;
        world.probe.arm(Step::PaymentStarting, 1);
        world.provider.tell_the_truth();
        until("it could not be started", || world.probe.fired() == 1).await;
        let_settle().await;
        let_settle().await;
        let truth = world.check_always();
        assert_eq!(truth.payments[&first.payment.id()].status, Status::Succeeded);
        world.check_at_rest(&platform).await;
    });
}
