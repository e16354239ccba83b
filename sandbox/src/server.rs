//! Sockets: accepts connections, keeps them bounded, and ends them in order.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch};
use tokio::task::{JoinHandle as TaskHandle, JoinSet};

mod body;
mod challenge;
mod refusal;
mod routes;
mod webhooks;

use refusal::Refusal;
use routes::Routes;

use crate::adyen;
use crate::clock::UnixMillis;
use crate::owner::{self, Command};
use crate::stripe::{self, Limits};
use crate::world::{World, WorldOptions};

/// How long connections may take to finish what they are doing when the sandbox stops.
const STOP_GRACE: Duration = Duration::from_secs(1);
/// A connection that sends no request for so long is closed.
const HEADER_READ_TIMEOUT: Duration = Duration::from_mins(2);
/// After `accept` failed, most likely for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// How a sandbox runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// Port 0 picks a free one, see [`SandboxHandle::local_addr`].
    pub listen: SocketAddr,
    /// Holds `witness.jsonl`; created if missing. None keeps everything in memory, for tests.
    pub data_dir: Option<PathBuf>,
    /// Further connections wait in the backlog.
    pub connections_max: usize,
    /// Newest payment intents that stay known; bounds the refunds as well.
    pub intents_max: usize,
    /// Newest idempotency keys that stay known, at most for 24 hours.
    pub keys_max: usize,
    /// How long a connection that a timeout fault silenced stays open, in milliseconds.
    pub silence_ms: u64,
    /// Scheme and authority under which browsers reach the challenge pages; None is the address that is listened on.
    pub public_url: Option<String>,
}

impl Options {
    /// The defaults: durable if a directory is given, 4,096 connections, 2,000,000 intents, 4,000,000 keys, 30 s of silence.
    pub fn new(listen: SocketAddr, data_dir: Option<PathBuf>) -> Self {
        Self {
            listen,
            data_dir,
            connections_max: 4_096,
            intents_max: 2_000_000,
            keys_max: 4_000_000,
            silence_ms: 30_000,
            public_url: None,
        }
    }
}

/// Starts sandboxes.
#[derive(Debug)]
pub struct Sandbox;

/// A running sandbox. Dropping the handle stops it without waiting.
#[derive(Debug)]
pub struct SandboxHandle {
    local_addr: SocketAddr,
    stopping: watch::Sender<bool>,
    accepting: TaskHandle<()>,
    telling: TaskHandle<()>,
    sender: mpsc::Sender<Command>,
    owner: JoinHandle<()>,
}

impl Sandbox {
    /// Recovers from the data directory, binds, and serves on the current tokio runtime.
    ///
    /// # Errors
    /// The address cannot be bound, the directory cannot be used or is in use by another sandbox, or its witness is damaged
    /// anywhere but in a torn last line.
    pub async fn start(options: Options) -> io::Result<SandboxHandle> {
        let listener = TcpListener::bind(options.listen).await?;
        let local_addr = listener.local_addr()?;
        let world_options = WorldOptions {
            limits: Limits {
                intents_max: options.intents_max,
                keys_max: options.keys_max,
            },
            silence_ms: options.silence_ms,
            origin: options.public_url.unwrap_or_else(|| origin(local_addr)),
        };
        let data_dir = options.data_dir;
        let recovery = tokio::task::spawn_blocking(move || {
            World::open(data_dir.as_deref(), &world_options, UnixMillis::system_now())
        });
        let world = recovery.await.map_err(io::Error::other)??;
        let salt = world.salt();
        let changed = Arc::new(Notify::new());
        let (sender, owner) = owner::spawn(world, Arc::clone(&changed))?;
        let (stopping, stop) = watch::channel(false);
        let telling = tokio::spawn(webhooks::tell(sender.clone(), changed, stop.clone()));
        let (refusals, refused) = mpsc::channel(1);
        let routes = Arc::new(Routes::new(
            (sender.clone(), refusals),
            salt,
            options.silence_ms,
            stop.clone(),
        ));
        let permits = Arc::new(Semaphore::new(
            options.connections_max.clamp(1, Semaphore::MAX_PERMITS),
        ));
        let accepting = tokio::spawn(accept((listener, local_addr), routes, permits, refused, stop));
        tracing::info!(%local_addr, "sandbox listening");
        Ok(SandboxHandle {
            local_addr,
            stopping,
            accepting,
            telling,
            sender,
            owner,
        })
    }
}

