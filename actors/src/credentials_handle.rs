//! The face of merchants' credentials: what they have at providers, and changes of it. A change is answered when it is durable, journaled
//! and in force.

use crate::ledger_handle::{LedgerError, LedgerHandle};
use crate::shards::Shards;
use florin_domain::credentials::{CredentialFields, CredentialVersion, LastSet};
use florin_domain::ids::{ApiKeyId, MerchantId};
use florin_domain::merchant::ControlEvent;
use florin_domain::ports::{Begun, Secrets, SecretsError};
use florin_domain::provider::ProviderId;
use std::future::Future;
use std::sync::Arc;
use thiserror::Error;
use tokio::runtime::Handle;

/// Why credentials are as they were.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ChangeError {
    /// They are not kept, or refused.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The change could not be recorded.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// The face of merchants' credentials.
#[derive(Clone, Debug)]
pub struct CredentialsHandle {
    shards: Shards,
    secrets: Arc<dyn Secrets>,
    /// Where changes run: one that has begun ends, also if nobody waits for it any more.
    runtime: Handle,
}

impl CredentialsHandle {
    /// A handle on what is kept here; changes run on this runtime.
    pub fn new(shards: Shards, secrets: Arc<dyn Secrets>, runtime: Handle) -> Self {
        Self {
            shards,
            secrets,
            runtime,
        }
    }

    /// Gives a merchant a new version of its credentials at a provider, if said so only one that moves real money or one that does not. The
    /// same as the present ones changes nothing.
    ///
    /// # Errors
    /// If they are no set for this provider, there are too many, or they could not be made durable.
    pub async fn set(
        &self,
        (merchant, provider): (MerchantId, ProviderId),
        fields: CredentialFields,
        only_livemode: Option<bool>,
        by: ApiKeyId,
    ) -> Result<CredentialVersion, ChangeError> {
        let own = self.clone();
        self.to_the_end(async move {
            let about = match own.secrets.put(merchant, provider, fields, only_livemode).await? {
                Begun::Known(about) => return Ok(about),
                Begun::New(about) => about,
            };
            let event = ControlEvent::CredentialsChanged {
                merchant,
                provider,
                version: about.version,
                by,
                from: Some(about.created_at),
            };
            own.record(event, (merchant, provider)).await?;
            Ok(about)
        })
        .await
    }

    /// Retires a version; its secrets are destroyed. The last one of its mode only if that is said to be meant.
    ///
    /// # Errors
    /// If there is no such version, it is the last one, or it could not be made durable.
    pub async fn retire(
        &self,
        (merchant, provider): (MerchantId, ProviderId),
        (version, last): (u32, LastSet),
        by: ApiKeyId,
    ) -> Result<CredentialVersion, ChangeError> {
        let own = self.clone();
        self.to_the_end(async move {
            let about = own.secrets.retire(merchant, provider, version, last).await?;
            let event = ControlEvent::CredentialsRetired {
                merchant,
                provider,
                version,
                by,
                from: about.retired_at,
            };
            own.record(event, (merchant, provider)).await?;
            Ok(about)
        })
        .await
    }

    /// Every version that ever was, from the newest on, without secrets.
    ///
    /// # Errors
    /// If none are kept, or the provider takes none.
    pub fn list(
        &self,
        merchant: MerchantId,
        provider: ProviderId,
    ) -> Result<Vec<CredentialVersion>, SecretsError> {
        self.secrets.list(merchant, provider)
    }

    async fn record(
        &self,
        event: ControlEvent,
        (merchant, provider): (MerchantId, ProviderId),
    ) -> Result<(), ChangeError> {
        let recorded = LedgerHandle::new(self.shards.clone()).record_control(event).await;
        match recorded {
            Ok(_) => Ok(self.secrets.settle(merchant, provider, true).await?),
            // It was refused before it was put into order.
            Err(refused @ (LedgerError::Busy | LedgerError::Shed(_))) => {
                self.secrets.settle(merchant, provider, false).await?;
                Err(refused.into())
            }
            // Nobody knows whether the journal has it. What it decides waits, until the next start reads the journal.
            Err(
                unknown @ (LedgerError::Gone
                | LedgerError::Unknown
                | LedgerError::Read(_)
                | LedgerError::Striped),
            ) => Err(unknown.into()),
        }
    }

    async fn to_the_end<T: Send + 'static>(
        &self,
        change: impl Future<Output = Result<T, ChangeError>> + Send + 'static,
    ) -> Result<T, ChangeError> {
        let ended = self.runtime.spawn(change).await;
        ended.unwrap_or(Err(ChangeError::Ledger(LedgerError::Gone)))
    }
}
