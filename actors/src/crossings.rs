//! Carries transfers between this shard and others from the reservation to the end, and takes up what nobody carries on any more.
//! Every step is decided and recorded by the account shards; whoever is lost on the way, here or there, leaves a transfer that is
//! given up if it was not decided, and brought to its end if it was.

pub(crate) mod clearing;
mod fraud;
mod left;

use crate::account_shard::{CrossingMail, Held, Prepared, ShardMail};
use crate::context::{Context, Step};
use crate::ledger_handle::Told;
use crate::mailbox::Envelope;
use crate::owed::Owed;
use crate::reply::tell;
use crate::ticks::keep_ticking;
use florin_domain::commit::{Body, Commit};
use florin_domain::ids::{ApiKeyId, Seq, ShardId};
use florin_domain::ledger::{
    AbortReason, CrossOutcome, CrossTransfer, CrossingStep, LedgerEvent, Nets, Transfer, TransferId,
    TransferRefusal, Verdict,
};
use florin_domain::ports::ReadError;
use florin_domain::risk::FraudVote;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::oneshot;

/// Transfers from this shard to another one.
#[derive(Debug)]
pub struct Crossings {
    /// Which.
    pub transfers: Vec<Transfer>,
    /// The other shard.
    pub target: ShardId,
    /// Only say what would become of them.
    pub is_dry_run: bool,
    /// On whose word.
    pub by: ApiKeyId,
    /// What it holds to the end.
    pub held: Held,
    /// Who waits; nothing comes if the outcome is not known here.
    pub reply: oneshot::Sender<Vec<Told>>,
}

/// What the actor is told.
#[derive(Debug)]
pub enum CrossingsMail {
    /// Carry these out.
    Begin(Box<Crossings>),
    /// These are carried on no longer.
    Ended(Vec<TransferId>),
    /// Look for what is left.
    Tick,
    /// What was left has been taken up, and the clearing accounts were looked at if it was time for that.
    Swept(Option<ClearingLook>),
}

/// What the clearing accounts of all shards come to beyond what is under way; nothing if that could not be found out.
pub type ClearingLook = Option<Nets>;

/// The actor's state.
#[derive(Debug)]
pub struct CrossingsState {
    context: Arc<Context>,
    /// Carried on now.
    running: BTreeSet<TransferId>,
    /// Requests for something that is carried on now: they hear how it ends.
    parked: Vec<Crossings>,
    is_sweeping: bool,
    /// Sweeps since the clearing accounts were last looked at.
    sweeps: u32,
    clearing: clearing::Watch,
}

/// The actor.
#[derive(Clone, Copy, Debug)]
pub struct CrossingsCarrier;

/// How often a record is read again that was overtaken.
const TOLD_AGAIN_MAX: usize = 3;
/// Sweeps between two looks at the clearing accounts.
const CLEARING_EVERY: u32 = 60;

impl Actor for CrossingsCarrier {
    type Msg = Envelope<CrossingsMail>;
    type State = CrossingsState;
    type Arguments = Arc<Context>;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        context: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        if context.peers.len() > 1 {
            keep_ticking(
                myself,
                context.crossings.clone(),
                context.options.ticks.crossings,
                || CrossingsMail::Tick,
            );
        }
        Ok(CrossingsState {
            context,
            running: BTreeSet::new(),
            parked: Vec::new(),
            is_sweeping: false,
            sweeps: 0,
            clearing: clearing::Watch::default(),
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
            CrossingsMail::Begin(crossings) => {
                state.context.ports.probe.reached(Step::CrossingBegun);
                state.begin(*crossings);
            }
            CrossingsMail::Ended(ids) => {
                for id in ids {
                    state.running.remove(&id);
                }
                for parked in std::mem::take(&mut state.parked) {
                    state.begin(parked);
                }
            }
            CrossingsMail::Tick => state.sweep(),
            CrossingsMail::Swept(look) => {
                state.context.ports.probe.reached(Step::CrossingsSwept);
                state.is_sweeping = false;
                let alarm = look.and_then(|look| state.clearing.follow(look));
                if let Some(alarm) = alarm {
                    clearing::raise(&alarm);
                }
            }
        }
        Ok(())
    }
}

impl CrossingsState {
    fn begin(&mut self, crossings: Crossings) {
        let mut asked = crossings.transfers.iter();
        if asked.any(|transfer| self.running.contains(&transfer.id)) {
            self.parked.push(crossings);
            return;
        }
        let ids: Vec<TransferId> = crossings.transfers.iter().map(|transfer| transfer.id).collect();
        self.running.extend(ids.iter().copied());
        let context = Arc::clone(&self.context);
        let ended = || CrossingsMail::Ended(ids.clone());
        let owed = Owed::new(context.crossings.clone(), ended());
        let said = ended();
        tokio::spawn(async move {
            let run = Run {
                context: &context,
                target: crossings.target,
            };
            // Nothing comes back only when an account shard is gone, and then the process ends.
            drop(run.carry(crossings).await);
            owed.say(said);
        });
    }

