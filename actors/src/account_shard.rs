//! The account shard: the only writer of a shard's balances, and the sequencer of its commits. Running balances are assigned
//! in the order in which commits will be durable; what is read from here is answered only after that has happened. Never
//! restarted: its failure ends the process, and recovery folds the journal again.

mod alert_log;
mod alerts;
mod crossing;
mod first_uses;
mod general;
mod heat;
mod looks;
mod questions;

pub use alerts::{AlertCreation, AlertMail, AlertPage, ShownAlert};
pub use crossing::{CrossingMail, Prepared, leads};
pub use general::{GeneralMail, Held, OpenAccount, Opening, TransferOutcome, TransferRequest};
pub use looks::{Begun, LookMail};
pub use questions::{AccountTitle, ClosedPeriods, PaymentAccounts, Question};

use crate::context::{Context, Step};
use crate::journal_writer::{Published, Ticket, WriterMail};
use crate::mailbox::{Envelope, Mailbox};
use crate::payment::PaymentMail;
use crate::reply::tell;
use florin_domain::announcement::Announcement;
use florin_domain::commit::{Body, Commit, PaymentCommit};
use florin_domain::ids::{PaymentId, Seq};
use florin_domain::ledger::{
    AccountKey, AccountName, AccountState, Books, Consequences, CurrencyTotal, Entry, LedgerEvent,
    PostedEntry, Posting, PostingError, Side, TransferId,
};
use florin_domain::merchant::{Control, ControlEvent};
use florin_domain::payment::{Event, Payment};
use florin_domain::ports::ShardSnapshot;
use florin_domain::time::Timestamp;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;
use thiserror::Error;
use tokio::sync::oneshot;

/// A commit on a payment, not yet in order.
#[derive(Debug)]
pub struct Draft {
    /// Which payment.
    pub payment: PaymentId,
    /// Its last commit.
    pub prev: Seq,
    /// What happens to it.
    pub events: Vec<Event>,
    /// What that does to the books.
    pub consequences: Consequences,
    /// The payment afterwards.
    pub after: Arc<Payment>,
    /// What merchants are told of it.
    pub announced: Vec<Announcement>,
    /// When it was decided.
    pub at: Timestamp,
    /// Of a payment that begins: nobody had used its key up to this commit.
    pub missed_behind: Seq,
}

