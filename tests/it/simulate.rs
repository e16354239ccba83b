//! `florin simulate`: the same seed is the same run in another process, and its last line says what came of it.

use crate::process::{run, run_well};
use tempfile::TempDir;

#[test]
fn a_seed_is_the_same_run_in_every_process() {
    let folder = TempDir::new().unwrap();
    let simulate = |seed: &str| {
        let arguments = ["simulate", "--seed", seed, "--ops", "30"];
        run_well(&arguments, folder.path(), &[])
    };
    // A seed with faults of many kinds.
    let (first, again, other) = (simulate("2"), simulate("2"), simulate("4"));
    assert_eq!(first, again);
    assert_ne!(first, other);
    let said: Vec<&str> = first.lines().last().unwrap().split(' ').collect();
    let [hash, ops, faults, breaches] = said[..] else {
        panic!("{first}")
    };
    let digits = hash.strip_prefix("trace_hash=").unwrap();
    assert_eq!(digits.len(), 64);
    assert!(digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
    assert_eq!((ops, breaches), ("ops=30", "breaches=0"));
    let faults: u64 = faults.strip_prefix("faults=").unwrap().parse().unwrap();
    assert!(faults > 10, "{faults}");
}

#[test]
fn a_trace_tells_what_happened_and_a_table_how_often() {
    let folder = TempDir::new().unwrap();
    let arguments = ["simulate", "--seed", "2", "--ops", "9", "--trace", "--table"];
    let said = run_well(&arguments, folder.path(), &[]);
    for what in [
        "a process starts",
        "durable 0:1 ",
        "healed",
        "event: created",
        "never  ",
    ] {
        assert!(said.contains(what), "{what}: {said}");
    }
}

#[test]
fn what_cannot_be_simulated_is_named() {
    let folder = TempDir::new().unwrap();
    for (arguments, named) in [
        (["simulate", "--ops", "0"], "--ops"),
        (["simulate", "--seed", "-1"], "-1"),
        (["simulate", "--seeds", "x"], "--seeds"),
    ] {
        let finished = run(&arguments, folder.path(), &[]);
        assert_eq!(finished.status.code(), Some(2), "{finished:?}");
        assert!(finished.stderr.contains(named), "{finished:?}");
    }
}
