//! Owns looking up names: on the runtime's threads for what blocks, which others need as well, so that only so many look-ups are under way, and
//! few for each owner. A look-up that nobody waits for any more holds its place until its thread is free again.

use super::OUT_OF_REACH;
use super::places::Places;
use super::trouble::OwnTrouble;
use crate::webhooks::reach::is_reachable;
use florin_domain::vault::Owner;
use hyper_util::client::legacy::connect::dns::Name;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use std::vec;
use tower_service::Service;

/// Look-ups under way in this node: an eighth of the threads of the runtime for what blocks.
const LOOK_UPS_MAX: usize = 64;
/// Look-ups under way of one owner.
const LOOK_UPS_OF_OWNER_MAX: usize = 4;

/// Blocks until the addresses of a name are known.
pub(super) type LookUp = Arc<dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// As the system looks names up.
pub(super) fn by_the_system() -> LookUp {
    Arc::new(|name: &str| Ok((name, 0).to_socket_addrs()?.collect()))
}

/// All look-ups of this node.
#[derive(Clone)]
pub(super) struct LookUps {
    look_up: LookUp,
    pub(super) places: Arc<Places>,
    /// As long is waited for a place.
    wait: Duration,
    allows_local: bool,
}

impl LookUps {
    pub(super) fn new(look_up: LookUp, wait: Duration, allows_local: bool) -> Self {
        Self {
            look_up,
            places: Arc::new(Places::new(LOOK_UPS_MAX, LOOK_UPS_OF_OWNER_MAX)),
            wait,
            allows_local,
        }
    }

    pub(super) fn of(&self, owner: Owner) -> Vetting {
        Vetting {
            owner,
            look_ups: self.clone(),
        }
    }

    async fn addresses(self, owner: Owner, name: Name) -> io::Result<Vec<SocketAddr>> {
        let place = self.places.take(owner, self.wait).await;
        let place = place.ok_or_else(|| OwnTrouble::error("too many names are being looked up"))?;
        let looking = tokio::task::spawn_blocking(move || {
            let _place = place;
            (self.look_up)(name.as_str())
        });
        let found = looking.await.map_err(io::Error::other)?;
        found.map_err(OwnTrouble::of_look_up)
    }
}

/// Finds addresses for an owner and passes on those of a name that are all vetted.
#[derive(Clone)]
pub(super) struct Vetting {
    owner: Owner,
    look_ups: LookUps,
}

impl Service<Name> for Vetting {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (looking, allows_local) = (
            self.look_ups.clone().addresses(self.owner, name),
            self.look_ups.allows_local,
        );
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
