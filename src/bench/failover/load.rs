//! Payments at a steady rate: every connection asks at its own times, waits for its answer, and skips the times that it missed.

use super::wire::read_message;
use serde_json::Value;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// What the caller was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Succeeded,
    Declined,
    /// 202: ask again later.
    Processing,
    /// Refused without a word about the money: 503 and the like.
    Refused,
    /// Nothing.
    Lost,
}

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) sent: Instant,
    pub(super) ended: Instant,
    pub(super) said: Said,
    /// The payment, if it was said to have succeeded.
    pub(super) payment: Option<String>,
}

/// Whom to ask, and how often.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) target: SocketAddr,
    pub(super) key: String,
    pub(super) connections: u32,
    pub(super) rate_per_s: u32,
    pub(super) counter: AtomicU64,
}

impl Load {
    /// Asks until it is told to stop; what is under way then is waited for.
    pub(super) async fn run(self, stop: watch::Receiver<bool>) -> anyhow::Result<Vec<Sample>> {
        let load = Arc::new(self);
        let began = Instant::now();
        let mut callers = JoinSet::new();
        for index in 0..load.connections {
            callers.spawn(Arc::clone(&load).caller(index, began, stop.clone()));
        }
        let mut samples = Vec::new();
        while let Some(caller) = callers.join_next().await {
            samples.extend(caller?);
        }
        Ok(samples)
    }

    async fn caller(
        self: Arc<Self>,
        index: u32,
        began: Instant,
        mut stop: watch::Receiver<bool>,
    ) -> Vec<Sample> {
        let between = Duration::from_secs(1) * self.connections / self.rate_per_s;
        let mut times = interval_at(began + between * index / self.connections, between);
        times.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let (mut connection, mut samples) = (None, Vec::new());
        loop {
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return samples,
                _ = times.tick() => {}
            }
            let sent = Instant::now();
            let (said, payment) = match self.ask(&mut connection).await {
                Ok(told) => told,
                Err(error) => {
                    tracing::debug!(%error, "an answer was lost");
                    connection = None;
                    (Said::Lost, None)
                }
            };
            samples.push(Sample {
                sent,
                ended: Instant::now(),
                said,
                payment,
            });
        }
    }

    async fn ask(&self, connection: &mut Option<TcpStream>) -> io::Result<(Said, Option<String>)> {
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        let amount_minor = 500 + number % 20_000;
        let body = format!(
            r#"{{"amount":{amount_minor},"currency":"USD","payment_method_id":"pm_card_visa","customer_id":"cus_{number}"}}"#
        );
        let request = format!(
            "POST /v1/payments HTTP/1.1\r\nHost: florin\r\nContent-Type: application/json\r\nAuthorization: Bearer {}\r\n\
             Idempotency-Key: failover-{number}\r\nContent-Length: {}\r\n\r\n{body}",
            self.key,
            body.len()
        );
        if connection.is_none() {
            let stream = TcpStream::connect(self.target).await?;
            stream.set_nodelay(true)?;
            *connection = Some(stream);
        }
        let Some(stream) = connection else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        stream.write_all(request.as_bytes()).await?;
        let answer = read_message(stream, &mut Vec::new()).await?;
        let answer = answer.ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(match answer.status() {
            Some(200) => {
                let payment: Value = serde_json::from_slice(answer.body())?;
                (Said::Succeeded, payment["id"].as_str().map(str::to_owned))
            }
            Some(402) => (Said::Declined, None),
            Some(202) => (Said::Processing, None),
            Some(_) | None => (Said::Refused, None),
        })
    }
}
