//! Messages that were meant for an earlier incarnation, and words about an earlier attempt: they drive nothing, end nothing and wipe no
//! doubts; only what a provider says to be there is believed.

use crate::provider::{Script, Scripted};
use crate::world::{World, amount_minor, let_settle, options, submit, until};
use florin_actors::kind::Kind;
use florin_actors::mailbox::Mailbox;
use florin_actors::options::Options;
use florin_actors::payment::{PaymentMail, Report};
use florin_actors::payments_handle::{Answered, RequestError};
use florin_actors::provider::{Ask, Away};
use florin_domain::breaker::BreakerPolicy;
use florin_domain::payment::{Answer, AttemptState, Payment, Status};
use florin_domain::provider::Outcome;
use florin_domain::routing::Bar;
use florin_domain::time::Millis;
use florin_supervisors::platform::Platform;
use ractor::{ActorId, ActorRef};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::JoinHandle;

fn two(seed: u64) -> World {
    let mut world = World::with(seed, options(), Scripted::new(false, false));
    world.backup = Some(Arc::new(Scripted::named("backup", false, false)));
    world
}

fn charges(world: &World) -> (usize, usize) {
    let backup = world.backup.as_ref().unwrap();
    (
        world.provider.charges_of_amount(amount_minor(0)),
        backup.charges_of_amount(amount_minor(0)),
    )
}

/// The address of the one payment in memory, its present incarnation, and one that there never was.
fn address(platform: &Platform) -> (Mailbox<PaymentMail>, ActorId, ActorId) {
    let context = platform.context();
    let guardians = context.guardians.iter().filter_map(Mailbox::actor);
    let mut children: Vec<_> = guardians.flat_map(|guardian| guardian.get_children()).collect();
    let child = children.pop().expect("a payment is in memory");
    assert!(children.is_empty(), "one payment is in memory");
    let mailbox = Mailbox::new(
        context.options.payment_caps,
        Arc::clone(context.figures.kind(Kind::Payment)),
    );
    let present = child.get_id();
    mailbox.attach(ActorRef::from(child));
    let other = context.idempotency.actor().unwrap().get_id();
    (mailbox, present, other)
}

/// Request 0, whose provider is asked and does not answer before its latch opens.
async fn held(world: &World, platform: &Platform) -> (Payment, JoinHandle<Result<Answered, RequestError>>) {
    world.script(0, Script::Held);
    world.provider.latch.close();
    let payments = platform.payments();
    let asked = tokio::spawn(async move { submit(&payments, 0).await });
    until("its provider is asked", || {
        world
            .truth()
            .payment(0)
            .is_some_and(|payment| world.provider.executes(payment.id()) == 1)
    })
    .await;
    (world.truth().payment(0).unwrap().clone(), asked)
}

fn not_sent() -> Outcome {
    Outcome::not_sent("connection refused")
}

fn turned_away() -> Report {
    Report::TurnedAway {
        ask: Ask::Execute,
        away: Away::BreakerOpen,
    }
}

fn executed(outcome: Outcome) -> Report {
    Report::Outcome {
        ask: Ask::Execute,
        outcome,
    }
}

