//! One webhook endpoint: reads what was announced to its merchant behind the place up to which the endpoint was told, and has it sent, one delivery
//! of an object at a time. Which one is next is decided by `florin_domain::webhook::deliveries`; reading, writing, signing and sending happen in tasks
//! that report back.
//!
//! Nothing is lost with this actor: what it knows is noted behind what was delivered, and whatever was not noted is sent once more under the
//! same id.

mod post;
mod telling;

use crate::context::{Context, Step, Webhooks};
use crate::mailbox::{Envelope, Mailbox};
use crate::owed::Owed;
use crate::ticks::keep_ticking;
use florin_domain::announcement::EventPlace;
use florin_domain::ids::{EndpointId, PaymentId, Seq};
use florin_domain::ports::{DeliveryEnd, EndpointError, EventRow, EventsPage, ViewError};
use florin_domain::time::Timestamp;
use florin_domain::webhook::deliveries::{Deliveries, Task};
use florin_domain::webhook::{
    DeliveryRow, EndpointStatus, KeptEndpoint, Noted, Progress, Replay, WhyDisabled,
};
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::oneshot;

/// What the guardian of a shard's endpoints is told.
#[derive(Debug)]
pub enum WebhookGuardianMail {
    /// These are there.
    Found(ActorId, Result<Vec<EndpointId>, EndpointError>),
    /// One was made, changed or deleted.
    Changed(EndpointId),
    /// One that failed comes back.
    Respawn(EndpointId),
    /// Who is there? At most so many.
    Live {
        /// The most.
        limit: usize,
        /// Who asks.
        reply: oneshot::Sender<Vec<LiveEndpoint>>,
    },
}

/// An endpoint's actor as operators see it.
#[derive(Clone, Copy, Debug)]
pub struct LiveEndpoint {
    /// Which.
    pub endpoint: EndpointId,
    /// Messages in its mailbox.
    pub depth: usize,
    /// Failures in the present window.
    pub failures: u32,
    /// Milliseconds since it was (re)started.
    pub age_ms: u64,
}

/// What of an endpoint something is about: what is new, or what is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// What is new.
    New,
    /// What is sent again, asked for then.
    Again(Timestamp),
}

/// During which part of the actor's life something was begun: of an earlier one nothing is heard.
type Run = (ActorId, u64);

/// What an endpoint's actor is told.
#[derive(Debug)]
pub enum EndpointMail {
    /// Look what is new or due.
    Tick,
    /// It was changed or deleted.
    Changed,
    /// Tasks of this incarnation report.
    Told(Run, Report),
}

/// What tasks report.
#[derive(Debug)]
pub enum Report {
    /// What is kept of the endpoint.
    Opened(Result<Option<Box<(KeptEndpoint, Progress)>>, EndpointError>),
    /// What comes next, and up to which commit the index was complete then.
    Read(Lane, Seq, Result<EventsPage, ViewError>),
    /// A delivery ended.
    Ended(Lane, Sent, DeliveryEnd),
    /// A parked object has nothing more up to there.
    CaughtUp(Lane, PaymentId, EventPlace),
    /// What was to be sent could not be read or written.
    Unreadable(Lane, Task),
    /// What was delivered is noted, or not.
    Noted(Result<(), EndpointError>),
}

/// A delivery that ended.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// Of what.
    pub row: EventRow,
    /// When it began.
    pub at: Timestamp,
    /// How long it took.
    pub took_ms: u64,
}

/// What an endpoint's actor starts with.
#[derive(Debug)]
pub struct EndpointArguments {
    /// What all actors of the shard share.
    pub context: Arc<Context>,
    /// How merchants are told.
    pub webhooks: Webhooks,
    /// Which endpoint.
    pub id: EndpointId,
    /// Its address.
    pub mailbox: Mailbox<EndpointMail>,
}

/// The stretch that is sent again now.
#[derive(Debug)]
struct Again {
    asked_at: Timestamp,
    deliveries: Deliveries,
    is_reading: bool,
}

/// What is known of the endpoint.
#[derive(Debug)]
struct Known {
    kept: Arc<KeptEndpoint>,
    generation: u64,
    new: Deliveries,
    is_reading: bool,
    /// The index was read to its end as of this commit.
    looked_at: Option<Seq>,
    replays: VecDeque<Replay>,
    again: Option<Again>,
    /// A stretch that is done or has come on, until that is noted.
    replayed: Option<(Timestamp, Option<EventPlace>)>,
    disabled: Option<WhyDisabled>,
    rows: Vec<DeliveryRow>,
    is_changed: bool,
}

