//! One payment: loads, decides, has commits made durable, and only then calls providers or answers. All rules are in
//! `domain::payment`; what is here is order: one commit at a time, effects after durability, an unknown outcome kept unknown.

mod drive;

use crate::account_shard::{Draft, ShardMail};
use crate::context::{Context, Step};
use crate::idempotency::{IdempotencyMail, Reply};
use crate::load::{Loaded, load};
use crate::mailbox::{Envelope, Mailbox};
use crate::provider::Ask;
use crate::risk::{RiskMail, Subject, Velocity, VelocityReply};
use florin_domain::idempotency::KeyDigest;
use florin_domain::ids::{OperationId, PaymentId, Seq};
use florin_domain::ledger::{PostingError, consequences};
use florin_domain::method::PaymentMethod;
use florin_domain::payment::{
    Answer, AttemptPlan, AttemptState, Command, Effect, Payment, Refusal, Spec, decide, evolve_all,
};
use florin_domain::ports::ReadError;
use florin_domain::provider::{Outcome, ProviderReference};
use florin_domain::risk::{Assessment, Features, assess};
use florin_domain::routing::{self, Candidate};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use thiserror::Error;
use tokio::time::Instant;

/// A new payment's request, parsed and authenticated.
#[derive(Clone, Debug)]
pub struct Begin {
    /// What is asked for.
    pub spec: Arc<Spec>,
    /// How it is paid.
    pub method: PaymentMethod,
    /// When it was admitted.
    pub admitted_at: Instant,
}

/// Why nothing was stored; the same key may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotStored {
    /// A stage took too long before anything was durable.
    #[error("the {0} stage took too long")]
    StageTimeout(&'static str),
    /// No provider is enabled.
    #[error("no provider is available")]
    NoProvider,
    /// The books cannot take the payment.
    #[error("the ledger cannot take the payment")]
    Ledger,
    /// The actor failed before anything was durable.
    #[error("the payment could not be started")]
    Failed,
    /// The payment's actor failed too often and is set aside.
    #[error("the payment is set aside after repeated failures")]
    Quarantined,
    /// Refused by the payment itself.
    #[error("{0}")]
    Refused(Refusal),
}

/// What came back about an attempt.
#[derive(Debug)]
pub enum Report {
    /// From making the object.
    Prepared(Result<ProviderReference, Outcome>),
    /// From anything else.
    Outcome {
        /// What was asked.
        ask: Ask,
        /// The answer.
        outcome: Outcome,
    },
}

/// What a payment is told.
#[derive(Debug)]
pub enum PaymentMail {
    /// Start a new payment.
    Begin(Box<Begin>),
    /// Load yourself and go on where the journal says.
    Resume,
    /// The journal was read.
    Loaded(Result<Option<Box<Loaded>>, ReadError>),
    /// Velocity is known, or its shard died.
    Assessed(Option<Velocity>),
    /// A commit is durable, or could not be put in order.
    Committed(Result<Seq, PostingError>),
    /// Something came back about an attempt.
    Reported {
        /// Of which operation.
        operation: OperationId,
        /// Which attempt of it.
        number: u32,
        /// What.
        report: Report,
    },
    /// Send an attempt again.
    Retry {
        /// Of which operation.
        operation: OperationId,
        /// Which attempt of it.
        number: u32,
    },
    /// Somebody waits for the answer of the payment's key.
    KeyAsked(KeyDigest),
    /// Leave memory if there is nothing to do.
    Passivate,
}

/// What a payment's actor starts with.
#[derive(Debug)]
pub struct PaymentArguments {
    /// What all actors share.
    pub context: Arc<Context>,
    /// Which payment.
    pub id: PaymentId,
    /// Its address.
    pub mailbox: Mailbox<PaymentMail>,
    /// The key under which somebody waits, if the payment is new.
    pub key: Option<KeyDigest>,
}

