//! How a provider stands: its breakers, its last minutes, and the score that comes of them. Only its actor changes it.

use super::line::Line;
use crate::options::{Options, ProviderTerms};
use crate::payment::count_stale;
use florin_domain::breaker::{Admit, Breaker, BreakerState, Change, Pass};
use florin_domain::health::{
    CallResult, Charger, Health, KeyChange, KeyPass, KeyStop, KeyVerdict, StoppedKeys, Windows,
};
use florin_domain::provider::ProviderId;
use florin_domain::retry::{BudgetPolicy, RetryBudget};
use florin_domain::routing::{Measures, Score};
use florin_domain::time::Timestamp;
use metrics::{Counter, Gauge};
use ractor::ActorId;

/// What routing and operators go by.
#[derive(Clone, Debug)]
pub struct Standing {
    breakers: [Breaker; Line::ALL.len()],
    /// How it has been doing.
    pub health: Health,
    /// How good it is.
    pub score: Score,
    /// What the score was made of.
    pub measures: Measures,
    /// Keys that something was said against lately.
    pub stopped_keys: StoppedKeys,
}

impl Default for Standing {
    fn default() -> Self {
        let measures = Measures {
            success_bps: 10_000,
            latency_ms: 0,
            cost_bps: 0,
        };
        Self {
            breakers: Default::default(),
            health: Health::Healthy,
            score: Score::of(measures),
            measures,
            stopped_keys: StoppedKeys::default(),
        }
    }
}

impl Standing {
    /// The breaker before one kind of operation.
    pub fn breaker(&self, line: Line) -> &Breaker {
        &self.breakers[line as usize]
    }
}

/// Why a call was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Away {
    /// The circuit breaker before this kind of operation is open.
    BreakerOpen,
    /// The provider does not take the key that it would carry.
    KeyRefused,
    /// The provider has had more requests under the merchant's own key than it takes.
    KeyLimited,
    /// What all retries at the provider live on is used up.
    BudgetUsedUp,
}

impl Away {
    /// For operators.
    pub const fn why(self) -> &'static str {
        match self {
            Self::BreakerOpen => "the provider's circuit breaker is open",
            Self::KeyRefused => "the provider does not take the key that the charge would carry",
            Self::KeyLimited => {
                "the provider has had more requests under the merchant's own key than it takes"
            }
            Self::BudgetUsedUp => "the provider was asked to repeat as much as it may be",
        }
    }

    const fn of(stop: KeyStop) -> Self {
        match stop {
            KeyStop::Refused(_) | KeyStop::Forbidden(..) => Self::KeyRefused,
            KeyStop::Limited(_) => Self::KeyLimited,
        }
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// Which incarnation of the provider's actor let it through.
    pub(super) incarnation: ActorId,
    pub(super) line: Line,
    /// Nothing if no breaker had a say in it.
    pub(super) pass: Option<Pass>,
    pub(super) result: CallResult,
    pub(super) took_ms: u64,
    /// What it carried because of what was said against its key before, and what it says of its key.
    pub(super) key: (KeyPass, KeyVerdict),
    /// Whose charge it was, where that was looked at.
    pub(super) charger: Option<Charger>,
}

impl Ended {
    /// Passes are numbered anew by each incarnation's breakers, so that those of an earlier one say nothing.
    pub(super) fn is_of(&self, incarnation: ActorId) -> bool {
        let is_own = self.incarnation == incarnation;
        if !is_own {
            count_stale("call_ended");
        }
        is_own
    }
}

/// The actor's own books, from which [`Standing`] is published.
#[derive(Debug)]
pub(super) struct Books {
    provider: ProviderId,
    terms: ProviderTerms,
    breakers: [Breaker; Line::ALL.len()],
    windows: Windows,
    stopped_keys: StoppedKeys,
    budget: RetryBudget,
    retries: Counter,
    gauges: [Gauge; Line::ALL.len()],
    health: Gauge,
    score: Gauge,
}

