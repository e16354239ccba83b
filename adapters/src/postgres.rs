//! Owns everything that is the same for whatever is kept in PostgreSQL: how it is reached, its schema, and who may use it.
//!
//! # Layout
//! * `address` where the database is, and what every session is told; `link` one connection of one's own, watched for warnings;
//!   `pool` those that are lent; `replica` the same of a standby, for what decides nothing; `reading` one for reading from a thread without a
//!   runtime, `writing` one for a repair
//! * `migrations` the schema, embedded; `checks` what a start refuses; `lease` which process has the shards, by the database's clock;
//!   `moved` the mark that nobody has them, because their journal is elsewhere
//!
//! Reads go through a pool, whose queue is bounded. Whoever appends has a connection of its own: reads never hold up a payment.

mod address;
mod checks;
mod lease;
mod link;
mod migrations;
mod moved;
mod pool;
mod reading;
mod replica;
#[cfg(test)]
pub(crate) mod tests;
mod writing;

pub use checks::Durability;
pub use lease::{Holder, Lease, LeaseTerms, Taken, Trusted};
pub(crate) use link::{Link, Outcome, Trouble};
pub(crate) use moved::{Mark, Names};
pub(crate) use pool::Lent;
pub use reading::Server;
pub(crate) use reading::{ReadLink, Unread};
pub use replica::Replica;
pub use writing::WriteLink;

use address::{Address, Meant};
use bb8::Pool;
use pool::Manager;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::Semaphore;
use tokio_postgres::types::ToSql;

/// Why the database cannot be used.
#[derive(Debug, Error)]
pub enum DatabaseError {
    /// What was configured is no address.
    #[error("`database.url` is not understood: {0}")]
    Address(String),
    /// It does not answer, or refuses us.
    #[error("the database at {place} cannot be reached (`database.url`): {why}")]
    Unreachable {
        /// Hosts and ports.
        place: String,
        /// What was met.
        why: String,
    },
    /// What was configured as its replica is no address.
    #[error("`database.replica_url` is not understood: {0}")]
    ReplicaAddress(String),
    /// What was configured as its replica is something else.
    #[error("the server at {place} cannot be the replica (`database.replica_url`): {why}")]
    ReplicaUnfit {
        /// Hosts and ports.
        place: String,
        /// What it is.
        why: String,
    },
    /// It is there, and must not be used as it is.
    #[error("the database at {place} cannot be used: {why}")]
    Unfit {
        /// Hosts and ports.
        place: String,
        /// Why, and what to do.
        why: String,
    },
}

/// How the database is used.
#[derive(Clone)]
pub struct DatabaseOptions {
    /// In one of the two forms of libpq: `postgres://...` or `host=... port=...`. Has a password, and so is never shown.
    pub url: String,
    /// Connections of the pool, besides one for each shard that appends and one for the lease.
    pub connections_max: u32,
    /// Reads that may wait for one of them; one more is refused.
    pub waiting_max: usize,
    /// Until a connection is there.
    pub connect_timeout: Duration,
    /// Until a statement has ended, which the database sees to.
    pub statement_timeout: Duration,
    /// For how long an append is tried again while the database does not answer or another one takes its place.
    pub append_patience: Duration,
}

impl fmt::Debug for DatabaseOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseOptions")
            .field("connections_max", &self.connections_max)
            .finish_non_exhaustive()
    }
}

impl DatabaseOptions {
    /// The usual ones for an address.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            connections_max: 8,
            waiting_max: 1024,
            connect_timeout: Duration::from_secs(3),
            statement_timeout: Duration::from_secs(5),
            append_patience: Duration::from_secs(30),
        }
    }
}

/// A database that can be used. Clones share its pool.
#[derive(Clone, Debug)]
pub struct Database {
    address: Arc<Address>,
    pool: Pool<Manager>,
    waiting: Arc<Semaphore>,
    options: Arc<DatabaseOptions>,
    needs_copy: bool,
}

