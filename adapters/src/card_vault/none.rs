//! No vault: the node has no key-encryption key, and nothing is kept that is not sealed.

use florin_domain::ids::{MerchantId, MethodId};
use florin_domain::ports::{BoxFuture, CardVault, ChargedCards, VaultError, VaultKey};
use florin_domain::vault::{Changed, ChargedCard, Once, Owner, VaultChange, VaultObject, VaultPage};

/// Refuses whatever would have to be kept.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCards;

impl CardVault for NoCards {
    fn change(&self, _: Owner, _: VaultChange, _: Option<Once>) -> BoxFuture<'_, Result<Changed, VaultError>> {
        Box::pin(async { Err(VaultError::NotConfigured) })
    }

    fn get(&self, _: Owner, _: VaultKey) -> BoxFuture<'_, Result<Option<VaultObject>, VaultError>> {
        Box::pin(async { Ok(None) })
    }

    fn list(&self, _: Owner, _: VaultPage) -> BoxFuture<'_, Result<Option<(Vec<VaultObject>, bool)>, VaultError>> {
        Box::pin(async { Err(VaultError::NotConfigured) })
    }
}

impl ChargedCards for NoCards {
    fn open(&self, _: MerchantId, _: MethodId) -> BoxFuture<'_, Result<Option<ChargedCard>, VaultError>> {
        Box::pin(async { Ok(None) })
    }

    fn answered(&self, _: MethodId) {}
}
