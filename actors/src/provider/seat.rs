//! What everybody sees of a provider: its port, its address, how much it has to do, and how it stands.

use super::ProviderMail;
use super::standing::Standing;
use crate::mailbox::Mailbox;
use crate::options::ProviderTerms;
use arc_swap::ArcSwap;
use florin_domain::breaker::BreakerState;
use florin_domain::credentials::KeyOwner;
use florin_domain::health::{Charger, KeyStop, StoppedKeys};
use florin_domain::ids::MerchantId;
use florin_domain::ports::Provider;
use florin_domain::provider::ProviderId;
use florin_domain::routing::{Bar, Entrant};
use florin_domain::time::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use super::line::Line;

/// In place of a merchant that nothing was ever said of.
const NOBODY: MerchantId = MerchantId::from_bits(0);

/// One provider.
#[derive(Debug)]
pub struct ProviderSeat {
    /// Its name.
    pub id: ProviderId,
    /// Its port.
    pub port: Arc<dyn Provider>,
    /// Its actor.
    pub mailbox: Mailbox<ProviderMail>,
    /// How many calls it takes, and what it costs.
    pub terms: ProviderTerms,
    /// How it stands, as its actor saw it last.
    pub standing: ArcSwap<Standing>,
    /// Taken out of routing by an operator.
    pub disabled: AtomicBool,
    /// Requests under way; outlives restarts of the actor.
    pub in_flight: AtomicUsize,
    /// Calls that wait for a permit.
    pub waiting: AtomicUsize,
    /// Questions about what is already under way, on permits of their own.
    pub resolving: AtomicUsize,
    /// Charges that were planned here and have not called yet.
    pub promised: AtomicUsize,
    /// Until when the breaker before charges is open, as far as somebody was told already; in Unix milliseconds.
    told_open_until: AtomicU64,
}

/// A charge's place in the queue before a provider, from its plan to its first call.
#[derive(Debug)]
pub struct Promise(Arc<ProviderSeat>);

impl Drop for Promise {
    fn drop(&mut self) {
        self.0.promised.fetch_sub(1, Ordering::Relaxed);
    }
}

impl ProviderSeat {
    /// A provider that nobody has asked yet.
    pub fn new(port: Arc<dyn Provider>, mailbox: Mailbox<ProviderMail>, terms: ProviderTerms) -> Self {
        Self {
            id: port.capabilities().id,
            port,
            mailbox,
            terms,
            standing: ArcSwap::default(),
            disabled: AtomicBool::default(),
            in_flight: AtomicUsize::default(),
            waiting: AtomicUsize::default(),
            resolving: AtomicUsize::default(),
            promised: AtomicUsize::default(),
            told_open_until: AtomicU64::default(),
        }
    }

    /// Promises a new charge that its call finds room, unless as many as it takes are under way, wait or were promised it already.
    pub fn promise(self: &Arc<Self>) -> Option<Promise> {
        let caps = self.terms.caps;
        let calls_max = caps.permits.saturating_add(caps.queue_max);
        let promised = self.promised.fetch_add(1, Ordering::Relaxed);
        let promise = Promise(Arc::clone(self));
        let ahead = self.in_flight.load(Ordering::Relaxed) + self.waiting.load(Ordering::Relaxed);
        (promised.saturating_add(ahead) < calls_max).then_some(promise)
    }

    /// Whether the breaker before charges is open, and nobody has been told of this opening yet. Whoever asks tells.
    pub fn opening_is_news(&self, now: Timestamp) -> bool {
        match self.standing.load().breaker(Line::Charge).state(now) {
            BreakerState::Open { until } => {
                let until_ms = until.unix_ms();
                self.told_open_until.swap(until_ms, Ordering::Relaxed) != until_ms
            }
            BreakerState::Closed { .. } | BreakerState::HalfOpen { .. } => false,
        }
    }

    /// As routing sees it, room aside: for a charge of a merchant that was asked for at some time, or for one under the platform's key.
    pub fn entrant(&self, charge: Option<(MerchantId, Timestamp)>, now: Timestamp) -> Entrant {
        let standing = self.standing.load();
        let bar = if self.disabled.load(Ordering::Relaxed) {
            Some(Bar::Disabled)
        } else if !standing.breaker(Line::Charge).takes(now) {
            Some(Bar::BreakerOpen)
        } else {
            let stop = self.key_stop(&standing.stopped_keys, charge, now);
            stop.map(|stop| match stop {
                KeyStop::Refused(_) | KeyStop::Forbidden(..) => Bar::KeyRefused,
                KeyStop::Limited(_) => Bar::KeyLimited,
            })
        };
        Entrant {
            id: self.id,
            bar,
            health: standing.health,
            score: standing.score,
        }
    }

    fn key_stop(
        &self,
        stopped: &StoppedKeys,
        charge: Option<(MerchantId, Timestamp)>,
        now: Timestamp,
    ) -> Option<KeyStop> {
        if stopped.is_empty() {
            return None;
        }
        let charger = match charge {
            Some((merchant, made_at)) => {
                let key = self.port.key_owner(merchant, made_at)?;
                Charger { merchant, key }
            }
            None => Charger {
                merchant: NOBODY,
                key: KeyOwner::Platform,
            },
        };
        stopped.bar(charger, now)
    }
}
