//! Wrong ports, each of which breaks one promise, and the check that must catch it. The product has no switch for any of them.

use florin_domain::commit::{Body, Commit};
use florin_domain::decline::NetworkDecline;
use florin_domain::ids::{OperationId, PaymentId, Seq, ShardId};
use florin_domain::ledger::{CrossingStep, LedgerEvent, PostedEntry};
use florin_domain::payment::Event;
use florin_domain::ports::{
    AnnouncingCommit, AppendError, Batch, BoxFuture, EventsPage, EventsQuery, Follower, Head, Journal,
    MovedIndex, MovedPage, MovedQuery, PaymentRow, PaymentsPage, PaymentsQuery, ReadError, RefundPlace,
    RefundsQuery, ShardSnapshot, SnapshotError, Snapshots, ViewError, Views, WaitingQuery,
};
use florin_simulator::{Scenario, Settings, Wiring, simulate};
use std::fmt;
use std::sync::{Arc, Mutex};
use tokio::sync::Mutex as Turn;

type Read<'a> = BoxFuture<'a, Result<Vec<Arc<Commit>>, ReadError>>;

/// Runs seeds until one of them is caught, which must be soon, and with these words.
#[track_caller]
pub(crate) fn is_caught(wiring: &Wiring, words: &str) {
    let mut others = Vec::new();
    for seed in 0..60 {
        let settings = Settings {
            seed,
            ops: 45,
            scenario: Scenario::Swarm,
            keeps_trace: false,
            goes_on: true,
        };
        let breaches = simulate(settings, wiring).unwrap().breaches;
        if breaches.iter().any(|breach| breach.contains(words)) {
            return;
        }
        others.extend(breaches);
    }
    panic!("`{words}` is never said; these were: {others:#?}");
}

pub(crate) fn with_journal(wrong: impl Fn(Arc<dyn Journal>) -> Arc<dyn Journal> + 'static) -> Wiring {
    Wiring {
        journal: Box::new(wrong),
        ..Wiring::default()
    }
}

/// Says that a batch is durable before it is.
#[derive(Debug)]
pub(crate) struct Hasty {
    pub(crate) inner: Arc<dyn Journal>,
    pub(crate) turn: Arc<Turn<()>>,
}

impl Journal for Hasty {
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<Head, AppendError>> {
        let head = Head {
            seq: Seq(batch.expected_head.0 + batch.commits.len() as u64),
            hash: [0; 32],
            epoch: batch.epoch,
        };
        let (inner, turn) = (Arc::clone(&self.inner), Arc::clone(&self.turn));
        drop(tokio::spawn(async move {
            let _one_after_the_other = turn.lock().await;
            drop(inner.append(batch).await);
        }));
        Box::pin(async move { Ok(head) })
    }

    fn read(&self, shard: ShardId, from: Seq, limit: usize) -> Read<'_> {
        self.inner.read(shard, from, limit)
    }

    fn head(&self, shard: ShardId) -> BoxFuture<'_, Result<Head, ReadError>> {
        self.inner.head(shard)
    }

    fn hash_at(&self, shard: ShardId, seq: Seq) -> BoxFuture<'_, Result<Option<[u8; 32]>, ReadError>> {
        self.inner.hash_at(shard, seq)
    }
}

#[test]
fn a_reply_before_the_journal_is_durable_is_caught() {
    let hasty = |inner| -> Arc<dyn Journal> {
        let turn = Arc::default();
        Arc::new(Hasty { inner, turn })
    };
    is_caught(&with_journal(hasty), "was shown in a state that is not durable");
}

type Change = Box<dyn Fn(&mut Commit) + Send + Sync>;

/// Changes commits on their way to the disk, or on their way back.
struct Forger {
    inner: Arc<dyn Journal>,
    writes: Option<Change>,
    reads: Option<Change>,
}

impl fmt::Debug for Forger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Forger")
    }
}

impl Journal for Forger {
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<Head, AppendError>> {
        let forged = |commit: &Arc<Commit>| {
            let mut commit = commit.as_ref().clone();
            if let Some(change) = &self.writes {
                change(&mut commit);
            }
            Arc::new(commit)
        };
        let commits = batch.commits.iter().map(forged).collect();
        self.inner.append(Batch { commits, ..batch })
    }

