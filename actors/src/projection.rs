//! The tail of the journal and the views behind it. Whatever is durable is in the tail at once, and leaves it when the view
//! has it, so a reader who looks at the tail first and at the view second sees everything. After a restart the tail is read
//! from the journal again.

use crate::context::{Context, Step};
use crate::journal_writer::Published;
use crate::load::barrier;
use crate::mailbox::Envelope;
use crate::news::Tenant;
use crate::owed::Owed;
use crate::reply::tell;
use crate::ticks::keep_ticking;
use florin_domain::commit::Body;
use florin_domain::ids::{PaymentId, Seq};
use florin_domain::payment::advance_shared;
use florin_domain::ports::{AnnouncingCommit, PaymentRow, PaymentsQuery, ReadError, ViewError};
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use tokio::sync::oneshot;

/// What the projection is told.
#[derive(Debug)]
pub enum ProjectionMail {
    /// These commits are durable.
    Follow {
        /// In order.
        published: Vec<Published>,
        /// The last of them.
        head: Seq,
    },
    /// The tail's row of a payment.
    Locate {
        /// Which.
        id: PaymentId,
        /// Who asks.
        reply: oneshot::Sender<Option<PaymentRow>>,
    },
    /// What the tail says about a list.
    List {
        /// Which.
        query: PaymentsQuery,
        /// Who asks.
        reply: oneshot::Sender<Tail>,
    },
    /// The view has a batch of this incarnation, or failed to take it.
    Applied(ActorId, Result<Seq, ViewError>),
    /// The part of the journal that the view lacked when this incarnation started was read.
    CaughtUp(ActorId, Result<CaughtUp, ReadError>),
    /// Say once the view has everything that is durable now.
    Settle(oneshot::Sender<()>),
    /// Bring the view up to date.
    Tick,
}

/// What the view lacked when an incarnation started.
#[derive(Debug)]
pub struct CaughtUp {
    rows: Vec<PaymentRow>,
    announced: Vec<AnnouncingCommit>,
    head: Seq,
}

/// What the tail says about a list of payments.
#[derive(Clone, Debug, Default)]
pub struct Tail {
    /// The first rows of the list, in its order, at most as many as it takes.
    pub rows: Vec<PaymentRow>,
    /// Payments that have left the list with this commit, whatever the view may still say.
    pub left: HashMap<PaymentId, Seq>,
}

impl Tail {
    /// Of the latest rows of some payments.
    pub(crate) fn of<'a>(query: &PaymentsQuery, latest: impl Iterator<Item = &'a PaymentRow>) -> Self {
        let mut tail = Self::default();
        for row in latest.filter(|row| query.reaches(&row.payment)) {
            if query.filter.takes(&row.payment) {
                tail.rows.push(row.clone());
            } else {
                tail.left.insert(row.payment.id(), row.seq);
            }
        }
        query.sort(&mut tail.rows);
        tail.rows.truncate(query.limit);
        tail
    }
}

/// The projection's state.
#[derive(Debug)]
pub struct ProjectionState {
    context: Arc<Context>,
    /// This incarnation: what an earlier one began may still report, and is about another tail.
    id: ActorId,
    pending: BTreeMap<PaymentId, PaymentRow>,
    applying: BTreeMap<PaymentId, PaymentRow>,
    /// What the view has not been given yet of what was announced. Lists of announcements wait for the view.
    announced: Vec<AnnouncingCommit>,
    /// Whose announcements the view is being given, and the last commit of each.
    announcing: BTreeMap<Tenant, Seq>,
    /// The view may have announcements that nobody was told of: an earlier incarnation gave them to it.
    tells_all: bool,
    busy: bool,
    caught_up: bool,
    head: Seq,
    applied: Seq,
    /// Reads that wait until the start is over.
    held: VecDeque<ProjectionMail>,
    settling: Vec<(Seq, oneshot::Sender<()>)>,
}

/// The projection.
#[derive(Clone, Copy, Debug)]
pub struct Projection;

const PAGE: usize = 4096;
/// Rows after which the view is brought up to date without waiting for the tick.
const ROWS: usize = 4096;

