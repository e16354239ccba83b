//! Copies of what is read often: in memory, and in Redis where one is configured.

use florin_adapters::cache::{CachedCards, CachedViews, PaymentCache, Redis, Shared};
use florin_adapters::views::SqliteViews;
use florin_config::Settings;
use florin_domain::ports::CardVault;
use std::sync::Arc;

/// The caches of a node. All of them begin empty, and are gone with it.
pub(crate) struct Caches {
    shared: Option<Arc<Shared>>,
    payments: Arc<PaymentCache>,
}

impl Caches {
    /// Empty ones. Redis is connected to in the background: nothing waits for it.
    pub(crate) fn start(settings: &Settings) -> anyhow::Result<Self> {
        let shared = match &settings.redis.url {
            Some(url) => Some(Shared::start(
                Arc::new(Redis::start(url.expose())?),
                settings.redis.timeout,
            )?),
            None => None,
        };
        let payments = Arc::new(PaymentCache::new(shared.clone()));
        Ok(Self { shared, payments })
    }

    /// The payments view of one shard, behind what is remembered of it.
    pub(crate) fn views(&self, views: SqliteViews) -> CachedViews<SqliteViews> {
        CachedViews::new(views, Arc::clone(&self.payments))
    }

    /// The card vault, behind what is remembered of it.
    pub(crate) fn cards(&self, vault: Arc<dyn CardVault>) -> Arc<dyn CardVault> {
        Arc::new(CachedCards::new(vault, self.shared.clone()))
    }
}
