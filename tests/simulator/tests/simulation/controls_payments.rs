//! Wrong memories of payments, wrong proofs and wrong snapshots, and the checks that object to what a platform does on them.

use crate::controls::{Hasty, forging_reads, forging_writes, is_caught, with_journal};
use florin_domain::commit::{Body, Commit};
use florin_domain::credentials::KeyOwner;
use florin_domain::ids::{MerchantId, OperationId, Seq, ShardId};
use florin_domain::payment::Event;
use florin_domain::ports::{
    AttemptRequest, BoxFuture, Journal, KeyOwners, Provider, ReadError, ShardSnapshot, SnapshotError,
    Snapshots,
};
use florin_domain::provider::{Capabilities, Outcome, ProviderReference};
use florin_domain::time::Timestamp;
use florin_simulator::Wiring;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// The operation that an event opens, drives or ends.
fn operation_of(event: &Event) -> Option<OperationId> {
    match event {
        Event::Requested { request } => Some(request.operation),
        Event::OperationOpened { operation, .. }
        | Event::ReversalOpened { operation, .. }
        | Event::AttemptPlanned { operation, .. }
        | Event::AttemptReferenced { operation, .. }
        | Event::AttemptSucceeded { operation, .. }
        | Event::AttemptDeclined { operation, .. }
        | Event::AttemptPending { operation, .. }
        | Event::AttemptUnknown { operation, .. }
        | Event::AttemptNotSent { operation, .. }
        | Event::AttemptRejected { operation, .. }
        | Event::AttemptCancelled { operation, .. } => Some(*operation),
        _ => None,
    }
}

fn forget(commit: &mut Commit, is_forgotten: impl Fn(OperationId) -> bool) {
    if let Body::Payment(body) = &mut commit.body {
        body.events
            .retain(|event| !operation_of(event).is_some_and(&is_forgotten));
    }
}

#[test]
fn a_void_of_what_was_taken_is_caught() {
    let forgets = |commit: &mut Commit| forget(commit, |id| matches!(id, OperationId::Capture(_)));
    is_caught(&forging_reads(forgets), "there is nothing to release");
}

#[test]
fn an_authorization_that_ends_before_its_time_is_caught() {
    let hastens = |commit: &mut Commit| {
        let Body::Payment(body) = &mut commit.body else {
            return;
        };
        for event in &mut body.events {
            if let Event::AttemptSucceeded {
                authorization_expires_at: Some(end),
                ..
            } = event
            {
                *end = Timestamp::from_unix_ms(1);
            }
        }
    };
    is_caught(&forging_reads(hastens), "its time is not over");
}

#[test]
fn a_late_charge_that_nobody_gives_back_is_caught() {
    let forgets = |commit: &mut Commit| forget(commit, |id| matches!(id, OperationId::Reversal(_)));
    is_caught(&forging_writes(forgets), "and nobody gives it back");
}

#[test]
fn a_late_word_that_is_not_booked_is_caught() {
    let forgets = |commit: &mut Commit| {
        if let Body::Payment(body) = &mut commit.body
            && body
                .events
                .iter()
                .any(|event| matches!(event, Event::LateReversal { .. }))
        {
            body.entry = None;
        }
    };
    is_caught(&forging_writes(forgets), "and its entries come to");
}

#[test]
fn a_notice_that_is_acknowledged_before_it_is_durable_is_caught() {
    let hasty = |inner| -> Arc<dyn Journal> {
        let turn = Arc::default();
        Arc::new(Hasty { inner, turn })
    };
    is_caught(&with_journal(hasty), "is acknowledged and is not durable");
}

/// Takes silence for the proof that an attempt is closed.
#[derive(Debug)]
struct Assuming(Arc<dyn Provider>);

impl KeyOwners for Assuming {
    fn key_owner(&self, merchant: MerchantId, made_at: Timestamp) -> Option<KeyOwner> {
        self.0.key_owner(merchant, made_at)
    }
}

impl Provider for Assuming {
    fn capabilities(&self) -> &Capabilities {
        self.0.capabilities()
    }

    fn prepare<'a>(
        &'a self,
        request: &'a AttemptRequest,
    ) -> BoxFuture<'a, Result<ProviderReference, Outcome>> {
        self.0.prepare(request)
    }

    fn execute<'a>(&'a self, request: &'a AttemptRequest) -> BoxFuture<'a, Outcome> {
        self.0.execute(request)
    }

    fn query<'a>(&'a self, request: &'a AttemptRequest) -> BoxFuture<'a, Outcome> {
        self.0.query(request)
    }

    fn cancel<'a>(&'a self, request: &'a AttemptRequest) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            match self.0.cancel(request).await {
                Outcome::Unknown { reference, .. } => Outcome::Cancelled { reference },
                other => other,
            }
        })
    }
}

#[test]
fn a_cancellation_that_is_assumed_is_caught() {
    let wiring = Wiring {
        provider: Box::new(|inner, _| Arc::new(Assuming(inner))),
        ..Wiring::default()
    };
    is_caught(&wiring, "was charged twice");
}

/// Snapshots that say they are of a later commit than they hold.
#[derive(Debug)]
struct Ahead {
    inner: Arc<dyn Snapshots>,
    last: Mutex<BTreeMap<ShardId, ShardSnapshot>>,
}

impl Snapshots for Ahead {
    fn save(&self, shard: ShardId, snapshot: &ShardSnapshot) -> Result<(), ReadError> {
        let before = self.last.lock().unwrap().insert(shard, snapshot.clone());
        let ahead = ShardSnapshot {
            seq: snapshot.seq,
            hash: snapshot.hash,
            ..before.unwrap_or_else(|| snapshot.clone())
        };
        self.inner.save(shard, &ahead)
    }

    fn kept(&self, shard: ShardId) -> Result<Vec<Seq>, ReadError> {
        self.inner.kept(shard)
    }

    fn load(&self, shard: ShardId, seq: Seq) -> Result<ShardSnapshot, SnapshotError> {
        self.inner.load(shard, seq)
    }
}

#[test]
fn a_snapshot_that_is_older_than_it_says_is_caught() {
    let wiring = Wiring {
        snapshots: Box::new(|inner| {
            let last = Mutex::default();
            Arc::new(Ahead { inner, last })
        }),
        ..Wiring::default()
    };
    is_caught(&wiring, "the accounts are not the same");
}
