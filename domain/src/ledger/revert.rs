//! Reverts: a recorded transfer is undone by one more transfer with the sides swapped, once.

use super::entry::Posting;
use super::transfer::{
    EffectiveDate, Legs, Notes, PostedTransfer, Transfer, TransferId, TransferLegs, TransferRefusal,
    TransferStep,
};

/// Why a transfer cannot be reverted, whatever the books are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Irreversible {
    /// There is no such transfer.
    Unknown,
    /// It posted nothing: it reserved, or let go of what was reserved.
    NothingPosted,
    /// Its halves are in two shards.
    BetweenShards,
}

impl Irreversible {
    /// What whoever asks is told.
    pub const fn refusal(self) -> TransferRefusal {
        match self {
            Self::Unknown => TransferRefusal::RevertedNotFound,
            Self::NothingPosted => TransferRefusal::NothingToRevert,
            Self::BetweenShards => TransferRefusal::CrossesShards,
        }
    }
}

/// A revert as asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Revert {
    /// Its own name.
    pub id: TransferId,
    /// What it undoes.
    pub reverts: TransferId,
    /// For which day of the books; the day of the record if `None`.
    pub effective: Option<EffectiveDate>,
    /// What else it says.
    pub notes: Option<Box<Notes>>,
}

impl Revert {
    /// The transfer that it comes to; `legs` undo what is recorded of the reverted one.
    pub fn with(self, legs: Option<TransferLegs>) -> Transfer {
        Transfer {
            id: self.id,
            step: TransferStep::Revert {
                reverts: self.reverts,
            },
            legs: legs.unwrap_or(TransferLegs::Irreversible(Irreversible::Unknown)),
            linked: false,
            effective: self.effective,
            notes: self.notes,
        }
    }
}

impl PostedTransfer {
    /// What undoes it: its postings with the sides swapped.
    pub fn reverted_legs(&self) -> TransferLegs {
        match &self.legs {
            Legs::Pair(pair) => TransferLegs::Pair {
                debit: pair.credit,
                credit: pair.debit,
                amount: pair.amount,
            },
            Legs::Many(entry) => TransferLegs::Many(
                entry
                    .lines()
                    .iter()
                    .map(|line| Posting {
                        side: line.posting.side.opposite(),
                        ..line.posting
                    })
                    .collect(),
            ),
            Legs::Reserved(_) | Legs::Released => TransferLegs::Irreversible(Irreversible::NothingPosted),
        }
    }
}
