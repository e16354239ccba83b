//! One webhook endpoint: reads what was announced to its merchant behind the place up to which the endpoint was told, and has it sent, one delivery
//! of an object at a time. Which one is next is decided by `florin_domain::webhook::deliveries`; reading, writing, signing and sending happen in tasks
//! that report back.
//!
//! Nothing is lost with this actor: what it knows is noted behind what was delivered, and whatever was not noted is sent once more under the
//! same id.

mod post;
mod telling;

use crate::context::{Context, Step, Webhooks};
use crate::kind::Kind;
use crate::load::barrier;
use crate::mailbox::{Envelope, Mailbox};
use crate::news::Latest;
use crate::owed::Owed;
use crate::ticks::keep_ticking;
use florin_domain::announcement::EventPlace;
use florin_domain::ids::{EndpointId, PaymentId, Seq};
use florin_domain::ports::{DeliveryBook, DeliveryEnd, EndpointError, EventRow, EventsPage, ViewError};
use florin_domain::time::Timestamp;
use florin_domain::webhook::deliveries::{Deliveries, Task};
use florin_domain::webhook::{
    DeliveryRow, EndpointStatus, KeptEndpoint, Noted, Progress, Replay, WhyDisabled,
};
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::oneshot;
use tokio::time::Instant;

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
    /// Crash one (operators and tests); it is restarted like after any failure.
    Kill {
        /// Which.
        endpoint: EndpointId,
        /// Whether it was there.
        reply: oneshot::Sender<bool>,
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
    /// It works now, and does not wait to come back.
    pub is_up: bool,
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
    Opened(Result<Option<Box<Opened>>, EndpointError>),
    /// What comes next, with what was new before it was read.
    Read(Lane, Seq, Result<ReadPage, ViewError>),
    /// A delivery ended.
    Ended(Lane, Sent, DeliveryEnd),
    /// A parked object has nothing more up to there.
    CaughtUp(Lane, PaymentId, EventPlace),
    /// What was to be sent could not be read or written.
    Unreadable(Lane, Task),
    /// What was delivered is noted, or not.
    Noted(Result<(), EndpointError>),
}

/// What is kept of an endpoint, and where its shard's journal ends.
#[derive(Debug)]
pub struct Opened {
    kept: KeptEndpoint,
    progress: Progress,
    head: Seq,
}

/// A page of the index, and up to which commit the index was complete before it was read.
#[derive(Debug)]
pub struct ReadPage {
    page: EventsPage,
    watermark: Seq,
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
    news: Latest,
    /// The index was read to its end as of this news.
    looked_at: Option<Seq>,
    /// Nothing is read before this.
    reads_at: Instant,
    replays: VecDeque<Replay>,
    /// The last one that was heard of.
    newest_replay: Option<Timestamp>,
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
        context
            .figures
            .kind(Kind::WebhookEndpoint)
            .live
            .fetch_add(1, Ordering::Relaxed);
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

/// However it ends, and whoever ends it.
impl Drop for EndpointState {
    fn drop(&mut self) {
        self.context
            .figures
            .kind(Kind::WebhookEndpoint)
            .live
            .fetch_sub(1, Ordering::Relaxed);
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
        let context = Arc::clone(&self.context);
        tokio::spawn(async move {
            let opened = opened(&context, book.as_ref(), id).await;
            owed.say(EndpointMail::Told(run, Report::Opened(opened)));
        });
    }

    fn opened(&mut self, opened: Opened) {
        if std::mem::take(&mut self.opens_again) {
            self.open();
        }
        let Opened {
            kept,
            mut progress,
            head,
        } = opened;
        let is_cut = cut(&mut progress, head);
        if is_cut {
            tracing::error!(endpoint = %self.id, head = head.0, "the endpoint was told more than the journal has: it goes on from the journal's end");
            metrics::counter!("florin_alerts_total", "alert" => "webhook_journal_shorter").increment(1);
        }
        let now = self.context.ports.clock.now();
        let kept = Arc::new(kept);
        match &mut self.known {
            Some(known) if known.generation == progress.generation => {
                if known.kept.endpoint.url != kept.endpoint.url {
                    known.new.hurry(now);
                }
                known.kept = kept;
                // Other events may be wanted now: what was passed over stays so, and the index is looked at again.
                known.looked_at = None;
                known.hear_of(progress.replays);
            }
            known => {
                // What is on its way belongs to another time.
                self.run.1 = self.run.1.saturating_add(1);
                let owner = kept.endpoint.owner;
                let new = known.insert(Known {
                    news: self.context.news.follow((owner.merchant, owner.livemode)),
                    kept,
                    generation: progress.generation,
                    new: Deliveries::new(progress.told, &progress.parked, progress.failing),
                    is_reading: false,
                    looked_at: None,
                    reads_at: Instant::now(),
                    replays: VecDeque::new(),
                    newest_replay: None,
                    again: None,
                    replayed: None,
                    disabled: None,
                    rows: Vec::new(),
                    is_changed: is_cut,
                });
                new.hear_of(progress.replays);
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

/// What is kept of an endpoint, and where the journal ends.
async fn opened(
    context: &Context,
    book: &dyn DeliveryBook,
    id: EndpointId,
) -> Result<Option<Box<Opened>>, EndpointError> {
    let Some((kept, progress)) = book.open(id).await? else {
        return Ok(None);
    };
    let head = barrier(context).await;
    let head = head.map_err(|error| EndpointError::Store(error.to_string()))?;
    let opened = Opened { kept, progress, head };
    Ok(Some(Box::new(opened)))
}

/// Takes back what lies behind the journal's end: its end was given up, or an older journal was put in its place, and what is announced there
/// from now on is something else. Whether there was any.
fn cut(progress: &mut Progress, head: Seq) -> bool {
    let end = EventPlace {
        seq: head,
        index: u8::MAX,
    };
    let before = (progress.told, progress.replays.len());
    progress.told = progress.told.min(end);
    progress.replays.retain(|replay| replay.from <= end);
    for replay in &mut progress.replays {
        replay.to = replay.to.min(end);
    }
    before != (progress.told, progress.replays.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(seq: u64) -> EventPlace {
        EventPlace {
            seq: Seq(seq),
            index: 3,
        }
    }

    #[test]
    fn whoever_was_told_more_than_the_journal_has_goes_on_from_its_end() {
        let replay = |from, to| Replay {
            asked_at: Timestamp::from_unix_ms(1),
            from: place(from),
            to: place(to),
        };
        let mut progress = Progress {
            generation: 1,
            told: place(9),
            parked: Vec::new(),
            failing: None,
            replays: vec![replay(2, 9), replay(8, 9)],
        };
        assert!(!cut(&mut progress.clone(), Seq(9)));
        assert!(cut(&mut progress, Seq(7)));
        let end = EventPlace {
            seq: Seq(7),
            index: u8::MAX,
        };
        assert_eq!(progress.told, end);
        assert_eq!(progress.replays.len(), 1);
        assert_eq!(progress.replays[0].to, end);
    }
}