#[derive(Debug)]
enum Stage {
    /// Nothing is known yet.
    Empty,
    /// The journal is being read.
    Loading,
    /// Velocity is being asked for.
    Assessing { begin: Box<Begin>, since: Instant },
    /// A commit is on its way.
    Committing { after: Arc<Payment>, effects: Vec<Effect> },
    /// Between commits.
    Idle,
}

/// The actor's state.
#[derive(Debug)]
pub struct PaymentState {
    context: Arc<Context>,
    id: PaymentId,
    mailbox: Mailbox<PaymentMail>,
    key: Option<KeyDigest>,
    key_waits: bool,
    stage: Stage,
    payment: Option<Arc<Payment>>,
    seq: Seq,
    /// The state of the first final answer: what the key's replays show.
    answered: Option<Arc<Payment>>,
    /// Mail that waits for the present stage to end; bounded, because every message holds a slot at its sender's gate or answers
    /// one of our own requests.
    deferred: VecDeque<PaymentMail>,
    calls: u32,
    retries: u32,
    tries: u32,
    /// A request of the open attempt may have reached the provider.
    tainted: bool,
    admitted_at: Option<Instant>,
    called_at: Option<Instant>,
    provider_time: Duration,
    gone: bool,
}

/// The actor of one payment.
#[derive(Clone, Copy, Debug)]
pub struct PaymentActor;

/// How long a payment without work stays in memory.
const IDLE_TIME: Duration = Duration::from_secs(30);

impl Actor for PaymentActor {
    type Msg = Envelope<PaymentMail>;
    type State = PaymentState;
    type Arguments = PaymentArguments;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        arguments: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let PaymentArguments { context, id, mailbox, key } = arguments;
        context.figures.kind(crate::kind::Kind::Payment).live.fetch_add(1, Ordering::Relaxed);
        mailbox.attach(myself);
        Ok(PaymentState {
            context,
            id,
            mailbox,
            key,
            key_waits: key.is_some(),
            stage: Stage::Empty,
            payment: None,
            seq: Seq::ZERO,
            answered: None,
            deferred: VecDeque::new(),
            calls: 0,
            retries: 0,
            tries: 0,
            tainted: false,
            admitted_at: None,
            called_at: None,
            provider_time: Duration::ZERO,
            gone: false,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        envelope: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let (mail, _slot) = envelope.open();
        state.take(mail)?;
        while matches!(state.stage, Stage::Idle) {
            let Some(mail) = state.deferred.pop_front() else { break };
            state.take(mail)?;
        }
        if state.rest() {
            // Whoever asks from now on finds the mailbox closed, gets the message back and has the payment loaded again.
            if let Err(error) = myself.drain() {
                tracing::debug!(%error, "a payment that leaves memory was already stopping");
            }
        }
        Ok(())
    }
}

impl Drop for PaymentState {
    fn drop(&mut self) {
        self.context.figures.kind(crate::kind::Kind::Payment).live.fetch_sub(1, Ordering::Relaxed);
    }
}

impl PaymentState {
    fn take(&mut self, mail: PaymentMail) -> Result<(), ActorProcessingErr> {
        match (mail, &self.stage) {
            (PaymentMail::Begin(begin), Stage::Empty) => self.begin(begin),
            (PaymentMail::Resume, Stage::Empty) => {
                self.load();
                Ok(())
            }
            (PaymentMail::KeyAsked(key), Stage::Empty) => {
                self.key = Some(key);
                self.deferred.push_back(PaymentMail::KeyAsked(key));
                self.load();
                Ok(())
            }
            (PaymentMail::Loaded(result), Stage::Loading) => self.loaded(result),
            (PaymentMail::Assessed(velocity), Stage::Assessing { .. }) => self.assessed(velocity),
            (PaymentMail::Committed(result), Stage::Committing { .. }) => self.committed(result),
            (PaymentMail::Reported { operation, number, report }, Stage::Idle) => {
                self.reported(operation, number, report)
            }
            (PaymentMail::Retry { operation, number }, Stage::Idle) => {
                self.retries = self.retries.saturating_sub(1);
                self.call_again(operation, number);
                Ok(())
            }
            (PaymentMail::Resume, Stage::Idle) => {
                self.resume();
                Ok(())
            }
            (PaymentMail::KeyAsked(key), Stage::Idle) => self.key_asked(key),
            (PaymentMail::Passivate, _) | (PaymentMail::Begin(_), _) => Ok(()),
            // Of an earlier incarnation: what matters of it is in the journal.
            (PaymentMail::Loaded(_) | PaymentMail::Assessed(_) | PaymentMail::Committed(_), _) => Ok(()),
            (
                mail @ (PaymentMail::Reported { .. }
                | PaymentMail::Retry { .. }
                | PaymentMail::Resume
                | PaymentMail::KeyAsked(_)),
                _,
            ) => {
                self.deferred.push_back(mail);
                Ok(())
            }
        }
    }

