//! The owner of idempotency keys: the first request under a key starts a payment, every other one waits for the same answer.
//! In memory are only keys that somebody waits for, or whose payment may still come to be stored; all others are found in the
//! index behind the journal, whose misses are proof. A restarted owner first asks every guardian what is under way, so no key is
//! ever used twice.

mod entry;
mod orphans;
mod unreached;
mod work;

pub use entry::SubmissionId;
pub use work::Work;

use crate::admission::InFlight;
use crate::context::{Context, Step};
use crate::guardian::GuardianMail;
use crate::load::barrier;
use crate::mailbox::{Class, Envelope};
use crate::payment::NotStored;
use crate::reply::tell;
use crate::ticks::keep_ticking;
use entry::{Entry, Waiter};
use florin_domain::idempotency::{Fingerprint, KeyDigest};
use florin_domain::ids::{OperationId, PaymentId};
use florin_domain::payment::{Answer, Payment};
use orphans::Orphans;
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::oneshot;
use unreached::Unreached;

/// What a caller is told.
#[derive(Clone, Debug)]
pub enum Reply {
    /// This is the payment, and this is what the key's answer is.
    Answered {
        /// The state that the answer shows.
        payment: Arc<Payment>,
        /// What kind of answer.
        answer: Answer,
        /// The operation that was asked for; nothing when it was the payment itself.
        operation: Option<OperationId>,
    },
    /// Nothing was stored.
    NotStored(NotStored),
    /// The key was used for another request.
    Mismatch,
    /// Too many requests wait for this key.
    TooManyWaiters,
    /// The answer budget is used up, or nobody drives the payment any more: what was asked for may be on its way.
    OutOfTime(PaymentId),
    /// The payment could not be started and never saw the request: nothing of it is on its way.
    NotHanded(PaymentId),
    /// The key index cannot be read; nothing was started.
    IndexUnavailable,
}

/// A reply, and whether this caller's request is the one that did the work.
#[derive(Clone, Debug)]
pub struct KeyReply {
    /// What.
    pub reply: Reply,
    /// Another request under the same key did the work.
    pub replayed: bool,
}

/// A request under a key.
#[derive(Debug)]
pub struct Submission {
    /// What to start if the key is new.
    pub work: Work,
    /// Who waits.
    pub reply: oneshot::Sender<KeyReply>,
    /// Holds the operation's place until it is answered.
    pub in_flight: InFlight,
}

/// What the owner is told.
#[derive(Debug)]
pub enum IdempotencyMail {
    /// A request came.
    Submit(Submission),
    /// A payment has its answer, or was never stored.
    Answered {
        /// Under which key.
        key: KeyDigest,
        /// Who answers: by now the key may belong to another payment.
        payment: PaymentId,
        /// What.
        reply: Reply,
    },
    /// A payment was asked about a request that it knows nothing of.
    Unknown {
        /// Under which key.
        key: KeyDigest,
        /// Who answers.
        payment: PaymentId,
        /// What it was asked about: by now the key may have come again, and that request is still to reach the payment.
        submission: SubmissionId,
    },
    /// The keys of a guardian's live payments.
    LiveKeys {
        /// Which incarnation of the owner asked.
        owner: ActorId,
        /// Which guardian.
        index: usize,
        /// Key, fingerprint, payment.
        keys: Vec<(KeyDigest, Fingerprint, PaymentId)>,
    },
    /// Every commit that was on its way when this incarnation of the owner had heard all guardians is durable, and the index has
    /// its key.
    Settled(ActorId),
    /// A guardian was restarted and lost its payments from memory.
    GuardianRestarted(usize),
    /// A payment's actor was restarted: what it was asked may be lost.
    PaymentRestarted(PaymentId),
    /// A payment was set aside: whoever waits for it is shown what is durable.
    PaymentSetAside(PaymentId),
    /// Answer whoever has waited too long.
    Tick,
}

/// The owner's state.
#[derive(Debug)]
pub struct IdempotencyState {
    context: Arc<Context>,
    /// This incarnation: what an earlier one asked may still be answered, and says nothing about what this one knows.
    id: ActorId,
    /// Ordered, as is everything here that is walked: the same history is the same run.
    entries: BTreeMap<KeyDigest, Entry>,
    /// Guardians that have not said yet what is under way.
    unheard: BTreeSet<usize>,
    /// Guardians have said what is under way, and the index has what their predecessors left behind.
    settled: bool,
    held: VecDeque<Submission>,
    unreached: Unreached,
    orphans: Orphans,
    submissions: u64,
}

/// The owner.
#[derive(Clone, Copy, Debug)]
pub struct IdempotencyOwner;

