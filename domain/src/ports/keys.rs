//! The index of idempotency keys: behind the journal, rebuildable, and so exact that a miss is proof.

use super::journal::ReadError;
use crate::commit::Commit;
use crate::idempotency::{Fingerprint, KeyDigest};
use crate::ids::{PaymentId, Seq};
use crate::ledger::{AlertId, TransferId};
use crate::time::Timestamp;
use std::fmt;
use std::sync::Arc;

/// Who owns a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// The payment made under it.
    pub payment: PaymentId,
    /// Of the request that made it.
    pub fingerprint: Fingerprint,
    /// When it was used first.
    pub used_at: Timestamp,
}

/// Port of the key index.
pub trait KeyIndex: Send + Sync + fmt::Debug {
    /// Shows durable commits to the index, in order. Look-ups see their keys when this returns; the store follows later.
    fn publish(&self, commits: &[Arc<Commit>]);

    /// Who owns the key, among all commits published so far and not older than the retention.
    fn lookup(&self, key: KeyDigest, now: Timestamp) -> Result<Option<KeyRecord>, ReadError>;

    /// The last commit that the store itself has; after a restart, publishing goes on after it.
    fn watermark(&self) -> Seq;

    /// Published commits that the store does not have yet.
    fn lag(&self) -> u64;

    /// Waits until the store has everything published and makes it durable.
    fn flush(&self) -> Result<(), ReadError>;
}

/// Port of the index of transfers, which follows the journal together with the index of keys.
pub trait TransferIndex: Send + Sync + fmt::Debug {
    /// The commit that recorded a transfer, among all published so far. Ids are never forgotten.
    fn commit_of(&self, id: TransferId) -> Result<Option<Seq>, ReadError>;

    /// The commit that recorded the revert of a transfer, among all published so far.
    fn revert_of(&self, id: TransferId) -> Result<Option<Seq>, ReadError>;

    /// The commit that made an alert, among all published so far, also of one that is deleted since.
    fn alert_of(&self, id: AlertId) -> Result<Option<Seq>, ReadError>;
}
