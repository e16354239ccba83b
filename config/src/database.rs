//! The section `database`: a journal that several nodes share, in place of the one in the data folder.

use crate::error::ConfigError;
use crate::secret::{HIDDEN, Secret};
use crate::settings::Settings;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::time::Duration;

/// Where the journal is, if it is not in the data folder, and how this node appears beside others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseSettings {
    /// Of a PostgreSQL database; nothing for the embedded journal.
    pub url: Option<Secret>,
    /// Of a standby of that database, which is asked for what decides nothing.
    pub replica_url: Option<Secret>,
    /// What operators call this node.
    pub node: String,
    /// Where callers and other nodes reach its API; where it listens if nothing is said.
    pub node_url: Option<String>,
    /// How long another node waits after this one was last heard of, before it takes its place.
    pub lease: Duration,
    /// Connections for reading.
    pub connections_max: u32,
    /// Until a connection is there.
    pub connect_timeout: Duration,
    /// Until a statement has ended.
    pub statement_timeout: Duration,
    /// For how long an append is tried again whose answer was lost.
    pub append_patience: Duration,
    /// Whether every commit must wait for a copy on another machine.
    pub needs_synchronous_standby: bool,
    /// Whether the payments view is kept there as well, for whichever node has the shards.
    pub has_views: bool,
}

impl DatabaseSettings {
    pub(crate) fn defaults() -> Self {
        Self {
            url: None,
            replica_url: None,
            node: "florin".to_owned(),
            node_url: None,
            lease: Duration::from_secs(10),
            connections_max: 8,
            connect_timeout: Duration::from_secs(3),
            statement_timeout: Duration::from_secs(5),
            append_patience: Duration::from_secs(30),
            needs_synchronous_standby: false,
            has_views: false,
        }
    }

    /// Where this node is reached, listening there.
    pub fn reached_at(&self, listen: SocketAddr) -> String {
        self.node_url
            .clone()
            .unwrap_or_else(|| format!("http://{listen}"))
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawDatabase {
    pub(crate) url: String,
    pub(crate) replica_url: String,
    pub(crate) node: String,
    pub(crate) node_url: String,
    pub(crate) lease_ms: u64,
    pub(crate) connections_max: u32,
    pub(crate) connect_timeout_ms: u64,
    pub(crate) statement_timeout_ms: u64,
    pub(crate) append_patience_ms: u64,
    pub(crate) synchronous_standby: String,
    pub(crate) views: String,
}

/// What `database.synchronous_standby` may say.
pub(crate) const STANDBYS: &[&str] = &["optional", "required"];

/// What `database.views` may say.
pub(crate) const VIEWS: &[&str] = &["folder", "database"];

impl From<&Settings> for RawDatabase {
    fn from(settings: &Settings) -> Self {
        let database = &settings.database;
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let hidden = |url: &Option<Secret>| url.as_ref().map_or("", |_| HIDDEN).to_owned();
        Self {
            url: hidden(&database.url),
            replica_url: hidden(&database.replica_url),
            node: database.node.clone(),
            node_url: database.node_url.clone().unwrap_or_default(),
            lease_ms: ms(database.lease),
            connections_max: database.connections_max,
            connect_timeout_ms: ms(database.connect_timeout),
            statement_timeout_ms: ms(database.statement_timeout),
            append_patience_ms: ms(database.append_patience),
            synchronous_standby: STANDBYS[usize::from(database.needs_synchronous_standby)].to_owned(),
            views: VIEWS[usize::from(database.has_views)].to_owned(),
        }
    }
}

impl RawDatabase {
    /// The settings, or what does not fit. `replica_dir` is that of the embedded journal.
    pub(crate) fn checked(&self, replica_dir: &std::path::Path) -> Result<DatabaseSettings, ConfigError> {
        if !self.url.is_empty() && !replica_dir.as_os_str().is_empty() {
            return Err(ConfigError::Conflict {
                key: "journal.replica_dir".to_owned(),
                value: replica_dir.display().to_string(),
                why: "`database.url` is set, and the database has copies of its own".to_owned(),
            });
        }
        if self.url.is_empty() && !self.replica_url.is_empty() {
            return Err(ConfigError::Conflict {
                key: "database.replica_url".to_owned(),
                value: HIDDEN.to_owned(),
                why: "`database.url` is not set, and what it would be a replica of is a file".to_owned(),
            });
        }
        let has_views = self.views == VIEWS[1];
        if self.url.is_empty() && has_views {
            return Err(ConfigError::Conflict {
                key: "database.views".to_owned(),
                value: self.views.clone(),
                why: "`database.url` is not set, and there is no database to keep them in".to_owned(),
            });
        }
        let ms = Duration::from_millis;
        let secret = |url: &String| Some(Secret::new(url.clone())).filter(|_| !url.is_empty());
        Ok(DatabaseSettings {
            url: secret(&self.url),
            replica_url: secret(&self.replica_url),
            node: self.node.clone(),
            node_url: Some(self.node_url.clone()).filter(|url| !url.is_empty()),
            lease: ms(self.lease_ms),
            connections_max: self.connections_max,
            connect_timeout: ms(self.connect_timeout_ms),
            statement_timeout: ms(self.statement_timeout_ms),
            append_patience: ms(self.append_patience_ms),
            needs_synchronous_standby: self.synchronous_standby == STANDBYS[1],
            has_views,
        })
    }
}
