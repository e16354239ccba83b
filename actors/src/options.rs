//! What can be set about the actors, with the checks that keep capacities consistent.

use crate::admission::AdmissionCaps;
use crate::mailbox::Caps;
use florin_domain::breaker::BreakerPolicy;
use florin_domain::health::HealthPolicy;
use florin_domain::ledger::LedgerRules;
use florin_domain::limits::Lifetimes;
use florin_domain::payment::{FeeReturn, ReviewMode, WaitKind};
use florin_domain::placement::Placement;
use florin_domain::provider::ProviderId;
use florin_domain::retry::RetryPolicy;
use florin_domain::risk::{CardLimits, Profile, TransferLimits, VelocityLimits};
use florin_domain::routing::Program;
use florin_domain::time::Millis;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// Time limits of the stages of a payment (ORCH-2..7). They are checked between stages, without timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageTimeouts {
    /// Looking the key up.
    pub idempotency: Duration,
    /// Assessing risk.
    pub risk: Duration,
    /// Choosing a provider.
    pub selection: Duration,
    /// One request to a provider.
    pub authorization: Duration,
    /// Making a commit durable; exceeding it shows in metrics and changes no outcome.
    pub ledger: Duration,
}

impl Default for StageTimeouts {
    fn default() -> Self {
        Self {
            idempotency: Duration::from_millis(50),
            risk: Duration::from_millis(200),
            selection: Duration::from_millis(10),
            authorization: Duration::from_secs(5),
            ledger: Duration::from_millis(100),
        }
    }
}

/// How often actors that look regularly do so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticks {
    /// The view is brought up to date. A payment's commits come close together: waiting this long lets one row do for them.
    pub projection: Duration,
    /// Ended waits and old answers are let go.
    pub idempotency: Duration,
    /// Attempts whose outcome is unknown are looked for.
    pub resolution: Duration,
    /// Waits that are over are looked for.
    pub deadlines: Duration,
    /// Transfers between shards that are not settled are gone through.
    pub crossings: Duration,
    /// Providers' last minutes are judged anew.
    pub providers: Duration,
    /// Webhook endpoints look for what is new or due.
    pub webhooks: Duration,
}

impl Default for Ticks {
    fn default() -> Self {
        Self {
            projection: Duration::from_millis(25),
            idempotency: Duration::from_millis(100),
            resolution: Duration::from_millis(250),
            deadlines: Duration::from_millis(500),
            crossings: Duration::from_secs(1),
            providers: Duration::from_secs(1),
            webhooks: Duration::from_millis(200),
        }
    }
}

/// Permits of one provider (POOL-1..4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProviderCaps {
    /// Requests under way.
    pub permits: usize,
    /// Calls that may wait for a permit before new charges are refused.
    pub queue_max: usize,
}

/// What one provider takes and costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProviderTerms {
    /// Its permits.
    pub caps: ProviderCaps,
    /// What it takes of an amount, in basis points; for the score.
    pub cost_bps: u32,
    /// How long it may take to say how that ended which it has taken on, before a person is told; nothing for what is usual there.
    pub settles_within: Option<Millis>,
}

/// Restart intensity: after so many failures in the window the key is set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartPolicy {
    /// Failures allowed in the window.
    pub restarts_max: u32,
    /// The window.
    pub window: Duration,
    /// The first wait before a restart; it doubles with each failure in the window.
    pub backoff: Duration,
    /// The longest wait.
    pub backoff_max: Duration,
}

impl RestartPolicy {
    /// How long to wait before restart number `failures` (1 is the first), before jitter.
    pub fn backoff_after(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(16);
        self.backoff.saturating_mul(1 << doublings).min(self.backoff_max)
    }
}

