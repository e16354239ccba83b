//! The running server: actix-web's workers on threads of their own, each with its own runtime. Actors never run there.

use crate::routes::routes;
use crate::state::State;
use actix_web::dev::{Server, ServerHandle, Service};
use actix_web::http::header::HeaderName;
use actix_web::{App, HttpServer, web};
use florin_actors::directory_handle::DirectoryHandle;
use florin_actors::ledger_handle::LedgerHandle;
use florin_actors::payments_handle::PaymentsHandle;
use florin_domain::idempotency::{Fingerprint, KeyDigest};
use florin_domain::ids::MerchantId;
use florin_domain::ports::OpsView;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
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
    /// Payments.
    pub payments: PaymentsHandle,
    /// The ledger.
    pub ledger: LedgerHandle,
    /// The tree, metrics and readiness.
    pub ops: Arc<dyn OpsView>,
    /// Merchants and their keys.
    pub directory: DirectoryHandle,
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
    ended: oneshot::Receiver<io::Result<()>>,
}

impl RunningApi {
    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Stops accepting, lets running requests finish for at most [`ApiOptions::stop_timeout_s`], and closes what is left.
    pub async fn stop(self) -> io::Result<()> {
        self.handle.stop(true).await;
        let lost = |_| Err(io::Error::other("the HTTP server's thread has ended early"));
        self.ended.await.unwrap_or_else(lost)
    }
}

impl Api {
    /// Serves on `listener` until stopped. Returns once requests are accepted; an error means that nothing was started.
    pub fn serve(listener: TcpListener, parts: ApiParts, options: ApiOptions) -> io::Result<RunningApi> {
        if options.workers == 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the HTTP server needs at least one worker",
            ));
        }
        let local_addr = listener.local_addr()?;
        let state = web::Data::new(State::new(parts, options));
        let (started, starts) = std::sync::mpsc::sync_channel(1);
        let (ends, ended) = oneshot::channel();
        let run = move || {
            let outcome = actix_web::rt::System::new().block_on(async move {
                match server(listener, state, options) {
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
        Ok(RunningApi {
            local_addr,
            handle,
            ended,
        })
    }
}

fn server(listener: TcpListener, state: web::Data<State>, options: ApiOptions) -> io::Result<Server> {
    let app = move || {
        let shared = state.clone().into_inner();
        App::new()
            .app_data(state.clone())
            .configure(routes)
            .wrap_fn(move |request, routes| {
                let shared = Arc::clone(&shared);
                let answer = routes.call(request);
                async move {
                    let mut response = answer.await?;
                    shared.count(response.status());
                    response
                        .headers_mut()
                        .insert(HeaderName::from_static("request-id"), shared.request_ids.next());
                    Ok(response)
                }
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
