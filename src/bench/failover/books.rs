//! What the node says of its payments against what both witnesses saw: the part of the bench that may not come out otherwise.

use super::wire::read_message;
use anyhow::{Context as _, ensure};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

/// How often it is looked whether everything has come to its end.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Breaches that are told one by one.
const TOLD_MAX: usize = 20;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Books {
    pub(super) payments: u64,
    pub(super) succeeded: u64,
    /// Ended, or came to rest, without a charge.
    pub(super) not_charged: u64,
    /// Of which nobody knows yet whether they were charged.
    pub(super) unresolved: Vec<String>,
    /// Charges less refunds, at the preferred provider and at the backup.
    pub(super) charges: [i64; 2],
    pub(super) breaches: Vec<String>,
}

/// A node's API with the key of the one merchant that the bench has.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) api: SocketAddr,
    pub(super) key: String,
}

#[derive(Debug, Default)]
struct Net {
    count: i64,
    amount_minor: i64,
}

impl Reader {
    /// Waits until no payment is processing, or `patience` is over.
    pub(super) async fn settle(&self, patience: Duration) -> anyhow::Result<()> {
        let until = Instant::now() + patience;
        loop {
            let page = self.get("/v1/payments?status=processing&limit=1").await?;
            let is_settled = page["data"].as_array().is_some_and(Vec::is_empty);
            if is_settled || Instant::now() >= until {
                return Ok(());
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    /// Compares every payment, and every answer that said success, with the witnesses of both providers.
    pub(super) async fn compare(
        &self,
        told: &BTreeSet<String>,
        witnesses: [SocketAddr; 2],
    ) -> anyhow::Result<Books> {
        let mut books = Books::default();
        let mut nets: BTreeMap<String, Net> = BTreeMap::new();
        for (witness, charges) in witnesses.into_iter().zip(&mut books.charges) {
            *charges = add_charges(witness, &mut nets).await?;
        }
        let mut untold = told.clone();
        for payment in self.payments().await? {
            let text = |field: &str| payment[field].as_str().unwrap_or_default();
            let (id, status) = (text("id"), text("status"));
            let net = nets.remove(id).unwrap_or_default();
            books.payments += 1;
            if untold.remove(id) && status != "succeeded" {
                books.breach(format!("{id} was answered with success and is {status}"));
            }
            let (count, amount_minor) = match status {
                "succeeded" => (1, payment["amount"].as_i64().unwrap_or(-1)),
                _ => (0, 0),
            };
            match status {
                "succeeded" => books.succeeded += 1,
                "processing" => books.unresolved.push(id.to_owned()),
                _ => books.not_charged += 1,
            }
            let is_true = match status {
                "processing" => (0..=1).contains(&net.count),
                _ => net.count == count && net.amount_minor == amount_minor,
            };
            if !is_true {
                books.breach(format!(
                    "{id} is {status} and has {} net charges of {} together",
                    net.count, net.amount_minor
                ));
            }
        }
        for (id, net) in nets {
            books.breach(format!("{id} is no payment and has {} net charges", net.count));
        }
        for id in untold {
            books.breach(format!("{id} was answered with success and does not exist"));
        }
        Ok(books)
    }

    async fn payments(&self) -> anyhow::Result<Vec<Value>> {
        let mut payments: Vec<Value> = Vec::new();
        loop {
            let after = payments.last().and_then(|last| last["id"].as_str());
            let after = after.map_or_else(String::new, |id| format!("&starting_after={id}"));
            let mut page = self.get(&format!("/v1/payments?limit=100{after}")).await?;
            let has_more = page["has_more"] == true;
            let data = page["data"].as_array_mut().context("a page without payments")?;
            ensure!(
                !data.is_empty() || !has_more,
                "an empty page says that there is more"
            );
            payments.append(data);
            if !has_more {
                return Ok(payments);
            }
        }
    }

    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let mut stream = TcpStream::connect(self.api).await?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: florin\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
            self.key
        );
        stream.write_all(request.as_bytes()).await?;
        let answer = read_message(&mut stream, &mut Vec::new()).await?;
        let answer = answer.with_context(|| format!("no answer to {path}"))?;
        ensure!(
            answer.status() == Some(200),
            "{path} was answered with {:?}: {}",
            answer.status(),
            String::from_utf8_lossy(answer.body())
        );
        Ok(serde_json::from_slice(answer.body())?)
    }
}

impl Books {
    fn breach(&mut self, what: String) {
        if self.breaches.len() < TOLD_MAX {
            tracing::error!(what, "money is not where it should be");
        }
        self.breaches.push(what);
    }
}

/// Adds what one provider executed; how often it charged.
async fn add_charges(witness: SocketAddr, nets: &mut BTreeMap<String, Net>) -> anyhow::Result<i64> {
    let mut stream = TcpStream::connect(witness).await?;
    // In the older version the end of the connection is the end of the rows.
    stream
        .write_all(b"GET /charges HTTP/1.0\r\nHost: sandbox\r\n\r\n")
        .await?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await?;
    let body = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    let body = body.and_then(|end| bytes.get(end + 4..)).context("no rows")?;
    let rows: Value = serde_json::from_slice(body).context("the rows of a witness")?;
    let mut charges = 0;
    for row in rows["data"].as_array().context("the rows of a witness")? {
        let sign = match row["operation"].as_str() {
            Some("sale") => 1,
            Some("refund") => -1,
            other => anyhow::bail!("a witness saw {other:?}, which nobody asked for"),
        };
        charges += sign;
        let net = nets
            .entry(row["payment_id"].as_str().unwrap_or("nobody's").to_owned())
            .or_default();
        net.count += sign;
        net.amount_minor += sign * row["amount"].as_i64().context("a row without an amount")?;
    }
    Ok(charges)
}
