//! A payment guardian: starts payments on demand, one incarnation per payment at a time, brings a failed one back with growing
//! waits, and sets a poisoned one aside without touching its siblings. It never dies of a child's death.

use crate::ending::EndsChildren;
use crate::restart::{RestartLog, Verdict};
use florin_actors::context::{Context, Step};
use florin_actors::guardian::{GuardianMail, LivePayment};
use florin_actors::idempotency::{IdempotencyMail, Reply};
use florin_actors::kind::Kind;
use florin_actors::mailbox::{Class, Envelope, Mailbox};
use florin_actors::payment::{Begin, NotStored, PaymentActor, PaymentArguments, PaymentMail, PaymentState};
use florin_actors::reply::tell;
use florin_actors::resolution::ResolutionMail;
use florin_domain::idempotency::{Fingerprint, KeyDigest};
use florin_domain::ids::PaymentId;
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tokio::time::Instant;

#[derive(Debug)]
struct Child {
    mailbox: Mailbox<PaymentMail>,
    actor: ActorId,
    key: Option<(KeyDigest, Fingerprint)>,
    born: Instant,
    /// Failed; comes back after its wait.
    down: bool,
    /// Mail that came while it was leaving memory or down; bounded by the senders' gates.
    waiting: Vec<PaymentMail>,
}

impl Child {
    /// Hands mail over, or keeps it until the payment has left memory or has come back. It may leave at any moment, also between
    /// two messages that are handed over one after the other.
    fn hand(&mut self, mail: PaymentMail) {
        if self.down {
            self.waiting.push(mail);
        } else if let Err(returned) = self.mailbox.send(Class::Internal, mail) {
            self.waiting.push(returned.message);
        }
    }
}

/// The guardian's state.
#[derive(Debug)]
pub struct GuardianState {
    context: Arc<Context>,
    index: usize,
    children: BTreeMap<PaymentId, Child>,
    actors: HashMap<ActorId, PaymentId>,
    failures: HashMap<PaymentId, RestartLog>,
    set_aside: BTreeMap<PaymentId, Instant>,
}

/// A guardian of payments.
#[derive(Clone, Copy, Debug)]
pub struct PaymentGuardian;

/// Failure logs and payments set aside that one guardian remembers.
const REMEMBERED_MAX: usize = 4096;

impl Actor for PaymentGuardian {
    type Msg = Envelope<GuardianMail>;
    type State = GuardianState;
    type Arguments = (Arc<Context>, usize);

