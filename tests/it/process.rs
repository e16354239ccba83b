//! Owns running the binary: started with an environment of its own, watched until it says where it listens, and always reaped.

use crate::store;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Starting and stopping take less, however busy the machine is.
const PATIENCE: Duration = Duration::from_mins(1);

/// An address that stays free while nobody listens there: the system gives ports below its own range to nobody by itself.
pub(crate) fn lasting_address() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    let own_range_starts: u32 = range.split_whitespace().next().unwrap().parse().unwrap();
    let count = own_range_starts - PORTS_START;
    loop {
        let number = std::process::id() * 17 + NEXT.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(PORTS_START + number % count).unwrap();
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            return listener.local_addr().unwrap();
        }
    }
}

/// Below are the ports of well-known services.
const PORTS_START: u32 = 10_000;

/// Exit code of a process that must not go on.
const FATAL: i32 = 70;

/// How often a condition is looked at again.
const POLL: Duration = Duration::from_millis(10);

/// Waits until `look` finds something; fails the test if it never does.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "in vain waited for {what}");
        std::thread::sleep(POLL);
    }
}

/// The binary with arguments, a data folder and variables, and no other setting. It listens on free ports.
pub(crate) fn command(arguments: &[&str], data_dir: &Path, variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_florin"));
    for (name, _) in std::env::vars().filter(|variable| variable.0.starts_with("FLORIN_")) {
        command.env_remove(name);
    }
    command
        .args(arguments)
        .env_remove("RUST_BACKTRACE")
        .env("FLORIN_DATA_DIR", data_dir)
        .env("FLORIN_LISTEN", "127.0.0.1:0")
        .env("FLORIN_SANDBOX_LISTEN", "127.0.0.1:0")
        .env("FLORIN_LOG_FORMAT", "json")
        .envs(store::variables(arguments, data_dir, variables))
        .envs(variables.iter().copied())
        .stdin(Stdio::null());
    command
}

/// A finished command.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a command that ends by itself.
pub(crate) fn run(arguments: &[&str], data_dir: &Path, variables: &[(&str, &str)]) -> Finished {
    let mut process = Process::start(&mut command(arguments, data_dir, variables));
    let status = process.wait();
    let (stdout, stderr) = process.output();
    Finished {
        status,
        stdout,
        stderr,
    }
}

/// Runs a command that must succeed; what it printed, without the line break.
#[track_caller]
pub(crate) fn run_well(arguments: &[&str], data_dir: &Path, variables: &[(&str, &str)]) -> String {
    let finished = run(arguments, data_dir, variables);
    assert!(finished.status.success(), "{arguments:?}: {finished:?}");
    finished.stdout.trim().to_owned()
}

/// A running process of ours. Dropping it kills and reaps it.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
    said: [Arc<Mutex<String>>; 2],
    readers: Vec<JoinHandle<()>>,
    data_dir: Option<PathBuf>,
    shows_secrets: bool,
}

