//! Planted mistakes are found, kept and replayed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use florin_fuzz::{Target, any_of};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Runs a target that must fail; answers what it says.
fn failure(folder: &Path, seeds: &[&[u8]], check: impl Fn(&[u8])) -> String {
    let seeds: Vec<Vec<u8>> = seeds.iter().map(|seed| seed.to_vec()).collect();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let target = Target::of_text("planted", any_of(seeds)).cases(20_000);
        target.kept_in(folder).run(check);
    }));
    let panic = outcome.expect_err("the mistake was not found");
    panic.downcast_ref::<String>().unwrap().clone()
}

fn kept(folder: &Path) -> usize {
    fs::read_dir(folder.join("planted")).map_or(0, Iterator::count)
}

#[test]
fn a_panic_behind_two_changes_is_found_made_small_and_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let slices_too_far = |input: &[u8]| {
        if input.starts_with(b"len=") && !input.contains(&b';') {
            assert_ne!(input.get(4), Some(&b'-'), "a length below zero");
        }
    };
    let said = failure(folder.path(), &[b"len=5;rest", b"len=12;more"], slices_too_far);
    assert!(
        said.contains("a length below zero") && said.contains("kept in"),
        "{said}"
    );
    assert_eq!(kept(folder.path()), 1);
    // The seeds alone do not show it any more: what was kept does.
    let said = failure(folder.path(), &[b"x"], slices_too_far);
    assert!(
        said.contains(" fails: ") && said.contains("a length below zero"),
        "{said}"
    );
    assert_eq!(kept(folder.path()), 1);
}

#[test]
fn memory_that_a_length_asks_for_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let believes_the_length = |input: &[u8]| {
        let digits: String = input
            .iter()
            .map(|byte| char::from(*byte))
            .take_while(char::is_ascii_digit)
            .collect();
        let room: Vec<u8> = Vec::with_capacity(digits.parse::<usize>().unwrap_or(0).min(8 << 20));
        std::hint::black_box(&room);
    };
    let said = failure(folder.path(), &[b"5;rest"], believes_the_length);
    assert!(said.contains("bytes of memory"), "{said}");
}

#[test]
fn what_holds_is_not_complained_about() {
    let folder = tempfile::tempdir().unwrap();
    let target = Target::of_bytes("sound", any_of([[1, 2, 3]])).kept_in(folder.path());
    target.run(|input| assert!(input.len() <= 64 << 10));
}
