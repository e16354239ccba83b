//! No endpoints: the node has no key-encryption key, and no secret is kept that is not sealed.

use florin_domain::ids::{EndpointId, ShardId};
use florin_domain::ports::{
    BoxFuture, DeliveryBook, EndpointChanged, EndpointError, EndpointPage, EndpointStore, ListedEndpoints,
    NumberedDeliveries,
};
use florin_domain::vault::{Once, Owner};
use florin_domain::webhook::{Endpoint, EndpointChange, EndpointRefusal, KeptEndpoint, Noted, Progress};
use std::future::ready;

/// Refuses whatever would have to be kept.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoEndpoints;

impl EndpointStore for NoEndpoints {
    fn change(
        &self,
        _: Owner,
        change: EndpointChange,
        _: Option<Once>,
    ) -> BoxFuture<'_, Result<EndpointChanged, EndpointError>> {
        let why = match change {
            EndpointChange::Create { .. } | EndpointChange::Rotate { .. } => EndpointError::NotConfigured,
            EndpointChange::Say(..)
            | EndpointChange::Disable(_)
            | EndpointChange::Enable(..)
            | EndpointChange::Delete(_)
            | EndpointChange::Replay(..) => EndpointRefusal::NoSuchEndpoint.into(),
        };
        Box::pin(ready(Err(why)))
    }

    fn get(&self, _: Owner, _: EndpointId) -> BoxFuture<'_, Result<Option<Endpoint>, EndpointError>> {
        Box::pin(ready(Ok(None)))
    }

    fn list(
        &self,
        _: Owner,
        page: EndpointPage,
    ) -> BoxFuture<'_, Result<Option<ListedEndpoints>, EndpointError>> {
        let has_cursor = page.starting_after.or(page.ending_before).is_some();
        Box::pin(ready(Ok((!has_cursor).then(|| (Vec::new(), false)))))
    }

    fn deliveries(
        &self,
        _: Owner,
        _: EndpointId,
        _: (usize, Option<u64>),
    ) -> BoxFuture<'_, Result<Option<NumberedDeliveries>, EndpointError>> {
        Box::pin(ready(Ok(None)))
    }
}

impl DeliveryBook for NoEndpoints {
    fn endpoints(&self, _: ShardId) -> BoxFuture<'_, Result<Vec<EndpointId>, EndpointError>> {
        Box::pin(ready(Ok(Vec::new())))
    }

    fn open(&self, _: EndpointId) -> BoxFuture<'_, Result<Option<(KeptEndpoint, Progress)>, EndpointError>> {
        Box::pin(ready(Ok(None)))
    }

    fn note(&self, _: Noted) -> BoxFuture<'_, Result<(), EndpointError>> {
        Box::pin(ready(Ok(())))
    }
}
