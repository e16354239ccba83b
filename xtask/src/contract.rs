//! The contract stage: schemathesis asks a running `florin dev` everything that its OpenAPI document promises, and the answers must keep it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::python::{self, Wanted};

/// Who asks.
const SCHEMATHESIS: Wanted = Wanted {
    package: "schemathesis",
    requirements: "xtask/contract/requirements.txt",
    given: "FLORIN_CONTRACT_PYTHON",
};
/// Whatever else it takes, a round ends here.
const ROUND_MAX: Duration = Duration::from_mins(4);
/// How long the server may take to start.
const START_MAX: Duration = Duration::from_mins(1);
/// The data folder within what a server was given.
const STORE: &str = "store";
/// How often a running round is looked at.
const POLL: Duration = Duration::from_millis(100);

/// Orders that stop others from getting anything done; they have a server of their own.
const DISTURBING: [&str; 6] = [
    "killActor",
    "disableProvider",
    "enableProvider",
    "freezeMerchant",
    "unfreezeMerchant",
    "setReadOnly",
];

/// Selects them.
const ORDERS: &str = "--include-operation-id";

/// Runs the stage.
pub(crate) fn run(root: &Path) -> Result<()> {
    let folder = root.join("target/contract");
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let python = python::with(root, &folder, SCHEMATHESIS)?;
    let binary = build(root)?;
    for (name, selection) in [("everything", "--exclude-operation-id"), ("orders", ORDERS)] {
        let started = Instant::now();
        round(root, &folder, &python, &binary, (name, selection))?;
        println!("contract, {name}: {:.1} s", started.elapsed().as_secs_f64());
    }
    Ok(())
}

/// Builds the binary as the tests did, and finds it.
pub(crate) fn build(root: &Path) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--locked", "--package", "florin", "--bin", "florin"])
        .current_dir(root)
        .status()
        .context("cargo cannot be started")?;
    if !status.success() {
        bail!("the binary cannot be built: cargo ended with {status}");
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join("debug/florin"))
}

/// One server, asked about some of its operations.
fn round(
    root: &Path,
    folder: &Path,
    python: &Path,
    binary: &Path,
    (name, selection): (&str, &str),
) -> Result<()> {
    let data = folder.join(format!("data-{name}-{}", std::process::id()));
    let mut server = Server::start(binary, &data)?;
    let outcome = ask(root, folder, python, &server.address, selection);
    let ended = server.ended()?;
    let log = server.log.clone();
    let looked = server.end(&data);
    drop(fs::remove_dir_all(&data));
    if let Some(status) = ended {
        bail!("the server ended with {status}\n{}", tail(&log));
    }
    outcome.with_context(|| format!("the server's last words:\n{}", tail(&log)))?;
    looked
}

fn ask(root: &Path, folder: &Path, python: &Path, address: &str, selection: &str) -> Result<()> {
    const CALL: &str = "from schemathesis.cli import schemathesis; schemathesis()";
    let mut command = Command::new(python);
    command.args(["-c", CALL, "--config-file"]);
    command.arg(root.join("xtask/contract/schemathesis.toml"));
    command.arg("run").arg(format!("http://{address}/openapi.json"));
    for operation in DISTURBING {
        command.args([selection, operation]);
    }
    // Orders lead nowhere, and a phase without anything to do is an error.
    if selection == ORDERS {
        command.args(["--phases", "examples,coverage,fuzzing"]);
    }
    command.arg("--no-color").current_dir(folder);
    let mut child = command.spawn().context("schemathesis cannot be started")?;
    let deadline = Instant::now() + ROUND_MAX;
    loop {
        if let Some(status) = child.try_wait().context("schemathesis cannot be waited for")? {
            if status.success() {
                return Ok(());
            }
            bail!("schemathesis ended with {status}; what it found is above, each with a line for curl");
        }
        if Instant::now() > deadline {
            drop(child.kill());
            drop(child.wait());
            bail!("schemathesis did not end within {} s", ROUND_MAX.as_secs());
        }
        std::thread::sleep(POLL);
    }
}

/// A running `florin dev`; dropping it kills it, which it must survive anyway.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
    /// Where its simulated providers are.
    pub(crate) sandbox: String,
    log: PathBuf,
}

