//! The consistency monitor of one shard: every minute it checks that recent entries balance, that the balances are the fold of the
//! journal, that payments come to what they posted, and that the view shows them so. It reads beside live traffic, in pages and at
//! a bounded pace, and changes nothing: what differs, and a check that could not be run, is shown to people.
//!
//! * `round` one round; `recent` the commits of the last minutes; `balances` the fold and the account shard; `rows` the view
//! * `board` the last round, for whoever asks, with its figures and alerts; `pace` how fast

mod balances;
mod board;
mod pace;
mod recent;
mod round;
mod rows;

pub use board::MonitorBoard;

use crate::context::{Context, Step};
use crate::mailbox::Envelope;
use crate::owed::Owed;
use crate::reply::tell;
use florin_domain::consistency::{Round, overdue_after};
use florin_domain::time::Millis;
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef};
use round::Work;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// A round, or why there is none.
pub type Asked = oneshot::Sender<Result<Arc<Round>, TooManyWait>>;

/// So many wait for a round already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("too many wait for a round of the monitor")]
pub struct TooManyWait;

/// What the monitor is told.
#[derive(Debug)]
pub enum MonitorMail {
    /// It is time for this incarnation's next round.
    Due(ActorId),
    /// Run a round that begins from now on, and say what it came to.
    Run(Asked),
    /// This incarnation's round should have ended by now.
    Overdue(ActorId),
    /// This incarnation's round has ended, or its task has died.
    Ended(ActorId, Option<Ended>),
}

/// What a round came to, and what the next one goes on from.
pub struct Ended {
    round: Round,
    work: Box<Work>,
}

impl fmt::Debug for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ended")
            .field("round", &self.round)
            .finish_non_exhaustive()
    }
}

/// The monitor's state. Its tasks end with it.
#[derive(Debug)]
pub struct MonitorState {
    context: Arc<Context>,
    id: ActorId,
    /// Nothing while a round is under way, or was lost with its task.
    work: Option<Box<Work>>,
    began: Option<Instant>,
    round: JoinSet<()>,
    timer: JoinSet<()>,
    /// Says so if the round under way does not end.
    watch: JoinSet<()>,
    /// Who waits for the round under way.
    answered: Vec<Asked>,
    /// Who waits for the one after it.
    waiting: Vec<Asked>,
}

/// The monitor.
#[derive(Clone, Copy, Debug)]
pub struct Monitor;

/// After a start, payments that were open come first.
const START_WAIT: Duration = Duration::from_secs(2);
/// How many may wait for a round.
const WAITING_MAX: usize = 16;

impl Actor for Monitor {
    type Msg = Envelope<MonitorMail>;
    type State = MonitorState;
    type Arguments = Arc<Context>;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        context: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let id = myself.get_id();
        // Attached before anything is asked: what is due must find this incarnation.
        context.monitor.attach(myself);
        board::started(&context);
        let mut state = MonitorState {
            context,
            id,
            work: None,
            began: None,
            round: JoinSet::new(),
            timer: JoinSet::new(),
            watch: JoinSet::new(),
            answered: Vec::new(),
            waiting: Vec::new(),
        };
        state.wait_until(Instant::now() + START_WAIT);
        Ok(state)
    }

    async fn handle(
        &self,
        _myself: ActorRef<Self::Msg>,
        envelope: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let (mail, _slot) = envelope.open();
        match mail {
            MonitorMail::Due(id) if id == state.id => state.begin(),
            MonitorMail::Ended(id, ended) if id == state.id => {
                state.context.ports.probe.reached(Step::MonitorEnded);
                state.ended(ended);
            }
            MonitorMail::Overdue(id) if id == state.id => state.overdue(),
            MonitorMail::Due(_) | MonitorMail::Ended(..) | MonitorMail::Overdue(_) => {}
            MonitorMail::Run(asked) if state.waiting.len() >= WAITING_MAX => tell(asked, Err(TooManyWait)),
            MonitorMail::Run(asked) => {
                state.waiting.push(asked);
                state.begin();
            }
        }
        Ok(())
    }
}

impl MonitorState {
    /// Has the next round begin then, unless there are none by themselves.
    fn wait_until(&mut self, due: Instant) {
        self.timer = JoinSet::new();
        if self.context.options.monitor_every.is_zero() {
            return;
        }
        let (context, id) = (Arc::clone(&self.context), self.id);
        self.timer.spawn(async move {
            tokio::time::sleep_until(due).await;
            context.monitor.step(MonitorMail::Due(id));
        });
    }

    /// Has the round under way looked at when it should have ended, as often as it should have.
    fn watch(&mut self) {
        self.watch = JoinSet::new();
        let Some(limit) = self.overdue_after() else { return };
        let (context, id) = (Arc::clone(&self.context), self.id);
        self.watch.spawn(async move {
            tokio::time::sleep(limit).await;
            context.monitor.step(MonitorMail::Overdue(id));
        });
    }

    fn overdue_after(&self) -> Option<Duration> {
        let every = self.context.options.monitor_every.as_millis();
        let every = Millis(u64::try_from(every).unwrap_or(u64::MAX));
        overdue_after(every).map(|limit| Duration::from_millis(limit.0))
    }

    /// A round that does not end is not broken off: its fold of the whole journal would be lost, and the next one would wait for the same.
    fn overdue(&mut self) {
        let waited = self.began.map(|began| began.elapsed());
        let limit = self.overdue_after();
        if let Some(waited) = waited.filter(|waited| limit.is_some_and(|limit| *waited >= limit)) {
            board::overdue(&self.context, waited);
            self.watch();
        }
    }

    /// Begins a round in a task, unless one is under way.
    fn begin(&mut self) {
        if self.began.is_some() {
            return;
        }
        self.began = Some(Instant::now());
        self.answered = std::mem::take(&mut self.waiting);
        self.timer = JoinSet::new();
        let (context, id) = (Arc::clone(&self.context), self.id);
        let number = context.monitor_board.load().rounds.saturating_add(1);
        let mut work = self.work.take().unwrap_or_default();
        let owed = Owed::new(context.monitor.clone(), MonitorMail::Ended(id, None));
        self.watch();
        self.round = JoinSet::new();
        self.round.spawn(async move {
            let round = round::run(&context, &mut work, number).await;
            owed.say(MonitorMail::Ended(id, Some(Ended { round, work })));
        });
    }

    fn ended(&mut self, ended: Option<Ended>) {
        let began = self.began.take().unwrap_or_else(Instant::now);
        self.watch = JoinSet::new();
        let round = if let Some(Ended { round, work }) = ended {
            self.work = Some(work);
            round
        } else {
            let number = self.context.monitor_board.load().rounds.saturating_add(1);
            let at = self.context.ports.clock.now();
            Round::failed(self.context.shard, number, at, "the task that checks died")
        };
        let round = Arc::new(round);
        board::publish(&self.context, &round);
        for asked in std::mem::take(&mut self.answered) {
            tell(asked, Ok(Arc::clone(&round)));
        }
        if self.waiting.is_empty() {
            let every = self.context.options.monitor_every;
            self.wait_until(Instant::now().max(began + every));
        } else {
            self.begin();
        }
    }
}
