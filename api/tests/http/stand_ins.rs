//! Ports that the world does without: nothing is kept in snapshots, signatures say nothing, and clocks are set by hand; and where it runs.

use florin_domain::ids::{PaymentId, Seq, ShardId};
use florin_domain::ports::{
    BoxFuture, ClientSecrets, Clock, Delivery, DeliveryEnd, EventBodies, Ownership, ReadError, Receipt,
    ReceiptSignature, ReceiptSigner, ShardSnapshot, ShownEvent, SnapshotError, Snapshots, WebhookClient,
};
use florin_domain::time::{Millis, Timestamp};
use florin_domain::webhook::EventShape;
use std::future::ready;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// The shards, until a test takes them away.
#[derive(Debug, Default)]
pub(crate) struct Ours {
    in_doubt: AtomicBool,
    /// Times that it may still be asked before they are lost; nothing for ever.
    asks_left: Mutex<Option<usize>>,
}

impl Ours {
    /// Another process may have them from now on, or cannot any longer.
    pub(crate) fn are_in_doubt(&self, in_doubt: bool) {
        self.in_doubt.store(in_doubt, Ordering::SeqCst);
        *self.asks_left.lock().unwrap() = None;
    }

    /// They are lost once somebody has asked so often and was told that they are ours.
    pub(crate) fn are_lost_after(&self, asks: usize) {
        *self.asks_left.lock().unwrap() = Some(asks);
    }
}

impl Ownership for Ours {
    fn is_ours(&self) -> bool {
        let mut asks_left = self.asks_left.lock().unwrap();
        match asks_left.as_mut() {
            Some(0) => return false,
            Some(left) => *left -= 1,
            None => {}
        }
        !self.in_doubt.load(Ordering::SeqCst)
    }
}

/// Stands until a test moves its hands: what a build says of time is part of its answers.
#[derive(Debug)]
pub(crate) struct StandingClock(AtomicU64);

impl Default for StandingClock {
    fn default() -> Self {
        Self(AtomicU64::new(1_790_000_000_000))
    }
}

impl StandingClock {
    pub(crate) fn advance(&self, by: Millis) {
        self.0.fetch_add(by.0, Ordering::SeqCst);
    }
}

impl Clock for StandingClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.0.load(Ordering::SeqCst))
    }
}

#[derive(Debug)]
pub(crate) struct NoSnapshots;

impl Snapshots for NoSnapshots {
    fn save(&self, _shard: ShardId, _snapshot: &ShardSnapshot) -> Result<(), ReadError> {
        Ok(())
    }

    fn kept(&self, _shard: ShardId) -> Result<Vec<Seq>, ReadError> {
        Ok(Vec::new())
    }

    fn load(&self, _shard: ShardId, _seq: Seq) -> Result<ShardSnapshot, SnapshotError> {
        Err(SnapshotError("none is kept".to_owned()))
    }
}

/// Signs with the sequence number: what is signed is tested where the key is.
#[derive(Debug)]
pub(crate) struct SumSigner;

impl ReceiptSigner for SumSigner {
    fn sign_receipt(&self, receipt: &Receipt) -> ReceiptSignature {
        let mut signature = [0; 64];
        signature[..8].copy_from_slice(&receipt.seq.0.to_be_bytes());
        ReceiptSignature {
            public_key: [7; 32],
            signature,
        }
    }
}

impl ClientSecrets for SumSigner {
    fn client_secret(&self, payment: PaymentId) -> u128 {
        !payment.bits()
    }

    fn checkout_seal(&self, words: &str) -> u128 {
        let digest = florin_adapters::digests::secret_sha256(&format!("a key of this test\n{words}"));
        u128::from_be_bytes(digest[..16].try_into().unwrap())
    }
}

/// A merchant's server that takes everything.
#[derive(Debug)]
pub(crate) struct Receivers {
    arrives: Mutex<Sender<Delivery>>,
    arrived: Mutex<Receiver<Delivery>>,
}

impl Default for Receivers {
    fn default() -> Self {
        let (sender, receiver) = channel();
        Self {
            arrives: Mutex::new(sender),
            arrived: Mutex::new(receiver),
        }
    }
}

impl Receivers {
    /// What arrives next.
    pub(crate) fn next(&self) -> Delivery {
        let arrived = self.arrived.lock().unwrap();
        arrived.recv_timeout(Duration::from_mins(1)).unwrap()
    }
}

impl WebhookClient for Receivers {
    fn post(&self, delivery: Delivery) -> BoxFuture<'_, DeliveryEnd> {
        self.arrives.lock().unwrap().send(delivery).unwrap();
        let status = 200;
        let retry_after = None;
        Box::pin(ready(DeliveryEnd::Answered { status, retry_after }))
    }
}

/// Announcements of which only the id and the name are said.
#[derive(Debug)]
pub(crate) struct ShortBodies;

impl EventBodies for ShortBodies {
    fn body(&self, event: &ShownEvent, shape: EventShape) -> Option<Vec<u8>> {
        Some(format!("{} {}", event.id, shape.name_of(event.row.kind)).into_bytes())
    }
}

/// Where a platform and its server run.
pub(crate) fn two_threads() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}
