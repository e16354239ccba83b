//! What a request under a new key starts.

use crate::guardian::GuardianMail;
use crate::payment::{Action, Begin, Operate};
use florin_domain::idempotency::{Fingerprint, KeyDigest};
use florin_domain::ids::{PaymentId, Seq};
use tokio::time::Instant;

/// What to start if a key is new.
#[derive(Debug)]
pub enum Work {
    /// A payment.
    Begin(Box<Begin>),
    /// Something asked of one.
    Operate(Box<Operate>),
}

impl Work {
    /// It brings what a customer brought back from a challenge, which is kept nowhere: the payment needs it each time.
    pub(super) fn brings_details(&self) -> bool {
        match self {
            Self::Begin(..) => false,
            Self::Operate(operate) => matches!(operate.action, Action::Complete(Some(_))),
        }
    }

    pub(super) fn key(&self) -> (KeyDigest, Fingerprint) {
        match self {
            Self::Begin(begin) => (begin.spec.key_digest, begin.spec.fingerprint),
            Self::Operate(operate) => (operate.request.key_digest, operate.request.fingerprint),
        }
    }

    pub(super) fn payment(&self) -> PaymentId {
        match self {
            Self::Begin(begin) => begin.spec.id,
            Self::Operate(operate) => operate.payment,
        }
    }

    pub(super) fn admitted_at(&self) -> Instant {
        match self {
            Self::Begin(begin) => begin.admitted_at,
            Self::Operate(operate) => operate.admitted_at,
        }
    }

    /// Nobody had used its key up to `missed_behind`.
    pub(super) fn start(self, missed_behind: Seq) -> GuardianMail {
        match self {
            Self::Begin(mut begin) => {
                begin.missed_behind = missed_behind;
                GuardianMail::Start(begin)
            }
            Self::Operate(operate) => GuardianMail::Operate(operate),
        }
    }
}