impl Database {
    /// Connects, brings the schema up to date, and refuses what could lose or double anything.
    pub async fn open(options: DatabaseOptions, durability: Durability) -> Result<Self, DatabaseError> {
        let address = Address::parse(&options, Meant::Primary)?;
        let mut first = address.connect().await?;
        let checked = checks::check(&first, &address, durability);
        let checked = tokio::time::timeout(options.statement_timeout * 2, checked).await;
        checked.map_err(|_| DatabaseError::Unreachable {
            place: address.place().to_owned(),
            why: "it does not answer".to_owned(),
        })??;
        migrations::apply(&mut first, &address).await?;
        let manager = Manager::of_primary(&address);
        let needs_copy = durability == Durability::Replicated;
        Ok(Self {
            needs_copy,
            ..Self::lending(address, manager, options)
        })
    }

    /// What lends connections, each made when it is first wanted.
    fn lending(address: Address, manager: Manager, options: DatabaseOptions) -> Self {
        let pool = Pool::builder()
            .max_size(options.connections_max.max(1))
            .connection_timeout(options.connect_timeout)
            // A broken connection is noticed when it is used, and made anew for the next one.
            .test_on_check_out(false)
            .build_unchecked(manager);
        let waiting = options
            .waiting_max
            .saturating_add(options.connections_max as usize);
        Self {
            address: Arc::new(address),
            needs_copy: false,
            pool,
            waiting: Arc::new(Semaphore::new(waiting)),
            options: Arc::new(options),
        }
    }

    /// Hosts and ports, without anything secret.
    pub fn place(&self) -> &str {
        self.address.place()
    }

    /// Names the journal that is kept here.
    pub async fn journal_id(&self) -> Result<String, DatabaseError> {
        self.value("SELECT id::text FROM florin.journal", &[]).await
    }

    /// Whether a store of nodes has anything here.
    pub async fn has_rows(&self, store: &str) -> Result<bool, DatabaseError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM florin.store_row WHERE store = $1)";
        self.value(sql, &[&store]).await
    }

    /// Refuses a node whose secret of this name is not that of the node which began this journal. It is told as a digest, or as its public half.
    pub async fn compare_secret(&self, name: &str, told: &str) -> Result<(), DatabaseError> {
        let first: String = self
            .value("SELECT florin.tell_secret($1, $2)", &[&name, &told])
            .await?;
        if first == told {
            return Ok(());
        }
        Err(self.unfit(format!(
            "this node has another {name} than the nodes before it: copy it from the data folder of one of those"
        )))
    }

    /// Which database, and what is wrong with it.
    pub(crate) fn unfit(&self, why: String) -> DatabaseError {
        DatabaseError::Unfit {
            place: self.place().to_owned(),
            why,
        }
    }

    async fn value<T>(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<T, DatabaseError>
    where
        T: for<'row> tokio_postgres::types::FromSql<'row>,
    {
        let client = self.lend().await.map_err(|why| self.unfit(why))?;
        client.value(sql, parameters).await.map_err(|why| self.unfit(why))
    }

    /// Whether no commit may be acknowledged without a copy elsewhere.
    pub(crate) fn needs_copy(&self) -> bool {
        self.needs_copy
    }

    /// How it is used.
    pub(crate) fn options(&self) -> &DatabaseOptions {
        &self.options
    }

    /// A connection of one's own.
    pub(crate) async fn link(&self) -> Result<Link, String> {
        Link::open(&self.address).await
    }

    /// A connection of the pool, once one is free; refused at once if too many wait already.
    pub(crate) async fn lend(&self) -> Result<Lent<'_>, String> {
        loop {
            let place = self
                .waiting
                .try_acquire()
                .map_err(|_| "too many reads wait for the database".to_owned())?;
            let connection = self.pool.get().await.map_err(|error| match error {
                bb8::RunError::User(why) => why,
                bb8::RunError::TimedOut => {
                    "no connection to the database was free or could be made in time".to_owned()
                }
            })?;
            let lent = Lent::new(connection, self.options.statement_timeout * 2, place);
            // The server may have ended those that lay there, all of them. Each is thrown away once, so this ends.
            if !lent.is_closed() {
                return Ok(lent);
            }
        }
    }
}

/// What an error says, with what the database said.
pub(crate) fn described(error: &tokio_postgres::Error) -> String {
    if let Some(said) = error.as_db_error() {
        return format!("{} ({})", said.message(), said.code().code());
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}
