//! Concurrent transfers on shared accounts: what all callers saw is what one caller after the other could have seen, and what the
//! process was doing when it crashed is either whole or was never done.

use crate::crash::kind_of;
use crate::ports::lock;
use crate::provider::Scripted;
use crate::transfers_calls::{Ask, Callers, Random, ask_alone};
use crate::transfers_history::{Call, Deed, Ledger, Objection, Trace, check, trace_of};
use crate::world::{World, patient};
use florin_actors::context::Step;
use florin_actors::ledger_handle::{Answer, LedgerHandle, Told};
use florin_actors::options::Options;
use florin_domain::commit::Body;
use florin_domain::ids::{Seq, ShardId};
use florin_domain::ledger::{LedgerEvent, Linkage, Transfer, TransferRefusal};
use florin_supervisors::platform::Platform;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::task::{JoinHandle, yield_now};

const CALLERS: (u64, usize) = (6, 18);

/// What every commit behind `first` recorded.
async fn recorded(platform: &Platform, first: &Ledger) -> Vec<(Seq, Vec<Trace>)> {
    let journal = &platform.context().ports.journal;
    let from = Seq(first.seq + 1);
    let commits = journal.read(ShardId::FIRST, from, usize::MAX).await.unwrap();
    let traces = commits.into_iter().map(|commit| match commit.body {
        Body::Ledger(ledger) => match ledger.event {
            LedgerEvent::Transferred(records) => (commit.seq, records.iter().map(trace_of).collect()),
            other => panic!("nobody asked for it: {other:?}"),
        },
        other => panic!("nobody asked for it: {other:?}"),
    });
    traces.collect()
}

/// The journal and the accounts are what the writes of the history come to, and nothing else.
async fn check_outcome(platform: &Platform, callers: &Callers, first: &Ledger, last: &Ledger) {
    let mut made = BTreeMap::new();
    for (seq, traces) in recorded(platform, first).await {
        for (id, step, legs) in traces {
            assert_eq!(made.insert(id, (seq, step, legs)), None, "{id} is there twice");
        }
    }
    assert_eq!(made, last.made);
    let Ok(Deed::Balances { seen, seq }) = callers.balances(&platform.ledger()).await else {
        panic!("nobody answers");
    };
    assert_eq!(seq.0, last.seq);
    assert_eq!(seen.into_iter().collect::<BTreeMap<_, _>>(), last.standings);
    for total in platform.ledger().trial_balance().await.unwrap() {
        assert_eq!(total.debits_minor, total.credits_minor);
    }
}

#[track_caller]
fn check_history(first: &Ledger, history: &[Call]) -> Vec<Ledger> {
    match check(first, history) {
        Ok(states) => states,
        Err(objection) => panic!("{objection:?} to {history:#?}"),
    }
}

/// The journal takes some time now and then, so that much is in order and not durable yet. Until the callers are done.
fn hesitate(world: &World, seed: u64) -> JoinHandle<()> {
    let faults = Arc::clone(&world.faults);
    tokio::spawn(async move {
        let mut random = Random(seed);
        loop {
            faults.appends.close();
            for _ in 0..random.below(100) {
                yield_now().await;
            }
            faults.appends.open();
            for _ in 0..random.below(30) {
                yield_now().await;
            }
        }
    })
}

/// History `n`, from its first state to the last.
async fn history(world: &World, platform: &Platform, n: u64) -> (Ledger, Vec<Call>) {
    let ledger = platform.ledger();
    let (callers, first) = Callers::open(&ledger, n).await;
    let hesitation = hesitate(world, n);
    for caller in callers.start(&ledger, n, CALLERS) {
        caller.await.expect("no caller fails");
    }
    // Aborted, it may still be under way on the other thread; joined, it closes nothing any more.
    hesitation.abort();
    drop(hesitation.await);
    world.faults.appends.open();
    let history = callers.history();
    let states = check_history(&first, &history);
    check_outcome(platform, &callers, &first, states.last().unwrap()).await;
    (first, history)
}

/// How often each answer was given, and how many calls were made while another one was under way.
fn count(counts: &mut BTreeMap<&'static str, usize>, history: &[Call]) {
    let mut add = |what| *counts.entry(what).or_default() += 1;
    for call in history {
        let among = |other: &&Call| other.invoked < call.invoked && call.invoked < other.returned;
        if history.iter().any(|other| among(&other)) {
            add("concurrent");
        }
        match &call.deed {
            Deed::Transfers {
                answer, is_dry_run, ..
            } => {
                add(if *is_dry_run { "rehearsed" } else { "asked" });
                for told in &answer.told {
                    match told {
                        Told::Done => add("done"),
                        Told::Existed(_) => add("existed"),
                        Told::Refused(refusal) => add(refusal.code()),
                    }
                }
            }
            Deed::Balances { .. } => add("balances"),
            Deed::Reservation { seen, .. } => add(if seen.is_some() { "stands" } else { "has ended" }),
        }
    }
}

