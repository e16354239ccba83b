//! The running server: actix-web's workers on threads of their own, each with its own runtime. Actors never run there.

use crate::consistency_token::{self, Told};
use crate::errors::ApiError;
use crate::rate_limits::Standing;
use crate::reply::Remembered;
use crate::request_id;
use crate::routes::routes;
use crate::slo::Outcome;
use crate::state::State;
use crate::v1::bin_get;
use actix_web::dev::{Server, ServerHandle, Service, ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{App, HttpMessage, HttpServer, web};
use florin_actors::consistency_handle::ConsistencyHandle;
use florin_actors::credentials_handle::CredentialsHandle;
use florin_actors::directory_handle::DirectoryHandle;
use florin_actors::ledger_handle::LedgerHandle;
use florin_actors::payments_handle::PaymentsHandle;
use florin_actors::webhooks_handle::WebhooksHandle;
use florin_domain::idempotency::{Fingerprint, KeyDigest};
use florin_domain::ids::MerchantId;
use florin_domain::ports::{
    CardVault, ClientSecrets, Entropy, NoticeReader, OpsView, Ownership, PaymentLinks, ReceiptSigner,
    SharedLimits, ShownCards,
};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;

/// Settings of the HTTP server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiOptions {
    /// Worker threads; each accepts, parses and serializes, so a few carry many requests.
    pub workers: usize,
    /// Open connections of each worker; more wait in the listen queue.
    pub max_connections: usize,
    /// Bytes of a request body.
    pub body_limit_bytes: usize,
    /// How long a request body may take to arrive.
    pub body_timeout: Duration,
    /// How long the head of a request may take to arrive.
    pub head_timeout: Duration,
    /// How long an idle connection stays open.
    pub keep_alive: Duration,
    /// How long a closing connection may take.
    pub disconnect_timeout: Duration,
    /// How long running requests may take to finish after [`RunningApi::stop`], in whole seconds.
    pub stop_timeout_s: u64,
    /// Accepts the published keys of development mode, `sk_test_florin_dev` and `ok_test_florin_dev`.
    pub accepts_development_keys: bool,
    /// Bytes of a request's path and headers together.
    pub head_limit_bytes: usize,
    /// How many requests each API key may make; nothing for no limit. The published keys of development mode have none.
    pub rate_limit: Option<RateLimit>,
    /// How many authentications from one address may fail in a minute; nothing for no limit.
    pub failed_auth_per_min: Option<NonZeroU32>,
    /// How refusals are written.
    pub error_profile: ErrorProfile,
    /// Webhook endpoints of test mode may be without TLS, as those on a developer's own machine are.
    pub allows_local_webhooks: bool,
}

/// How many requests an API key may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests per second, on average.
    pub requests_per_s: NonZeroU32,
    /// Requests at once, after a pause.
    pub burst: NonZeroU32,
}

impl RateLimit {
    /// How many at once, and after how long one more.
    pub(crate) fn pace(self) -> (NonZeroU32, Duration) {
        (self.burst, Duration::from_secs(1) / self.requests_per_s.get())
    }
}

/// How refusals are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ErrorProfile {
    /// As Stripe does: a declined card is 402 `card_declined`.
    #[default]
    Stripe,
    /// A declined card is 400 `CARD_DECLINED`.
    Seed,
}

impl Default for ApiOptions {
    fn default() -> Self {
        Self {
            workers: std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).clamp(1, 16)),
            max_connections: 10_000,
            body_limit_bytes: 256 * 1024,
            body_timeout: Duration::from_secs(10),
            head_timeout: Duration::from_secs(5),
            keep_alive: Duration::from_secs(75),
            disconnect_timeout: Duration::from_secs(2),
            stop_timeout_s: 15,
            accepts_development_keys: false,
            head_limit_bytes: 16 * 1024,
            rate_limit: None,
            failed_auth_per_min: NonZeroU32::new(300),
            error_profile: ErrorProfile::Stripe,
            allows_local_webhooks: false,
        }
    }
}

/// The digests that the edge needs; which hash they use is not decided here.
#[derive(Clone, Copy, Debug)]
pub struct Digests {
    /// Of (merchant, live mode, idempotency key).
    pub key: fn(MerchantId, bool, &str) -> KeyDigest,
    /// Of (method, path, canonical parameters).
    pub fingerprint: fn(&str, &str, &[u8]) -> Fingerprint,
    /// SHA-256 of an API key's secret text.
    pub secret: fn(&str) -> [u8; 32],
}