impl Actor for Projection {
    type Msg = Envelope<ProjectionMail>;
    type State = ProjectionState;
    type Arguments = Arc<Context>;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        context: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let mailbox = context.projection.clone();
        // Attached before the journal is read: whatever becomes durable from now on arrives here.
        mailbox.attach(myself.clone());
        let (starting, id) = (Arc::clone(&context), myself.get_id());
        let died = ReadError::Store("the task that reads the journal died".to_owned());
        let owed = Owed::new(mailbox.clone(), ProjectionMail::CaughtUp(id, Err(died)));
        tokio::spawn(async move {
            let result = catch_up(&starting).await;
            owed.say(ProjectionMail::CaughtUp(id, result));
        });
        keep_ticking(myself, mailbox, context.options.ticks.projection, || {
            ProjectionMail::Tick
        });
        Ok(ProjectionState {
            context,
            id,
            pending: BTreeMap::new(),
            applying: BTreeMap::new(),
            announced: Vec::new(),
            announcing: BTreeMap::new(),
            tells_all: true,
            busy: false,
            caught_up: false,
            head: Seq::ZERO,
            applied: Seq::ZERO,
            held: VecDeque::new(),
            settling: Vec::new(),
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
            ProjectionMail::Follow { published, head } => {
                state.context.ports.probe.reached(Step::ProjectionFollowed);
                state.follow(published, head);
            }
            ProjectionMail::CaughtUp(id, _) | ProjectionMail::Applied(id, _) if id != state.id => {}
            ProjectionMail::CaughtUp(_, result) => {
                let caught_up = result?;
                for row in caught_up.rows {
                    state.pending.entry(row.payment.id()).or_insert(row);
                }
                // What also arrived meanwhile is there twice, which the view does not mind.
                state.announced.extend(caught_up.announced);
                state.head = state.head.max(caught_up.head);
                state.caught_up = true;
                for mail in std::mem::take(&mut state.held) {
                    state.read(mail);
                }
            }
            ProjectionMail::Applied(_, result) => state.applied(result)?,
            ProjectionMail::Tick => state.apply(),
            mail @ (ProjectionMail::Locate { .. }
            | ProjectionMail::List { .. }
            | ProjectionMail::Settle(_)) => {
                state.context.ports.probe.reached(Step::ProjectionLocated);
                if state.caught_up {
                    state.read(mail);
                } else {
                    state.held.push_back(mail);
                }
            }
        }
        Ok(())
    }
}

impl ProjectionState {
    fn follow(&mut self, published: Vec<Published>, head: Seq) {
        for Published {
            commit,
            after,
            announced,
        } in published
        {
            if let Some(payment) = after {
                self.announced
                    .extend(AnnouncingCommit::of(&commit, &payment, &announced));
                let row = PaymentRow {
                    seq: commit.seq,
                    payment,
                };
                self.pending.insert(row.payment.id(), row);
            }
        }
        self.head = self.head.max(head);
        self.context
            .lag
            .set_views(self.head.0.saturating_sub(self.applied.0));
        if self.pending.len() >= ROWS {
            self.apply();
        }
    }

    fn read(&mut self, mail: ProjectionMail) {
        match mail {
            ProjectionMail::Locate { id, reply } => {
                let row = self.pending.get(&id).or_else(|| self.applying.get(&id)).cloned();
                tell(reply, row);
            }
            ProjectionMail::List { query, reply } => {
                let older = self
                    .applying
                    .values()
                    .filter(|row| !self.pending.contains_key(&row.payment.id()));
                tell(reply, Tail::of(&query, self.pending.values().chain(older)));
            }
            ProjectionMail::Settle(reply) => {
                self.settling.push((self.head, reply));
                self.apply();
                self.settle();
            }
            ProjectionMail::Follow { .. }
            | ProjectionMail::Applied(..)
            | ProjectionMail::CaughtUp(..)
            | ProjectionMail::Tick => {}
        }
    }

