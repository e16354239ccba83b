//! The general ledger's part of the shard: accounts that operators open, transfers between them, reservations and closed periods.

use super::ShardState;
use crate::admission::InFlight;
use crate::mailbox::Class;
use crate::reply::tell;
use florin_domain::commit::Body;
use florin_domain::ids::{ApiKeyId, LedgerAccountId, Seq, ShardId};
use florin_domain::ledger::{
    AccountLimits, AccountState, AccountType, EffectiveDate, GeneralAccount, LedgerCommit, LedgerEvent,
    Linkage, Once, PostedTransfer, Transfer, TransferId, TransferRefusal, TransferStep, Verdict,
};
use florin_domain::money::Currency;
use florin_domain::ports::ReadError;
use florin_domain::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;

/// An account to open.
#[derive(Clone, Debug)]
pub struct OpenAccount {
    /// What its owner calls it.
    pub name: Arc<str>,
    /// Its type.
    pub account_type: AccountType,
    /// In what.
    pub currency: Currency,
    /// Whether its money is real.
    pub livemode: bool,
    /// What it may hold.
    pub limits: AccountLimits,
    /// The owner's own pairs.
    pub metadata: Vec<(Arc<str>, Arc<str>)>,
    /// The shard that has it.
    pub shard: ShardId,
    /// On whose word.
    pub by: ApiKeyId,
}

/// What became of an account that was to be opened.
#[derive(Clone, Debug, PartialEq)]
pub enum Opening {
    /// It is open.
    Opened(GeneralAccount),
    /// It was open already, on the same terms.
    Existed(GeneralAccount),
    /// Its name is that of an account on other terms.
    NameTaken(LedgerAccountId),
    /// The shard has as many accounts as it can number.
    Full,
}

/// Transfers to make.
#[derive(Clone, Debug)]
pub struct TransferRequest {
    /// What.
    pub transfers: Vec<Transfer>,
    /// What the refusal of one means for the others.
    pub linkage: Linkage,
    /// Only say what would become of them.
    pub is_dry_run: bool,
    /// On whose word.
    pub by: ApiKeyId,
}

/// What became of transfers.
#[derive(Clone, Debug, Default)]
pub struct TransferOutcome {
    /// The commit that recorded them, if any was recorded.
    pub seq: Option<Seq>,
    /// When they were decided.
    pub at: Timestamp,
    /// One for each that was asked for.
    pub verdicts: Vec<Verdict>,
    /// The commits of those whose ids were used before.
    pub known: BTreeMap<TransferId, Seq>,
}

/// What an admitted operation holds until it is done.
#[derive(Debug)]
pub struct Held {
    /// Its place among all operations.
    pub in_flight: InFlight,
    /// Room for its transfers.
    pub room: OwnedSemaphorePermit,
}

/// What the shard is told about the general ledger.
#[derive(Debug)]
pub enum GeneralMail {
    /// Open an account.
    Open {
        /// Which.
        open: Box<OpenAccount>,
        /// What it holds until it is durable.
        held: Held,
        /// Who waits.
        reply: oneshot::Sender<(Opening, Seq)>,
    },
    /// Make transfers.
    Transfer {
        /// Which.
        request: Arc<TransferRequest>,
        /// Who waits; nothing comes if the index of transfers cannot be read.
        reply: oneshot::Sender<TransferOutcome>,
        /// What it holds until it is durable, whoever still waits.
        held: Held,
    },
    /// Close every day up to one.
    ClosePeriod {
        /// The last day that is closed.
        through: EffectiveDate,
        /// In which mode.
        livemode: bool,
        /// On whose word; nobody's if another shard closed it before.
        by: Option<ApiKeyId>,
        /// What it holds until it is durable; nothing at a start, where nobody asked and nobody else is there yet.
        held: Option<Held>,
        /// Who waits.
        reply: oneshot::Sender<Seq>,
    },
    /// Opened accounts by number, from one on.
    Page {
        /// The first number.
        from: usize,
        /// At most so many.
        limit: usize,
        /// Who asks.
        reply: oneshot::Sender<(Vec<(GeneralAccount, AccountState)>, Seq)>,
    },
    /// The index has the transfers of this commit and those before it.
    Published(Seq),
    /// End reservations whose time is over.
    ExpirePending,
}

/// Transfers that are in order and that the index may not have yet.
#[derive(Debug, Default)]
pub(super) struct Recent {
    commits: HashMap<Once, Seq>,
    order: VecDeque<(Seq, Vec<Once>)>,
}

