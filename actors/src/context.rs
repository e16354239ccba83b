//! What all actors share: the ports, the addresses of the singletons, the options. Built once by the supervisors.

use crate::account_shard::ShardMail;
use crate::admission::Admission;
use crate::crossings::CrossingsMail;
use crate::deadlines::DeadlinesMail;
use crate::guardian::GuardianMail;
use crate::idempotency::IdempotencyMail;
use crate::journal_writer::WriterMail;
use crate::kind::{Kind, KindStats};
use crate::mailbox::Mailbox;
use crate::monitor::{MonitorBoard, MonitorMail};
use crate::news::News;
use crate::offload::Offload;
use crate::options::Options;
use crate::own_matters::OwnMatters;
use crate::projection::ProjectionMail;
use crate::provider::ProviderSeat;
use crate::resolution::ResolutionMail;
use crate::risk::RiskMail;
use crate::scrub::{ScrubMail, ScrubPlace};
use crate::webhook_endpoint::WebhookGuardianMail;
use arc_swap::ArcSwap;
use florin_domain::ids::{Epoch, MerchantId, PaymentId, Seq, ShardId, compose};
use florin_domain::merchant::Control;
use florin_domain::payment::Spec;
use florin_domain::ports::{
    BoxFuture, Clock, CountedEvent, DeliveryBook, EndpointStore, Entropy, EventBodies, Journal, KeyIndex,
    Past, PaymentRow, Provider, ProviderKeys, ShownPayments, Snapshots, TransferIndex, VelocityCopies,
    ViewError, Views, WebhookClient, WebhookSigner,
};
use florin_domain::provider::ProviderId;
use florin_domain::routing::Entrant;
use florin_domain::time::Timestamp;
use metrics::{Counter, Histogram};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{Mutex, Semaphore};

/// How merchants are told at their own servers; one set for all shards.
#[derive(Clone, Debug)]
pub struct Webhooks {
    /// What merchants say of their endpoints.
    pub endpoints: Arc<dyn EndpointStore>,
    /// What is known of deliveries.
    pub book: Arc<dyn DeliveryBook>,
    /// What sends.
    pub client: Arc<dyn WebhookClient>,
    /// What signs.
    pub signer: Arc<dyn WebhookSigner>,
    /// What writes announcements.
    pub bodies: Arc<dyn EventBodies>,
}

/// The world, as the actors reach it.
#[derive(Clone, Debug)]
pub struct Ports {
    /// The journal.
    pub journal: Arc<dyn Journal>,
    /// The same for whoever only shows what is recorded, from wherever it is at hand.
    pub past: Arc<dyn Past>,
    /// The key index.
    pub keys: Arc<dyn KeyIndex>,
    /// The index of transfers; usually the same store as that of keys.
    pub transfers: Arc<dyn TransferIndex>,
    /// The payments view.
    pub views: Arc<dyn Views>,
    /// Payments for whoever only shows them: the view, or copies of it.
    pub shown: Arc<dyn ShownPayments>,
    /// Who is told what velocity counts.
    pub velocity: Arc<dyn VelocityCopies>,
    /// Snapshots.
    pub snapshots: Arc<dyn Snapshots>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Random bits.
    pub entropy: Arc<dyn Entropy>,
    /// Provider keys.
    pub provider_keys: Arc<dyn ProviderKeys>,
    /// Providers in order of preference.
    pub providers: Vec<Arc<dyn Provider>>,
    /// Observes steps; tests crash actors there.
    pub probe: Arc<dyn Probe>,
    /// Ends the process when going on would be wrong.
    pub fatal: Arc<dyn Fatal>,
    /// Runs what would hold up the threads that actors live on.
    pub offload: Arc<dyn Offload>,
    /// How merchants are told; without it nobody is.
    pub webhooks: Option<Webhooks>,
}

/// Shows payments as the view has them.
#[derive(Debug)]
pub struct AsViewed(pub Arc<dyn Views>);

impl ShownPayments for AsViewed {
    fn payment_shown(&self, id: PaymentId) -> BoxFuture<'_, Result<Option<PaymentRow>, ViewError>> {
        self.0.payment(id)
    }
}

/// Copies of velocity that nobody keeps.
#[derive(Debug)]
pub struct NoCopies;

impl VelocityCopies for NoCopies {
    fn tell(&self, _: &Spec, _: CountedEvent) {}
}

/// A place in an actor's work, named so that tests can stop there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(
    missing_docs,
    reason = "each step is named after the message whose handling it begins or ends"
)]
pub enum Step {
    KeySubmitted,
    KeyAnswered,
    PaymentStarting,
    PaymentBegun,
    PaymentAssessed,
    PaymentCommitting,
    PaymentCommitted,
    PaymentCalling,
    PaymentReported,
    PaymentAnswering,
    PaymentLoaded,
    PaymentLeaving,
    RiskAssessing,
    ProviderQueued,
    ProviderFinished,
    ProviderTurnedAway,
    ProviderProbing,
    ShardSequencing,
    ShardTransferring,
    ShardCrossing,
    CrossingBegun,
    CrossingPrepared,
    CrossingReserved,
    CrossingDecided,
    CrossingFinished,
    CrossingsSwept,
    WriterQueued,
    WriterFlushed,
    ProjectionFollowed,
    ProjectionLocated,
    ResolutionScheduled,
    GuardianStarting,
    GuardianForwarding,
    GuardianHanding,
    JournalScrubbed,
    DeadlinesMet,
    MonitorEnded,
    WebhookGuarding,
    WebhookTold,
    TreeStarting,
}

