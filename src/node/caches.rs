//! What a node has in Redis where one is configured: copies of what is read often, which are in memory as well, and what is left of allowances.

use super::shards::KeptViews;
use florin_actors::context::NoCopies;
use florin_adapters::cache::{CachedCards, CachedViews, PaymentCache, Shared};
use florin_adapters::redis::Redis;
use florin_adapters::velocity_copies::CopiedVelocity;
use florin_config::Settings;
use florin_domain::ports::{CardVault, SharedLimits, ShownPayments, VelocityCopies, Views};
use std::sync::Arc;

/// The caches of a node. All of them begin empty, and are gone with it.
pub(crate) struct Caches {
    /// Where saved cards are in Redis.
    cards: Option<Arc<Shared>>,
    payments: Arc<PaymentCache>,
    /// Copies of what risk counts.
    pub(crate) velocity: Arc<dyn VelocityCopies>,
    /// Limits of all processes on that Redis.
    pub(crate) limits: Option<Arc<dyn SharedLimits>>,
}

impl Caches {
    /// Empty ones. Redis is connected to in the background: nothing waits for it.
    pub(crate) fn start(settings: &Settings) -> anyhow::Result<Self> {
        let redis = match &settings.redis.url {
            Some(url) => Some(Arc::new(Redis::start(url.expose(), settings.redis.timeout)?)),
            None => None,
        };
        // One space for each, so that giving one up leaves the other.
        let space = || {
            let store = redis.as_ref().map(|redis| Arc::clone(redis) as _);
            store.map(Shared::start).transpose()
        };
        let (payments, cards) = (PaymentCache::new(space()?), space()?);
        let limits = redis.as_ref().map(|redis| Arc::clone(redis) as _);
        let velocity: Arc<dyn VelocityCopies> = match redis {
            Some(redis) => Arc::new(CopiedVelocity::start(redis)),
            None => Arc::new(NoCopies),
        };
        Ok(Self {
            payments: Arc::new(payments),
            cards,
            velocity,
            limits,
        })
    }

    /// The payments view of one shard, behind what is remembered of it: for whoever decides, and for whoever shows.
    pub(crate) fn views(&self, views: KeptViews) -> (Arc<dyn Views>, Arc<dyn ShownPayments>) {
        match views {
            KeptViews::Folder(views) => self.remembering(views),
            KeptViews::Database(views) => self.remembering(*views),
        }
    }

    fn remembering<V: Views + 'static>(&self, views: V) -> (Arc<dyn Views>, Arc<dyn ShownPayments>) {
        let views = Arc::new(CachedViews::new(views, Arc::clone(&self.payments)));
        (Arc::clone(&views) as _, views)
    }

    /// The card vault, behind what is remembered of it.
    pub(crate) fn cards(&self, vault: Arc<dyn CardVault>) -> Arc<CachedCards> {
        Arc::new(CachedCards::new(vault, self.cards.clone()))
    }
}
