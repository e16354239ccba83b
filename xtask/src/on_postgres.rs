//! The API and recovery suites once more, with journals in PostgreSQL: every test of a started node and of the API in one process, but for those that
//! are about the embedded journal itself, which are listed here with the reason.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::counts::{Counts, Runner};
use crate::gate;

/// What has nodes keep their journal in a database of their own.
const STORE: (&str, &str) = ("FLORIN_TEST_STORE", "postgres");

/// Tests of a started node, by how their names begin, that say nothing about a journal in a database, and why.
const LEFT_OUT: [(&str, &str); 0] = [];

/// The same for those that take too long for every change, and run at night.
const AT_NIGHT: [(&str, &str); 0] = [];

/// Which tests are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What every change is worth.
    Everyday,
    /// All that can be run.
    Nightly,
}

/// Runs the tests with the server that is given, or one of their own.
pub(crate) fn run(root: &Path, runner: Runner, extent: Extent, counts: &mut Counts) -> Result<()> {
    let skipped = skipped(&names(root)?, extent)?;
    let server = florin_services::shared()?;
    let mut outcome = Ok(());
    for (binary, skipped) in [("-p florin --test it", skipped.as_slice()), ("-p florin-api --test http", &[])] {
        let mut command = gate::cargo_command(root, &arguments(runner, binary));
        command.env(STORE.0, STORE.1);
        if let Some(server) = &server {
            command.env(florin_services::GIVEN, server.server_url());
        }
        if !skipped.is_empty() {
            command.arg("--");
        }
        for name in skipped {
            command.args(["--skip", name]);
        }
        // One failure hides no other.
        outcome = outcome.and(gate::run_counted(&mut command, runner, counts));
    }
    outcome
}

fn arguments(runner: Runner, binary: &str) -> String {
    match runner {
        Runner::Nextest => format!("nextest run --locked --color never {binary}"),
        Runner::Harness => format!("test --locked --no-fail-fast --color never {binary}"),
    }
}

/// All tests of a started node.
fn names(root: &Path) -> Result<Vec<String>> {
    let list = "test --locked --color never -p florin --test it -- --list --format terse";
    let output = gate::cargo_command(root, list)
        .stderr(Stdio::inherit())
        .output()
        .context("cargo cannot be started")?;
    if !output.status.success() {
        bail!("`cargo {list}` ended with {}", output.status);
    }
    let listed = String::from_utf8(output.stdout).context("a test whose name is no text")?;
    let names = listed.lines().filter_map(|line| line.strip_suffix(": test"));
    Ok(names.map(str::to_owned).collect())
}

/// What a runner is told to skip. A line that names no test is refused, and so is one that would take others along: runners look for a text anywhere in
/// a name. So a new test is run unless somebody lists it.
fn skipped(names: &[String], extent: Extent) -> Result<Vec<&'static str>> {
    let at_night: &[_] = match extent {
        Extent::Everyday => &AT_NIGHT,
        Extent::Nightly => &[],
    };
    for (listed, _) in LEFT_OUT.iter().chain(&AT_NIGHT) {
        unambiguous(names, listed)?;
    }
    let skipped: Vec<&str> = LEFT_OUT.iter().chain(at_night).map(|(listed, _)| *listed).collect();
    let left = names.iter().filter(|name| skipped.iter().any(|listed| name.starts_with(listed)));
    println!("{} of {} tests of a started node are left out: xtask/src/on_postgres.rs says why", left.count(), names.len());
    Ok(skipped)
}

fn unambiguous(names: &[String], listed: &str) -> Result<()> {
    let found: Vec<&String> = names.iter().filter(|name| name.contains(listed)).collect();
    if found.is_empty() {
        bail!("`{listed}` is left out of the runs on PostgreSQL, and no test is called so");
    }
    match found.into_iter().find(|name| !name.starts_with(listed)) {
        Some(other) => bail!("`{listed}` is left out of the runs on PostgreSQL, and would take `{other}` along"),
        None => Ok(()),
    }
}