/// Why a commit was not put in order.
#[derive(Clone, Debug, Error)]
pub enum NotCommitted {
    /// The books cannot take it, and nothing was sent for it yet.
    #[error(transparent)]
    Unfit(#[from] PostingError),
    /// It was decided on a state that is not the payment's last one: whoever decided so has to read the payment again.
    #[error("the commit does not follow the last one of its payment")]
    Stale,
    /// Another payment began under the key of this one, or nobody can tell.
    #[error("the key may belong to another payment")]
    KeyTaken,
}

/// What the shard is told.
#[derive(Debug)]
pub enum ShardMail {
    /// Put a commit in order and have it made durable.
    Commit {
        /// What.
        draft: Box<Draft>,
        /// Who waits.
        reply: Mailbox<PaymentMail>,
    },
    /// Record a change of control data.
    Control {
        /// What.
        event: ControlEvent,
        /// Who waits.
        reply: oneshot::Sender<Option<Seq>>,
    },
    /// Say once everything put in order so far is durable.
    Barrier(oneshot::Sender<Seq>),
    /// One account.
    Account {
        /// Which.
        key: AccountKey,
        /// Who asks.
        reply: oneshot::Sender<(AccountState, Seq)>,
    },
    /// All accounts.
    Accounts(oneshot::Sender<(Vec<(AccountKey, AccountState)>, Seq)>),
    /// Debits against credits.
    TrialBalance(oneshot::Sender<Vec<CurrencyTotal>>),
    /// Payments with an unresolved operation, or with a matter that a person has not noted.
    OpenPayments(oneshot::Sender<Vec<PaymentId>>),
    /// Some of them, the oldest first.
    OpenPaymentsBehind {
        /// Only those behind this one.
        after: Option<PaymentId>,
        /// At most so many.
        limit: usize,
        /// Who asks.
        reply: oneshot::Sender<Vec<PaymentId>>,
    },
    /// Keep a snapshot now.
    Snapshot(oneshot::Sender<()>),
    /// Something about the general ledger.
    General(GeneralMail),
    /// Something about transfers between shards.
    Crossing(CrossingMail),
    /// A question about the general ledger.
    Question(Question),
    /// Something about balance alerts.
    Alert(AlertMail),
}

/// What recovery hands to the shard.
#[derive(Debug, Default)]
pub struct ShardStart {
    /// The last commit.
    pub head: Seq,
    /// The books up to it.
    pub books: Books,
    /// Payments with an unresolved operation, or with a matter that a person has not noted.
    pub open: BTreeMap<PaymentId, Seq>,
    /// Control data.
    pub control: Control,
}

/// The shard's state.
#[derive(Debug)]
pub struct ShardState {
    context: Arc<Context>,
    head: Seq,
    books: Books,
    open: BTreeMap<PaymentId, Seq>,
    control: Control,
    /// Commits since the last snapshot, by [`weight`].
    since_snapshot: u64,
    recent: general::Recent,
    first_uses: first_uses::FirstUses,
    heat: heat::Heat,
    alert_figures: alerts::AlertFigures,
    /// Transfers between shards that were open at the start.
    inherited: BTreeSet<TransferId>,
    /// The look at clearing accounts that is under way.
    looked_at: looks::LookedAt,
}

/// The shard.
#[derive(Clone, Copy, Debug)]
pub struct AccountShard;

impl Actor for AccountShard {
    type Msg = Envelope<ShardMail>;
    type State = ShardState;
    type Arguments = (Arc<Context>, ShardStart);

    async fn pre_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        (context, start): Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let ShardStart {
            head,
            books,
            open,
            control,
        } = start;
        Ok(ShardState {
            inherited: crossing::inherited(&books),
            heat: heat::Heat::of(context.shard),
            alert_figures: alerts::AlertFigures::of(context.shard, books.alerts()),
            context,
            head,
            books,
            open,
            control,
            since_snapshot: 0,
            recent: general::Recent::default(),
            first_uses: first_uses::FirstUses::behind(head),
            looked_at: looks::LookedAt::default(),
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
            ShardMail::Commit { draft, reply } => {
                state.context.ports.probe.reached(Step::ShardSequencing);
                state.commit(*draft, reply)?;
            }
            ShardMail::Control { event, reply } => state.record_control(event, reply),
            ShardMail::Barrier(reply) => state.after_durable(move |seq| tell(reply, seq)),
            ShardMail::Account { key, reply } => {
                let account = state.books.account(&key);
                let seq = state.head;
                state.after_durable(move |_| tell(reply, (account, seq)));
            }
            ShardMail::Accounts(reply) => {
                let accounts = state
                    .books
                    .accounts()
                    .map(|(key, account)| (key, *account))
                    .collect();
                let seq = state.head;
                state.after_durable(move |_| tell(reply, (accounts, seq)));
            }
            ShardMail::TrialBalance(reply) => {
                let totals = state.books.trial_balance();
                state.after_durable(move |_| tell(reply, totals));
            }
            ShardMail::OpenPayments(reply) => {
                let open = state.open.keys().copied().collect();
                state.after_durable(move |_| tell(reply, open));
            }
            ShardMail::OpenPaymentsBehind { after, limit, reply } => {
                let from = after.map_or(Bound::Unbounded, Bound::Excluded);
                let behind = state.open.range((from, Bound::Unbounded));
                let open = behind.map(|(id, _)| *id).take(limit).collect();
                state.after_durable(move |_| tell(reply, open));
            }
            ShardMail::Snapshot(reply) => state.snapshot(Some(reply)),
            ShardMail::General(mail) => {
                state.context.ports.probe.reached(Step::ShardTransferring);
                state.general(mail);
            }
            ShardMail::Crossing(mail) => {
                state.context.ports.probe.reached(Step::ShardCrossing);
                state.crossing(mail)?;
            }
            ShardMail::Question(question) => state.answer(question),
            ShardMail::Alert(mail) => state.alert(mail),
        }
        Ok(())
    }
}

impl ShardState {
    fn after_durable(&self, act: impl FnOnce(Seq) + Send + 'static) {
        self.context.writer.step(WriterMail::Barrier(Box::new(act)));
    }