impl SandboxHandle {
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Has the simulated Adyen send its notifications to this address (plain HTTP), signed with this key of 64 hexadecimal digits, as
    /// `PUT /adyen/webhook` does.
    ///
    /// # Errors
    /// The address or the key is none, or the sandbox has stopped.
    pub async fn notify_adyen(&self, url: &str, hmac_key: &str) -> io::Result<()> {
        let body = serde_json::json!({ "url": url, "hmac_key": hmac_key }).to_string();
        let target = adyen::parse_target(body.as_bytes()).map_err(io::Error::other)?;
        let (reply, done) = oneshot::channel();
        let stopped = |_| io::Error::other("the sandbox has stopped");
        let command = Command::Subscribe { target, reply };
        self.sender
            .send(command)
            .await
            .map_err(|_| io::Error::other("the sandbox has stopped"))?;
        done.await.map_err(stopped)
    }

    /// Has the simulated Stripe send its events to this address (plain HTTP), signed with this secret, as `PUT /stripe/webhook` does.
    ///
    /// # Errors
    /// The address or the secret is none, or the sandbox has stopped.
    pub async fn notify_stripe(&self, url: &str, secret: &str) -> io::Result<()> {
        let body = serde_json::json!({ "url": url, "secret": secret }).to_string();
        let target = stripe::parse_target(body.as_bytes()).map_err(io::Error::other)?;
        let (reply, done) = oneshot::channel();
        let stopped = || io::Error::other("the sandbox has stopped");
        let command = Command::TellStripe { target, reply };
        self.sender.send(command).await.map_err(|_| stopped())?;
        done.await.map_err(|_| stopped())
    }

    /// Stops accepting, lets requests that are being answered finish, and returns when the witness is closed.
    pub async fn stop(self) -> io::Result<()> {
        let Self {
            stopping,
            accepting,
            telling,
            sender,
            owner,
            ..
        } = self;
        stopping.send_replace(true);
        drop(sender);
        accepting.await.map_err(io::Error::other)?;
        telling.await.map_err(io::Error::other)?;
        let joined = tokio::task::spawn_blocking(move || owner.join())
            .await
            .map_err(io::Error::other)?;
        joined.map_err(|_| io::Error::other("the owner of the sandbox panicked"))
    }
}

/// A sandbox that listens everywhere is reached on this machine.
fn origin(mut address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    format!("http://{address}")
}

/// Resolves when the sandbox stops or its handle is gone.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the handle is gone.
    drop(stop.wait_for(|stopping| *stopping).await);
}

async fn accept(
    (mut listener, address): (TcpListener, SocketAddr),
    routes: Arc<Routes>,
    permits: Arc<Semaphore>,
    mut refused: mpsc::Receiver<Refusal>,
    mut stop: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    let (mut closing, mut closed) = watch::channel(false);
    loop {
        let accepted = tokio::select! {
            () = stopped(&mut stop) => break,
            Some(refusal) = refused.recv() => {
                closing.send_replace(true);
                (closing, closed) = watch::channel(false);
                match refusal::refuse(listener, address, refusal, &mut stop).await {
                    Some(again) => listener = again,
                    None => return end(connections).await,
                }
                continue;
            }
            accepted = accept_one(&listener, &permits) => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, permit)) => {
                let (routes, stop, closed) = (Arc::clone(&routes), stop.clone(), closed.clone());
                connections.spawn(async move {
                    serve(stream, routes, (stop, closed)).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    end(connections).await;
}

/// Lets connections finish what they are doing.
async fn end(mut connections: JoinSet<()>) {
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(STOP_GRACE, all).await.is_err() {
        connections.shutdown().await;
    }
}

async fn accept_one(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, permit))
}

async fn serve(
    stream: TcpStream,
    routes: Arc<Routes>,
    (mut stop, mut closed): (watch::Receiver<bool>, watch::Receiver<bool>),
) {
    let service = service_fn(move |request| {
        let routes = Arc::clone(&routes);
        async move { routes.answer(request).await }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        () = stopped(&mut closed) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