/// What the API calls.
#[derive(Clone, Debug)]
pub struct ApiParts {
    /// Whether what this process has in memory is still the truth.
    pub ownership: Arc<dyn Ownership>,
    /// Payments.
    pub payments: PaymentsHandle,
    /// The ledger.
    pub ledger: LedgerHandle,
    /// The consistency monitor.
    pub consistency: ConsistencyHandle,
    /// The tree, metrics and readiness.
    pub ops: Arc<dyn OpsView>,
    /// Who signs receipts.
    pub receipts: Arc<dyn ReceiptSigner>,
    /// Who makes client secrets.
    pub client_secrets: Arc<dyn ClientSecrets>,
    /// Who reads what providers send by themselves.
    pub notices: Arc<dyn NoticeReader>,
    /// Merchants and their keys.
    pub directory: DirectoryHandle,
    /// What merchants have at providers.
    pub credentials: CredentialsHandle,
    /// Customers and saved cards.
    pub cards: Arc<dyn CardVault>,
    /// Saved cards for whoever only shows them: the same, or copies of it.
    pub shown_cards: Arc<dyn ShownCards>,
    /// Links under which customers pay.
    pub links: Arc<dyn PaymentLinks>,
    /// Of which the keys of checkout sessions are drawn.
    pub entropy: Arc<dyn Entropy>,
    /// Where customers reach the server, without a slash at the end; where it listens if nothing is said.
    pub public_url: Option<Arc<str>>,
    /// Where limits are shared with other processes, if there is such a place.
    pub shared_limits: Option<Arc<dyn SharedLimits>>,
    /// Merchants' webhook endpoints.
    pub webhooks: WebhooksHandle,
    /// Digests.
    pub digests: Digests,
    /// Random bits that set this process's request ids apart from every other's.
    pub request_seed: u64,
}

/// The API.
#[derive(Clone, Copy, Debug)]
pub struct Api;

/// A running server. It runs until it is stopped; dropping this does not stop it.
#[derive(Debug)]
pub struct RunningApi {
    local_addr: SocketAddr,
    handle: ServerHandle,
    is_closing: Arc<AtomicBool>,
    ended: oneshot::Receiver<io::Result<()>>,
}

impl RunningApi {
    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Stops accepting, lets running requests finish for at most [`ApiOptions::stop_timeout_s`], and closes what is left.
    pub async fn stop(self) -> io::Result<()> {
        self.is_closing.store(true, Ordering::Relaxed);
        self.handle.stop(true).await;
        let lost = |_| Err(io::Error::other("the HTTP server's thread has ended early"));
        self.ended.await.unwrap_or_else(lost)
    }
}

impl Api {
    /// Serves on `listener` until stopped. Returns once requests are accepted; an error means that nothing was started.
    pub fn serve(listener: TcpListener, mut parts: ApiParts, options: ApiOptions) -> io::Result<RunningApi> {
        if options.workers == 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the HTTP server needs at least one worker",
            ));
        }
        let local_addr = listener.local_addr()?;
        parts
            .public_url
            .get_or_insert_with(|| reached_from_here(local_addr).into());
        let (state, exchanges) = State::new(parts, options);
        let state = web::Data::new(state);
        let is_closing = Arc::clone(&state.is_closing);
        RunningApi::run(listener, is_closing, move |listener| {
            // It ends with the server's thread.
            if let Some(exchanges) = exchanges {
                actix_web::rt::spawn(exchanges.run(Arc::clone(&state.rate_limits)));
            }
            server(listener, state, options)
        })
    }
}

impl RunningApi {
    /// Runs a server on a thread of its own, which makes it.
    pub(crate) fn run(
        listener: TcpListener,
        is_closing: Arc<AtomicBool>,
        make: impl FnOnce(TcpListener) -> io::Result<Server> + Send + 'static,
    ) -> io::Result<Self> {
        let local_addr = listener.local_addr()?;
        let (started, starts) = std::sync::mpsc::sync_channel(1);
        let (ends, ended) = oneshot::channel();
        let run = move || {
            let outcome = actix_web::rt::System::new().block_on(async move {
                match make(listener) {
                    Ok(server) => {
                        drop(started.send(Ok(server.handle())));
                        server.await
                    }
                    Err(error) => {
                        drop(started.send(Err(error)));
                        Ok(())
                    }
                }
            });
            drop(ends.send(outcome));
        };
        std::thread::Builder::new()
            .name("florin-http".to_owned())
            .spawn(run)?;
        let handle = starts
            .recv()
            .map_err(|_| io::Error::other("the HTTP server's thread could not start"))??;
        Ok(Self {
            local_addr,
            handle,
            is_closing,
            ended,
        })
    }
}

