//! Snapshots of a shard, so that recovery reads only the journal's tail.

use super::journal::ReadError;
use crate::ids::{PaymentId, Seq, ShardId};
use crate::ledger::{AccountKey, AccountState};
use crate::merchant::Control;
use std::fmt;

/// What the journal up to `seq` comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ShardSnapshot {
    /// The last commit folded in.
    pub seq: Seq,
    /// That commit's chain hash: a snapshot of another journal is never used.
    pub hash: [u8; 32],
    /// All accounts.
    pub accounts: Vec<(AccountKey, AccountState)>,
    /// Payments with an unresolved operation, and the last commit of each.
    pub open_payments: Vec<(PaymentId, Seq)>,
    /// Merchants and keys.
    pub control: Control,
}

/// Port of the snapshot store.
pub trait Snapshots: Send + Sync + fmt::Debug {
    /// Keeps a snapshot; an earlier one stays until it is safely there.
    fn save(&self, shard: ShardId, snapshot: &ShardSnapshot) -> Result<(), ReadError>;

    /// The newest readable snapshot.
    fn load(&self, shard: ShardId) -> Result<Option<ShardSnapshot>, ReadError>;
}
