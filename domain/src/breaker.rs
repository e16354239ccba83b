//! The circuit breaker of one provider and one kind of operation: after failures in a row nothing is sent for a while, then one
//! request finds out whether that has helped. Every change of state begins a new generation, and what was sent in an older one
//! has no say in it.

use crate::health::CallResult;
use crate::time::{Millis, Timestamp};

#[cfg(test)]
mod tests;

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// Failures in a row that open it.
    pub failures_max: u32,
    /// How long it then refuses.
    pub open: Millis,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            failures_max: 5,
            open: Millis::from_s(60),
        }
    }
}

/// What an admitted call carries, and gives back with its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pass {
    generation: u64,
}

/// Whether a call may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admit {
    /// It may.
    Go(Pass),
    /// It may, as the only one: its result says how it goes on. The breaker is half-open from here on.
    Probe(Pass),
    /// It may not.
    Refused {
        /// When to ask again: the end of the open time, or `now` while a probe is under way, whose end nobody knows.
        until: Timestamp,
    },
}

impl Admit {
    /// The pass of a call that may go.
    pub const fn pass(self) -> Option<Pass> {
        match self {
            Self::Go(pass) | Self::Probe(pass) => Some(pass),
            Self::Refused { .. } => None,
        }
    }
}

/// What a breaker has become, for logs and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    /// It refuses everything.
    Opened,
    /// It lets one call through. No result does that: it comes with [`Admit::Probe`].
    HalfOpened,
    /// It lets everything through.
    Closed,
}

impl Change {
    /// Stable word for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::HalfOpened => "half_opened",
            Self::Closed => "closed",
        }
    }
}

/// How a breaker stands at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Calls go.
    Closed {
        /// Failures since the last answer.
        failures: u32,
    },
    /// Calls are refused.
    Open {
        /// When the next one may go.
        until: Timestamp,
    },
    /// One call may go, or is under way.
    HalfOpen {
        /// It is under way.
        is_probing: bool,
    },
}

impl BreakerState {
    /// Stable word for metrics, trees and histories.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed { .. } => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen { .. } => "half_open",
        }
    }
}

/// What is remembered, whatever the clock says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Closed { failures: u32 },
    Open { since: Timestamp, until: Timestamp },
    HalfOpen { is_probing: bool },
}

/// A breaker; closed at first. Whoever gets a pass must say how it ended, if only by [`CallResult::NotCounted`].
#[derive(Clone, Debug)]
pub struct Breaker {
    generation: u64,
    phase: Phase,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            generation: 0,
            phase: Phase::Closed { failures: 0 },
        }
    }
}

impl Breaker {
    /// Whether a call may go now. For how long it refuses was settled when it opened.
    pub fn admit(&mut self, now: Timestamp) -> Admit {
        match self.state(now) {
            BreakerState::Closed { .. } => Admit::Go(self.pass()),
            BreakerState::Open { until } => Admit::Refused { until },
            BreakerState::HalfOpen { is_probing: true } => Admit::Refused { until: now },
            BreakerState::HalfOpen { is_probing: false } => {
                self.enter(Phase::HalfOpen { is_probing: true });
                Admit::Probe(self.pass())
            }
        }
    }

    /// Takes the result of the call with this pass; of a pass from before the last change of state, nothing.
    pub fn ended(
        &mut self,
        policy: &BreakerPolicy,
        pass: Pass,
        result: CallResult,
        now: Timestamp,
    ) -> Option<Change> {
        if pass != self.pass() {
            return None;
        }
        match (self.phase, result) {
            (Phase::Closed { .. }, CallResult::Answered) => {
                self.phase = Phase::Closed { failures: 0 };
                None
            }
            (Phase::Closed { failures }, CallResult::TimedOut | CallResult::Failed) => {
                let failures = failures.saturating_add(1);
                if failures >= policy.failures_max {
                    return Some(self.open(policy, now));
                }
                self.phase = Phase::Closed { failures };
                None
            }
            (Phase::HalfOpen { is_probing: true }, CallResult::Answered) => {
                self.enter(Phase::Closed { failures: 0 });
                Some(Change::Closed)
            }
            (Phase::HalfOpen { is_probing: true }, CallResult::TimedOut | CallResult::Failed) => {
                Some(self.open(policy, now))
            }
            // Nothing was learnt: the next call is the probe.
            (Phase::HalfOpen { is_probing: true }, CallResult::NotCounted) => {
                self.enter(Phase::HalfOpen { is_probing: false });
                None
            }
            (Phase::Closed { .. }, CallResult::NotCounted)
            // No pass was given out in these.
            | (Phase::Open { .. } | Phase::HalfOpen { is_probing: false }, _) => None,
        }
    }

    /// How it stands. Reading changes nothing: it stays open until a call is let through as the probe.
    pub fn state(&self, now: Timestamp) -> BreakerState {
        match self.phase {
            Phase::Closed { failures } => BreakerState::Closed { failures },
            Phase::HalfOpen { is_probing } => BreakerState::HalfOpen { is_probing },
            Phase::Open { since, until } => {
                // A clock that was put back must not keep it open for the difference. If it is back by less than the open
                // time, the calls of two threads may just have read it in another order; by more, it is wrong, and one probe
                // too early costs less than a provider that is never asked again.
                let is_far_back = since.since(now) >= until.since(since);
                if now < until && !is_far_back {
                    BreakerState::Open { until }
                } else {
                    BreakerState::HalfOpen { is_probing: false }
                }
            }
        }
    }

    /// Whether a call would be let through, for whoever chooses between providers.
    pub fn takes(&self, now: Timestamp) -> bool {
        match self.state(now) {
            BreakerState::Closed { .. } => true,
            BreakerState::Open { .. } => false,
            BreakerState::HalfOpen { is_probing } => !is_probing,
        }
    }

    const fn pass(&self) -> Pass {
        Pass {
            generation: self.generation,
        }
    }

    fn open(&mut self, policy: &BreakerPolicy, now: Timestamp) -> Change {
        self.enter(Phase::Open {
            since: now,
            until: now.plus(policy.open),
        });
        Change::Opened
    }

    const fn enter(&mut self, phase: Phase) {
        self.generation = self.generation.wrapping_add(1);
        self.phase = phase;
    }
}
