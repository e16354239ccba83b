//! The face of the ledger: accounts, their entries and the trial balance, all as of a durable commit.

mod across;
mod alerts;
mod all_shards;
mod as_of;
mod crossed;
mod entries;
mod export;
mod revert;
mod routing;

pub use crate::account_shard::AccountTitle;
pub use all_shards::{AsOfRows, Standing};
pub use as_of::{Moment, PastBalance};
pub use crossed::CrossRecord;
pub use entries::AccountEntry;
pub use export::{PostedLine, posted_lines};
pub use revert::{RevertError, RevertRequest};

use crate::account_shard::{
    GeneralMail, Held, OpenAccount, Opening, ShardMail, TransferOutcome, TransferRequest,
};
use crate::admission::Shed;
use crate::context::Context;
use crate::mailbox::{Class, Refused};
use crate::shards::Shards;
use crate::source::{Source as _, ToDecide, ToShow};
use florin_domain::commit::{Body, Commit};
use florin_domain::ids::{Seq, ShardId};
use florin_domain::ledger::{
    AccountKey, AccountState, CrossingStep, LedgerEvent, LedgerRules, Legs, PostedTransfer, Transfer,
    TransferId, TransferLegs, TransferRefusal, TransferStep, Verdict,
};
use florin_domain::merchant::ControlEvent;
use florin_domain::ports::{PastCommit, ReadError};
use florin_domain::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use thiserror::Error;
use tokio::sync::oneshot;

/// How many pairs a transfer takes as much room as.
fn weight(transfer: &Transfer) -> usize {
    match &transfer.legs {
        TransferLegs::Pair { .. } | TransferLegs::OfPending(_) | TransferLegs::Irreversible(_) => 1,
        TransferLegs::Many(postings) => postings.len().div_ceil(2),
    }
}

/// Why the ledger cannot answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LedgerError {
    /// Too many questions wait.
    #[error("too many ledger requests wait")]
    Busy,
    /// Refused at the edge.
    #[error("the platform takes no more work now")]
    Shed(Shed),
    /// The shard is gone.
    #[error("the ledger is stopping")]
    Gone,
    /// The journal cannot be read.
    #[error("{0}")]
    Read(ReadError),
    /// Something may have been done, and nobody here knows what.
    #[error("what became of the request is not known")]
    Unknown,
    /// Every shard has a part of the account, and its lines are asked for one part at a time.
    #[error("every shard has a part of this account")]
    Striped,
}

/// What a caller is told of one transfer.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// It is recorded now.
    Done,
    /// It was recorded before, by this commit.
    Existed(Seq),
    /// Nothing of it is recorded.
    Refused(TransferRefusal),
}

/// What became of a request for transfers.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The commit that recorded what was recorded now.
    pub seq: Option<Seq>,
    /// One for each transfer that was asked for.
    pub told: Vec<Told>,
}

/// The transfers of one shard that a commit records.
fn transfers_in(commit: &Commit) -> &[PostedTransfer] {
    match &commit.body {
        Body::Ledger(ledger) => match &ledger.event {
            LedgerEvent::Transferred(transfers) => transfers,
            LedgerEvent::AccountOpened(_)
            | LedgerEvent::PendingExpired(_)
            | LedgerEvent::Crossed(_)
            | LedgerEvent::PeriodClosed { .. }
            | LedgerEvent::AlertCreated(_)
            | LedgerEvent::AlertDeleted(_) => &[],
        },
        Body::Payment(_) | Body::Control(_) => &[],
    }
}

/// The steps of transfers between shards that a commit records.
fn steps_in(commit: &Commit) -> &[CrossingStep] {
    match &commit.body {
        Body::Ledger(ledger) => match &ledger.event {
            LedgerEvent::Crossed(steps) => steps.as_slice(),
            LedgerEvent::Transferred(_)
            | LedgerEvent::AccountOpened(_)
            | LedgerEvent::PendingExpired(_)
            | LedgerEvent::PeriodClosed { .. }
            | LedgerEvent::AlertCreated(_)
            | LedgerEvent::AlertDeleted(_) => &[],
        },
        Body::Payment(_) | Body::Control(_) => &[],
    }
}

/// All transfers that it posts, also the halves of those between shards.
fn posted_in(commit: &Commit) -> impl Iterator<Item = &PostedTransfer> {
    let halves = steps_in(commit).iter().filter_map(CrossingStep::posted);
    transfers_in(commit).iter().chain(halves)
}

