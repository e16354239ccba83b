//! A port that refuses connections for a while: it stays bound, so that nobody else gets it, and nobody listens.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{oneshot, watch};

use super::{ACCEPT_PAUSE, stopped};

const BACKLOG: u32 = 1_024;
const FOR_MS_MAX: u64 = 600_000;

/// What `PUT /refusal` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// New connections are refused for so long; those that are there are closed when what they carry is answered.
    pub(super) for_ms: u64,
}

impl Asked {
    /// Nothing if it is none, or too long.
    pub(super) fn parse(body: &[u8]) -> Result<Self, String> {
        let asked: Self =
            serde_json::from_slice(body).map_err(|error| format!("for_ms: not understood: {error}"))?;
        if (1..=FOR_MS_MAX).contains(&asked.for_ms) {
            Ok(asked)
        } else {
            Err(format!("for_ms: expected a whole number from 1 to {FOR_MS_MAX}"))
        }
    }
}

/// A refusal that begins, and whom to tell that it has begun.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) asked: Asked,
    pub(super) begun: oneshot::Sender<()>,
}

/// Refuses connections until the time is over. Nothing if the sandbox stops meanwhile.
pub(super) async fn refuse(
    listener: TcpListener,
    address: SocketAddr,
    refusal: Refusal,
    stop: &mut watch::Receiver<bool>,
) -> Option<TcpListener> {
    let time = Duration::from_millis(refusal.asked.for_ms);
    drop(listener);
    let held = hold(address);
    if refusal.begun.send(()).is_err() {
        tracing::debug!("whoever asked for a refusal has hung up");
    }
    tokio::select! {
        () = tokio::time::sleep(time) => {}
        () = stopped(stop) => return None,
    }
    let mut listening = held.and_then(|socket| socket.listen(BACKLOG));
    loop {
        match listening {
            Ok(listener) => return Some(listener),
            Err(error) => tracing::warn!(%error, "the port cannot be listened on again"),
        }
        tokio::select! {
            () = tokio::time::sleep(ACCEPT_PAUSE) => {}
            () = stopped(stop) => return None,
        }
        listening = hold(address).and_then(|socket| socket.listen(BACKLOG));
    }
}

/// Bound and not listening.
fn hold(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}
