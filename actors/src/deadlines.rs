//! The deadlines of payments that wait for a customer, a reviewer or a capture. They are found in the view, so nothing is held for
//! a payment that waits for days; the payment itself decides whether its time has come. Whatever does not end at once is met
//! again when the view is read from its begin, now and then.

use crate::account_shard::{GeneralMail, ShardMail};
use crate::context::{Context, Step};
use crate::guardian::GuardianMail;
use crate::mailbox::Envelope;
use crate::owed::Owed;
use crate::ticks::keep_ticking;
use florin_domain::ids::PaymentId;
use florin_domain::payment::WaitKind;
use florin_domain::ports::{PaymentRow, ViewError, WaitingQuery};
use florin_domain::time::Timestamp;
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What the sweep is told.
#[derive(Debug)]
pub enum DeadlinesMail {
    /// Look what is due.
    Tick,
    /// The view answered this incarnation.
    Due(ActorId, WaitKind, Result<Vec<PaymentRow>, ViewError>),
}

/// Where the reading of one kind is.
#[derive(Debug)]
struct Reading {
    kind: WaitKind,
    after: Option<(Timestamp, PaymentId)>,
    began: Instant,
    asked: bool,
    /// It came to what is not due yet; from there on only what becomes due is new.
    at_end: bool,
}

/// The sweep's state.
#[derive(Debug)]
pub struct DeadlinesState {
    context: Arc<Context>,
    id: ActorId,
    readings: Vec<Reading>,
}

/// The sweep.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines;

/// Payments of one kind looked at in one tick.
pub(crate) const PAGE: usize = 256;
/// How often everything that is due is met again.
const AGAIN: Duration = Duration::from_mins(1);

impl Actor for Deadlines {
    type Msg = Envelope<DeadlinesMail>;
    type State = DeadlinesState;
    type Arguments = Arc<Context>;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        context: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let (id, mailbox) = (myself.get_id(), context.deadlines.clone());
        keep_ticking(myself, mailbox, context.options.ticks.deadlines, || {
            DeadlinesMail::Tick
        });
        let began = Instant::now();
        let readings = WaitKind::ALL.map(|kind| Reading {
            kind,
            after: None,
            began,
            asked: false,
            at_end: false,
        });
        Ok(DeadlinesState {
            context,
            id,
            readings: readings.into(),
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
            DeadlinesMail::Tick => state.ask(),
            DeadlinesMail::Due(id, kind, result) if id == state.id => {
                state.context.ports.probe.reached(Step::DeadlinesMet);
                state.met(kind, result);
            }
            DeadlinesMail::Due(..) => {}
        }
        Ok(())
    }
}

impl DeadlinesState {
    fn ask(&mut self) {
        let expire = ShardMail::General(GeneralMail::ExpirePending);
        self.context.account_shard.step(expire);
        let until = self.context.ports.clock.now();
        for reading in &mut self.readings {
            if reading.asked {
                continue;
            }
            if reading.at_end && reading.began.elapsed() >= AGAIN {
                (reading.after, reading.began) = (None, Instant::now());
            }
            reading.asked = true;
            let query = WaitingQuery {
                kind: reading.kind,
                until,
                after: reading.after,
                limit: PAGE,
            };
            let (views, id) = (Arc::clone(&self.context.ports.views), self.id);
            let died = Err(ViewError::Store("the task that asks it died".to_owned()));
            let owed = Owed::new(
                self.context.deadlines.clone(),
                DeadlinesMail::Due(id, query.kind, died),
            );
            tokio::spawn(async move {
                let due = views.waiting(query).await;
                owed.say(DeadlinesMail::Due(id, query.kind, due));
            });
        }
    }

    fn met(&mut self, kind: WaitKind, result: Result<Vec<PaymentRow>, ViewError>) {
        let Some(reading) = self.readings.iter_mut().find(|reading| reading.kind == kind) else {
            return;
        };
        reading.asked = false;
        let rows = match result {
            Ok(rows) => rows,
            Err(error) => return tracing::debug!(%error, "deadlines are looked for again"),
        };
        reading.at_end = rows.len() < PAGE;
        for row in rows {
            let payment = row.payment.id();
            let Some((waits, due)) = row.payment.waits_for() else {
                continue;
            };
            if waits == kind {
                reading.after = Some((due, payment));
                self.context
                    .guardian(payment)
                    .step(GuardianMail::CheckDeadlines(payment));
            }
        }
    }
}