#[test]
fn what_an_earlier_incarnation_was_to_be_told_neither_repeats_nor_ends_nor_moves_a_charge() {
    two(311).life(async |world, platform| {
        let (payment, asked) = held(world, &platform).await;
        let (mailbox, _, earlier) = address(&platform);
        let operation = payment.authorize_id();
        let number = 1;
        mailbox.step(PaymentMail::Retry {
            operation,
            number,
            asked_by: earlier,
        });
        for report in [
            executed(not_sent()),
            executed(Outcome::rejected("bad key")),
            executed(Outcome::declined(Arc::from("generic_decline"), None)),
            Report::Prepared(Err(not_sent())),
            turned_away(),
        ] {
            mailbox.step(PaymentMail::Reported {
                operation,
                number,
                asked_by: earlier,
                report,
            });
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(
            world.provider.executes(payment.id()),
            1,
            "its own request is under way"
        );
        assert_eq!(charges(world), (0, 0));
        assert!(
            !asked.is_finished(),
            "whoever waits is told nothing by what is stale"
        );
        world.provider.latch.open();
        let shown = asked.await.unwrap().unwrap();
        assert_eq!(
            (shown.answer, shown.payment.operations[0].attempts),
            (Answer::Shown, 1)
        );
        assert_eq!(charges(world), (1, 0));
        world.check_at_rest(&platform).await;
    });
}

#[test]
fn a_charge_that_an_earlier_incarnation_hears_of_is_believed() {
    World::with(312, options(), Scripted::new(false, false)).life(async |world, platform| {
        let (payment, asked) = held(world, &platform).await;
        let (mailbox, _, earlier) = address(&platform);
        let key = &payment.operations[0].attempt.as_ref().unwrap().key;
        mailbox.step(PaymentMail::Reported {
            operation: payment.authorize_id(),
            number: 1,
            asked_by: earlier,
            report: executed(Outcome::Succeeded {
                reference: Arc::from(format!("pi_{key}")),
                transaction: Arc::from(format!("ch_{key}")),
                amount_minor: amount_minor(0),
            }),
        });
        let shown = asked.await.unwrap().unwrap();
        assert_eq!(
            (shown.answer, &shown.payment.status),
            (Answer::Shown, &Status::Succeeded)
        );
        world.provider.latch.open();
        let_settle().await;
        let payment = world.check_always().payments[&payment.id()].clone();
        assert_eq!(payment.late_minor, 0, "its own answer says the same");
    });
}

/// The second attempt may have charged; a late word about the first one does not make that undone.
#[test]
fn a_word_about_an_earlier_attempt_leaves_the_doubts_about_the_present_one() {
    let words: [fn() -> Report; 3] = [
        || executed(not_sent()),
        || Report::Prepared(Ok(Arc::from("pi_late"))),
        || turned_away(),
    ];
    for word in words {
        World::with(313, options(), Scripted::new(false, false)).life(async |world, platform| {
            world.script(0, Script::NotSent { times: u32::MAX });
            let first = submit(&platform.payments(), 0).await.unwrap();
            assert_eq!(first.answer, Answer::NoProvider);
            world.script(0, Script::Mute { charged: true });
            let payments = platform.payments();
            let asked = tokio::spawn(async move { submit(&payments, 0).await });
            until("the second attempt charges", || {
                world.provider.charges_of_amount(amount_minor(0)) == 1
            })
            .await;
            // It is to be sent again in two seconds, and then it cannot be.
            world.script(0, Script::NotSent { times: u32::MAX });
            let (mailbox, present, _) = address(&platform);
            mailbox.step(PaymentMail::Reported {
                operation: first.payment.authorize_id(),
                number: 1,
                asked_by: present,
                report: word(),
            });
            let shown = asked.await.unwrap().unwrap();
            assert_eq!(shown.answer, Answer::Unresolved, "it may have charged");
            let attempt = shown.payment.operations[0].attempt.as_ref().unwrap();
            assert_eq!((attempt.number, attempt.state), (2, AttemptState::Unknown));
        });
    }
}

#[test]
fn a_call_that_an_earlier_incarnation_of_a_provider_let_through_opens_no_breaker() {
    let breaker = BreakerPolicy {
        failures_max: 1,
        ..BreakerPolicy::default()
    };
    let options = Options { breaker, ..options() };
    World::with(314, options, Scripted::new(true, false)).life(async |world, platform| {
        let context = Arc::clone(platform.context());
        let (seat, stats) = (&context.providers[0], context.figures.kind(Kind::Provider));
        // The making of its object fails once its latch is open.
        world.script(0, Script::PreparedTwice);
        world.provider.made.store(1, Ordering::SeqCst);
        world.provider.making[1].close();
        let payments = platform.payments();
        let asked = tokio::spawn(async move { submit(&payments, 0).await });
        until("the object is being made", || {
            world.provider.made.load(Ordering::SeqCst) == 2
        })
        .await;
        let killed = seat.mailbox.actor().unwrap();
        killed.kill();
        until("the provider's actor is back", || {
            let present = seat.mailbox.actor().map(|actor| actor.get_id());
            stats.restarts.load(Ordering::SeqCst) == 1 && present != Some(killed.get_id())
        })
        .await;
        world.script(0, Script::Succeed);
        world.provider.making[1].open();
        assert_eq!(asked.await.unwrap().unwrap().answer, Answer::Shown);
        assert_ne!(
            seat.entrant(None, context.ports.clock.now()).bar,
            Some(Bar::BreakerOpen)
        );
        assert_eq!(seat.in_flight.load(Ordering::SeqCst), 0, "its permit came back");
    });
}

#[test]
fn a_provider_that_asks_for_much_patience_is_left_at_once() {
    for (retry_after_s, expected) in [(3, (0, 1)), (3_600, (0, 1)), (1, (1, 0))] {
        two(315).life(async |world, platform| {
            world.script(
                0,
                Script::Limited {
                    times: 1,
                    retry_after_s,
                },
            );
            let asked = tokio::time::Instant::now();
            let shown = submit(&platform.payments(), 0).await.unwrap();
            assert_eq!(shown.answer, Answer::Shown);
            assert_eq!(charges(world), expected, "{retry_after_s}");
            if expected == (0, 1) {
                assert!(asked.elapsed() < Duration::from_secs(1), "nothing is waited for");
            }
            world.check_at_rest(&platform).await;
        });
    }
    // Nobody else is there: it is not waited for beyond the time in which the attempt may be repeated.
    World::with(316, options(), Scripted::new(false, false)).life(async |world, platform| {
        world.script(
            0,
            Script::Limited {
                times: 1,
                retry_after_s: 31 * 60,
            },
        );
        let asked = tokio::time::Instant::now();
        let shown = submit(&platform.payments(), 0).await.unwrap();
        assert_eq!(shown.answer, Answer::NoProvider);
        assert!(asked.elapsed() < Duration::from_secs(1));
        let again = submit(&platform.payments(), 0).await.unwrap();
        assert_eq!(again.answer, Answer::Shown);
        assert_eq!(platform.context().options.retry.timeout_wait, Millis::from_s(2));
    });
}
