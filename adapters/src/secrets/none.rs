//! A node that has no key-encryption key.

use florin_domain::credentials::{CredentialFields, CredentialVersion, LastSet};
use florin_domain::ids::MerchantId;
use florin_domain::ports::{Begun, BoxFuture, PresentCredentials, Secrets, SecretsError};
use florin_domain::provider::ProviderId;

/// A node that keeps no secrets.
#[derive(Debug, Default)]
pub struct NoSecrets(());

impl NoSecrets {
    /// Nothing is kept.
    pub fn new() -> Self {
        Self(())
    }
}

fn refuse<'a, T: Send + 'a>() -> BoxFuture<'a, Result<T, SecretsError>> {
    Box::pin(std::future::ready(Err(SecretsError::NotConfigured)))
}

impl Secrets for NoSecrets {
    fn put(
        &self,
        _merchant: MerchantId,
        _provider: ProviderId,
        _fields: CredentialFields,
        _only_livemode: Option<bool>,
    ) -> BoxFuture<'_, Result<Begun, SecretsError>> {
        refuse()
    }

    fn retire(
        &self,
        _merchant: MerchantId,
        _provider: ProviderId,
        _version: u32,
        _last: LastSet,
    ) -> BoxFuture<'_, Result<CredentialVersion, SecretsError>> {
        refuse()
    }

    fn settle(
        &self,
        _merchant: MerchantId,
        _provider: ProviderId,
        _is_journaled: bool,
    ) -> BoxFuture<'_, Result<(), SecretsError>> {
        refuse()
    }

    fn present(
        &self,
        _merchant: MerchantId,
        _provider: ProviderId,
    ) -> Result<Vec<PresentCredentials>, SecretsError> {
        Err(SecretsError::NotConfigured)
    }

    fn list(
        &self,
        _merchant: MerchantId,
        _provider: ProviderId,
    ) -> Result<Vec<CredentialVersion>, SecretsError> {
        Err(SecretsError::NotConfigured)
    }
}