impl Actor for IdempotencyOwner {
    type Msg = Envelope<IdempotencyMail>;
    type State = IdempotencyState;
    type Arguments = Arc<Context>;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        context: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let unheard = (0..context.guardians.len()).collect();
        let (id, mailbox) = (myself.get_id(), context.idempotency.clone());
        // Attached before anything is asked: the answers of the guardians find this incarnation, and nobody waits for a tick.
        mailbox.attach(myself.clone());
        keep_ticking(myself, mailbox, context.options.ticks.idempotency, || {
            IdempotencyMail::Tick
        });
        Ok(IdempotencyState {
            context,
            id,
            entries: BTreeMap::new(),
            unheard,
            settled: false,
            held: VecDeque::new(),
            unreached: Unreached::default(),
            orphans: Orphans::default(),
            submissions: 0,
        })
    }

    async fn handle(
        &self,
        _myself: ActorRef<Self::Msg>,
        envelope: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let (mail, _slot) = envelope.open();
        match mail {
            IdempotencyMail::Submit(submission) if state.settled => {
                state.context.ports.probe.reached(Step::KeySubmitted);
                state.submit(submission);
            }
            IdempotencyMail::Submit(submission) => state.held.push_back(submission),
            IdempotencyMail::Answered { key, payment, reply } => {
                state.context.ports.probe.reached(Step::KeyAnswered);
                state.answered(key, payment, &reply);
            }
            IdempotencyMail::Unknown {
                key,
                payment,
                submission,
            } => {
                let asked = state.entries.get(&key).map(|entry| entry.submission);
                if asked == Some(submission) {
                    state.answered(key, payment, &Reply::NotStored(NotStored::Failed));
                }
            }
            IdempotencyMail::LiveKeys { owner, .. } | IdempotencyMail::Settled(owner)
                if owner != state.id => {}
            IdempotencyMail::LiveKeys { index, keys, .. } => state.live_keys(index, keys),
            IdempotencyMail::Settled(_) => state.settle(),
            IdempotencyMail::GuardianRestarted(index) => state.ask_again(index),
            IdempotencyMail::PaymentRestarted(payment) => state.ask_payment_again(payment),
            IdempotencyMail::PaymentSetAside(payment) => state.set_aside(payment),
            IdempotencyMail::Tick => state.tick(),
        }
        Ok(())
    }
}

impl IdempotencyState {
    fn submit(&mut self, submission: Submission) {
        let Submission {
            work,
            reply,
            in_flight,
        } = submission;
        let (key, fingerprint) = work.key();
        let (payment, admitted_at) = (work.payment(), work.admitted_at());
        let tell = |waiter: oneshot::Sender<KeyReply>, reply, replayed| {
            // Nobody may be listening any more; the work goes on regardless.
            tell(waiter, KeyReply { reply, replayed });
        };
        let waiter = |reply, replayed| Waiter {
            reply,
            since: admitted_at,
            replayed,
            _in_flight: in_flight,
        };
        if let Some(entry) = self.entries.get_mut(&key) {
            if entry.fingerprint != fingerprint {
                return tell(reply, Reply::Mismatch, false);
            }
            if entry.waiters.len() >= self.context.options.waiters_per_key_max {
                return tell(reply, Reply::TooManyWaiters, false);
            }
            entry.waiters.push(waiter(reply, true));
            if !entry.asked {
                entry.asked = true;
                entry.ask(&self.context, key);
            }
            return;
        }
        // Read before the index: what is published meanwhile may or may not be seen.
        let missed_behind = self.context.published();
        let known = match self
            .context
            .ports
            .keys
            .lookup(key, self.context.ports.clock.now())
        {
            Ok(known) => known,
            Err(error) => {
                tracing::error!(%error, "the key index cannot be read");
                return tell(reply, Reply::IndexUnavailable, false);
            }
        };
        match known {
            Some(record) if record.fingerprint != fingerprint => tell(reply, Reply::Mismatch, false),
            Some(record) => {
                // After an answer that nothing was reached, this request has the work done, and others repeat what it is told.
                let replayed = !self.unreached.forget(key);
                let waiters = vec![waiter(reply, replayed)];
                let entry = Entry {
                    submission: self.next_submission(),
                    fingerprint,
                    payment: record.payment,
                    waiters,
                    asked: true,
                    orphaned_at: None,
                };
                if !work.brings_details() {
                    entry.ask(&self.context, key);
                    self.entries.insert(key, entry);
                    return;
                }
                self.entries.insert(key, entry);
                let guardian = self.context.guardian(payment);
                if guardian.send(Class::Internal, work.start(missed_behind)).is_err() {
                    self.answered(key, payment, &Reply::NotStored(NotStored::Failed));
                }
            }
            None if admitted_at.elapsed() > self.context.options.stages.idempotency => {
                tell(
                    reply,
                    Reply::NotStored(NotStored::StageTimeout("idempotency")),
                    false,
                );
            }
            None => {
                let waiters = vec![waiter(reply, false)];
                let entry = Entry {
                    submission: self.next_submission(),
                    fingerprint,
                    payment,
                    waiters,
                    asked: true,
                    orphaned_at: None,
                };
                self.entries.insert(key, entry);
                let guardian = self.context.guardian(payment);
                if guardian.send(Class::Internal, work.start(missed_behind)).is_err() {
                    self.answered(key, payment, &Reply::NotStored(NotStored::Failed));
                }
            }
        }
    }