    fn commit(&mut self, draft: Draft, reply: Mailbox<PaymentMail>) -> Result<(), ActorProcessingErr> {
        let Draft {
            payment,
            prev,
            events,
            consequences,
            after,
            announced,
            at,
            missed_behind,
        } = draft;
        if self.open.get(&payment).is_some_and(|last| *last != prev) {
            // Decided on a state that is not the last one: usually by an incarnation that has a successor, and then nobody listens.
            tracing::error!(%payment, %prev, "a commit that does not follow its payment's last one was dropped");
            metrics::counter!("florin_alerts_total", "alert" => "stale_commit").increment(1);
            reply.step(PaymentMail::Committed(Err(NotCommitted::Stale)));
            return Ok(());
        }
        let begins = prev == Seq::ZERO;
        if begins && !self.may_begin(&after, missed_behind) {
            reply.step(PaymentMail::Committed(Err(NotCommitted::KeyTaken)));
            return Ok(());
        }
        if let Err(error) = self.books.hold(&consequences.holds) {
            // Only a first commit and one that takes a request place a hold that could not be placed before, and nothing was sent for
            // either yet.
            let is_request = matches!(events.first(), Some(Event::Requested { .. }));
            if begins || is_request {
                reply.step(PaymentMail::Committed(Err(error.into())));
                return Ok(());
            }
            return Err(error.into());
        }
        let seq = self.head.next();
        let entry = match consequences.entry {
            None => None,
            Some(entry) => Some(self.post(&after, &entry, seq)?),
        };
        self.head = seq;
        if begins {
            self.note_first_use(&after, seq);
        }
        if after.is_open() {
            self.open.insert(payment, seq);
        } else {
            self.open.remove(&payment);
        }
        let body = Body::Payment(PaymentCommit {
            payment,
            prev,
            events,
            holds: consequences.holds,
            entry,
        });
        let weight = weight(&body);
        let commit = Arc::new(Commit {
            shard: self.context.shard,
            seq,
            at,
            body,
        });
        let published = Published {
            commit,
            after: Some(after),
            announced,
        };
        self.context.writer.step(WriterMail::Write {
            published,
            ticket: Ticket::Payment(reply),
        });
        self.watch_balances(at);
        self.snapshot_when_due(weight);
        Ok(())
    }

    /// Posts; money that moved at a provider but fits no account goes to suspense, because the commit after a charge must land.
    fn post(&mut self, after: &Payment, entry: &Entry, seq: Seq) -> Result<PostedEntry, PostingError> {
        let transaction = after.id().to_string();
        let error = match self.books.post(&transaction, entry, seq) {
            Ok(posted) => return Ok(posted),
            Err(error) => error,
        };
        tracing::error!(%error, transaction, "an entry cannot be posted; its amount goes to suspense");
        metrics::counter!("florin_ledger_suspense_total").increment(1);
        let clearing = |posting: &&Posting| matches!(posting.account.name, AccountName::ProviderClearing(_));
        let moved = entry.postings().iter().find(clearing).ok_or(error)?;
        let opposite = match moved.side {
            Side::Debit => Side::Credit,
            Side::Credit => Side::Debit,
        };
        let suspense = AccountKey {
            name: AccountName::Suspense,
            ..moved.account
        };
        let other = Posting {
            account: suspense,
            side: opposite,
            amount: moved.amount,
        };
        let entry = Entry::balanced(&transaction, vec![*moved, other])?;
        self.books.post(&transaction, &entry, seq)
    }