impl Books {
    pub(super) fn new(provider: ProviderId, terms: ProviderTerms) -> Self {
        let gauge = |line: Line| metrics::gauge!("florin_provider_breaker", "provider" => provider.to_string(), "operation" => line.as_str());
        Self {
            provider,
            terms,
            breakers: Default::default(),
            windows: Windows::default(),
            stopped_keys: StoppedKeys::default(),
            budget: RetryBudget::default(),
            retries: metrics::counter!("florin_provider_retries_total", "provider" => provider.to_string()),
            gauges: Line::ALL.map(gauge),
            health: metrics::gauge!("florin_provider_health", "provider" => provider.to_string()),
            score: metrics::gauge!("florin_provider_score", "provider" => provider.to_string()),
        }
    }

    pub(super) fn state(&self, line: Line, now: Timestamp) -> BreakerState {
        self.breakers[line as usize].state(now)
    }

    /// Why a call would not be let through now. `key` is that of a charge; nothing else asks whether its key is taken, because what
    /// belongs to a charge that was made goes nowhere else.
    pub(super) fn bar(&self, line: Line, key: Option<Charger>, now: Timestamp) -> Option<Away> {
        if !self.breakers[line as usize].takes(now) {
            return Some(Away::BreakerOpen);
        }
        let stop = key.and_then(|key| self.stopped_keys.bar(key, now));
        stop.map(Away::of)
    }

    /// Counts a call, and says whether it may be made: what repeats another one lives on the budget.
    pub(super) fn affords(&mut self, is_retry: bool, policy: BudgetPolicy, now: Timestamp) -> bool {
        if !is_retry {
            self.budget.called(now);
            return true;
        }
        let has_room = self.budget.take(policy, now);
        self.retries.increment(u64::from(has_room));
        has_room
    }

    /// Nothing was said against any key lately, so nobody needs to know whose a call carries.
    pub(super) fn takes_all_keys(&self) -> bool {
        self.stopped_keys.is_empty()
    }

    /// Lets a call through, or says why not.
    pub(super) fn admit(
        &mut self,
        line: Line,
        key: Option<Charger>,
        now: Timestamp,
    ) -> Result<(Pass, KeyPass), Away> {
        if let Some(away) = self.bar(line, key, now) {
            return Err(away);
        }
        let admitted = self.breakers[line as usize].admit(now);
        if matches!(admitted, Admit::Probe(_)) {
            self.tell(line, Change::HalfOpened);
        }
        let pass = admitted.pass().ok_or(Away::BreakerOpen)?;
        let key_pass = key.map(|key| self.stopped_keys.admit(key, now).map_err(Away::of));
        Ok((pass, key_pass.transpose()?.unwrap_or(KeyPass::FREE)))
    }

    pub(super) fn ended(&mut self, ended: &Ended, options: &Options, now: Timestamp) {
        let Ended {
            line,
            pass,
            result,
            took_ms,
            key: (key_pass, verdict),
            charger,
            incarnation: _,
        } = *ended;
        self.windows.record(result, took_ms, now);
        let breaker = &mut self.breakers[line as usize];
        let change = pass.and_then(|pass| breaker.ended(&options.breaker, pass, result, now));
        if let Some(change) = change {
            self.tell(line, change);
        }
        match line {
            Line::Charge => {
                let said = (key_pass, verdict);
                let changes = self.stopped_keys.ended(said, charger, options.breaker.open, now);
                for change in changes {
                    self.tell_of_key(change, now);
                }
            }
            // A key may be good for charges all the same; whoever asked is answered, and operators are told.
            Line::Capture | Line::Void | Line::Refund | Line::Increment => {
                if let KeyVerdict::Refused(owner) | KeyVerdict::Forbidden(owner) = verdict {
                    let (provider, operation) = (self.provider, line.as_str());
                    count_alert();
                    tracing::error!(%provider, operation, key = %owner, "a provider does not take a key (401), or refuses what was asked under it (403)");
                }
            }
        }
    }

    /// Forgets refused keys that nobody uses any more.
    pub(super) fn look_at_keys(&mut self, options: &Options, now: Timestamp) {
        if let Some(change) = self.stopped_keys.forget(options.breaker.open, now) {
            self.tell_of_key(change, now);
        }
    }

