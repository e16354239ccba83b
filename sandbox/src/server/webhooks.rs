//! Tells what the simulated providers say by themselves: each at least once, until it is acknowledged with a 200.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderValue};
use http::{Method, Request};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::stopped;
use crate::due::Due;
use crate::owner::Command;
use crate::witness::Provider;

/// Notifications under way at once.
const AT_ONCE: usize = 32;
/// How long one may take to be acknowledged.
const PATIENCE: Duration = Duration::from_secs(10);
/// Nothing is due before something changes.
const LONG: Duration = Duration::from_hours(1);

/// Runs until the sandbox stops.
pub(crate) async fn tell(
    owner: mpsc::Sender<Command>,
    changed: Arc<Notify>,
    mut stop: watch::Receiver<bool>,
) {
    tokio::select! {
        () = tell_for_ever(&owner, &changed) => {}
        () = stopped(&mut stop) => {}
    }
}

async fn tell_for_ever(owner: &mpsc::Sender<Command>, changed: &Notify) {
    let mut under_way: JoinSet<((Provider, u64), bool)> = JoinSet::new();
    let mut told = Vec::new();
    loop {
        let limit = AT_ONCE.saturating_sub(under_way.len());
        let (reply, answer) = oneshot::channel();
        let command = Command::Notices {
            told: std::mem::take(&mut told),
            limit,
            reply,
        };
        if owner.send(command).await.is_err() {
            return;
        }
        let Ok((due, next_ms)) = answer.await else {
            return;
        };
        for one in due {
            under_way.spawn(send(one));
        }
        // With everybody under way, only one that comes back makes room.
        let wait = match next_ms {
            Some(wait_ms) if under_way.len() < AT_ONCE => Duration::from_millis(wait_ms.max(1)),
            Some(_) | None => LONG,
        };
        tokio::select! {
            Some(sent) = under_way.join_next() => told.extend(sent),
            () = changed.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

async fn send(due: Due) -> ((Provider, u64), bool) {
    let mut is_acknowledged = true;
    for _ in 0..due.copies {
        let sent = timeout(PATIENCE, post(&due)).await;
        is_acknowledged &= matches!(sent, Ok(Ok(200)));
    }
    (due.of, is_acknowledged)
}

/// The status of the answer.
async fn post(due: &Due) -> io::Result<u16> {
    let (authority, path) = due
        .url
        .strip_prefix("http://")
        .and_then(|rest| rest.split_once('/'))
        .ok_or(io::ErrorKind::InvalidInput)?;
    let stream = if authority.contains(':') {
        TcpStream::connect(authority).await?
    } else {
        TcpStream::connect((authority, 80)).await?
    };
    let (mut sender, connection) = http1::handshake::<_, Full<Bytes>>(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(format!("/{path}"))
        .header(HOST, authority)
        .header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some((header, seal)) = &due.seal {
        request = request.header(*header, seal);
    }
    let request = request
        .body(Full::from(Bytes::copy_from_slice(&due.body)))
        .map_err(io::Error::other)?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(io::Error::other)?;
        Ok(response.status().as_u16())
    };
    let mut exchange = pin!(exchange);
    tokio::select! {
        biased;
        status = &mut exchange => return status,
        ended = connection => ended.map_err(io::Error::other)?,
    }
    // The connection has ended; what came before that is there.
    exchange.await
}