/// Where a server that listens there is reached from its own machine.
fn reached_from_here(mut address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    format!("http://{address}")
}

/// Whether a request's path and headers are too large, before anything of it is read.
fn head_fault(request: &ServiceRequest, limit_bytes: usize) -> Option<ApiError> {
    let path = request
        .uri()
        .path_and_query()
        .map_or(0, |path| path.as_str().len());
    let bytes = request.headers().iter().fold(path, |bytes, (name, value)| {
        bytes
            .saturating_add(name.as_str().len())
            .saturating_add(value.len())
    });
    (bytes > limit_bytes).then_some(ApiError::HeadTooLarge { limit_bytes })
}

/// Names an answer, counts it and says how its key stands.
fn finish(shared: &State, id: HeaderValue, response: &mut ServiceResponse) {
    let status = response.status();
    let name = id.to_str().unwrap_or_default();
    let (method, path) = (response.request().method(), response.request().path());
    let refused = response.response().extensions().get::<Outcome>().copied();
    shared.count(path, status, refused);
    let path = bin_get::loggable(path);
    if status == StatusCode::INTERNAL_SERVER_ERROR {
        tracing::error!(request_id = name, %method, ?path, "a request failed");
    } else {
        tracing::debug!(request_id = name, status = status.as_u16(), %method, ?path, "answered");
    }
    let standing = response.request().extensions().get::<Standing>().copied();
    let told = response.request().extensions().get::<Told>().copied();
    let headers = response.headers_mut();
    if let Some(told) = told {
        consistency_token::announce(shared, told, headers);
    }
    if let Some(standing) = standing {
        shared.rate_limits.announce(standing, headers);
    }
    headers.insert(HeaderName::from_static("request-id"), id);
}

fn server(listener: TcpListener, state: web::Data<State>, options: ApiOptions) -> io::Result<Server> {
    let app = move || {
        let shared = state.clone().into_inner();
        App::new()
            .app_data(state.clone())
            .configure(routes)
            .wrap_fn(move |request, routes| {
                let shared = Arc::clone(&shared);
                let id = shared.request_ids.next();
                let fault = head_fault(&request, shared.options.head_limit_bytes)
                    .or_else(|| stale(&shared, request.path()));
                let answer = match fault {
                    None => Ok(routes.call(request)),
                    Some(error) => Err((request, error)),
                };
                request_id::named(id.clone(), async move {
                    let mut response = match answer {
                        Ok(answer) => answer.await?,
                        Err((request, error)) => {
                            let refusal = error.response(request.request());
                            request.into_response(refusal)
                        }
                    };
                    if says_what_was_remembered(&response)
                        && let Some(error) = stale(&shared, response.request().path())
                    {
                        let refusal = error.response(response.request());
                        response = response.into_response(refusal);
                    }
                    finish(&shared, id, &mut response);
                    Ok(response)
                })
            })
    };
    let server = HttpServer::new(app)
        .workers(options.workers)
        .worker_max_blocking_threads(1)
        .max_connections(options.max_connections)
        .keep_alive(options.keep_alive)
        .client_request_timeout(options.head_timeout)
        .client_disconnect_timeout(options.disconnect_timeout)
        .shutdown_timeout(options.stop_timeout_s)
        .tcp_nodelay(true)
        .disable_signals()
        .listen(listener)?;
    Ok(server.run())
}

/// Whether an answer rests on memory, which may have been old by then: what is read, what is refused, what was done before or changes nothing, and
/// notifications, of which some are done without a commit. What else was done is in the journal, which has asked for itself.
fn says_what_was_remembered(response: &ServiceResponse) -> bool {
    let request = response.request();
    request.method().is_safe()
        || response.status().is_client_error()
        || response.response().extensions().get::<Remembered>().is_some()
        || request.path().starts_with("/v1/providers/")
}

/// Paths that are answered whoever has the shards: what the process says of itself.
const OF_THE_PROCESS: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// Why nothing may be answered from memory now, if it may not.
fn stale(shared: &State, path: &str) -> Option<ApiError> {
    let may_answer = shared.ownership.is_ours() || OF_THE_PROCESS.contains(&path);
    (!may_answer).then_some(ApiError::NotOwner { owner: None })
}
