//! Owns the standby that is asked for what decides nothing: that it is one of this database, how it is reached, and when it is left alone.
//!
//! Every connection is checked when it is made, since a name may lead to another server tomorrow. What is behind a connection never changes to another
//! history while it lasts: a server that is brought onto another one has to stop for it.

use super::address::{Address, Meant};
use super::pool::{Lent, Manager};
use super::{Database, DatabaseError, DatabaseOptions, described};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tokio_postgres::Client;

/// Until a connection is there, and until a statement has ended: after that the primary is asked, which has waited for nothing yet.
const CONNECT_MAX: Duration = Duration::from_secs(1);
const STATEMENT_MAX: Duration = Duration::from_secs(2);

/// For how long nobody asks one that did not answer.
const REST: Duration = Duration::from_secs(5);
/// And one that has another history.
const REST_OF_ANOTHER: Duration = Duration::from_mins(1);

/// Reads that may wait for a connection of it; one more asks the primary.
const WAITING_MAX: usize = 64;

/// What a server says that tells whether it follows this database.
const LOOK: &str = "SELECT pg_is_in_recovery(), (SELECT system_identifier::text FROM pg_control_system()),
                           to_regclass('florin.journal') IS NOT NULL";

/// Which database a standby must be of.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    /// Made with the server's data, and the same in all that follow it.
    system: String,
    /// Made with the schema.
    journal: String,
}

/// Why a server is none that may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Misfit {
    /// It may become one.
    NotYet(String),
    /// It is another one, or none at all.
    Never(String),
}

impl Misfit {
    pub(super) fn why(self) -> String {
        let (Self::NotYet(why) | Self::Never(why)) = self;
        why
    }
}

impl Identity {
    /// Whether a server is a standby of that database.
    pub(super) async fn check(&self, client: &Client) -> Result<(), Misfit> {
        let failed = |error: tokio_postgres::Error| Misfit::NotYet(described(&error));
        let row = client.query_one(LOOK, &[]).await.map_err(failed)?;
        let (follows, system, has_journal): (bool, String, bool) = (row.get(0), row.get(1), row.get(2));
        if system != self.system {
            let why =
                "it is no copy of the server that `database.url` names: their system identifiers differ";
            return Err(Misfit::Never(why.to_owned()));
        }
        if !follows {
            let why = "it is no standby: it takes writes, or was promoted";
            return Err(Misfit::Never(why.to_owned()));
        }
        if !has_journal {
            let why =
                "it does not have the schema `florin` (yet): it is far behind, or another database is named";
            return Err(Misfit::NotYet(why.to_owned()));
        }
        let sql = "SELECT id::text FROM florin.journal";
        let journal: String = client.query_one(sql, &[]).await.map_err(failed)?.get(0);
        if journal != self.journal {
            let why = "it has another journal than `database.url`";
            return Err(Misfit::Never(why.to_owned()));
        }
        Ok(())
    }
}

/// A standby. It lends connections for reading and nothing else, and never to whoever decides. Clones share them.
#[derive(Clone, Debug)]
pub struct Replica {
    lending: Database,
    rests_until: Arc<Mutex<Option<Instant>>>,
}

impl Replica {
    /// The standby at a URL, which is refused if it is one of something else. One that is not there is told of, and may come.
    pub async fn open(url: impl Into<String>, database: &Database) -> Result<Self, DatabaseError> {
        let told = database.options();
        let options = DatabaseOptions {
            connections_max: told.connections_max,
            waiting_max: WAITING_MAX,
            connect_timeout: told.connect_timeout.min(CONNECT_MAX),
            statement_timeout: told.statement_timeout.min(STATEMENT_MAX),
            ..DatabaseOptions::new(url)
        };
        let address = Address::parse(&options, Meant::Standby).map_err(|error| match error {
            DatabaseError::Address(why) => DatabaseError::ReplicaAddress(why),
            other => other,
        })?;
        let identity = Identity {
            system: database
                .value("SELECT system_identifier::text FROM pg_control_system()", &[])
                .await?,
            journal: database.journal_id().await?,
        };
        let looked = tokio::time::timeout(options.statement_timeout * 2, look(&address, &identity)).await;
        let looked = looked.unwrap_or_else(|_| Err(Misfit::NotYet("it does not answer".to_owned())));
        match looked {
            Ok(()) => {}
            Err(Misfit::Never(why)) => {
                return Err(DatabaseError::ReplicaUnfit {
                    place: address.place().to_owned(),
                    why,
                });
            }
            Err(Misfit::NotYet(why)) => tracing::warn!(
                replica = address.place(),
                why,
                "the replica cannot be asked now (`database.replica_url`); the database is asked for all that it would be"
            ),
        }
        let manager = Manager::of_standby(&address, identity);
        Ok(Self {
            lending: Database::lending(address, manager, options),
            rests_until: Arc::default(),
        })
    }

    /// Hosts and ports, without anything secret.
    pub fn place(&self) -> &str {
        self.lending.place()
    }

    /// Whether it is left alone for now.
    pub(crate) fn is_resting(&self) -> bool {
        self.rests_until().is_some_and(|until| Instant::now() < until)
    }

    pub(crate) fn rests_until(&self) -> Option<Instant> {
        *self.rests_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection of it.
    pub(crate) async fn lend(&self) -> Result<Lent<'_>, String> {
        self.lending.lend().await
    }

    /// How long one read of it may take in all.
    pub(crate) fn answer_max(&self) -> Duration {
        self.lending.options().statement_timeout
    }

    /// Leaves it alone for a while, because it does not answer.
    pub(crate) fn did_not_answer(&self, why: &str) {
        if self.rest(REST) {
            tracing::warn!(
                replica = self.place(),
                why,
                "the replica is not asked for a moment"
            );
        }
    }

    /// Leaves it alone for longer, because what it has is not our history.
    pub(crate) fn has_another_history(&self, seq: u64) {
        if self.rest(REST_OF_ANOTHER) {
            metrics::counter!("florin_alerts_total", "alert" => "replica_other_history").increment(1);
            tracing::error!(
                replica = self.place(),
                seq,
                "the replica has another record than the journal: it followed a server that was left behind, and must be made anew"
            );
        }
    }

    /// Whether it was asked until now.
    fn rest(&self, length: Duration) -> bool {
        let mut until = self.rests_until.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let was_asked = until.is_none_or(|until| until <= now);
        *until = Some(now + length);
        was_asked
    }
}

async fn look(address: &Address, identity: &Identity) -> Result<(), Misfit> {
    let reached = address.connect().await;
    let client = reached.map_err(|error| match error {
        DatabaseError::Unreachable { why, .. } => Misfit::NotYet(why),
        other => Misfit::NotYet(other.to_string()),
    })?;
    identity.check(&client).await
}
