//! What a payment waits for until a deadline: somebody else's move, which may never come.

use super::state::{Payment, Status};
use crate::time::Timestamp;

/// Whose move it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WaitKind {
    /// The customer's, at a challenge.
    Challenge,
    /// A reviewer's.
    Review,
    /// The merchant's, to capture what is authorized.
    Capture,
    /// The merchant's, to send a refund again that reached nobody.
    Resend,
}

impl WaitKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Challenge, Self::Review, Self::Capture, Self::Resend];
}

impl Payment {
    /// What it waits for first, and when that ends by itself.
    pub fn waits_for(&self) -> Option<(WaitKind, Timestamp)> {
        let resend = self.unsent_refunds_end_at().map(|at| (WaitKind::Resend, at));
        let moves = self.status_waits_for();
        moves.into_iter().chain(resend).min_by_key(|(_, at)| *at)
    }

    fn status_waits_for(&self) -> Option<(WaitKind, Timestamp)> {
        match &self.status {
            Status::RequiresAction(next) => Some((WaitKind::Challenge, next.expires_at)),
            Status::InReview { deadline } => Some((WaitKind::Review, *deadline)),
            Status::Authorized => self.authorization_expires_at.map(|at| (WaitKind::Capture, at)),
            Status::RequiresPaymentMethod
            | Status::RequiresConfirmation
            | Status::Processing
            | Status::Succeeded
            | Status::Failed
            | Status::Blocked
            | Status::Voided => None,
        }
    }
}
