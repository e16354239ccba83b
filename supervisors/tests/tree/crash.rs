//! An actor crashes at every one of its steps, early and late, with payments in flight.

use crate::audit::{is_final, shown};
use crate::provider::{Script, Scripted};
use crate::world::{Answered, World, all_cases, answers, let_settle, options, submit, submit_all, until};
use florin_actors::context::Step;
use florin_actors::kind::Kind;
use florin_actors::options::Options;
use florin_actors::payment::NotStored;
use florin_actors::payments_handle::{Answered as Shown, RequestError};
use florin_domain::payment::Answer;
use florin_domain::ports::OpsView;
use florin_supervisors::platform::Platform;
use std::collections::BTreeMap;
use std::time::Duration;

/// Every step, in the order of the enum. [`kind_of`] has no wildcard, and [`the_table_of_steps_is_whole`] counts.
pub(crate) const STEPS: [Step; 39] = [
    Step::KeySubmitted,
    Step::KeyAnswered,
    Step::PaymentStarting,
    Step::PaymentBegun,
    Step::PaymentAssessed,
    Step::PaymentCommitting,
    Step::PaymentCommitted,
    Step::PaymentCalling,
    Step::PaymentReported,
    Step::PaymentAnswering,
    Step::PaymentLoaded,
    Step::PaymentLeaving,
    Step::RiskAssessing,
    Step::ProviderQueued,
    Step::ProviderFinished,
    Step::ProviderTurnedAway,
    Step::ProviderProbing,
    Step::ShardSequencing,
    Step::ShardTransferring,
    Step::ShardCrossing,
    Step::CrossingBegun,
    Step::CrossingPrepared,
    Step::CrossingReserved,
    Step::CrossingDecided,
    Step::CrossingFinished,
    Step::CrossingsSwept,
    Step::WriterQueued,
    Step::WriterFlushed,
    Step::ProjectionFollowed,
    Step::ProjectionLocated,
    Step::ResolutionScheduled,
    Step::GuardianStarting,
    Step::GuardianForwarding,
    Step::GuardianHanding,
    Step::JournalScrubbed,
    Step::DeadlinesMet,
    Step::MonitorEnded,
    Step::WebhookGuarding,
    Step::WebhookTold,
];

/// The steps that payments come by; there is one shard, so nothing goes between two, no breaker opens, and nobody is told.
pub(crate) fn of_payments() -> impl Iterator<Item = Step> {
    let is_elsewhere = |step: &Step| {
        matches!(
            step,
            Step::ShardCrossing | Step::ProviderTurnedAway | Step::ProviderProbing
        ) || matches!(
            kind_of(*step),
            Kind::Crossings | Kind::WebhookGuardian | Kind::WebhookEndpoint
        )
    };
    STEPS.into_iter().filter(move |step| !is_elsewhere(step))
}

/// Whose step it is; and so who crashes there.
pub(crate) fn kind_of(step: Step) -> Kind {
    match step {
        Step::KeySubmitted | Step::KeyAnswered => Kind::Idempotency,
        Step::PaymentStarting
        | Step::PaymentBegun
        | Step::PaymentAssessed
        | Step::PaymentCommitting
        | Step::PaymentCommitted
        | Step::PaymentCalling
        | Step::PaymentReported
        | Step::PaymentAnswering
        | Step::PaymentLoaded
        | Step::PaymentLeaving => Kind::Payment,
        Step::RiskAssessing => Kind::Risk,
        Step::ProviderQueued | Step::ProviderFinished | Step::ProviderTurnedAway | Step::ProviderProbing => {
            Kind::Provider
        }
        Step::ShardSequencing | Step::ShardTransferring | Step::ShardCrossing => Kind::AccountShard,
        Step::CrossingBegun
        | Step::CrossingPrepared
        | Step::CrossingReserved
        | Step::CrossingDecided
        | Step::CrossingFinished
        | Step::CrossingsSwept => Kind::Crossings,
        Step::WriterQueued | Step::WriterFlushed => Kind::JournalWriter,
        Step::ProjectionFollowed | Step::ProjectionLocated => Kind::Projection,
        Step::ResolutionScheduled => Kind::Resolution,
        Step::GuardianStarting | Step::GuardianForwarding | Step::GuardianHanding => Kind::PaymentGuardian,
        Step::JournalScrubbed => Kind::Scrub,
        Step::DeadlinesMet => Kind::Deadlines,
        Step::MonitorEnded => Kind::Monitor,
        Step::WebhookGuarding => Kind::WebhookGuardian,
        Step::WebhookTold => Kind::WebhookEndpoint,
        // Not in the table: what crashes there is the start.
        Step::TreeStarting => panic!("nobody is restarted there"),
    }
}