    fn apply(&mut self) {
        if self.busy || !self.caught_up || self.applied == self.head {
            return;
        }
        self.busy = true;
        std::mem::swap(&mut self.pending, &mut self.applying);
        let rows: Vec<PaymentRow> = self.applying.values().cloned().collect();
        let announced = std::mem::take(&mut self.announced);
        let tenant = |commit: &AnnouncingCommit| ((commit.merchant, commit.livemode), commit.seq);
        self.announcing = announced.iter().map(tenant).collect();
        let views = Arc::clone(&self.context.ports.views);
        let (id, head) = (self.id, self.head);
        let died = ViewError::Store("the task that brings it up to date died".to_owned());
        let owed = Owed::new(
            self.context.projection.clone(),
            ProjectionMail::Applied(id, Err(died)),
        );
        tokio::spawn(async move {
            let result = views.apply(rows, announced, head).await;
            owed.say(ProjectionMail::Applied(id, result.map(|()| head)));
        });
    }

    fn applied(&mut self, result: Result<Seq, ViewError>) -> Result<(), ActorProcessingErr> {
        self.applied = result?;
        self.applying.clear();
        self.busy = false;
        let announced = std::mem::take(&mut self.announcing);
        if std::mem::take(&mut self.tells_all) {
            self.context.news.tell_all(self.applied);
        } else {
            self.context.news.tell(announced);
        }
        self.context
            .lag
            .set_views(self.head.0.saturating_sub(self.applied.0));
        self.settle();
        if self.pending.len() >= ROWS || !self.settling.is_empty() {
            self.apply();
        }
        Ok(())
    }

    fn settle(&mut self) {
        let applied = self.applied;
        for (_, waiter) in self.settling.extract_if(.., |(seq, _)| *seq <= applied) {
            tell(waiter, ());
        }
    }
}

/// Reads what the view lacks: the latest state of every payment in the journal after the view's watermark.
async fn catch_up(context: &Context) -> Result<CaughtUp, ReadError> {
    let head = barrier(context).await?;
    let watermark = context.ports.views.watermark()?;
    let mut states: BTreeMap<PaymentId, PaymentRow> = BTreeMap::new();
    let mut announced = Vec::new();
    context.lag.set_views_read(watermark);
    let mut next = watermark.next();
    while next <= head {
        let commits = context.ports.journal.read(context.shard, next, PAGE).await?;
        let Some(last) = commits.last() else { break };
        next = last.seq.next();
        context.lag.set_views_read(last.seq);
        for commit in commits {
            let Body::Payment(body) = &commit.body else {
                continue;
            };
            let mut state = match states.remove(&body.payment) {
                Some(row) => Some(row.payment),
                None if body.prev == Seq::ZERO => None,
                None => match viewed(context, body.payment).await? {
                    // A batch that was on its way when the watermark was read.
                    row if row.seq >= commit.seq => continue,
                    row => Some(row.payment),
                },
            };
            let followed = advance_shared(&mut state, &body.events, commit.at);
            let said = followed.map_err(|error| ReadError::Damaged {
                seq: commit.seq,
                why: error.to_string(),
            })?;
            if let Some(payment) = state {
                announced.extend(AnnouncingCommit::of(&commit, &payment, &said));
                let row = PaymentRow {
                    seq: commit.seq,
                    payment,
                };
                states.insert(body.payment, row);
            }
        }
        if states.len() >= PAGE * 4 || announced.len() >= PAGE * 4 {
            // A long tail goes to the view in parts, so that memory stays flat.
            let rows = std::mem::take(&mut states).into_values().collect();
            let up_to = Seq(next.0 - 1);
            context
                .ports
                .views
                .apply(rows, std::mem::take(&mut announced), up_to)
                .await
                .map_err(|error| ReadError::Store(error.to_string()))?;
        }
    }
    Ok(CaughtUp {
        rows: states.into_values().collect(),
        announced,
        head,
    })
}

async fn viewed(context: &Context, id: PaymentId) -> Result<PaymentRow, ReadError> {
    let row = context
        .ports
        .views
        .payment(id)
        .await
        .map_err(|error| ReadError::Store(error.to_string()))?;
    row.ok_or_else(|| ReadError::Store(format!("the view lacks {id}; rebuild the views")))
}