    /// Puts a change of control data in order, unless others came first: `None` then, as soon as those are in force.
    fn record_control(&mut self, event: ControlEvent, reply: oneshot::Sender<Option<Seq>>) {
        if !self.control.takes(&event) {
            self.after_durable(move |_| tell(reply, None));
            return;
        }
        let at = self.context.ports.clock.now();
        self.control.apply(&event, at);
        let body = Body::Control(event);
        self.since_snapshot = self.since_snapshot.saturating_add(weight(&body));
        self.put_in_order(body, at);
        let (context, control) = (Arc::clone(&self.context), Arc::new(self.control.clone()));
        let seq = self.head;
        // Barriers are released in order, so a later change never gives way to an earlier one.
        self.after_durable(move |_| {
            context.govern(control);
            tell(reply, Some(seq));
        });
    }

    /// Makes the next commit of something that is about no payment, and has it made durable.
    fn put_in_order(&mut self, body: Body, at: Timestamp) {
        self.head = self.head.next();
        let commit = Commit {
            shard: self.context.shard,
            seq: self.head,
            at,
            body,
        };
        let published = Published {
            commit: Arc::new(commit),
            after: None,
            announced: Vec::new(),
        };
        self.context.writer.step(WriterMail::Write {
            published,
            ticket: Ticket::Nobody,
        });
        self.watch_balances(at);
    }

    /// Counts a commit, and keeps a snapshot if so many came since the last one.
    fn snapshot_when_due(&mut self, weight: u64) {
        self.since_snapshot = self.since_snapshot.saturating_add(weight);
        if self.since_snapshot >= self.context.options.snapshot_every_commits {
            self.snapshot(None);
        }
    }

    /// Copies the state and keeps it as a snapshot once it is durable; the shard goes on meanwhile.
    fn snapshot(&mut self, done: Option<oneshot::Sender<()>>) {
        self.since_snapshot = 0;
        let snapshot = ShardSnapshot {
            seq: self.head,
            hash: [0; 32],
            accounts: self
                .books
                .accounts()
                .map(|(key, account)| (key, *account))
                .collect(),
            open_payments: self.open.iter().map(|(payment, seq)| (*payment, *seq)).collect(),
            control: self.control.clone(),
            general: self.books.general_ledger(),
        };
        let context = Arc::clone(&self.context);
        let runtime = tokio::runtime::Handle::current();
        self.after_durable(move |_| {
            runtime.spawn(async move {
                keep_snapshot(&context, snapshot).await;
                if let Some(done) = done {
                    tell(done, ());
                }
            });
        });
    }
}

/// How much longer a commit makes the next recovery, in ordinary commits: eight transfers are read back as fast as one of those.
fn weight(body: &Body) -> u64 {
    let transfers = match body {
        Body::Payment(_) | Body::Control(_) => 0,
        Body::Ledger(ledger) => match &ledger.event {
            LedgerEvent::Transferred(transfers) => transfers.len(),
            LedgerEvent::Crossed(steps) => steps.len(),
            LedgerEvent::PendingExpired(ended) => ended.len(),
            LedgerEvent::AccountOpened(_)
            | LedgerEvent::PeriodClosed { .. }
            | LedgerEvent::AlertCreated(_)
            | LedgerEvent::AlertDeleted(_) => 0,
        },
    };
    u64::try_from(transfers / 8).map_or(u64::MAX, |eighths| eighths.saturating_add(1))
}

async fn keep_snapshot(context: &Arc<Context>, mut snapshot: ShardSnapshot) {
    let hash = match context.ports.journal.hash_at(context.shard, snapshot.seq).await {
        Ok(Some(hash)) => hash,
        Ok(None) => return,
        Err(error) => return tracing::warn!(%error, "no snapshot: the journal's hash cannot be read"),
    };
    snapshot.hash = hash;
    let (snapshots, shard) = (Arc::clone(&context.ports.snapshots), context.shard);
    let saved = context.try_aside(move || snapshots.save(shard, &snapshot)).await;
    let why = match saved {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(panicked) => panicked.to_string(),
    };
    tracing::warn!(
        why,
        "a snapshot could not be kept; recovery will read a longer tail"
    );
}