    fn begin(&mut self, begin: Box<Begin>) -> Result<(), ActorProcessingErr> {
        self.context.ports.probe.reached(Step::PaymentBegun);
        self.admitted_at = Some(begin.admitted_at);
        let since = Instant::now();
        match Subject::of(&begin.spec) {
            None => self.decide_create(*begin, Velocity::default(), false),
            Some(subject) => {
                let shard = &self.context.risk[subject.shard(self.context.risk.len())];
                let reply = VelocityReply::new(self.mailbox.clone());
                let at = begin.spec.created_at;
                self.stage = Stage::Assessing { begin, since };
                shard.step(RiskMail::Count { subject, at, reply });
                Ok(())
            }
        }
    }

    fn assessed(&mut self, velocity: Option<Velocity>) -> Result<(), ActorProcessingErr> {
        let Stage::Assessing { begin, since } = std::mem::replace(&mut self.stage, Stage::Idle) else {
            return Ok(());
        };
        if since.elapsed() > self.context.options.stages.risk {
            self.refuse(NotStored::StageTimeout("risk"));
            return Ok(());
        }
        // A shard that died answers nothing: the other rules still hold, and velocity starts anew.
        self.decide_create(*begin, velocity.unwrap_or_default(), velocity.is_some())
    }

    fn assess(&self, spec: &Spec, method: &PaymentMethod, velocity: Velocity, counted: bool) -> Assessment {
        let features = Features {
            amount: spec.amount,
            currency: spec.currency,
            hour_count: counted.then_some(velocity.hour_count),
            hour_declines: velocity.hour_declines,
            device_country: spec.device.country,
            card_country: method.country,
            method_is_new: method.is_new,
            method_is_highest_risk: method.is_highest_risk,
        };
        assess(&self.context.options.risk, &features)
    }

    /// The plan of attempt `number` of an operation at the provider that routing chooses.
    fn plan(&self, operation: OperationId, number: u32) -> Option<AttemptPlan> {
        let enabled = |seat: &crate::context::ProviderSeat| !seat.disabled.load(Ordering::Relaxed);
        let seats = self.context.providers.iter();
        let candidates: Vec<Candidate> =
            seats.map(|seat| Candidate { id: seat.id, enabled: enabled(seat) }).collect();
        let provider = routing::select(&candidates)?;
        let key = self.context.ports.provider_keys.derive(operation, number);
        let deadline = self.context.ports.clock.now().plus(florin_domain::limits::ATTEMPT_RETRY_WINDOW);
        Some(AttemptPlan { provider, key, deadline })
    }

    fn decide_create(
        &mut self,
        begin: Begin,
        velocity: Velocity,
        counted: bool,
    ) -> Result<(), ActorProcessingErr> {
        self.context.ports.probe.reached(Step::PaymentAssessed);
        let Begin { spec, method, .. } = begin;
        let assessment = self.assess(&spec, &method, velocity, counted);
        let since = Instant::now();
        let Some(plan) = self.plan(OperationId::Authorize(self.id), 1) else {
            self.refuse(NotStored::NoProvider);
            return Ok(());
        };
        if since.elapsed() > self.context.options.stages.selection {
            self.refuse(NotStored::StageTimeout("selection"));
            return Ok(());
        }
        self.decide(Command::Create { spec, method, assessment, plan })
    }