    fn next_submission(&mut self) -> SubmissionId {
        self.submissions += 1;
        SubmissionId::new(self.id, self.submissions)
    }

    /// A word that comes twice, or too late, from a payment that the key no longer belongs to answers nobody.
    fn answered(&mut self, key: KeyDigest, payment: PaymentId, reply: &Reply) {
        if self
            .entries
            .get(&key)
            .is_none_or(|entry| entry.payment != payment)
        {
            return;
        }
        if let Reply::OutOfTime(_) = reply {
            return self.orphan(key);
        }
        let Some(entry) = self.entries.remove(&key) else {
            return;
        };
        if let Reply::Answered {
            answer: Answer::NoProvider,
            ..
        } = reply
        {
            self.unreached.note(key);
        }
        entry.answer(reply);
    }

    /// Nobody drives the key's payment any more. Whoever waits is shown what is durable; the key stays the payment's, whose first
    /// commit may still be on its way.
    fn orphan(&mut self, key: KeyDigest) {
        let Some(entry) = self.entries.get_mut(&key) else {
            return;
        };
        entry.show_durable();
        entry.orphaned_at.get_or_insert_with(|| self.orphans.next());
    }

    fn live_keys(&mut self, index: usize, keys: Vec<(KeyDigest, Fingerprint, PaymentId)>) {
        if !self.unheard.remove(&index) {
            return; // Said twice: since then keys may have been answered.
        }
        for (key, fingerprint, payment) in keys {
            let submission = self.next_submission();
            self.entries.entry(key).or_insert(Entry {
                submission,
                fingerprint,
                payment,
                waiters: Vec::new(),
                asked: false,
                orphaned_at: None,
            });
        }
        if self.unheard.is_empty() {
            // A payment that died with its guardian may have a commit on its way: no guardian lists its key, nor has the index it yet.
            let (context, id) = (Arc::clone(&self.context), self.id);
            tokio::spawn(async move {
                match barrier(&context).await {
                    Ok(_) => context.idempotency.step(IdempotencyMail::Settled(id)),
                    Err(error) => tracing::error!(%error, "keys cannot be owned without the journal"),
                }
            });
        }
    }

    fn settle(&mut self) {
        self.settled = true;
        while let Some(submission) = self.held.pop_front() {
            self.submit(submission);
        }
    }

    fn ask_again(&mut self, index: usize) {
        for (key, entry) in &self.entries {
            if self.context.guardian_index(entry.payment) == index {
                entry.ask(&self.context, *key);
            }
        }
    }

    fn ask_payment_again(&mut self, payment: PaymentId) {
        for (key, entry) in &self.entries {
            if entry.payment == payment {
                entry.ask(&self.context, *key);
            }
        }
    }

    fn set_aside(&mut self, payment: PaymentId) {
        let keys = self.entries.iter().filter(|(_, entry)| entry.payment == payment);
        for key in keys.map(|(key, _)| *key).collect::<Vec<_>>() {
            self.answered(key, payment, &Reply::OutOfTime(payment));
        }
    }

    fn tick(&mut self) {
        // The writer says so with each append; while work is refused because of it there may be none.
        self.context.lag.set_keys(self.context.ports.keys.lag());
        for index in &self.unheard {
            let (owner, index) = (self.id, *index);
            self.context.guardians[index].step(GuardianMail::LiveKeys { owner, index });
        }
        let budget = self.context.options.answer_budget;
        while let Some(late) = self
            .held
            .pop_front_if(|held| held.work.admitted_at().elapsed() >= budget)
        {
            let reply = Reply::NotStored(NotStored::StageTimeout("idempotency"));
            tell(
                late.reply,
                KeyReply {
                    reply,
                    replayed: false,
                },
            );
        }
        for entry in self.entries.values_mut() {
            entry.give_up(budget);
        }
        // A key that nobody waits for is found through the index once its payment is durable; until then its payment is live
        // and keeps the entry.
        let keys = Arc::clone(&self.context.ports.keys);
        let now = self.context.ports.clock.now();
        let landed = self.orphans.landed();
        self.entries.retain(|key, entry| {
            let came_to_nothing = entry
                .orphaned_at
                .is_some_and(|at| landed.is_some_and(|up_to| at <= up_to));
            !entry.waiters.is_empty() || !(came_to_nothing || matches!(keys.lookup(*key, now), Ok(Some(_))))
        });
        if self.entries.values().any(|entry| entry.orphaned_at.is_some()) {
            self.orphans.ask(&self.context);
        }
        self.context
            .keys_held
            .store(self.entries.len() as u64, Ordering::Relaxed);
    }
}
