//! A Redis server, reached through one connection that takes the commands of everybody without waiting for answers.

use fred::interfaces::{ClientLike, EventInterface, KeysInterface, LuaInterface};
use fred::prelude::{Builder, Client, Config, Error, ReconnectPolicy, TcpConfig, Value};
use fred::types::config::UnresponsiveConfig;
use std::fmt;
use std::time::Duration;
use thiserror::Error as ThisError;

/// Waits between two tries to connect: the first, and the longest.
const RECONNECT_MS: (u32, u32) = (100, 5_000);
/// Commands that wait for a connection; each has been given up by whoever asked long before.
const WAITING_MAX: usize = 1_000;
/// A connection whose server has not answered for so long is made anew.
const SILENT_MAX: Duration = Duration::from_secs(5);

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
    client: Client,
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").finish_non_exhaustive()
    }
}

impl From<Error> for Unreachable {
    fn from(error: Error) -> Self {
        Self(error.to_string())
    }
}

impl Redis {
    /// Begins to connect, and goes on with it until the last owner is gone. Belongs to the runtime that it is started on.
    ///
    /// # Errors
    /// If the URL is none. That nobody is there is none: it may come.
    pub fn start(url: &str) -> Result<Self, RedisError> {
        // The text of the URL has a password.
        let refused = |error: Error| RedisError(error.details().to_owned());
        let mut config = Config::from_url_centralized(url).map_err(refused)?;
        config.fail_fast = false;
        let client = Builder::from_config(config)
            .with_connection_config(|connection| {
                connection.max_command_attempts = 1;
                connection.max_command_buffer_len = WAITING_MAX;
                connection.auto_client_setname = false;
                connection.unresponsive = UnresponsiveConfig {
                    max_timeout: Some(SILENT_MAX),
                    interval: SILENT_MAX / 5,
                };
                connection.tcp = TcpConfig {
                    nodelay: Some(true),
                    ..TcpConfig::default()
                };
            })
            .set_policy(ReconnectPolicy::new_exponential(
                0,
                RECONNECT_MS.0,
                RECONNECT_MS.1,
                2,
            ))
            .build()
            .map_err(refused)?;
        tell(&client);
        // Detached: it ends when the client does.
        drop(client.connect());
        Ok(Self { client })
    }

    /// What is under the keys at one moment.
    pub(crate) async fn values(&self, keys: Vec<String>) -> Result<Vec<Option<Vec<u8>>>, Unreachable> {
        Ok(self.client.mget(keys).await?)
    }

    /// Runs a script, which answers with a number.
    pub(crate) async fn run(
        &self,
        script: &'static str,
        keys: Vec<String>,
        arguments: Vec<Value>,
    ) -> Result<i64, Unreachable> {
        Ok(self.client.eval(script, keys, arguments).await?)
    }
}

/// Whether there is a connection, for whoever looks at metrics and logs.
fn tell(client: &Client) {
    let up = |value: f64| metrics::gauge!("florin_redis_up").set(value);
    up(0.0);
    client.on_reconnect(move |_| async move {
        tracing::info!("Redis is there");
        up(1.0);
        Ok(())
    });
    client.on_error(move |(error, _)| async move {
        tracing::warn!(
            error = error.details(),
            "Redis is not there; what is kept there is read elsewhere meanwhile"
        );
        up(0.0);
        Ok(())
    });
}
