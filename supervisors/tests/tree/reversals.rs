//! A provider that charges what it says was not sent: the charge goes on elsewhere, and what arrives late is given back, whatever crashes.

use crate::crash::{kind_of, of_payments, options_for};
use crate::provider::{Script, Scripted, provider_id};
use crate::world::{World, all_cases, amount_minor, let_settle, options, submit};
use florin_actors::context::Step;
use florin_actors::options::Options;
use florin_domain::ids::{OperationId, PaymentId};
use florin_domain::money::Currency;
use florin_domain::payment::{Answer, AttemptState, Operation, OperationKind, Payment, Status};
use florin_domain::provider::{Named, Notice, Outcome, Said, Signer};
use florin_supervisors::platform::Platform;
use std::sync::Arc;
use std::time::Duration;

/// The first provider lies about payment 0; the second one takes what goes on.
pub(crate) fn lying(seed: u64, options: Options, deaf: u32) -> World {
    let mut world = World::with(seed, options, Scripted::new(false, false));
    world.backup = Some(Arc::new(Scripted::named("backup", false, false)));
    world.script(0, Script::Lies { deaf });
    world
}

/// Paid at the backup, and charged at the liar as well.
pub(crate) async fn paid_twice(world: &World, platform: &Platform) -> PaymentId {
    let shown = submit(&platform.payments(), 0).await.unwrap();
    assert_eq!(
        (shown.answer, &shown.payment.status),
        (Answer::Shown, &Status::Succeeded)
    );
    let taken = [&world.provider, world.backup.as_ref().unwrap()].map(|provider| provider.sum_minor());
    assert_eq!(taken, [amount_minor(0); 2]);
    shown.payment.id()
}

/// What the liar says in the end of the attempt that it closed.
fn truth_of(payment: &Payment) -> Notice {
    let key = &payment.operations[0].attempt_numbered(1).unwrap().key;
    Notice {
        signer: Signer::Platform,
        provider: provider_id(),
        payment: payment.id(),
        operation: payment.authorize_id(),
        attempt: Named::KeyEnd(Arc::clone(key)),
        currency: Currency::USD,
        said: Said::Became(Outcome::Succeeded {
            reference: Arc::from(format!("pi_{key}")),
            transaction: Arc::from(format!("ch_{key}")),
            amount_minor: amount_minor(0),
        }),
    }
}

/// Told as providers do: until it is taken.
pub(crate) async fn tell(world: &World, platform: &Platform, id: PaymentId) {
    let notice = truth_of(&world.truth().payments[&id]);
    for _ in 0..20 {
        if platform
            .payments()
            .notice(notice.clone())
            .await
            .is_ok_and(|taken| taken)
        {
            return;
        }
        tokio::time::sleep(Duration::from_secs(20)).await;
    }
    panic!("the notice is never taken");
}

pub(crate) fn reversals(payment: &Payment) -> Vec<&Operation> {
    let reversals = payment.operations.iter();
    reversals
        .filter(|op| op.kind == OperationKind::Reversal)
        .collect()
}

/// The customer has paid once, at the backup; nothing is in suspense, and both providers owe what they took.
async fn check_paid_once(world: &World, platform: &Platform, id: PaymentId) {
    let payment = world.truth().payments[&id].clone();
    let ends: Vec<_> = reversals(&payment).iter().map(|op| op.state()).collect();
    assert_eq!(ends, [Some(AttemptState::Succeeded)], "{payment:?}");
    assert_eq!(
        (
            &payment.status,
            payment.late_minor,
            payment.captured.minor(),
            payment.refunded.minor()
        ),
        (&Status::Succeeded, 0, amount_minor(0), 0)
    );
    assert_eq!(world.provider.sum_minor(), 0);
    assert_eq!(world.backup.as_ref().unwrap().sum_minor(), amount_minor(0));
    world.check_at_rest(platform).await;
    crate::monitor::is_clean(&crate::monitor::run(platform).await);
}

#[test]
fn a_charge_that_turns_up_after_it_went_on_elsewhere_is_given_back() {
    let world = lying(81, options(), 0);
    let id = world.life(async |world, platform| {
        let id = paid_twice(world, &platform).await;
        tell(world, &platform, id).await;
        let payment = world.truth().payments[&id].clone();
        assert_eq!(
            reversals(&payment).len(),
            1,
            "it is planned when the notice is taken"
        );
        let_settle().await;
        // Told again, it is given back once.
        tell(world, &platform, id).await;
        let_settle().await;
        check_paid_once(world, &platform, id).await;
        id
    });
    world.lose_indexes();
    world.life(async |world, platform| {
        tell(world, &platform, id).await;
        let_settle().await;
        check_paid_once(world, &platform, id).await;
    });
}

#[test]
fn a_process_that_is_killed_when_the_notice_is_taken_gives_it_back_in_its_next_life() {
    let world = lying(82, options(), 0);
    let id = world.life(async |world, platform| {
        let id = paid_twice(world, &platform).await;
        tell(world, &platform, id).await;
        id
    });
    world.life(async |world, platform| {
        let_settle().await;
        check_paid_once(world, &platform, id).await;
    });
}

#[test]
fn a_provider_that_cannot_be_reached_is_asked_until_it_has_given_it_back() {
    lying(83, options(), 8).life(async |world, platform| {
        let id = paid_twice(world, &platform).await;
        tell(world, &platform, id).await;
        let_settle().await;
        let payment = world.truth().payments[&id].clone();
        assert_eq!(reversals(&payment)[0].state(), Some(AttemptState::Unknown));
        assert_eq!(payment.late_minor, amount_minor(0));
        let listed = platform.payments().unresolved(None, 10).await.unwrap().unwrap();
        let operations: Vec<OperationId> = listed.attempts.iter().map(|(_, operation)| *operation).collect();
        assert_eq!(operations, [reversals(&payment)[0].id], "operators see it");
        // Long after a charge would have been given up.
        world.clock.advance_s(3600);
        tokio::time::sleep(Duration::from_hours(2)).await;
        check_paid_once(world, &platform, id).await;
    });
}

#[test]
fn whoever_crashes_while_a_charge_is_given_back_it_is_given_back_once() {
    let must_fire = [
        Step::PaymentStarting,
        Step::PaymentLoaded,
        Step::PaymentCommitting,
        Step::PaymentCommitted,
        Step::PaymentCalling,
        Step::PaymentReported,
        Step::PaymentLeaving,
        Step::ProviderQueued,
        Step::ProviderFinished,
    ];
    for nth in [1, 2] {
        all_cases(
            of_payments().filter(|step| kind_of(*step).is_restartable()),
            |&step| {
                let world = lying(84 + nth, options_for(step), 0);
                let id = world.life(async |world, platform| {
                    let id = paid_twice(world, &platform).await;
                    let_settle().await;
                    world.probe.arm(step, nth);
                    tell(world, &platform, id).await;
                    let_settle().await;
                    if nth == 1 && must_fire.contains(&step) {
                        assert_eq!(world.probe.fired(), 1, "{step:?} is a step of it");
                    }
                    world.probe.disarm();
                    let_settle().await;
                    check_paid_once(world, &platform, id).await;
                    id
                });
                world.life(async |world, platform| {
                    check_paid_once(world, &platform, id).await;
                });
            },
        );
    }
}