    fn tell_of_key(&self, change: KeyChange, now: Timestamp) {
        let provider = self.provider;
        match change {
            KeyChange::Stopped(stop @ KeyStop::Refused(owner)) => {
                self.show_key(stop, true);
                count_alert();
                tracing::error!(%provider, key = %owner, "a provider does not take a key (401, or 403 for several merchants): nothing new is charged under it, and one charge at a time finds out whether it is taken again");
            }
            KeyChange::Stopped(stop @ KeyStop::Forbidden(_, owner)) => {
                self.show_key(stop, true);
                count_alert();
                tracing::error!(%provider, merchant = %stop, key = %owner, "a provider refuses a merchant's charges under a key (403), three in a row: nothing new of that merchant is charged under it, and one charge at a time finds out whether it is taken again");
            }
            KeyChange::Stopped(stop @ KeyStop::Limited(owner)) => {
                self.show_key(stop, true);
                tracing::warn!(%provider, key = %owner, "a provider turns away all that comes under a merchant's own key because of its rate (429): for a while nothing new is charged under it");
            }
            KeyChange::Lifted(stop) => {
                let is_same = |other: KeyStop| metric_of(other) == metric_of(stop);
                let is_other_stopped = self.stopped_keys.stops(now).any(is_same);
                self.show_key(stop, is_other_stopped);
                tracing::info!(%provider, key = %stop, "a key that a provider did not take, or not so often, is taken again, or not used any more");
            }
        }
    }

    /// Shows in the metrics whether a key is stopped.
    pub(super) fn show_key(&self, stop: KeyStop, is_stopped: bool) {
        let (name, key) = metric_of(stop);
        metrics::gauge!(name, "provider" => self.provider.to_string(), "key" => key)
            .set(f64::from(u8::from(is_stopped)));
    }

    fn tell(&self, line: Line, change: Change) {
        let (provider, operation) = (self.provider.to_string(), line.as_str());
        metrics::counter!("florin_provider_breaker_changes_total", "provider" => provider.clone(), "operation" => operation, "to" => change.as_str())
            .increment(1);
        match change {
            Change::Opened => {
                tracing::warn!(%provider, operation, "a circuit breaker has opened: nothing is sent for a while");
            }
            Change::HalfOpened => {
                tracing::info!(%provider, operation, "a circuit breaker lets one request through");
            }
            Change::Closed => {
                tracing::info!(%provider, operation, "a circuit breaker has closed");
            }
        }
    }

    /// What everybody may see of it now.
    pub(super) fn standing(&mut self, options: &Options, now: Timestamp) -> Standing {
        let policy = &options.health;
        let health = self.windows.judge(policy, now);
        let seen = self.windows.measures(policy.success_window, now);
        let measures = Measures::of(
            &seen,
            policy.calls_min,
            options.latency_prior_ms,
            self.terms.cost_bps,
        );
        let score = Score::of(measures);
        for (gauge, breaker) in self.gauges.iter().zip(&self.breakers) {
            gauge.set(match breaker.state(now) {
                BreakerState::Closed { .. } => 0.0,
                BreakerState::HalfOpen { .. } => 1.0,
                BreakerState::Open { .. } => 2.0,
            });
        }
        self.health.set(f64::from(health as u8));
        self.score.set(f64::from(score.hundredths()) / 100.0);
        Standing {
            breakers: self.breakers.clone(),
            health,
            score,
            measures,
            stopped_keys: self.stopped_keys.clone(),
        }
    }
}

/// The gauge that shows it, and whose key: versions of a merchant's are one there.
fn metric_of(stop: KeyStop) -> (&'static str, String) {
    let name = match stop {
        KeyStop::Refused(_) | KeyStop::Forbidden(..) => "florin_provider_key_refused",
        KeyStop::Limited(_) => "florin_provider_key_limited",
    };
    (name, stop.to_string())
}

fn count_alert() {
    metrics::counter!("florin_alerts_total", "alert" => "provider_key_refused").increment(1);
}
