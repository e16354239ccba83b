//! A Node.js that has pinned packages: one that was named, or the machine's own, with the packages in a folder of ours under `target/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::python::{call, is_root_on_debian};

/// The variable that names a `node` of our version or a later one.
const GIVEN: &str = "FLORIN_SDK_NODE";
/// What the packages need.
const MAJOR_MIN: u32 = 20;
/// What is needed, pinned and hashed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pinned {
    /// For people.
    pub(crate) what: &'static str,
    /// The folder that names it.
    pub(crate) files: &'static str,
}
const FILES: [&str; 2] = ["package.json", "package-lock.json"];

/// The program, and a folder below this one whose scripts find the packages. What is missing is installed once; nothing is ever skipped.
pub(crate) fn with(root: &Path, folder: &Path, pinned: Pinned) -> Result<(PathBuf, PathBuf)> {
    let Pinned { what, files } = pinned;
    let node = program()?;
    let place = folder.join("node");
    let made_of = fs::read_to_string(root.join(files).join(FILES[1]))
        .with_context(|| format!("{files}/{} cannot be read", FILES[1]))?;
    let stamp = place.join("made-of");
    if fs::read_to_string(&stamp).is_ok_and(|stamp| stamp == made_of) {
        return Ok((node, place));
    }
    println!("making {} with {what}", place.display());
    if place.exists() {
        fs::remove_dir_all(&place).with_context(|| format!("{} cannot be removed", place.display()))?;
    }
    fs::create_dir_all(&place).with_context(|| format!("{} cannot be made", place.display()))?;
    for file in FILES {
        fs::copy(root.join(files).join(file), place.join(file))
            .with_context(|| format!("{files}/{file} cannot be copied"))?;
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
        found => {
            bail!("node has the version {found:?}, but {MAJOR_MIN} is needed; name another one in {GIVEN}")
        }
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
    fn every_package_is_pinned_and_hashed_and_names_no_host() {
        for folder in ["sdk/node", "sdk/clients"] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
            let lock = fs::read_to_string(folder.join(FILES[1])).unwrap();
            assert!(!lock.contains("\"resolved\""));
            let hashes = lock.matches("\"integrity\": \"sha512-").count();
            assert_eq!(hashes, lock.matches("\"node_modules/").count());
            assert!(hashes > 0);
            let package = fs::read_to_string(folder.join(FILES[0])).unwrap();
            let wanted = package.split("\"dependencies\": {").nth(1).unwrap();
            let wanted = wanted.split('}').next().unwrap();
            for pinned in wanted.split('"').skip(3).step_by(4) {
                let is_exact = pinned.chars().all(|each| each.is_ascii_digit() || each == '.');
                assert!(is_exact, "{pinned}");
                assert!(lock.contains(&format!("\"version\": \"{pinned}\"")));
            }
        }
    }
}
