//! The index of idempotency keys: (merchant, mode, key) digest -> the payment made under it. It follows behind the journal, can
//! be rebuilt from it, and is exact: a miss is proof that the key was not used within the retention.
//!
//! * [`FjallKeyIndex`] keeps the keys of a day on disk, with what the store does not have yet in memory
//! * [`MemoryKeyIndex`] for tests and simulation

mod fjall_index;
mod memory;
mod overlay;
mod store;
#[cfg(test)]
mod tests;

pub use fjall_index::{FjallKeyIndex, KeyIndexOptions};
pub use memory::MemoryKeyIndex;

use florin_domain::commit::{Body, Commit};
use florin_domain::idempotency::KeyDigest;
use florin_domain::ids::Seq;
use florin_domain::ledger::{CrossingStep, LedgerEvent, Once, PostedTransfer, TransferStep};
use florin_domain::limits::IDEMPOTENCY_RETENTION;
use florin_domain::payment::Event;
use florin_domain::ports::{KeyRecord, ReadError};
use florin_domain::time::{Millis, Timestamp};

/// Keys are thrown away a bucket at a time; each bucket holds the keys first used within one such span.
const BUCKET: Millis = Millis::from_s(6 * 3600);

/// The bucket of keys first used at `at`.
const fn bucket_of(at: Timestamp) -> u64 {
    at.unix_ms() / BUCKET.0
}

/// The oldest bucket in which a key can still be valid at `now`.
const fn oldest_valid(now: Timestamp) -> u64 {
    now.unix_ms().saturating_sub(IDEMPOTENCY_RETENTION.0) / BUCKET.0
}

/// The oldest bucket to keep once a key was used at `newest`: one more than can be valid, so that a clock may step back a little
/// without taking keys away.
const fn first_kept(newest: Timestamp) -> u64 {
    oldest_valid(newest).saturating_sub(1)
}

/// Refuses a look-up for a time whose keys are partly thrown away already: its miss would prove nothing.
fn check_kept(now: Timestamp, first: u64) -> Result<(), ReadError> {
    if oldest_valid(now) < first {
        return Err(ReadError::Store(format!(
            "the clock ({now}) is behind the keys already expired"
        )));
    }
    Ok(())
}

/// A record older than the retention counts as none.
fn unexpired(record: KeyRecord, now: Timestamp) -> Option<KeyRecord> {
    (now.since(record.used_at) <= IDEMPOTENCY_RETENTION).then_some(record)
}

/// The transfers that a commit records, which others they revert, and the alert that it makes.
fn used_transfers(commit: &Commit) -> impl Iterator<Item = Once> + '_ {
    let (transfers, steps, alert): (&[PostedTransfer], &[CrossingStep], _) = match &commit.body {
        Body::Ledger(ledger) => match &ledger.event {
            LedgerEvent::Transferred(transfers) => (transfers, &[], None),
            LedgerEvent::Crossed(steps) => (&[], steps, None),
            LedgerEvent::AlertCreated(terms) => (&[], &[], Some(Once::Alert(terms.id))),
            LedgerEvent::AccountOpened(_)
            | LedgerEvent::PendingExpired(_)
            | LedgerEvent::PeriodClosed { .. }
            | LedgerEvent::AlertDeleted(_) => (&[], &[], None),
        },
        Body::Payment(_) | Body::Control(_) => (&[], &[], None),
    };
    let within = transfers.iter().flat_map(|transfer| {
        let reverted = match transfer.step {
            TransferStep::Revert { reverts } => Some(Once::RevertOf(reverts)),
            TransferStep::Single
            | TransferStep::Pending { .. }
            | TransferStep::Post { .. }
            | TransferStep::Void { .. } => None,
        };
        [Some(Once::Transfer(transfer.id)), reverted]
            .into_iter()
            .flatten()
    });
    // Of one between shards, the latest step that says something of it.
    let steps = steps
        .iter()
        .filter(|step| !matches!(step, CrossingStep::Settled(_)));
    within
        .chain(steps.map(|step| Once::Transfer(step.id())))
        .chain(alert)
}

/// The keys that a commit uses for the first time.
fn used_keys(commit: &Commit) -> impl Iterator<Item = (KeyDigest, KeyRecord)> + '_ {
    let (payment, events) = match &commit.body {
        Body::Payment(body) => (Some(body.payment), body.events.as_slice()),
        Body::Control(_) | Body::Ledger(_) => (None, [].as_slice()),
    };
    events.iter().filter_map(move |event| {
        if let Event::Requested { request } = event {
            let record = KeyRecord {
                payment: payment?,
                fingerprint: request.fingerprint,
                used_at: commit.at,
            };
            return Some((request.key_digest, record));
        }
        let (Event::Created { spec, .. } | Event::Drafted { spec, .. }) = event else {
            return None;
        };
        let record = KeyRecord {
            payment: spec.id,
            fingerprint: spec.fingerprint,
            used_at: spec.created_at,
        };
        Some((spec.key_digest, record))
    })
}

/// Commits left out would make a miss mean nothing.
fn gap(published: Seq, next: Seq) -> ReadError {
    ReadError::Damaged {
        seq: next,
        why: format!("published to the key index right after {published}"),
    }
}
