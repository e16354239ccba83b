//! How a provider stands: its breakers, its last minutes, and the score that comes of them. Only its actor changes it.

use super::line::Line;
use crate::options::{Options, ProviderTerms};
use crate::payment::count_stale;
use florin_domain::breaker::{Admit, Breaker, BreakerState, Change, Pass};
use florin_domain::health::{CallResult, Health, Windows};
use florin_domain::provider::ProviderId;
use florin_domain::routing::{Measures, Score};
use florin_domain::time::Timestamp;
use metrics::Gauge;
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
        }
    }
}

impl Standing {
    /// The breaker before one kind of operation.
    pub fn breaker(&self, line: Line) -> &Breaker {
        &self.breakers[line as usize]
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// Which incarnation of the provider's actor let it through.
    pub(super) incarnation: ActorId,
    pub(super) line: Line,
    pub(super) pass: Pass,
    pub(super) result: CallResult,
    pub(super) took_ms: u64,
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
            gauges: Line::ALL.map(gauge),
            health: metrics::gauge!("florin_provider_health", "provider" => provider.to_string()),
            score: metrics::gauge!("florin_provider_score", "provider" => provider.to_string()),
        }
    }

    pub(super) fn state(&self, line: Line, now: Timestamp) -> BreakerState {
        self.breakers[line as usize].state(now)
    }

    pub(super) fn takes(&self, line: Line, now: Timestamp) -> bool {
        self.breakers[line as usize].takes(now)
    }

    /// Lets a call through, or not.
    pub(super) fn admit(&mut self, line: Line, now: Timestamp) -> Option<Pass> {
        let admitted = self.breakers[line as usize].admit(now);
        if matches!(admitted, Admit::Probe(_)) {
            self.tell(line, Change::HalfOpened);
        }
        admitted.pass()
    }

    pub(super) fn ended(&mut self, ended: Ended, options: &Options, now: Timestamp) {
        let Ended {
            line,
            pass,
            result,
            took_ms,
            incarnation: _,
        } = ended;
        self.windows.record(result, took_ms, now);
        let change = self.breakers[line as usize].ended(&options.breaker, pass, result, now);
        if let Some(change) = change {
            self.tell(line, change);
        }
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
        }
    }
}
