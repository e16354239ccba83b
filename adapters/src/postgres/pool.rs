//! Owns the connections that are lent for reading: made within a limit, used within a limit, and not used again if an answer stayed out.

use super::address::Address;
use super::described;
use bb8::{ManageConnection, PooledConnection};
use bb8_postgres::PostgresConnectionManager;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::SemaphorePermit;
use tokio_postgres::types::{FromSql, ToSql};
use tokio_postgres::{Client, Error, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Makes connections for the pool.
#[derive(Debug)]
pub(super) struct Manager {
    inner: PostgresConnectionManager<MakeRustlsConnect>,
    reach_max: Duration,
}

/// A connection of the pool.
#[derive(Debug)]
pub(super) struct Pooled {
    client: Client,
    /// An answer is owed. Whoever asked has gone, if this is seen when it is given back.
    is_asked: AtomicBool,
}

impl Manager {
    pub(super) fn new(address: &Address) -> Self {
        Self {
            inner: PostgresConnectionManager::new(address.config().clone(), address.tls()),
            reach_max: address.reach_max(),
        }
    }
}

impl ManageConnection for Manager {
    type Connection = Pooled;
    type Error = String;

    async fn connect(&self) -> Result<Pooled, String> {
        let client = tokio::time::timeout(self.reach_max, self.inner.connect())
            .await
            .map_err(|_| "the database does not answer".to_owned())?
            .map_err(|error| described(&error))?;
        Ok(Pooled {
            client,
            is_asked: AtomicBool::new(false),
        })
    }

    async fn is_valid(&self, pooled: &mut Pooled) -> Result<(), String> {
        self.inner
            .is_valid(&mut pooled.client)
            .await
            .map_err(|error| described(&error))
    }

    fn has_broken(&self, pooled: &mut Pooled) -> bool {
        pooled.client.is_closed() || pooled.is_asked.load(Ordering::Acquire)
    }
}

/// A connection that was lent, given back when this is dropped.
pub(crate) struct Lent<'a> {
    connection: PooledConnection<'a, Manager>,
    answer_max: Duration,
    _place: SemaphorePermit<'a>,
}

impl<'a> Lent<'a> {
    pub(super) fn new(
        connection: PooledConnection<'a, Manager>,
        answer_max: Duration,
        place: SemaphorePermit<'a>,
    ) -> Self {
        Self {
            connection,
            answer_max,
            _place: place,
        }
    }

    /// Whether it ended while it lay in the pool.
    pub(crate) fn is_closed(&self) -> bool {
        self.connection.client.is_closed()
    }

    /// Asks something, and waits for the answer no longer than a statement can take.
    pub(crate) async fn ask<T>(
        &self,
        question: impl AsyncFnOnce(&Client) -> Result<T, Error>,
    ) -> Result<T, String> {
        let Pooled { client, is_asked } = &*self.connection;
        is_asked.store(true, Ordering::Release);
        let answer = tokio::time::timeout(self.answer_max, question(client)).await;
        let answer = answer.map_err(|_| "the database does not answer".to_owned())?;
        is_asked.store(false, Ordering::Release);
        answer.map_err(|error| described(&error))
    }

    /// The rows of a query.
    pub(crate) async fn rows(
        &self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, String> {
        self.ask(async |client| client.query(sql, parameters).await).await
    }

    /// The first of them.
    pub(crate) async fn row(
        &self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<Row>, String> {
        Ok(self.rows(sql, parameters).await?.into_iter().next())
    }

    /// The one value of a query that has one.
    pub(crate) async fn value<T>(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<T, String>
    where
        T: for<'row> FromSql<'row>,
    {
        let row = self.row(sql, parameters).await?;
        let row = row.ok_or_else(|| "the database answers nothing".to_owned())?;
        row.try_get(0).map_err(|error| described(&error))
    }
}