#[test]
fn cons_12_concurrent_transfers_are_those_of_one_caller_after_the_other() {
    let world = World::with(91, patient(), Scripted::new(false, false));
    let mut counts = BTreeMap::new();
    world.busy_life(async |world, platform| {
        for n in 0..200 {
            let (_, history) = history(world, &platform, n).await;
            assert_eq!(history.len() as u64, CALLERS.0 * CALLERS.1 as u64);
            count(&mut counts, &history);
        }
    });
    // Histories in which little happens, or everything one after the other, show little.
    assert!(counts["concurrent"] > 10_000, "{counts:?}");
    for what in [
        "asked",
        "rehearsed",
        "balances",
        "stands",
        "has ended",
        "done",
        "existed",
        "insufficient_funds",
        "account_limit_exceeded",
        "account_unknown",
        "amount_exceeds_pending",
        "linked_chain_open",
        "linked_transfer_failed",
        "pending_transfer_missing",
        "transfer_id_reused",
        "transfer_same_account",
    ] {
        assert!(
            counts.get(what).is_some_and(|count| *count > 100),
            "{what}: {counts:?}"
        );
    }
}

/// The history of true answers with one of them changed.
fn with(history: &[Call], place: usize, change: impl FnOnce(&mut Deed)) -> Vec<Call> {
    let mut changed = history.to_vec();
    change(&mut changed[place].deed);
    changed
}

fn answer_of(deed: &mut Deed) -> &mut Answer {
    match deed {
        Deed::Transfers { answer, .. } => answer,
        Deed::Balances { .. } | Deed::Reservation { .. } => panic!("nothing was asked for"),
    }
}

/// Balances that are off, and those of an earlier commit, though a later one was answered before they were asked for.
fn object_to_balances(first: &Ledger, states: &[Ledger], history: &[Call]) -> usize {
    let mut stale = 0;
    for (place, call) in history.iter().enumerate() {
        let Deed::Balances { seen, seq } = &call.deed else {
            continue;
        };
        let off = with(history, place, |deed| {
            let Deed::Balances { seen, .. } = deed else { return };
            seen[0].1.posted += 1;
        });
        assert_eq!(check(first, &off).unwrap_err(), Objection::Balances(*seq));

        let answered = history.iter().filter(|other| other.returned < call.invoked);
        let Some(newest) = answered.filter_map(Call::seq).max() else {
            continue;
        };
        let before = &states[usize::try_from(newest.0 - first.seq).unwrap() - 1];
        let old = with(history, place, |deed| {
            *deed = Deed::Balances {
                seen: seen
                    .iter()
                    .map(|(key, _)| (*key, before.standings[key]))
                    .collect(),
                seq: Seq(before.seq),
            };
        });
        assert_eq!(check(first, &old).unwrap_err(), Objection::TooEarly(call.invoked));
        stale += 1;
    }
    stale
}

/// Answers of writes that are lost, changed, given twice, or given in another order.
fn object_to_writes(first: &Ledger, history: &[Call]) -> usize {
    let (mut swapped, last) = (0, history.iter().filter_map(Call::seq).max().unwrap());
    for (place, call) in history.iter().enumerate() {
        let Some(seq) = call.seq() else { continue };
        let refused = with(history, place, |deed| {
            let told = &mut answer_of(deed).told;
            let done = told.iter_mut().find(|told| **told == Told::Done).unwrap();
            *done = Told::Refused(TransferRefusal::Overflow);
        });
        assert_eq!(check(first, &refused).unwrap_err(), Objection::Write(seq));
        // That the last write of all is missing only shows in what was seen of it.
        if seq != last {
            let mut lost = history.to_vec();
            lost.remove(place);
            assert_eq!(check(first, &lost).unwrap_err(), Objection::Commit(seq.next()));
        }
        let nothing = with(history, place, |deed| answer_of(deed).seq = None);
        assert!(
            check(first, &nothing).is_err(),
            "{seq} is said to have recorded nothing"
        );
        let mut twice = history.to_vec();
        twice.push(call.clone());
        assert!(check(first, &twice).is_err(), "{seq} is answered twice");

        let later = |other: &Call| call.returned < other.invoked && other.seq().is_some();
        let Some(other) = history.iter().position(later) else {
            continue;
        };
        let (other_seq, mut swap) = (history[other].seq(), history.to_vec());
        answer_of(&mut swap[place].deed).seq = other_seq;
        answer_of(&mut swap[other].deed).seq = Some(seq);
        assert!(check(first, &swap).is_err(), "{seq} and {other_seq:?}");
        swapped += 1;
    }
    swapped
}

