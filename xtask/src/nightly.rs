//! What takes too long for every change: the gate with many cases, a crash at every point, many simulated runs, a newcomer
//! from the templates, memory under many payments, and a long random load, one after another.

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

/// Runs all parts and shows what each took. One that fails ends it.
pub(crate) fn run(root: &Path, words: &[&str]) -> Result<()> {
    let total = minutes(words)?;
    let started = Instant::now();
    let mut shown = String::new();
    let mut part = |name: &str, work: &dyn Fn() -> Result<()>| {
        println!("\n=== nightly: {name}");
        let began = Instant::now();
        let outcome = work().with_context(|| format!("`{name}` failed"));
        let how = if outcome.is_ok() { "ok" } else { "FAILED" };
        let line = format!("  {name:<14}{:>8.1} s  {how}\n", began.elapsed().as_secs_f64());
        shown.push_str(&line);
        outcome
    };
    let outcome = part("gate", &|| gate::run(root, Some(PROPTEST_CASES)))
        .and_then(|()| part("fuzz", &|| fuzz::run_for(root, FUZZ_SECONDS)))
        .and_then(|()| {
            part("crash points", &|| {
                cargo(root, gate::CRASH_TESTS, ("FLORIN_CRASH_ALL", "1"))
            })
        })
        .and_then(|()| {
            part("simulation", &|| {
                cargo(root, gate::SIMULATION, ("FLORIN_SIMULATION_SEEDS", SEEDS))
            })
        })
        .and_then(|()| part("postgres", &|| on_postgres::alone(root, Extent::Nightly)))
        .and_then(|()| part("new provider", &|| new_provider::rehearse(root)))
        .and_then(|()| part("memory", &|| memory::run(root, &[])))
        .and_then(|()| {
            let seconds = soak_seconds(total, started.elapsed()).to_string();
            part("soak", &|| cargo(root, SOAK, ("FLORIN_SOAK_SECONDS", &seconds)))
        });
    print!("\n{shown}");
    outcome
}

fn minutes(words: &[&str]) -> Result<Duration> {
    let minutes = match words {
        [] => MINUTES,
        ["--minutes", number] => match number.parse() {
            Ok(minutes @ 1..=MINUTES_MAX) => minutes,
            Ok(_) | Err(_) => bail!("--minutes must be a number from 1 to {MINUTES_MAX}, not `{number}`"),
        },
        words => bail!("`nightly` knows only --minutes, not `{}`", words.join(" ")),
    };
    Ok(Duration::from_mins(minutes))
}

fn soak_seconds(total: Duration, elapsed: Duration) -> u64 {
    total.saturating_sub(elapsed).max(SOAK_MIN).as_secs()
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
        assert_eq!(minutes(&[]).unwrap(), Duration::from_hours(1));
        assert_eq!(minutes(&["--minutes", "5"]).unwrap(), Duration::from_mins(5));
        for wrong in [
            &["--minutes", "0"][..],
            &["--minutes", "1441"],
            &["--minutes", "x"],
            &["--minutes"],
            &["5"],
        ] {
            let error = minutes(wrong).unwrap_err().to_string();
            assert!(error.contains("--minutes"), "{wrong:?}: {error}");
        }
    }

    #[test]
    fn the_random_load_takes_what_is_left_and_never_nothing() {
        let hour = Duration::from_hours(1);
        assert_eq!(soak_seconds(hour, Duration::from_mins(20)), 40 * 60);
        assert_eq!(soak_seconds(hour, Duration::from_mins(70)), 60);
    }
}