    fn sweep(&mut self) {
        if self.is_sweeping {
            return;
        }
        self.is_sweeping = true;
        self.sweeps = self.sweeps.wrapping_add(1);
        let is_due = self.context.is_home() && self.sweeps.is_multiple_of(CLEARING_EVERY);
        let context = Arc::clone(&self.context);
        let owed = Owed::new(context.crossings.clone(), CrossingsMail::Swept(None));
        tokio::spawn(async move {
            drop(left::take_up(&context).await);
            let look = if is_due {
                Some(clearing::look(&context).await)
            } else {
                None
            };
            owed.say(CrossingsMail::Swept(look));
        });
    }
}

/// An account shard is gone, or its index of transfers cannot be read.
struct Unanswered;

async fn ask<T>(
    context: &Context,
    shard: ShardId,
    mail: impl FnOnce(oneshot::Sender<T>) -> CrossingMail,
) -> Result<T, Unanswered> {
    let (reply, waits) = oneshot::channel();
    let peer = context.peers.get(usize::from(shard.0)).ok_or(Unanswered)?;
    peer.step(ShardMail::Crossing(mail(reply)));
    waits.await.map_err(|_| Unanswered)
}

/// Transfers from this shard to one other.
struct Run<'a> {
    context: &'a Context,
    target: ShardId,
}

impl Run<'_> {
    async fn carry(&self, crossings: Crossings) -> Result<(), Unanswered> {
        let Crossings {
            transfers,
            is_dry_run,
            by,
            held,
            reply,
            ..
        } = crossings;
        let (asked, here) = (transfers.clone(), self.context.shard);
        let prepare = |reply| CrossingMail::Prepare {
            transfers: asked,
            is_dry_run,
            by,
            reply,
        };
        let prepared = ask(self.context, here, prepare).await?;
        self.reached(Step::CrossingPrepared);
        let open = prepared.transfers.clone();
        let (mut votes, mut checked) = (BTreeMap::new(), BTreeMap::new());
        if !open.is_empty() {
            let asked = open.clone();
            let reserve = |reply| CrossingMail::Reserve {
                transfers: asked,
                is_dry_run,
                reply,
            };
            // The debit has agreed by being prepared; the credit and the fraud check are asked at once.
            let (said, fraud) = tokio::join!(
                ask(self.context, self.target, reserve),
                fraud::votes(self.context, &open, is_dry_run)
            );
            let said = said?;
            checked = fraud;
            votes.extend(open.iter().zip(said).map(|(transfer, vote)| (transfer.id, vote)));
            self.reached(Step::CrossingReserved);
        }
        let wanted = |transfer: &CrossTransfer| match (votes.get(&transfer.id), checked.get(&transfer.id)) {
            (Some(Err(why)), _) => CrossOutcome::Aborted(*why),
            (Some(Ok(())), Some(FraudVote::Agreed)) => CrossOutcome::Decided,
            (Some(Ok(())), Some(FraudVote::Refused)) => CrossOutcome::Aborted(AbortReason::FraudCheck),
            // Without a vote there is no agreement.
            (Some(Ok(())), Some(FraudVote::Unanswered) | None) | (None, _) => {
                CrossOutcome::Aborted(AbortReason::GivenUp)
            }
        };
        let mut outcomes: BTreeMap<TransferId, (CrossTransfer, CrossOutcome)> = BTreeMap::new();
        if is_dry_run {
            outcomes.extend(
                open.iter()
                    .map(|transfer| (transfer.id, (transfer.clone(), wanted(transfer)))),
            );
        } else {
            let decided = open.into_iter().map(|transfer| {
                let outcome = wanted(&transfer);
                (transfer, outcome)
            });
            for (transfer, outcome) in self.decide(decided.collect()).await? {
                outcomes.insert(transfer.id, (transfer, outcome));
            }
            self.reached(Step::CrossingDecided);
        }
        // Whatever the caller can be told, what was decided is carried out.
        let told = self.told(&transfers, &prepared, (&outcomes, is_dry_run)).await;
        if let Ok(told) = told {
            tell(reply, told);
        }
        if !is_dry_run {
            let decided = outcomes.into_values().collect();
            finish(self.context, here, self.target, decided).await?;
        }
        drop(held);
        Ok(())
    }

    fn reached(&self, step: Step) {
        self.context.ports.probe.reached(step);
    }

    /// Decides what is prepared; what was decided meanwhile stays as it was decided.
    async fn decide(
        &self,
        wanted: Vec<(CrossTransfer, CrossOutcome)>,
    ) -> Result<Vec<(CrossTransfer, CrossOutcome)>, Unanswered> {
        decide(self.context, self.context.shard, wanted).await
    }

    /// What the caller is told of each transfer.
    async fn told(
        &self,
        asked: &[Transfer],
        prepared: &Prepared,
        (outcomes, is_dry_run): (&BTreeMap<TransferId, (CrossTransfer, CrossOutcome)>, bool),
    ) -> Result<Vec<Told>, Unanswered> {
        let mut told = Vec::with_capacity(asked.len());
        for (asked, verdict) in asked.iter().zip(&prepared.verdicts) {
            told.push(match verdict {
                Verdict::Refused(refusal) => Told::Refused(refusal.clone()),
                Verdict::Done => match outcomes.get(&asked.id) {
                    Some((_, CrossOutcome::Decided)) => Told::Done,
                    Some((transfer, CrossOutcome::Aborted(why))) => Told::Refused(why.refusal(transfer)),
                    None => Told::Refused(TransferRefusal::GivenUp),
                },
                Verdict::Exists => {
                    let seq = prepared.known.get(&asked.id).copied();
                    self.told_again(asked, seq, is_dry_run).await?
                }
            });
        }
        Ok(told)
    }

    /// What is told of a transfer whose id was used before: what was told then. One that nobody decided is given up now, unless
    /// this only asks.
    async fn told_again(
        &self,
        asked: &Transfer,
        seq: Option<Seq>,
        is_dry_run: bool,
    ) -> Result<Told, Unanswered> {
        let reused = Ok(Told::Refused(TransferRefusal::IdReused));
        let Some(mut seq) = seq else { return reused };
        for _ in 0..TOLD_AGAIN_MAX {
            let Some((transfer, outcome)) = self.recorded(asked.id, seq).await? else {
                return reused;
            };
            if !transfer.is_of(asked) {
                return reused;
            }
            let outcome = match outcome {
                Some(outcome) => Some(outcome),
                None if is_dry_run => return Ok(Told::Existed(seq)),
                None => {
                    let wanted = vec![(transfer.clone(), CrossOutcome::Aborted(AbortReason::GivenUp))];
                    let decided = self.decide(wanted).await?;
                    let outcome = decided.first().map(|(_, outcome)| *outcome);
                    finish(self.context, self.context.shard, self.target, decided).await?;
                    outcome
                }
            };
            match outcome {
                Some(CrossOutcome::Decided) => return Ok(Told::Existed(seq)),
                Some(CrossOutcome::Aborted(why)) => return Ok(Told::Refused(why.refusal(&transfer))),
                // It was decided and settled meanwhile: a later commit says how.
                None => seq = self.latest(asked.id)?.unwrap_or(seq),
            }
        }
        Err(Unanswered)
    }

    /// What the commit says of a transfer between shards, if it is one.
    async fn recorded(
        &self,
        id: TransferId,
        seq: Seq,
    ) -> Result<Option<(CrossTransfer, Option<CrossOutcome>)>, Unanswered> {
        let read = self.context.ports.journal.read(self.context.shard, seq, 1).await;
        let commits = read.map_err(|error| unreadable(&error))?;
        Ok(commits.first().and_then(|commit| step_of(commit, id)))
    }

    /// The latest commit about a transfer that is in the index.
    fn latest(&self, id: TransferId) -> Result<Option<Seq>, Unanswered> {
        let found = self.context.ports.transfers.commit_of(id);
        found.map_err(|error| unreadable(&error))
    }
}

