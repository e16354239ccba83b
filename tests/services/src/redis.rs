//! A Redis server of our own for as long as a command needs it: found on this machine, started in a folder of its own, on a free port of the
//! loopback interface with a password, and ended with the value that stands for it.
//!
//! It is a cache and nothing else: `save ""` and `appendonly no`, so that it writes no file but its log. Whoever wants it to keep something
//! says so in the settings.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::ground::{Account, begin, free_port, install, may_install, password};
use anyhow::{Context, Result, bail, ensure};

/// The variable that names a server which tests may use in place of their own.
pub const GIVEN_REDIS: &str = "FLORIN_TEST_REDIS";

/// Debian's package that has it.
const PACKAGE: &str = "redis-server";
/// What is started.
const SERVER: &str = "redis-server";
/// Whom it may run as in the place of root.
const ACCOUNTS: [&str; 2] = ["redis", "nobody"];
/// How long it may take to start, on a machine that has much else to do.
const START_MAX: Duration = Duration::from_secs(30);
/// How often a starting server is asked.
const POLL: Duration = Duration::from_millis(20);
/// How long it may take to answer, once it has taken the connection.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Where the server's program is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisProgram(PathBuf);

impl RedisProgram {
    /// The one in the search path.
    pub fn find() -> Result<Self> {
        Self::find_in(&std::env::var_os("PATH").unwrap_or_default())
    }

    /// The same. As root on Debian, what is missing is installed, and said.
    pub fn find_or_install() -> Result<Self> {
        let found = Self::find();
        if found.is_ok() || !may_install() {
            return found;
        }
        install(PACKAGE)?;
        Self::find()
    }

    fn find_in(path: &OsStr) -> Result<Self> {
        std::env::split_paths(path)
            .map(|folder| folder.join(SERVER))
            .find(|program| program.is_file())
            .map(Self)
            .with_context(|| {
                format!(
                    "no Redis server is installed: the search path has no {SERVER}. On Debian and Ubuntu: apt-get install {PACKAGE}"
                )
            })
    }
}

/// A running server; dropping it ends it. Its folder is whoever's who gave it, and deleted if nobody did.
#[derive(Debug)]
pub struct Redis {
    folder: PathBuf,
    child: Child,
    program: RedisProgram,
    runs_as: Option<Account>,
    port: u16,
    password: String,
    is_folder_ours: bool,
}

impl Redis {
    /// Starts a server in a new folder among the system's temporary ones.
    pub fn start_anywhere(program: &RedisProgram, settings: &[&str]) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("florin-redis-{}", password()?));
        let started = Self::start(program, &folder, settings);
        if started.is_err() {
            drop(fs::remove_dir_all(&folder));
        }
        started.map(|mut server| {
            server.is_folder_ours = true;
            server
        })
    }

    /// Makes `folder`, which must not exist, and starts a server in it with `settings`, each a line of its configuration.
    pub fn start(program: &RedisProgram, folder: &Path, settings: &[&str]) -> Result<Self> {
        ensure!(!folder.exists(), "{} exists already", folder.display());
        let (runs_as, folder) = begin(folder, &ACCOUNTS)?;
        let (port, password) = (free_port()?, password()?);
        // Not on the command line, which everybody sees.
        let configuration = folder.join("redis.conf");
        fs::write(&configuration, lines(&folder, port, &password, settings))
            .with_context(|| format!("{} cannot be written", configuration.display()))?;
        if let Some(account) = &runs_as {
            account.gets(&configuration)?;
        }
        let child = spawn(program, runs_as.as_ref(), &folder)?;
        let mut server = Self {
            folder,
            child,
            program: program.clone(),
            runs_as,
            port,
            password,
            is_folder_ours: false,
        };
        server
            .ready()
            .with_context(|| format!("its log:\n{}", server.log()))?;
        Ok(server)
    }

    /// Where it is, with its password.
    pub fn url(&self) -> String {
        format!("redis://:{}@{}:{}", self.password, Ipv4Addr::LOCALHOST, self.port)
    }

    /// The process that it is.
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it answers.
    pub fn ping(&self) -> Result<()> {
        let answer = self.ask("PING")?;
        ensure!(answer == "+PONG\r\n", "an answer of another kind: {answer}");
        Ok(())
    }

    /// Its answer to one command, as it comes.
    pub fn ask(&self, command: &str) -> Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).context("nobody listens")?;
        stream
            .set_read_timeout(Some(ANSWER_MAX))
            .context("no time limit for an answer")?;
        write!(stream, "AUTH {}\r\n{command}\r\nQUIT\r\n", self.password).context("nobody reads")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).context("no answer")?;
        let answer = String::from_utf8_lossy(&answer);
        let answer = answer
            .strip_prefix("+OK\r\n")
            .and_then(|answer| answer.strip_suffix("+OK\r\n"));
        Ok(answer
            .with_context(|| format!("no answer to {command}"))?
            .to_owned())
    }

    /// The names of what is kept whose names are like this.
    pub fn names(&self, like: &str) -> Result<Vec<String>> {
        let answer = self.ask(&format!("KEYS {like}"))?;
        let is_name = |line: &&str| !line.starts_with(['*', '$']) && !line.is_empty();
        let mut names: Vec<String> = answer.split("\r\n").filter(is_name).map(str::to_owned).collect();
        names.sort();
        Ok(names)
    }

    /// Ends it at once, as a machine that goes down does.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill().context("redis-server cannot be ended")?;
        self.child.wait().context("redis-server does not end")?;
        Ok(())
    }

    /// Starts it again in its place, after it was ended.
    pub fn start_again(&mut self) -> Result<()> {
        self.child = spawn(&self.program, self.runs_as.as_ref(), &self.folder)?;
        self.ready()
    }

    fn ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_MAX;
        loop {
            if let Some(status) = self
                .child
                .try_wait()
                .context("redis-server cannot be waited for")?
            {
                bail!("redis-server ended with {status} before it was ready");
            }
            match self.ping() {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() > deadline => {
                    return Err(error.context(format!("not ready within {} s", START_MAX.as_secs())));
                }
                Err(_) => std::thread::sleep(POLL),
            }
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It has nothing to write in the end.
        drop(self.child.kill());
        drop(self.child.wait());
        if self.is_folder_ours {
            drop(fs::remove_dir_all(&self.folder));
        }
    }
}

