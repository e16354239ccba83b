//! The process ended, and its disk failing, at every point of a fixed load in turn; and a long random load that is killed again and again. After
//! each the node is started again, everything is asked again, and readers of their own hold journal, books, answers and
//! the provider's witness against each other.
//!
//! # Layout
//! - `disk` (with `disk.c`): fails or ends a node's calls to its disk, one at a time, by number, and takes away what was not synced.
//! - `script`: the fixed load; `world`: the folders, the node and its provider; `books` and `checks`: the independent readers.
//! - `planted`: defects that each check must find; `soak`: the random load.
//!
//! Points are calls that reach the disk, numbered over all threads of the process, which per-thread counters of a tracer cannot do. What is
//! not simulated: directories that forget a name, and calls that a library makes without the C library.
//!
//! # Variables
//! - `FLORIN_CRASH_ALL=1`: every point instead of a part of them.
//! - `FLORIN_CRASH_POINT=<number>`: of one test, this point alone.
//! - `FLORIN_CRASH_WORKERS=<number>`: so many points at the same time.

mod books;
mod checks;
mod disk;
mod planted;
mod script;
mod soak;
mod world;

pub(crate) use checks::{leaks, words_in};
use disk::{Fault, Point};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use world::{Outcome, Template, meet, meet_at_first_start};

/// Points that are met at the same time, unless told otherwise: nodes mostly wait, for their disk and for each other.
const WORKERS: usize = 3;

/// Calls that make something durable, or whose order with them matters.
const DURABLE: &str = "sync,name";

/// A fault at every point of a kind.
#[derive(Clone, Copy, Debug)]
struct Plan {
    /// The test, for whoever runs a point again.
    test: &'static str,
    fault: Fault,
    calls: &'static str,
    paths: &'static str,
    /// Points that are met in ordinary runs, evenly spread; all of them otherwise.
    most: usize,
}

fn asked_for(name: &str) -> Option<usize> {
    std::env::var(name).ok()?.parse().ok()
}

impl Plan {
    fn point(self, fault: Fault, number: usize) -> Point {
        Point {
            fault,
            calls: self.calls,
            paths: self.paths,
            number,
        }
    }

    /// The points to be met, of so many.
    fn numbers(self, count: usize) -> Vec<usize> {
        if let Some(only) = asked_for("FLORIN_CRASH_POINT") {
            return vec![only];
        }
        if asked_for("FLORIN_CRASH_ALL") == Some(1) || count <= self.most {
            return (1..=count).collect();
        }
        let last = |place: usize| (place + 1) * count / self.most;
        (0..self.most).map(last).collect()
    }

    /// What to type to meet a point again.
    fn by_hand(self, number: usize) -> String {
        format!(
            "FLORIN_CRASH_POINT={number} cargo test --test it {} -- --nocapture",
            self.test
        )
    }

    /// Meets them all; what was met. Fails if anything was wrong at any of them, and says how to meet each of those again.
    #[track_caller]
    fn carry_out(self) -> Vec<(usize, Outcome)> {
        let template = Template::make();
        self.carry_out_with(|point| meet(&template, point))
    }

    /// The same with something else than the load.
    #[track_caller]
    fn carry_out_with(self, meet: impl Fn(Point) -> Outcome + Sync) -> Vec<(usize, Outcome)> {
        let counted = meet(self.point(Fault::None, 0));
        assert_eq!(counted.wrong, Vec::<String>::new(), "with a disk that works");
        let count = counted.calls.len();
        assert!(count > 0, "nothing stands between the node and its disk");
        let numbers = self.numbers(count);
        let (next, outcomes) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let work = || {
            while let Some(&number) = numbers.get(next.fetch_add(1, Ordering::Relaxed)) {
                let point = self.point(self.fault, number);
                let outcome = catch_unwind(AssertUnwindSafe(|| meet(point)));
                let outcome = outcome.unwrap_or_else(|why| Outcome::broken_off(&*why));
                outcomes.lock().unwrap().push((number, outcome));
            }
        };
        thread::scope(|scope| {
            for _ in 0..asked_for("FLORIN_CRASH_WORKERS").unwrap_or(WORKERS) {
                scope.spawn(work);
            }
        });
        let mut outcomes = outcomes.into_inner().unwrap();
        outcomes.sort_by_key(|(number, _)| *number);
        let mut bad = String::new();
        for (number, outcome) in outcomes.iter().filter(|(_, outcome)| !outcome.wrong.is_empty()) {
            write!(
                bad,
                "\n{} at point {number} ({:?}):\n  {}\n  again: {}\n",
                self.fault.name(),
                outcome.met,
                outcome.wrong.join("\n  "),
                self.by_hand(*number)
            )
            .unwrap();
        }
        println!(
            "{} {} of {count} points ({} of {}), {} ended early, {} answers, {} bad",
            self.fault.name(),
            outcomes.len(),
            self.calls,
            if self.paths.is_empty() {
                "all files"
            } else {
                self.paths
            },
            outcomes.iter().filter(|(_, outcome)| outcome.ended).count(),
            outcomes
                .iter()
                .map(|(_, outcome)| outcome.answered)
                .sum::<usize>(),
            outcomes
                .iter()
                .filter(|(_, outcome)| !outcome.wrong.is_empty())
                .count()
        );
        assert!(bad.is_empty(), "{bad}");
        outcomes
    }
}

/// The files that were being changed when it happened, without numbers in them.
fn places(met: &[(usize, Outcome)]) -> BTreeSet<&str> {
    let calls = met.iter().filter_map(|(_, outcome)| outcome.met.as_deref());
    calls
        .filter_map(|call| call.split_once(' '))
        .map(|(_, path)| path)
        .collect()
}

