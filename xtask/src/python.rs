//! An interpreter that has schemathesis: one that was named, or one in a virtual environment of ours under `target/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Names an interpreter that has what the requirements say.
const GIVEN: &str = "FLORIN_CONTRACT_PYTHON";
/// What is needed, pinned and hashed.
const REQUIREMENTS: &str = "xtask/contract/requirements.txt";
/// Says whether virtual environments can be made here, and by which version.
const PROBE: &str = "import ensurepip, sys, venv; assert sys.version_info >= (3, 11); print(sys.version)";
const VERSION: &str = "import importlib.metadata as all; print(all.version('schemathesis'))";

/// The interpreter. What is missing is installed once; nothing is ever skipped.
pub(crate) fn with_schemathesis(root: &Path, folder: &Path) -> Result<PathBuf> {
    let requirements = root.join(REQUIREMENTS);
    let pinned =
        fs::read_to_string(&requirements).with_context(|| format!("{REQUIREMENTS} cannot be read"))?;
    let wanted = version(&pinned).with_context(|| format!("{REQUIREMENTS} names no schemathesis"))?;
    if let Some(given) = std::env::var_os(GIVEN).map(PathBuf::from) {
        let found = said(&given, VERSION);
        if found.as_deref() != Some(wanted) {
            bail!("{GIVEN} has schemathesis {found:?}, but {wanted} is wanted");
        }
        return Ok(given);
    }
    let (base, base_version) = base()?;
    let place = folder.join("venv");
    let python = place.join("bin/python");
    let stamp = place.join("made-of");
    let made_of = format!("{base_version}\n{pinned}");
    if fs::read_to_string(&stamp).is_ok_and(|stamp| stamp == made_of) && said(&python, VERSION).is_some() {
        return Ok(python);
    }
    println!("contract: making {} with schemathesis {wanted}", place.display());
    if place.exists() {
        fs::remove_dir_all(&place).with_context(|| format!("{} cannot be removed", place.display()))?;
    }
    call(Command::new(base).args(["-m", "venv"]).arg(&place))?;
    let install = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
    ];
    let strictly = ["--require-hashes", "--only-binary", ":all:", "--requirement"];
    call(
        Command::new(&python)
            .args(install)
            .args(strictly)
            .arg(&requirements),
    )?;
    fs::write(&stamp, made_of).with_context(|| format!("{} cannot be written", stamp.display()))?;
    Ok(python)
}

/// The version that is pinned.
fn version(requirements: &str) -> Option<&str> {
    let line = requirements
        .lines()
        .find_map(|line| line.strip_prefix("schemathesis=="))?;
    line.split_whitespace().next()
}

/// An interpreter that can make virtual environments, and its version.
fn base() -> Result<(PathBuf, String)> {
    if let Some(found) = look() {
        return Ok(found);
    }
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    if !is_root || !Path::new("/etc/debian_version").exists() {
        bail!(
            "no python3 from 3.11 on that can make virtual environments; install the package python3-venv, or name an interpreter in {GIVEN}"
        );
    }
    println!(
        "contract: no python3 that can make virtual environments; running: apt-get install -y python3-venv"
    );
    call(Command::new("apt-get").arg("update"))?;
    let quietly = ("DEBIAN_FRONTEND", "noninteractive");
    call(
        Command::new("apt-get")
            .args(["install", "-y", "python3-venv"])
            .env(quietly.0, quietly.1),
    )?;
    look().context("python3-venv is installed, but there is no python3 from 3.11 on")
}

fn look() -> Option<(PathBuf, String)> {
    let candidates = ["python3", "/usr/bin/python3"].map(PathBuf::from);
    candidates.into_iter().find_map(|candidate| {
        let version = said(&candidate, PROBE)?;
        Some((candidate, version))
    })
}

/// What a line of Python prints, if it ends well.
fn said(python: &Path, line: &str) -> Option<String> {
    let output = Command::new(python)
        .args(["-c", line])
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success().then_some(text)
}

fn call(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("{command:?} cannot be started"))?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_requirement_is_pinned_and_hashed() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("contract/requirements.txt");
        let text = fs::read_to_string(path).unwrap();
        let joined = text.replace("\\\n", " ");
        let lines: Vec<&str> = joined
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .collect();
        assert!(lines.len() > 10, "{lines:?}");
        for line in lines {
            assert!(line.contains("==") && line.contains("--hash=sha256:"), "{line}");
        }
        assert!(version(&text).is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit())));
    }

    #[test]
    fn the_pinned_version_is_read() {
        assert_eq!(
            version("click==8 \\\nschemathesis==4.1.2 \\\n    --hash=x\n"),
            Some("4.1.2")
        );
        assert_eq!(version("click==8\n"), None);
    }

    #[test]
    fn a_program_that_is_not_there_says_nothing() {
        assert_eq!(said(Path::new("/nowhere/python3"), VERSION), None);
    }
}
