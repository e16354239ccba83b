//! No vault: the node has no key-encryption key, and nothing is kept that is not sealed.

use florin_domain::ids::{MerchantId, MethodId};
use florin_domain::ports::{BoxFuture, CardVault, ChargedCards, VaultError, VaultKey, VaultObjects};
use florin_domain::time::Timestamp;
use florin_domain::vault::{Changed, ChargedCard, Once, Owner, VaultChange, VaultObject, VaultPage};
use std::sync::{Arc, OnceLock};

/// Refuses whatever would have to be kept.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCards;

impl CardVault for NoCards {
    fn change(
        &self,
        _: Owner,
        _: VaultChange,
        _: Option<Once>,
    ) -> BoxFuture<'_, Result<Changed, VaultError>> {
        Box::pin(async { Err(VaultError::NotConfigured) })
    }

    fn get(&self, _: Owner, _: VaultKey) -> BoxFuture<'_, Result<Option<VaultObject>, VaultError>> {
        Box::pin(async { Ok(None) })
    }

    fn list(&self, _: Owner, _: VaultPage) -> BoxFuture<'_, Result<Option<VaultObjects>, VaultError>> {
        Box::pin(async { Err(VaultError::NotConfigured) })
    }

    fn now(&self) -> Timestamp {
        // Nothing is kept that could be dated.
        Timestamp::from_unix_ms(0)
    }
}

impl ChargedCards for NoCards {
    fn open(&self, _: MerchantId, _: MethodId) -> BoxFuture<'_, Result<Option<ChargedCard>, VaultError>> {
        Box::pin(async { Ok(None) })
    }

    fn answered(&self, _: MethodId) {}
}

/// Cards whose vault is opened later than the adapters of providers are made. Before that nothing is charged.
#[derive(Debug, Default)]
pub struct CardsLater(OnceLock<Arc<dyn ChargedCards>>);

impl CardsLater {
    /// From now on these.
    pub fn are(&self, cards: Arc<dyn ChargedCards>) {
        // The first ones stay: a process has one vault.
        self.0.get_or_init(|| cards);
    }
}

impl ChargedCards for CardsLater {
    fn open(
        &self,
        merchant: MerchantId,
        method: MethodId,
    ) -> BoxFuture<'_, Result<Option<ChargedCard>, VaultError>> {
        match self.0.get() {
            Some(cards) => cards.open(merchant, method),
            None => Box::pin(async { Err(VaultError::NotConfigured) }),
        }
    }

    fn answered(&self, method: MethodId) {
        if let Some(cards) = self.0.get() {
            cards.answered(method);
        }
    }
}
