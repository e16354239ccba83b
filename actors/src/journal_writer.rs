//! Group commit of one shard: collects commits while a batch is being made durable, appends them as the next batch, and only
//! then tells anybody. The order of commits is the order of the mailbox. Never restarted: its failure ends the process.

use crate::context::{Context, Step};
use crate::mailbox::{Envelope, Mailbox};
use crate::owed::Owed;
use crate::payment::PaymentMail;
use crate::projection::ProjectionMail;
use florin_domain::announcement::Announcement;
use florin_domain::commit::Commit;
use florin_domain::ids::Seq;
use florin_domain::payment::Payment;
use florin_domain::ports::{AppendError, Batch, Head};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// Who is told when a commit is durable.
#[derive(Debug)]
pub enum Ticket {
    /// A payment.
    Payment(Mailbox<PaymentMail>),
    /// Nobody: a barrier behind it does what is to be done.
    Nobody,
}

/// A commit with the state that it made, for those who follow.
#[derive(Clone, Debug)]
pub struct Published {
    /// What is durable.
    pub commit: Arc<Commit>,
    /// The payment after it, if it was about one.
    pub after: Option<Arc<Payment>>,
    /// What it announces.
    pub announced: Vec<Announcement>,
}

/// What the writer is told.
pub enum WriterMail {
    /// Make a commit durable.
    Write {
        /// What.
        published: Published,
        /// Who waits.
        ticket: Ticket,
    },
    /// Do something once everything written so far is durable and published.
    Barrier(Box<dyn FnOnce(Seq) + Send>),
    /// A batch came back.
    Flushed {
        /// How.
        result: Result<Head, AppendError>,
        /// What.
        batch: Batch,
        /// When it was handed over.
        began: Instant,
    },
    /// Try a batch again after the store had no room.
    Retry(Batch),
}

impl fmt::Debug for WriterMail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Write { .. } => "Write",
            Self::Barrier(_) => "Barrier",
            Self::Flushed { .. } => "Flushed",
            Self::Retry(_) => "Retry",
        })
    }
}

enum Pending {
    Write(Published, Ticket),
    Barrier(Box<dyn FnOnce(Seq) + Send>),
}

enum Waiting {
    Ticket(Ticket, Seq),
    Barrier(Box<dyn FnOnce(Seq) + Send>),
}

/// The writer's state.
pub struct WriterState {
    context: Arc<Context>,
    mailbox: Mailbox<WriterMail>,
    head: Seq,
    pending: Vec<Pending>,
    in_flight: Vec<Pending>,
    busy: bool,
    batches: u64,
}

impl fmt::Debug for WriterState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriterState")
            .field("head", &self.head)
            .finish_non_exhaustive()
    }
}

/// The writer.
#[derive(Clone, Copy, Debug)]
pub struct JournalWriter;

/// How long to wait before asking a full store again.
const NO_ROOM_WAIT: Duration = Duration::from_secs(1);

impl Actor for JournalWriter {
    type Msg = Envelope<WriterMail>;
    type State = WriterState;
    type Arguments = (Arc<Context>, Seq);

    async fn pre_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        (context, head): Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let mailbox = context.writer.clone();
        // What an earlier life has told is read by the projection before anybody is answered.
        context.followed.store(head.0, Ordering::Release);
        Ok(WriterState {
            context,
            mailbox,
            head,
            pending: Vec::new(),
            in_flight: Vec::new(),
            busy: false,
            batches: 0,
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
            WriterMail::Write { published, ticket } => {
                state.context.ports.probe.reached(Step::WriterQueued);
                state.pending.push(Pending::Write(published, ticket));
            }
            WriterMail::Barrier(release) => state.pending.push(Pending::Barrier(release)),
            WriterMail::Flushed { result, batch, began } => {
                state.context.ports.probe.reached(Step::WriterFlushed);
                state.flushed(result, batch, began)?;
            }
            WriterMail::Retry(batch) => state.append(batch),
        }
        state.flush();
        Ok(())
    }
}

