//! The connection to a provider: pooled HTTP/1.1, with exact knowledge of whether a request can have left this process.

use super::addresses::Addresses;
use bytes::Bytes;
use florin_domain::credentials::KeyOwner;
use florin_domain::provider::KeyRefusal;
use florin_domain::time::Millis;
use http::header::{RETRY_AFTER, USER_AGENT};
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::{CaptureConnection, HttpConnector, capture_connection};
use hyper_util::client::legacy::{Client as Pool, Error as PoolError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use std::error::Error;
use std::fmt::Write;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error as ThisError;
use tokio::time::timeout;

/// The largest answer taken; objects of providers are a few kilobytes.
pub(super) const BODY_BYTES_MAX: usize = 1024 * 1024;

/// The whole of one request, connecting included, unless configured otherwise.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Name resolution, TCP and TLS together, unless configured otherwise.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

const RETRY_AFTER_DEFAULT: Millis = Millis::from_s(1);
/// Longer waits are not believed.
const RETRY_AFTER_MAX: Millis = Millis::from_s(3600);

/// Why there is no complete answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// No byte of the request left this process.
    NotSent(Arc<str>),
    /// It may have arrived.
    Unknown(Arc<str>),
}

/// Why nothing can be sent at all.
#[derive(Debug, ThisError)]
pub enum SetupError {
    /// Without trusted roots no certificate can be checked.
    #[error("the system's trusted certificates cannot be read")]
    Roots(#[source] io::Error),
    /// The TLS library offers nothing usable.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
}

/// A complete answer.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    /// `Retry-After`, if it was given in seconds.
    pub(super) retry_after_s: Option<u64>,
    pub(super) body: Bytes,
    /// Whose key the request carried.
    pub(super) key: KeyOwner,
}

impl Reply {
    pub(super) fn is_server_error(&self) -> bool {
        self.status >= 500
    }

    /// What answers a request that carried this one's key.
    pub(super) fn under(self, key: KeyOwner) -> Self {
        Self { key, ..self }
    }

    /// What the status says of the key, if it says anything.
    pub(super) fn refused_key(&self) -> Option<KeyRefusal> {
        match self.status {
            401 => Some(KeyRefusal::Unknown(self.key)),
            403 => Some(KeyRefusal::Forbidden(self.key)),
            _ => None,
        }
    }

    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as JSON of this shape, if it is that.
    pub(super) fn parse<'a, T: Deserialize<'a>>(&'a self) -> Option<T> {
        // The reader of bytes does not look into texts that nobody asks for, and a body that is no text was damaged on its way.
        serde_json::from_str(str::from_utf8(&self.body).ok()?).ok()
    }

    /// How long to wait before the next request, within reason.
    pub(super) fn retry_after(&self) -> Millis {
        self.retry_after_s
            .map_or(RETRY_AFTER_DEFAULT, Millis::from_s)
            .min(RETRY_AFTER_MAX)
    }
}

/// The base address, taken apart once.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    pub(super) scheme: Scheme,
    pub(super) authority: Authority,
    /// What every path starts with; usually nothing.
    pub(super) prefix: String,
}

impl Endpoint {
    /// Nothing unless it is `http://` or `https://`, a host and at most a path.
    pub(super) fn parse(base_url: &str) -> Option<Self> {
        let parts = base_url.parse::<Uri>().ok()?.into_parts();
        let (scheme, authority, path) = (parts.scheme?, parts.authority?, parts.path_and_query?);
        let is_web = scheme == Scheme::HTTP || scheme == Scheme::HTTPS;
        if !is_web || path.query().is_some() || authority.as_str().contains('@') {
            return None;
        }
        Some(Self {
            scheme,
            authority,
            prefix: path.path().trim_end_matches('/').to_owned(),
        })
    }

    /// What is sent can be read on the way.
    pub(super) fn is_clear(&self) -> bool {
        self.scheme == Scheme::HTTP
    }
}

/// Whether a text can be a credential: something, and nothing that could end a header.
pub(super) fn is_visible(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A request, as it goes over the wire.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) method: Method,
    /// Below the endpoint, with its query.
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// How long what may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// The whole of one request, connecting included.
    pub(super) request: Duration,
    /// Name resolution, TCP and TLS together.
    pub(super) connect: Duration,
}