/// The files that the truth is in.
const JOURNAL: &str = "journal.db";

/// Those that can be made from it, or only help.
const DERIVED: &str = "views.db,keys/,snapshots/,heads/,.secret";

#[test]
fn a_node_that_is_killed_at_any_durability_point_loses_and_doubles_nothing() {
    let plan = Plan {
        test: "crash_points::a_node_that_is_killed_at_any_durability_point",
        fault: Fault::Kill,
        calls: DURABLE,
        paths: "",
        most: 40,
    };
    let met = plan.carry_out();
    if met.len() > 1 {
        let places = places(&met);
        for file in ["journal.db-wal", "shards/0001/journal.db-wal"] {
            assert!(places.contains(file), "{file} in {places:?}");
        }
    }
}

#[test]
fn a_power_cut_at_any_durability_point_loses_nothing_that_was_answered() {
    let plan = Plan {
        test: "crash_points::a_power_cut_at_any_durability_point",
        fault: Fault::PowerCut,
        calls: DURABLE,
        paths: "",
        most: 40,
    };
    plan.carry_out();
}

/// The tests of power cuts can fail: they notice what only seems to be synced.
#[test]
fn a_disk_that_only_says_that_it_synced_is_found_out() {
    let template = Template::make();
    let at = |fault, number| Point {
        fault,
        calls: DURABLE,
        paths: JOURNAL,
        number,
    };
    let count = meet(&template, at(Fault::None, 0)).calls.len();
    let number = count / 2 / 3 * 3;
    let honest = meet(&template, at(Fault::PowerCut, number));
    assert_eq!(honest.wrong, Vec::<String>::new());
    assert!(honest.answered > 3, "{honest:?}");
    let lied = catch_unwind(AssertUnwindSafe(|| {
        meet(&template, at(Fault::PowerCutAfterLies, number))
    }));
    // Either the start is refused, since a signed head or the key index says that there was more, or what was answered is gone.
    let told = lied.map_or_else(|why| Outcome::broken_off(&*why).wrong, |outcome| outcome.wrong);
    let signs = ["was answered", "missing", "has lost its end"];
    let is_found = |finding: &String| signs.iter().any(|sign| finding.contains(sign));
    assert!(told.iter().any(is_found), "{told:?}");
}

#[test]
fn a_node_that_is_killed_in_the_middle_of_any_write_loses_and_doubles_nothing() {
    let plan = Plan {
        test: "crash_points::a_node_that_is_killed_in_the_middle_of_any_write",
        fault: Fault::Torn,
        calls: "write",
        paths: "",
        most: 24,
    };
    plan.carry_out();
}

#[test]
fn an_error_in_the_journal_ends_the_process_and_nothing_answered_is_lost() {
    let plan = Plan {
        test: "crash_points::an_error_in_the_journal_ends_the_process",
        fault: Fault::Eio,
        calls: "sync,write,name",
        paths: JOURNAL,
        most: 30,
    };
    plan.carry_out();
}

#[test]
fn an_error_beside_the_journal_loses_no_money_and_makes_nobody_lie() {
    let plan = Plan {
        test: "crash_points::an_error_beside_the_journal",
        fault: Fault::Eio,
        calls: "sync,write,name",
        paths: DERIVED,
        most: 30,
    };
    plan.carry_out();
}

#[test]
fn a_journal_without_room_for_one_write_loses_and_doubles_nothing() {
    let plan = Plan {
        test: "crash_points::a_journal_without_room_for_one_write",
        fault: Fault::Enospc,
        calls: "write,name",
        paths: JOURNAL,
        most: 16,
    };
    plan.carry_out();
}

#[test]
fn a_lack_of_room_beside_the_journal_loses_no_money_and_makes_nobody_lie() {
    let plan = Plan {
        test: "crash_points::a_lack_of_room_beside_the_journal",
        fault: Fault::Enospc,
        calls: "write,name",
        paths: DERIVED,
        most: 16,
    };
    plan.carry_out();
}

#[test]
fn a_disk_that_is_full_from_any_write_on_loses_and_doubles_nothing() {
    let plan = Plan {
        test: "crash_points::a_disk_that_is_full_from_any_write_on",
        fault: Fault::Full,
        calls: "write,name",
        paths: "",
        most: 4,
    };
    plan.carry_out();
}

#[test]
fn a_first_start_that_is_killed_anywhere_is_taken_up_by_the_next_one() {
    let plan = Plan {
        test: "crash_points::a_first_start_that_is_killed_anywhere",
        fault: Fault::Kill,
        calls: DURABLE,
        paths: "",
        most: 12,
    };
    plan.carry_out_with(meet_at_first_start);
}

#[test]
fn a_first_start_that_ends_with_a_power_cut_is_taken_up_by_the_next_one() {
    let plan = Plan {
        test: "crash_points::a_first_start_that_ends_with_a_power_cut",
        fault: Fault::PowerCut,
        calls: DURABLE,
        paths: "",
        most: 12,
    };
    plan.carry_out_with(meet_at_first_start);
}

#[test]
fn a_first_start_with_a_disk_that_fails_is_taken_up_by_the_next_one() {
    let plan = Plan {
        test: "crash_points::a_first_start_with_a_disk_that_fails",
        fault: Fault::Eio,
        calls: "sync,write,name",
        paths: "",
        most: 12,
    };
    plan.carry_out_with(meet_at_first_start);
}