    fn read(&self, shard: ShardId, from: Seq, limit: usize) -> Read<'_> {
        Box::pin(async move {
            let mut commits = self.inner.read(shard, from, limit).await?;
            if let Some(change) = &self.reads {
                commits.iter_mut().map(Arc::make_mut).for_each(change);
            }
            Ok(commits)
        })
    }

    fn head(&self, shard: ShardId) -> BoxFuture<'_, Result<Head, ReadError>> {
        self.inner.head(shard)
    }

    fn hash_at(&self, shard: ShardId, seq: Seq) -> BoxFuture<'_, Result<Option<[u8; 32]>, ReadError>> {
        self.inner.hash_at(shard, seq)
    }
}

pub(crate) fn forging_writes(change: impl Fn(&mut Commit) + Send + Sync + Copy + 'static) -> Wiring {
    with_journal(move |inner| {
        let writes: Option<Change> = Some(Box::new(change));
        Arc::new(Forger {
            inner,
            writes,
            reads: None,
        })
    })
}

pub(crate) fn forging_reads(change: impl Fn(&mut Commit) + Send + Sync + Copy + 'static) -> Wiring {
    with_journal(move |inner| {
        let reads: Option<Change> = Some(Box::new(change));
        Arc::new(Forger {
            inner,
            writes: None,
            reads,
        })
    })
}

fn entry_of(commit: &mut Commit) -> Option<&mut Option<PostedEntry>> {
    match &mut commit.body {
        Body::Payment(body) => Some(&mut body.entry),
        Body::Control(_) | Body::Ledger(_) => None,
    }
}

#[test]
fn postings_that_are_applied_twice_are_caught() {
    let twice = |commit: &mut Commit| {
        let Some(Some(entry)) = entry_of(commit) else {
            return;
        };
        let lines = [entry.lines(), entry.lines()].concat();
        *entry = PostedEntry::checked("twice", lines).unwrap();
    };
    is_caught(&forging_writes(twice), "holds");
}

#[test]
fn a_posting_that_is_dropped_is_caught() {
    let dropped = |commit: &mut Commit| {
        if let Some(entry) = entry_of(commit)
            && commit_is_odd(entry.as_ref())
        {
            *entry = None;
        }
    };
    is_caught(&forging_writes(dropped), "holds");
}

/// One entry of a few.
fn commit_is_odd(entry: Option<&PostedEntry>) -> bool {
    entry.is_some_and(|entry| entry.lines()[0].posting.amount.minor() % 5 == 1)
}

/// Whether an event is about a refund.
fn is_of_refund(event: &Event) -> bool {
    match event {
        Event::Requested { request } => matches!(request.operation, OperationId::Refund(_)),
        Event::OperationOpened { operation, .. }
        | Event::AttemptPlanned { operation, .. }
        | Event::AttemptSucceeded { operation, .. }
        | Event::AttemptDeclined { operation, .. }
        | Event::AttemptPending { operation, .. }
        | Event::AttemptUnknown { operation, .. }
        | Event::AttemptNotSent { operation, .. }
        | Event::AttemptRejected { operation, .. }
        | Event::AttemptCancelled { operation, .. } => matches!(operation, OperationId::Refund(_)),
        _ => false,
    }
}

#[test]
fn a_refund_that_is_forgotten_and_given_again_is_caught() {
    let forgets = |commit: &mut Commit| {
        if let Body::Payment(body) = &mut commit.body {
            body.events.retain(|event| !is_of_refund(event));
        }
    };
    is_caught(&forging_reads(forgets), "authorized, captured, refunded");
}

/// Takes every unknown outcome for a decline.
fn decline_unknown(commit: &mut Commit) {
    let Body::Payment(body) = &mut commit.body else {
        return;
    };
    for event in &mut body.events {
        if let Event::AttemptUnknown {
            operation, number, ..
        } = event
        {
            *event = Event::AttemptDeclined {
                operation: *operation,
                number: *number,
                decline_code: Arc::from("timeout"),
                reference: None,
                network: NetworkDecline::NONE,
            };
        }
    }
}

