//! Any actor crashes anywhere, several times, whatever the provider does: nothing is lost, doubled or misstated.

use crate::crash::{STEPS, kind_of};
use crate::provider::{Script, Scripted};
use crate::world::{Answered, World, answers, let_settle, options, submit_all};
use florin_actors::context::Step;
use proptest::prelude::*;

fn script() -> impl Strategy<Value = Script> {
    prop_oneof![
        4 => Just(Script::Succeed),
        1 => Just(Script::Decline),
        2 => (any::<bool>(), 1_u32..6).prop_map(|(charged, times)| Script::Unknown { charged, times }),
        1 => (1_u32..5).prop_map(|times| Script::NotSent { times }),
        1 => (1_u32..5).prop_map(|times| Script::ChargedThenNotSent { times }),
        1 => (1_u32..5).prop_map(|times| Script::Panic { times }),
    ]
}

#[derive(Clone, Debug)]
struct Case {
    seed: u64,
    step: Step,
    nth: u64,
    times: u64,
    prepares: bool,
    scripts: Vec<Script>,
    indexes_survive: bool,
}

fn case() -> impl Strategy<Value = Case> {
    let faults = (proptest::sample::select(&STEPS[..]), 1_u64..30, 1_u64..4);
    let world = (any::<u64>(), any::<bool>(), any::<bool>());
    (faults, world, prop::collection::vec(script(), 1..32)).prop_map(
        |((step, nth, times), (seed, prepares, indexes_survive), scripts)| Case {
            seed,
            step,
            nth,
            times,
            prepares,
            scripts,
            indexes_survive,
        },
    )
}

fn run(case: &Case) {
    let world = World::with(case.seed, options(), Scripted::new(case.prepares, true));
    for (n, script) in case.scripts.iter().enumerate() {
        world.script(n, *script);
    }
    world.probe.arm_times(case.step, case.nth, case.times);
    let asked = 0..case.scripts.len();
    let first: Vec<(usize, Answered)> = world.life(async |world, platform| {
        let first = answers(submit_all(&platform.payments(), asked.clone())).await;
        world.check_replies(&first);
        if world.fatal.count() > 0 {
            return first;
        }
        let_settle().await;
        world.check_not_stored(&first);
        world.check_replies(&answers(submit_all(&platform.payments(), asked.clone())).await);
        if world.fatal.count() == 0 {
            let_settle().await;
        }
        first
    });
    let is_fatal = world.fatal.count() > 0;
    assert!(
        !is_fatal || !kind_of(case.step).is_restartable(),
        "{:?}",
        world.fatal
    );
    // The process may have ended at any moment; the next one settles everything.
    world.probe.disarm();
    if !case.indexes_survive {
        world.lose_indexes();
    }
    world.life(async |world, platform| {
        world.resolve_all(&platform, &first).await;
        world.check_at_rest(&platform).await;
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_crash_under_any_provider_leaves_one_charge_per_payment_and_true_books(case in case()) {
        run(&case);
    }
}
