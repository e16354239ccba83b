//! Runs the fuzz targets one after the other for a while each; what they are is found out by their names.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::gate;

/// Seconds for each target, unless it is said; and the most that can be.
const SECONDS: u64 = 60;
const SECONDS_MAX: u64 = 24 * 60 * 60;
/// One after the other, in every crate, whichever fails.
pub(crate) const TARGETS: &str = "test --workspace --locked --no-fail-fast --color never --lib --bins --test verify fuzz -- --test-threads=1 --nocapture";

pub(crate) fn run(root: &Path, words: &[&str]) -> Result<()> {
    run_for(root, seconds(words)?)
}

/// The same where the seconds are known.
pub(crate) fn run_for(root: &Path, seconds: u64) -> Result<()> {
    println!("FLORIN_FUZZ_S={seconds} cargo {TARGETS}");
    let mut command = gate::cargo_command(root, TARGETS);
    let status = command.env("FLORIN_FUZZ_S", seconds.to_string()).status();
    let status = status.context("cargo cannot be started")?;
    if !status.success() {
        bail!("cargo ended with {status}: what failed is in tests/data/fuzz");
    }
    Ok(())
}

fn seconds(words: &[&str]) -> Result<u64> {
    match words {
        [] => Ok(SECONDS),
        ["--seconds", number] => match number.parse() {
            Ok(seconds @ 1..=SECONDS_MAX) => Ok(seconds),
            Ok(_) | Err(_) => bail!("--seconds must be a number from 1 to {SECONDS_MAX}, not `{number}`"),
        },
        words => bail!("`fuzz` knows only --seconds, not `{}`", words.join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_a_number_within_a_day() {
        assert_eq!(seconds(&[]).unwrap(), 60);
        assert_eq!(seconds(&["--seconds", "5"]).unwrap(), 5);
        for wrong in [
            &["--seconds", "0"][..],
            &["--seconds", "86401"],
            &["--seconds"],
            &["5"],
        ] {
            let error = seconds(wrong).unwrap_err().to_string();
            assert!(error.contains("--seconds"), "{wrong:?}: {error}");
        }
    }
}
