//! A PostgreSQL server of our own for as long as a command needs it: found on this machine, started in a folder that it is given, on a
//! free port of the loopback interface with a password of its own, and stopped with the value that stands for it.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How long it may take to start, which after a crash of the machine's disk is long.
const START_MAX: Duration = Duration::from_mins(1);
/// How often a starting server is asked.
const POLL: Duration = Duration::from_millis(50);
/// Everything that is called here; where `initdb` is, the others usually are.
const PROGRAMS: [&str; 4] = ["initdb", "postgres", "pg_ctl", "pg_isready"];
/// The one user of a database of ours.
const USER: &str = "florin";

/// Where a server's programs are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Installation {
    programs: PathBuf,
}

impl Installation {
    /// The newest one of Debian's folders, or else the one in the search path.
    pub(crate) fn find() -> Result<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        Self::find_in(Path::new("/usr/lib/postgresql"), &path)
    }

    fn find_in(debian: &Path, path: &OsStr) -> Result<Self> {
        let versions = fs::read_dir(debian)
            .map(|entries| entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()))
            .map(newest_first)
            .unwrap_or_default();
        let installed = versions.iter().map(|version| debian.join(version).join("bin"));
        installed
            .chain(std::env::split_paths(path))
            .find(|folder| PROGRAMS.iter().all(|program| folder.join(program).is_file()))
            .map(|programs| Self { programs })
            .with_context(|| {
                format!(
                    "no PostgreSQL server is installed: neither {}/*/bin nor the search path has {}. \
                     On Debian and Ubuntu: apt-get install postgresql",
                    debian.display(),
                    PROGRAMS.join(", ")
                )
            })
    }

    fn call(&self, program: &str, runs_as: Option<&Account>, folder: &Path) -> Command {
        let mut command = Command::new(self.programs.join(program));
        for (name, _) in std::env::vars_os() {
            // Settings of whoever calls are for other servers.
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        if let Some(account) = runs_as {
            // Also gives up the groups of root.
            command.uid(account.uid).gid(account.gid);
        }
        command.current_dir(folder).stdin(Stdio::null());
        command
    }
}

/// Versions by their number, the newest first; what is no version is left out.
fn newest_first(names: impl Iterator<Item = String>) -> Vec<String> {
    let number = |name: &str| -> Option<Vec<u32>> { name.split('.').map(|part| part.parse().ok()).collect() };
    let mut versions: Vec<(Vec<u32>, String)> =
        names.filter_map(|name| Some((number(&name)?, name))).collect();
    versions.sort_unstable();
    versions.into_iter().rev().map(|(_, name)| name).collect()
}

/// Whom the server runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Account {
    name: String,
    uid: u32,
    gid: u32,
}

impl Account {
    /// None unless this is root, as whom the server refuses to run.
    fn instead_of_root() -> Result<Option<Self>> {
        let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
        if !is_root {
            return Ok(None);
        }
        let all = fs::read_to_string("/etc/passwd").context("/etc/passwd cannot be read")?;
        let account = ["postgres", "nobody"]
            .iter()
            .find_map(|name| Self::read(&all, name));
        account.map(Some).context(
            "PostgreSQL does not run as root, and there is neither an account `postgres` nor `nobody`",
        )
    }

    /// The one of that name in the lines of `/etc/passwd`; never root's.
    fn read(all: &str, name: &str) -> Option<Self> {
        let line = all.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut numbers = line.split(':').skip(2).map(str::parse);
        let (uid, gid) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
        let name = name.to_owned();
        (uid != 0).then_some(Self { name, uid, gid })
    }

    /// Gives it the folder, which it must be able to reach.
    fn owns(&self, folder: &Path) -> Result<()> {
        for above in folder.ancestors().skip(1) {
            let mode = fs::metadata(above)
                .with_context(|| format!("{} cannot be looked at", above.display()))?
                .mode();
            if mode & 0o001 == 0 {
                bail!(
                    "PostgreSQL must run as `{}` instead of root, who may not enter {}: \
                     run this as another user, or in a checkout elsewhere",
                    self.name,
                    above.display()
                );
            }
        }
        std::os::unix::fs::chown(folder, Some(self.uid), Some(self.gid))
            .with_context(|| format!("{} cannot be given to `{}`", folder.display(), self.name))
    }
}

/// A running server; dropping it stops it. Its folder is whoever's who gave it.
#[derive(Debug)]
pub(crate) struct Postgres {
    installation: Installation,
    runs_as: Option<Account>,
    folder: PathBuf,
    child: Child,
    port: u16,
    password: String,
}

