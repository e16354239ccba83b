//! The connection to Stripe: what every request carries.

use super::config::{ConfigError, StripeConfig};
use super::request::WireRequest;
use crate::providers::connection::{
    Connection, Endpoint, Failure, Outgoing, Patience, Reply, tls, unwritable,
};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use rustls::ClientConfig;

/// Answers keep this shape whatever version the account is set to.
const STRIPE_VERSION: &str = "2026-07-29.dahlia";

const STRIPE_VERSION_HEADER: HeaderName = HeaderName::from_static("stripe-version");
const IDEMPOTENCY_KEY_HEADER: HeaderName = HeaderName::from_static("idempotency-key");

/// One account at one address.
#[derive(Debug)]
pub(super) struct Client {
    connection: Connection,
    authorization: HeaderValue,
}

impl Client {
    /// Checks the configuration; connects to nothing yet.
    pub(super) fn new(config: StripeConfig) -> Result<Self, ConfigError> {
        let endpoint = config.endpoint()?;
        let tls = tls(&endpoint)?;
        Self::with_tls(config, endpoint, tls)
    }

    pub(super) fn with_tls(
        config: StripeConfig,
        endpoint: Endpoint,
        tls: ClientConfig,
    ) -> Result<Self, ConfigError> {
        let patience = Patience {
            request: config.request_timeout,
            connect: config.connect_timeout,
        };
        Ok(Self {
            connection: Connection::new(endpoint, patience, config.keeping, tls),
            authorization: config.secret_key.into_bearer()?,
        })
    }

    /// Sends a request and reads the whole answer, within the request timeout; as whom `own` says, or as the configured account.
    pub(super) async fn send(&self, wire: WireRequest, own: Option<HeaderValue>) -> Result<Reply, Failure> {
        let outgoing = self.outgoing(wire, own).map_err(|error| unwritable(&error))?;
        self.connection.send(outgoing).await
    }

    fn outgoing(&self, wire: WireRequest, own: Option<HeaderValue>) -> Result<Outgoing, http::Error> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, own.unwrap_or_else(|| self.authorization.clone()));
        headers.insert(STRIPE_VERSION_HEADER, HeaderValue::from_static(STRIPE_VERSION));
        if wire.method == Method::POST {
            headers.insert(
                CONTENT_TYPE,
                HeaderValue::from_static("application/x-www-form-urlencoded"),
            );
        }
        if let Some(key) = wire.key {
            headers.insert(IDEMPOTENCY_KEY_HEADER, HeaderValue::try_from(key)?);
        }
        Ok(Outgoing {
            method: wire.method,
            path: wire.path,
            headers,
            body: Bytes::from(wire.form),
        })
    }
}

#[cfg(test)]
mod tests;
