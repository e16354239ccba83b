//! Keys under which a provider does nothing: those that it does not take (401), those under which it refuses the charges of a merchant
//! (403), and a merchant's own of which it has had more requests than it takes (429). Nothing new is charged under one until a single request has found out that it is taken again. Each key stands for itself, so
//! that one merchant's wrong key, or one merchant's flood of requests, stops that merchant's charges there and nobody else's.

use super::CallResult;
use crate::breaker::{Admit, Breaker, BreakerPolicy, BreakerState, Change, Pass};
use crate::credentials::KeyOwner;
use crate::ids::MerchantId;
use crate::provider::{KeyRefusal, Outcome};
use crate::time::{Millis, Timestamp};
use std::collections::BTreeMap;
use std::fmt;

/// Keys that nothing was charged under for so many open times are forgotten: the merchant has another one by now. One that is
/// wrong still is found out by the next request.
const FORGOTTEN_AFTER: u64 = 60;

/// So many requests in a row that a provider turns away because of their rate stop a merchant's charges, like a breaker.
const LIMITED_MAX: u32 = 5;

/// So many charges of a merchant in a row that a provider refuses under a key stop that merchant's: one may be about itself.
const FORBIDDEN_MAX: u32 = 3;

/// Under a key that merchants share, so many of them that are stopped, with nobody charged under it in between, stop all.
const FORBIDDEN_MERCHANTS_MAX: usize = 3;

/// What a call says of the key that it carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyVerdict {
    /// The provider took it.
    Taken,
    /// The provider took it for an object that charges nothing yet.
    TakenToPrepare,
    /// The provider did not take this one.
    Refused(KeyOwner),
    /// The provider refused the charge under this one.
    Forbidden(KeyOwner),
    /// The provider has had too many requests under this one, which is a merchant's own: it says nothing of the provider.
    Limited(KeyOwner),
    /// Nothing.
    Silent,
}

impl KeyVerdict {
    /// Reads it off the outcome of a call under this key, if that is known.
    pub const fn of(outcome: &Outcome, key: Option<KeyOwner>) -> Self {
        match outcome {
            Outcome::Succeeded { .. }
            | Outcome::Declined { .. }
            | Outcome::ActionRequired { .. }
            | Outcome::Pending { .. }
            | Outcome::Cancelled { .. } => Self::Taken,
            Outcome::Rejected {
                refused_key: Some(KeyRefusal::Unknown(owner)),
                ..
            } => Self::Refused(*owner),
            Outcome::Rejected {
                refused_key: Some(KeyRefusal::Forbidden(owner)),
                ..
            } => Self::Forbidden(*owner),
            Outcome::RateLimited { .. } => match key {
                Some(owner @ KeyOwner::Merchant { .. }) => Self::Limited(owner),
                // All merchants share it, and the provider's breaker.
                Some(KeyOwner::Platform) | None => Self::Silent,
            },
            // Refused for its parameters, perhaps before anything was sent.
            Outcome::Rejected {
                refused_key: None, ..
            }
            | Outcome::NotSent { .. }
            | Outcome::Unknown { .. } => Self::Silent,
        }
    }
}

/// Whose charge it is, and under whose key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charger {
    /// Whose payment.
    pub merchant: MerchantId,
    /// Whose key.
    pub key: KeyOwner,
}

/// Why nothing new is charged under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyStop {
    /// The provider does not take it.
    Refused(KeyOwner),
    /// It has had more requests under it than it takes.
    Limited(KeyOwner),
    /// The provider refuses what it is asked for this merchant under it. Nobody else is stopped by that.
    Forbidden(MerchantId, KeyOwner),
}

impl KeyStop {
    /// Those that a charge may meet.
    const fn of(charger: Charger) -> [Self; 3] {
        let Charger { merchant, key } = charger;
        [
            Self::Refused(key),
            Self::Limited(key),
            Self::Forbidden(merchant, key),
        ]
    }

    const fn policy(self, open: Millis) -> BreakerPolicy {
        let failures_max = match self {
            Self::Refused(_) => 1,
            Self::Limited(_) => LIMITED_MAX,
            Self::Forbidden(..) => FORBIDDEN_MAX,
        };
        BreakerPolicy { failures_max, open }
    }

