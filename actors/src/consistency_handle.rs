//! The face of the consistency monitor: what its last rounds found, and a round on demand.

use crate::context::Context;
use crate::ledger_handle::LedgerError;
use crate::mailbox::{Class, Refused};
use crate::monitor::MonitorMail;
use crate::shards::Shards;
use florin_domain::consistency::Round;
use florin_domain::time::Millis;
use std::sync::Arc;
use tokio::sync::oneshot;

/// The face of the monitors of some shards.
#[derive(Clone, Debug)]
pub struct ConsistencyHandle {
    shards: Shards,
}

impl ConsistencyHandle {
    /// A handle on the monitors of these shards.
    pub fn new(shards: Shards) -> Self {
        Self { shards }
    }

    /// How many shards there are.
    pub fn shards(&self) -> usize {
        self.shards.count()
    }

    /// The last round of each shard; shards without any yet are left out.
    pub fn last(&self) -> Vec<Arc<Round>> {
        let last = |context: &Arc<Context>| context.monitor_board.load().last.clone();
        self.shards.iter().filter_map(last).collect()
    }

    /// Whether a round is so old that more than three should have followed it: what it found may not be so any more.
    pub fn is_stale(&self, round: &Round) -> bool {
        let context = self.shards.home();
        let every = u64::try_from(context.options.monitor_every.as_millis()).unwrap_or(u64::MAX);
        round.is_stale(context.ports.clock.now(), Millis(every))
    }

    /// Runs a round in every shard, which begins after this call.
    pub async fn run(&self) -> Result<Vec<Arc<Round>>, LedgerError> {
        let mut asked = Vec::with_capacity(self.shards.count());
        for context in self.shards.iter() {
            let (reply, waits) = oneshot::channel();
            let sent = context.monitor.send(Class::New, MonitorMail::Run(reply));
            sent.map_err(|returned| match returned.why {
                Refused::Full { .. } => LedgerError::Busy,
                Refused::Gone => LedgerError::Gone,
            })?;
            asked.push(waits);
        }
        let mut rounds = Vec::with_capacity(asked.len());
        for waits in asked {
            let round = waits.await.map_err(|_| LedgerError::Gone)?;
            rounds.push(round.map_err(|_| LedgerError::Busy)?);
        }
        Ok(rounds)
    }
}
