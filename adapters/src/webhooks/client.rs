//! The client that delivers to merchants' servers. Where it connects to, a merchant says; so names are looked up for each connection, all their
//! addresses are vetted, and exactly these are connected to: a name that stands for something else a moment later changes nothing. It follows
//! no redirects, reads little of an answer, and has time limits.

mod look_up;
mod places;
mod trouble;

use super::reach::is_reachable;
use bytes::Bytes;
use florin_domain::ports::{BoxFuture, Delivery, DeliveryEnd, WebhookClient};
use florin_domain::time::Millis;
use florin_domain::vault::Owner;
use http::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderName, RETRY_AFTER, USER_AGENT};
use http::uri::{Scheme, Uri};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use look_up::{LookUp, LookUps};
use places::Places;
use rustls::ClientConfig;
use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower_service::Service;
use trouble::OwnTrouble;

/// As much of an answer is read; nobody looks at it, but a connection whose answer was not read is of no further use.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Longer waits are not believed.
const RETRY_AFTER_MAX: Millis = Millis::from_s(24 * 3600);
/// Deliveries under way in this node, whichever actors began them: each holds a socket and what it sends.
const UNDER_WAY_MAX: usize = 512;
/// Deliveries under way of one owner: slow servers of seven merchants leave room for the others.
const UNDER_WAY_OF_OWNER_MAX: usize = 64;
/// Said of an address that is out of reach, by name or by itself.
const OUT_OF_REACH: &str = "the address is not public";

/// How the client behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientSettings {
    /// Deliveries may go to this machine and its networks, and without TLS: for development and tests alone.
    pub allows_local: bool,
    /// Waiting until a name can be looked up, and connecting.
    pub connect_timeout: Duration,
    /// Waiting until there is a place for one more delivery.
    pub place_timeout: Duration,
    /// The whole of a delivery once it has its place.
    pub timeout: Duration,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            allows_local: false,
            connect_timeout: Duration::from_secs(5),
            place_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(20),
        }
    }
}

/// Why nobody answered.
type Unanswered = Box<dyn Error + Send + Sync>;
type Connection = MaybeHttpsStream<TokioIo<TcpStream>>;

/// The client, shared by all endpoints. A delivery has a connection to itself, and all that happens to it happens within the delivery's own
/// future: a server that is slow at whatever point holds nothing beyond the end of the delivery.
pub struct VettedClient {
    tls: Arc<ClientConfig>,
    look_ups: LookUps,
    under_way: Places,
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
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_native_roots()?
            .with_no_client_auth();
        Ok(Self::with(settings, look_up::by_the_system(), tls))
    }

    fn with(settings: ClientSettings, look_up: LookUp, tls: ClientConfig) -> Self {
        Self {
            tls: Arc::new(tls),
            look_ups: LookUps::new(look_up, settings.connect_timeout, settings.allows_local),
            under_way: Places::new(UNDER_WAY_MAX, UNDER_WAY_OF_OWNER_MAX),
            settings,
        }
    }

    async fn send(&self, delivery: Delivery) -> Result<DeliveryEnd, Unanswered> {
        let owner = delivery.owner;
        let uri: Uri = delivery
            .url
            .parse()
            .map_err(|error| format!("the URL: {error}"))?;
        self.vet(&uri)?;
        let request = request(&uri, delivery)?;
        match self.connect(owner, uri).await {
            Ok(connection) => Ok(exchange(connection, request).await?),
            Err(error) if OwnTrouble::is_in(&*error) => Ok(DeliveryEnd::NotSent {
                why: chain(&*error).into(),
            }),
            Err(error) => Err(error),
        }
    }

    async fn connect(&self, owner: Owner, uri: Uri) -> Result<Connection, Unanswered> {
        let mut tcp = HttpConnector::new_with_resolver(self.look_ups.of(owner));
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(self.settings.connect_timeout));
        let mut connector = HttpsConnector::from((tcp, Arc::clone(&self.tls)));
        poll_fn(|context| connector.poll_ready(context)).await?;
        connector.call(uri).await
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
            let place = self.under_way.take(delivery.owner, self.settings.place_timeout);
            let Some(_place) = place.await else {
                return DeliveryEnd::NotSent {
                    why: Arc::from("too many deliveries are under way"),
                };
            };
            match timeout(self.settings.timeout, self.send(delivery)).await {
                Ok(Ok(end)) => end,
                Ok(Err(error)) => DeliveryEnd::Unanswered {
                    why: chain(&*error).into(),
                },
                Err(_) => DeliveryEnd::Unanswered {
                    why: Arc::from("no whole answer in time"),
                },
            }
        })
    }
}

fn request(uri: &Uri, delivery: Delivery) -> Result<Request<Full<Bytes>>, Unanswered> {
    let authority = uri.authority().ok_or("the URL has no host")?;
    let usual_port = if uri.scheme() == Some(&Scheme::HTTPS) {
        443
    } else {
        80
    };
    let host = match authority.port_u16() {
        Some(port) if port != usual_port => authority.as_str(),
        Some(_) | None => authority.host(),
    };
    let path = uri
        .path_and_query()
        .map_or_else(|| "/".to_owned(), ToString::to_string);
    let mut request = Request::post(path).body(Full::from(Bytes::from(delivery.body)))?;
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::try_from(host)?);
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(
        USER_AGENT,
        HeaderValue::from_static(concat!("florin/", env!("CARGO_PKG_VERSION"))),
    );
    for (name, value) in delivery.headers {
        headers.insert(HeaderName::from_static(name), HeaderValue::try_from(value)?);
    }
    Ok(request)
}

/// Sends and reads what comes back. Nothing of it goes on elsewhere: with this future the socket is gone.
async fn exchange(connection: Connection, request: Request<Full<Bytes>>) -> hyper::Result<DeliveryEnd> {
    let (mut sender, driver) = http1::handshake(connection).await?;
    let mut exchange = pin!(async {
        let response = sender.send_request(request).await?;
        Ok(answered(response).await)
    });
    tokio::select! {
        biased;
        end = &mut exchange => end,
        // It has ended, well or not, and has said so to the exchange.
        _ = driver => exchange.await,
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