fn unreadable(error: &ReadError) -> Unanswered {
    tracing::error!(%error, "the record of a transfer cannot be read");
    Unanswered
}

/// What a commit says of a transfer between shards: the transfer, and its outcome if it had one then.
pub(crate) fn step_of(commit: &Commit, id: TransferId) -> Option<(CrossTransfer, Option<CrossOutcome>)> {
    let Body::Ledger(ledger) = &commit.body else {
        return None;
    };
    let LedgerEvent::Crossed(steps) = &ledger.event else {
        return None;
    };
    let said = steps
        .iter()
        .filter(|step| !matches!(step, CrossingStep::Settled(_)));
    let step = said.rev().find(|step| step.id() == id)?;
    Some((step.transfer()?, step.outcome()))
}

async fn decide(
    context: &Context,
    source: ShardId,
    wanted: Vec<(CrossTransfer, CrossOutcome)>,
) -> Result<Vec<(CrossTransfer, CrossOutcome)>, Unanswered> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let outcomes = wanted.iter().map(|(transfer, outcome)| (transfer.id, *outcome));
    let outcomes = outcomes.collect();
    let said = ask(context, source, |reply| CrossingMail::Decide { outcomes, reply }).await?;
    let decided = wanted.into_iter().zip(said);
    Ok(decided
        .filter_map(|((transfer, _), outcome)| Some((transfer, outcome?)))
        .collect())
}

/// Has the other shard carry out what was decided, and then lets it be forgotten.
async fn finish(
    context: &Context,
    source: ShardId,
    target: ShardId,
    decided: Vec<(CrossTransfer, CrossOutcome)>,
) -> Result<(), Unanswered> {
    if decided.is_empty() {
        return Ok(());
    }
    let ids = decided.iter().map(|(transfer, _)| transfer.id).collect();
    let carry_out = |reply| CrossingMail::Finish {
        transfers: decided,
        reply,
    };
    ask(context, target, carry_out).await?;
    context.ports.probe.reached(Step::CrossingFinished);
    ask(context, source, |reply| CrossingMail::Settle { ids, reply }).await
}
