//! Owns a connection for reading by whoever waits on a thread of its own: beside the pool, so that it takes nothing from the requests of a node, and
//! with a small runtime of its own, so that it hinders nobody's.

use super::address::{Address, Meant};
use super::{Database, DatabaseError, DatabaseOptions, described};
use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, Error, IsolationLevel, Transaction};

/// Which of a database's servers is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// The one that takes writes.
    Primary,
    /// One that follows it.
    Standby,
}

/// Why there is no answer.
#[derive(Clone, Debug)]
pub(crate) enum Unread {
    /// The server says that what it has stored is damaged.
    Damaged(String),
    /// It cannot be asked, or refuses.
    Failed(String),
}

/// A connection that is made when it is needed, and made again after a failure.
pub(crate) struct ReadLink {
    /// Nothing once it is dropped.
    runtime: Option<Runtime>,
    address: Arc<Address>,
    answer_max: Duration,
    client: RefCell<Option<Client>>,
}

impl fmt::Debug for ReadLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadLink")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Drop for ReadLink {
    fn drop(&mut self) {
        // Connections end with what drives them. A runtime that is waited for must not be dropped by a task.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl ReadLink {
    /// To the database of a node.
    pub(crate) fn of(database: &Database) -> std::io::Result<Self> {
        Self::new(Arc::clone(&database.address), database.options())
    }

    /// To a server of which nothing is known yet.
    pub(crate) fn open(options: &DatabaseOptions, server: Server) -> Result<Self, DatabaseError> {
        let meant = match server {
            Server::Primary => Meant::Primary,
            Server::Standby => Meant::Standby,
        };
        let address = Address::parse(options, meant)?;
        let place = address.place().to_owned();
        Self::new(Arc::new(address), options).map_err(|error| DatabaseError::Unfit {
            place,
            why: error.to_string(),
        })
    }

    fn new(address: Arc<Address>, options: &DatabaseOptions) -> std::io::Result<Self> {
        Ok(Self {
            runtime: Some(Builder::new_current_thread().enable_all().build()?),
            address,
            answer_max: options.statement_timeout * 2,
            client: RefCell::new(None),
        })
    }

    /// Hosts and ports, without anything secret.
    pub(crate) fn place(&self) -> &str {
        self.address.place()
    }

    /// Asks in a transaction that sees one state of the database and changes nothing.
    pub(crate) fn ask<T>(
        &self,
        question: impl AsyncFnOnce(&Transaction<'_>) -> Result<T, Error>,
    ) -> Result<T, Unread> {
        let failed = |why: &str| Unread::Failed(why.to_owned());
        let runtime = self.runtime.as_ref().ok_or_else(|| failed("it is closed"))?;
        let mut kept = self
            .client
            .try_borrow_mut()
            .map_err(|_| failed("it is asked already"))?;
        runtime.block_on(async {
            let mut client = match kept.take().filter(|client| !client.is_closed()) {
                Some(client) => client,
                None => self
                    .address
                    .connect()
                    .await
                    .map_err(|error| Unread::Failed(error.to_string()))?,
            };
            let asking = async {
                let reading = client.build_transaction().read_only(true);
                let state = reading
                    .isolation_level(IsolationLevel::RepeatableRead)
                    .start()
                    .await?;
                let answer = question(&state).await?;
                state.commit().await?;
                Ok(answer)
            };
            let answer = tokio::time::timeout(self.answer_max, asking)
                .await
                .map_err(|_| failed("the database does not answer"))?
                .map_err(|error: Error| unread(&error));
            // One whose answer stayed out is not asked again.
            if !matches!(answer, Err(Unread::Failed(_))) {
                *kept = Some(client);
            }
            answer
        })
    }
}

/// Says whether an error is about what is stored: class XX, of which a page or a value that cannot be read is.
fn unread(error: &Error) -> Unread {
    let is_damage = error.code().is_some_and(|code| code.code().starts_with("XX"));
    let why = described(error);
    if is_damage {
        Unread::Damaged(why)
    } else {
        Unread::Failed(why)
    }
}
