//! Keys of payments that nobody drives any more, set aside or not startable, while their first commit may still be on its way.
//! Such a key stays in memory until the index has it, or until everything that was on its way then is durable and the index still
//! does not have it: then nothing came of the payment, and the key is free.

use crate::account_shard::ShardMail;
use crate::context::Context;
use crate::mailbox::Class;
use florin_domain::ids::Seq;
use tokio::sync::oneshot;

/// When a key was orphaned, in the order of all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct OrphanedAt(u64);

/// Asks, one barrier at a time, what has landed.
#[derive(Debug, Default)]
pub(super) struct Orphans {
    latest: u64,
    barrier: Option<(OrphanedAt, oneshot::Receiver<Seq>)>,
}

impl Orphans {
    /// The next key is orphaned.
    pub(super) fn next(&mut self) -> OrphanedAt {
        self.latest = self.latest.saturating_add(1);
        OrphanedAt(self.latest)
    }

    /// Has it asked what has landed, if nobody has asked yet.
    pub(super) fn ask(&mut self, context: &Context) {
        if self.barrier.is_some() {
            return;
        }
        let (reply, waits) = oneshot::channel();
        let sent = context
            .account_shard
            .send(Class::Internal, ShardMail::Barrier(reply));
        if sent.is_ok() {
            self.barrier = Some((OrphanedAt(self.latest), waits));
        }
    }

    /// Of keys orphaned up to then, whatever was on its way has landed and is in the index.
    pub(super) fn landed(&mut self) -> Option<OrphanedAt> {
        let (up_to, waits) = self.barrier.as_mut()?;
        let up_to = *up_to;
        match waits.try_recv() {
            Ok(_) => {
                self.barrier = None;
                Some(up_to)
            }
            Err(oneshot::error::TryRecvError::Empty) => None,
            // The shard's mail is lost only with the process; asking again harms nobody.
            Err(oneshot::error::TryRecvError::Closed) => {
                self.barrier = None;
                None
            }
        }
    }
}
