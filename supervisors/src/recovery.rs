//! Recovery: the journal read back into books, open payments, control data and the key index. It starts from the newest
//! snapshot that belongs to this journal and verifies the tail on the way.

use florin_actors::account_shard::ShardStart;
use florin_actors::context::Ports;
use florin_domain::commit::{Body, Commit};
use florin_domain::ids::{OperationId, PaymentId, Seq, ShardId};
use florin_domain::payment::Event;
use florin_domain::ports::{Head, ReadError, ShardSnapshot};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Told how many of the tail's commits have been read.
pub type Progress = dyn Fn(u64, u64) + Send + Sync;

const PAGE: usize = 8192;

/// Reads the shard back. Any damage is an error: the process must not go on from a journal that it cannot trust.
pub async fn recover(
    ports: &Ports,
    shard: ShardId,
    progress: &Progress,
) -> Result<(Head, ShardStart), ReadError> {
    let head = ports.journal.head(shard).await?;
    let snapshot = usable_snapshot(ports, shard, head).await?;
    let mut fold = Fold::from_snapshot(snapshot);
    let indexed = ports.keys.watermark();
    let viewed = ports.views.watermark()?;
    check_not_behind(head.seq, "the key index", indexed)?;
    check_not_behind(head.seq, "the payments view", viewed)?;
    let first = fold.seq.min(indexed).next();
    let total = head.seq.0.saturating_sub(first.0).saturating_add(1);
    let mut next = first;
    while next <= head.seq {
        let commits = ports.journal.read(shard, next, PAGE).await?;
        let Some(last) = commits.last() else {
            let why = "the journal ends before its head".to_owned();
            return Err(ReadError::Damaged { seq: next, why });
        };
        next = last.seq.next();
        let mut unindexed = Vec::new();
        for commit in commits {
            if commit.seq > fold.seq {
                fold.apply(&commit)?;
            }
            if commit.seq > indexed {
                unindexed.push(Arc::new(commit));
            }
        }
        if !unindexed.is_empty() {
            ports.keys.publish(&unindexed);
        }
        progress(next.0.saturating_sub(first.0), total);
    }
    Ok((head, fold.into_start(head.seq)))
}

/// An index never runs ahead of the journal that it follows. One that does has seen commits that are gone: they were answered, perhaps
/// charged, and their keys must not be taken for new ones.
fn check_not_behind(head: Seq, index: &str, watermark: Seq) -> Result<(), ReadError> {
    if watermark <= head {
        return Ok(());
    }
    let why = format!(
        "{index} has seen commit {watermark}: the journal has lost its end; restore a whole copy of the data folder"
    );
    Err(ReadError::Damaged { seq: head, why })
}

async fn usable_snapshot(
    ports: &Ports,
    shard: ShardId,
    head: Head,
) -> Result<Option<ShardSnapshot>, ReadError> {
    let Some(snapshot) = ports.snapshots.load(shard)? else {
        return Ok(None);
    };
    if snapshot.seq > head.seq {
        let why = format!(
            "a snapshot of commit {} exists: later commits are missing",
            snapshot.seq
        );
        return Err(ReadError::Damaged { seq: head.seq, why });
    }
    let hash = ports.journal.hash_at(shard, snapshot.seq).await?;
    if snapshot.seq != Seq::ZERO && hash != Some(snapshot.hash) {
        let why = "a snapshot was taken of another history".to_owned();
        return Err(ReadError::Damaged {
            seq: snapshot.seq,
            why,
        });
    }
    Ok(Some(snapshot))
}

#[derive(Debug, Default)]
struct Fold {
    seq: Seq,
    start: ShardStart,
    /// Unresolved operations of payments whose whole unresolved part is in the tail.
    unresolved: BTreeMap<PaymentId, BTreeSet<OperationId>>,
    /// Open payments of the snapshot: which operations they wait for is not in it, so they stay open and are looked at once.
    adopted: BTreeSet<PaymentId>,
}

impl Fold {
    fn from_snapshot(snapshot: Option<ShardSnapshot>) -> Self {
        let Some(snapshot) = snapshot else {
            return Self::default();
        };
        let mut fold = Self {
            seq: snapshot.seq,
            ..Self::default()
        };
        for (key, account) in snapshot.accounts {
            fold.start.books.restore(key, account);
        }
        fold.adopted = snapshot
            .open_payments
            .iter()
            .map(|(payment, _)| *payment)
            .collect();
        fold.start.open = snapshot.open_payments.into_iter().collect();
        fold.start.control = snapshot.control;
        fold
    }

    fn apply(&mut self, commit: &Commit) -> Result<(), ReadError> {
        if commit.seq != self.seq.next() {
            let why = format!("expected commit {}", self.seq.next());
            return Err(ReadError::Damaged { seq: commit.seq, why });
        }
        self.seq = commit.seq;
        let body = match &commit.body {
            Body::Payment(body) => body,
            Body::Control(event) => {
                self.start.control.apply(event);
                return Ok(());
            }
        };
        let damaged = |error: &dyn std::fmt::Display| ReadError::Damaged {
            seq: commit.seq,
            why: error.to_string(),
        };
        self.start
            .books
            .hold(&body.holds)
            .map_err(|error| damaged(&error))?;
        if let Some(entry) = &body.entry {
            self.start
                .books
                .replay(entry, commit.seq)
                .map_err(|error| damaged(&error))?;
        }
        let waits = self.unresolved.entry(body.payment).or_default();
        for event in &body.events {
            match change(event) {
                Some((operation, true)) => {
                    waits.insert(operation);
                }
                Some((operation, false)) => {
                    waits.remove(&operation);
                }
                None => {}
            }
        }
        if !waits.is_empty() || self.adopted.contains(&body.payment) {
            self.start.open.insert(body.payment, commit.seq);
        } else {
            self.unresolved.remove(&body.payment);
            self.start.open.remove(&body.payment);
        }
        Ok(())
    }

    fn into_start(mut self, head: Seq) -> ShardStart {
        self.start.head = head;
        self.start
    }
}

/// Whether an event opens (`true`) or resolves an operation's attempt.
fn change(event: &Event) -> Option<(OperationId, bool)> {
    match event {
        Event::AttemptPlanned { operation, .. } => Some((*operation, true)),
        Event::AttemptSucceeded { operation, .. }
        | Event::AttemptDeclined { operation, .. }
        | Event::AttemptNotSent { operation, .. }
        | Event::AttemptRejected { operation, .. }
        | Event::AttemptCancelled { operation, .. } => Some((*operation, false)),
        Event::Created { .. }
        | Event::RiskAssessed(_)
        | Event::Blocked
        | Event::ReviewOpened { .. }
        | Event::ReviewApproved
        | Event::ReviewRejected
        | Event::ReviewExpired
        | Event::MethodReplaced { .. }
        | Event::OperationOpened { .. }
        | Event::AttemptReferenced { .. }
        | Event::AttemptActionRequired { .. }
        | Event::AttemptPending { .. }
        | Event::AttemptUnknown { .. }
        | Event::LateSuccess { .. }
        | Event::Abandoned
        | Event::AuthorizationExpired => None,
    }
}
