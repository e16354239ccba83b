//! Runs of many seeds: nothing lost, nothing doubled, and everything that may happen has happened in some of them.

use florin_simulator::{Report, Settings, Tally, Wiring, simulate};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Runs of the ordinary tests.
const SEEDS: u64 = 90;
const OPS: u64 = 60;
/// Seeds whose runs once went wrong, and stay: what was wrong is said beside each.
const PAST: &[(u64, u64)] = &[];

fn run(seed: u64, ops: u64) -> Report {
    let settings = Settings {
        seed,
        ops,
        keeps_trace: false,
        goes_on: false,
    };
    simulate(settings, &Wiring::default()).unwrap()
}

#[track_caller]
fn check(report: &Report) {
    assert!(
        report.breaches.is_empty(),
        "{:#?}\nreplay: florin simulate --seed {} --ops {} --trace",
        report.breaches,
        report.seed,
        report.ops
    );
}

#[test]
fn nothing_is_lost_or_doubled_in_any_run_and_everything_is_seen_in_some() {
    let (next, all) = (AtomicU64::new(0), Mutex::new(Tally::default()));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= SEEDS {
                        return;
                    }
                    let report = run(seed, OPS);
                    check(&report);
                    all.lock().unwrap().add(&report.tally);
                }
            });
        }
    });
    let seen = all.into_inner().unwrap();
    assert_eq!(seen.missing(), [], "never seen in {SEEDS} seeds");
    assert_eq!(seen.unforeseen(), [], "seen, though it is said that it cannot be");
}

#[test]
fn runs_that_once_went_wrong_hold() {
    for (seed, ops) in PAST {
        check(&run(*seed, *ops));
    }
}

#[test]
fn a_seed_is_the_same_run_again_and_another_seed_is_another_one() {
    let (first, again, other) = (run(11, 40), run(11, 40), run(12, 40));
    assert_eq!(first.trace_hash, again.trace_hash);
    assert_eq!(first.tally, again.tally);
    assert_ne!(first.trace_hash, other.trace_hash);
}