fn spawn(program: &RedisProgram, runs_as: Option<&Account>, folder: &Path) -> Result<Child> {
    let log = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join("log"))
        .context("the server's log cannot be written")?;
    let errors = log
        .try_clone()
        .context("the server's log cannot be written twice")?;
    let mut command = Command::new(&program.0);
    command
        .arg(folder.join("redis.conf"))
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors);
    if let Some(account) = runs_as {
        account.runs(&mut command);
    }
    command.spawn().context("redis-server cannot be started")
}

fn lines(folder: &Path, port: u16, password: &str, settings: &[&str]) -> String {
    let fixed = format!(
        "bind {}\nport {port}\nrequirepass {password}\ndir \"{}\"\ndaemonize no\nsave \"\"\nappendonly no\n",
        Ipv4Addr::LOCALHOST,
        folder.display()
    );
    settings
        .iter()
        .fold(fixed, |lines, setting| lines + setting + "\n")
}

/// A server for many tests at once, unless one is given already. Its `url` is what they are to be given.
pub fn shared_redis() -> Result<Option<Redis>> {
    if std::env::var_os(GIVEN_REDIS).is_some() {
        return Ok(None);
    }
    Redis::start_anywhere(&RedisProgram::find_or_install()?, &[]).map(Some)
}

/// A server for one test: the one that was given, or one of its own that is gone with this value.
#[derive(Debug)]
pub struct TestRedis {
    url: String,
    _own: Option<Redis>,
}

impl TestRedis {
    /// A new one.
    pub fn new() -> Result<Self> {
        if let Ok(url) = std::env::var(GIVEN_REDIS) {
            return Ok(Self { url, _own: None });
        }
        let own = Redis::start_anywhere(&RedisProgram::find()?, &[])?;
        Ok(Self {
            url: own.url(),
            _own: Some(own),
        })
    }

    /// Where it is. What is kept there may meet what other tests keep.
    pub fn url(&self) -> &str {
        &self.url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_starts_answers_keeps_no_file_and_ends_with_its_value() {
        let program = RedisProgram::find().unwrap();
        let server = Redis::start_anywhere(&program, &["maxmemory 32mb"]).unwrap();
        let process = PathBuf::from(format!("/proc/{}", server.process_id()));
        let (folder, port) = (server.folder.clone(), server.port);
        server.ping().unwrap();
        assert!(process.exists());
        let status = fs::read_to_string(process.join("status")).unwrap();
        let user = status.lines().find(|line| line.starts_with("Uid:")).unwrap();
        assert_ne!(user.split_whitespace().nth(1), Some("0"), "it runs as root");
        let mut files: Vec<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        files.sort();
        assert_eq!(files, ["log", "redis.conf"]);
        drop(server);
        assert!(!process.exists() && !folder.exists());
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
    }

    #[test]
    fn a_setting_that_is_none_is_told_with_the_servers_own_words() {
        let program = RedisProgram::find().unwrap();
        let error = Redis::start_anywhere(&program, &["no-such-setting yes"]).unwrap_err();
        let told = format!("{error:#}");
        assert!(
            told.contains("redis-server ended") && told.contains("no-such-setting"),
            "{told}"
        );
    }

    #[test]
    fn a_missing_program_says_what_to_install() {
        let error = RedisProgram::find_in(OsStr::new("/nowhere"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("apt-get install redis-server"), "{error}");
    }
}
