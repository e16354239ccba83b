//! What is under way under one key, and who waits for it.

use super::orphans::OrphanedAt;
use super::{KeyReply, Reply};
use crate::admission::InFlight;
use crate::context::Context;
use crate::guardian::GuardianMail;
use crate::reply::tell;
use florin_domain::idempotency::{Fingerprint, KeyDigest};
use florin_domain::ids::PaymentId;
use ractor::ActorId;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Names one stay of a key in memory, among those of all incarnations of the owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubmissionId(ActorId, u64);

impl SubmissionId {
    /// The `number`th of an incarnation.
    pub(super) fn new(owner: ActorId, number: u64) -> Self {
        Self(owner, number)
    }
}

#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) reply: oneshot::Sender<KeyReply>,
    pub(super) since: Instant,
    pub(super) replayed: bool,
    pub(super) _in_flight: InFlight,
}

impl Waiter {
    fn tell(self, reply: Reply) {
        let replayed = self.replayed;
        tell(self.reply, KeyReply { reply, replayed });
    }
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) submission: SubmissionId,
    pub(super) fingerprint: Fingerprint,
    pub(super) payment: PaymentId,
    pub(super) waiters: Vec<Waiter>,
    /// The payment knows that somebody waits.
    pub(super) asked: bool,
    /// Nobody drives the payment any more since then.
    pub(super) orphaned_at: Option<OrphanedAt>,
}

impl Entry {
    /// Tells the payment that somebody waits.
    pub(super) fn ask(&self, context: &Context, key: KeyDigest) {
        let mail = GuardianMail::KeyAsked {
            payment: self.payment,
            key,
            submission: self.submission,
        };
        context.guardian(self.payment).step(mail);
    }

    /// Answers everybody.
    pub(super) fn answer(self, reply: &Reply) {
        for waiter in self.waiters {
            waiter.tell(reply.clone());
        }
    }

    /// Shows everybody what is durable. Whoever waits next asks the payment again.
    pub(super) fn show_durable(&mut self) {
        for waiter in std::mem::take(&mut self.waiters) {
            waiter.tell(Reply::OutOfTime(self.payment));
        }
        self.asked = false;
    }

    /// Answers whoever has waited for `budget`.
    pub(super) fn give_up(&mut self, budget: Duration) {
        let payment = self.payment;
        let is_late = |waiter: &mut Waiter| waiter.since.elapsed() >= budget;
        for waiter in self.waiters.extract_if(.., is_late) {
            waiter.tell(Reply::OutOfTime(payment));
        }
        if self.waiters.is_empty() {
            // Whoever waits next asks again: the question, or what was asked for, may be lost.
            self.asked = false;
        }
    }
}
