//! Owns two servers of which one follows the other: what is committed at the first is at the second before anybody hears of it, or a moment later.

use crate::installation::Installation;
use crate::postgres::Postgres;
use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// What the primary calls its standby.
const STANDBY: &str = "second";

/// How long the standby may take to have everything.
const CATCH_UP_MAX: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(20);

const SETTINGS: [&str; 4] = [
    "fsync=on",
    "shared_buffers=16MB",
    "max_connections=60",
    "autovacuum=off",
];

/// A primary and its synchronous standby, gone with this value.
#[derive(Debug)]
pub struct Replicated {
    primary: Postgres,
    standby: Postgres,
}

impl Replicated {
    /// Starts both, and returns once a commit waits for the standby.
    pub fn start() -> Result<Self> {
        let pair = Self::start_loosely()?;
        // Two commands: what changes the server's settings is no part of a transaction.
        pair.primary.query(&format!(
            "ALTER SYSTEM SET synchronous_standby_names = '{STANDBY}'"
        ))?;
        pair.primary.query("SELECT pg_reload_conf()")?;
        let deadline = Instant::now() + CATCH_UP_MAX;
        let sql = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
        while pair.primary.query(sql)?.trim() != "1" {
            if Instant::now() > deadline {
                bail!("the standby did not become synchronous");
            }
            std::thread::sleep(POLL);
        }
        Ok(pair)
    }

    /// Starts both, of which the first waits for nobody.
    pub fn start_loosely() -> Result<Self> {
        let installation = Installation::find_or_install()?;
        let primary = Postgres::start_anywhere(&installation, &SETTINGS)?;
        let standby = primary.start_standby(STANDBY, &SETTINGS)?;
        Ok(Self { primary, standby })
    }

    /// The one that takes writes.
    pub fn primary_url(&self) -> String {
        self.primary.url()
    }

    /// The one that follows it.
    pub fn standby_url(&self) -> String {
        self.standby.url()
    }

    /// Ends the standby as a crash does.
    pub fn kill_standby(&mut self) -> Result<()> {
        self.standby.kill()
    }

    /// Both, of which whoever connects takes the one that can be written to.
    pub fn url(&self) -> String {
        let first = self.primary.url();
        let place = format!("127.0.0.1:{}", self.primary.port());
        let both = format!("{place},127.0.0.1:{}", self.standby.port());
        format!("{}?target_session_attrs=read-write", first.replace(&place, &both))
    }

    /// What the primary answers.
    pub fn query(&self, sql: &str) -> Result<String> {
        self.primary.query(sql)
    }

    /// Changes a byte of what the primary has stored of a table, see [`Postgres::rot`]. The standby is not told of it.
    pub fn rot_primary(&mut self, table: &str, mark: &str) -> Result<()> {
        self.primary.rot(table, mark, &SETTINGS)?;
        self.caught_up()
    }

    /// The same with what the standby has stored.
    pub fn rot_standby(&mut self, table: &str, mark: &str) -> Result<()> {
        // It writes its pages where the primary has written its own.
        self.primary.query("CHECKPOINT")?;
        self.caught_up()?;
        self.standby.query("CHECKPOINT")?;
        self.standby.rot(table, mark, &SETTINGS)?;
        self.caught_up()
    }

    /// Has the standby apply nothing more of what it gets, until [`Replicated::caught_up`] is asked for.
    pub fn hold_standby_back(&self) -> Result<()> {
        self.standby.query("SELECT pg_wal_replay_pause()").map(drop)
    }

    /// Waits until the standby shows what the primary has.
    pub fn caught_up(&self) -> Result<()> {
        self.standby.query("SELECT pg_wal_replay_resume()")?;
        let end = self.primary.query("SELECT pg_current_wal_flush_lsn()")?;
        let sql = format!("SELECT pg_last_wal_replay_lsn() >= '{}'", end.trim());
        let deadline = Instant::now() + CATCH_UP_MAX;
        while self.standby.query(&sql)?.trim() != "t" {
            if Instant::now() > deadline {
                bail!("the standby does not catch up");
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// Ends the primary as a crash does.
    pub fn kill_primary(&mut self) -> Result<()> {
        self.primary.kill()
    }

    /// The standby goes on without the primary.
    pub fn promote(&self) -> Result<()> {
        self.standby.promote()
    }

    /// What the standby answers, which must have been promoted for anything that writes.
    pub fn query_standby(&self, sql: &str) -> Result<String> {
        self.standby.query(sql)
    }
}
