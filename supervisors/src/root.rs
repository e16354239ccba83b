//! The root supervisor of a shard: starts the singletons, brings failed ones back, and ends the process when one fails that must not be
//! restarted, or too often.

use crate::counted::Counted;
use crate::ending::end_children;
use crate::payment_guardian::PaymentGuardian;
use crate::restart::{RestartLog, Verdict};
use crate::webhook_guardian::WebhookGuardian;
use florin_actors::account_shard::{AccountShard, ShardStart};
use florin_actors::context::{Context, Step};
use florin_actors::crossings::CrossingsCarrier;
use florin_actors::deadlines::Deadlines;
use florin_actors::idempotency::{IdempotencyMail, IdempotencyOwner};
use florin_actors::journal_writer::JournalWriter;
use florin_actors::kind::Kind;
use florin_actors::mailbox::{Caps, Mailbox};
use florin_actors::monitor::Monitor;
use florin_actors::projection::Projection;
use florin_actors::provider::ProviderActor;
use florin_actors::reply::tell;
use florin_actors::resolution::ResolutionSchedule;
use florin_actors::risk::RiskShard;
use florin_actors::scrub::Scrub;
use florin_domain::ids::{Seq, ShardId};
use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// A singleton's place in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seat {
    /// What it is.
    pub kind: Kind,
    /// Which of its kind.
    pub index: usize,
}

/// A singleton as operators see it.
#[derive(Clone, Debug)]
pub struct SeatReport {
    /// Where.
    pub seat: Seat,
    /// Restarts since the process started.
    pub restarts: u64,
    /// Failures left in the window.
    pub budget_left: Option<u32>,
    /// Milliseconds since it was (re)started.
    pub age_ms: u64,
}

/// What the root is told. Only the platform and the root itself write to it, a few messages per restart.
#[derive(Debug)]
pub enum RootMail {
    /// Bring a singleton back; a velocity shard is told of what was counted up to here.
    Respawn(Seat, Counted),
    /// Who is there?
    Inspect(oneshot::Sender<Vec<SeatReport>>),
    /// Crash a singleton, unless that would end the process. The answer says whether it is down now.
    Kill(Seat, oneshot::Sender<bool>),
    /// From now on, ends are expected.
    Draining,
}

/// What the root starts with.
#[derive(Debug)]
pub struct RootArguments {
    /// What all actors share.
    pub context: Arc<Context>,
    /// What recovery found.
    pub start: ShardStart,
    /// What velocity shards are told, where they are.
    pub counted: Counted,
}

#[derive(Debug)]
struct Child {
    /// The incarnation; nothing while it is down.
    alive: Option<ActorCell>,
    log: RestartLog,
    restarts: u64,
    born: Instant,
    /// The failures left that were shown last; whoever looks at the tree asks for all of them each time.
    budget_shown: u32,
}

/// The root's state.
#[derive(Debug)]
pub struct RootState {
    context: Arc<Context>,
    children: BTreeMap<Seat, Child>,
    actors: HashMap<ActorId, Seat>,
    head: Seq,
    start: Option<ShardStart>,
    counted: Counted,
    draining: bool,
}

/// How long a tree that could not be started waits for the actors that it had started.
const UNSTARTED_STOP: Duration = Duration::from_secs(5);

/// The root supervisor.
#[derive(Clone, Copy, Debug)]
pub struct Root;

/// All singletons in start order; the drain goes the other way.
#[must_use]
pub fn seats(context: &Context) -> Vec<Seat> {
    let count = |kind| match kind {
        Kind::JournalWriter
        | Kind::AccountShard
        | Kind::Projection
        | Kind::Resolution
        | Kind::Idempotency
        | Kind::Scrub
        | Kind::Deadlines
        | Kind::Crossings
        | Kind::Monitor => 1,
        Kind::WebhookGuardian => usize::from(context.ports.webhooks.is_some()),
        // What all shards share is in the home's tree.
        Kind::Provider if context.is_home() => context.providers.len(),
        Kind::Risk if context.is_home() => context.risk.len(),
        Kind::PaymentGuardian => context.guardians.len(),
        Kind::Provider | Kind::Risk | Kind::Payment | Kind::WebhookEndpoint => 0,
    };
    Kind::ALL
        .into_iter()
        .flat_map(|kind| (0..count(kind)).map(move |index| Seat { kind, index }))
        .collect()
}

