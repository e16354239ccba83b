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
}

impl WaitKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Challenge, Self::Review, Self::Capture];
}

impl Payment {
    /// What it waits for, and when that ends by itself.
    pub fn waits_for(&self) -> Option<(WaitKind, Timestamp)> {
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