/// Watches actors reach their steps. The product's probe does nothing.
pub trait Probe: Send + Sync + fmt::Debug {
    /// An actor is at `step`. A test's probe may panic here.
    fn reached(&self, step: Step);
}

/// The product's probe.
#[derive(Clone, Copy, Debug)]
pub struct NoProbe;

impl Probe for NoProbe {
    fn reached(&self, _step: Step) {}
}

/// What happens when an actor that must not be restarted has failed.
pub trait Fatal: Send + Sync + fmt::Debug {
    /// Ends the process (or the test's world). Called from any thread.
    fn fail(&self, why: &str);
}

/// How far the indexes are behind the journal, in commits.
#[derive(Debug, Default)]
pub struct IndexLag {
    views: AtomicU64,
    keys: AtomicU64,
    /// Up to where the journal was read for the views at the start; it says nothing of a lag.
    views_read: AtomicU64,
}

impl IndexLag {
    /// The projection has read the journal up to here, after a start.
    pub fn set_views_read(&self, seq: Seq) {
        self.views_read.store(seq.0, Ordering::Relaxed);
    }

    /// Up to where the projection has read the journal since it started.
    pub fn views_read(&self) -> Seq {
        Seq(self.views_read.load(Ordering::Relaxed))
    }

    /// Sets the lag of the views.
    pub fn set_views(&self, commits: u64) {
        self.views.store(commits, Ordering::Relaxed);
    }

    /// Sets the lag of the key index.
    pub fn set_keys(&self, commits: u64) {
        self.keys.store(commits, Ordering::Relaxed);
    }

    /// The larger lag.
    pub fn commits(&self) -> u64 {
        self.views
            .load(Ordering::Relaxed)
            .max(self.keys.load(Ordering::Relaxed))
    }

    /// The lag of the views.
    pub fn views(&self) -> u64 {
        self.views.load(Ordering::Relaxed)
    }
}