/// Whether this is the record of what is asked for. That all of a reservation was posted is known from the reservation alone.
fn is_same(
    asked: &Transfer,
    record: &PostedTransfer,
    reservations: &BTreeMap<TransferId, (Seq, PostedTransfer)>,
) -> bool {
    if !record.is_of(asked) {
        return false;
    }
    let (TransferStep::Post { pending }, TransferLegs::OfPending(None), Legs::Pair(posted)) =
        (asked.step, &asked.legs, &record.legs)
    else {
        return true;
    };
    match reservations
        .get(&pending)
        .map(|(_, reservation)| &reservation.legs)
    {
        Some(Legs::Reserved(postings)) => postings.iter().any(|posting| posting.amount == posted.amount),
        Some(Legs::Pair(_) | Legs::Many(_) | Legs::Released) | None => false,
    }
}

fn found<T>(seq: Seq, read: Result<Option<T>, ReadError>) -> Result<T, LedgerError> {
    let missing = || ReadError::Damaged {
        seq,
        why: "missing".to_owned(),
    };
    read.and_then(|commit| commit.ok_or_else(missing))
        .map_err(LedgerError::Read)
}

fn not_posted(seq: Seq) -> LedgerError {
    LedgerError::Read(ReadError::Damaged {
        seq,
        why: "it does not post to the account".to_owned(),
    })
}

/// The face of the ledger.
#[derive(Clone, Debug)]
pub struct LedgerHandle {
    shards: Shards,
    /// The shard at hand.
    context: Arc<Context>,
}

impl LedgerHandle {
    /// A handle on these actors.
    pub fn new(shards: Shards) -> Self {
        let context = Arc::clone(shards.home());
        Self { shards, context }
    }

    /// The same at another shard. An id of a shard that is not here names nothing, as the home will find.
    fn at(&self, shard: ShardId) -> Self {
        self.on(self.shards.get(shard).unwrap_or(self.shards.home()))
    }

    fn on(&self, context: &Arc<Context>) -> Self {
        Self {
            context: Arc::clone(context),
            shards: self.shards.clone(),
        }
    }

    async fn ask<T>(&self, mail: impl FnOnce(oneshot::Sender<T>) -> ShardMail) -> Result<T, LedgerError> {
        self.ask_as(Class::New, mail).await
    }

    async fn ask_as<T>(
        &self,
        class: Class,
        mail: impl FnOnce(oneshot::Sender<T>) -> ShardMail,
    ) -> Result<T, LedgerError> {
        let (reply, waits) = oneshot::channel();
        let sent = self.context.account_shard.send(class, mail(reply));
        sent.map_err(|returned| match returned.why {
            Refused::Full { .. } => LedgerError::Busy,
            Refused::Gone => LedgerError::Gone,
        })?;
        // It was handed over.
        waits.await.map_err(|_| LedgerError::Unknown)
    }

    /// The shard's part of an account, and the commit as of which it stands so.
    async fn account_here(&self, key: AccountKey) -> Result<(AccountState, Seq), LedgerError> {
        self.ask(|reply| ShardMail::Account { key, reply }).await
    }

    /// Admits an operation, with room for its transfers.
    fn held(&self, transfers: usize) -> Result<Held, LedgerError> {
        let in_flight = self.context.admission.enter().map_err(LedgerError::Shed)?;
        let count = u32::try_from(transfers).map_err(|_| LedgerError::Busy)?;
        let room = Arc::clone(&self.context.transfer_room).try_acquire_many_owned(count);
        let room = room.map_err(|_| LedgerError::Busy)?;
        Ok(Held { in_flight, room })
    }

    /// Opens an account, or says that it is open already.
    pub async fn open_account(&self, open: OpenAccount) -> Result<Opening, LedgerError> {
        let (open, held) = (Box::new(open), self.held(0)?);
        let shard = self.at(open.shard);
        let asked = shard.ask(|reply| ShardMail::General(GeneralMail::Open { open, held, reply }));
        asked.await.map(|(opening, _)| opening)
    }

    /// What is booked by.
    pub fn rules(&self) -> &LedgerRules {
        &self.context.options.ledger
    }

    /// Now, by the clock that transfers are recorded by.
    pub fn now(&self) -> Timestamp {
        self.context.ports.clock.now()
    }

