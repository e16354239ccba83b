//! What an incarnation began reaches its successor: late answers of an earlier one must not be taken for its own, and what is not
//! yet durable when everybody who knew of it is gone must still be found.

use crate::provider::{Script, Scripted};
use crate::world::{World, answers, let_settle, merchant, options, submit, submit_all, until};
use florin_actors::account_shard::{Draft, ShardMail};
use florin_actors::kind::Kind;
use florin_actors::mailbox::Mailbox;
use florin_actors::options::Options;
use florin_domain::ids::PaymentId;
use florin_domain::ledger::consequences;
use florin_domain::payment::{Answer, Command, Status, decide, evolve_announcing};
use florin_domain::provider::Outcome;
use florin_supervisors::platform::Platform;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

fn restarts(platform: &Platform, kind: Kind) -> u64 {
    platform
        .context()
        .figures
        .kind(kind)
        .restarts
        .load(Ordering::SeqCst)
}

async fn kill_projection(platform: &Platform) {
    let (before, context) = (restarts(platform, Kind::Projection), platform.context());
    let killed = context.projection.actor().unwrap();
    killed.kill();
    until("the projection is back", || {
        restarts(platform, Kind::Projection) > before
            && context
                .projection
                .actor()
                .is_some_and(|actor| actor.get_id() != killed.get_id())
    })
    .await;
}

async fn status(platform: &Platform, id: PaymentId) -> Option<Status> {
    let row = platform.payments().get((merchant(), false), id).await.unwrap();
    row.map(|row| row.payment.status.clone())
}

#[test]
fn a_batch_of_an_earlier_projection_does_not_take_rows_from_the_tail() {
    World::new(11).life(async |world, platform| {
        let payments = platform.payments();
        world.views().gate();
        let a = submit(&payments, 1).await.unwrap().payment.id();
        tokio::time::sleep(Duration::from_millis(100)).await; // Its batch waits at the gate.
        world.faults.pages.close();
        kill_projection(&platform).await;
        let b = submit(&payments, 2).await.unwrap().payment.id();
        world.faults.pages.open();
        tokio::time::sleep(Duration::from_millis(100)).await; // The second batch, with both, waits behind the first.
        world.views().let_in(1);
        tokio::time::sleep(Duration::from_millis(100)).await;
        for id in [a, b] {
            assert_eq!(status(&platform, id).await, Some(Status::Succeeded), "{id}");
        }
        world.views().ungate();
        let_settle().await;
        assert_eq!(status(&platform, b).await, Some(Status::Succeeded));
    });
}

#[test]
fn what_an_earlier_projection_read_does_not_hide_what_happened_since() {
    World::new(12).life(async |world, platform| {
        world.script(1, Script::Held);
        world.provider.latch.close();
        let asked = submit_all(&platform.payments(), [1]);
        until("it is stored", || world.truth().payment(1).is_some()).await;
        let id = world.truth().payment(1).unwrap().id();
        world.views().gate();
        world.faults.pages.close();
        kill_projection(&platform).await;
        tokio::time::sleep(Duration::from_millis(20)).await; // It has read commit 1 and waits.
        world.provider.latch.open();
        for (_, task) in asked {
            assert_eq!(task.await.unwrap().unwrap().answer, Answer::Shown);
        }
        kill_projection(&platform).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        world.faults.pages.open();
        assert_eq!(status(&platform, id).await, Some(Status::Succeeded));
        world.views().ungate();
        let_settle().await;
        assert_eq!(status(&platform, id).await, Some(Status::Succeeded));
        assert_eq!(
            submit(&platform.payments(), 1).await.unwrap().answer,
            Answer::Shown
        );
        world.check_at_rest(&platform).await;
    });
}

#[test]
fn a_batch_that_lands_while_the_journal_is_read_back_is_not_folded_twice() {
    World::new(15).life(async |world, platform| {
        world.script(1, Script::Held);
        world.provider.latch.close();
        let asked = submit_all(&platform.payments(), [1]);
        until("it is stored", || world.truth().payment(1).is_some()).await;
        let id = world.truth().payment(1).unwrap().id();
        until("the view has the first commit", || {
            platform.context().lag.commits() == 0
        })
        .await;
        world.views().gate();
        world.provider.latch.open();
        for (_, task) in asked {
            assert_eq!(task.await.unwrap().unwrap().answer, Answer::Shown);
        }
        tokio::time::sleep(Duration::from_millis(100)).await; // The second commit's batch waits at the gate.
        world.faults.pages.close();
        kill_projection(&platform).await;
        tokio::time::sleep(Duration::from_millis(20)).await; // Its successor has read the watermark and the second commit.
        world.views().ungate();
        tokio::time::sleep(Duration::from_millis(20)).await;
        world.faults.pages.open();
        let_settle().await;
        assert_eq!(restarts(&platform, Kind::Projection), 1);
        assert_eq!(status(&platform, id).await, Some(Status::Succeeded));
        world.check_at_rest(&platform).await;
    });
}