/// Commands whose output is where a secret is shown, once.
const SHOWING: [&[&str]; 3] = [&["key", "create"], &["listen"], &["merchant", "create"]];

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        let variable = |name: &str| {
            command
                .get_envs()
                .find(|(each, _)| *each == name)?
                .1
                .map(PathBuf::from)
        };
        let data_dir = variable("FLORIN_DATA_DIR");
        let words: Vec<&str> = command.get_args().filter_map(|word| word.to_str()).collect();
        let shows_secrets = SHOWING
            .iter()
            .any(|showing| words.windows(showing.len()).any(|some| some == *showing));
        if let Some(folder) = &data_dir {
            store::wait_for_the_killed(words.first().copied(), folder);
        }
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let said = [Arc::<Mutex<String>>::default(), Arc::default()];
        let out: Box<dyn Read + Send> = Box::new(child.stdout.take().unwrap());
        let err: Box<dyn Read + Send> = Box::new(child.stderr.take().unwrap());
        let readers = [out, err].into_iter().zip(&said).map(|(pipe, said)| {
            let (sender, said) = (sender.clone(), Arc::clone(said));
            std::thread::spawn(move || {
                for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                    said.lock().unwrap().extend([line.as_str(), "\n"]);
                    // Nobody waits for lines after the start.
                    drop(sender.send(line));
                }
            })
        });
        Self {
            readers: readers.collect(),
            child,
            lines,
            said,
            data_dir,
            shows_secrets,
        }
    }

    /// What it must never keep or say, and does: card numbers, security codes, secrets (`tests/canaries`). It has ended.
    fn betrays(&mut self) -> Vec<String> {
        let (out, err) = self.output();
        let said = [
            ("stdout", if self.shows_secrets { "" } else { &out }),
            ("stderr", &err),
        ];
        let in_output = said.into_iter().flat_map(|(name, text)| {
            let found = florin_canaries::in_bytes(text.as_bytes());
            found.into_iter().map(move |what| format!("{what} in its {name}"))
        });
        let kept = self.data_dir.as_deref().map(florin_canaries::in_folder);
        let kept = kept.map(Result::unwrap).unwrap_or_default();
        // A node that was up has a folder, or its test took it away before anybody could look.
        let was_up = [&out, &err].into_iter().flat_map(|text| text.lines());
        let was_up = was_up
            .map(|line| address_after(line, "API").or_else(|| logged_address(line)))
            .any(|address| address.is_some());
        let unseen = (was_up && kept.files == 0).then(|| "nobody knows what, its folder is gone".to_owned());
        in_output.chain(kept.found).chain(unseen).collect()
    }

    /// The first line, on either output, in which `find` finds something.
    #[track_caller]
    pub(crate) fn says<T>(&mut self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        self.says_or_ends(what, find).unwrap_or_else(|| {
            let state = self.child.try_wait();
            panic!("{what} was never said: {state:?} {:?}", self.said_so_far());
        })
    }

    /// The same of a process that may end first.
    #[track_caller]
    pub(crate) fn says_or_ends<T>(&mut self, what: &str, find: impl Fn(&str) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    if let Some(found) = find(&line) {
                        return Some(found);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {
                    panic!("{what} was not said in time: {:?}", self.said_so_far());
                }
            }
        }
    }

    /// Both outputs so far.
    pub(crate) fn said_so_far(&self) -> (String, String) {
        let [out, err] = &self.said;
        (out.lock().unwrap().clone(), err.lock().unwrap().clone())
    }

    /// Both outputs of a process that has ended.
    pub(crate) fn output(&mut self) -> (String, String) {
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        self.said_so_far()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended already.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Sends it a signal, such as `-INT`.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(status.success(), "kill {signal} {pid}");
    }

    /// Ends it as a crash would, and reaps it.
    pub(crate) fn kill_9(mut self) {
        self.signal("-9");
        let status = self.wait();
        assert_eq!(
            status.code(),
            None,
            "it ended by itself: {:?}",
            self.said_so_far()
        );
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) {
        self.signal("-TERM");
    }

    /// Asks it to stop, and waits until it has, well.
    #[track_caller]
    pub(crate) fn stop(mut self) {
        self.terminate();
        let status = self.wait();
        assert_eq!(status.code(), Some(0), "{:?}", self.said_so_far());
    }

    /// Waits until it has ended.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let status = wait_for("the end of a process", || self.child.try_wait().unwrap());
        self.tell_store(status);
        status
    }

    /// A process that was killed, or ended itself at once, has let go of nothing.
    fn tell_store(&self, status: ExitStatus) {
        let is_at_once = status.code().is_none_or(|code| code == FATAL);
        if let Some(folder) = self.data_dir.as_deref().filter(|_| is_at_once) {
            store::was_killed(folder);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended and been reaped already; then both say so, and nothing is left to do.
        drop(self.child.kill());
        if let Ok(status) = self.child.wait() {
            self.tell_store(status);
        }
        // A test that has failed already shall say why.
        if !std::thread::panicking() {
            let found = self.betrays();
            assert!(
                found.is_empty(),
                "a process kept or said what it must not: {found:?}"
            );
        }
    }
}

/// The address after `name` in a line of the welcome: `  API        http://127.0.0.1:4242`.
pub(crate) fn address_after(line: &str, name: &str) -> Option<SocketAddr> {
    let (_, rest) = line.trim_start().strip_prefix(name)?.split_once("http://")?;
    rest.split('/').next()?.parse().ok()
}

/// The address in the log line of `florin serve`.
pub(crate) fn logged_address(line: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(line).ok()?;
    let fields = &line["fields"];
    (fields["message"] == "taking payments").then(|| fields["address"].as_str()?.parse().ok())?
}
