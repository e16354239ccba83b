//! Transfers of which only the first step was made: what they reserve, and until when.

use super::account::Side;
use super::entry::Posting;
use crate::time::Timestamp;

/// A reservation that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingTransfer {
    /// What it reserves, balanced.
    pub postings: Vec<Posting>,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
}

impl PendingTransfer {
    /// Its time is over.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    /// What its debits come to, in minor units: what may be posted of it where it is between two accounts.
    pub fn total_minor(&self) -> i128 {
        self.postings
            .iter()
            .filter(|posting| posting.side == Side::Debit)
            .fold(0, |sum, posting| sum.saturating_add(posting.amount.minor()))
    }
}
