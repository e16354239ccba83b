//! Snapshots of a shard, so that recovery reads only the journal's tail.

use super::journal::ReadError;
use crate::ids::{PaymentId, Seq, ShardId};
use crate::ledger::{AccountKey, AccountState, GeneralLedger};
use crate::merchant::Control;
use std::fmt;
use thiserror::Error;

/// What the journal up to `seq` comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ShardSnapshot {
    /// The last commit folded in.
    pub seq: Seq,
    /// That commit's chain hash: a snapshot of another journal is never used.
    pub hash: [u8; 32],
    /// All accounts.
    pub accounts: Vec<(AccountKey, AccountState)>,
    /// Payments with an unresolved operation or an open matter, and the last commit of each.
    pub open_payments: Vec<(PaymentId, Seq)>,
    /// Merchants and keys.
    pub control: Control,
    /// The general ledger, but for the standings of its accounts.
    pub general: GeneralLedger,
}

/// Why a snapshot that is kept cannot be used. It costs time and nothing else: the journal has everything.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct SnapshotError(pub String);

/// Port of the snapshot store.
pub trait Snapshots: Send + Sync + fmt::Debug {
    /// Keeps a snapshot; an earlier one stays until it is safely there.
    fn save(&self, shard: ShardId, snapshot: &ShardSnapshot) -> Result<(), ReadError>;

    /// The commits of which snapshots are kept, the newest first, whether or not they can be read: that one is there at all says
    /// that the journal had come so far.
    fn kept(&self, shard: ShardId) -> Result<Vec<Seq>, ReadError>;

    /// The snapshot kept as that of a commit. Whether it says so itself, and fits the journal, is for the caller to see.
    fn load(&self, shard: ShardId, seq: Seq) -> Result<ShardSnapshot, SnapshotError>;
}