#[test]
fn an_unknown_outcome_that_is_taken_for_a_decline_is_caught() {
    is_caught(
        &forging_writes(decline_unknown),
        "was done 1 times and is Some(Declined)",
    );
}

#[test]
fn an_unknown_outcome_that_nobody_asks_about_again_is_caught() {
    is_caught(&forging_reads(decline_unknown), "and nobody knows");
}

#[test]
fn an_answer_that_changes_with_a_restart_is_caught() {
    let says_otherwise = |commit: &mut Commit| {
        let Body::Payment(body) = &mut commit.body else {
            return;
        };
        for event in &mut body.events {
            if let Event::AttemptDeclined { decline_code, .. } = event {
                *decline_code = Arc::from("do_not_honor");
            }
        }
    };
    is_caught(
        &forging_reads(says_otherwise),
        "was answered Declined and is answered",
    );
}

#[test]
fn a_transfer_between_shards_that_never_arrives_is_caught() {
    let loses = |commit: &mut Commit| {
        if let Body::Ledger(ledger) = &mut commit.body
            && let LedgerEvent::Crossed(steps) = &mut ledger.event
        {
            steps.retain(|step| !matches!(step, CrossingStep::Applied { .. }));
        }
    };
    is_caught(&forging_writes(loses), "is on one side only");
}

#[test]
fn a_request_of_which_only_a_part_is_recorded_is_caught() {
    let loses = |commit: &mut Commit| {
        if let Body::Ledger(ledger) = &mut commit.body
            && let LedgerEvent::Transferred(transfers) = &mut ledger.event
            && transfers.len() > 1
        {
            transfers.pop();
        }
    };
    is_caught(&forging_writes(loses), "a part is recorded");
}

/// A view that leaves payments out of lists.
#[derive(Debug)]
struct Blind(Arc<dyn Views>);

impl Follower for Blind {
    fn apply(
        &self,
        rows: Vec<PaymentRow>,
        announced: Vec<AnnouncingCommit>,
        up_to: Seq,
    ) -> BoxFuture<'_, Result<(), ViewError>> {
        self.0.apply(rows, announced, up_to)
    }

    fn watermark(&self) -> Result<Seq, ReadError> {
        self.0.watermark()
    }
}

impl MovedIndex for Blind {
    fn moved(&self, query: MovedQuery) -> BoxFuture<'_, Result<MovedPage, ViewError>> {
        self.0.moved(query)
    }
}

impl Views for Blind {
    fn payment(&self, id: PaymentId) -> BoxFuture<'_, Result<Option<PaymentRow>, ViewError>> {
        self.0.payment(id)
    }

    fn payments(&self, query: PaymentsQuery) -> BoxFuture<'_, Result<PaymentsPage, ViewError>> {
        Box::pin(async move {
            let mut page = self.0.payments(query).await?;
            page.rows.pop();
            Ok(page)
        })
    }

    fn waiting(&self, query: WaitingQuery) -> BoxFuture<'_, Result<Vec<PaymentRow>, ViewError>> {
        self.0.waiting(query)
    }

    fn events(&self, query: EventsQuery) -> BoxFuture<'_, Result<EventsPage, ViewError>> {
        self.0.events(query)
    }

    fn refunds(&self, query: RefundsQuery) -> BoxFuture<'_, Result<Vec<RefundPlace>, ViewError>> {
        self.0.refunds(query)
    }
}

#[test]
fn a_view_that_loses_payments_is_caught() {
    let wiring = Wiring {
        views: Box::new(|inner| Arc::new(Blind(inner))),
        ..Wiring::default()
    };
    is_caught(&wiring, "is not what the journals say");
}

/// A view that leaves out what was announced.
#[derive(Debug)]
struct Silent(Arc<dyn Views>);

impl Follower for Silent {
    fn apply(
        &self,
        rows: Vec<PaymentRow>,
        mut announced: Vec<AnnouncingCommit>,
        up_to: Seq,
    ) -> BoxFuture<'_, Result<(), ViewError>> {
        announced.pop();
        self.0.apply(rows, announced, up_to)
    }

    fn watermark(&self) -> Result<Seq, ReadError> {
        self.0.watermark()
    }
}

