//! The bounded mailbox. ractor's own queue has no bound, so nothing is cast to an actor except through a [`Mailbox`]: its
//! gate counts what waits, refuses what is too much, and hands a refused message back to its sender at once.
//!
//! Admission of new work happens once, at the edge; whatever an admitted operation still has to send is paid for in advance
//! and travels as [`Class::Internal`], which is counted and never refused: no full mailbox may stand between a charge and
//! its commit. Capacities are checked against each other at start ([`crate::options::Options::check`]).

#[cfg(test)]
mod tests;

use crate::kind::KindStats;
use arc_swap::ArcSwapOption;
use ractor::{ActorRef, MessagingErr};
use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::time::Instant;

/// Which cap applies to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Work that nobody has promised anything about yet: refused above the soft cap.
    New,
    /// A later request about something that exists: refused above the hard cap.
    FollowUp,
    /// A step of an admitted operation: counted, never refused.
    Internal,
}

/// How many messages of a mailbox may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// For new work.
    pub soft: usize,
    /// For follow-ups.
    pub hard: usize,
}

/// Why a message was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// So many messages wait already.
    Full {
        /// The depth found.
        depth: usize,
    },
    /// The actor is not there now.
    Gone,
}

/// A message that was not accepted, given back with the reason.
#[derive(Debug)]
pub struct Returned<M> {
    /// The message.
    pub message: M,
    /// Why.
    pub why: Refused,
}

/// Counts what waits in one mailbox.
#[derive(Debug)]
pub struct Gate {
    depth: AtomicUsize,
    caps: Caps,
    open: AtomicBool,
    stats: Arc<KindStats>,
}

impl Gate {
    /// A gate with these caps, counted under the kind.
    pub fn new(caps: Caps, stats: Arc<KindStats>) -> Self {
        Self {
            depth: AtomicUsize::new(0),
            caps,
            open: AtomicBool::new(true),
            stats,
        }
    }

    /// Messages that wait or are being handled.
    pub fn depth(&self) -> usize {
        self.depth.load(Ordering::Relaxed)
    }

    /// The caps.
    pub fn caps(&self) -> Caps {
        self.caps
    }

    /// Takes no further new work or follow-ups; internal messages still pass.
    pub fn close(&self) {
        self.open.store(false, Ordering::Release);
    }

    fn admit(self: &Arc<Self>, class: Class) -> Result<Slot, Refused> {
        let cap = match class {
            Class::New => self.caps.soft,
            Class::FollowUp => self.caps.hard,
            Class::Internal => usize::MAX,
        };
        if class != Class::Internal && !self.open.load(Ordering::Acquire) {
            return Err(Refused::Gone);
        }
        let depth = self.depth.fetch_add(1, Ordering::AcqRel);
        if depth >= cap {
            self.depth.fetch_sub(1, Ordering::AcqRel);
            self.stats.count_shed();
            return Err(Refused::Full { depth });
        }
        self.stats.add_depth(1);
        Ok(Slot(Arc::clone(self)))
    }
}

/// A place in a mailbox; dropping it frees the place.
#[derive(Debug)]
pub struct Slot(Arc<Gate>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.depth.fetch_sub(1, Ordering::AcqRel);
        self.0.stats.add_depth(-1);
    }
}

/// A message on its way, with the place that it holds.
#[derive(Debug)]
pub struct Envelope<M> {
    message: M,
    slot: Slot,
    sampled_at: Option<Instant>,
}

impl<M> Envelope<M> {
    /// Opens the envelope; the slot is to be held until the message has been handled.
    pub fn open(self) -> (M, Slot) {
        if let Some(sent_at) = self.sampled_at {
            self.slot.0.stats.record_wait(sent_at.elapsed().as_secs_f64());
        }
        (self.message, self.slot)
    }
}

/// One in so many messages has its waiting time measured.
const WAIT_SAMPLE: u32 = 64;

/// Counted by thread: a common count would be one more cache line for all senders to wait for.
fn is_sampled() -> bool {
    thread_local! {
        static SENDS: Cell<u32> = const { Cell::new(0) };
    }
    SENDS.with(|sends| {
        let count = sends.get().wrapping_add(1);
        sends.set(count);
        count.is_multiple_of(WAIT_SAMPLE)
    })
}

/// The address of an actor, past and future incarnations included, with the gate before it.
pub struct Mailbox<M: Send + 'static> {
    inner: Arc<Inner<M>>,
}

struct Inner<M: Send + 'static> {
    gate: Arc<Gate>,
    actor: ArcSwapOption<ActorRef<Envelope<M>>>,
}

impl<M: Send + 'static> Clone for Mailbox<M> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<M: Send + 'static> fmt::Debug for Mailbox<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox")
            .field("gate", &self.inner.gate)
            .finish_non_exhaustive()
    }
}

impl<M: Send + 'static> Mailbox<M> {
    /// A mailbox whose actor is yet to come; until then everything sent comes back as [`Refused::Gone`].
    pub fn new(caps: Caps, stats: Arc<KindStats>) -> Self {
        Self {
            inner: Arc::new(Inner {
                gate: Arc::new(Gate::new(caps, stats)),
                actor: ArcSwapOption::empty(),
            }),
        }
    }

    /// Points the address at a (new) incarnation.
    pub fn attach(&self, actor: ActorRef<Envelope<M>>) {
        self.inner.actor.store(Some(Arc::new(actor)));
    }

    /// The gate.
    pub fn gate(&self) -> &Arc<Gate> {
        &self.inner.gate
    }

    /// The incarnation addressed now.
    pub fn actor(&self) -> Option<Arc<ActorRef<Envelope<M>>>> {
        self.inner.actor.load_full()
    }

    /// Sends, or gives the message back.
    pub fn send(&self, class: Class, message: M) -> Result<(), Returned<M>> {
        let gate = &self.inner.gate;
        let slot = match gate.admit(class) {
            Ok(slot) => slot,
            Err(why) => return Err(Returned { message, why }),
        };
        let envelope = Envelope {
            message,
            slot,
            sampled_at: is_sampled().then(Instant::now),
        };
        let guard = self.inner.actor.load();
        let Some(actor) = guard.as_ref() else {
            return Err(Returned {
                message: envelope.message,
                why: Refused::Gone,
            });
        };
        match actor.send_message(envelope) {
            Ok(()) => Ok(()),
            Err(MessagingErr::SendErr(envelope)) => Err(Returned {
                message: envelope.message,
                why: Refused::Gone,
            }),
            Err(MessagingErr::ChannelClosed | MessagingErr::InvalidActorType) => {
                unreachable!("a mailbox's actor has the mailbox's message type")
            }
        }
    }

    /// Sends a step of an admitted operation. It comes back only when the actor is dead, and then whoever restarts the actor
    /// also resumes its operations from the journal, so the sender has nothing to do.
    pub fn step(&self, message: M) {
        if self.send(Class::Internal, message).is_err() {
            tracing::debug!("a step found its actor gone");
        }
    }
}
