//! What one atomic journal record says. A commit is the unit of durability: all of it is there after a crash, or none.

use crate::ids::{PaymentId, Seq, ShardId};
use crate::ledger::{HoldChange, LedgerCommit, PostedEntry};
use crate::merchant::ControlEvent;
use crate::payment::Event;
use crate::time::Timestamp;

/// One record of a shard's journal.
#[derive(Clone, Debug, PartialEq)]
pub struct Commit {
    /// Whose journal.
    pub shard: ShardId,
    /// Where in it.
    pub seq: Seq,
    /// When it was decided.
    pub at: Timestamp,
    /// What it says.
    pub body: Body,
}

/// What a commit says.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// Something happened to a payment.
    Payment(PaymentCommit),
    /// Control data changed.
    Control(ControlEvent),
    /// Something happened to the general ledger.
    Ledger(LedgerCommit),
}

/// Events of one payment with everything that they did to the books.
#[derive(Clone, Debug, PartialEq)]
pub struct PaymentCommit {
    /// Which payment.
    pub payment: PaymentId,
    /// The payment's commit before this one; zero for its first. Histories walk back along it without an index.
    pub prev: Seq,
    /// What happened.
    pub events: Vec<Event>,
    /// What it made expected.
    pub holds: Vec<HoldChange>,
    /// What it posted.
    pub entry: Option<PostedEntry>,
}