/// The state of an endpoint's actor.
#[derive(Debug)]
pub struct EndpointState {
    context: Arc<Context>,
    webhooks: Webhooks,
    id: EndpointId,
    mailbox: Mailbox<EndpointMail>,
    run: Run,
    known: Option<Known>,
    is_opening: bool,
    /// Changed while it was being opened.
    opens_again: bool,
    /// What is being noted; after a failure it is noted again.
    noting: Option<Noted>,
    is_noting: bool,
}

/// An endpoint's actor.
#[derive(Clone, Copy, Debug)]
pub struct WebhookEndpoint;

impl Actor for WebhookEndpoint {
    type Msg = Envelope<EndpointMail>;
    type State = EndpointState;
    type Arguments = EndpointArguments;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        arguments: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let EndpointArguments {
            context,
            webhooks,
            id,
            mailbox,
        } = arguments;
        mailbox.attach(myself.clone());
        let run = (myself.get_id(), 0);
        keep_ticking(myself, mailbox.clone(), context.options.ticks.webhooks, || {
            EndpointMail::Tick
        });
        let mut state = EndpointState {
            context,
            webhooks,
            id,
            mailbox,
            run,
            known: None,
            is_opening: false,
            opens_again: false,
            noting: None,
            is_noting: false,
        };
        state.open();
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        envelope: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let (mail, _slot) = envelope.open();
        match mail {
            EndpointMail::Tick => state.note(),
            EndpointMail::Changed => state.open(),
            EndpointMail::Told((actor, _), Report::Opened(result)) if actor == state.run.0 => {
                state.is_opening = false;
                let Some(opened) = result? else {
                    // It was deleted.
                    myself.stop(None);
                    return Ok(());
                };
                state.opened(*opened);
            }
            EndpointMail::Told((actor, _), Report::Noted(result)) if actor == state.run.0 => {
                state.is_noting = false;
                match result {
                    Ok(()) => state.noting = None,
                    Err(error) => {
                        tracing::warn!(endpoint = %state.id, %error, "deliveries could not be noted yet");
                    }
                }
            }
            EndpointMail::Told(run, report) if run == state.run => {
                state.context.ports.probe.reached(Step::WebhookTold);
                state.told(report);
            }
            EndpointMail::Told(..) => return Ok(()),
        }
        state.go_on();
        Ok(())
    }
}

impl EndpointState {
    /// Starts a task that has to report.
    fn owes(&self, instead: Report) -> Owed<EndpointMail> {
        Owed::new(self.mailbox.clone(), EndpointMail::Told(self.run, instead))
    }

    fn open(&mut self) {
        if self.is_opening {
            self.opens_again = true;
            return;
        }
        self.is_opening = true;
        let died = EndpointError::Store("the task that reads it died".to_owned());
        let owed = self.owes(Report::Opened(Err(died)));
        let (book, id, run) = (Arc::clone(&self.webhooks.book), self.id, self.run);
        tokio::spawn(async move {
            let opened = book.open(id).await.map(|opened| opened.map(Box::new));
            owed.say(EndpointMail::Told(run, Report::Opened(opened)));
        });
    }

    fn opened(&mut self, (kept, progress): (KeptEndpoint, Progress)) {
        if std::mem::take(&mut self.opens_again) {
            self.open();
        }
        let kept = Arc::new(kept);
        match &mut self.known {
            Some(known) if known.generation == progress.generation => {
                known.kept = kept;
                // Other events may be wanted now: what was passed over stays so, and the index is looked at again.
                known.looked_at = None;
                let newest = known.replays.back().map(|replay| replay.asked_at);
                let is_new = |replay: &Replay| newest.is_none_or(|newest| replay.asked_at > newest);
                known.replays.extend(progress.replays.into_iter().filter(is_new));
            }
            known => {
                // What is on its way belongs to another time.
                self.run.1 = self.run.1.saturating_add(1);
                *known = Some(Known {
                    kept,
                    generation: progress.generation,
                    new: Deliveries::new(progress.told, &progress.parked, progress.failing),
                    is_reading: false,
                    looked_at: None,
                    replays: progress.replays.into(),
                    again: None,
                    replayed: None,
                    disabled: None,
                    rows: Vec::new(),
                    is_changed: false,
                });
            }
        }
    }

    /// Everything that can be begun now is.
    fn go_on(&mut self) {
        let Some(known) = &mut self.known else { return };
        if known.rows.len() >= telling::ROWS_NOTED {
            self.note();
        }
        let Some(known) = &mut self.known else { return };
        let is_enabled = known.kept.endpoint.status == EndpointStatus::Enabled && known.disabled.is_none();
        if !is_enabled || known.rows.len() >= telling::ROWS_MAX {
            return;
        }
        self.read();
        self.begin();
    }
}
