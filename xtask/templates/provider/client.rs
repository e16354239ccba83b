//! The connection to Nameless: what every request carries.

use super::config::{ConfigError, NamelessConfig};
use crate::providers::connection::{Connection, Failure, Outgoing, Patience, Reply, tls};
use http::HeaderValue;
use http::header::AUTHORIZATION;

/// One account at one address.
#[derive(Debug)]
pub(super) struct Client {
    connection: Connection,
    authorization: HeaderValue,
}

impl Client {
    /// Checks the configuration; connects to nothing yet.
    pub(super) fn new(config: NamelessConfig) -> Result<Self, ConfigError> {
        let endpoint = config.endpoint()?;
        let tls = tls(&endpoint)?;
        let patience = Patience {
            request: config.request_timeout,
            connect: config.connect_timeout,
        };
        Ok(Self {
            connection: Connection::new(endpoint, patience, config.keeping, tls),
            authorization: config.api_key.into_header()?,
        })
    }

    /// Sends a request and reads the whole answer, within the request timeout.
    pub(super) async fn send(&self, mut outgoing: Outgoing) -> Result<Reply, Failure> {
        outgoing
            .headers
            .insert(AUTHORIZATION, self.authorization.clone());
        self.connection.send(outgoing).await
    }
}