    /// Decides, and has what was decided made durable. Nothing else happens before it is.
    fn decide(&mut self, command: Command) -> Result<(), ActorProcessingErr> {
        let now = self.context.ports.clock.now();
        let decision = match decide(self.payment.as_deref(), command, now) {
            Ok(decision) => decision,
            Err(refusal) => {
                tracing::debug!(payment = %self.id, %refusal, "a command was refused");
                if self.payment.is_none() {
                    self.refuse(NotStored::Refused(refusal));
                }
                return Ok(());
            }
        };
        if decision.events.is_empty() {
            return Ok(());
        }
        let before = self.payment.as_deref();
        let after = evolve_all(before.cloned(), &decision.events)?.ok_or("no event made a payment")?;
        let consequences = match consequences(before, &decision.events, &after) {
            Ok(consequences) => consequences,
            Err(error) if before.is_none() => {
                tracing::warn!(%error, "a new payment does not fit the books");
                self.refuse(NotStored::Ledger);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let after = Arc::new(after);
        self.context.ports.probe.reached(Step::PaymentCommitting);
        let draft = Draft {
            payment: self.id,
            prev: self.seq,
            events: decision.events,
            consequences,
            after: Arc::clone(&after),
            at: now,
        };
        self.stage = Stage::Committing { after, effects: decision.effects };
        let reply = self.mailbox.clone();
        self.context.account_shard.step(ShardMail::Commit { draft: Box::new(draft), reply });
        Ok(())
    }

    fn committed(&mut self, result: Result<Seq, PostingError>) -> Result<(), ActorProcessingErr> {
        let Stage::Committing { after, effects } = std::mem::replace(&mut self.stage, Stage::Idle) else {
            return Ok(());
        };
        let seq = match result {
            Ok(seq) => seq,
            Err(error) => {
                tracing::warn!(payment = %self.id, %error, "the first commit of a payment was refused");
                self.refuse(NotStored::Ledger);
                return Ok(());
            }
        };
        self.context.ports.probe.reached(Step::PaymentCommitted);
        self.seq = seq;
        if self.answered.is_none() && after.answer().is_final() {
            self.answered = Some(Arc::clone(&after));
            if after.answer() == Answer::Declined
                && let Some(subject) = Subject::of(&after.spec)
            {
                let shard = &self.context.risk[subject.shard(self.context.risk.len())];
                shard.step(RiskMail::Declined { subject, at: self.context.ports.clock.now() });
            }
        }
        self.payment = Some(after);
        for effect in effects {
            match effect {
                Effect::Call(operation) => self.call(operation),
                Effect::Alert(alert) => {
                    metrics::counter!("florin_alerts_total", "alert" => alert).increment(1);
                    tracing::error!(payment = %self.id, alert, "a payment needs an operator");
                }
            }
        }
        self.answer();
        Ok(())
    }

    /// Tells whoever waits for the key, if there is something to tell.
    fn answer(&mut self) {
        let Some(payment) = &self.payment else { return };
        if !self.key_waits || !matches!(self.stage, Stage::Idle) {
            return;
        }
        let (shown, answer) = match &self.answered {
            Some(answered) => (answered, answered.answer()),
            None => (payment, payment.answer()),
        };
        let given_up = self.calls == 0 && self.retries == 0;
        if answer == Answer::Unresolved && !given_up {
            return;
        }
        self.context.ports.probe.reached(Step::PaymentAnswering);
        self.key_waits = false;
        let outcome = match answer {
            Answer::Shown => "shown",
            Answer::Declined => "declined",
            Answer::Blocked => "blocked",
            Answer::NoProvider => "no_provider",
            Answer::Unresolved => "unresolved",
        };
        if let Some(admitted_at) = self.admitted_at.take() {
            let total = admitted_at.elapsed();
            let figures = &self.context.figures;
            figures.end_to_end_seconds.record(total.as_secs_f64());
            figures.own_seconds.record(total.saturating_sub(self.provider_time).as_secs_f64());
            figures.count_outcome(outcome);
        }
        let reply = Reply::Answered { payment: Arc::clone(shown), answer };
        self.context.idempotency.step(IdempotencyMail::Answered { key: payment.spec.key_digest, reply });
    }

    /// Gives up before anything was stored.
    fn refuse(&mut self, why: NotStored) {
        self.stage = Stage::Idle;
        self.gone = true;
        if let Some(key) = self.key.take() {
            let reply = Reply::NotStored(why);
            self.context.idempotency.step(IdempotencyMail::Answered { key, reply });
        }
    }

    fn load(&mut self) {
        self.stage = Stage::Loading;
        let (context, id, mailbox) = (Arc::clone(&self.context), self.id, self.mailbox.clone());
        tokio::spawn(async move {
            let loaded = load(&context, id).await;
            mailbox.step(PaymentMail::Loaded(loaded.map(|loaded| loaded.map(Box::new))));
        });
    }

    fn loaded(&mut self, result: Result<Option<Box<Loaded>>, ReadError>) -> Result<(), ActorProcessingErr> {
        self.context.ports.probe.reached(Step::PaymentLoaded);
        let Some(loaded) = result? else {
            self.refuse(NotStored::Failed);
            return Ok(());
        };
        self.stage = Stage::Idle;
        self.seq = loaded.seq;
        // Mail that asks is still to come: it may drive the payment again, and only then is there an answer.
        let asks = |mail: &PaymentMail| matches!(mail, PaymentMail::KeyAsked(_));
        self.key_waits |= self.key.is_some() && !self.deferred.iter().any(asks);
        self.answered = loaded.answered.clone();
        self.payment = Some(Arc::clone(&loaded.payment));
        self.resume();
        self.answer();
        Ok(())
    }

    fn key_asked(&mut self, key: KeyDigest) -> Result<(), ActorProcessingErr> {
        self.key = Some(key);
        self.key_waits = true;
        let Some(payment) = self.payment.clone() else { return Ok(()) };
        if self.answered.is_none() && payment.answer() == Answer::NoProvider {
            let operation = payment.authorize_id();
            if let Some(plan) = self.plan(operation, payment.next_attempt(operation)) {
                self.tries = 0;
                self.tainted = false;
                self.decide(Command::Redrive { plan })?;
            }
            if matches!(self.stage, Stage::Committing { .. }) {
                return Ok(());
            }
        }
        if self.answered.is_none() && self.calls == 0 && self.retries == 0 {
            self.resume();
        }
        self.answer();
        Ok(())
    }

    /// Whether there is nothing left to do here. What is unresolved is left to the due-time schedule.
    fn rest(&mut self) -> bool {
        let idle = matches!(self.stage, Stage::Idle) && self.deferred.is_empty();
        if !idle || self.calls > 0 || self.retries > 0 {
            return false;
        }
        if self.gone {
            return true;
        }
        let Some(payment) = &self.payment else { return true };
        let mut waits_for_provider = payment
            .unresolved()
            .filter(|op| op.state().is_some_and(|state| state != AttemptState::ActionRequired));
        if waits_for_provider.next().is_some() {
            self.context.resolution.step(crate::resolution::ResolutionMail::Schedule(self.id));
            return true;
        }
        if payment.is_settled() {
            return true;
        }
        drop(waits_for_provider);
        let live = self.context.figures.kind(crate::kind::Kind::Payment).live.load(Ordering::Relaxed);
        let room = i64::try_from(self.context.options.idle_payments_max).unwrap_or(i64::MAX);
        if live > room.saturating_add(i64::try_from(self.context.admission.in_flight()).unwrap_or(0)) {
            return true;
        }
        if self.called_at.take().is_some() || self.admitted_at.take().is_some() {
            let mailbox = self.mailbox.clone();
            tokio::spawn(async move {
                tokio::time::sleep(IDLE_TIME).await;
                mailbox.step(PaymentMail::Passivate);
            });
            return false;
        }
        true
    }
}
