//! The face of merchants' webhook endpoints. What is changed is durable before it is answered, and then the endpoint's actor hears of it.

use crate::context::Webhooks;
use crate::load::barrier;
use crate::shards::Shards;
use crate::webhook_endpoint::WebhookGuardianMail;
use florin_domain::announcement::EventPlace;
use florin_domain::ids::{EndpointId, MerchantId};
use florin_domain::ports::{EndpointChanged, EndpointError, EndpointPage, NumberedDeliveries, ReadError};
use florin_domain::vault::{Once, Owner};
use florin_domain::webhook::{Endpoint, EndpointChange, SigningSecret};

/// The face of webhook endpoints.
#[derive(Clone, Debug)]
pub struct WebhooksHandle {
    shards: Shards,
}

impl WebhooksHandle {
    /// A handle on these actors.
    pub fn new(shards: Shards) -> Self {
        Self { shards }
    }

    fn ports(&self) -> Result<&Webhooks, EndpointError> {
        let webhooks = self.shards.home().ports.webhooks.as_ref();
        webhooks.ok_or(EndpointError::NotConfigured)
    }

    /// Makes a change; with `once`, one time only.
    ///
    /// # Errors
    /// If it is refused, or cannot be made durable.
    pub async fn change(
        &self,
        owner: Owner,
        change: EndpointChange,
        once: Option<Once>,
    ) -> Result<EndpointChanged, EndpointError> {
        let changed = self.ports()?.endpoints.change(owner, change, once).await?;
        // Also of a change that was made before: whoever made it may not have come to say so.
        let endpoint = changed.kept.endpoint.id;
        if let Some(context) = self.shards.get(owner.merchant.shard()) {
            context.webhooks.step(WebhookGuardianMail::Changed(endpoint));
        }
        Ok(changed)
    }

    /// An endpoint of an owner.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn get(&self, owner: Owner, id: EndpointId) -> Result<Option<Endpoint>, EndpointError> {
        self.ports()?.endpoints.get(owner, id).await
    }

    /// A page of an owner's endpoints, and whether there are more. `None` if the cursor is no endpoint of theirs.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn list(
        &self,
        owner: Owner,
        page: EndpointPage,
    ) -> Result<Option<(Vec<Endpoint>, bool)>, EndpointError> {
        self.ports()?.endpoints.list(owner, page).await
    }

    /// The newest deliveries of an endpoint before a number, at most so many. `None` if there is no such endpoint.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn deliveries(
        &self,
        owner: Owner,
        id: EndpointId,
        page: (usize, Option<u64>),
    ) -> Result<Option<NumberedDeliveries>, EndpointError> {
        self.ports()?.endpoints.deliveries(owner, id, page).await
    }

    /// A new secret; `None` if the system gives no random bytes.
    pub fn new_secret(&self) -> Option<SigningSecret> {
        self.ports().ok()?.signer.new_secret()
    }

    /// A fresh id of an endpoint of a merchant.
    pub fn new_id(&self, merchant: MerchantId) -> EndpointId {
        let context = self.shards.get(merchant.shard()).unwrap_or(self.shards.home());
        EndpointId::from_bits(context.new_id_bits())
    }

    /// The place behind everything that was announced to a merchant so far.
    ///
    /// # Errors
    /// If the journal does not say where it ends.
    pub async fn end(&self, merchant: MerchantId) -> Result<EventPlace, ReadError> {
        let context = self.shards.get(merchant.shard()).unwrap_or(self.shards.home());
        let seq = barrier(context).await?;
        Ok(EventPlace { seq, index: u8::MAX })
    }
}