/// Figures of every kind, and of the work itself.
#[derive(Debug)]
pub struct Figures {
    kinds: Vec<Arc<KindStats>>,
    /// Commits per journal batch.
    pub batch_commits: Histogram,
    /// Seconds from handing a batch to the journal until it is durable.
    pub batch_seconds: Histogram,
    /// Batches appended.
    pub batches: AtomicU64,
    /// Commits appended.
    pub commits: AtomicU64,
    /// Seconds of a payment without its provider calls.
    pub own_seconds: Histogram,
    /// Seconds of a payment from admission to answer.
    pub end_to_end_seconds: Histogram,
    /// Seconds of one provider call.
    pub provider_seconds: Histogram,
    /// Commits that took longer than the ledger stage's limit.
    pub ledger_slow: Counter,
    outcomes: [(&'static str, Counter); 6],
}

impl Figures {
    /// Registers everything.
    pub fn new() -> Self {
        let outcome = |name| {
            (
                name,
                metrics::counter!("florin_payments_total", "outcome" => name),
            )
        };
        Self {
            kinds: Kind::ALL.map(|kind| Arc::new(KindStats::new(kind))).into(),
            batch_commits: metrics::histogram!("florin_journal_batch_commits"),
            batch_seconds: metrics::histogram!("florin_journal_append_seconds"),
            batches: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            own_seconds: metrics::histogram!("florin_payment_own_seconds"),
            end_to_end_seconds: metrics::histogram!("florin_payment_seconds"),
            provider_seconds: metrics::histogram!("florin_provider_call_seconds"),
            ledger_slow: metrics::counter!("florin_stage_slow_total", "stage" => "ledger"),
            outcomes: [
                "shown",
                "declined",
                "blocked",
                "exhausted",
                "no_provider",
                "unresolved",
            ]
            .map(outcome),
        }
    }

    /// The figures of a kind.
    pub fn kind(&self, kind: Kind) -> &Arc<KindStats> {
        &self.kinds[kind as usize]
    }

    /// All kinds.
    pub fn kinds(&self) -> &[Arc<KindStats>] {
        &self.kinds
    }

    /// Counts an answered payment.
    pub fn count_outcome(&self, name: &str) {
        if let Some((_, counter)) = self.outcomes.iter().find(|row| row.0 == name) {
            counter.increment(1);
        }
    }
}

impl Default for Figures {
    fn default() -> Self {
        Self::new()
    }
}

/// Everything that actors share.
#[derive(Debug)]
pub struct Context {
    /// The shard that this context owns.
    pub shard: ShardId,
    /// Under which epoch.
    pub epoch: Epoch,
    /// The world.
    pub ports: Ports,
    /// Settings.
    pub options: Options,
    /// Figures.
    pub figures: Arc<Figures>,
    /// The edge.
    pub admission: Arc<Admission>,
    /// Lag of the indexes.
    pub lag: Arc<IndexLag>,
    /// Merchants and keys, as of the last durable change. The first shard records them; all shards go by them.
    pub directory: Arc<ArcSwap<Control>>,
    /// Group commit.
    pub writer: Mailbox<WriterMail>,
    /// Balances and order.
    pub account_shard: Mailbox<ShardMail>,
    /// The account shards of all shards, by number; this one among them.
    pub peers: Arc<[Mailbox<ShardMail>]>,
    /// Room for transfers on their way: a request may hold thousands, so requests alone say little of the memory they take.
    pub transfer_room: Arc<Semaphore>,
    /// Taken, at the first shard, by whoever makes an alert: ids are unique over all shards.
    pub alert_ids: Mutex<()>,
    /// Tail and views.
    pub projection: Mailbox<ProjectionMail>,
    /// Key owners.
    pub idempotency: Mailbox<IdempotencyMail>,
    /// Idempotency keys in memory, as of the owner's last tick.
    pub keys_held: AtomicU64,
    /// The last commit that the index of keys shows.
    pub published: AtomicU64,
    /// The last commit that the projection has been told of, so that whatever is read of it shows that one.
    pub followed: AtomicU64,
    /// Velocity shards; one set for all shards, because a card that is tried everywhere is one card.
    pub risk: Vec<Mailbox<RiskMail>>,
    /// Due times.
    pub resolution: Mailbox<ResolutionMail>,
    /// Carries transfers to other shards.
    pub crossings: Mailbox<CrossingsMail>,
    /// Reader of the whole journal.
    pub scrub: Mailbox<ScrubMail>,
    /// How far it has come; outlives restarts of the actor.
    pub scrub_place: ArcSwap<ScrubPlace>,
    /// The sweep of deadlines.
    pub deadlines: Mailbox<DeadlinesMail>,
    /// The monitor.
    pub monitor: Mailbox<MonitorMail>,
    /// What it found last; outlives restarts of the actor.
    pub monitor_board: ArcSwap<MonitorBoard>,
    /// What merchants' own notices have raised today; outlives restarts of payments.
    pub own_matters: OwnMatters,
    /// What they said today of payments that are not here.
    pub own_orphans: OwnMatters,
    /// Which merchants have been announced something new.
    pub news: News,
    /// Places in which webhook endpoints read: payments need the same disk.
    pub webhook_reads: Arc<Semaphore>,
    /// The guardian of this shard's webhook endpoints.
    pub webhooks: Mailbox<WebhookGuardianMail>,
    /// Guardians.
    pub guardians: Vec<Mailbox<GuardianMail>>,
    /// Providers in order of preference; one set for all shards, because their permits are one budget.
    pub providers: Vec<Arc<ProviderSeat>>,
}

impl Context {
    /// Whether this is the shard that records control data and whose tree has what all shards share.
    pub fn is_home(&self) -> bool {
        self.shard == ShardId::FIRST
    }

    /// The last commit that the index of keys shows: a key that it misses now was not used up to there.
    pub fn published(&self) -> Seq {
        Seq(self.published.load(Ordering::Acquire))
    }

    /// A fresh payment id of this shard.
    pub fn new_payment_id(&self) -> PaymentId {
        PaymentId::from_bits(self.new_id_bits())
    }

    /// The bits of a fresh id of this shard.
    pub fn new_id_bits(&self) -> u128 {
        compose(self.ports.clock.now(), self.shard, self.ports.entropy.next_u64())
    }

    /// The guardian of a payment.
    pub fn guardian(&self, payment: PaymentId) -> &Mailbox<GuardianMail> {
        &self.guardians[self.guardian_index(payment)]
    }

    /// The position of a payment's guardian.
    pub fn guardian_index(&self, payment: PaymentId) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "the low bits are random")]
        let low = payment.bits() as u64;
        usize::try_from(low % self.guardians.len() as u64).unwrap_or(0)
    }

    /// Makes durable control data what everybody goes by.
    pub fn govern(&self, control: Arc<Control>) {
        for seat in &self.providers {
            let is_disabled = control.stops.providers.contains_key(&seat.id);
            seat.disabled.store(is_disabled, Ordering::Relaxed);
        }
        self.directory.store(control);
    }

    /// The providers as routing sees them, for a charge of this merchant that was asked for at this time; without one, for a charge under
    /// the platform's keys.
    pub fn entrants(&self, charge: Option<(MerchantId, Timestamp)>) -> Vec<Entrant> {
        let now = self.ports.clock.now();
        self.providers
            .iter()
            .map(|seat| seat.entrant(charge, now))
            .collect()
    }

    /// The provider with this name.
    pub fn provider(&self, id: ProviderId) -> Option<&Arc<ProviderSeat>> {
        self.providers.iter().find(|seat| seat.id == id)
    }
}
