//! `cargo xtask bench-compare`: payments and the ledger beside conventional designs of both, in one run on one disk. The servers are its own.

mod ledger;
mod payments;
mod payments_table;

use std::path::Path;

use anyhow::{Context, Result, bail};
use florin_services::Installation;
use serde_json::{Value, json};

use crate::release::{Folder, build, target};

/// Seconds of each load unless asked otherwise.
const SECONDS: u64 = 8;
const SECONDS_MAX: u64 = 600;
const SECONDS_OPTION: &str = "--seconds";
/// How often payments are measured, each design in turn.
const ROUNDS: u64 = 3;
const ROUNDS_MAX: u64 = 100;

/// Nothing is answered before it is on the disk. The rest is room, so that neither a small cache nor a checkpoint slows it down.
const SERVER_SETTINGS: [&str; 6] = [
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
    "shared_buffers=512MB",
    "max_wal_size=8GB",
    "checkpoint_timeout=30min",
];

/// Measures what was asked for, prints the tables, and last one line of JSON.
pub(crate) fn run(root: &Path, words: &[&str]) -> Result<()> {
    let wanted = Wanted::parse(words)?;
    let installation = Installation::find()?;
    println!("bench-compare: building, in the release profile");
    build(root, &["--package", "florin", "--bin", "florin"])?;
    let folder = Folder::new(target(root).join(format!("bench-compare/{}", std::process::id())))?;
    let mut report = json!({"bench": "compare", "seconds": wanted.seconds});
    if wanted.payments {
        let (table, figures) = payments::measure(root, &installation, folder.path(), wanted)?;
        print!("\n{table}\n");
        report["payments"] = figures;
    }
    if wanted.ledger {
        let (table, figures) = ledger::measure(root, &installation, (folder.path(), wanted.seconds))?;
        print!("\n{table}\n");
        report["ledger"] = figures;
    }
    println!("{report}");
    Ok(())
}

/// What is measured, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wanted {
    payments: bool,
    ledger: bool,
    seconds: u64,
    rounds: u64,
}

impl Wanted {
    fn parse(words: &[&str]) -> Result<Self> {
        let (mut payments, mut ledger) = (false, false);
        let (mut seconds, mut rounds) = (SECONDS, ROUNDS);
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--payments" => payments = true,
                "--ledger" => ledger = true,
                SECONDS_OPTION => seconds = whole(SECONDS_OPTION, words.next(), SECONDS_MAX)?,
                "--rounds" => rounds = whole("--rounds", words.next(), ROUNDS_MAX)?,
                other => bail!(
                    "bench-compare takes --payments, --ledger, --seconds <number> and --rounds <number>, not `{other}`"
                ),
            }
        }
        let neither = !payments && !ledger;
        Ok(Self {
            payments: payments || neither,
            ledger: ledger || neither,
            seconds,
            rounds,
        })
    }
}

fn whole(option: &str, word: Option<&&str>, max: u64) -> Result<u64> {
    let word = word.with_context(|| format!("{option} needs a number"))?;
    match word.parse() {
        Ok(number) if (1..=max).contains(&number) => Ok(number),
        _ => bail!("{option} must be a whole number from 1 to {max}, not `{word}`"),
    }
}

fn number(report: &Value, name: &str) -> Result<f64> {
    report
        .get(name)
        .and_then(Value::as_f64)
        .with_context(|| format!("the report has no number `{name}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_is_read_and_anything_else_is_refused() {
        let of = |payments, ledger, seconds, rounds| Wanted {
            payments,
            ledger,
            seconds,
            rounds,
        };
        let rows: [(&[&str], Wanted); 4] = [
            (&[], of(true, true, SECONDS, ROUNDS)),
            (&["--seconds", "30"], of(true, true, 30, ROUNDS)),
            (&["--ledger"], of(false, true, SECONDS, ROUNDS)),
            (&["--payments", "--rounds", "5"], of(true, false, SECONDS, 5)),
        ];
        for (words, wanted) in rows {
            assert_eq!(Wanted::parse(words).unwrap(), wanted, "{words:?}");
        }
        let rows: [&[&str]; 7] = [
            &["--seconds"],
            &["--seconds", "0"],
            &["--seconds", "601"],
            &["--seconds", "soon"],
            &["--rounds", "0"],
            &["30"],
            &["--seconds", "3", "4"],
        ];
        for words in rows {
            assert!(Wanted::parse(words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn a_folder_goes_with_its_value() {
        let path = std::env::temp_dir().join(format!("florin-compare-{}", std::process::id()));
        let folder = Folder::new(path.clone()).unwrap();
        std::fs::write(path.join("row"), "1").unwrap();
        drop(folder);
        assert!(!path.exists());
    }
}