    async fn pre_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        (context, index): Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(GuardianState {
            context,
            index,
            children: BTreeMap::new(),
            actors: HashMap::new(),
            failures: HashMap::new(),
            set_aside: BTreeMap::new(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        envelope: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let (mail, _slot) = envelope.open();
        let ending = EndsChildren::of(myself.get_cell());
        match mail {
            GuardianMail::Start(begin) => {
                state.context.ports.probe.reached(Step::GuardianStarting);
                state.start(&myself, begin).await;
            }
            GuardianMail::Operate(operate) => {
                state.context.ports.probe.reached(Step::GuardianForwarding);
                let (payment, key) = (operate.payment, operate.request.key_digest);
                if state.is_set_aside(payment) {
                    let reply = Reply::NotStored(NotStored::Quarantined);
                    let answered = IdempotencyMail::Answered { key, payment, reply };
                    state.context.idempotency.step(answered);
                } else {
                    state
                        .forward(&myself, payment, PaymentMail::Operate(operate))
                        .await;
                }
            }
            GuardianMail::CheckDeadlines(payment) => {
                // A payment set aside is looked at again by the next sweep.
                if !state.is_set_aside(payment) {
                    state.forward(&myself, payment, PaymentMail::CheckDeadlines).await;
                }
            }
            GuardianMail::Noticed(noticed) => {
                let payment = noticed.notice.payment;
                // Of a payment set aside nobody is told that the notice was taken, so it is sent again.
                if !state.is_set_aside(payment) {
                    state
                        .forward(&myself, payment, PaymentMail::Noticed(noticed))
                        .await;
                }
            }
            GuardianMail::KeyAsked {
                payment,
                key,
                submission,
            } => {
                state.context.ports.probe.reached(Step::GuardianForwarding);
                if state.is_set_aside(payment) {
                    state.tell_key(key, payment, true);
                } else {
                    let mail = PaymentMail::KeyAsked(key, submission);
                    state.forward(&myself, payment, mail).await;
                }
            }
            GuardianMail::Resume { payment, closes } => {
                state.context.ports.probe.reached(Step::GuardianForwarding);
                if state.is_set_aside(payment) {
                    state.context.resolution.step(ResolutionMail::Schedule(payment));
                } else {
                    state
                        .forward(&myself, payment, PaymentMail::Resume { closes })
                        .await;
                }
            }
            GuardianMail::Respawn(payment) => state.respawn(&myself, payment).await,
            GuardianMail::Live { limit, reply } => tell(reply, state.live(limit)),
            GuardianMail::LiveKeys { owner, index } => {
                let key = |(payment, child): (&PaymentId, &Child)| {
                    child.key.map(|(key, print)| (key, print, *payment))
                };
                let keys = state.children.iter().filter_map(key).collect();
                state
                    .context
                    .idempotency
                    .step(IdempotencyMail::LiveKeys { owner, index, keys });
            }
            GuardianMail::Kill { payment, reply } => {
                let actor = state
                    .children
                    .get(&payment)
                    .and_then(|child| child.mailbox.actor());
                if let Some(actor) = &actor {
                    actor.kill();
                }
                tell(reply, actor.is_some());
            }
        }
        ending.disarm();
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<Self::Msg>,
        event: SupervisionEvent,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let ending = EndsChildren::of(myself.get_cell());
        match event {
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => {}
            SupervisionEvent::ActorTerminated(cell, last, reason) => {
                let last = last.and_then(|mut last| last.take::<PaymentState>().ok());
                let left_behind = last.map(PaymentState::left_behind).unwrap_or_default();
                let killed = reason.as_deref() == Some("killed");
                state
                    .ended(&myself, cell.get_id(), left_behind, killed.then_some("killed"))
                    .await;
            }
            SupervisionEvent::ActorFailed(cell, error) => {
                // What it was still to do is lost with it; whoever waits for that is asked for it again.
                state
                    .ended(&myself, cell.get_id(), Vec::new(), Some(&error.to_string()))
                    .await;
            }
        }
        ending.disarm();
        Ok(())
    }
}

impl GuardianState {
    async fn start(&mut self, myself: &ActorRef<Envelope<GuardianMail>>, begin: Box<Begin>) {
        let spec = &begin.spec;
        let key = Some((spec.key_digest, spec.fingerprint));
        let payment = spec.id;
        self.spawn(myself, payment, key, PaymentMail::Begin(begin)).await;
    }

    async fn spawn(
        &mut self,
        myself: &ActorRef<Envelope<GuardianMail>>,
        payment: PaymentId,
        key: Option<(KeyDigest, Fingerprint)>,
        first: PaymentMail,
    ) {
        let stats = Arc::clone(self.context.figures.kind(Kind::Payment));
        let mailbox = Mailbox::new(self.context.options.payment_caps, stats);
        let born = Instant::now();
        let actor = myself.get_id();
        let child = Child {
            mailbox,
            actor,
            key,
            born,
            down: true,
            waiting: vec![first],
        };
        self.children.insert(payment, child);
        self.bring_up(myself, payment, key.map(|(key, _)| key)).await;
    }

    /// Starts an incarnation of a child that is down, and hands it its mail.
    async fn bring_up(
        &mut self,
        myself: &ActorRef<Envelope<GuardianMail>>,
        payment: PaymentId,
        key: Option<KeyDigest>,
    ) {
        let Some(child) = self.children.get_mut(&payment) else {
            return;
        };
        let arguments = PaymentArguments {
            context: Arc::clone(&self.context),
            id: payment,
            mailbox: child.mailbox.clone(),
            key,
        };
        match Actor::spawn_linked(None, PaymentActor, arguments, myself.get_cell()).await {
            Ok((actor, _)) => {
                child.actor = actor.get_id();
                child.down = false;
                self.actors.insert(actor.get_id(), payment);
                for mail in std::mem::take(&mut child.waiting) {
                    self.context.ports.probe.reached(Step::GuardianHanding);
                    child.hand(mail);
                }
            }
            Err(error) => {
                tracing::error!(%payment, %error, "a payment could not be started");
                if let Some(child) = self.children.remove(&payment) {
                    self.turn_away(payment, child);
                }
            }
        }
    }

    /// Nobody takes what waits: whoever asked is shown what is durable, and what is open is taken up later.
    fn turn_away(&self, payment: PaymentId, child: Child) {
        if let Some((key, _)) = child.key {
            let is_handed = !child
                .waiting
                .iter()
                .any(|mail| matches!(mail, PaymentMail::Begin(_)));
            self.tell_key(key, payment, is_handed);
        }
        for mail in child.waiting {
            match mail {
                PaymentMail::Operate(operate) => {
                    self.tell_key(operate.request.key_digest, payment, false);
                }
                PaymentMail::KeyAsked(key, _) => self.tell_key(key, payment, true),
                PaymentMail::Resume { .. } => {
                    self.context.resolution.step(ResolutionMail::Schedule(payment));
                }
                // The child's key is told what began; the next sweep meets deadlines again; answers are for who is gone.
                PaymentMail::Begin(_)
                | PaymentMail::CheckDeadlines
                | PaymentMail::Noticed(_)
                | PaymentMail::Loaded(_)
                | PaymentMail::Assessed(_)
                | PaymentMail::Committed(_)
                | PaymentMail::Reported { .. }
                | PaymentMail::Retry { .. }
                | PaymentMail::Passivate => {}
            }
        }
    }

    async fn forward(
        &mut self,
        myself: &ActorRef<Envelope<GuardianMail>>,
        payment: PaymentId,
        mail: PaymentMail,
    ) {
        let Some(child) = self.children.get_mut(&payment) else {
            // Only a key that was started here is listed to a restarted key owner; others are in the index.
            return self.spawn(myself, payment, None, mail).await;
        };
        child.hand(mail);
    }

    async fn ended(
        &mut self,
        myself: &ActorRef<Envelope<GuardianMail>>,
        actor: ActorId,
        left_behind: Vec<PaymentMail>,
        failure: Option<&str>,
    ) {
        let Some(payment) = self.actors.remove(&actor) else {
            return;
        };
        let Some(child) = self.children.get_mut(&payment) else {
            return;
        };
        // It came before everything that waits: a question about a request must not overtake the request.
        child.waiting.splice(0..0, left_behind);
        let Some(why) = failure else {
            if child.waiting.is_empty() {
                self.children.remove(&payment);
            } else {
                child.down = true;
                self.bring_up(myself, payment, None).await;
            }
            return;
        };
        tracing::warn!(%payment, why, "a payment's actor failed");
        self.context.figures.kind(Kind::Payment).count_restart();
        child.down = true;
        let (policy, now) = (self.context.options.payment_restarts, Instant::now());
        if self.failures.len() >= REMEMBERED_MAX {
            self.failures.retain(|_, log| log.count(&policy, now) > 0);
        }
        let log = self.failures.entry(payment).or_default();
        match log.failed(&policy, now, self.context.ports.entropy.next_u64()) {
            Verdict::RestartAfter(wait) => {
                let mailbox = self.context.guardians[self.index].clone();
                tokio::spawn(async move {
                    tokio::time::sleep(wait).await;
                    mailbox.step(GuardianMail::Respawn(payment));
                });
            }
            Verdict::GiveUp => self.put_aside(payment, now),
        }
    }

    async fn respawn(&mut self, myself: &ActorRef<Envelope<GuardianMail>>, payment: PaymentId) {
        let Some(child) = self.children.get_mut(&payment) else {
            return;
        };
        if !child.down {
            return;
        }
        // What the failed incarnation had begun is read from the journal; the request itself is not repeated from memory.
        child
            .waiting
            .retain(|mail| !matches!(mail, PaymentMail::Begin(_)));
        child.waiting.insert(0, PaymentMail::Resume { closes: false });
        let key = child.key.map(|(key, _)| key);
        self.bring_up(myself, payment, key).await;
        // Only the owner of the keys still knows who waits for what: a failed incarnation took the questions with it.
        self.context
            .idempotency
            .step(IdempotencyMail::PaymentRestarted(payment));
    }

    fn put_aside(&mut self, payment: PaymentId, now: Instant) {
        tracing::error!(%payment, "a payment failed too often and is set aside");
        metrics::counter!("florin_alerts_total", "alert" => "payment_set_aside").increment(1);
        let window = self.context.options.payment_restarts.window;
        if self.set_aside.len() >= REMEMBERED_MAX {
            self.set_aside
                .retain(|_, since| now.duration_since(*since) < window);
        }
        self.set_aside.insert(payment, now);
        self.children.remove(&payment);
        self.context
            .idempotency
            .step(IdempotencyMail::PaymentSetAside(payment));
        // It may have an open attempt: it is asked about once the payment gets another chance.
        self.context.resolution.step(ResolutionMail::Schedule(payment));
    }

    /// A payment set aside gets another chance after the window.
    fn is_set_aside(&mut self, payment: PaymentId) -> bool {
        let window = self.context.options.payment_restarts.window;
        let Some(since) = self.set_aside.get(&payment) else {
            return false;
        };
        if since.elapsed() < window {
            return true;
        }
        self.set_aside.remove(&payment);
        false
    }

    /// Whoever waits is shown what is durable of the payment, or told that nothing is. What was handed to the payment may be on its way.
    fn tell_key(&self, key: KeyDigest, payment: PaymentId, is_handed: bool) {
        let reply = if is_handed {
            Reply::OutOfTime(payment)
        } else {
            Reply::NotHanded(payment)
        };
        let answered = IdempotencyMail::Answered { key, payment, reply };
        self.context.idempotency.step(answered);
    }

    fn live(&mut self, limit: usize) -> Vec<LivePayment> {
        let policy = self.context.options.payment_restarts;
        let now = Instant::now();
        let mut live = Vec::new();
        for (payment, child) in self.children.iter().take(limit) {
            live.push(LivePayment {
                payment: *payment,
                key: child.key,
                depth: child.mailbox.gate().depth(),
                failures: self
                    .failures
                    .get_mut(payment)
                    .map_or(0, |log| log.count(&policy, now)),
                quarantined: false,
                age_ms: u64::try_from(child.born.elapsed().as_millis()).unwrap_or(u64::MAX),
            });
        }
        for (payment, since) in self.set_aside.iter().take(limit) {
            live.push(LivePayment {
                payment: *payment,
                key: None,
                depth: 0,
                failures: policy.restarts_max,
                quarantined: true,
                age_ms: u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX),
            });
        }
        live
    }
}