/// The transfer that this step reverts.
fn reverted_by(step: TransferStep) -> Option<TransferId> {
    match step {
        TransferStep::Revert { reverts } => Some(reverts),
        TransferStep::Single
        | TransferStep::Pending { .. }
        | TransferStep::Post { .. }
        | TransferStep::Void { .. } => None,
    }
}

impl Recent {
    pub(super) fn add(&mut self, seq: Seq, used: Vec<Once>) {
        self.commits.extend(used.iter().map(|once| (*once, seq)));
        self.order.push_back((seq, used));
    }

    pub(super) fn has(&self, once: Once) -> bool {
        self.commits.contains_key(&once)
    }

    fn forget_up_to(&mut self, seq: Seq) {
        while let Some((_, used)) = self.order.pop_front_if(|(added, _)| *added <= seq) {
            for once in used {
                // A transfer between shards is recorded several times; the latest record counts.
                if self.commits.get(&once).is_some_and(|latest| *latest <= seq) {
                    self.commits.remove(&once);
                }
            }
        }
    }
}

/// What a recorded transfer uses up.
fn used_by(transfer: &PostedTransfer) -> impl Iterator<Item = Once> {
    let reverted = reverted_by(transfer.step).map(Once::RevertOf);
    [Some(Once::Transfer(transfer.id)), reverted]
        .into_iter()
        .flatten()
}

/// Whoever sends what does not balance keeps books that do not: an operator is told, though nothing was recorded.
fn warn_of_imbalance(verdicts: &[Verdict]) {
    for verdict in verdicts {
        if let Verdict::Refused(TransferRefusal::Unbalanced(message)) = verdict {
            tracing::error!("{message}; nothing was recorded");
            metrics::counter!("florin_alerts_total", "alert" => "ledger_imbalance").increment(1);
        }
    }
}

/// Reservations that one commit ends.
const EXPIRED_MAX: usize = 1024;

impl ShardState {
    pub(super) fn general(&mut self, mail: GeneralMail) {
        match mail {
            GeneralMail::Open { open, held, reply } => {
                let opening = self.open_account(*open);
                self.after_durable(move |seq| {
                    drop(held);
                    tell(reply, (opening, seq));
                });
            }
            GeneralMail::Transfer { request, reply, held } => self.transfer(&request, reply, held),
            GeneralMail::ClosePeriod {
                through,
                livemode,
                by,
                held,
                reply,
            } => {
                if self.books.closed_through(livemode) < Some(through) {
                    self.books.close_through(livemode, through);
                    self.record(LedgerEvent::PeriodClosed { through, livemode }, by);
                }
                self.after_durable(move |seq| {
                    drop(held);
                    tell(reply, seq);
                });
            }
            GeneralMail::Page { from, limit, reply } => {
                let accounts = self.books.general_accounts_from(from).take(limit);
                let page = accounts
                    .map(|(account, state)| (account.clone(), *state))
                    .collect();
                let seq = self.head;
                self.after_durable(move |_| tell(reply, (page, seq)));
            }
            GeneralMail::Published(seq) => self.recent.forget_up_to(seq),
            GeneralMail::ExpirePending => self.expire_pending(),
        }
    }

    fn open_account(&mut self, open: OpenAccount) -> Opening {
        let OpenAccount {
            name,
            account_type,
            currency,
            livemode,
            limits,
            metadata,
            shard: _,
            by,
        } = open;
        if let Some(id) = self.books.account_named(&name, currency, livemode)
            && let Some(known) = self.books.general_account(id)
        {
            let same_terms = known.id.account_type() == Some(account_type) && known.limits == limits;
            return if same_terms && known.metadata == metadata {
                Opening::Existed(known.clone())
            } else {
                Opening::NameTaken(id)
            };
        }
        let Ok(number) = u32::try_from(self.books.general_accounts().len()) else {
            return Opening::Full;
        };
        let at = self.context.ports.clock.now();
        let terms = (account_type, currency, livemode);
        let account = GeneralAccount {
            id: LedgerAccountId::pack(at, self.context.shard, terms, number),
            name,
            limits,
            metadata,
        };
        if !self.books.open_account(account.clone()) {
            return Opening::Full;
        }
        self.record(LedgerEvent::AccountOpened(account.clone()), Some(by));
        Opening::Opened(account)
    }

