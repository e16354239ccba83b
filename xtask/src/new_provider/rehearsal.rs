//! A newcomer in a copy of the checkout, held against what the gate asks of everything: that it is formatted, passes clippy, its own tests, the
//! conformance suite as far as it goes, and tidy. Takes minutes, so it is part of `cargo xtask nightly`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::{gate, tidy};

/// As long as a name can be, so that the longest lines are met.
const NEWCOMER: &str = "a_newcomers_name";
const COPY: &str = "target/new-provider";

/// Stages in the copy.
const STAGES: [&str; 5] = [
    "fmt --all --check",
    "clippy --locked -p florin-adapters -p florin-sandbox --all-targets -- -D warnings",
    "test --locked --color never -p florin-adapters --lib providers::a_newcomers_name",
    "test --locked --color never -p florin-adapters --test conformance a_newcomers_name",
    "test --locked --color never -p florin-sandbox a_newcomers_name",
];

/// Makes the copy, generates, runs the stages, and takes the copy away if all is well.
pub(crate) fn run(root: &Path) -> Result<()> {
    let copy = root.join(COPY);
    if copy.exists() {
        fs::remove_dir_all(&copy).with_context(|| format!("{} cannot be removed", copy.display()))?;
    }
    copy_tree(root, root, &copy)?;
    super::run(&copy, &[NEWCOMER])?;
    for args in STAGES {
        println!("{COPY}: cargo {args}");
        // What others wrote is compiled already.
        let mut command = gate::cargo_command(&copy, args);
        let built = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| root.join("target").into());
        let status = command.env("CARGO_TARGET_DIR", built).status();
        let status = status.context("cargo cannot be started")?;
        if !status.success() {
            bail!("cargo ended with {status} in {COPY}");
        }
    }
    tidy::run(&copy)?;
    fs::remove_dir_all(&copy).with_context(|| format!("{} cannot be removed", copy.display()))
}

/// Everything but hidden files, build output and data.
fn copy_tree(root: &Path, from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("{} cannot be made", to.display()))?;
    let entries = fs::read_dir(from).with_context(|| format!("{} cannot be listed", from.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("{} cannot be listed", from.display()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_output = from == root && matches!(&*name, "target" | "florin-data" | "florin-bench-data");
        if is_output || name == ".git" {
            continue;
        }
        let (source, target) = (entry.path(), to.join(&name));
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            copy_tree(root, &source, &target)?;
        } else {
            fs::copy(&source, &target).with_context(|| format!("{} cannot be copied", source.display()))?;
        }
    }
    Ok(())
}
