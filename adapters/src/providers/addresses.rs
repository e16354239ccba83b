//! A provider's addresses, kept for a while: connections are opened in bursts, and each would ask for the name anew.
//!
//! What is kept belongs to one host, so nothing grows. Who finds nothing kept asks, and everybody else waits for that answer. A name that
//! is not found is asked for again after a second. Addresses under which nobody was reached are dropped by [`Addresses::forget`], so that
//! a provider that has moved is found by the next connection and not when the time is over.

use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use std::vec;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tower_service::Service;

/// How long a name that was not found is not asked for again.
const NOT_FOUND_FOR: Duration = Duration::from_secs(1);

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
            return (self.look_up)(name).await.map(Vec::into_iter);
        }
        let mut kept = self.kept.lock().await;
        if let Some(known) = &*kept
            && known.name == name
            && Instant::now() < known.until
        {
            return shown(&known.addresses);
        }
        let found = (self.look_up)(name.clone()).await;
        let (addresses, kept_for) = match found {
            Ok(addresses) if !addresses.is_empty() => (Ok(addresses), self.kept_for),
            Ok(_) => {
                let nothing = (io::ErrorKind::NotFound, Arc::from("the name has no address"));
                (Err(nothing), NOT_FOUND_FOR.min(self.kept_for))
            }
            Err(error) => {
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