    /// Makes transfers among accounts of this shard.
    async fn transfer_here(&self, request: TransferRequest, held: Held) -> Result<Answer, LedgerError> {
        let request = Arc::new(request);
        let mail = |reply| GeneralMail::Transfer {
            request: Arc::clone(&request),
            reply,
            held,
        };
        let outcome = self.ask(|reply| ShardMail::General(mail(reply))).await?;
        let TransferOutcome {
            seq, verdicts, known, ..
        } = outcome;
        let asked = &request.transfers;
        let recorded = self.records(&known).await?;
        let reservations = self.reservations(asked, &known).await?;
        let told = asked.iter().zip(verdicts).map(|(asked, verdict)| match verdict {
            Verdict::Done => Told::Done,
            Verdict::Refused(refusal) => Told::Refused(refusal),
            Verdict::Exists => match recorded.get(&asked.id) {
                Some((seq, record)) if is_same(asked, record, &reservations) => Told::Existed(*seq),
                Some(_) | None => Told::Refused(TransferRefusal::IdReused),
            },
        });
        Ok(Answer {
            seq,
            told: told.collect(),
        })
    }

    /// The records of transfers, each commit read once.
    async fn records(
        &self,
        commits: &BTreeMap<TransferId, Seq>,
    ) -> Result<BTreeMap<TransferId, (Seq, PostedTransfer)>, LedgerError> {
        let mut records = BTreeMap::new();
        for seq in commits.values().copied().collect::<BTreeSet<Seq>>() {
            let commit = self.commit(seq).await?;
            for transfer in transfers_in(&commit) {
                if commits.get(&transfer.id) == Some(&seq) {
                    records.insert(transfer.id, (seq, transfer.clone()));
                }
            }
        }
        Ok(records)
    }

    /// The reservations all of which is asked to be posted, by transfers that were made before.
    async fn reservations(
        &self,
        asked: &[Transfer],
        known: &BTreeMap<TransferId, Seq>,
    ) -> Result<BTreeMap<TransferId, (Seq, PostedTransfer)>, LedgerError> {
        let mut commits = BTreeMap::new();
        for transfer in asked.iter().filter(|transfer| known.contains_key(&transfer.id)) {
            if let (TransferStep::Post { pending }, TransferLegs::OfPending(None)) =
                (transfer.step, &transfer.legs)
            {
                let found = self.context.ports.transfers.commit_of(pending);
                commits.extend(found.map_err(LedgerError::Read)?.map(|seq| (pending, seq)));
            }
        }
        self.records(&commits).await
    }

    /// The record of a transfer in this shard, and the commit that holds it.
    async fn recorded_here(
        &self,
        id: TransferId,
    ) -> Result<Option<(PastCommit, PostedTransfer)>, LedgerError> {
        let found = self
            .context
            .ports
            .transfers
            .commit_of(id)
            .map_err(LedgerError::Read)?;
        let Some(seq) = found else { return Ok(None) };
        let commit = self.past_commit(seq).await?;
        let mut transfers = transfers_in(&commit).iter();
        let transfer = transfers.find(|transfer| transfer.id == id).cloned();
        Ok(transfer.map(|transfer| (commit, transfer)))
    }

    /// A record that is decided by.
    async fn commit(&self, seq: Seq) -> Result<Arc<Commit>, LedgerError> {
        found(seq, ToDecide(&self.context).commit(seq).await)
    }

    /// A record that is shown.
    async fn past_commit(&self, seq: Seq) -> Result<PastCommit, LedgerError> {
        found(seq, ToShow(&self.context).commit(seq).await)
    }

    /// Records a change of control data that always has something to say.
    pub async fn record_control(&self, event: ControlEvent) -> Result<Seq, LedgerError> {
        let recorded = self.record_version(event).await?;
        recorded.ok_or(LedgerError::Unknown)
    }

    /// Records a version of control data. `None` if it is not the next one: others came first, and are in force or to come now.
    pub(crate) async fn record_version(&self, event: ControlEvent) -> Result<Option<Seq>, LedgerError> {
        self.on(self.shards.home())
            .ask(|reply| ShardMail::Control { event, reply })
            .await
    }

    /// Keeps a snapshot of every shard now.
    pub async fn snapshot(&self) -> Result<(), LedgerError> {
        for context in self.shards.iter() {
            self.on(context).ask(ShardMail::Snapshot).await?;
        }
        Ok(())
    }
}
