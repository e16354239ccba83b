//! Transfers applied to the books: one request is applied in order, each transfer against what those before it left, and what
//! is refused leaves nothing behind.

use super::alert::AlertId;
use super::applying::{Applying, Mark};
use super::books::Books;
use super::entry::PostingError;
use super::transfer::{Legs, PostedTransfer, Transfer, TransferId, TransferRefusal, TransferStep};
use crate::ids::Seq;
use crate::time::Timestamp;

/// What the refusal of one transfer means for the others of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linkage {
    /// Only those linked to it are refused as well.
    Independent,
    /// All are.
    Atomic,
}

/// What is recorded at most once, however often it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Once {
    /// A transfer under this id.
    Transfer(TransferId),
    /// The revert of this transfer, under whatever id.
    RevertOf(TransferId),
    /// An alert under this id.
    Alert(AlertId),
}

/// What became of one transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is recorded.
    Done,
    /// Its id was used before; whether for the same transfer is for the caller to see.
    Exists,
    /// Nothing of it is recorded.
    Refused(TransferRefusal),
}

/// What became of a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transferred {
    /// To be recorded, in order.
    pub recorded: Vec<PostedTransfer>,
    /// One for each that was asked for, in order.
    pub verdicts: Vec<Verdict>,
}

const MISSING: PostingError = PostingError::IllegalRecord("no such transfer is pending");

impl Books {
    /// Applies a request as commit `seq`. `is_used` says what was recorded before.
    pub fn transfer(
        &mut self,
        asked: &[Transfer],
        linkage: Linkage,
        (at, seq): (Timestamp, Seq),
        is_used: impl Fn(Once) -> bool,
    ) -> Transferred {
        Applying::new(self, at, seq).take_all(asked, linkage, &is_used)
    }

    /// What [`Books::transfer`] would come to; nothing changes.
    pub fn dry_transfer(
        &mut self,
        asked: &[Transfer],
        linkage: Linkage,
        (at, seq): (Timestamp, Seq),
        is_used: impl Fn(Once) -> bool,
    ) -> Transferred {
        let mut applying = Applying::new(self, at, seq);
        let done = applying.take_all(asked, linkage, &is_used);
        applying.undo(Mark::default());
        done
    }

    /// Folds a recorded transfer, and checks that its running balances are what these books come to.
    pub fn replay_transfer(
        &mut self,
        transfer: &PostedTransfer,
        (at, seq): (Timestamp, Seq),
    ) -> Result<(), PostingError> {
        let mut applying = Applying::new(self, at, seq);
        if let TransferStep::Post { pending } | TransferStep::Void { pending } = transfer.step {
            applying.release(pending).map_err(|_| MISSING)?;
        }
        match &transfer.legs {
            Legs::Pair(pair) => applying.replay(&pair.lines()),
            Legs::Many(entry) => applying.replay(entry.lines()),
            Legs::Reserved(postings) => {
                let TransferStep::Pending { expires_at } = transfer.step else {
                    return Err(PostingError::IllegalRecord(
                        "reserved by a transfer that is not pending",
                    ));
                };
                applying
                    .reserve(transfer.id, postings.clone(), expires_at)
                    .map_err(|_| PostingError::Overflow)
            }
            Legs::Released => Ok(()),
        }
    }

    /// Ends a reservation whose time is over.
    pub fn expire_pending(&mut self, id: TransferId) -> Result<(), PostingError> {
        let mut applying = Applying::new(self, Timestamp::default(), Seq::ZERO);
        applying.release(id).map(drop).map_err(|_| MISSING)
    }
}
