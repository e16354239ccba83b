//! A provider's addresses, kept for a while: connections are opened in bursts, and each would ask for the name anew.
//!
//! What is kept belongs to one host, so nothing grows. Who finds nothing kept asks, and everybody else waits for that answer. A name that
//! is not found is asked for again after a second. Addresses under which nobody was reached are dropped by [`Addresses::forget`], so that
//! a provider that has moved is found by the next connection and not when the time is over.
//!
//! A question to the system ends after two seconds. While it fails, or takes longer than new connections can wait for, the last
//! addresses that there were are used for an hour more: a name server that is down must not look like a provider that is down.

use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use std::vec;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tower_service::Service;

/// How long a name that was not found is not asked for again.
const NOT_FOUND_FOR: Duration = Duration::from_secs(1);

/// How long a question to the system may take.
const LOOK_UP_MAX: Duration = Duration::from_secs(2);

/// How long whoever asks waits for a newer answer when there is an old one: a connection has two seconds, look-up included.
const STALE_AFTER: Duration = Duration::from_millis(500);

/// How long old addresses may stand in for newer ones.
const STALE_FOR: Duration = Duration::from_hours(1);

type Looking = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// Asks for a name.
pub(super) type LookUp = Arc<dyn Fn(Name) -> Looking + Send + Sync>;

/// What a name stood for when it was asked for last.
#[derive(Debug)]
struct Kept {
    name: Name,
    /// Or why there are none.
    addresses: Result<Vec<SocketAddr>, (io::ErrorKind, Arc<str>)>,
    until: Instant,
}

/// The addresses of one host.
#[derive(Clone)]
pub(super) struct Addresses {
    look_up: LookUp,
    kept_for: Duration,
    /// Held while somebody asks.
    kept: Arc<Mutex<Option<Kept>>>,
    /// The last that there were, and until when they may stand in. Held for no longer than it takes to read or write it.
    last: Arc<std::sync::Mutex<Option<Last>>>,
}

#[derive(Debug)]
struct Last {
    name: Name,
    addresses: Vec<SocketAddr>,
    until: Instant,
}

impl fmt::Debug for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Addresses")
            .field("kept_for", &self.kept_for)
            .finish_non_exhaustive()
    }
}

impl Addresses {
    /// As the system finds them, kept for so long.
    pub(super) fn of_system(kept_for: Duration) -> Self {
        Self::found_by(Arc::new(ask_system), kept_for)
    }

    pub(super) fn found_by(look_up: LookUp, kept_for: Duration) -> Self {
        Self {
            look_up,
            kept_for,
            kept: Arc::default(),
            last: Arc::default(),
        }
    }

    /// Nobody was reached under them. While somebody asks, a newer answer is on its way and nothing is waited for; that there are none
    /// stays known for its second.
    pub(super) fn forget(&self) {
        if let Ok(mut kept) = self.kept.try_lock() {
            kept.take_if(|known| known.addresses.is_ok());
        }
    }

    async fn find(self, name: Name) -> io::Result<vec::IntoIter<SocketAddr>> {
        if self.kept_for.is_zero() {
            // Nobody would have anything of another one's answer.
            return self.asked(name).await.map(Vec::into_iter);
        }
        if let Ok(kept) = self.kept.try_lock()
            && let Some(known) = fresh(kept.as_ref(), &name)
        {
            return shown(&known.addresses);
        }
        let Some(last) = self.last(&name) else {
            // Whoever no longer waits takes the question along, and the next one in line asks anew.
            return self.newer(name).await;
        };
        // The question goes on when whoever asked it goes by the last addresses: its answer is kept.
        let answer = tokio::spawn(self.newer(name));
        match timeout(STALE_AFTER, answer).await {
            Ok(Ok(Ok(newer))) => Ok(newer),
            Ok(Ok(Err(_)) | Err(_)) | Err(_) => Ok(last.into_iter()),
        }
    }

    /// The last addresses of a name, while they may stand in.
    fn last(&self, name: &Name) -> Option<Vec<SocketAddr>> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let known = last.as_ref().filter(|last| last.name == *name)?;
        (Instant::now() < known.until).then(|| known.addresses.clone())
    }

    async fn asked(&self, name: Name) -> io::Result<Vec<SocketAddr>> {
        let asked = timeout(LOOK_UP_MAX, (self.look_up)(name)).await;
        asked.unwrap_or_else(|_| {
            let why = "the name was not found within two seconds";
            Err(io::Error::new(io::ErrorKind::TimedOut, why))
        })
    }

    async fn newer(self, name: Name) -> io::Result<vec::IntoIter<SocketAddr>> {
        let mut kept = self.kept.lock().await;
        if let Some(known) = fresh(kept.as_ref(), &name) {
            return shown(&known.addresses);
        }
        let (addresses, kept_for) = match self.asked(name.clone()).await {
            Ok(addresses) if !addresses.is_empty() => {
                let last = Last {
                    name: name.clone(),
                    addresses: addresses.clone(),
                    until: Instant::now() + self.kept_for + STALE_FOR,
                };
                *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
                (Ok(addresses), self.kept_for)
            }
            Ok(_) => {
                let nothing = (io::ErrorKind::NotFound, Arc::from("the name has no address"));
                (Err(nothing), NOT_FOUND_FOR.min(self.kept_for))
            }
            Err(error) => {
                let stands_in = self.last(&name).is_some();
                tracing::warn!(host = name.as_str(), %error, stands_in, "a provider's name cannot be looked up; its last addresses stand in if there are any");
                let why = (error.kind(), Arc::from(error.to_string()));
                (Err(why), NOT_FOUND_FOR.min(self.kept_for))
            }
        };
        let answer = shown(&addresses);
        *kept = Some(Kept {
            name,
            addresses,
            until: Instant::now() + kept_for,
        });
        answer
    }
}

/// What is kept of a name, while that holds.
fn fresh<'a>(kept: Option<&'a Kept>, name: &Name) -> Option<&'a Kept> {
    let known = kept?;
    (known.name == *name && Instant::now() < known.until).then_some(known)
}

fn shown(
    addresses: &Result<Vec<SocketAddr>, (io::ErrorKind, Arc<str>)>,
) -> io::Result<vec::IntoIter<SocketAddr>> {
    match addresses {
        Ok(addresses) => Ok(addresses.clone().into_iter()),
        Err((kind, why)) => Err(io::Error::new(*kind, why.to_string())),
    }
}

fn ask_system(name: Name) -> Looking {
    Box::pin(async move { GaiResolver::new().call(name).await.map(Iterator::collect) })
}

impl Service<Name> for Addresses {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(self.clone().find(name))
    }
}

#[cfg(test)]
mod tests;