    /// What a verdict says of it.
    fn result(self, verdict: KeyVerdict) -> CallResult {
        let is_said_of = |key| match self {
            Self::Refused(own) | Self::Limited(own) | Self::Forbidden(_, own) => own == key,
        };
        match (self, verdict) {
            (_, KeyVerdict::Taken) | (Self::Refused(_), KeyVerdict::TakenToPrepare) => CallResult::Answered,
            // A key that is not taken from anybody is not taken again because one merchant's charge is refused under it.
            (Self::Refused(_), KeyVerdict::Refused(key) | KeyVerdict::Forbidden(key))
            | (Self::Limited(_), KeyVerdict::Limited(key))
            | (Self::Forbidden(..), KeyVerdict::Forbidden(key))
                if is_said_of(key) =>
            {
                CallResult::Failed
            }
            // Were the making of an object counted, it would hide that no charge is taken. Or it went under another key than it was let
            // through for: they were exchanged in between.
            (Self::Refused(_) | Self::Limited(_) | Self::Forbidden(..), _) => CallResult::NotCounted,
        }
    }
}

impl fmt::Display for KeyStop {
    /// Whose charges it stops: `platform`, or a merchant.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(owner) | Self::Limited(owner) => owner.fmt(f),
            Self::Forbidden(merchant, _) => merchant.fmt(f),
        }
    }
}

/// What has become of a key, for logs, metrics and alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyChange {
    /// Nothing is charged under it from now on.
    Stopped(KeyStop),
    /// It is taken again, or not used any more.
    Lifted(KeyStop),
}

/// What an admitted charge carries, and gives back when it has ended: nothing if nothing was said against its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyPass([Option<(KeyStop, Pass)>; 3]);

impl KeyPass {
    /// Of a call whose key nobody looked at.
    pub const FREE: Self = Self([None; 3]);

    fn of(self, stop: KeyStop) -> Option<Pass> {
        let mut passes = self.0.into_iter().flatten();
        passes.find(|(other, _)| *other == stop).map(|(_, pass)| pass)
    }
}

/// The keys that something was said against lately.
#[derive(Clone, Debug, Default)]
pub struct StoppedKeys(BTreeMap<KeyStop, Stopped>);

#[derive(Clone, Debug)]
struct Stopped {
    /// When that was said last.
    at: Timestamp,
    breaker: Breaker,
    /// The key was taken for somebody after that, so what was said is about whom it was said to.
    was_taken_since: bool,
}

impl Stopped {
    fn new(at: Timestamp) -> Self {
        Self {
            at,
            breaker: Breaker::default(),
            was_taken_since: false,
        }
    }
}

impl StoppedKeys {
    /// Nothing was said against any.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those under which nothing is charged, or one request to find out.
    pub fn stops(&self, now: Timestamp) -> impl Iterator<Item = KeyStop> {
        let is_closed =
            move |stopped: &Stopped| matches!(stopped.breaker.state(now), BreakerState::Closed { .. });
        let stops = self.0.iter().filter(move |(_, stopped)| !is_closed(stopped));
        stops.map(|(stop, _)| *stop)
    }

    /// Why a charge would not be let through, if so.
    pub fn bar(&self, charger: Charger, now: Timestamp) -> Option<KeyStop> {
        let takes = |stop: &KeyStop| self.0.get(stop).is_none_or(|stopped| stopped.breaker.takes(now));
        KeyStop::of(charger).into_iter().find(|stop| !takes(stop))
    }

    /// Lets a charge through, or says why not. Whoever gets a pass must say how it ended.
    pub fn admit(&mut self, charger: Charger, now: Timestamp) -> Result<KeyPass, KeyStop> {
        if let Some(stop) = self.bar(charger, now) {
            return Err(stop);
        }
        let mut admit = |stop| {
            let stopped: &mut Stopped = self.0.get_mut(&stop)?;
            match stopped.breaker.admit(now) {
                Admit::Go(pass) | Admit::Probe(pass) => Some((stop, pass)),
                Admit::Refused { .. } => None,
            }
        };
        Ok(KeyPass(KeyStop::of(charger).map(&mut admit)))
    }

