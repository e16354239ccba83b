//! One payment: loads, decides, has commits made durable, and only then calls providers or answers. All rules are in
//! `domain::payment`; what is here is order: one commit at a time, effects after durability, an unknown outcome kept unknown.

mod answer;
mod cards;
mod closing;
mod confirm;
mod create;
mod drive;
mod drives;
mod failover;
mod heard;
mod not_stored;
mod notice;
mod objects;
mod operate;
mod overdue;
mod reversal;

pub use create::{Begin, Start};
pub use heard::Report;
pub(crate) use heard::count_stale;
pub use not_stored::NotStored;
pub use notice::Noticed;
pub use operate::{Action, Operate};

use crate::account_shard::{Draft, NotCommitted, ShardMail};
use crate::context::{Context, Step};
use crate::idempotency::SubmissionId;
use crate::load::{Answers, Loaded};
use crate::mailbox::{Envelope, Mailbox};
use crate::provider::Promise;
use crate::risk::Velocity;
use cards::CardTry;
use drives::Drive;
use florin_domain::idempotency::KeyDigest;
use florin_domain::ids::{OperationId, PaymentId, Seq};
use florin_domain::ledger::consequences;
use florin_domain::payment::{Command, Effect, Payment, Request, advance_shared, decide, decide_request};
use florin_domain::ports::ReadError;
use florin_domain::provider::Outcome;
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// What a payment is told.
#[derive(Debug)]
pub enum PaymentMail {
    /// Start a new payment.
    Begin(Box<Begin>),
    /// Load yourself and go on where the journal says.
    Resume {
        /// Close at the provider what stays unknown.
        closes: bool,
    },
    /// The journal was read.
    Loaded(Result<Option<Box<Loaded>>, ReadError>),
    /// Velocity is known, or its shard died.
    Assessed(Option<Velocity>),
    /// A commit is durable, or could not be put in order.
    Committed(Result<Seq, NotCommitted>),
    /// Something came back about an attempt.
    Reported {
        /// Of which operation.
        operation: OperationId,
        /// Which attempt of it.
        number: u32,
        /// Which incarnation asked.
        asked_by: ActorId,
        /// What.
        report: Report,
    },
    /// Send an attempt again.
    Retry {
        /// Of which operation.
        operation: OperationId,
        /// Which attempt of it.
        number: u32,
        /// Which incarnation waited.
        asked_by: ActorId,
    },
    /// Something is asked of a payment that exists.
    Operate(Box<Operate>),
    /// Somebody waits for the answer of one of the payment's keys.
    KeyAsked(KeyDigest, SubmissionId),
    /// The time for a challenge, a review or an authorization may have run out.
    CheckDeadlines,
    /// A provider said by itself what became of an operation.
    Noticed(Box<Noticed>),
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
    Assessing { what: Assessing, since: Instant },
    /// A commit is on its way.
    Committing {
        after: Arc<Payment>,
        effects: Vec<Effect>,
        /// The key of the request that it takes.
        request: Option<KeyDigest>,
    },
    /// Between commits.
    Idle,
}

/// What risk is asked about.
#[derive(Debug)]
enum Assessing {
    /// A new payment.
    Begin(Box<Begin>),
    /// Another method.
    Confirmation(Box<Operate>),
    /// A reviewed payment that a person lets pass.
    Approval(Box<Operate>),
    /// The same charge, asked for anew after it reached nobody.
    Again,
    /// The same charge elsewhere, after this decline.
    Elsewhere {
        operation: OperationId,
        number: u32,
        outcome: Outcome,
    },
}

