//! A provider port without latency, for measuring everything else.

use florin_domain::credentials::KeyOwner;
use florin_domain::ids::MerchantId;
use florin_domain::ports::{AttemptRequest, BoxFuture, KeyOwners, Provider};
use florin_domain::provider::{Capabilities, Outcome, ProviderId, ProviderReference, Recovery};
use florin_domain::time::{Millis, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// Approves everything at once, inside the process.
#[derive(Debug)]
pub(crate) struct InstantProvider {
    capabilities: Capabilities,
}

impl InstantProvider {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let capabilities = Capabilities {
            id: ProviderId::parse("instant")?,
            prepares: false,
            key_lifetime: Millis::from_s(24 * 3600),
            query_by_reference: true,
            cancel_closes: false,
            time_limit: Millis::from_s(5),
            recovery: Recovery::default(),
        };
        Ok(Self { capabilities })
    }

    fn approve(request: &AttemptRequest) -> Outcome {
        let reference: ProviderReference = Arc::clone(&request.key);
        Outcome::Succeeded {
            transaction: Arc::clone(&reference),
            reference,
            amount_minor: request.amount.minor(),
        }
    }
}

impl KeyOwners for InstantProvider {
    fn key_owner(&self, _merchant: MerchantId, _made_at: Timestamp) -> Option<KeyOwner> {
        Some(KeyOwner::Platform)
    }
}

impl Provider for InstantProvider {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn prepare<'a>(
        &'a self,
        request: &'a AttemptRequest,
    ) -> BoxFuture<'a, Result<ProviderReference, Outcome>> {
        Box::pin(async move { Ok(Arc::clone(&request.key)) })
    }

    fn execute<'a>(&'a self, request: &'a AttemptRequest) -> BoxFuture<'a, Outcome> {
        Box::pin(async move { Self::approve(request) })
    }

    fn query<'a>(&'a self, request: &'a AttemptRequest) -> BoxFuture<'a, Outcome> {
        Box::pin(async move { Self::approve(request) })
    }

    fn cancel<'a>(&'a self, request: &'a AttemptRequest) -> BoxFuture<'a, Outcome> {
        Box::pin(async move { Self::approve(request) })
    }
}

/// The same after a wait.
#[derive(Debug)]
pub(crate) struct SlowProvider {
    instant: InstantProvider,
    time: Duration,
}

impl SlowProvider {
    pub(crate) fn new(time: Duration) -> anyhow::Result<Self> {
        let instant = InstantProvider::new()?;
        Ok(Self { instant, time })
    }
}

impl KeyOwners for SlowProvider {
    fn key_owner(&self, _merchant: MerchantId, _made_at: Timestamp) -> Option<KeyOwner> {
        Some(KeyOwner::Platform)
    }
}

impl Provider for SlowProvider {
    fn capabilities(&self) -> &Capabilities {
        self.instant.capabilities()
    }

    fn prepare<'a>(
        &'a self,
        request: &'a AttemptRequest,
    ) -> BoxFuture<'a, Result<ProviderReference, Outcome>> {
        self.instant.prepare(request)
    }

    fn execute<'a>(&'a self, request: &'a AttemptRequest) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            tokio::time::sleep(self.time).await;
            InstantProvider::approve(request)
        })
    }

    fn query<'a>(&'a self, request: &'a AttemptRequest) -> BoxFuture<'a, Outcome> {
        self.execute(request)
    }

    fn cancel<'a>(&'a self, request: &'a AttemptRequest) -> BoxFuture<'a, Outcome> {
        self.execute(request)
    }
}
