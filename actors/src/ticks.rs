//! Regular messages to an actor, for as long as this incarnation of it lives.

use crate::mailbox::{Envelope, Mailbox};
use ractor::{ActorRef, ActorStatus};
use std::time::Duration;

/// Sends `tick` at once and then again after each period.
pub(crate) fn keep_ticking<M: Send + 'static>(
    actor: ActorRef<Envelope<M>>,
    mailbox: Mailbox<M>,
    period: Duration,
    tick: fn() -> M,
) {
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(period);
        while actor.get_status() <= ActorStatus::Running {
            ticks.tick().await;
            mailbox.step(tick());
        }
    });
}
