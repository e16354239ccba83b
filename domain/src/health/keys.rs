//! Keys that a provider does not take: nothing new is charged under one until a single request has found out that it is taken again.
//! Each key stands for itself, so that one merchant's wrong key stops that merchant's charges there and nobody else's.

use super::CallResult;
use crate::breaker::{Admit, Breaker, BreakerPolicy, BreakerState, Change, Pass};
use crate::credentials::KeyOwner;
use crate::provider::Outcome;
use crate::time::{Millis, Timestamp};
use std::collections::BTreeMap;

/// Refused keys that nothing was charged under for so many open times are forgotten: the merchant has another one by now. One that is
/// wrong still is found out by the next request.
const FORGOTTEN_AFTER: u64 = 60;

/// What a call says of the key that it carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyVerdict {
    /// The provider took it.
    Taken,
    /// The provider did not take this one.
    Refused(KeyOwner),
    /// Nothing.
    Silent,
}

impl KeyVerdict {
    /// Reads it off the outcome of a call.
    pub const fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Succeeded { .. }
            | Outcome::Declined { .. }
            | Outcome::ActionRequired { .. }
            | Outcome::Pending { .. }
            | Outcome::Cancelled { .. } => Self::Taken,
            Outcome::Rejected {
                refused_key: Some(owner),
                ..
            } => Self::Refused(*owner),
            // Refused for its parameters, perhaps before anything was sent.
            Outcome::Rejected {
                refused_key: None, ..
            }
            | Outcome::NotSent { .. }
            | Outcome::RateLimited { .. }
            | Outcome::Unknown { .. } => Self::Silent,
        }
    }
}

/// What has become of a key, for logs, metrics and alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyChange {
    /// It is refused from now on.
    Refused(KeyOwner),
    /// It is taken again, or not used any more.
    Lifted(KeyOwner),
}

/// What an admitted charge carries, and gives back when it has ended: nothing if its key was not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyPass(Option<(KeyOwner, Pass)>);

impl KeyPass {
    /// Of a call whose key nobody looked at.
    pub const FREE: Self = Self(None);
}

/// The keys that a provider refused lately.
#[derive(Clone, Debug, Default)]
pub struct RefusedKeys(BTreeMap<KeyOwner, Refusal>);

#[derive(Clone, Debug)]
struct Refusal {
    /// When it was refused last.
    at: Timestamp,
    breaker: Breaker,
}

impl RefusedKeys {
    /// None is.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whose they are.
    pub fn owners(&self) -> impl Iterator<Item = KeyOwner> {
        self.0.keys().copied()
    }

    /// Whether a charge under this key would be let through.
    pub fn takes(&self, owner: KeyOwner, now: Timestamp) -> bool {
        self.0
            .get(&owner)
            .is_none_or(|refusal| refusal.breaker.takes(now))
    }

    /// Lets a charge under this key through, or not. Whoever gets a pass must say how it ended.
    pub fn admit(&mut self, owner: KeyOwner, now: Timestamp) -> Option<KeyPass> {
        let Some(refusal) = self.0.get_mut(&owner) else {
            return Some(KeyPass::FREE);
        };
        match refusal.breaker.admit(now) {
            Admit::Go(pass) | Admit::Probe(pass) => Some(KeyPass(Some((owner, pass)))),
            Admit::Refused { .. } => None,
        }
    }

    /// Takes what a charge said of its key. After `open` one more is let through under a key that was refused.
    pub fn ended(
        &mut self,
        pass: KeyPass,
        verdict: KeyVerdict,
        open: Millis,
        now: Timestamp,
    ) -> Option<KeyChange> {
        let policy = BreakerPolicy {
            failures_max: 1,
            open,
        };
        let refused = match verdict {
            KeyVerdict::Refused(owner) => Some(owner),
            KeyVerdict::Taken | KeyVerdict::Silent => None,
        };
        let mut change = None;
        if let KeyPass(Some((owner, pass))) = pass
            && let Some(refusal) = self.0.get_mut(&owner)
        {
            let result = match verdict {
                KeyVerdict::Taken => CallResult::Answered,
                KeyVerdict::Refused(other) if other == owner => {
                    refusal.at = now;
                    CallResult::Failed
                }
                // It went under another key than it was let through for: they were exchanged in between.
                KeyVerdict::Refused(_) | KeyVerdict::Silent => CallResult::NotCounted,
            };
            if refusal.breaker.ended(&policy, pass, result, now) == Some(Change::Closed) {
                self.0.remove(&owner);
                change = Some(KeyChange::Lifted(owner));
            }
        }
        match refused {
            Some(owner) if !self.0.contains_key(&owner) => {
                let mut breaker = Breaker::default();
                if let Some(pass) = breaker.admit(now).pass() {
                    breaker.ended(&policy, pass, CallResult::Failed, now);
                }
                self.0.insert(owner, Refusal { at: now, breaker });
                Some(KeyChange::Refused(owner))
            }
            Some(_) | None => change,
        }
    }

    /// Forgets a key that nobody uses any more; to be called now and then.
    pub fn forget(&mut self, open: Millis, now: Timestamp) -> Option<KeyChange> {
        let after = Millis(open.0.saturating_mul(FORGOTTEN_AFTER));
        let is_over = |refusal: &Refusal| match refusal.breaker.state(now) {
            BreakerState::HalfOpen { is_probing: false } => refusal.at.plus(after) <= now,
            BreakerState::HalfOpen { is_probing: true }
            | BreakerState::Open { .. }
            | BreakerState::Closed { .. } => false,
        };
        let (owner, _) = self.0.iter().find(|(_, refusal)| is_over(refusal))?;
        let owner = *owner;
        self.0.remove(&owner);
        Some(KeyChange::Lifted(owner))
    }
}

#[cfg(test)]
mod tests;
