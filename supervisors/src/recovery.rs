//! Recovery: the journal read back into books, open payments, control data and the key index. It starts from the newest
//! snapshot that belongs to this journal and verifies the tail on the way.
//!
//! # Which of the two is bad
//! * A snapshot is taken of durable commits only. One ahead of the head, readable or not, proves that the journal has lost its
//!   end, with it perhaps money that was acknowledged: the start is refused.
//! * A snapshot that cannot be read, or contradicts itself, says nothing about the journal: an older one does, and without any the whole
//!   journal is read.
//! * A snapshot whose own sum is right, but whose hash the journal does not have at its commit, is no rot: either the record is
//!   damaged, or the journal lost its end and has grown past it since. Commits that were answered may be missing: the start is
//!   refused.

use florin_actors::account_shard::ShardStart;
use florin_actors::context::Ports;
use florin_domain::commit::{Body, Commit};
use florin_domain::ids::{OperationId, PaymentId, Seq, ShardId};
use florin_domain::payment::Event;
use florin_domain::ports::{Head, ReadError, ShardSnapshot, SnapshotError};
use std::collections::{BTreeMap, BTreeSet};

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
    let (mut fold, passed_over) = usable_snapshot(ports, shard, head.seq).await?;
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
                unindexed.push(commit);
            }
        }
        if !unindexed.is_empty() {
            ports.keys.publish(&unindexed);
        }
        progress(next.0.saturating_sub(first.0), total);
    }
    for seq in passed_over {
        // The walk came through it.
        tracing::warn!(
            snapshot = seq.0,
            "the journal is whole at a snapshot that was passed over: the snapshot was bad"
        );
        metrics::counter!("florin_alerts_total", "alert" => "snapshot_unusable").increment(1);
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

/// What the newest snapshot that belongs to this journal comes to, and those passed over on the way to it.
async fn usable_snapshot(ports: &Ports, shard: ShardId, head: Seq) -> Result<(Fold, Vec<Seq>), ReadError> {
    let kept = ports.snapshots.kept(shard)?;
    if let Some(newest) = kept.first() {
        check_not_ahead(head, *newest)?;
    }
    let mut passed_over = Vec::new();
    for seq in kept {
        let loaded = ports.snapshots.load(shard, seq);
        if let Ok(snapshot) = &loaded {
            check_not_ahead(head, snapshot.seq)?;
        }
        let folded = match readable(seq, loaded) {
            Ok(snapshot) => {
                check_same_history(&snapshot, ports.journal.hash_at(shard, seq).await?)?;
                Fold::of(snapshot)
            }
            Err(error) => Err(error),
        };
        match folded {
            Ok(fold) => return Ok((fold, passed_over)),
            Err(error) => {
                tracing::warn!(snapshot = seq.0, why = %error, "a snapshot is passed over for an older one, or for none");
                passed_over.push(seq);
            }
        }
    }
    Ok((Fold::default(), passed_over))
}

fn check_not_ahead(head: Seq, snapshot: Seq) -> Result<(), ReadError> {
    if snapshot <= head {
        return Ok(());
    }
    let why = format!("a snapshot of commit {snapshot} exists: later commits are missing");
    Err(ReadError::Damaged { seq: head, why })
}

/// What was loaded as the snapshot of `seq`, if it is that.
fn readable(seq: Seq, loaded: Result<ShardSnapshot, SnapshotError>) -> Result<ShardSnapshot, SnapshotError> {
    let snapshot = loaded?;
    if snapshot.seq != seq {
        let why = format!("it says that it is of commit {}", snapshot.seq);
        return Err(SnapshotError(why));
    }
    Ok(snapshot)
}

fn check_same_history(snapshot: &ShardSnapshot, hash: Option<[u8; 32]>) -> Result<(), ReadError> {
    if hash == Some(snapshot.hash) {
        return Ok(());
    }
    let why = "a snapshot was taken here of another history: the record is damaged, or the journal lost its end and was written \
               on since; restore a whole copy of the data folder";
    Err(ReadError::Damaged {
        seq: snapshot.seq,
        why: why.to_owned(),
    })
}

#[derive(Debug, Default)]
struct Fold {
    seq: Seq,
    start: ShardStart,
    /// What payments wait for whose whole unresolved part is in the tail.
    unresolved: BTreeMap<PaymentId, BTreeSet<(Waits, OperationId)>>,
    /// Open payments of the snapshot: which operations they wait for is not in it, so they stay open and are looked at once.
    adopted: BTreeSet<PaymentId>,
}

impl Fold {
    /// A snapshot's state, unless the snapshot contradicts itself: it was made of a journal in which none of that can be.
    fn of(snapshot: ShardSnapshot) -> Result<Self, SnapshotError> {
        let contradicts = |why: String| Err(SnapshotError(why));
        let (seq, count) = (snapshot.seq, snapshot.accounts.len());
        let mut fold = Self {
            seq,
            ..Self::default()
        };
        if !fold.start.books.restore_general(snapshot.general) {
            return contradicts("its general ledger contradicts itself".to_owned());
        }
        for (key, account) in snapshot.accounts {
            if account.last_posted > seq {
                let later = account.last_posted;
                return contradicts(format!("{key} was posted to at {later}, which is after it"));
            }
            fold.start.books.restore(key, account);
        }
        if fold.start.books.accounts().count() != count {
            return contradicts("its accounts are not each there once".to_owned());
        }
        for total in fold.start.books.trial_balance() {
            let (currency, debits, credits) = (total.currency, total.debits_minor, total.credits_minor);
            if debits != credits {
                return contradicts(format!(
                    "its accounts in {currency} do not balance: {debits} and {credits}"
                ));
            }
        }
        let open = snapshot.open_payments.len();
        if let Some((payment, later)) = snapshot.open_payments.iter().find(|(_, last)| *last > seq) {
            return contradicts(format!("{payment} went on at {later}, which is after it"));
        }
        fold.start.open = snapshot.open_payments.into_iter().collect();
        if fold.start.open.len() != open {
            return contradicts("its open payments are not each there once".to_owned());
        }
        fold.adopted = fold.start.open.keys().copied().collect();
        fold.start.control = snapshot.control;
        Ok(fold)
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
                self.start.control.apply(event, commit.at);
                return Ok(());
            }
            Body::Ledger(ledger) => {
                let place = (commit.at, commit.seq);
                let replayed = self.start.books.replay_ledger(&ledger.event, place);
                return replayed.map_err(|error| ReadError::Damaged {
                    seq: commit.seq,
                    why: error.to_string(),
                });
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
        // At the end of the commit, as the shard did.
        self.start.books.evaluate_alerts((commit.at, commit.seq));
        let waits = self.unresolved.entry(body.payment).or_default();
        for event in &body.events {
            match change(event) {
                Some((what, true)) => {
                    waits.insert(what);
                }
                Some((what, false)) => {
                    waits.remove(&what);
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

/// For whom an operation waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Waits {
    /// For its provider's word about an attempt.
    Provider,
    /// For a person who looks.
    Person,
}

/// Whether an event begins (`true`) or ends what an operation waits for.
fn change(event: &Event) -> Option<((Waits, OperationId), bool)> {
    match event {
        Event::AttemptPlanned { operation, .. } => Some(((Waits::Provider, *operation), true)),
        Event::AttemptSucceeded { operation, .. }
        | Event::AttemptDeclined { operation, .. }
        | Event::AttemptNotSent { operation, .. }
        | Event::AttemptRejected { operation, .. }
        | Event::AttemptCancelled { operation, .. } => Some(((Waits::Provider, *operation), false)),
        Event::MatterRaised { operation, .. } => Some(((Waits::Person, *operation), true)),
        Event::MattersNoted { operation, .. } => Some(((Waits::Person, *operation), false)),
        Event::Created { .. }
        | Event::RiskAssessed(_)
        | Event::ListMatched { .. }
        | Event::HeldForReview
        | Event::PostingProfileChosen { .. }
        | Event::Routed { .. }
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
        | Event::LateReversal { .. }
        | Event::ReversalOpened { .. }
        | Event::RetryRefused { .. }
        | Event::DeclineRetried { .. }
        | Event::AttemptClosingAsked { .. }
        | Event::AttemptClosingRefused { .. }
        | Event::AttemptToldMade { .. }
        | Event::TransactionClosed { .. }
        | Event::Abandoned
        | Event::Requested { .. }
        | Event::ResolutionProposed { .. }
        | Event::ResolutionConfirmed { .. }
        | Event::AttemptOverdue { .. }
        | Event::AttemptsExhausted
        | Event::Drafted { .. }
        | Event::Amended { .. }
        | Event::Confirmed { .. }
        | Event::OperationGivenUp { .. }
        | Event::AuthorizationExpired => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: [u8; 32] = [3; 32];

    fn snapshot(seq: u64) -> ShardSnapshot {
        ShardSnapshot {
            seq: Seq(seq),
            hash: HASH,
            ..ShardSnapshot::default()
        }
    }

    #[test]
    fn a_snapshot_is_read_only_as_what_it_is_called() {
        let rotten = || Err(SnapshotError("rotten".to_owned()));
        let cases = [
            ("whole", Ok(snapshot(7)), true),
            ("unreadable", rotten(), false),
            ("of an earlier commit", Ok(snapshot(6)), false),
        ];
        for (what, loaded, is_read) in cases {
            let expected = loaded.clone().ok().filter(|_| is_read);
            assert_eq!(readable(Seq(7), loaded).ok(), expected, "{what}");
        }
    }

    #[test]
    fn a_snapshot_and_its_record_have_the_same_hash() {
        for (what, hash, holds) in [
            ("the same", Some(HASH), true),
            ("of another history", Some([4; 32]), false),
            ("of a record that is gone", None, false),
        ] {
            assert_eq!(check_same_history(&snapshot(7), hash).is_ok(), holds, "{what}");
        }
    }

    #[test]
    fn a_snapshot_may_be_of_the_head_and_not_of_more() {
        for (head, snapshot, holds) in [(7, 6, true), (7, 7, true), (7, 8, false), (0, 1, false)] {
            let checked = check_not_ahead(Seq(head), Seq(snapshot));
            assert_eq!(checked.is_ok(), holds, "{snapshot} of {head}");
        }
    }
}