    fn transfer(&mut self, request: &TransferRequest, reply: oneshot::Sender<TransferOutcome>, held: Held) {
        let began = Instant::now();
        let asked = request.transfers.iter();
        let found = self.known_among(asked.clone().map(|transfer| transfer.id));
        let found = found.and_then(|known| {
            let reverted = self.reverted_among(asked.filter_map(|transfer| reverted_by(transfer.step)))?;
            Ok((known, reverted))
        });
        let (known, reverted) = match found {
            Ok(found) => found,
            Err(error) => return tracing::error!(%error, "the index of transfers cannot be read"),
        };
        let at = self.context.ports.clock.now();
        let place = (at, self.head.next());
        let is_used = |once| match once {
            Once::Transfer(id) => known.contains_key(&id),
            Once::RevertOf(id) => reverted.contains(&id),
            Once::Alert(_) => false,
        };
        let (asked, linkage) = (request.transfers.as_slice(), request.linkage);
        let done = if request.is_dry_run {
            self.books.dry_transfer(asked, linkage, place, is_used)
        } else {
            self.books.transfer(asked, linkage, place, is_used)
        };
        if !request.is_dry_run {
            warn_of_imbalance(&done.verdicts);
        }
        let count = if request.is_dry_run {
            0
        } else {
            done.recorded.len()
        };
        let mut outcome = TransferOutcome {
            seq: None,
            at,
            verdicts: done.verdicts,
            known,
        };
        if !request.is_dry_run && !done.recorded.is_empty() {
            let used = done.recorded.iter().flat_map(used_by).collect();
            let seq = self.record_at(LedgerEvent::Transferred(done.recorded), Some(request.by), at);
            self.recent.add(seq, used);
            outcome.seq = Some(seq);
        }
        self.heat.count(asked, count, began.elapsed());
        let shard = self.context.account_shard.clone();
        self.after_durable(move |_| {
            if let Some(seq) = outcome.seq {
                // A full mailbox refuses no internal mail, and a dead shard has nothing to forget.
                drop(shard.send(
                    Class::Internal,
                    super::ShardMail::General(GeneralMail::Published(seq)),
                ));
            }
            drop(held);
            tell(reply, outcome);
        });
    }

    /// The commits of those ids that were used before. In order is enough: what is not durable yet will be, or nobody is answered.
    pub(super) fn known_among(
        &self,
        asked: impl Iterator<Item = TransferId>,
    ) -> Result<BTreeMap<TransferId, Seq>, ReadError> {
        let mut known = BTreeMap::new();
        for id in asked {
            let found = match self.recent.commits.get(&Once::Transfer(id)) {
                Some(seq) => Some(*seq),
                None => self.context.ports.transfers.commit_of(id)?,
            };
            known.extend(found.map(|seq| (id, seq)));
        }
        Ok(known)
    }

    /// Those of them that are reverted already.
    fn reverted_among(
        &self,
        asked: impl Iterator<Item = TransferId>,
    ) -> Result<BTreeSet<TransferId>, ReadError> {
        let mut reverted = BTreeSet::new();
        for id in asked {
            let is_recent = self.recent.commits.contains_key(&Once::RevertOf(id));
            if is_recent || self.context.ports.transfers.revert_of(id)?.is_some() {
                reverted.insert(id);
            }
        }
        Ok(reverted)
    }

    fn expire_pending(&mut self) {
        let over = self
            .books
            .pending_over(self.context.ports.clock.now(), EXPIRED_MAX);
        let ended: Vec<TransferId> = over
            .into_iter()
            .filter(|id| match self.books.expire_pending(*id) {
                Ok(()) => true,
                Err(error) => {
                    tracing::error!(transfer = %id, %error, "a reservation cannot be ended");
                    false
                }
            })
            .collect();
        if ended.len() == EXPIRED_MAX {
            // More may be over; what waits in the mailbox comes first.
            let again = super::ShardMail::General(GeneralMail::ExpirePending);
            self.context.account_shard.step(again);
        }
        if !ended.is_empty() {
            self.record(LedgerEvent::PendingExpired(ended), None);
        }
    }

    fn record(&mut self, event: LedgerEvent, by: Option<ApiKeyId>) -> Seq {
        let at = self.context.ports.clock.now();
        self.record_at(event, by, at)
    }

    pub(super) fn record_at(&mut self, event: LedgerEvent, by: Option<ApiKeyId>, at: Timestamp) -> Seq {
        let body = Body::Ledger(LedgerCommit { event, by });
        let weight = super::weight(&body);
        self.put_in_order(body, at);
        self.snapshot_when_due(weight);
        self.head
    }
}