impl Actor for Root {
    type Msg = RootMail;
    type State = RootState;
    type Arguments = RootArguments;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        arguments: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let RootArguments {
            context,
            start,
            counted,
        } = arguments;
        let head = start.head;
        let mut state = RootState {
            context,
            children: BTreeMap::new(),
            actors: HashMap::new(),
            head,
            start: Some(start),
            counted,
            draining: false,
        };
        let root = myself.get_cell();
        let mut counting = Vec::new();
        for seat in seats(&state.context) {
            match state.spawn(&root, seat).await {
                Ok(incarnation) if seat.kind == Kind::Risk => counting.push((seat.index, incarnation)),
                Ok(_) => {}
                Err(error) => {
                    // Nobody will supervise those that are there already.
                    root.stop_children_and_wait(None, Some(UNSTARTED_STOP)).await;
                    return Err(error);
                }
            }
        }
        state.counted.tell(&counting);
        state.context.ports.probe.reached(Step::TreeStarting);
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        mail: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match mail {
            RootMail::Respawn(seat, counted) => match state.spawn(&myself.get_cell(), seat).await {
                Err(error) => state.failed(&myself, seat, &error.to_string()),
                Ok(incarnation) => state.came_back(seat, incarnation, &counted),
            },
            RootMail::Inspect(reply) => tell(reply, state.reports()),
            RootMail::Kill(seat, reply) => tell(reply, state.kill(seat)),
            RootMail::Draining => state.draining = true,
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<Self::Msg>,
        event: SupervisionEvent,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let (cell, why) = match event {
            SupervisionEvent::ActorFailed(cell, error) => (cell, error.to_string()),
            SupervisionEvent::ActorTerminated(cell, _, reason) => {
                (cell, reason.unwrap_or_else(|| "stopped".to_owned()))
            }
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => return Ok(()),
        };
        if let Some(seat) = state.actors.remove(&cell.get_id())
            && !state.draining
        {
            state.failed(&myself, seat, &why);
        }
        Ok(())
    }

    /// Who still waits for an answer when time is up is told that it is lost: in the order of those who would have given it.
    async fn post_stop(
        &self,
        myself: ActorRef<Self::Msg>,
        _state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        end_children(&myself.get_cell());
        Ok(())
    }
}

