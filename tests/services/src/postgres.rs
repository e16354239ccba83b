//! A PostgreSQL server of our own for as long as a command needs it: found on this machine, started in a folder that it is given, on a
//! free port of the loopback interface with a password of its own, and stopped with the value that stands for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::ground::{Account, begin, free_port, password};
use crate::installation::Installation;
use anyhow::{Context, Result, bail};

/// How long it may take to start, which after a crash of the machine's disk is long.
const START_MAX: Duration = Duration::from_mins(1);
/// How often a starting server is asked.
const POLL: Duration = Duration::from_millis(50);
/// Whom the server may run as in the place of root.
const ACCOUNTS: [&str; 2] = ["postgres", "nobody"];
/// The one user of a database of ours.
const USER: &str = "florin";

/// A running server; dropping it stops it. Its folder is whoever's who gave it, and deleted if nobody did.
#[derive(Debug)]
pub struct Postgres {
    installation: Installation,
    runs_as: Option<Account>,
    folder: PathBuf,
    child: Child,
    port: u16,
    password: String,
    is_folder_ours: bool,
}

impl Postgres {
    /// Starts a server in a new folder among the system's temporary ones.
    pub fn start_anywhere(installation: &Installation, settings: &[&str]) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("florin-postgres-{}", password()?));
        let started = Self::start(installation, &folder, settings);
        if started.is_err() {
            drop(fs::remove_dir_all(&folder));
        }
        started.map(|mut server| {
            server.is_folder_ours = true;
            server
        })
    }

    /// Makes `folder`, which must not exist, and starts a server in it with `settings`, each `name=value`.
    pub fn start(installation: &Installation, folder: &Path, settings: &[&str]) -> Result<Self> {
        let (runs_as, folder) = begin(folder, &ACCOUNTS)?;
        let password = password()?;
        initialize(installation, runs_as.as_ref(), &folder, &password)?;
        Self::run(installation, (runs_as, folder), password, settings)
    }

    /// Starts a server that follows this one under a name, in a new folder among the system's temporary ones.
    pub fn start_standby(&self, name: &str, settings: &[&str]) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("florin-postgres-{}", password()?));
        let started = self.follow(name, &folder, settings);
        if started.is_err() {
            drop(fs::remove_dir_all(&folder));
        }
        started.map(|mut server| {
            server.is_folder_ours = true;
            server
        })
    }

    fn follow(&self, name: &str, folder: &Path, settings: &[&str]) -> Result<Self> {
        let (runs_as, folder) = begin(folder, &ACCOUNTS)?;
        let from = format!(
            "{} application_name={name}",
            self.address().replace(" dbname=postgres", "")
        );
        let output = self
            .installation
            .call("pg_basebackup", runs_as.as_ref(), &folder)
            .args([
                "--write-recovery-conf",
                "--wal-method=stream",
                "--checkpoint=fast",
                "--no-sync",
            ])
            .arg(format!("--dbname={from}"))
            .arg("--pgdata")
            .arg(folder.join("data"))
            .output()
            .context("pg_basebackup cannot be started")?;
        if !output.status.success() {
            bail!(
                "pg_basebackup: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Self::run(
            &self.installation,
            (runs_as, folder),
            self.password.clone(),
            settings,
        )
    }

    /// Starts what is in a folder.
    fn run(
        installation: &Installation,
        (runs_as, folder): (Option<Account>, PathBuf),
        password: String,
        settings: &[&str],
    ) -> Result<Self> {
        let port = free_port()?;
        let child = serve(installation, (runs_as.as_ref(), &folder), port, settings)?;
        let mut server = Self {
            installation: installation.clone(),
            runs_as,
            folder,
            child,
            port,
            password,
            is_folder_ours: false,
        };
        server
            .ready()
            .with_context(|| format!("its log:\n{}", server.log()))?;
        Ok(server)
    }

    /// Changes a byte of what a table has stored as a disk does that fails: in its file, behind the server's back, where `mark` stands for the first
    /// time. The server is stopped for that, and started again where it was. What it has not written there yet is not found.
    pub fn rot(&mut self, table: &str, mark: &str, settings: &[&str]) -> Result<()> {
        let path = self.query(&format!("SELECT pg_relation_filepath('{table}')"))?;
        let path = self.folder.join("data").join(path.trim());
        self.end("fast")?;
        let mut bytes = fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        let place = bytes
            .windows(mark.len())
            .position(|part| part == mark.as_bytes())
            .with_context(|| format!("{} has no `{mark}`", path.display()))?;
        bytes[place] ^= 1;
        fs::write(&path, bytes).with_context(|| format!("{} cannot be written", path.display()))?;
        self.child = serve(
            &self.installation,
            (self.runs_as.as_ref(), &self.folder),
            self.port,
            settings,
        )?;
        self.ready().with_context(|| format!("its log:\n{}", self.log()))
    }

    /// Ends the server in one of the ways that it knows.
    fn end(&mut self, mode: &str) -> Result<()> {
        let stopped = self
            .installation
            .call("pg_ctl", self.runs_as.as_ref(), &self.folder)
            .args(["stop", "--silent", "--timeout=20"])
            .arg(format!("--mode={mode}"))
            .arg("--pgdata")
            .arg(self.folder.join("data"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .context("pg_ctl cannot be started")?;
        if !stopped.success() {
            bail!("the server does not stop; its log:\n{}", self.log());
        }
        self.child.wait().context("postgres cannot be waited for")?;
        Ok(())
    }

    /// Has a server that follows another one go on by itself.
    pub fn promote(&self) -> Result<()> {
        let promoted = self
            .installation
            .call("pg_ctl", self.runs_as.as_ref(), &self.folder)
            .args(["promote", "--silent", "--wait", "--pgdata"])
            .arg(self.folder.join("data"))
            .status()
            .context("pg_ctl cannot be started")?;
        if promoted.success() {
            Ok(())
        } else {
            bail!("the server was not promoted; its log:\n{}", self.log())
        }
    }

    /// Ends the server as a crash does; its other processes end when they miss it.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill().context("postgres cannot be killed")?;
        self.child.wait().context("postgres cannot be waited for")?;
        Ok(())
    }

    /// What psql answers to some SQL: one line for each row, its columns behind each other.
    pub fn query(&self, sql: &str) -> Result<String> {
        query(&self.installation, &self.url(), sql)
    }

    /// Its port on the loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it is, in the form of libpq.
    pub fn address(&self) -> String {
        format!(
            "host=127.0.0.1 port={} user={USER} password={} dbname=postgres",
            self.port, self.password
        )
    }

    /// The same as a URL, of its first database.
    pub fn url(&self) -> String {
        format!("{}/postgres", self.server_url())
    }

    /// The server's URL, without a database.
    pub fn server_url(&self) -> String {
        format!("postgres://{USER}:{}@127.0.0.1:{}", self.password, self.port)
    }

    fn ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_MAX;
        loop {
            if let Some(status) = self.child.try_wait().context("postgres cannot be waited for")? {
                bail!("postgres ended with {status} before it was ready");
            }
            let answer = self
                .installation
                .call("pg_isready", self.runs_as.as_ref(), &self.folder)
                .args(["--quiet", "--host=127.0.0.1"])
                .arg(format!("--port={}", self.port))
                .status()
                .context("pg_isready cannot be started")?;
            if answer.success() {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("postgres was not ready within {} s", START_MAX.as_secs());
            }
            std::thread::sleep(POLL);
        }
    }

    /// The end of its log.
    fn log(&self) -> String {
        const LINES: usize = 20;
        let text = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let all: Vec<&str> = text.lines().collect();
        all.get(all.len().saturating_sub(LINES)..)
            .unwrap_or_default()
            .join("\n")
    }

    /// Ends the server, by the process id in its folder, without another checkpoint: nobody reads the data again.
    fn stop(&mut self) {
        if self.end("immediate").is_err() {
            // Its own processes end when they miss it.
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
        if self.is_folder_ours {
            drop(fs::remove_dir_all(&self.folder));
        }
    }
}

/// Starts what is in a folder, on this port.
fn serve(
    installation: &Installation,
    (runs_as, folder): (Option<&Account>, &Path),
    port: u16,
    settings: &[&str],
) -> Result<Child> {
    let mut options = fs::OpenOptions::new();
    let log = options
        .append(true)
        .create(true)
        .open(folder.join("log"))
        .context("the server's log cannot be written")?;
    let errors = log
        .try_clone()
        .context("the server's log cannot be written twice")?;
    let mut command = installation.call("postgres", runs_as, folder);
    command
        .arg("-D")
        .arg(folder.join("data"))
        .args(["-c", "listen_addresses=127.0.0.1"])
        .args(["-c", &format!("port={port}")])
        .args(["-c", "unix_socket_directories="]);
    for setting in settings {
        command.args(["-c", setting]);
    }
    command
        .stdout(log)
        .stderr(errors)
        .spawn()
        .context("postgres cannot be started")
}

/// What psql answers.
pub(crate) fn query(installation: &Installation, url: &str, sql: &str) -> Result<String> {
    let output = installation
        .call("psql", None, Path::new("/"))
        .args([
            "--no-psqlrc",
            "--no-align",
            "--tuples-only",
            "--quiet",
            "--set=ON_ERROR_STOP=1",
        ])
        .arg(format!("--command={sql}"))
        .arg(url)
        .output()
        .context("psql cannot be started")?;
    if !output.status.success() {
        bail!("psql: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8(output.stdout).context("psql wrote no text")
}

fn initialize(
    installation: &Installation,
    runs_as: Option<&Account>,
    folder: &Path,
    password: &str,
) -> Result<()> {
    let secret = folder.join("password");
    fs::write(&secret, password).with_context(|| format!("{} cannot be written", secret.display()))?;
    let output = installation
        .call("initdb", runs_as, folder)
        // What is made here is of no use after a crash of the machine.
        .args([
            "--encoding=UTF8",
            "--no-locale",
            "--auth=scram-sha-256",
            "--no-sync",
        ])
        .arg(format!("--username={USER}"))
        .arg("--pwfile")
        .arg(&secret)
        .arg("--pgdata")
        .arg(folder.join("data"))
        .output()
        .context("initdb cannot be started")?;
    if !output.status.success() {
        bail!(
            "initdb ended with {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    fs::remove_file(&secret).with_context(|| format!("{} cannot be removed", secret.display()))
}
