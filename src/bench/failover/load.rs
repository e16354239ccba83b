//! Payments at a steady rate: a schedule whose next moment is taken by whichever connection is free. Each waits for its answer, so when
//! none is free moments are missed; they are counted, and not made up for.

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
use tokio::time::{Instant, sleep_until};

const NANOS_PER_S: u64 = 1_000_000_000;
/// Later than this a moment is missed.
const LATE_MAX: Duration = Duration::from_millis(10);

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
}

#[derive(Debug)]
struct Schedule {
    load: Load,
    began: Instant,
    /// Moments that were taken or missed.
    taken: AtomicU64,
    missed: AtomicU64,
    stop: watch::Receiver<bool>,
}

impl Load {
    /// Asks until it is told to stop; what is under way then is waited for. What was asked, and how often nobody was free to ask.
    pub(super) async fn run(self, stop: watch::Receiver<bool>) -> anyhow::Result<(Vec<Sample>, u64)> {
        let connections = self.connections;
        let schedule = Arc::new(Schedule {
            load: self,
            began: Instant::now(),
            taken: AtomicU64::new(0),
            missed: AtomicU64::new(0),
            stop,
        });
        let mut callers = JoinSet::new();
        for _ in 0..connections {
            callers.spawn(Arc::clone(&schedule).caller());
        }
        let mut samples = Vec::new();
        while let Some(caller) = callers.join_next().await {
            samples.extend(caller?);
        }
        Ok((samples, schedule.missed.load(Ordering::Relaxed)))
    }
}

impl Schedule {
    /// The next moment that nobody has taken, and its number.
    fn take(&self) -> (u64, Instant) {
        let rate_per_s = u64::from(self.load.rate_per_s);
        let nanos_between = NANOS_PER_S / rate_per_s;
        loop {
            let number = self.taken.fetch_add(1, Ordering::Relaxed);
            let due = self.began + Duration::from_nanos(number.saturating_mul(nanos_between));
            if due + LATE_MAX >= Instant::now() {
                return (number, due);
            }
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn caller(self: Arc<Self>) -> Vec<Sample> {
        let mut stop = self.stop.clone();
        let (mut connection, mut samples) = (None, Vec::new());
        loop {
            let (number, due) = self.take();
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return samples,
                () = sleep_until(due) => {}
            }
            let sent = Instant::now();
            let (said, payment) = match self.load.ask(number, &mut connection).await {
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
}

impl Load {
    async fn ask(
        &self,
        number: u64,
        connection: &mut Option<TcpStream>,
    ) -> io::Result<(Said, Option<String>)> {
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
