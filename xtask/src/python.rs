//! An interpreter that has a pinned package: one that was named, or one in a virtual environment of ours under `target/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// What an interpreter must have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// The package.
    pub(crate) package: &'static str,
    /// What is needed, pinned and hashed.
    pub(crate) requirements: &'static str,
    /// The variable that names an interpreter which has what the requirements say.
    pub(crate) given: &'static str,
}

/// Says whether virtual environments can be made here, and by which version.
const PROBE: &str = "import ensurepip, sys, venv; assert sys.version_info >= (3, 11); print(sys.version)";

/// The interpreter. What is missing is installed once; nothing is ever skipped.
pub(crate) fn with(root: &Path, folder: &Path, wanted: Wanted) -> Result<PathBuf> {
    let Wanted {
        package,
        requirements,
        given,
    } = wanted;
    let pinned = fs::read_to_string(root.join(requirements))
        .with_context(|| format!("{requirements} cannot be read"))?;
    let wanted = version(&pinned, package).with_context(|| format!("{requirements} names no {package}"))?;
    let ask = format!("import importlib.metadata as all; print(all.version('{package}'))");
    if let Some(named) = std::env::var_os(given).map(PathBuf::from) {
        let found = said(&named, &ask);
        if found.as_deref() != Some(wanted) {
            bail!("{given} has {package} {found:?}, but {wanted} is wanted");
        }
        return Ok(named);
    }
    let (base, base_version) = base(given)?;
    let place = folder.join("venv");
    let python = place.join("bin/python");
    let stamp = place.join("made-of");
    let made_of = format!("{base_version}\n{pinned}");
    if fs::read_to_string(&stamp).is_ok_and(|stamp| stamp == made_of) && said(&python, &ask).is_some() {
        return Ok(python);
    }
    println!("making {} with {package} {wanted}", place.display());
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
            .arg(root.join(requirements)),
    )?;
    fs::write(&stamp, made_of).with_context(|| format!("{} cannot be written", stamp.display()))?;
    Ok(python)
}

/// The version that is pinned.
fn version<'a>(requirements: &'a str, package: &str) -> Option<&'a str> {
    let line = requirements
        .lines()
        .find_map(|line| line.strip_prefix(package)?.strip_prefix("=="))?;
    line.split_whitespace().next()
}

/// An interpreter that can make virtual environments, and its version.
fn base(given: &str) -> Result<(PathBuf, String)> {
    if let Some(found) = look() {
        return Ok(found);
    }
    if !is_root_on_debian() {
        bail!(
            "no python3 from 3.11 on that can make virtual environments; install the package python3-venv, or name an interpreter in {given}"
        );
    }
    println!("no python3 that can make virtual environments; running: apt-get install -y python3-venv");
    call(Command::new("apt-get").arg("update"))?;
    let quietly = ("DEBIAN_FRONTEND", "noninteractive");
    call(
        Command::new("apt-get")
            .args(["install", "-y", "python3-venv"])
            .env(quietly.0, quietly.1),
    )?;
    look().context("python3-venv is installed, but there is no python3 from 3.11 on")
}

/// Where we may install packages by ourselves.
pub(crate) fn is_root_on_debian() -> bool {
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    is_root && Path::new("/etc/debian_version").exists()
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

/// Runs a command, which has to end well.
pub(crate) fn call(command: &mut Command) -> Result<()> {
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
        for (folder, package, at_least) in [
            ("contract", "schemathesis", 10),
            ("sdk", "adyen", 8),
            ("sdk", "stripe", 8),
            ("sdk/clients", "openapi-python-client", 20),
        ] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join(folder)
                .join("requirements.txt");
            let text = fs::read_to_string(path).unwrap();
            let joined = text.replace("\\\n", " ");
            let lines: Vec<&str> = joined
                .lines()
                .filter(|line| !line.is_empty() && !line.starts_with('#'))
                .collect();
            assert!(lines.len() >= at_least, "{lines:?}");
            for line in lines {
                assert!(line.contains("==") && line.contains("--hash=sha256:"), "{line}");
            }
            let version = version(&text, package);
            assert!(version.is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit())));
        }
    }

    #[test]
    fn the_pinned_version_is_read() {
        assert_eq!(
            version(
                "click==8 \\\nschemathesis==4.1.2 \\\n    --hash=x\n",
                "schemathesis"
            ),
            Some("4.1.2")
        );
        assert_eq!(version("click==8\n", "schemathesis"), None);
    }

    #[test]
    fn a_program_that_is_not_there_says_nothing() {
        assert_eq!(said(Path::new("/nowhere/python3"), "print(1)"), None);
    }
}
