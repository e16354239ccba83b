//! Owns the connections that are lent for reading: made within a limit, used within a limit, and not used again if an answer stayed out.

use super::address::Address;
use super::described;
use super::replica::{Identity, Misfit};
use bb8::{ManageConnection, PooledConnection};
use bb8_postgres::PostgresConnectionManager;
use florin_domain::ids::{Seq, ShardId};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
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
    /// Which database each connection must be to a standby of.
    standby_of: Option<Identity>,
}

/// A connection of the pool.
#[derive(Debug)]
pub(super) struct Pooled {
    client: Client,
    /// An answer is owed. Whoever asked has gone, if this is seen when it is given back.
    is_asked: AtomicBool,
    /// Up to where each shard's records there are known to be ours.
    agreed: Mutex<BTreeMap<ShardId, Seq>>,
}

impl Manager {
    pub(super) fn of_primary(address: &Address) -> Self {
        Self {
            inner: PostgresConnectionManager::new(address.config().clone(), address.tls()),
            reach_max: address.reach_max(),
            standby_of: None,
        }
    }

    pub(super) fn of_standby(address: &Address, of: Identity) -> Self {
        Self {
            standby_of: Some(of),
            ..Self::of_primary(address)
        }
    }
}

impl ManageConnection for Manager {
    type Connection = Pooled;
    type Error = String;

    async fn connect(&self) -> Result<Pooled, String> {
        let connected = async {
            let client = self.inner.connect().await.map_err(|error| described(&error))?;
            if let Some(database) = &self.standby_of {
                database.check(&client).await.map_err(Misfit::why)?;
            }
            Ok(client)
        };
        let client = tokio::time::timeout(self.reach_max, connected)
            .await
            .map_err(|_| "the database does not answer".to_owned())
            .flatten()?;
        Ok(Pooled {
            client,
            is_asked: AtomicBool::new(false),
            agreed: Mutex::default(),
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

    /// Up to where its records of a shard are known to be ours.
    pub(crate) fn agreed(&self, shard: ShardId) -> Seq {
        let agreed = self.connection.agreed.lock();
        let agreed = agreed.unwrap_or_else(PoisonError::into_inner);
        agreed.get(&shard).copied().unwrap_or_default()
    }

    /// That they are, up to there.
    pub(crate) fn agree(&self, shard: ShardId, seq: Seq) {
        let agreed = self.connection.agreed.lock();
        agreed.unwrap_or_else(PoisonError::into_inner).insert(shard, seq);
    }

    /// It is not lent again.
    pub(crate) fn forsake(&self) {
        self.connection.is_asked.store(true, Ordering::Release);
    }

    /// Asks something, and waits for the answer no longer than a statement can take.
    pub(crate) async fn ask<T>(
        &self,
        question: impl AsyncFnOnce(&Client) -> Result<T, Error>,
    ) -> Result<T, String> {
        let Pooled { client, is_asked, .. } = &*self.connection;
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
