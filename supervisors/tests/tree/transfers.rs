//! Concurrent transfers on shared accounts: what all callers saw is what one caller after the other could have seen.

use crate::provider::Scripted;
use crate::transfers_calls::{Callers, Random};
use crate::transfers_history::{Call, Deed, Ledger, Objection, Trace, check, trace_of};
use crate::world::{World, patient};
use florin_actors::ledger_handle::{Answer, Told};
use florin_domain::commit::Body;
use florin_domain::ids::{Seq, ShardId};
use florin_domain::ledger::{LedgerEvent, TransferRefusal};
use florin_supervisors::platform::Platform;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::task::{JoinHandle, yield_now};

pub(crate) const CALLERS: (u64, usize) = (6, 18);

/// What every commit behind `first` recorded.
pub(crate) async fn recorded(platform: &Platform, first: &Ledger) -> Vec<(Seq, Vec<Trace>)> {
    let journal = &platform.context().ports.journal;
    let from = Seq(first.seq + 1);
    let commits = journal.read(ShardId::FIRST, from, usize::MAX).await.unwrap();
    let traces = commits.iter().map(|commit| match &commit.body {
        Body::Ledger(ledger) => match &ledger.event {
            LedgerEvent::Transferred(records) => (commit.seq, records.iter().map(trace_of).collect()),
            other => panic!("nobody asked for it: {other:?}"),
        },
        other => panic!("nobody asked for it: {other:?}"),
    });
    traces.collect()
}

/// The journal and the accounts are what the writes of the history come to, and nothing else.
pub(crate) async fn check_outcome(platform: &Platform, callers: &Callers, first: &Ledger, last: &Ledger) {
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
pub(crate) fn check_history(first: &Ledger, history: &[Call]) -> Vec<Ledger> {
    match check(first, history) {
        Ok(states) => states,
        Err(objection) => panic!("{objection:?} to {history:#?}"),
    }
}

/// The journal takes some time now and then, so that much is in order and not durable yet. Until the callers are done.
pub(crate) fn hesitate(world: &World, seed: u64) -> JoinHandle<()> {
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
    let (mut swapped, newest) = (0, history.iter().filter_map(Call::seq).max().unwrap());
    for (place, call) in history.iter().enumerate() {
        let Some(seq) = call.seq() else { continue };
        let refused = with(history, place, |deed| {
            let told = &mut answer_of(deed).told;
            let done = told.iter_mut().find(|told| **told == Told::Done).unwrap();
            *done = Told::Refused(TransferRefusal::Overflow);
        });
        assert_eq!(check(first, &refused).unwrap_err(), Objection::Write(seq));
        // That the last write of all is missing only shows in what was seen of it.
        if seq != newest {
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
