//! The connection to Adyen: what every request carries.

use super::config::{AdyenConfig, ConfigError};
use super::request::WireRequest;
use crate::providers::connection::{Connection, Failure, Outgoing, Patience, Reply, tls, unwritable};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

const API_KEY_HEADER: HeaderName = HeaderName::from_static("x-api-key");
const IDEMPOTENCY_KEY_HEADER: HeaderName = HeaderName::from_static("idempotency-key");

/// One account at one address.
#[derive(Debug)]
pub(super) struct Client {
    connection: Connection,
    api_key: HeaderValue,
}

impl Client {
    /// Checks the configuration; connects to nothing yet.
    pub(super) fn new(config: AdyenConfig) -> Result<Self, ConfigError> {
        let endpoint = config.endpoint()?;
        let tls = tls(&endpoint)?;
        let patience = Patience {
            request: config.request_timeout,
            connect: config.connect_timeout,
        };
        Ok(Self {
            connection: Connection::new(endpoint, patience, config.keeping, tls),
            api_key: config.api_key.into_header()?,
        })
    }

    /// Sends a request and reads the whole answer, within the request timeout; under the key of `own`, or under the configured one.
    pub(super) async fn send(&self, wire: WireRequest, own: Option<HeaderValue>) -> Result<Reply, Failure> {
        let outgoing = self.outgoing(wire, own).map_err(|error| unwritable(&error))?;
        self.connection.send(outgoing).await
    }

    fn outgoing(&self, wire: WireRequest, own: Option<HeaderValue>) -> Result<Outgoing, http::Error> {
        let mut headers = HeaderMap::new();
        headers.insert(API_KEY_HEADER, own.unwrap_or_else(|| self.api_key.clone()));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(IDEMPOTENCY_KEY_HEADER, HeaderValue::try_from(wire.key)?);
        Ok(Outgoing {
            method: Method::POST,
            path: wire.path,
            headers,
            body: Bytes::from(wire.body),
        })
    }
}
