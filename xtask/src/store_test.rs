//! Nodes on a shared store under trouble, written down and given to the checker: what is left of everything that was acknowledged.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{gate, release};

/// The tests that write runs down, and the checker as a program.
const TESTS: &str = "test --locked --color never -p florin --test it store_test:: -- --nocapture";
const BUILDS: [&str; 2] = [
    "test --locked --color never -p florin --test it --no-run",
    "build --locked --color never -p florin-store-check",
];

/// Without the fence.
const CONTROL: &str = "control";

/// How often everything is done: enough for a change, or for an hour.
const ROUNDS_SHORT: usize = 3;
const ROUNDS_LONG: usize = 20;

/// What the checker says of runs, added up.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sums {
    acked: u64,
    lost: u64,
    doubled: u64,
    broken: u64,
    fenced: u64,
}

/// Runs the tests, has the checker look at what they wrote down, and says the sums in its last line.
pub(crate) fn run(root: &Path, words: &[&str]) -> Result<()> {
    let rounds = match words {
        ["--short"] => ROUNDS_SHORT,
        [] => ROUNDS_LONG,
        words => bail!("`store-test` knows only --short, not `{}`", words.join(" ")),
    };
    florin_services::Installation::find_or_install()?;
    for build in BUILDS {
        let built = gate::cargo_command(root, build).status();
        if !built.context("cargo cannot be started")?.success() {
            bail!("`cargo {build}` failed");
        }
    }
    let runs = release::target(root).join("store-test");
    let checker = release::target(root).join("debug/florin-store-check");
    let (mut sums, mut is_caught) = (Sums::default(), true);
    for round in 0..rounds {
        let folder = runs.join(round.to_string());
        drop(fs::remove_dir_all(&folder));
        let mut tests = gate::cargo_command(root, TESTS);
        tests.env("FLORIN_STORE_TEST_FOLDER", &folder);
        if !tests.status().context("cargo cannot be started")?.success() {
            bail!("a run failed; what was written down is in {}", folder.display());
        }
        let found = fs::read_dir(&folder).with_context(|| format!("{} cannot be read", folder.display()))?;
        for run in found {
            let run = run.context("a run cannot be found")?.path();
            let is_control = run.file_name().is_some_and(|name| name == CONTROL);
            let is_clean = look(&checker, &run, (!is_control).then_some(&mut sums))?;
            is_caught &= is_control != is_clean;
        }
    }
    let Sums {
        acked,
        lost,
        doubled,
        broken,
        fenced,
    } = sums;
    println!("acked={acked} lost={lost} doubled={doubled} fenced={fenced} control_caught={is_caught}");
    if lost + doubled + broken > 0 || !is_caught || acked == 0 || fenced == 0 {
        bail!("the store did not keep its promise, or the checker did not see that it was broken");
    }
    Ok(())
}

/// Has the checker look at a run: whether it is clean. What it says is added to `sums`.
fn look(checker: &Path, run: &Path, sums: Option<&mut Sums>) -> Result<bool> {
    let output = Command::new(checker)
        .arg(run)
        .output()
        .with_context(|| format!("{} cannot be started", checker.display()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let verdict = said.lines().last().unwrap_or_default();
    println!("{}: {verdict}", run.display());
    let is_clean = match output.status.code() {
        Some(0) => true,
        Some(1) => false,
        _ => bail!("the checker: {}", String::from_utf8_lossy(&output.stderr).trim()),
    };
    if let Some(sums) = sums {
        if !is_clean {
            print!("{said}");
        }
        let fenced = fs::read_to_string(run.join("fenced")).context("nobody says how many were fenced")?;
        add(sums, &format!("{verdict} fenced={}", fenced.trim()))?;
    }
    Ok(is_clean)
}

/// Adds `name=number` of a line.
fn add(sums: &mut Sums, line: &str) -> Result<()> {
    for word in line.split_whitespace() {
        let (name, number) = word
            .split_once('=')
            .with_context(|| format!("`{word}` is no sum"))?;
        let number: u64 = number.parse().with_context(|| format!("`{word}` is no number"))?;
        match name {
            "acked" => sums.acked += number,
            "lost" => sums.lost += number,
            "doubled" => sums.doubled += number,
            "broken" => sums.broken += number,
            "fenced" => sums.fenced += number,
            name => bail!("nobody knows the sum `{name}`"),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Sums, add};

    #[test]
    fn what_the_checker_says_is_added_up() {
        let mut sums = Sums::default();
        add(&mut sums, "acked=3 lost=0 doubled=1 broken=0 fenced=2").unwrap();
        add(&mut sums, "acked=4 lost=1 doubled=0 broken=5 fenced=0").unwrap();
        let expected = Sums {
            acked: 7,
            lost: 1,
            doubled: 1,
            broken: 5,
            fenced: 2,
        };
        assert_eq!(sums, expected);
        for bad in ["", "acked", "acked=many", "found=1"] {
            let is_refused = add(&mut sums, bad).is_err();
            assert_eq!(is_refused, !bad.is_empty(), "{bad}");
        }
    }
}
