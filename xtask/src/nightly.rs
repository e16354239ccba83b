//! What takes too long for every change: the gate with many cases, a crash at every point, many simulated runs, a newcomer
//! from the templates, memory under many payments, and a long random load, one after another; or some of these.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::on_postgres::{self, Extent};
use crate::{fuzz, gate, memory, new_provider};

/// Cases per property; the everyday number is each test's own.
const PROPTEST_CASES: u32 = 2_000;
/// For each fuzz target.
const FUZZ_SECONDS: u64 = 20;
/// How long it takes in all, unless it is said; and the most that can be.
const MINUTES: u64 = 60;
const MINUTES_MAX: u64 = 24 * 60;
/// Simulated runs besides those of every day.
const SEEDS: &str = "10000";
/// What the random load takes at least, however long the others took.
const SOAK_MIN: Duration = Duration::from_mins(1);
const SOAK: &str = "test --workspace --locked --color never --test it crash_points::soak -- --nocapture";

/// What a night consists of, in the order in which it is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Gate,
    Fuzz,
    CrashPoints,
    Simulation,
    Postgres,
    NewProvider,
    Memory,
    Soak,
}

impl Part {
    const ALL: [Self; 8] = [
        Self::Gate,
        Self::Fuzz,
        Self::CrashPoints,
        Self::Simulation,
        Self::Postgres,
        Self::NewProvider,
        Self::Memory,
        Self::Soak,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Gate => "gate",
            Self::Fuzz => "fuzz",
            Self::CrashPoints => "crash-points",
            Self::Simulation => "simulation",
            Self::Postgres => "postgres",
            Self::NewProvider => "new-provider",
            Self::Memory => "memory",
            Self::Soak => "soak",
        }
    }

    /// Runs it; `left` is what is left of the time that all may take.
    fn run(self, root: &Path, left: Duration) -> Result<()> {
        match self {
            Self::Gate => gate::run(root, Some(PROPTEST_CASES)),
            Self::Fuzz => fuzz::run_for(root, FUZZ_SECONDS),
            Self::CrashPoints => cargo(root, gate::CRASH_TESTS, ("FLORIN_CRASH_ALL", "1")),
            Self::Simulation => cargo(root, gate::SIMULATION, ("FLORIN_SIMULATION_SEEDS", SEEDS)),
            Self::Postgres => on_postgres::alone(root, Extent::Nightly),
            Self::NewProvider => new_provider::rehearse(root),
            Self::Memory => memory::run(root, &[]),
            Self::Soak => {
                let seconds = soak_seconds(left).to_string();
                cargo(root, SOAK, ("FLORIN_SOAK_SECONDS", &seconds))
            }
        }
    }
}

/// What is wanted of a night.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    total: Duration,
    /// Those that were named, or all of them, in their order.
    parts: Vec<Part>,
}

/// Runs the parts and shows what each took. One that fails ends it.
pub(crate) fn run(root: &Path, words: &[&str]) -> Result<()> {
    let Wanted { total, parts } = Wanted::of(words)?;
    let started = Instant::now();
    let (mut shown, mut outcome) = (String::new(), Ok(()));
    for part in parts {
        let name = part.name();
        println!("\n=== nightly: {name}");
        let began = Instant::now();
        outcome = part
            .run(root, total.saturating_sub(started.elapsed()))
            .with_context(|| format!("`{name}` failed"));
        let how = if outcome.is_ok() { "ok" } else { "FAILED" };
        let seconds = began.elapsed().as_secs_f64();
        writeln!(shown, "  {name:<14}{seconds:>8.1} s  {how}").expect("writing to a string cannot fail");
        if outcome.is_err() {
            break;
        }
    }
    print!("\n{shown}");
    outcome
}

impl Wanted {
    fn of(words: &[&str]) -> Result<Self> {
        let (mut minutes, mut named) = (None, Vec::new());
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match (*word, words.next()) {
                ("--minutes", Some(number)) if minutes.is_none() => minutes = Some(self::minutes(number)?),
                ("--only", Some(name)) => named.push(part(name)?),
                ("--minutes" | "--only", None) => bail!("`{word}` needs something behind it"),
                (word, _) => bail!("`nightly` knows only --minutes N, once, and --only PART, not `{word}`"),
            }
        }
        let is_wanted = |part: &Part| named.is_empty() || named.contains(part);
        Ok(Self {
            total: Duration::from_mins(minutes.unwrap_or(MINUTES)),
            parts: Part::ALL.into_iter().filter(is_wanted).collect(),
        })
    }
}

fn minutes(number: &str) -> Result<u64> {
    match number.parse() {
        Ok(minutes @ 1..=MINUTES_MAX) => Ok(minutes),
        Ok(_) | Err(_) => bail!("--minutes must be a number from 1 to {MINUTES_MAX}, not `{number}`"),
    }
}

fn part(name: &str) -> Result<Part> {
    let found = Part::ALL.into_iter().find(|part| part.name() == name);
    found.with_context(|| {
        let names = Part::ALL.map(Part::name).join(", ");
        format!("--only must name a part of the night ({names}), not `{name}`")
    })
}

fn soak_seconds(left: Duration) -> u64 {
    left.max(SOAK_MIN).as_secs()
}

fn cargo(root: &Path, args: &str, variable: (&str, &str)) -> Result<()> {
    println!("{}={} cargo {args}", variable.0, variable.1);
    let mut command = gate::cargo_command(root, args);
    let status = command.env(variable.0, variable.1).status();
    let status = status.context("cargo cannot be started")?;
    if !status.success() {
        bail!("cargo ended with {status}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_are_a_number_within_a_day() {
        assert_eq!(Wanted::of(&[]).unwrap().total, Duration::from_hours(1));
        let five = Wanted::of(&["--minutes", "5"]).unwrap();
        assert_eq!(five.total, Duration::from_mins(5));
        for wrong in [
            &["--minutes", "0"][..],
            &["--minutes", "1441"],
            &["--minutes", "x"],
            &["--minutes"],
            &["--minutes", "5", "--minutes", "6"],
            &["5"],
        ] {
            let error = Wanted::of(wrong).unwrap_err().to_string();
            assert!(error.contains("--minutes"), "{wrong:?}: {error}");
        }
    }

    #[test]
    fn parts_are_run_once_and_in_their_order_however_they_are_named() {
        assert_eq!(Wanted::of(&[]).unwrap().parts, Part::ALL);
        let words: Vec<&str> = "--only soak --minutes 5 --only fuzz --only soak"
            .split(' ')
            .collect();
        let wanted = Wanted::of(&words).unwrap();
        assert_eq!(wanted.parts, [Part::Fuzz, Part::Soak]);
        assert_eq!(wanted.total, Duration::from_mins(5));
        for each in Part::ALL {
            assert_eq!(Wanted::of(&["--only", each.name()]).unwrap().parts, [each]);
        }
    }

    #[test]
    fn an_unknown_part_is_refused_with_the_names_of_those_there_are() {
        let error = Wanted::of(&["--only", "gate", "--only", "crash"]).unwrap_err();
        let error = error.to_string();
        assert!(error.ends_with("not `crash`"), "{error}");
        for each in Part::ALL {
            assert!(error.contains(each.name()), "{error}");
        }
        let error = Wanted::of(&["--only"]).unwrap_err().to_string();
        assert!(error.contains("--only"), "{error}");
    }

    #[test]
    fn the_random_load_takes_what_is_left_and_never_nothing() {
        assert_eq!(soak_seconds(Duration::from_mins(40)), 40 * 60);
        assert_eq!(soak_seconds(Duration::ZERO), 60);
    }
}
