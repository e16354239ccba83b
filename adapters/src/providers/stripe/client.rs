//! The connection to Stripe: pooled HTTP/1.1, with exact knowledge of whether a request can have left this process.

use super::config::{ConfigError, Endpoint, StripeConfig};
use super::request::WireRequest;
use super::response::Reply;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::uri::{PathAndQuery, Scheme, Uri};
use http::{HeaderName, HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::{CaptureConnection, HttpConnector, capture_connection};
use hyper_util::client::legacy::{Client as Pool, Error as PoolError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use std::error::Error;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Idle connections kept per host. How many requests run at once is bounded by the permits of the provider's actor (100).
const IDLE_CONNECTIONS_MAX: usize = 50;
/// Idle connections are closed after this time.
const IDLE_TIMEOUT: Duration = Duration::from_mins(5);
/// The largest answer taken; Stripe's objects are a few kilobytes.
pub(super) const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Answers keep this shape whatever version the account is set to.
const STRIPE_VERSION: &str = "2026-07-29.dahlia";

const STRIPE_VERSION_HEADER: HeaderName = HeaderName::from_static("stripe-version");
const IDEMPOTENCY_KEY_HEADER: HeaderName = HeaderName::from_static("idempotency-key");

/// Why there is no complete answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// No byte of the request left this process.
    NotSent(Arc<str>),
    /// It may have arrived.
    Unknown(Arc<str>),
}

/// One account at one address.
#[derive(Debug)]
pub(super) struct Client {
    pool: Pool<HttpsConnector<HttpConnector>, Full<Bytes>>,
    endpoint: Endpoint,
    authorization: HeaderValue,
    request_timeout: Duration,
    connect_timeout: Duration,
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
        let StripeConfig {
            secret_key,
            request_timeout,
            connect_timeout,
            base_url: _,
        } = config;
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(connect_timeout));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        // A request that a dying pooled connection never began to write is retried on another connection by the pool itself.
        let pool = Pool::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .build(connector);
        let authorization = secret_key.into_bearer()?;
        Ok(Self {
            pool,
            endpoint,
            authorization,
            request_timeout,
            connect_timeout,
        })
    }

    /// Sends a request and reads the whole answer, within the request timeout; as whom it says itself, or as the configured account.
    pub(super) async fn send(&self, wire: WireRequest, own: Option<HeaderValue>) -> Result<Reply, Failure> {
        let mut request = self
            .request(wire, own)
            .map_err(|error| Failure::NotSent(format!("the request cannot be written: {error}").into()))?;
        // Set when the request is handed to a connection, so while it is empty nothing can have been written.
        let connection = capture_connection(&mut request);
        match timeout(self.request_timeout, self.exchange(request, connection.clone())).await {
            Ok(result) => result,
            Err(_) => Err(out_of_time(&connection, "no answer within the request timeout")),
        }
    }

    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        mut connection: CaptureConnection,
    ) -> Result<Reply, Failure> {
        let mut call = self.pool.request(request);
        let first = tokio::select! {
            biased;
            response = &mut call => Some(response),
            () = connected(&mut connection, self.connect_timeout) => None,
        };
        let response = match first {
            Some(response) => response,
            None if connection.connection_metadata().is_none() => {
                return Err(out_of_time(
                    &connection,
                    "no connection within the connect timeout",
                ));
            }
            None => call.await,
        };
        read(response.map_err(|error| failure_of(&error))?).await
    }

    fn request(
        &self,
        wire: WireRequest,
        own: Option<HeaderValue>,
    ) -> Result<Request<Full<Bytes>>, http::Error> {
        let path = format!("{}{}", self.endpoint.prefix, wire.path);
        let uri = Uri::builder()
            .scheme(self.endpoint.scheme.clone())
            .authority(self.endpoint.authority.clone())
            .path_and_query(PathAndQuery::from_maybe_shared(Bytes::from(path))?)
            .build()?;
        let mut request = Request::builder()
            .method(wire.method.clone())
            .uri(uri)
            .body(Full::from(wire.form))?;
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, own.unwrap_or_else(|| self.authorization.clone()));
        headers.insert(STRIPE_VERSION_HEADER, HeaderValue::from_static(STRIPE_VERSION));
        headers.insert(
            USER_AGENT,
            HeaderValue::from_static(concat!("florin/", env!("CARGO_PKG_VERSION"))),
        );
        if wire.method == Method::POST {
            headers.insert(
                CONTENT_TYPE,
                HeaderValue::from_static("application/x-www-form-urlencoded"),
            );
        }
        if let Some(key) = wire.key {
            headers.insert(IDEMPOTENCY_KEY_HEADER, HeaderValue::try_from(key)?);
        }
        Ok(request)
    }
}

/// Trust in the system's certificates; plain HTTP needs none.
fn tls(endpoint: &Endpoint) -> Result<ClientConfig, ConfigError> {
    let builder = tls_builder()?;
    if endpoint.scheme == Scheme::HTTP {
        return Ok(builder
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth());
    }
    Ok(builder
        .with_native_roots()
        .map_err(ConfigError::Roots)?
        .with_no_client_auth())
}

pub(super) fn tls_builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, ConfigError>
{
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(ConfigError::Tls)
}

/// Ends when the request has a connection, or after `limit`. A pooled connection is there at once and sets no timer.
async fn connected(connection: &mut CaptureConnection, limit: Duration) {
    let waiting = async {
        drop(connection.wait_for_connection_metadata().await);
    };
    // The caller looks at the connection itself.
    drop(timeout(limit, waiting).await);
}

fn out_of_time(connection: &CaptureConnection, reason: &str) -> Failure {
    if connection.connection_metadata().is_none() {
        Failure::NotSent(reason.into())
    } else {
        Failure::Unknown(reason.into())
    }
}

async fn read(response: Response<Incoming>) -> Result<Reply, Failure> {
    let status = response.status().as_u16();
    let retry_after = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok());
    let retry_after_s = retry_after.and_then(|text| text.trim().parse().ok());
    match Limited::new(response.into_body(), BODY_BYTES_MAX).collect().await {
        Ok(body) => Ok(Reply {
            status,
            retry_after_s,
            body: body.to_bytes(),
        }),
        Err(error) => Err(Failure::Unknown(
            format!("status {status} without its whole body: {}", chain(&*error)).into(),
        )),
    }
}

/// Without a connection nothing was sent; a request that the connection gives back untouched was not begun.
fn failure_of(error: &PoolError) -> Failure {
    let hyper = error
        .source()
        .and_then(|source| source.downcast_ref::<hyper::Error>());
    let reason = chain(error).into();
    if error.is_connect() || hyper.is_some_and(hyper::Error::is_canceled) {
        Failure::NotSent(reason)
    } else {
        Failure::Unknown(reason)
    }
}

fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        write!(text, ": {cause}").expect("writing to a string");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;