/// The actor's state.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one independent fact about the payment or a caller"
)]
pub struct PaymentState {
    context: Arc<Context>,
    id: PaymentId,
    /// Which incarnation this is: what an earlier one waited for is not waited for any more.
    incarnation: ActorId,
    mailbox: Mailbox<PaymentMail>,
    key: Option<KeyDigest>,
    key_waits: bool,
    stage: Stage,
    payment: Option<Arc<Payment>>,
    seq: Seq,
    /// Nobody had used its key up to this commit.
    missed_behind: Seq,
    /// The states of first final answers: what replays show.
    answers: Answers,
    /// Keys of requests that somebody waits for.
    asked: Vec<KeyDigest>,
    /// Mail that waits for the present stage to end; bounded, because every message holds a slot at its sender's gate or answers
    /// one of our own requests.
    deferred: VecDeque<PaymentMail>,
    drives: Vec<Drive>,
    card_try: CardTry,
    /// The place of a planned charge that has not called yet.
    promise: Option<Promise>,
    /// What a customer brought back from a challenge, for the next question about it.
    details: Option<Arc<str>>,
    /// Who waits until notices are durable.
    noticed: Vec<oneshot::Sender<bool>>,
    /// What stays unknown is closed at the provider.
    closes: bool,
    /// It is being loaded because a question is due.
    asks_when_loaded: bool,
    /// Did something since it last rested.
    active: bool,
    admitted_at: Option<Instant>,
    called_at: Option<Instant>,
    provider_time: Duration,
    gone: bool,
    /// Its mailbox is closed: it hears no answer to anything that it would begin now.
    leaving: bool,
    /// Mail that came before its mailbox was closed and is read after: it is for the next incarnation.
    left_behind: Vec<PaymentMail>,
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
        let PaymentArguments {
            context,
            id,
            mailbox,
            key,
        } = arguments;
        context.ports.probe.reached(Step::PaymentStarting);
        context
            .figures
            .kind(crate::kind::Kind::Payment)
            .live
            .fetch_add(1, Ordering::Relaxed);
        let incarnation = myself.get_id();
        mailbox.attach(myself);
        Ok(PaymentState {
            context,
            id,
            incarnation,
            mailbox,
            key,
            key_waits: key.is_some(),
            stage: Stage::Empty,
            payment: None,
            seq: Seq::ZERO,
            missed_behind: Seq::ZERO,
            answers: Answers::default(),
            asked: Vec::new(),
            deferred: VecDeque::new(),
            drives: Vec::new(),
            card_try: CardTry::default(),
            promise: None,
            details: None,
            noticed: Vec::new(),
            closes: false,
            asks_when_loaded: false,
            active: key.is_some(),
            admitted_at: None,
            called_at: None,
            provider_time: Duration::ZERO,
            gone: false,
            leaving: false,
            left_behind: Vec::new(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        envelope: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let (mail, _slot) = envelope.open();
        if state.leaving {
            state.left_behind.push(mail);
            return Ok(());
        }
        state.take(mail)?;
        while matches!(state.stage, Stage::Idle) {
            let Some(mail) = state.deferred.pop_front() else {
                break;
            };
            state.take(mail)?;
        }
        if state.rest() {
            // Whoever asks from now on finds the mailbox closed, gets the message back and has the payment loaded again.
            state.leaving = true;
            if let Err(error) = myself.drain() {
                tracing::debug!(%error, "a payment that leaves memory was already stopping");
            }
            state.context.ports.probe.reached(Step::PaymentLeaving);
        }
        Ok(())
    }
}

impl PaymentState {
    fn take(&mut self, mail: PaymentMail) -> Result<(), ActorProcessingErr> {
        match (mail, &self.stage) {
            (PaymentMail::Begin(begin), Stage::Empty) => self.begin(begin),
            (PaymentMail::Resume { closes }, Stage::Empty) => {
                self.closes = closes;
                self.asks_when_loaded = true;
                self.load();
                Ok(())
            }
            (mail @ PaymentMail::KeyAsked(key, _), Stage::Empty) => {
                self.key = Some(key);
                self.deferred.push_back(mail);
                self.load();
                Ok(())
            }
            (PaymentMail::Loaded(result), Stage::Loading) => self.loaded(result),
            (PaymentMail::Assessed(velocity), Stage::Assessing { .. }) => self.assessed(velocity),
            (PaymentMail::Committed(result), Stage::Committing { .. }) => self.committed(result),
            (
                PaymentMail::Reported {
                    operation,
                    number,
                    asked_by,
                    report,
                },
                Stage::Idle,
            ) => self.heard(asked_by, (operation, number), report),
            (
                PaymentMail::Retry {
                    operation,
                    number,
                    asked_by,
                },
                Stage::Idle,
            ) => {
                self.retry(asked_by, (operation, number));
                Ok(())
            }
            (PaymentMail::Resume { closes }, Stage::Idle) => {
                self.closes = closes;
                self.resume();
                self.check_overdue()
            }
            (PaymentMail::KeyAsked(key, submission), Stage::Idle) => self.key_asked(key, Some(submission)),
            (
                mail @ (PaymentMail::Operate(_) | PaymentMail::CheckDeadlines | PaymentMail::Noticed(_)),
                Stage::Empty,
            ) => {
                self.deferred.push_back(mail);
                self.load();
                Ok(())
            }
            (PaymentMail::Operate(operate), Stage::Idle) => self.operate(operate),
            (PaymentMail::CheckDeadlines, Stage::Idle) => self.check_deadlines(),
            (PaymentMail::Noticed(noticed), Stage::Idle) => self.take_notice(*noticed),
            // What an earlier incarnation waited for is in the journal, and a payment begins only once.
            (
                PaymentMail::Passivate
                | PaymentMail::Begin(_)
                | PaymentMail::Loaded(_)
                | PaymentMail::Assessed(_)
                | PaymentMail::Committed(_),
                _,
            ) => Ok(()),
            (
                mail @ (PaymentMail::Reported { .. }
                | PaymentMail::Retry { .. }
                | PaymentMail::Resume { .. }
                | PaymentMail::Operate(_)
                | PaymentMail::CheckDeadlines
                | PaymentMail::Noticed(_)
                | PaymentMail::KeyAsked(..)),
                _,
            ) => {
                self.deferred.push_back(mail);
                Ok(())
            }
        }
    }

    /// Decides, and has what was decided made durable. Nothing else happens before it is.
    fn decide(&mut self, request: Option<Request>, command: Command) -> Result<(), ActorProcessingErr> {
        let now = self.context.ports.clock.now();
        let key = request.as_ref().map(|request| request.key_digest);
        let (before, lifetimes) = (self.payment.as_deref(), &self.context.options.lifetimes);
        let decided = match request {
            Some(request) => decide_request(before, request, command, lifetimes, now),
            None => decide(before, command, lifetimes, now),
        };
        let decision = match decided {
            Ok(decision) => decision,
            Err(refusal) => {
                self.promise = None;
                if let Some(key) = key {
                    self.refuse_request(key, NotStored::Refused(refusal));
                    return Ok(());
                }
                tracing::debug!(payment = %self.id, %refusal, "a command was refused");
                if self.payment.is_none() {
                    self.refuse(NotStored::Refused(refusal));
                }
                return Ok(());
            }
        };
        if decision.events.is_empty() {
            // Nothing to wait for, so what is to be done is done now.
            self.promise = None;
            self.perform(decision.effects);
            self.answer();
            return Ok(());
        }
        let before = self.payment.as_deref();
        let mut after = self.payment.clone();
        let announced = advance_shared(&mut after, &decision.events, now)?;
        let after = after.ok_or("no event made a payment")?;
        let consequences = match consequences(before, &decision.events, &after) {
            Ok(consequences) => consequences,
            Err(error) if before.is_none() => {
                tracing::warn!(%error, "a new payment does not fit the books");
                self.refuse(NotStored::Ledger);
                return Ok(());
            }
            Err(error) => match key {
                Some(key) => {
                    tracing::warn!(payment = %self.id, %error, "a request does not fit the books");
                    self.refuse_request(key, NotStored::Ledger);
                    return Ok(());
                }
                None => return Err(error.into()),
            },
        };
        self.context.ports.probe.reached(Step::PaymentCommitting);
        let draft = Draft {
            payment: self.id,
            prev: self.seq,
            events: decision.events,
            consequences,
            after: Arc::clone(&after),
            announced,
            at: now,
            missed_behind: self.missed_behind,
        };
        self.stage = Stage::Committing {
            after,
            effects: decision.effects,
            request: key,
        };
        let reply = self.mailbox.clone();
        self.context.account_shard.step(ShardMail::Commit {
            draft: Box::new(draft),
            reply,
        });
        Ok(())
    }

    fn committed(&mut self, result: Result<Seq, NotCommitted>) -> Result<(), ActorProcessingErr> {
        let stage = std::mem::replace(&mut self.stage, Stage::Idle);
        let Stage::Committing {
            after,
            effects,
            request,
        } = stage
        else {
            return Ok(());
        };
        let seq = match result {
            Ok(seq) => seq,
            Err(error @ NotCommitted::Stale) => return Err(error.into()),
            // Sent again, the key finds the payment that has it.
            Err(NotCommitted::KeyTaken) => {
                self.refuse(NotStored::Failed);
                return Ok(());
            }
            Err(error @ NotCommitted::Unfit(_)) => {
                tracing::warn!(payment = %self.id, %error, "a commit was refused");
                // Nothing of it is durable: whoever told of it tells again.
                self.noticed.clear();
                match request {
                    Some(key) => self.refuse_request(key, NotStored::Ledger),
                    None => self.refuse(NotStored::Ledger),
                }
                return Ok(());
            }
        };
        self.context.ports.probe.reached(Step::PaymentCommitted);
        self.seq = seq;
        self.answers.note(&after);
        self.tell_risk(&after);
        self.payment = Some(after);
        self.perform(effects);
        // A charge that waits for a person has no call to make now.
        self.promise = None;
        self.answer();
        Ok(())
    }
}