#[test]
fn the_table_of_steps_is_whole() {
    let last = STEPS[STEPS.len() - 1];
    assert_eq!(STEPS.len(), last as usize + 1);
    assert!(
        STEPS
            .iter()
            .enumerate()
            .all(|(place, step)| *step as usize == place)
    );
    assert!(
        Kind::ALL
            .iter()
            .all(|kind| STEPS.iter().any(|step| kind_of(*step) == *kind))
    );
}

const PAYMENTS: usize = 40;
const TIMES: [u64; 3] = [1, 3, 10];

/// Most succeed; some are declined, some unknown for a while (charged or not), some cannot be sent at first.
pub(crate) fn script_of(n: usize) -> Script {
    match n % 10 {
        3 => Script::Decline,
        4 | 7 => Script::Unknown {
            charged: true,
            times: 4,
        },
        5 => Script::Unknown {
            charged: false,
            times: 4,
        },
        6 => Script::NotSent { times: 2 },
        8 => Script::ChargedThenNotSent { times: 4 },
        9 => Script::Panic { times: 3 },
        _ => Script::Succeed,
    }
}

/// What a request is answered when nothing of its own has crashed.
fn usual(n: usize) -> Answer {
    match script_of(n) {
        Script::Succeed
        | Script::NotSent { .. }
        | Script::Lies { .. }
        | Script::Held
        | Script::PreparedTwice
        | Script::Refuses { .. }
        | Script::Limited { .. }
        | Script::PassedTooLate
        | Script::Challenge => Answer::Shown,
        Script::Decline | Script::DeclineFirst => Answer::Declined,
        Script::KeyRefused { .. } => Answer::NoProvider,
        Script::Unknown { .. }
        | Script::Mute { .. }
        | Script::TakesOn
        | Script::ChargedThenNotSent { .. }
        | Script::Panic { .. } => Answer::Unresolved,
    }
}

fn usually_answered(n: usize, answer: &Answered) -> bool {
    answer.as_ref().is_ok_and(|created| created.answer == usual(n))
}

pub(crate) fn expect_step_was_reached(world: &World, step: Step, nth: u64) {
    assert_eq!(
        world.probe.fired(),
        1,
        "{step:?} was reached {} times, not {nth}",
        world.probe.reached_so_far(step)
    );
}

/// The restarts of every seat that had any.
async fn restarts(platform: &Platform) -> Vec<(&'static str, usize, u64)> {
    let tree = platform.ops(Box::new(String::new)).tree(0).await;
    let of =
        |seat: &florin_domain::ports::TreeNode| (seat.kind, seat.key.parse().unwrap_or(0), seat.restarts);
    tree.children.iter().map(of).filter(|seat| seat.2 > 0).collect()
}

/// Siblings that did not touch what crashed are answered as if nothing had happened; the others are told no lie.
async fn check_siblings(
    world: &World,
    platform: &Platform,
    step: Step,
    answers: &[(usize, Answered)],
    crashed: bool,
) {
    let odd: Vec<_> = answers
        .iter()
        .filter(|(n, answer)| !usually_answered(*n, answer))
        .cloned()
        .collect();
    if crashed {
        check_odd(world, platform, step, odd).await;
    } else {
        assert!(odd.is_empty(), "{odd:?}");
    }
}