impl Server {
    pub(crate) fn start(binary: &Path, data: &Path) -> Result<Self> {
        drop(fs::remove_dir_all(data));
        fs::create_dir_all(data).with_context(|| format!("{} cannot be made", data.display()))?;
        let log = data.with_extension("log");
        let errors =
            fs::File::create(&log).with_context(|| format!("{} cannot be written", log.display()))?;
        let mut child = Command::new(binary)
            .arg("dev")
            .env_clear()
            .envs(without_ours(std::env::vars_os().collect()))
            .env("FLORIN_DATA_DIR", data.join(STORE))
            .env("FLORIN_LISTEN", "127.0.0.1:0")
            .env("FLORIN_SANDBOX_LISTEN", "127.0.0.1:0")
            // Every operation is also asked without a key.
            .env("FLORIN_LIMITS_FAILED_AUTH_PER_MIN", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .with_context(|| format!("{} cannot be started", binary.display()))?;
        let output = child.stdout.take().context("the server's output is not piped")?;
        let mut server = Self {
            child,
            address: String::new(),
            sandbox: String::new(),
            log,
        };
        let said = lines(output);
        server.address = address(&said, "API").with_context(|| tail(&server.log))?;
        let charges = address(&said, "sandbox").with_context(|| tail(&server.log))?;
        charges
            .split('/')
            .next()
            .unwrap_or_default()
            .clone_into(&mut server.sandbox);
        Ok(server)
    }

    /// Its data folder, of what it was started with.
    pub(crate) fn store(data: &Path) -> PathBuf {
        data.join(STORE)
    }

    /// Ends it, and looks at all that it kept and said: no card number, no security code and no secret may be there.
    pub(crate) fn end(mut self, data: &Path) -> Result<()> {
        self.stop();
        let kept = florin_canaries::in_folder(data).context("what the server kept cannot be read")?;
        let said = fs::read(&self.log).context("what the server said cannot be read")?;
        let said = florin_canaries::in_bytes(&said);
        if kept.files == 0 || !kept.found.is_empty() || !said.is_empty() {
            bail!(
                "the server kept or said what it must not: {:?}, and in its log {said:?}, of {} files",
                kept.found,
                kept.files
            );
        }
        Ok(())
    }

    /// How it ended, if it did.
    fn ended(&mut self) -> Result<Option<std::process::ExitStatus>> {
        self.child.try_wait().context("the server cannot be waited for")
    }

    fn stop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Settings of whoever calls are not the server's.
pub(crate) fn without_ours(
    variables: BTreeMap<OsString, OsString>,
) -> impl Iterator<Item = (OsString, OsString)> {
    variables
        .into_iter()
        .filter(|(name, _)| !name.to_string_lossy().starts_with("FLORIN_"))
}

/// The lines of a pipe, read to its end by a thread so that the writer never waits.
pub(crate) fn lines(pipe: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            // Nobody listens once the address is known.
            drop(sender.send(line));
        }
    });
    receiver
}

/// What the welcome says of the address of something.
fn address(lines: &Receiver<String>, of: &str) -> Result<String> {
    let deadline = Instant::now() + START_MAX;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match lines.recv_timeout(left) {
            Ok(line) => {
                let place = line.trim().strip_prefix(of).map(str::trim);
                if let Some(address) = place.and_then(|place| place.strip_prefix("http://")) {
                    return Ok(address.to_owned());
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                bail!("the server did not start within {} s", START_MAX.as_secs())
            }
            Err(RecvTimeoutError::Disconnected) => bail!("the server ended before it was ready"),
        }
    }
}

/// The end of a log.
fn tail(log: &Path) -> String {
    const LINES: usize = 20;
    let text = fs::read_to_string(log).unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all.get(all.len().saturating_sub(LINES)..)
        .unwrap_or_default()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read_from_the_welcome() {
        let welcome =
            "Florin is ready.\n\n  API        http://127.0.0.1:4321\n  sandbox    http://127.0.0.1:1\n";
        let said = lines(welcome.as_bytes());
        assert_eq!(address(&said, "API").unwrap(), "127.0.0.1:4321");
        assert_eq!(address(&said, "sandbox").unwrap(), "127.0.0.1:1");
        let error = address(&lines("no such luck".as_bytes()), "API").unwrap_err();
        assert!(error.to_string().contains("before it was ready"), "{error}");
    }

    #[test]
    fn the_server_gets_no_setting_of_whoever_calls() {
        let variables = [("PATH", "/bin"), ("FLORIN_LISTEN", "0.0.0.0:1")]
            .map(|(name, value)| (name.into(), value.into()));
        let left: Vec<_> = without_ours(variables.into()).collect();
        assert_eq!(left, [("PATH".into(), "/bin".into())]);
    }

    #[test]
    fn the_end_of_a_log_is_shown_and_a_missing_one_is_empty() {
        let log = std::env::temp_dir().join(format!("florin-tail-{}", std::process::id()));
        let text: Vec<String> = (0..30).map(|line| line.to_string()).collect();
        fs::write(&log, text.join("\n")).unwrap();
        let shown = tail(&log);
        fs::remove_file(&log).unwrap();
        assert!(shown.starts_with("10\n") && shown.ends_with("\n29"), "{shown}");
        assert_eq!(tail(&log), "");
    }
}
