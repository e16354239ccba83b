//! A payment that cannot be brought back is set aside; nobody else notices, and it gets another chance.

use crate::audit::{is_final, shown};
use crate::operations::{Ask, ask, refund};
use crate::ports::lock;
use crate::provider::{Script, Scripted};
use crate::world::{World, answers, let_settle, live_payments, merchant, options, submit, submit_all, until};
use florin_actors::guardian::GuardianMail;
use florin_actors::kind::Kind;
use florin_actors::options::Options;
use florin_actors::payments_handle::RequestError;
use florin_domain::ids::PaymentId;
use florin_domain::payment::{Answer, Status};
use florin_domain::ports::OpsView;
use florin_supervisors::platform::Platform;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

fn one_guardian() -> World {
    World::with(
        4,
        Options {
            guardians: 1,
            ..options()
        },
        Scripted::new(false, true),
    )
}

async fn set_aside(platform: &Platform) -> Vec<String> {
    let tree = platform.ops(Box::new(String::new)).tree(100).await;
    let guardian = tree
        .children
        .into_iter()
        .find(|seat| seat.kind == "payment_guardian")
        .unwrap();
    guardian
        .children
        .into_iter()
        .filter(|node| node.kind == "payment_set_aside")
        .map(|node| node.key)
        .collect()
}

/// A payment whose outcome is unknown, and whose journal cannot be read from now on.
async fn poisoned(world: &World, platform: &Platform) -> PaymentId {
    world.script(0, Script::Mute { charged: true });
    let first = submit(&platform.payments(), 0).await.unwrap();
    assert_eq!(first.answer, Answer::Unresolved);
    until("it has left memory", || live_payments(platform) == 0).await;
    lock(&world.faults.poisoned).insert(first.payment.id());
    first.payment.id()
}

#[test]
fn a_payment_that_cannot_be_read_is_set_aside_while_its_siblings_are_answered() {
    one_guardian().life(async |world, platform| {
        let id = poisoned(world, &platform).await;
        let (asked, payments) = (Instant::now(), platform.payments());
        let siblings = answers(submit_all(&payments, 1..30));
        let (waiter, siblings) = tokio::join!(submit(&payments, 0), siblings);
        let waiter = waiter.unwrap();
        assert_eq!((waiter.payment.id(), waiter.answer), (id, Answer::Unresolved));
        assert!(asked.elapsed() <= platform.context().options.answer_budget + Duration::from_millis(200));
        assert!(
            siblings.iter().all(|(_, answer)| is_final(answer)),
            "{siblings:?}"
        );
        assert_eq!(set_aside(&platform).await, [id.to_string()]);

        // Set aside, it is answered at once and shown to readers.
        let asked = Instant::now();
        assert_eq!(
            submit(&platform.payments(), 0).await.unwrap().answer,
            Answer::Unresolved
        );
        assert!(asked.elapsed() < Duration::from_secs(1));
        let row = platform
            .payments()
            .get((merchant(), false), id)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(row.payment.status, Status::Processing);
        assert!(
            platform
                .payments()
                .history(Some((merchant(), false)), id)
                .await
                .is_err()
        );
    });
}

#[test]
fn what_was_answered_for_good_is_not_answered_otherwise_while_it_cannot_be_read() {
    one_guardian().life(async |world, platform| {
        let payments = platform.payments();
        let first = submit(&payments, 0).await.unwrap();
        let (payment, change) = (first.payment.id(), refund(10));
        let refunded = ask(
            &payments,
            &Ask {
                key: 1,
                payment,
                change,
            },
        )
        .await
        .unwrap();
        assert_ne!(refunded.payment.refunded, first.payment.refunded);
        until("it has left memory", || live_payments(&platform) == 0).await;
        lock(&world.faults.poisoned).insert(payment);

        assert!(matches!(submit(&payments, 0).await, Err(RequestError::Lost)));
        assert_eq!(set_aside(&platform).await, [payment.to_string()]);
        assert!(matches!(submit(&payments, 0).await, Err(RequestError::Lost)));

        lock(&world.faults.poisoned).clear();
        let_settle().await;
        let again = submit(&payments, 0).await.unwrap();
        assert!(again.replayed);
        assert_eq!(again.payment, first.payment);
    });
}