/// A retry that is answered as if it had been done once more, at the end of all.
fn object_to_doubles(first: &Ledger, states: &[Ledger], history: &[Call]) -> usize {
    let (mut doubles, last) = (0, states.last().unwrap());
    for call in history.iter().filter(|call| call.seq().is_some()) {
        let again = Call {
            invoked: u64::MAX - 1,
            returned: u64::MAX,
            deed: call.deed.clone(),
        };
        let mut twice = [history, &[again]].concat();
        let retry = &mut twice[history.len()].deed;
        let seq = Seq(last.seq + 1);
        answer_of(retry).seq = Some(seq);
        assert_eq!(check(first, &twice).unwrap_err(), Objection::Write(seq));
        // The true answer is not objected to.
        let Deed::Transfers { asked, linkage, .. } = &call.deed else {
            continue;
        };
        *answer_of(&mut twice[history.len()].deed) = last.next(asked, *linkage).0;
        assert!(check(first, &twice).is_ok());
        doubles += 1;
    }
    doubles
}

/// What recorded nothing, answered as nobody could have been.
fn object_to_refusals(first: &Ledger, history: &[Call]) -> usize {
    let mut changed = 0;
    for (place, call) in history.iter().enumerate() {
        let unexplained = Objection::Unexplained(call.invoked);
        let other = match &call.deed {
            Deed::Transfers { answer, .. } if answer.seq.is_none() => with(history, place, |deed| {
                let told = &mut answer_of(deed).told[0];
                *told = match told {
                    Told::Existed(seq) => Told::Existed(seq.next()),
                    Told::Done | Told::Refused(_) => Told::Refused(TransferRefusal::PeriodClosed),
                };
            }),
            Deed::Reservation { seen: Some(_), .. } => with(history, place, |deed| {
                let Deed::Reservation { seen: Some(legs), .. } = deed else {
                    return;
                };
                legs[0].2 += 1;
            }),
            Deed::Transfers { .. } | Deed::Reservation { .. } | Deed::Balances { .. } => continue,
        };
        assert_eq!(check(first, &other).unwrap_err(), unexplained);
        changed += 1;
    }
    changed
}

#[test]
fn a_history_with_a_false_answer_is_objected_to() {
    let world = World::with(92, patient(), Scripted::new(false, false));
    world.busy_life(async |world, platform| {
        let mut objected = [0; 4];
        for n in 0..10 {
            let (first, history) = history(world, &platform, n).await;
            let states = check_history(&first, &history);
            objected[0] += object_to_balances(&first, &states, &history);
            objected[1] += object_to_writes(&first, &history);
            objected[2] += object_to_doubles(&first, &states, &history);
            objected[3] += object_to_refusals(&first, &history);
        }
        assert!(objected.iter().all(|count| *count > 50), "{objected:?}");
    });
}

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

/// After a crash: what was answered is there, what was not is there whole or not at all. What is there is written down as the
/// answer that nobody waited for. Returns how many such answers there were.
async fn complete(platform: &Platform, callers: &Callers, first: &Ledger) -> usize {
    let journal = recorded(platform, first).await;
    let returned = callers.tick();
    let mut written = lock(&callers.written);
    let (mut ledger, mut completed) = (first.clone(), 0);
    for (seq, traces) in journal {
        let came_to = |ask: &Ask| match ask {
            Ask::Transfers {
                asked,
                linkage,
                is_dry_run: false,
            } => {
                let next = ledger.next(asked, *linkage);
                (next.2 == traces && next.0.seq == Some(seq)).then_some((next.0, next.1))
            }
            Ask::Transfers { .. } | Ask::Account(_) | Ask::AllAccounts | Ask::Reservation(_) => None,
        };
        let seq_of = |deed: &Deed| match deed {
            Deed::Transfers { answer, .. } => answer.seq,
            Deed::Balances { .. } | Deed::Reservation { .. } => None,
        };
        let is_answer = |done: &Option<(u64, Deed)>| {
            let answered = done.as_ref().and_then(|(_, deed)| seq_of(deed));
            answered == Some(seq)
        };
        let answered = written.iter().position(|call| is_answer(&call.done));
        let unanswered = || {
            let mut calls = written.iter();
            calls.position(|call| call.done.is_none() && came_to(&call.ask).is_some())
        };
        let place = answered.or_else(unanswered);
        let place = place.unwrap_or_else(|| panic!("nobody asked for {seq}: {traces:?}"));
        let outcome = came_to(&written[place].ask);
        let (answer, after) =
            outcome.unwrap_or_else(|| panic!("{seq} is not what was asked for: {traces:?}"));
        if answered.is_none() {
            let Ask::Transfers { asked, linkage, .. } = written[place].ask.clone() else {
                panic!("it asked for transfers");
            };
            let deed = Deed::Transfers {
                asked,
                linkage,
                is_dry_run: false,
                answer,
            };
            written[place].done = Some((returned, deed));
            completed += 1;
        }
        ledger = after;
    }
    // Nothing of the others is there, nor ever will be.
    written.retain(|call| call.done.is_some());
    drop(written);
    let states = check_history(first, &callers.history());
    check_outcome(platform, callers, first, states.last().unwrap()).await;
    completed
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
