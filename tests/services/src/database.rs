//! Owns an empty database for one test.

use crate::ground::password;
use crate::installation::Installation;
use crate::postgres::Postgres;
use crate::proxy::Proxy;
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Write};
use std::net::ToSocketAddrs;
use std::process::{Child, Stdio};

/// The variable that names a server which tests may use in place of their own.
pub const GIVEN: &str = "FLORIN_TEST_POSTGRES";

/// What a server of a test's own is started with: little memory, and all that keeps a commit.
const SETTINGS: [&str; 4] = [
    "fsync=on",
    "shared_buffers=16MB",
    "max_connections=60",
    "autovacuum=off",
];

/// The same for one that many tests use at once.
const SHARED_SETTINGS: [&str; 4] = [
    "fsync=on",
    "shared_buffers=64MB",
    "max_connections=500",
    "autovacuum=off",
];

/// A server for the databases of many tests at once, unless one is given already. Its `server_url` is what they are to be given.
pub fn shared() -> Result<Option<Postgres>> {
    if std::env::var_os(GIVEN).is_some() {
        return Ok(None);
    }
    let installation = Installation::find_or_install()?;
    Postgres::start_anywhere(&installation, &SHARED_SETTINGS).map(Some)
}

/// An empty database, gone with this value. On the server that was given, or on one of its own.
#[derive(Debug)]
pub struct TestDatabase {
    url: String,
    /// Where it was made, if the server goes on.
    given: Option<(Installation, String, String)>,
    _own: Option<Postgres>,
}

impl TestDatabase {
    /// A new one.
    pub fn new() -> Result<Self> {
        let Ok(server) = std::env::var(GIVEN) else {
            return Self::private(&[]);
        };
        let installation = Installation::find()?;
        let name = format!("florin_test_{}", password()?);
        on_server(&installation, "createdb", &server, &name)?;
        Ok(Self {
            url: format!("{}/{name}", server.trim_end_matches('/')),
            given: Some((installation, server, name)),
            _own: None,
        })
    }

    /// One on a server of its own with these settings besides, `name=value`, for tests that do something to the server itself.
    pub fn private(settings: &[&str]) -> Result<Self> {
        let own = Postgres::start_anywhere(&Installation::find()?, &[&SETTINGS, settings].concat())?;
        Ok(Self {
            url: own.url(),
            given: None,
            _own: Some(own),
        })
    }

    /// Where it is, with a user who may do everything in it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What psql answers to some SQL in it: one line for each row.
    pub fn query(&self, sql: &str) -> Result<String> {
        crate::postgres::query(&Installation::find()?, &self.url, sql)
    }

    /// The same through a bad network.
    pub fn proxied(&self) -> Result<(Proxy, String)> {
        let place = place(&self.url).context("a URL without a place")?;
        let mut addresses = place
            .to_socket_addrs()
            .with_context(|| format!("{place} is no address"))?;
        let target = addresses.next().context("a name without an address")?;
        let proxy = Proxy::start(target)?;
        let url = self.url.replace(place, &proxy.address().to_string());
        Ok((proxy, url))
    }

    /// Runs statements in a session that stays open, with whatever they have locked, until it is dropped.
    pub fn session(&self, statements: &str) -> Result<Session> {
        let mut command = Installation::find()?.call("psql", None, std::path::Path::new("/"));
        let child = command
            .args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", &self.url])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("psql cannot be started")?;
        let mut session = Session(child);
        let input = session.0.stdin.as_mut().context("psql reads nothing")?;
        writeln!(input, "{statements};\n\\echo {DONE}").context("psql has ended")?;
        let output = session.0.stdout.take().context("psql says nothing")?;
        for line in BufReader::new(output).lines() {
            if line.context("psql has ended")? == DONE {
                return Ok(session);
            }
        }
        bail!("psql could not run `{statements}`")
    }
}

/// What a session says when it has run everything.
const DONE: &str = "statements-done";

/// An open session of a database.
#[derive(Debug)]
pub struct Session(Child);

impl Drop for Session {
    fn drop(&mut self) {
        // Its end is the end of its transaction.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Host and port of a URL.
fn place(url: &str) -> Option<&str> {
    let rest = url.split_once("://")?.1;
    let (authority, _) = rest.split_once('/')?;
    Some(authority.rsplit_once('@').map_or(authority, |(_, place)| place))
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if let Some((installation, server, name)) = &self.given
            && let Err(error) = on_server(installation, "dropdb", server, name)
        {
            eprintln!("the database {name} is left: {error:#}");
        }
    }
}

fn on_server(installation: &Installation, program: &str, server: &str, name: &str) -> Result<()> {
    let mut command = installation.call(program, None, std::path::Path::new("/"));
    let maintenance = format!("{}/postgres", server.trim_end_matches('/'));
    command.arg(format!("--maintenance-db={maintenance}"));
    if program == "dropdb" {
        command.arg("--force");
    }
    let output = command
        .arg(name)
        .output()
        .with_context(|| format!("{program} cannot be started"))?;
    if !output.status.success() {
        bail!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn the_place_of_a_url_is_between_its_user_and_its_database() {
        assert_eq!(
            place("postgres://me:a@b@127.0.0.1:5432/x"),
            Some("127.0.0.1:5432")
        );
        assert_eq!(place("postgres://[::1]:5432/x"), Some("[::1]:5432"));
        assert_eq!(place("host=127.0.0.1"), None);
    }
}
