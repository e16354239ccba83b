//! One owner per key: single flight, replays, expiry, and what stays in memory afterwards.

use crate::audit::shown;
use crate::provider::{Script, Scripted};
use crate::world::{World, amount_minor, answers, options, patient, request, submit, submit_all, until};
use florin_actors::kind::Kind;
use florin_actors::options::Options;
use florin_actors::payments_handle::{Answered, RequestError};
use florin_domain::idempotency::Fingerprint;
use florin_domain::payment::Answer;
use std::sync::atomic::Ordering;

const WAITERS: usize = 1000;

async fn single_flight(world: &World, platform: florin_supervisors::platform::Platform) {
    world.script(0, Script::Held);
    world.provider.latch.close();
    let asked = submit_all(&platform.payments(), std::iter::repeat_n(0, WAITERS));
    until("all wait", || platform.context().admission.in_flight() == WAITERS).await;
    until("it is stored", || world.truth().payment(0).is_some()).await;

    let mut other = request(0);
    other.fingerprint = Fingerprint([0xff; 16]);
    let mismatch = platform.payments().create(other).await;
    assert_eq!(mismatch.unwrap_err(), RequestError::Mismatch);

    world.provider.latch.open();
    let answers: Vec<Answered> = answers(asked)
        .await
        .into_iter()
        .map(|(_, answer)| answer.unwrap())
        .collect();
    assert!(answers.iter().all(|answer| shown(answer) == shown(&answers[0])));
    assert_eq!(answers[0].answer, Answer::Shown);
    assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1);
    assert_eq!(world.check_always().payments.len(), 1);
    assert_eq!(world.provider.charges_of_amount(amount_minor(0)), 1);
    world.check_at_rest(&platform).await;
}

#[test]
fn a_thousand_requests_under_one_key_make_one_payment_and_get_one_answer() {
    World::new(5).life(async |world, platform| single_flight(world, platform).await);
}

#[test]
fn a_thousand_requests_under_one_key_make_one_payment_on_two_threads() {
    World::with(5, patient(), Scripted::new(false, false))
        .busy_life(async |world, platform| single_flight(world, platform).await);
}

#[test]
fn waiters_beyond_the_cap_of_a_key_are_turned_away_and_the_others_answered() {
    let world = World::with(
        6,
        Options {
            waiters_per_key_max: 10,
            ..options()
        },
        Scripted::new(false, true),
    );
    world.life(async |world, platform| {
        world.script(0, Script::Held);
        world.provider.latch.close();
        let asked = submit_all(&platform.payments(), std::iter::repeat_n(0, 25));
        until("ten wait", || platform.context().admission.in_flight() == 10).await;
        world.provider.latch.open();
        let answers = answers(asked).await;
        let refused =
            |answer: &Result<Answered, RequestError>| matches!(answer, Err(RequestError::TooManyWaiters));
        assert_eq!(answers.iter().filter(|(_, answer)| refused(answer)).count(), 15);
        assert_eq!(answers.iter().filter(|(_, answer)| answer.is_ok()).count(), 10);
        world.check_at_rest(&platform).await;
    });
}

#[test]
fn a_key_is_answered_from_store_for_a_day_and_may_then_be_used_again() {
    World::new(7).life(async |world, platform| {
        let first = submit(&platform.payments(), 0).await.unwrap();
        world.clock.advance_s(23 * 3600);
        let replay = submit(&platform.payments(), 0).await.unwrap();
        assert_eq!(shown(&replay), shown(&first));
        assert!(replay.replayed);
        let mut other = request(0);
        other.fingerprint = Fingerprint([0xff; 16]);
        assert_eq!(
            platform.payments().create(other).await.unwrap_err(),
            RequestError::Mismatch
        );

        world.clock.advance_s(2 * 3600);
        let second = submit(&platform.payments(), 0).await.unwrap();
        assert_ne!(second.payment.id(), first.payment.id());
        assert!(!second.replayed);
        assert_eq!(
            world.provider.charges_of_amount(amount_minor(0)),
            2,
            "two payments, a charge each"
        );
    });
}

#[test]
fn twenty_thousand_payments_leave_neither_actors_nor_keys_in_memory() {
    const WAVE: usize = 1000;
    let world = World::with(
        8,
        Options {
            guardians: 16,
            ..patient()
        },
        Scripted::new(false, false),
    );
    world.busy_life(async |world, platform| {
        for wave in 0..20 {
            let asked = submit_all(&platform.payments(), wave * WAVE..(wave + 1) * WAVE);
            for (n, answer) in answers(asked).await {
                assert_eq!(
                    answer.unwrap_or_else(|error| panic!("{n}: {error}")).answer,
                    Answer::Shown
                );
            }
        }
        world.check_at_rest(&platform).await;
        let context = platform.context();
        until("no key is held", || context.keys_held.load(Ordering::SeqCst) == 0).await;
        assert!(
            context
                .figures
                .kinds()
                .iter()
                .all(|kind| kind.shed.load(Ordering::SeqCst) == 0)
        );
        assert_eq!(context.figures.kind(Kind::Payment).depth(), 0);
        assert_eq!(world.truth().payments.len(), 20 * WAVE);
    });
}