#[test]
fn a_key_whose_commit_is_under_way_is_not_free_when_its_owner_and_its_guardian_die_together() {
    let world = World::with(
        13,
        Options {
            guardians: 1,
            ..options()
        },
        Scripted::new(false, true),
    );
    world.life(async |world, platform| {
        let context = platform.context();
        world.faults.appends.close();
        let asked = submit_all(&platform.payments(), [1]);
        until("its commit waits for the journal", || {
            context.admission.in_flight() == 1
        })
        .await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        context.guardians[0].actor().unwrap().kill();
        context.idempotency.actor().unwrap().kill();
        until("both are back", || {
            restarts(&platform, Kind::PaymentGuardian) == 1 && restarts(&platform, Kind::Idempotency) == 1
        })
        .await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let again = submit_all(&platform.payments(), [1]);
        tokio::time::sleep(Duration::from_secs(1)).await;
        world.faults.appends.open();
        world.check_replies(&answers(asked.into_iter().chain(again).collect()).await);
        let_settle().await;
        world.check_always();
        let resolved = world
            .resolve_all(&platform, &[(1, submit(&platform.payments(), 1).await)])
            .await;
        assert_eq!(resolved[&1].answer, Answer::Shown);
        world.check_at_rest(&platform).await;
    });
}

#[test]
fn requests_that_wait_for_a_restarted_key_owner_are_answered_within_the_budget() {
    let world = World::with(
        14,
        Options {
            guardians: 1,
            ..options()
        },
        Scripted::new(false, true),
    );
    world.life(async |world, platform| {
        let context = platform.context();
        world.faults.appends.close();
        let first = submit_all(&platform.payments(), [1]);
        until("its commit waits for the journal", || {
            context.admission.in_flight() == 1
        })
        .await;
        context.idempotency.actor().unwrap().kill();
        until("the owner is back", || {
            restarts(&platform, Kind::Idempotency) == 1
        })
        .await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        let held = submit_all(&platform.payments(), [1, 2, 3]);
        let budget = context.options.answer_budget + Duration::from_secs(1);
        for (n, task) in first.into_iter().chain(held) {
            let answer = tokio::time::timeout(budget, task)
                .await
                .expect("an answer in time")
                .unwrap();
            assert!(answer.is_err(), "{n}: {answer:?}");
        }
        world.faults.appends.open();
        let_settle().await;
        world.check_always();
    });
}

#[test]
fn a_payment_whose_commit_does_not_follow_its_last_one_reads_itself_again_and_answers() {
    World::new(16).life(async |world, platform| {
        let context = platform.context();
        world.script(1, Script::Held);
        world.provider.latch.close();
        let asked = submit_all(&platform.payments(), [1]);
        until("it is stored", || world.truth().payment(1).is_some()).await;
        let (truth, at) = (world.truth(), context.ports.clock.now());
        let before = truth.payment(1).unwrap();
        let unknown = Command::Record {
            operation: before.authorize_id(),
            number: 1,
            outcome: Outcome::Unknown {
                reason: Arc::from("somebody else asked"),
                reference: None,
            },
            next: None,
            reversal: None,
        };
        let decision = decide(Some(before), unknown, &context.options.lifetimes, at).unwrap();
        let (after, announced) = evolve_announcing(Some(before.clone()), &decision.events, at).unwrap();
        let after = after.unwrap();
        let consequences = consequences(Some(before), &decision.events, &after).unwrap();
        let draft = Draft {
            payment: before.id(),
            prev: truth.head,
            events: decision.events,
            consequences,
            after: Arc::new(after),
            announced,
            at,
            missed_behind: florin_domain::ids::Seq::ZERO,
        };
        let nobody = Mailbox::new(
            context.options.payment_caps,
            Arc::clone(context.figures.kind(Kind::Payment)),
        );
        let draft = Box::new(draft);
        context
            .account_shard
            .step(ShardMail::Commit { draft, reply: nobody });
        platform.ledger().trial_balance().await.unwrap();
        assert!(
            world.truth().head > truth.head,
            "it is durable, and the payment does not know it"
        );
        world.provider.latch.open();
        let answers = answers(asked).await;
        world.check_replies(&answers);
        assert_eq!(answers[0].1.as_ref().unwrap().answer, Answer::Shown);
        assert_eq!(restarts(&platform, Kind::Payment), 1);
        world.check_at_rest(&platform).await;
    });
}
