//! The SDK stage: the official SDKs of providers speak to the sandbox, and Stripe's to Florin itself, which proves that both speak their language.
//! And what README and docs show is tried, and so are clients that are made of our OpenAPI document.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::clients;
use crate::contract::{Server, build, lines, without_ours};
use crate::node;
use crate::python::{self, Wanted};

/// Adyen's.
const ADYEN: Wanted = Wanted {
    package: "adyen",
    requirements: "xtask/sdk/requirements.txt",
    given: "FLORIN_SDK_PYTHON",
};
/// Stripe's, in the same place.
const STRIPE: Wanted = Wanted {
    package: "stripe",
    ..ADYEN
};
const STRIPE_NODE: node::Pinned = node::Pinned {
    what: "Stripe's SDK",
    files: "xtask/sdk/node",
};
const STRIPE_SCRIPT: &str = "tests/sdk/stripe_merchant.py";
const NODE_SCRIPT: &str = "tests/sdk/stripe_merchant.mjs";
const SAMPLES_SCRIPT: &str = "tests/sdk/samples.py";
/// Where samples are: every document, and each folder's.
const DOCUMENTS: [&str; 4] = ["", "docs", "docs/adr", "docs/errors"];
/// How `samples.py` names a file that has something to try.
const TO_TRY: &str = "samples: try ";
const ADYEN_SCRIPT: &str = "tests/sdk/adyen_sandbox.py";
/// How long the sandbox may take to start.
const START_MAX: Duration = Duration::from_mins(1);
/// Whatever else it takes, a script ends here.
const SCRIPT_MAX: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(100);

