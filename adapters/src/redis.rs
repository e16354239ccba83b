//! A Redis server, reached through one connection that takes the commands of everybody without waiting for answers.
//!
//! What is not answered in time is never done later, as far as that is ours to say: the connection is given up with all that waits on it, and a new
//! one is made after a pause. Without a connection nothing is sent and nothing waits.

use arc_swap::ArcSwapOption;
use fred::interfaces::{ClientLike, KeysInterface, LuaInterface};
use fred::prelude::{Builder, Client, Config, Error, TcpConfig, Value};
use fred::types::{ConnectHandle, FromValue};
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;
use thiserror::Error as ThisError;
use tokio::sync::Notify;

/// Between the end of a connection and the next one.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a server may take to let us in: more than commands have, because names are looked up and passwords checked.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// The place of a server does not say where it is.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[error("`redis.url` is no URL of a Redis server: {0}")]
pub struct RedisError(String);

/// The server did not do it, or nobody knows whether it did.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[error("Redis: {0}")]
pub struct Unreachable(pub String);

/// A server.
#[derive(Clone)]
pub struct Redis {
    connection: Arc<Connection>,
    patience: Duration,
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").finish_non_exhaustive()
    }
}

struct Connection {
    /// Nothing while there is none.
    client: ArcSwapOption<Client>,
    /// It is of no use any more.
    broken: Arc<Notify>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.broken.notify_one();
    }
}

impl From<Error> for Unreachable {
    fn from(error: Error) -> Self {
        Self(error.to_string())
    }
}

impl Redis {
    /// Begins to connect, and goes on with it until the last owner is gone. Each command is given so long. Belongs to the runtime that it is started on.
    ///
    /// # Errors
    /// If the URL is none. That nobody is there is none: it may come.
    pub fn start(url: &str, patience: Duration) -> Result<Self, RedisError> {
        // The text of the URL has a password.
        let config =
            Config::from_url_centralized(url).map_err(|error| RedisError(error.details().to_owned()))?;
        let broken = Arc::<Notify>::default();
        let connection = Arc::new(Connection {
            client: ArcSwapOption::empty(),
            broken: Arc::clone(&broken),
        });
        metrics::gauge!("florin_redis_up").set(0.0);
        tokio::spawn(keep(Arc::downgrade(&connection), broken, config));
        Ok(Self { connection, patience })
    }

    /// Waits until there is a connection.
    #[cfg(test)]
    pub(crate) async fn connected(&self) {
        while self.connection.client.load().is_none() {
            tokio::task::yield_now().await;
        }
    }

    /// Waits until the connection has ended and there is another one.
    #[cfg(test)]
    pub(crate) async fn connected_anew(&self) {
        while self.connection.client.load().is_some() {
            tokio::task::yield_now().await;
        }
        self.connected().await;
    }

    /// What is under the keys at one moment.
    pub(crate) async fn values(&self, keys: Vec<String>) -> Result<Vec<Option<Vec<u8>>>, Unreachable> {
        let client = self.client()?;
        self.answered(client.mget(keys)).await
    }

    /// Runs a script, which answers with a number or with several.
    pub(crate) async fn run<T: FromValue>(
        &self,
        script: &'static str,
        keys: Vec<String>,
        arguments: Vec<Value>,
    ) -> Result<T, Unreachable> {
        let client = self.client()?;
        self.answered(client.eval(script, keys, arguments)).await
    }

    fn client(&self) -> Result<Arc<Client>, Unreachable> {
        let client = self.connection.client.load_full();
        client.ok_or_else(|| Unreachable("there is no connection".to_owned()))
    }

    async fn answered<T>(&self, asked: impl Future<Output = Result<T, Error>>) -> Result<T, Unreachable> {
        let answer = match tokio::time::timeout(self.patience, asked).await {
            Ok(answer) => answer.map_err(Unreachable::from),
            Err(_) => Err(Unreachable("no answer in time".to_owned())),
        };
        if answer.is_err() {
            // What it may still do on that connection is not waited for, and not sent if it is not on its way yet.
            self.connection.client.store(None);
            self.connection.broken.notify_one();
        }
        answer
    }
}

/// A connection's task, which ends with this.
struct Task(ConnectHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn connect(config: &Config) -> Result<(Client, Task), Error> {
    let client = Builder::from_config(config.clone())
        .with_connection_config(|connection| {
            connection.connection_timeout = CONNECT_MAX;
            connection.internal_command_timeout = CONNECT_MAX;
            connection.max_command_attempts = 1;
            connection.tcp = TcpConfig {
                nodelay: Some(true),
                ..TcpConfig::default()
            };
        })
        .build()?;
    let task = client.init().await?;
    Ok((client, Task(task)))
}

/// Keeps one connection after the other as long as somebody wants it.
async fn keep(wanted: Weak<Connection>, broken: Arc<Notify>, config: Config) {
    let mut is_told = false;
    loop {
        match connect(&config).await {
            Ok((client, mut task)) => {
                let Some(connection) = wanted.upgrade() else {
                    return;
                };
                // What was told of the one before it.
                let _before = tokio::time::timeout(Duration::ZERO, broken.notified()).await;
                connection.client.store(Some(Arc::new(client)));
                drop(connection);
                metrics::gauge!("florin_redis_up").set(1.0);
                tracing::info!("Redis is there");
                is_told = false;
                tokio::select! {
                    _ = &mut task.0 => {}
                    () = broken.notified() => {}
                }
                metrics::gauge!("florin_redis_up").set(0.0);
                let Some(connection) = wanted.upgrade() else {
                    return;
                };
                connection.client.store(None);
            }
            Err(error) if !is_told => {
                tracing::warn!(
                    error = error.details(),
                    "Redis is not there; what is kept there is read elsewhere meanwhile"
                );
                is_told = true;
            }
            Err(_) => {}
        }
        tokio::time::sleep(PAUSE).await;
        if wanted.strong_count() == 0 {
            return;
        }
    }
}