/// Options of all actors.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Bounds of the process.
    pub admission: AdmissionCaps,
    /// Requests that may wait on one key.
    pub waiters_per_key_max: usize,
    /// Until when a caller is answered with what is known.
    pub answer_budget: Duration,
    /// Time limits of the stages.
    pub stages: StageTimeouts,
    /// How often actors that look regularly do so.
    pub ticks: Ticks,
    /// How long payments may wait for customers, reviewers and captures.
    pub lifetimes: Lifetimes,
    /// When a person looks at a payment for which risk asks for it.
    pub review_mode: ReviewMode,
    /// What a refund does with the fee.
    pub fee_return: FeeReturn,
    /// How payments are booked, by which templates, and on which accounts transfers that name none.
    pub ledger: Arc<LedgerRules>,
    /// In which shard new merchants and accounts begin.
    pub placement: Placement,
    /// When an attempt is sent again.
    pub retry: RetryPolicy,
    /// Risk profile.
    pub risk: Profile,
    /// Limits on velocity.
    pub velocity: VelocityLimits,
    /// Limits on transfers between shards.
    pub transfer_limits: TransferLimits,
    /// Routing rules until operators put others in force.
    pub routing: Arc<Program>,
    /// Velocity shards.
    pub risk_shards: usize,
    /// Subjects that one velocity shard remembers.
    pub risk_subjects_max: usize,
    /// Commits of the journal's end that velocity is read back from after a start; 0 for none.
    pub velocity_recall_commits_max: u64,
    /// Repetitions after declines that card networks allow.
    pub card_limits: CardLimits,
    /// Commits of the journal's end that declines of cards are read back from after a start; 0 for none.
    pub card_recall_commits_max: u64,
    /// A charge that was declined for no reason in particular goes to the next provider.
    pub soft_declines_go_on: bool,
    /// Matters that notices signed with a merchant's own key may raise in a day, late charges included.
    pub own_matters_day_max: u32,
    /// Payment guardians.
    pub guardians: usize,
    /// Payments that may stay in memory without work.
    pub idle_payments_max: usize,
    /// Mailbox of one payment.
    pub payment_caps: Caps,
    /// What providers take and cost that have no terms of their own.
    pub provider_terms: ProviderTerms,
    /// Terms of single providers.
    pub terms_of_providers: BTreeMap<ProviderId, ProviderTerms>,
    /// When a provider's circuit breakers open, and for how long.
    pub breaker: BreakerPolicy,
    /// What makes a provider degraded, reduced or excluded.
    pub health: HealthPolicy,
    /// How long a request takes at a provider of which too little is known, for its score.
    pub latency_prior_ms: u64,
    /// Restart intensity of a payment.
    pub payment_restarts: RestartPolicy,
    /// Restart intensity of a singleton (provider, risk shard, guardian, ...).
    pub singleton_restarts: RestartPolicy,
    /// Commits in one journal batch.
    pub batch_commits_max: usize,
    /// Commits between two snapshots; eight transfers, or ended reservations, of one commit count as one more.
    pub snapshot_every_commits: u64,
    /// Commits that the scrub reads in a second; 0 for no scrub.
    pub scrub_commits_per_s: u64,
    /// From the begin of one scrub of the journal to the begin of the next.
    pub scrub_every: Duration,
    /// From the begin of one round of the monitor to the begin of the next; zero for none but those that are asked for.
    pub monitor_every: Duration,
    /// How far back the monitor looks at entries and payments.
    pub monitor_window: Duration,
    /// When unresolved attempts are asked about again: the n-th wait, the last one repeated.
    pub resolution_waits: Vec<Millis>,
    /// Unresolved payments resumed at once after a restart.
    pub resume_page: usize,
}

impl Default for Options {
    fn default() -> Self {
        let minutes = |n: u64| Millis::from_s(n * 60);
        let mut resolution_waits = vec![Millis::from_s(10), Millis::from_s(30), minutes(1)];
        resolution_waits.extend([minutes(5); 5]);
        resolution_waits.push(minutes(30));
        Self {
            admission: AdmissionCaps {
                in_flight_max: 16_384,
                index_lag_max: 200_000,
            },
            waiters_per_key_max: 1024,
            answer_budget: Duration::from_secs(10),
            stages: StageTimeouts::default(),
            ticks: Ticks::default(),
            lifetimes: Lifetimes::STANDARD,
            review_mode: ReviewMode::BeforeAuth,
            fee_return: FeeReturn::Kept,
            ledger: Arc::default(),
            placement: Placement::Tenant,
            retry: RetryPolicy::default(),
            risk: Profile::deep_dive(),
            velocity: VelocityLimits::default(),
            transfer_limits: TransferLimits::default(),
            routing: Arc::default(),
            risk_shards: 4,
            risk_subjects_max: 65_536,
            velocity_recall_commits_max: 50_000,
            card_limits: CardLimits::default(),
            card_recall_commits_max: 500_000,
            soft_declines_go_on: false,
            own_matters_day_max: 100,
            guardians: 64,
            idle_payments_max: 16_384,
            payment_caps: Caps { soft: 32, hard: 64 },
            provider_terms: ProviderTerms {
                caps: ProviderCaps {
                    permits: 50,
                    queue_max: 25,
                },
                cost_bps: 290,
                settles_within: None,
            },
            terms_of_providers: BTreeMap::new(),
            breaker: BreakerPolicy::default(),
            health: HealthPolicy::default(),
            latency_prior_ms: 200,
            payment_restarts: RestartPolicy {
                restarts_max: 3,
                window: Duration::from_mins(1),
                backoff: Duration::from_millis(50),
                backoff_max: Duration::from_secs(5),
            },
            singleton_restarts: RestartPolicy {
                restarts_max: 10,
                window: Duration::from_mins(1),
                backoff: Duration::from_millis(10),
                backoff_max: Duration::from_secs(2),
            },
            batch_commits_max: 2048,
            snapshot_every_commits: 100_000,
            scrub_commits_per_s: 20_000,
            scrub_every: Duration::from_hours(24),
            monitor_every: Duration::from_mins(1),
            monitor_window: Duration::from_mins(5),
            resolution_waits,
            resume_page: 256,
        }
    }
}