    /// Takes what a charge said of its key; whose charge it was, where that was looked at. After `open` one more is let through under a key that was stopped.
    pub fn ended(
        &mut self,
        (pass, verdict): (KeyPass, KeyVerdict),
        charger: Option<Charger>,
        open: Millis,
        now: Timestamp,
    ) -> Vec<KeyChange> {
        let mut changes = Vec::new();
        let said = match verdict {
            KeyVerdict::Refused(owner) => Some(KeyStop::Refused(owner)),
            KeyVerdict::Limited(owner) => Some(KeyStop::Limited(owner)),
            KeyVerdict::Forbidden(owner) => {
                charger.map(|charger| KeyStop::Forbidden(charger.merchant, owner))
            }
            KeyVerdict::Taken | KeyVerdict::TakenToPrepare | KeyVerdict::Silent => None,
        };
        if said.is_none() && self.0.is_empty() {
            return changes;
        }
        if verdict == KeyVerdict::Taken
            && let Some(charger) = charger
        {
            self.taken(charger.key);
        }
        // Whoever was refused before only says so again. Were it counted as the probe of the key, a few such merchants would keep it
        // from those whom it works for; as it is not, the next charge finds out, and each of them waits for its own time.
        let is_said_again = said.is_some_and(|stop| self.0.contains_key(&stop))
            && matches!(verdict, KeyVerdict::Forbidden(_));
        if let Some(stop) = said {
            self.0.entry(stop).or_insert(Stopped::new(now));
        }
        let passed = pass.0.into_iter().flatten().map(|(stop, _)| stop);
        let known = charger.into_iter().flat_map(KeyStop::of);
        let mut about: Vec<KeyStop> = passed.chain(known).chain(said).collect();
        about.sort_unstable();
        about.dedup();
        for stop in about {
            let mut result = stop.result(verdict);
            if is_said_again && matches!(stop, KeyStop::Refused(_)) {
                self.said_again(stop, result, now);
                result = CallResult::NotCounted;
            }
            changes.extend(self.heard(stop, pass.of(stop), result, open, now));
        }
        if let Some(&KeyChange::Stopped(KeyStop::Forbidden(_, key))) = changes.last() {
            changes.extend(self.forbidden_to_all(key, open, now));
        }
        changes
    }

    /// Somebody was charged under this key: what others were refused before says nothing of it.
    fn taken(&mut self, taken: KeyOwner) {
        for (stop, stopped) in &mut self.0 {
            if matches!(stop, KeyStop::Forbidden(_, key) if *key == taken) {
                stopped.was_taken_since = true;
            }
        }
    }

    /// A key that is refused to those only who were refused before is still in use, so it is not forgotten.
    fn said_again(&mut self, stop: KeyStop, result: CallResult, now: Timestamp) {
        if let Some(stopped) = self.0.get_mut(&stop)
            && result == CallResult::Failed
        {
            stopped.at = now;
        }
    }

    /// What is refused to so many merchants under a key that they share, and was granted to nobody in between, is refused for the key.
    fn forbidden_to_all(&mut self, key: KeyOwner, open: Millis, now: Timestamp) -> Option<KeyChange> {
        let is_one = |stop: &KeyStop| {
            let was_taken_since = self.0.get(stop).is_some_and(|stopped| stopped.was_taken_since);
            matches!(stop, KeyStop::Forbidden(_, other) if *other == key) && !was_taken_since
        };
        if self.stops(now).filter(is_one).count() < FORBIDDEN_MERCHANTS_MAX {
            return None;
        }
        let stop = KeyStop::Refused(key);
        self.0.entry(stop).or_insert(Stopped::new(now));
        self.heard(stop, None, CallResult::Failed, open, now)
    }

    fn heard(
        &mut self,
        stop: KeyStop,
        pass: Option<Pass>,
        result: CallResult,
        open: Millis,
        now: Timestamp,
    ) -> Option<KeyChange> {
        let stopped = self.0.get_mut(&stop)?;
        if result == CallResult::Failed {
            stopped.at = now;
            stopped.was_taken_since = false;
        }
        // What was sent before anything was said against the key counts while it is not stopped, and is no news once it is.
        let is_closed = matches!(stopped.breaker.state(now), BreakerState::Closed { .. });
        let pass = if is_closed {
            stopped.breaker.admit(now).pass()
        } else {
            pass
        };
        let change = stopped.breaker.ended(&stop.policy(open), pass?, result, now);
        match change {
            Some(Change::Opened) if is_closed => Some(KeyChange::Stopped(stop)),
            Some(Change::Closed) => {
                self.0.remove(&stop);
                Some(KeyChange::Lifted(stop))
            }
            Some(Change::Opened | Change::HalfOpened) => None,
            None => {
                if is_closed && result == CallResult::Answered {
                    self.0.remove(&stop);
                }
                None
            }
        }
    }

    /// Forgets a key that nobody uses any more; to be called now and then.
    pub fn forget(&mut self, open: Millis, now: Timestamp) -> Option<KeyChange> {
        let after = Millis(open.0.saturating_mul(FORGOTTEN_AFTER));
        let is_over = |stopped: &Stopped| match stopped.breaker.state(now) {
            BreakerState::HalfOpen { is_probing: false } | BreakerState::Closed { .. } => {
                stopped.at.plus(after) <= now
            }
            BreakerState::HalfOpen { is_probing: true } | BreakerState::Open { .. } => false,
        };
        let (stop, stopped) = self.0.iter().find(|(_, stopped)| is_over(stopped))?;
        let (stop, was_counted) = (
            *stop,
            matches!(stopped.breaker.state(now), BreakerState::Closed { .. }),
        );
        self.0.remove(&stop);
        (!was_counted).then_some(KeyChange::Lifted(stop))
    }
}

#[cfg(test)]
mod tests;