impl RootState {
    async fn spawn(&mut self, root: &ActorCell, seat: Seat) -> Result<ActorId, ActorProcessingErr> {
        let context = Arc::clone(&self.context);
        let (root, index) = (root.clone(), seat.index);
        macro_rules! start {
            ($actor:expr, $arguments:expr, $mailbox:expr) => {{
                let (actor, _) = Actor::spawn_linked(None, $actor, $arguments, root).await?;
                let cell = actor.get_cell();
                $mailbox.attach(actor);
                cell
            }};
        }
        let cell = match seat.kind {
            Kind::JournalWriter => start!(JournalWriter, (Arc::clone(&context), self.head), context.writer),
            Kind::AccountShard => {
                let start = self.start.take().ok_or("an account shard is never restarted")?;
                start!(AccountShard, (Arc::clone(&context), start), context.account_shard)
            }
            Kind::Projection => start!(Projection, Arc::clone(&context), context.projection),
            Kind::Provider => {
                let provider = &context.providers[index];
                start!(
                    ProviderActor,
                    (Arc::clone(&context), provider.id),
                    provider.mailbox
                )
            }
            Kind::Risk => start!(RiskShard, Arc::clone(&context), context.risk[index]),
            Kind::Resolution => start!(ResolutionSchedule, Arc::clone(&context), context.resolution),
            Kind::PaymentGuardian => {
                start!(
                    PaymentGuardian,
                    (Arc::clone(&context), index),
                    context.guardians[index]
                )
            }
            Kind::Idempotency => start!(IdempotencyOwner, Arc::clone(&context), context.idempotency),
            Kind::Deadlines => start!(Deadlines, Arc::clone(&context), context.deadlines),
            Kind::Crossings => start!(CrossingsCarrier, Arc::clone(&context), context.crossings),
            Kind::Scrub => start!(Scrub, Arc::clone(&context), context.scrub),
            Kind::Monitor => start!(Monitor, Arc::clone(&context), context.monitor),
            Kind::WebhookGuardian => start!(WebhookGuardian, Arc::clone(&context), context.webhooks),
            Kind::WebhookEndpoint => return Err("webhook endpoints are started by their guardian".into()),
            Kind::Payment => return Err("payments are started by their guardians".into()),
        };
        self.context
            .figures
            .kind(seat.kind)
            .live
            .fetch_add(1, Ordering::Relaxed);
        let incarnation = cell.get_id();
        self.actors.insert(incarnation, seat);
        let now = Instant::now();
        let fresh = || {
            let budget_shown = self.context.options.singleton_restarts.restarts_max;
            publish_budget(&self.context, seat, budget_shown);
            Child {
                alive: None,
                log: RestartLog::default(),
                restarts: 0,
                born: now,
                budget_shown,
            }
        };
        let child = self.children.entry(seat).or_insert_with(fresh);
        (child.alive, child.born) = (Some(cell), now);
        Ok(incarnation)
    }

    /// Sees to what died with the incarnation before this one.
    fn came_back(&self, seat: Seat, incarnation: ActorId, counted: &Counted) {
        match seat.kind {
            // Its payments: whoever waits for them asks again, and open attempts are taken up.
            Kind::PaymentGuardian => {
                self.context
                    .idempotency
                    .step(IdempotencyMail::GuardianRestarted(seat.index));
                self.adopt_open_payments(Some(seat.index));
            }
            // Its due times: whatever is open is asked about anew.
            Kind::Resolution => self.adopt_open_payments(None),
            // Its counts.
            Kind::Risk => counted.tell(&[(seat.index, incarnation)]),
            Kind::JournalWriter
            | Kind::AccountShard
            | Kind::Projection
            | Kind::Provider
            | Kind::Idempotency
            | Kind::Deadlines
            | Kind::Crossings
            | Kind::Scrub
            | Kind::Monitor
            | Kind::WebhookGuardian
            | Kind::WebhookEndpoint
            | Kind::Payment => {}
        }
    }

    /// Crashes a singleton that comes back; one that is down already is not struck twice.
    fn kill(&mut self, seat: Seat) -> bool {
        let policy = self.context.options.singleton_restarts;
        let Some(child) = self.children.get_mut(&seat) else {
            return false;
        };
        let comes_back = child.log.count(&policy, Instant::now()) < policy.restarts_max;
        if self.draining || !seat.kind.is_restartable() || !comes_back {
            return false;
        }
        if let Some(actor) = child.alive.take() {
            end_children(&actor);
            actor.kill();
        }
        true
    }