/// An option that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{key}` {why}")]
pub struct OptionError {
    /// The configuration key.
    pub key: &'static str,
    /// What is wrong.
    pub why: String,
}

impl Options {
    /// Messages that one operation in flight may have waiting in one mailbox at once: it is in one stage at a time, and its
    /// caller may leave one cancellation behind.
    pub const MESSAGES_PER_OPERATION: usize = 2;

    /// What a provider takes and costs.
    pub fn terms_of(&self, provider: ProviderId) -> ProviderTerms {
        self.terms_of_providers
            .get(&provider)
            .copied()
            .unwrap_or(self.provider_terms)
    }

    /// The capacity that singletons need so that an admitted operation never waits for room.
    pub fn internal_capacity(&self) -> usize {
        self.admission
            .in_flight_max
            .saturating_mul(Self::MESSAGES_PER_OPERATION)
    }

    /// Payments that are brought back at once because something of theirs is due, by the schedule of questions and by deadlines.
    pub fn due_at_once(&self) -> usize {
        let questions = self.resume_page.saturating_mul(2);
        questions.saturating_add(crate::deadlines::PAGE.saturating_mul(WaitKind::ALL.len()))
    }

    /// Checks what the actors rely on.
    pub fn check(&self) -> Result<(), OptionError> {
        let fail = |key, why: &str| {
            Err(OptionError {
                key,
                why: why.to_owned(),
            })
        };
        if self.admission.in_flight_max == 0 {
            return fail("limits.in_flight_max", "must be at least 1");
        }
        if self.guardians == 0 || self.guardians > 256 {
            return fail("actors.guardians", "must be 1 to 256");
        }
        if self.risk_shards == 0 {
            return fail("risk.shards", "must be at least 1");
        }
        // The counts of eight accounts fit into what a velocity shard remembers then (`risk/memory.rs`).
        let transfers = self.transfer_limits.hour_count_max.map(usize::try_from);
        if transfers.is_some_and(|max| max.is_ok_and(|max| max >= self.risk_subjects_max)) {
            let most = self.risk_subjects_max.saturating_sub(1);
            let why = format!("must be at most {most}, or it could not be counted for enough accounts");
            return fail("risk.transfers.hour_count_max", &why);
        }
        if self.payment_caps.soft > self.payment_caps.hard || self.payment_caps.soft == 0 {
            return fail("actors.payment_mailbox", "needs 1 <= soft <= hard");
        }
        let mut terms = self.terms_of_providers.values().chain([&self.provider_terms]);
        if terms.any(|terms| terms.caps.permits == 0) {
            return fail("provider.permits", "must be at least 1");
        }
        if self.retry.tries_max == 0 {
            return fail("retry.tries_max", "must be at least 1");
        }
        if self.batch_commits_max == 0 || self.snapshot_every_commits == 0 {
            return fail("journal", "batch and snapshot sizes must be at least 1");
        }
        if self.scrub_every.is_zero() {
            return fail("journal.scrub_every_s", "must be at least 1");
        }
        if self.monitor_window.is_zero() {
            return fail("ledger.monitor_window_s", "must be at least 1");
        }
        if self.resolution_waits.is_empty() {
            return fail("resolution.waits", "needs at least one wait");
        }
        if self.stages.authorization >= self.answer_budget {
            return fail(
                "stages.authorization_ms",
                "must be shorter than the answer budget",
            );
        }
        Ok(())
    }
}