impl WriterState {
    /// Hands over what is pending, unless a batch is under way: then it grows meanwhile.
    fn flush(&mut self) {
        if self.busy || self.pending.is_empty() {
            return;
        }
        let max = self.context.options.batch_commits_max;
        if self.pending.len() <= max {
            std::mem::swap(&mut self.pending, &mut self.in_flight);
        } else {
            self.in_flight.extend(self.pending.drain(..max));
        }
        let commits: Arc<[Arc<Commit>]> = self
            .in_flight
            .iter()
            .filter_map(|pending| match pending {
                Pending::Write(published, _) => Some(Arc::clone(&published.commit)),
                Pending::Barrier(_) => None,
            })
            .collect();
        if commits.is_empty() {
            self.release();
            return self.flush();
        }
        self.busy = true;
        self.batches += 1;
        let id = (u128::from(self.context.ports.entropy.next_u64()) << 64) | u128::from(self.batches);
        let batch = Batch {
            id,
            shard: self.context.shard,
            epoch: self.context.epoch,
            expected_head: self.head,
            commits,
        };
        self.append(batch);
    }

    fn append(&self, batch: Batch) {
        let journal = Arc::clone(&self.context.ports.journal);
        let began = Instant::now();
        let died = WriterMail::Flushed {
            result: Err(AppendError::Unknown("the task that appends died".to_owned())),
            batch: batch.clone(),
            began,
        };
        let owed = Owed::new(self.mailbox.clone(), died);
        tokio::spawn(async move {
            let result = journal.append(batch.clone()).await;
            owed.say(WriterMail::Flushed { result, batch, began });
        });
    }

    fn flushed(
        &mut self,
        result: Result<Head, AppendError>,
        batch: Batch,
        began: Instant,
    ) -> Result<(), ActorProcessingErr> {
        match result {
            Ok(head) => {
                let figures = &self.context.figures;
                #[expect(clippy::cast_precision_loss, reason = "a metric")]
                figures.batch_commits.record(batch.commits.len() as f64);
                figures.batch_seconds.record(began.elapsed().as_secs_f64());
                figures.batches.fetch_add(1, Ordering::Relaxed);
                figures
                    .commits
                    .fetch_add(batch.commits.len() as u64, Ordering::Relaxed);
                if began.elapsed() > self.context.options.stages.ledger {
                    figures.ledger_slow.increment(batch.commits.len() as u64);
                }
                self.head = head.seq;
                self.busy = false;
                self.context.admission.set_no_room(self.context.shard, false);
                self.context.ports.keys.publish(&batch.commits);
                self.context.published.store(head.seq.0, Ordering::Release);
                self.context.lag.set_keys(self.context.ports.keys.lag());
                self.release();
                Ok(())
            }
            Err(AppendError::NoRoom(why)) => {
                tracing::error!(
                    why,
                    "the journal has no room; new payments are refused until it has"
                );
                self.context.admission.set_no_room(self.context.shard, true);
                let mailbox = self.mailbox.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(NO_ROOM_WAIT).await;
                    mailbox.step(WriterMail::Retry(batch));
                });
                Ok(())
            }
            Err(error @ (AppendError::Fenced | AppendError::Unknown(_))) => Err(error.into()),
        }
    }

    /// Tells the followers first and then whoever waits, so that a caller who asks again after its answer is seen to have asked.
    fn release(&mut self) {
        let head = self.head;
        let mut published = Vec::with_capacity(self.in_flight.len());
        let mut waiting = Vec::with_capacity(self.in_flight.len());
        for pending in self.in_flight.drain(..) {
            match pending {
                Pending::Write(written, ticket) => {
                    waiting.push(Waiting::Ticket(ticket, written.commit.seq));
                    published.push(written);
                }
                Pending::Barrier(release) => waiting.push(Waiting::Barrier(release)),
            }
        }
        if !published.is_empty() {
            self.context
                .projection
                .step(ProjectionMail::Follow { published, head });
        }
        self.context.followed.store(head.0, Ordering::Release);
        for waiting in waiting {
            match waiting {
                Waiting::Ticket(Ticket::Payment(mailbox), seq) => {
                    mailbox.step(PaymentMail::Committed(Ok(seq)));
                }
                Waiting::Ticket(Ticket::Nobody, _) => {}
                Waiting::Barrier(release) => release(head),
            }
        }
    }
}