/// Whether these may be unusual answers to a crash at `step`.
async fn check_odd(world: &World, platform: &Platform, step: Step, odd: Vec<(usize, Answered)>) {
    match kind_of(step) {
        Kind::Payment => assert!(odd.len() <= 1, "{step:?}: one payment crashed: {odd:?}"),
        Kind::Risk
        | Kind::Projection
        | Kind::Resolution
        | Kind::Scrub
        | Kind::Deadlines
        | Kind::Crossings
        | Kind::Monitor
        | Kind::WebhookGuardian
        | Kind::WebhookEndpoint => {
            assert!(odd.is_empty(), "{step:?}: {odd:?}");
        }
        // All payments touch the provider: those whose call was lost are resolved later.
        Kind::Provider => assert!(odd.iter().all(|(_, answer)| answer.is_ok()), "{step:?}: {odd:?}"),
        Kind::PaymentGuardian => {
            let crashed = restarts(platform)
                .await
                .iter()
                .find(|seat| seat.0 == "payment_guardian")
                .map(|seat| seat.1);
            let guardians = u64::try_from(platform.context().guardians.len()).unwrap();
            for (n, answer) in odd {
                let of_crashed = |id: &u64| usize::try_from(id % guardians).ok() == crashed;
                assert!(
                    world.entropy.ids_of(n).iter().any(of_crashed),
                    "{step:?}: {n} {answer:?}"
                );
                let lost = matches!(answer, Err(RequestError::NotStored(NotStored::Failed)));
                assert!(answer.is_ok() || lost, "{step:?}: {n} {answer:?}");
            }
        }
        Kind::Idempotency => {
            for (n, answer) in odd {
                let late = matches!(
                    answer,
                    Err(RequestError::NotStored(NotStored::StageTimeout("idempotency")))
                );
                let lost = matches!(answer, Err(RequestError::Lost));
                assert!(answer.is_ok() || lost || late, "{step:?}: {n} {answer:?}");
            }
        }
        Kind::AccountShard | Kind::JournalWriter => panic!("{step:?} is not restartable"),
    }
}

/// When the actor crashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// While all payments are new.
    AtFirst,
    /// While old keys are sent again, next to new ones.
    Again,
}

async fn crash_and_settle(world: &World, platform: Platform, step: Step, (when, nth): (When, u64)) {
    let payments = platform.payments();
    for n in 0..2 * PAYMENTS {
        world.script(n, script_of(n));
    }
    if when == When::AtFirst {
        world.probe.arm(step, nth);
    }
    let first = answers(submit_all(&payments, 0..PAYMENTS)).await;
    world.check_replies(&first);
    check_siblings(world, &platform, step, &first, world.probe.fired() > 0).await;
    let_settle().await;
    world.check_not_stored(&first);

    // All of them again, now out of memory, next to new ones.
    if when == When::Again {
        world.probe.arm(step, nth);
    }
    let again = answers(submit_all(&payments, 0..2 * PAYMENTS)).await;
    world.check_replies(&again);
    let (replays, new) = again.split_at(PAYMENTS);
    for ((n, before), (_, now)) in first.iter().zip(replays) {
        if let (Ok(before), Ok(now)) = (before, now)
            && before.answer.is_final()
            && now.answer.is_final()
        {
            assert_eq!(shown(now), shown(before), "{step:?}: request {n}");
        }
    }
    if when == When::Again {
        let odd = |(n, answer): &&(usize, Answered)| {
            if *n < PAYMENTS {
                !is_final(answer)
            } else {
                !usually_answered(*n, answer)
            }
        };
        let odd = again.iter().filter(odd).cloned().collect();
        check_odd(world, &platform, step, odd).await;
    }
    expect_step_was_reached(world, step, nth);
    let_settle().await;
    world.check_not_stored(new);
    let earlier: Vec<(usize, Answered)> = first.iter().chain(new).cloned().collect();
    world.resolve_all(&platform, &earlier).await;
    world.check_at_rest(&platform).await;
    assert_eq!(world.fatal.count(), 0);
}

/// The scrub comes by often enough to be met by every test; reading on and on, it would only make the other tests slow.
pub(crate) fn options_for(step: Step) -> Options {
    let usual = options();
    match kind_of(step) {
        Kind::Scrub => Options {
            scrub_commits_per_s: 1000,
            scrub_every: Duration::from_secs(1),
            ..usual
        },
        Kind::Monitor => Options {
            monitor_every: Duration::from_millis(250),
            ..usual
        },
        Kind::JournalWriter
        | Kind::AccountShard
        | Kind::Projection
        | Kind::Provider
        | Kind::Risk
        | Kind::Resolution
        | Kind::PaymentGuardian
        | Kind::Payment
        | Kind::Idempotency
        | Kind::Deadlines
        | Kind::Crossings
        | Kind::WebhookGuardian
        | Kind::WebhookEndpoint => usual,
    }
}

