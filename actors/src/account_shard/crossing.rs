//! The shard's part in transfers between shards. Each answer is given when what it says is durable.

use super::general::GeneralMail;
use super::looks::LookMail;
use super::{ShardMail, ShardState};
use crate::mailbox::Class;
use crate::reply::tell;
use florin_domain::ids::{ApiKeyId, Seq};
use florin_domain::ledger::{
    AbortReason, AccountName, CrossOutcome, CrossPhase, CrossTransfer, Crossed, Crossing, CrossingStep,
    LedgerEvent, Line, Once, Transfer, TransferId, Verdict,
};
use florin_domain::ports::ReadError;
use florin_domain::time::{Millis, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::oneshot;

/// What became of transfers that were to be prepared.
#[derive(Debug, Default)]
pub struct Prepared {
    /// One for each that was asked for.
    pub verdicts: Vec<Verdict>,
    /// Those that are prepared now.
    pub transfers: Vec<CrossTransfer>,
    /// The commits of those whose ids were used before.
    pub known: BTreeMap<TransferId, Seq>,
}

/// What the shard is told about transfers between shards. Nothing comes back if the index of transfers cannot be read.
#[derive(Debug)]
pub enum CrossingMail {
    /// Reserve the leading side.
    Prepare {
        /// Of which.
        transfers: Vec<Transfer>,
        /// Only say what would become of them.
        is_dry_run: bool,
        /// On whose word.
        by: ApiKeyId,
        /// Who waits.
        reply: oneshot::Sender<Prepared>,
    },
    /// Reserve the other side, or refuse.
    Reserve {
        /// Of which.
        transfers: Vec<CrossTransfer>,
        /// Only say what would become of them.
        is_dry_run: bool,
        /// Who waits.
        reply: oneshot::Sender<Vec<Result<(), AbortReason>>>,
    },
    /// Decide what is prepared here.
    Decide {
        /// What, if it is not decided yet.
        outcomes: Vec<(TransferId, CrossOutcome)>,
        /// Who waits; of one that is not open here nothing is said.
        reply: oneshot::Sender<Vec<Option<CrossOutcome>>>,
    },
    /// Carry out what the leading shards decided.
    Finish {
        /// What.
        transfers: Vec<(CrossTransfer, CrossOutcome)>,
        /// Who waits.
        reply: oneshot::Sender<()>,
    },
    /// The other shards have carried these out.
    Settle {
        /// Which.
        ids: Vec<TransferId>,
        /// Who waits.
        reply: oneshot::Sender<()>,
    },
    /// What nobody seems to carry on: what was open at the start, or has been for so long.
    Left {
        /// How long.
        patience: Millis,
        /// At most so many.
        limit: usize,
        /// Who asks.
        reply: oneshot::Sender<Vec<Crossing>>,
    },
    /// Everything that is open.
    Open(oneshot::Sender<Vec<Crossing>>),
    /// A look at the clearing accounts of all shards.
    Look(LookMail),
}

/// Money that fits its account no more has to be looked at by a person.
fn warn_of_suspense(steps: &[CrossingStep]) {
    let is_suspense = |line: &Line| line.posting.account.name == AccountName::Suspense;
    for step in steps.iter().filter(|step| step.lines().iter().any(is_suspense)) {
        tracing::error!(transfer = %step.id(), "the half of a transfer between shards went to suspense");
        metrics::counter!("florin_ledger_suspense_total").increment(1);
    }
}

fn unreadable(error: &ReadError) {
    tracing::error!(%error, "the index of transfers cannot be read");
}

impl ShardState {
    pub(super) fn crossing(&mut self, mail: CrossingMail) -> Result<(), florin_domain::ledger::PostingError> {
        let place = (self.context.ports.clock.now(), self.head.next());
        match mail {
            CrossingMail::Prepare {
                transfers,
                is_dry_run,
                by,
                reply,
            } => match self.known_among(transfers.iter().map(|transfer| transfer.id)) {
                Ok(known) => self.prepare((transfers, known, is_dry_run), by, place, reply),
                Err(error) => unreadable(&error),
            },
            CrossingMail::Reserve {
                transfers,
                is_dry_run,
                reply,
            } => match self.known_among(transfers.iter().map(|transfer| transfer.id)) {
                Ok(known) => {
                    let is_known = |id| known.contains_key(&id);
                    let Crossed { steps, said } = self
                        .books
                        .reserve_crossings(&transfers, place, is_dry_run, is_known);
                    self.record_steps(if is_dry_run { Vec::new() } else { steps }, None, place.0);
                    self.after_durable(move |_| tell(reply, said));
                }
                Err(error) => unreadable(&error),
            },
            CrossingMail::Decide { outcomes, reply } => {
                let Crossed { steps, said } = self.books.decide_crossings(&outcomes, place);
                self.record_steps(steps, None, place.0);
                self.after_durable(move |_| tell(reply, said));
            }
            CrossingMail::Finish { transfers, reply } => {
                match self.known_among(transfers.iter().map(|(transfer, _)| transfer.id)) {
                    Ok(known) => {
                        let is_known = |id| known.contains_key(&id);
                        let steps = self.books.finish_crossings(&transfers, place, is_known)?;
                        warn_of_suspense(&steps);
                        self.record_steps(steps, None, place.0);
                        self.after_durable(move |_| tell(reply, ()));
                    }
                    Err(error) => unreadable(&error),
                }
            }
            CrossingMail::Settle { ids, reply } => {
                let steps = self.books.settle_crossings(&ids);
                self.record_steps(steps, None, place.0);
                self.after_durable(move |_| tell(reply, ()));
            }
            CrossingMail::Left {
                patience,
                limit,
                reply,
            } => {
                let now = place.0;
                let is_left = |crossing: &&Crossing| {
                    self.inherited.contains(&crossing.transfer.id) || now.since(crossing.since) >= patience
                };
                let left = self.books.crossings().filter(is_left).take(limit);
                let left = left.cloned().collect();
                self.after_durable(move |_| tell(reply, left));
            }
            CrossingMail::Look(mail) => self.look(mail),
            CrossingMail::Open(reply) => {
                let open = self.books.crossings().cloned().collect();
                self.after_durable(move |_| tell(reply, open));
            }
        }
        Ok(())
    }

    fn prepare(
        &mut self,
        (transfers, known, is_dry_run): (Vec<Transfer>, BTreeMap<TransferId, Seq>, bool),
        by: ApiKeyId,
        place: (Timestamp, Seq),
        reply: oneshot::Sender<Prepared>,
    ) {
        let is_known = |id| known.contains_key(&id);
        let Crossed { steps, said } = self
            .books
            .prepare_crossings(&transfers, place, is_dry_run, is_known);
        let prepared = Prepared {
            verdicts: said,
            transfers: steps.iter().filter_map(CrossingStep::transfer).collect(),
            known,
        };
        self.record_steps(if is_dry_run { Vec::new() } else { steps }, Some(by), place.0);
        self.after_durable(move |_| tell(reply, prepared));
    }

    /// Records steps in one commit, if there are any, and remembers their ids until the index has them.
    fn record_steps(&mut self, steps: Vec<CrossingStep>, by: Option<ApiKeyId>, at: Timestamp) {
        if steps.is_empty() {
            return;
        }
        self.looked_at.record(&steps);
        for step in &steps {
            let is_over = self.books.crossing(step.id()).is_none();
            if is_over {
                self.inherited.remove(&step.id());
            }
        }
        let said = steps
            .iter()
            .filter(|step| !matches!(step, CrossingStep::Settled(_)));
        let ids: Vec<Once> = said.map(|step| Once::Transfer(step.id())).collect();
        let seq = self.record_at(LedgerEvent::Crossed(steps), by, at);
        if ids.is_empty() {
            return;
        }
        self.recent.add(seq, ids);
        let shard = self.context.account_shard.clone();
        self.after_durable(move |_| {
            // A full mailbox refuses no internal mail, and a dead shard has nothing to forget.
            drop(shard.send(Class::Internal, ShardMail::General(GeneralMail::Published(seq))));
        });
    }
}

/// What was open when the shard started: whoever carried it on is gone.
pub(super) fn inherited(books: &florin_domain::ledger::Books) -> BTreeSet<TransferId> {
    books.crossings().map(|crossing| crossing.transfer.id).collect()
}

/// Whether a shard leads a transfer that it still has to do with.
pub fn leads(crossing: &Crossing) -> bool {
    match crossing.phase {
        CrossPhase::Prepared | CrossPhase::Over(_) => true,
        CrossPhase::Reserved => false,
    }
}
