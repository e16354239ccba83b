//! The process crashes under concurrent transfers: what was answered is there once, and what was not is there whole or not at all.

use crate::crash::kind_of;
use crate::ports::lock;
use crate::provider::Scripted;
use crate::transfers::{CALLERS, check_history, check_outcome, hesitate, recorded};
use crate::transfers_calls::{Ask, Callers, Random, Written, ask_alone};
use crate::transfers_history::{Deed, Ledger, Trace};
use crate::world::{World, patient};
use florin_actors::context::Step;
use florin_actors::ledger_handle::{LedgerHandle, Told};
use florin_actors::options::Options;
use florin_domain::ids::Seq;
use florin_domain::ledger::{Linkage, Transfer};
use florin_supervisors::platform::Platform;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::task::{JoinHandle, yield_now};

/// How the process ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// Whoever does this step for the nth time crashes.
    At(Step, u64),
    /// Between two instructions, once so many calls were answered.
    After(usize),
    /// The same, on two threads.
    AfterBusy(usize),
    /// So many calls were answered when the journal stopped to answer.
    Stuck(usize),
}

fn end(random: &mut Random) -> End {
    let answers = 5 + random.below(90);
    let nth = 1 + random.below(40) as u64;
    match random.below(6) {
        0 => End::At(Step::ShardTransferring, nth),
        1 => End::At(Step::WriterQueued, nth),
        2 => End::At(Step::WriterFlushed, 1 + nth / 4),
        3 => End::After(answers),
        4 => End::AfterBusy(answers),
        _ => End::Stuck(answers),
    }
}

/// Calls go on until the process ends.
async fn crash(world: &World, platform: &Platform, callers: &Arc<Callers>, (seed, end): (u64, End)) {
    let fatal = world.fatal.count();
    let before = callers.answered.load(Ordering::SeqCst);
    if let End::At(step, nth) = end {
        assert!(!kind_of(step).is_restartable());
        world.probe.arm(step, nth);
    }
    let hesitation = hesitate(world, seed);
    let running = callers.start(&platform.ledger(), seed, CALLERS);
    let enough = || match end {
        End::At(..) => world.fatal.count() > fatal,
        End::After(answers) | End::AfterBusy(answers) | End::Stuck(answers) => {
            callers.answered.load(Ordering::SeqCst) >= before + answers
        }
    };
    while !enough() && !running.iter().all(JoinHandle::is_finished) {
        yield_now().await;
    }
    hesitation.abort();
    drop(hesitation.await);
    if let End::Stuck(_) = end {
        world.faults.appends.close();
        for _ in 0..200 {
            yield_now().await;
        }
    }
}

/// After a crash: what was answered is there, what was not is there whole or not at all. Returns how many writes are there that
/// nobody was told of.
async fn complete(platform: &Platform, callers: &Callers, first: &Ledger) -> usize {
    let journal = recorded(platform, first).await;
    let mut completed = 0;
    let mut ledger = first.clone();
    for (seq, traces) in journal {
        let (after, was_answered) = explain(callers, &ledger, seq, &traces);
        completed += usize::from(!was_answered);
        ledger = after;
    }
    // Nothing of the others is there, nor ever will be.
    lock(&callers.written).retain(|call| call.done.is_some());
    let states = check_history(first, &callers.history());
    check_outcome(platform, callers, first, states.last().unwrap()).await;
    completed
}

/// Finds the call that made a commit; if nobody was told of it, writes the answer down that the call would have got. Returns the
/// ledger after it, and whether the call was answered.
fn explain(callers: &Callers, before: &Ledger, seq: Seq, traces: &[Trace]) -> (Ledger, bool) {
    let returned = callers.tick();
    let mut written = lock(&callers.written);
    let came_to = |call: &Written| match &call.ask {
        Ask::Transfers {
            asked,
            linkage,
            is_dry_run: false,
        } => {
            let (answer, after, made) = before.next(asked, *linkage);
            let deed = Deed::Transfers {
                asked: asked.clone(),
                linkage: *linkage,
                is_dry_run: false,
                answer,
            };
            (deed.seq() == Some(seq) && made == traces).then_some((deed, after))
        }
        Ask::Transfers { .. } | Ask::Account(_) | Ask::AllAccounts | Ask::Reservation(_) => None,
    };
    let is_answer = |call: &&mut Written| {
        call.done
            .as_ref()
            .is_some_and(|(_, deed)| deed.seq() == Some(seq))
    };
    if let Some(call) = written.iter_mut().find(is_answer) {
        let (_, after) = came_to(call).unwrap_or_else(|| panic!("{call:?} is not {seq}: {traces:?}"));
        return (after, true);
    }
    let mut unanswered = written.iter_mut().filter(|call| call.done.is_none());
    let found = unanswered.find_map(|call| came_to(call).map(|outcome| (call, outcome)));
    let (call, (deed, after)) = found.unwrap_or_else(|| panic!("nobody asked for {seq}: {traces:?}"));
    call.done = Some((returned, deed));
    (after, false)
}

/// Every id that is there, asked for again as it was, is found where it is.
async fn ask_all_again(ledger: &LedgerHandle, callers: &Callers, last: &Ledger) {
    let history = callers.history();
    let mut again = BTreeSet::new();
    for call in &history {
        let Deed::Transfers { asked, .. } = &call.deed else {
            continue;
        };
        for transfer in asked
            .iter()
            .filter(|transfer| last.made.contains_key(&transfer.id))
        {
            let alone = [Transfer {
                linked: false,
                is_payout: false,
                ..transfer.clone()
            }];
            let seq = last.made[&transfer.id].0;
            let expected = last.next(&alone, Linkage::Independent).0;
            assert_eq!(ask_alone(ledger, transfer.clone()).await, expected);
            if expected.told == [Told::Existed(seq)] {
                again.insert(transfer.id);
            }
        }
    }
    assert_eq!(
        again.len(),
        last.made.len(),
        "each of them was asked for once more"
    );
}

/// Some lives that end in crashes, and one that does not. Returns how many writes nobody was told of.
fn lives(seed: u64) -> usize {
    let mut random = Random(seed);
    let options = Options {
        snapshot_every_commits: if seed.is_multiple_of(2) { 7 } else { 100_000 },
        ..patient()
    };
    let world = World::with(seed, options, Scripted::new(false, false));
    let (callers, first) = world.life(async |_, platform| Callers::open(&platform.ledger(), seed).await);
    let mut completed = 0;
    for life in 0..3 {
        let how = (seed * 10 + life, end(&mut random));
        let live = async |world: &World, platform: Platform| {
            let completed = complete(&platform, &callers, &first).await;
            crash(world, &platform, &callers, how).await;
            completed
        };
        completed += match how.1 {
            End::AfterBusy(_) => world.busy_life(live),
            End::At(..) | End::After(_) | End::Stuck(_) => world.life(live),
        };
        world.probe.disarm();
        world.faults.appends.open();
        if random.below(3) == 0 {
            world.lose_indexes();
        }
    }
    world.life(async |_, platform| {
        completed += complete(&platform, &callers, &first).await;
        let states = check_history(&first, &callers.history());
        let last = states.last().unwrap();
        ask_all_again(&platform.ledger(), &callers, last).await;
        check_outcome(&platform, &callers, &first, last).await;
    });
    completed
}

#[test]
fn after_crashes_every_transfer_that_was_answered_is_there_once_and_no_other_is_half_there() {
    let completed: usize = (0..120).map(lives).sum();
    assert!(
        completed > 60,
        "few crashes came between a write and its answer: {completed}"
    );
}