impl Postgres {
    /// Makes `folder`, which must not exist, and starts a server in it with `settings`, each `name=value`.
    pub(crate) fn start(installation: &Installation, folder: &Path, settings: &[&str]) -> Result<Self> {
        let runs_as = Account::instead_of_root()?;
        fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let folder = folder
            .canonicalize()
            .with_context(|| format!("{} cannot be found again", folder.display()))?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))
            .with_context(|| format!("{} cannot be kept from others", folder.display()))?;
        if let Some(account) = &runs_as {
            account.owns(&folder)?;
        }
        let password = password()?;
        initialize(installation, runs_as.as_ref(), &folder, &password)?;
        let log = fs::File::create(folder.join("log")).context("the server's log cannot be written")?;
        let port = free_port()?;
        let mut command = installation.call("postgres", runs_as.as_ref(), &folder);
        command
            .arg("-D")
            .arg(folder.join("data"))
            .args(["-c", "listen_addresses=127.0.0.1"])
            .args(["-c", &format!("port={port}")])
            .args(["-c", "unix_socket_directories="]);
        for setting in settings {
            command.args(["-c", setting]);
        }
        let errors = log
            .try_clone()
            .context("the server's log cannot be written twice")?;
        let child = command
            .stdout(log)
            .stderr(errors)
            .spawn()
            .context("postgres cannot be started")?;
        let mut server = Self {
            installation: installation.clone(),
            runs_as,
            folder,
            child,
            port,
            password,
        };
        server
            .ready()
            .with_context(|| format!("its log:\n{}", server.log()))?;
        Ok(server)
    }

    /// Where it is, in the form of libpq.
    pub(crate) fn address(&self) -> String {
        format!(
            "host=127.0.0.1 port={} user={USER} password={} dbname=postgres",
            self.port, self.password
        )
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
        let stopped = self
            .installation
            .call("pg_ctl", self.runs_as.as_ref(), &self.folder)
            .args(["stop", "--silent", "--mode=immediate", "--timeout=20", "--pgdata"])
            .arg(self.folder.join("data"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if !stopped.is_ok_and(|status| status.success()) {
            // Its own processes end when they miss it.
            drop(self.child.kill());
        }
        drop(self.child.wait());
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
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
        .args(["--encoding=UTF8", "--no-locale", "--auth=scram-sha-256"])
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

/// Whoever else is on this machine must not get in.
fn password() -> Result<String> {
    let mut bytes = [0; 16];
    fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .context("/dev/urandom cannot be read")?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}

/// Free now; whoever takes it before the server does makes the start fail.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no port is free")?;
    Ok(listener.local_addr().context("a port without a number")?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_number_and_not_by_letter() {
        let names = ["9.6", "17", "common", "9.10", "15"].map(str::to_owned);
        assert_eq!(newest_first(names.into_iter()), ["17", "15", "9.10", "9.6"]);
    }

    #[test]
    fn the_newest_whole_installation_is_found_and_a_missing_one_says_what_to_install() {
        let debian = std::env::temp_dir().join(format!("florin-postgres-{}", std::process::id()));
        let install = |version: &str, programs: &[&str]| {
            let folder = debian.join(version).join("bin");
            fs::create_dir_all(&folder).unwrap();
            for program in programs {
                fs::write(folder.join(program), "").unwrap();
            }
        };
        let found = |path: &Path| Installation::find_in(&debian, path.as_os_str());
        let missing = found(Path::new("")).unwrap_err().to_string();
        // Only clients, without a server.
        install("17", &["pg_isready"]);
        install("9.6", &PROGRAMS);
        install("15", &PROGRAMS);
        let newest = found(Path::new("")).unwrap().programs;
        let elsewhere = Installation::find_in(&debian.join("none"), debian.join("9.6/bin").as_os_str());
        fs::remove_dir_all(&debian).unwrap();
        assert!(missing.contains("apt-get install postgresql"), "{missing}");
        assert_eq!(newest, debian.join("15/bin"));
        assert_eq!(elsewhere.unwrap().programs, debian.join("9.6/bin"));
    }

    #[test]
    fn an_account_is_read_by_its_whole_name_and_is_never_root() {
        let all = "root:x:0:0:root:/root:/bin/bash\npostgres2:x:7:8::/:/bin/sh\n\
                   postgres:x:101:104:a,b:/var/lib/postgresql:/bin/bash\nbad:x:many:1::/:\n";
        let found = Account::read(all, "postgres").map(|account| (account.uid, account.gid));
        assert_eq!(found, Some((101, 104)));
        for name in ["root", "nobody", "bad"] {
            assert_eq!(Account::read(all, name), None, "{name}");
        }
    }

    #[test]
    fn passwords_are_long_and_not_the_same_twice() {
        let (first, second) = (password().unwrap(), password().unwrap());
        assert_eq!(first.len(), 32);
        assert_ne!(first, second);
    }
}