impl MovedIndex for Silent {
    fn moved(&self, query: MovedQuery) -> BoxFuture<'_, Result<MovedPage, ViewError>> {
        self.0.moved(query)
    }
}

impl Views for Silent {
    fn payment(&self, id: PaymentId) -> BoxFuture<'_, Result<Option<PaymentRow>, ViewError>> {
        self.0.payment(id)
    }

    fn payments(&self, query: PaymentsQuery) -> BoxFuture<'_, Result<PaymentsPage, ViewError>> {
        self.0.payments(query)
    }

    fn waiting(&self, query: WaitingQuery) -> BoxFuture<'_, Result<Vec<PaymentRow>, ViewError>> {
        self.0.waiting(query)
    }

    fn events(&self, query: EventsQuery) -> BoxFuture<'_, Result<EventsPage, ViewError>> {
        self.0.events(query)
    }

    fn refunds(&self, query: RefundsQuery) -> BoxFuture<'_, Result<Vec<RefundPlace>, ViewError>> {
        self.0.refunds(query)
    }
}

#[test]
fn a_view_that_leaves_out_announcements_is_caught() {
    let wiring = Wiring {
        views: Box::new(|inner| Arc::new(Silent(inner))),
        ..Wiring::default()
    };
    is_caught(&wiring, "not all is told once");
}

/// Snapshots in which an account has gained a cent.
#[derive(Debug)]
struct Generous(Arc<dyn Snapshots>);

impl Snapshots for Generous {
    fn save(&self, shard: ShardId, snapshot: &ShardSnapshot) -> Result<(), ReadError> {
        let mut generous = snapshot.clone();
        if let Some((_, state)) = generous.accounts.first_mut() {
            state.pending_credit_minor += 1;
        }
        self.0.save(shard, &generous)
    }

    fn kept(&self, shard: ShardId) -> Result<Vec<Seq>, ReadError> {
        self.0.kept(shard)
    }

    fn load(&self, shard: ShardId, seq: Seq) -> Result<ShardSnapshot, SnapshotError> {
        self.0.load(shard, seq)
    }
}

#[test]
fn a_snapshot_that_is_not_what_the_journal_says_is_caught() {
    let wiring = Wiring {
        snapshots: Box::new(|inner| Arc::new(Generous(inner))),
        ..Wiring::default()
    };
    is_caught(&wiring, "the accounts are not the same");
}

/// A journal that has lost the last batch of every earlier process, as a disk that lies about fsync does.
#[derive(Debug)]
struct Forgetful {
    inner: Arc<dyn Journal>,
    last: Mutex<Option<Seq>>,
}

impl Journal for Forgetful {
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<Head, AppendError>> {
        Box::pin(async move {
            *self.last.lock().unwrap() = None;
            self.inner.append(batch).await
        })
    }

    fn read(&self, shard: ShardId, from: Seq, limit: usize) -> Read<'_> {
        Box::pin(async move {
            let cut = *self.last.lock().unwrap();
            let mut commits = self.inner.read(shard, from, limit).await?;
            commits.retain(|commit| cut.is_none_or(|cut| commit.seq < cut));
            Ok(commits)
        })
    }

    fn head(&self, shard: ShardId) -> BoxFuture<'_, Result<Head, ReadError>> {
        Box::pin(async move {
            let head = self.inner.head(shard).await?;
            if head.seq.0 < 20 {
                return Ok(head);
            }
            let seq = Seq(head.seq.0 - 1);
            *self.last.lock().unwrap() = Some(head.seq);
            let hash = self.inner.hash_at(shard, seq).await?.unwrap_or_default();
            Ok(Head { seq, hash, ..head })
        })
    }

    fn hash_at(&self, shard: ShardId, seq: Seq) -> BoxFuture<'_, Result<Option<[u8; 32]>, ReadError>> {
        self.inner.hash_at(shard, seq)
    }
}

#[test]
fn a_journal_that_loses_its_end_is_caught() {
    let forgetful = |inner| -> Arc<dyn Journal> {
        let last = Mutex::default();
        Arc::new(Forgetful { inner, last })
    };
    is_caught(&with_journal(forgetful), "does not start");
}
