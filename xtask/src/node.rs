//! A Node.js that has Stripe's SDK: one that was named, or the machine's own, with the pinned package in a folder of ours under `target/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::python::{call, is_root_on_debian};

/// The variable that names a `node` of our version or a later one.
const GIVEN: &str = "FLORIN_SDK_NODE";
/// What the SDK needs.
const MAJOR_MIN: u32 = 20;
/// What is needed, pinned and hashed.
const PINNED: &str = "xtask/sdk/node";
const FILES: [&str; 2] = ["package.json", "package-lock.json"];

/// The program, and a folder whose scripts find the SDK. What is missing is installed once; nothing is ever skipped.
pub(crate) fn with(root: &Path, folder: &Path) -> Result<(PathBuf, PathBuf)> {
    let node = program()?;
    let place = folder.join("node");
    let made_of = fs::read_to_string(root.join(PINNED).join(FILES[1]))
        .with_context(|| format!("{PINNED}/{} cannot be read", FILES[1]))?;
    let stamp = place.join("made-of");
    if fs::read_to_string(&stamp).is_ok_and(|stamp| stamp == made_of) {
        return Ok((node, place));
    }
    println!("making {} with Stripe's SDK", place.display());
    if place.exists() {
        fs::remove_dir_all(&place).with_context(|| format!("{} cannot be removed", place.display()))?;
    }
    fs::create_dir_all(&place).with_context(|| format!("{} cannot be made", place.display()))?;
    for file in FILES {
        fs::copy(root.join(PINNED).join(file), place.join(file))
            .with_context(|| format!("{PINNED}/{file} cannot be copied"))?;
    }
    let install = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
    call(Command::new("npm").args(install).current_dir(&place))?;
    fs::write(&stamp, made_of).with_context(|| format!("{} cannot be written", stamp.display()))?;
    Ok((node, place))
}

fn program() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os(GIVEN).map(PathBuf::from) {
        return match major(&named) {
            Some(found) if found >= MAJOR_MIN => Ok(named),
            found => bail!("{GIVEN} has the version {found:?}, but at least {MAJOR_MIN} is wanted"),
        };
    }
    let usual = PathBuf::from("node");
    if major(&usual).is_none() || !is_there("npm") {
        if !is_root_on_debian() {
            bail!("no node and npm; install the packages nodejs and npm, or name a node in {GIVEN}");
        }
        println!("no node and npm; running: apt-get install -y nodejs npm");
        call(Command::new("apt-get").arg("update"))?;
        let install = ["install", "-y", "--no-install-recommends", "nodejs", "npm"];
        call(
            Command::new("apt-get")
                .args(install)
                .env("DEBIAN_FRONTEND", "noninteractive"),
        )?;
    }
    match major(&usual) {
        Some(found) if found >= MAJOR_MIN => Ok(usual),
        found => bail!(
            "node has the version {found:?}, but Stripe's SDK needs {MAJOR_MIN}; name another one in {GIVEN}"
        ),
    }
}

fn is_there(program: &str) -> bool {
    let asked = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    asked.is_ok_and(|status| status.success())
}

/// Of `v20.1.2`, 20.
fn major(node: &Path) -> Option<u32> {
    let output = Command::new(node)
        .arg("--version")
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_is_pinned_and_hashed_and_names_no_host() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk/node");
        let lock = fs::read_to_string(folder.join(FILES[1])).unwrap();
        assert!(lock.contains("\"integrity\": \"sha512-") && !lock.contains("\"resolved\""));
        let package = fs::read_to_string(folder.join(FILES[0])).unwrap();
        let pinned = package
            .split("\"stripe\": \"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap();
        assert!(
            pinned.starts_with(|first: char| first.is_ascii_digit()),
            "{pinned}"
        );
        assert!(lock.contains(&format!("\"version\": \"{pinned}\"")));
    }
}
