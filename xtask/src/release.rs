//! The programs as they are released: built, run to their end in a folder of their own, and asked for their last line.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Where cargo builds.
pub(crate) fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

/// Builds in the release profile.
pub(crate) fn build(root: &Path, what: &[&str]) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--release", "--locked"])
        .args(what)
        .current_dir(root)
        .status()
        .context("cargo cannot be started")?;
    ensure!(status.success(), "cargo build ended with {status}");
    Ok(())
}

/// A folder that is deleted with the value that stands for it.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// A new one, in the place of whatever is there.
    pub(crate) fn new(path: PathBuf) -> Result<Self> {
        if path.exists() {
            // What a process of the same number left behind.
            fs::remove_dir_all(&path).with_context(|| format!("{} cannot be removed", path.display()))?;
        }
        fs::create_dir_all(&path).with_context(|| format!("{} cannot be made", path.display()))?;
        Ok(Self { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            eprintln!("xtask: {} stays behind: {error}", self.path.display());
        }
    }
}

/// Runs a program to its end; the last line that it prints is a JSON object.
pub(crate) fn last_line(command: &mut Command) -> Result<Value> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("{} cannot be started", command.get_program().display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let program = command.get_program().display();
    ensure!(
        output.status.success(),
        "{program} ended with {}\n{text}",
        output.status
    );
    let line = text.lines().last().unwrap_or_default();
    serde_json::from_str(line).with_context(|| format!("the last line of {program} is no JSON: {line}"))
}

/// The built `florin`, with no setting from outside.
pub(crate) fn florin(root: &Path) -> Command {
    let mut command = Command::new(target(root).join("release/florin"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("FLORIN_") {
            command.env_remove(name);
        }
    }
    command.env("FLORIN_LOG", "warn");
    command
}