fn crash_at_every_step(when: When) {
    let restartable = of_payments().filter(|step| kind_of(*step).is_restartable());
    all_cases(
        restartable.flat_map(|step| TIMES.map(|nth| (step, nth))),
        |&(step, nth)| {
            let world = World::with(nth, options_for(step), Scripted::new(false, true));
            let before = world.life(async |world, platform| {
                crash_and_settle(world, platform, step, (when, nth)).await;
                world.truth().head
            });
            world.life(async |world, platform| {
                assert_eq!(world.truth().head, before);
                world.check_at_rest(&platform).await;
            });
        },
    );
}

#[test]
fn a_crash_of_any_restartable_actor_under_new_payments_loses_doubles_and_misstates_nothing() {
    crash_at_every_step(When::AtFirst);
}

#[test]
fn a_crash_of_any_restartable_actor_under_replays_loses_doubles_and_misstates_nothing() {
    crash_at_every_step(When::Again);
}

/// Answers that were given before the crash, and everything that was asked.
struct Before {
    answers: Vec<(usize, Answered)>,
}

async fn crash_for_good(world: &World, platform: Platform, step: Step, nth: u64) -> Before {
    let payments = platform.payments();
    for n in 0..PAYMENTS + 5 {
        world.script(n, script_of(n));
    }
    world.probe.arm(step, nth);
    let asked = answers(submit_all(&payments, 0..PAYMENTS)).await;
    world.check_replies(&asked);
    // What no payment leads to comes with the sweep of deadlines.
    until("the process ends", || world.fatal.count() >= 1).await;
    expect_step_was_reached(world, step, nth);
    for n in PAYMENTS..PAYMENTS + 5 {
        let answer = submit(&payments, n).await;
        assert!(!is_final(&answer), "{step:?}: {answer:?} after the end");
    }
    Before { answers: asked }
}

#[test]
fn a_crash_of_the_shard_or_the_writer_ends_the_process_and_the_next_one_knows_every_answer() {
    let fatal = of_payments().filter(|step| !kind_of(*step).is_restartable());
    let cases = fatal.flat_map(|step| TIMES.map(|nth| [true, false].map(|survive| (step, nth, survive))));
    all_cases(cases.flatten(), |&(step, nth, indexes_survive)| {
        let world = World::new(nth);
        let before = world.life(async |world, platform| crash_for_good(world, platform, step, nth).await);
        if !indexes_survive {
            world.lose_indexes();
        }
        let resolved = world.life(async |world, platform| {
            check_acknowledged(world, &platform, &before.answers).await;
            let resolved = world.resolve_all(&platform, &before.answers).await;
            world.check_at_rest(&platform).await;
            resolved
        });
        world.lose_indexes();
        world.life(async |world, platform| check_identical(world, &platform, &resolved).await);
    });
}

/// Whatever was answered before the crash is there, as it was answered.
async fn check_acknowledged(world: &World, platform: &Platform, answers: &[(usize, Answered)]) {
    let truth = world.check_always();
    for (n, answer) in answers {
        let Ok(created) = answer else { continue };
        let id = created.payment.id();
        assert!(truth.payments.contains_key(&id), "request {n} was acknowledged");
        let owner = (created.payment.spec.merchant, created.payment.spec.livemode);
        let row = platform
            .payments()
            .get(owner, id)
            .await
            .unwrap()
            .expect("an acknowledged payment is there");
        if created.answer.is_final() {
            assert_eq!(row.payment, created.payment, "request {n}");
        }
    }
}

async fn check_identical(world: &World, platform: &Platform, resolved: &BTreeMap<usize, Shown>) {
    let head = world.truth().head;
    for (n, created) in resolved {
        let again = submit(&platform.payments(), *n).await.unwrap();
        assert_eq!(shown(&again), shown(created), "request {n}");
        assert!(again.replayed);
    }
    assert_eq!(world.truth().head, head, "replays store nothing");
    world.check_at_rest(platform).await;
}
