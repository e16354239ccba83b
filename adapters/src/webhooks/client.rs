//! The client that delivers to merchants' servers. Where it connects to, a merchant says; so names are looked up for each connection, all their
//! addresses are vetted, and exactly these are connected to: a name that stands for something else a moment later changes nothing. It follows
//! no redirects, reads little of an answer, and has time limits.

use super::reach::is_reachable;
use bytes::Bytes;
use florin_domain::ports::{BoxFuture, Delivery, DeliveryEnd, WebhookClient};
use florin_domain::time::Millis;
use http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER, USER_AGENT};
use http::uri::{Scheme, Uri};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use std::error::Error;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use std::vec;
use tokio::time::timeout;
use tower_service::Service;

/// As much of an answer is read; nobody looks at it, but a connection whose answer was not read is of no further use.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Longer waits are not believed.
const RETRY_AFTER_MAX: Millis = Millis::from_s(24 * 3600);

/// How the client behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientSettings {
    /// Deliveries may go to this machine and its networks, and without TLS: for development and tests alone.
    pub allows_local: bool,
    /// Looking up the name and connecting, for each address.
    pub connect_timeout: Duration,
    /// The whole of a delivery.
    pub timeout: Duration,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            allows_local: false,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(20),
        }
    }
}

type Looking = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;
type LookUp = Arc<dyn Fn(Name) -> Looking + Send + Sync>;

/// Finds addresses and passes on those of a name that are all vetted.
#[derive(Clone)]
struct Vetting {
    look_up: LookUp,
    allows_local: bool,
}

/// Said of an address that is out of reach, by name or by itself.
const OUT_OF_REACH: &str = "the address is not public";

impl Service<Name> for Vetting {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (looking, allows_local) = ((self.look_up)(name), self.allows_local);
        Box::pin(async move {
            let addresses = looking.await?;
            // One that is out of reach says that the name is not what it should be.
            if !allows_local && !addresses.iter().all(|address| is_reachable(address.ip())) {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, OUT_OF_REACH));
            }
            Ok(addresses.into_iter())
        })
    }
}

/// The client, shared by all endpoints.
pub struct VettedClient {
    pool: Pool<HttpsConnector<HttpConnector<Vetting>>, Full<Bytes>>,
    settings: ClientSettings,
}

impl std::fmt::Debug for VettedClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VettedClient")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl VettedClient {
    /// Trusts the system's certificates; connects to nothing yet.
    ///
    /// # Errors
    /// If those cannot be read.
    pub fn new(settings: ClientSettings) -> io::Result<Self> {
        let look_up: LookUp = Arc::new(|name: Name| {
            Box::pin(async move {
                let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
                Ok(found.collect())
            })
        });
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_native_roots()?
            .with_no_client_auth();
        Ok(Self::with(settings, look_up, tls))
    }

    fn with(settings: ClientSettings, look_up: LookUp, tls: ClientConfig) -> Self {
        let vetting = Vetting {
            look_up,
            allows_local: settings.allows_local,
        };
        let mut tcp = HttpConnector::new_with_resolver(vetting);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(settings.connect_timeout));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        // Endpoints are many and seldom: what is idle is closed before their servers do.
        let pool = Pool::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(15))
            .pool_max_idle_per_host(4)
            .build(connector);
        Self { pool, settings }
    }

    async fn send(&self, delivery: Delivery) -> Result<DeliveryEnd, String> {
        let uri: Uri = delivery
            .url
            .parse()
            .map_err(|error| format!("the URL: {error}"))?;
        self.vet(&uri)?;
        let mut request = Request::post(uri)
            .body(Full::from(Bytes::from(delivery.body)))
            .map_err(|error| error.to_string())?;
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(
            USER_AGENT,
            HeaderValue::from_static(concat!("florin/", env!("CARGO_PKG_VERSION"))),
        );
        for (name, value) in delivery.headers {
            let value = HeaderValue::try_from(value).map_err(|error| error.to_string())?;
            headers.insert(HeaderName::from_static(name), value);
        }
        let response = self.pool.request(request).await.map_err(|error| chain(&error))?;
        Ok(answered(response).await)
    }

    /// What can be said of a URL by itself. A host that is an address is looked up by nobody, so it is vetted here.
    fn vet(&self, uri: &Uri) -> Result<(), String> {
        let is_web = uri.scheme() == Some(&Scheme::HTTPS)
            || self.settings.allows_local && uri.scheme() == Some(&Scheme::HTTP);
        if !is_web {
            return Err("the URL does not begin with https://".to_owned());
        }
        let authority = uri.authority().ok_or("the URL has no host")?;
        if authority.as_str().contains('@') {
            return Err("the URL has a user in it".to_owned());
        }
        let host = authority.host();
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        match host.parse::<IpAddr>() {
            Ok(address) if !self.settings.allows_local && !is_reachable(address) => {
                Err(OUT_OF_REACH.to_owned())
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

impl WebhookClient for VettedClient {
    fn post(&self, delivery: Delivery) -> BoxFuture<'_, DeliveryEnd> {
        Box::pin(async move {
            match timeout(self.settings.timeout, self.send(delivery)).await {
                Ok(Ok(end)) => end,
                Ok(Err(why)) => DeliveryEnd::Unanswered { why: why.into() },
                Err(_) => DeliveryEnd::Unanswered {
                    why: Arc::from("no whole answer in time"),
                },
            }
        })
    }
}

/// The status decides; that the body is too long or breaks off changes nothing.
async fn answered(response: Response<Incoming>) -> DeliveryEnd {
    let (status, retry_after) = (response.status().as_u16(), retry_after(response.headers()));
    if let Err(error) = Limited::new(response.into_body(), ANSWER_BYTES_MAX)
        .collect()
        .await
    {
        tracing::debug!(status, %error, "the answer to a delivery was not read to its end");
    }
    DeliveryEnd::Answered { status, retry_after }
}

/// `Retry-After` in seconds, within reason. Dates are not looked at: ours and theirs may differ.
fn retry_after(headers: &HeaderMap) -> Option<Millis> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    let seconds = text.trim().parse().ok()?;
    Some(Millis::from_s(seconds).min(RETRY_AFTER_MAX))
}

fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;