#[test]
fn a_payment_set_aside_is_resolved_by_itself_once_it_can_be_read_again() {
    one_guardian().life(async |world, platform| {
        let id = poisoned(world, &platform).await;
        submit(&platform.payments(), 0).await.unwrap();
        assert_eq!(set_aside(&platform).await, [id.to_string()]);
        lock(&world.faults.poisoned).clear();
        world.provider.tell_the_truth();
        let_settle().await;
        let_settle().await;
        assert_eq!(world.check_always().payments[&id].status, Status::Succeeded);
        world.check_at_rest(&platform).await;
    });
}

#[test]
fn a_payment_that_cannot_be_read_while_the_projection_is_down_is_not_blamed_for_it() {
    one_guardian().life(async |world, platform| {
        let (payments, context) = (platform.payments(), platform.context());
        let made = submit(&payments, 0).await.unwrap();
        let payment = made.payment.id();
        let restarts = |kind| context.figures.kind(kind).restarts.load(Ordering::SeqCst);
        for key in 0..8 {
            until("it has left memory", || live_payments(&platform) == 0).await;
            let before = restarts(Kind::Projection);
            context.projection.actor().unwrap().kill();
            until("the projection is down", || restarts(Kind::Projection) > before).await;
            let change = refund(10);
            let answer = ask(&payments, &Ask { key, payment, change }).await;
            assert_eq!(answer.unwrap().answer, Answer::Shown, "{key}");
        }
        assert_eq!(restarts(Kind::Payment), 0);
        assert!(set_aside(&platform).await.is_empty());
        world.check_operations_at_rest(&platform).await;
    });
}

#[test]
fn a_payment_killed_between_charge_and_commit_comes_back_and_answers_whoever_waits() {
    one_guardian().life(async |world, platform| {
        world.script(0, Script::Held);
        world.provider.latch.close();
        let asked = submit_all(&platform.payments(), 0..1);
        until("it is stored", || world.truth().payment(0).is_some()).await;
        let id = world.truth().payment(0).unwrap().id();
        let (reply, killed) = oneshot::channel();
        platform
            .context()
            .guardian(id)
            .step(GuardianMail::Kill { payment: id, reply });
        assert!(killed.await.unwrap());
        world.provider.latch.open();
        let answers = answers(asked).await;
        world.check_replies(&answers);
        assert_eq!(answers[0].1.as_ref().unwrap().answer, Answer::Shown);
        let resolved = world.resolve_all(&platform, &answers).await;
        assert_eq!(shown(&resolved[&0]).1, Answer::Shown);
        world.check_at_rest(&platform).await;
    });
}

#[test]
fn a_payment_killed_while_its_first_commit_is_under_way_is_not_said_to_be_missing() {
    one_guardian().life(async |world, platform| {
        let context = platform.context();
        world.faults.appends.close();
        let asked = submit_all(&platform.payments(), 0..1);
        until("its payment lives", || live_payments(&platform) == 1).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        let (reply, live) = oneshot::channel();
        context.guardians[0].step(GuardianMail::Live { limit: 1, reply });
        let payment = live.await.unwrap()[0].payment;
        let (reply, killed) = oneshot::channel();
        context.guardians[0].step(GuardianMail::Kill { payment, reply });
        assert!(killed.await.unwrap());
        tokio::time::sleep(Duration::from_secs(1)).await;
        world.faults.appends.open();
        let answers = answers(asked).await;
        world.check_replies(&answers);
        world.check_not_stored(&answers);
        assert_eq!(answers[0].1.as_ref().unwrap().answer, Answer::Shown);
        world.check_at_rest(&platform).await;
    });
}
