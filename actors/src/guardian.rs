//! What payment guardians are told. The guardians themselves are supervisors: they start, restart and set aside payments.

use crate::idempotency::SubmissionId;
use crate::payment::{Begin, Noticed, Operate};
use florin_domain::idempotency::{Fingerprint, KeyDigest};
use florin_domain::ids::PaymentId;
use ractor::ActorId;
use tokio::sync::oneshot;

/// A payment in memory.
#[derive(Clone, Debug)]
pub struct LivePayment {
    /// Which.
    pub payment: PaymentId,
    /// The key under which it was made in this process, if it was.
    pub key: Option<(KeyDigest, Fingerprint)>,
    /// Messages waiting.
    pub depth: usize,
    /// Failures in the present window.
    pub failures: u32,
    /// Set aside.
    pub quarantined: bool,
    /// Milliseconds since it came into memory.
    pub age_ms: u64,
}

/// What a guardian is told.
#[derive(Debug)]
pub enum GuardianMail {
    /// Start a new payment.
    Start(Box<Begin>),
    /// Something is asked of a payment that exists.
    Operate(Box<Operate>),
    /// The time for a payment's challenge, review or authorization may have run out.
    CheckDeadlines(PaymentId),
    /// A provider said by itself what became of an operation of a payment.
    Noticed(Box<Noticed>),
    /// Somebody waits for the answer of one of a payment's keys.
    KeyAsked {
        /// Which payment.
        payment: PaymentId,
        /// Under which key.
        key: KeyDigest,
        /// Since which submission of it.
        submission: SubmissionId,
    },
    /// Have a payment go on with what is unresolved.
    Resume {
        /// Which.
        payment: PaymentId,
        /// Close at the provider what stays unknown.
        closes: bool,
    },
    /// Bring a failed payment back.
    Respawn(PaymentId),
    /// Who is in memory? The answer goes to the key owner as well when it has just been restarted.
    Live {
        /// At most so many.
        limit: usize,
        /// Who asks.
        reply: oneshot::Sender<Vec<LivePayment>>,
    },
    /// List the keys of live payments to a restarted key owner.
    LiveKeys {
        /// Which incarnation of the owner asks.
        owner: ActorId,
        /// Which guardian this is.
        index: usize,
    },
    /// Crash a payment (operators and tests); it is restarted like after any failure.
    Kill {
        /// Which.
        payment: PaymentId,
        /// Whether it was there.
        reply: oneshot::Sender<bool>,
    },
}
