//! Owns a connection on which a thread without a runtime works through one long transaction: a repair, beside which nobody appends.

use super::{Database, DatabaseError, described};
use florin_domain::ports::ReadError;
use std::fmt;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row};

/// The transaction is as long as it must be, and waits for its own thread while that reads copies.
const PATIENT: &str = "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0";

/// The connection.
pub struct WriteLink {
    /// Nothing once it is dropped.
    runtime: Option<Runtime>,
    client: Client,
}

impl fmt::Debug for WriteLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteLink").finish_non_exhaustive()
    }
}

impl Drop for WriteLink {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl WriteLink {
    /// Connects. Must be called on a thread that may wait.
    pub fn open(database: &Database) -> Result<Self, DatabaseError> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| database.unfit(error.to_string()))?;
        let client = runtime.block_on(database.address.connect())?;
        let mut link = Self {
            runtime: Some(runtime),
            client,
        };
        link.call(PATIENT)
            .map_err(|error| database.unfit(error.to_string()))?;
        Ok(link)
    }

    fn wait<T>(&mut self, work: impl AsyncFnOnce(&Client) -> Result<T, Error>) -> Result<T, ReadError> {
        let runtime = self
            .runtime
            .as_ref()
            .ok_or_else(|| ReadError::Store("it is closed".to_owned()))?;
        runtime
            .block_on(work(&self.client))
            .map_err(|error| ReadError::Store(described(&error)))
    }

    /// Runs statements that answer nothing.
    pub(crate) fn call(&mut self, sql: &str) -> Result<(), ReadError> {
        self.wait(async |client| client.batch_execute(sql).await)
    }

    /// How many rows a statement has changed.
    pub(crate) fn execute(
        &mut self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, ReadError> {
        self.wait(async |client| client.execute(sql, parameters).await)
    }

    /// The rows of a statement.
    pub(crate) fn rows(
        &mut self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, ReadError> {
        self.wait(async |client| client.query(sql, parameters).await)
    }
}