/// Runs the stage.
pub(crate) fn run(root: &Path) -> Result<()> {
    let folder = root.join("target/sdk");
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let python = python::with(root, &folder, ADYEN)?;
    let stripes = python::with(root, &folder, STRIPE)?;
    let (node, place) = node::with(root, &folder, STRIPE_NODE)?;
    let binary = build(root)?;
    let data = folder.join(format!("data-{}", std::process::id()));
    for (name, speak, python) in [
        ("adyen", to_sandbox as Conversation, &python),
        ("stripe", to_florin, &stripes),
        ("samples", as_shown, &stripes),
    ] {
        let started = Instant::now();
        let outcome = speak(root, python, &binary, &data);
        drop(fs::remove_dir_all(&data));
        outcome?;
        println!("sdk, {name}: {:.1} s", started.elapsed().as_secs_f64());
    }
    let started = Instant::now();
    let outcome = from_node(root, &node, &place, &binary, &data);
    drop(fs::remove_dir_all(&data));
    outcome?;
    println!("sdk, stripe for node: {:.1} s", started.elapsed().as_secs_f64());
    let started = Instant::now();
    let outcome = clients::run(root, &folder, &binary, &data);
    drop(fs::remove_dir_all(&data));
    outcome?;
    println!("sdk, clients: {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}

/// Has an SDK speak: the workspace, its interpreter, the binary, and a folder for what it keeps.
type Conversation = fn(&Path, &Path, &Path, &Path) -> Result<()>;

/// Stripe's SDK and a whole `florin dev`.
fn to_florin(root: &Path, python: &Path, binary: &Path, data: &Path) -> Result<()> {
    let server = Server::start(binary, data)?;
    run_script(
        root,
        python,
        STRIPE_SCRIPT,
        &[&format!("http://{}", server.address)],
    )?;
    server.end(data)
}

/// Stripe's SDK for Node.js, which lies in a folder, and a whole `florin dev`.
fn from_node(root: &Path, node: &Path, place: &Path, binary: &Path, data: &Path) -> Result<()> {
    let server = Server::start(binary, data)?;
    run_command(
        Command::new(node)
            .arg(root.join(NODE_SCRIPT))
            .arg(format!("http://{}", server.address))
            .env("NODE_PATH", place.join("node_modules")),
        NODE_SCRIPT,
    )?;
    server.end(data)
}

/// What README and docs show, each file tried at a fresh `florin dev`. What is not tried is listed, with the reason.
fn as_shown(root: &Path, python: &Path, binary: &Path, data: &Path) -> Result<()> {
    let script = root.join(SAMPLES_SCRIPT);
    let listed = Command::new(python)
        .arg(&script)
        .arg("--list")
        .args(documents(root)?)
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()
        .context("the samples cannot be listed")?;
    let said = String::from_utf8_lossy(&listed.stdout);
    print!("{said}");
    if !listed.status.success() {
        bail!("a sample says neither that it can be tried nor why not");
    }
    let files: Vec<&str> = said
        .lines()
        .filter_map(|line| line.strip_prefix(TO_TRY))
        .collect();
    if files.is_empty() {
        bail!("no document has a sample");
    }
    let beside = binary.parent().context("the binary lies nowhere")?;
    let usual = std::env::var_os("PATH").unwrap_or_default();
    let path =
        std::env::join_paths(std::iter::once(beside.to_path_buf()).chain(std::env::split_paths(&usual)))?;
    for file in files {
        let server = Server::start(binary, data)?;
        let mut command = Command::new(python);
        command
            .arg(&script)
            .arg(format!("http://{}", server.address))
            .arg(format!("http://{}", server.sandbox))
            .arg(file)
            .current_dir(root)
            .env("PATH", &path)
            .env("FLORIN_DATA_DIR", Server::store(data));
        run_command(&mut command, file)?;
        server.end(data)?;
    }
    Ok(())
}

/// Every document, by its path in the workspace.
fn documents(root: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for folder in DOCUMENTS {
        let entries = fs::read_dir(root.join(folder)).with_context(|| format!("{folder} cannot be read"))?;
        for entry in entries {
            let path = entry.context("a document cannot be read")?.path();
            if path.extension().is_some_and(|kind| kind == "md") {
                let path = path.strip_prefix(root).context("a document lies elsewhere")?;
                found.push(path.to_string_lossy().into_owned());
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Adyen's SDK and the sandbox alone.
fn to_sandbox(root: &Path, python: &Path, binary: &Path, data: &Path) -> Result<()> {
    let mut sandbox = Running::start(
        Command::new(binary)
            .arg("sandbox")
            .env_clear()
            .envs(without_ours(std::env::vars_os().collect()))
            .env("FLORIN_DATA_DIR", data)
            .env("FLORIN_SANDBOX_LISTEN", "127.0.0.1:0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped()),
    )?;
    let output = sandbox
        .0
        .stdout
        .take()
        .context("the sandbox's output is not piped")?;
    run_script(root, python, ADYEN_SCRIPT, &[&address(&lines(output))?])
}

/// Runs a script of ours with arguments until it ends, or for too long.
pub(crate) fn run_script(root: &Path, python: &Path, path: &str, arguments: &[&str]) -> Result<()> {
    run_command(Command::new(python).arg(root.join(path)).args(arguments), path)
}

/// Runs a program until it ends well, or for too long.
pub(crate) fn run_command(command: &mut Command, path: &str) -> Result<()> {
    // A proxy for the world is none for this machine.
    let mut script = Running::start(command.env("NO_PROXY", "*"))?;
    let deadline = Instant::now() + SCRIPT_MAX;
    loop {
        if let Some(status) = script.0.try_wait().context("the script cannot be waited for")? {
            if status.success() {
                return Ok(());
            }
            bail!("{path} ended with {status}");
        }
        if Instant::now() > deadline {
            bail!("{path} did not end within {} s", SCRIPT_MAX.as_secs());
        }
        std::thread::sleep(POLL);
    }
}

/// A process of ours; dropping it kills and reaps it.
#[derive(Debug)]
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Result<Self> {
        let child = command.spawn();
        Ok(Self(
            child.with_context(|| format!("{command:?} cannot be started"))?,
        ))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already; then both say so.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Where the sandbox says that it is.
fn address(lines: &Receiver<String>) -> Result<String> {
    let deadline = Instant::now() + START_MAX;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let line = lines
            .recv_timeout(left)
            .context("the sandbox did not say where it is")?;
        if let Some(address) = line.strip_prefix("sandbox on ") {
            return Ok(address.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_document_is_looked_at() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .canonicalize()
            .unwrap();
        let found = documents(&root).unwrap();
        for one in [
            "README.md",
            "docs/ledger.md",
            "docs/errors/README.md",
            "docs/adr/README.md",
        ] {
            assert!(found.contains(&one.to_owned()), "{found:?}");
        }
    }

    #[test]
    fn the_address_is_read_from_what_the_sandbox_says() {
        let said = lines("a line\nsandbox on http://127.0.0.1:4321\n".as_bytes());
        assert_eq!(address(&said).unwrap(), "http://127.0.0.1:4321");
        assert!(address(&lines("".as_bytes())).is_err());
    }
}