    fn failed(&mut self, myself: &ActorRef<RootMail>, seat: Seat, why: &str) {
        let stats = self.context.figures.kind(seat.kind);
        stats.live.fetch_sub(1, Ordering::Relaxed);
        let name = match self.context.shard {
            ShardId::FIRST => format!("{}-{}", seat.kind.as_str(), seat.index),
            ShardId(shard) => format!("{}-{shard}-{}", seat.kind.as_str(), seat.index),
        };
        if !seat.kind.is_restartable() {
            return self.context.ports.fatal.fail(&format!("{name} failed: {why}"));
        }
        stats.count_restart();
        let policy = self.context.options.singleton_restarts;
        let Some(child) = self.children.get_mut(&seat) else {
            return;
        };
        child.alive = None;
        child.restarts += 1;
        let left = policy
            .restarts_max
            .saturating_sub(child.log.count(&policy, Instant::now()) + 1);
        child.budget_shown = left;
        publish_budget(&self.context, seat, left);
        let verdict = child
            .log
            .failed(&policy, Instant::now(), self.context.ports.entropy.next_u64());
        match verdict {
            // Nothing waits for the monitor or for webhooks: they never take the process with them.
            Verdict::GiveUp if matches!(seat.kind, Kind::Monitor | Kind::WebhookGuardian) => {
                tracing::error!(
                    actor = name,
                    why,
                    "an actor fails again and again; it is restarted slowly"
                );
                self.respawn_after(myself, seat, policy.backoff_max.max(policy.window));
            }
            Verdict::GiveUp => self
                .context
                .ports
                .fatal
                .fail(&format!("{name} failed too often: {why}")),
            Verdict::RestartAfter(wait) => {
                tracing::warn!(actor = name, why, ?wait, "an actor failed and is restarted");
                self.respawn_after(myself, seat, wait);
            }
        }
    }

    fn respawn_after(&self, root: &ActorRef<RootMail>, seat: Seat, wait: Duration) {
        let (root, counted) = (root.clone(), self.counted.clone());
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            // Before it is there: what is durable by now it has not counted, and what comes later it counts itself.
            let counted = if seat.kind == Kind::Risk {
                counted.now().await
            } else {
                Counted::default()
            };
            drop(root.send_message(RootMail::Respawn(seat, counted)));
        });
    }

    /// Has open payments taken up: all of them, or those of one guardian.
    fn adopt_open_payments(&self, guardian: Option<usize>) {
        let context = Arc::clone(&self.context);
        tokio::spawn(async move {
            let (reply, waits) = oneshot::channel();
            context
                .account_shard
                .step(florin_actors::account_shard::ShardMail::OpenPayments(reply));
            let Ok(mut open) = waits.await else { return };
            open.retain(|payment| guardian.is_none_or(|index| context.guardian_index(*payment) == index));
            context
                .resolution
                .step(florin_actors::resolution::ResolutionMail::Adopt(open));
        });
    }

    fn reports(&mut self) -> Vec<SeatReport> {
        let policy = self.context.options.singleton_restarts;
        let now = Instant::now();
        let context = Arc::clone(&self.context);
        let report = |(seat, child): (&Seat, &mut Child)| SeatReport {
            seat: *seat,
            restarts: child.restarts,
            budget_left: seat.kind.is_restartable().then(|| {
                let left = policy.restarts_max.saturating_sub(child.log.count(&policy, now));
                if child.budget_shown != left {
                    child.budget_shown = left;
                    publish_budget(&context, *seat, left);
                }
                left
            }),
            age_ms: u64::try_from(child.born.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        self.children.iter_mut().map(report).collect()
    }
}

/// Shows how many failures a restartable singleton has left before the process ends.
fn publish_budget(context: &Context, seat: Seat, left: u32) {
    if seat.kind.is_restartable() {
        let labels = [
            ("shard", context.shard.0.to_string()),
            ("kind", seat.kind.as_str().to_owned()),
            ("index", seat.index.to_string()),
        ];
        metrics::gauge!("florin_restart_budget_left", &labels).set(f64::from(left));
    }
}

/// The mailbox of a singleton: its caps cover every message that admitted operations may leave in it; a guardian's also those of payments
/// that are due, which come by the page.
pub(crate) fn singleton_mailbox<M: Send + 'static>(
    context: (&florin_actors::options::Options, &florin_actors::context::Figures),
    kind: Kind,
) -> Mailbox<M> {
    let (options, figures) = context;
    let due = if kind == Kind::PaymentGuardian {
        options.due_at_once()
    } else {
        0
    };
    let hard = options.internal_capacity().saturating_add(due);
    Mailbox::new(Caps { soft: hard, hard }, Arc::clone(figures.kind(kind)))
}
