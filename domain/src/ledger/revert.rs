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
            is_payout: false,
            effective: self.effective,
            notes: self.notes,
        }
    }
}

/// In which order reverts are made, by where what they undo is recorded: what was recorded last is undone first, so that every account
/// goes back the way it came. Those of one transfer, and of what nobody has recorded, keep their order.
pub fn newest_first<T: Ord>(recorded: &[Option<T>]) -> Vec<usize> {
    let mut order: Vec<(usize, &Option<T>)> = recorded.iter().enumerate().collect();
    order.sort_by(|(_, left), (_, right)| right.cmp(left));
    order.into_iter().map(|(index, _)| index).collect()
}

impl PostedTransfer {
    /// What undoes it: its postings with the sides swapped, the last one first. Limits are judged line by line, so this is the one
    /// order in which the accounts go back through what they were, and through nothing that they never were.
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
                    .rev()
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