/// What is kept for the next request. How many run at once is bounded by the permits of the provider's actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keeping {
    /// Idle connections to one host; further ones are closed when their request is over.
    pub connections_max: usize,
    /// How long an idle connection stays open.
    pub connections_for: Duration,
    /// How long the addresses of a host are believed.
    pub addresses_for: Duration,
}

impl Default for Keeping {
    /// 25 connections, and both for five minutes.
    fn default() -> Self {
        Self {
            connections_max: 25,
            connections_for: Duration::from_mins(5),
            addresses_for: Duration::from_mins(5),
        }
    }
}

/// One server's connections.
#[derive(Debug)]
pub(super) struct Connection {
    pool: Pool<HttpsConnector<HttpConnector<Addresses>>, Full<Bytes>>,
    addresses: Addresses,
    endpoint: Endpoint,
    patience: Patience,
}

impl Connection {
    /// Connects to nothing yet.
    pub(super) fn new(endpoint: Endpoint, patience: Patience, keeping: Keeping, tls: ClientConfig) -> Self {
        let addresses = Addresses::of_system(keeping.addresses_for);
        Self::found_at(addresses, endpoint, patience, keeping, tls)
    }

    fn found_at(
        addresses: Addresses,
        endpoint: Endpoint,
        patience: Patience,
        keeping: Keeping,
        tls: ClientConfig,
    ) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(addresses.clone());
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(patience.connect));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        // A request that a dying pooled connection never began to write is retried on another connection by the pool itself.
        let pool = Pool::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(keeping.connections_for)
            .pool_max_idle_per_host(keeping.connections_max)
            .build(connector);
        Self {
            pool,
            addresses,
            endpoint,
            patience,
        }
    }

    /// Sends a request and reads the whole answer, within the request timeout.
    pub(super) async fn send(&self, outgoing: Outgoing) -> Result<Reply, Failure> {
        let mut request = self.request(outgoing).map_err(|error| unwritable(&error))?;
        // Set when the request is handed to a connection, so while it is empty nothing can have been written.
        let connection = capture_connection(&mut request);
        let exchange = self.exchange(request, connection.clone());
        let result = match timeout(self.patience.request, exchange).await {
            Ok(result) => result,
            Err(_) => Err(out_of_time(&connection, "no answer within the request timeout")),
        };
        if result.is_err() && connection.connection_metadata().is_none() {
            self.addresses.forget();
        }
        result
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
            () = connected(&mut connection, self.patience.connect) => None,
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
        match response {
            Ok(response) => read(response).await,
            Err(error) => {
                if error.is_connect() {
                    // Also where the pool had tried another connection before.
                    self.addresses.forget();
                }
                Err(failure_of(&error))
            }
        }
    }

    fn request(&self, outgoing: Outgoing) -> Result<Request<Full<Bytes>>, http::Error> {
        let path = format!("{}{}", self.endpoint.prefix, outgoing.path);
        let uri = Uri::builder()
            .scheme(self.endpoint.scheme.clone())
            .authority(self.endpoint.authority.clone())
            .path_and_query(PathAndQuery::from_maybe_shared(Bytes::from(path))?)
            .build()?;
        let mut request = Request::builder()
            .method(outgoing.method)
            .uri(uri)
            .body(Full::from(outgoing.body))?;
        let headers = request.headers_mut();
        *headers = outgoing.headers;
        headers.insert(
            USER_AGENT,
            HeaderValue::from_static(concat!("florin/", env!("CARGO_PKG_VERSION"))),
        );
        Ok(request)
    }
}

/// The request cannot even be put together.
pub(super) fn unwritable(error: &http::Error) -> Failure {
    Failure::NotSent(format!("the request cannot be written: {error}").into())
}

/// Trust in the system's certificates; plain HTTP needs none.
pub(super) fn tls(endpoint: &Endpoint) -> Result<ClientConfig, SetupError> {
    let builder = tls_builder()?;
    if endpoint.is_clear() {
        return Ok(builder
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth());
    }
    Ok(builder
        .with_native_roots()
        .map_err(SetupError::Roots)?
        .with_no_client_auth())
}

pub(super) fn tls_builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, SetupError>
{
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(SetupError::Tls)
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
            key: KeyOwner::Platform,
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
