//! The browser stage: a real Chromium of a phone's size pays on the checkout page of a running `florin dev`. The script speaks to its driver
//! itself, so that nothing but the browser, its driver and a plain Python is needed.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::contract::{Server, build};
use crate::python::is_root_on_debian;
use crate::sdk::run_script;

const SCRIPT: &str = "tests/browser/checkout.py";
/// What is needed: the program, the variable that names another one, and Debian's package.
const PROGRAMS: [(&str, &str, &str); 3] = [
    ("chromedriver", "FLORIN_CHROMEDRIVER", "chromium-driver"),
    ("chromium", "FLORIN_CHROMIUM", "chromium"),
    ("python3", "FLORIN_BROWSER_PYTHON", "python3"),
];

/// Runs the stage.
pub(crate) fn run(root: &Path) -> Result<()> {
    let [driver, chromium, python] = programs()?;
    let folder = root.join("target/browser");
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let binary = build(root)?;
    let data = folder.join(format!("data-{}", std::process::id()));
    let started = Instant::now();
    let server = Server::start(&binary, &data)?;
    let pictures = folder.join("pictures").display().to_string();
    let address = format!("http://{}", server.address);
    let arguments = [address.as_str(), &driver, &chromium, &pictures];
    let outcome = run_script(root, Path::new(&python), SCRIPT, &arguments);
    let looked = server.end(&data);
    drop(fs::remove_dir_all(&data));
    outcome?;
    looked?;
    println!(
        "browser: {:.1} s, pictures in {pictures}",
        started.elapsed().as_secs_f64()
    );
    Ok(())
}

/// Every program by its name or path. What is missing is installed once; nothing is ever skipped.
fn programs() -> Result<[String; 3]> {
    let named =
        PROGRAMS.map(|(program, given, _)| std::env::var(given).unwrap_or_else(|_| program.to_owned()));
    let lacks = |named: &[String; 3]| -> Vec<(&str, &str)> {
        let rows = PROGRAMS.iter().zip(named).filter(|(_, program)| !runs(program));
        rows.map(|((_, given, package), _)| (*given, *package)).collect()
    };
    let missing = lacks(&named);
    if missing.is_empty() {
        return Ok(named);
    }
    let packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
    let given: Vec<&str> = missing.iter().map(|(given, _)| *given).collect();
    if !is_root_on_debian() {
        bail!(
            "install the packages {}, or name the programs in {}",
            packages.join(" and "),
            given.join(" and ")
        );
    }
    println!("running: apt-get install -y {}", packages.join(" "));
    for arguments in [vec!["update"], [vec!["install", "-y"], packages].concat()] {
        let mut command = Command::new("apt-get");
        let status = command
            .args(&arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .status()
            .context("apt-get cannot be started")?;
        if !status.success() {
            bail!("{command:?} ended with {status}");
        }
    }
    match lacks(&named).first() {
        None => Ok(named),
        Some((given, package)) => {
            bail!("{package} is installed, and its program does not run; name one in {given}")
        }
    }
}

fn runs(program: &str) -> bool {
    let status = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_there_does_not_run() {
        assert!(!runs("/nowhere/chromium"));
        assert!(runs(env!("CARGO")));
    }
}
