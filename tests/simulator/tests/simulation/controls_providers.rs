//! Wrong ways to reach a provider, and the checks that object to them.

use crate::controls::is_caught;
use florin_domain::credentials::KeyOwner;
use florin_domain::ids::MerchantId;
use florin_domain::ports::{AttemptRequest, BoxFuture, KeyOwners, Provider};
use florin_domain::provider::{Capabilities, Outcome, ProviderReference};
use florin_domain::time::Timestamp;
use florin_simulator::Wiring;
use std::sync::Arc;

/// Another key for the same attempt after every start.
#[derive(Debug)]
struct NewKeys {
    inner: Arc<dyn Provider>,
    lives: u64,
}

impl NewKeys {
    fn with_new_key(&self, request: &AttemptRequest) -> AttemptRequest {
        AttemptRequest {
            key: Arc::from(format!("{}~{}", request.key, self.lives)),
            ..request.clone()
        }
    }
}

impl KeyOwners for NewKeys {
    fn key_owner(&self, _merchant: MerchantId, _made_at: Timestamp) -> Option<KeyOwner> {
        Some(KeyOwner::Platform)
    }
}

impl Provider for NewKeys {
    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    fn prepare<'a>(
        &'a self,
        request: &'a AttemptRequest,
    ) -> BoxFuture<'a, Result<ProviderReference, Outcome>> {
        Box::pin(async move { self.inner.prepare(&self.with_new_key(request)).await })
    }

    fn execute<'a>(&'a self, request: &'a AttemptRequest) -> BoxFuture<'a, Outcome> {
        Box::pin(async move { self.inner.execute(&self.with_new_key(request)).await })
    }

    fn query<'a>(&'a self, request: &'a AttemptRequest) -> BoxFuture<'a, Outcome> {
        Box::pin(async move { self.inner.query(&self.with_new_key(request)).await })
    }

    fn cancel<'a>(&'a self, request: &'a AttemptRequest) -> BoxFuture<'a, Outcome> {
        Box::pin(async move { self.inner.cancel(&self.with_new_key(request)).await })
    }
}

#[test]
fn a_provider_key_that_changes_with_a_restart_is_caught() {
    let wiring = Wiring {
        provider: Box::new(|inner, lives| Arc::new(NewKeys { inner, lives })),
        ..Wiring::default()
    };
    is_caught(&wiring, "was charged twice");
}

/// A provider that repeats a card's number in what it says.
#[derive(Debug)]
struct Chatty(Arc<dyn Provider>);

impl KeyOwners for Chatty {
    fn key_owner(&self, _merchant: MerchantId, _made_at: Timestamp) -> Option<KeyOwner> {
        Some(KeyOwner::Platform)
    }
}

impl Provider for Chatty {
    fn capabilities(&self) -> &Capabilities {
        self.0.capabilities()
    }

    fn prepare<'a>(
        &'a self,
        request: &'a AttemptRequest,
    ) -> BoxFuture<'a, Result<ProviderReference, Outcome>> {
        self.0.prepare(request)
    }

    fn execute<'a>(&'a self, request: &'a AttemptRequest) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            match self.0.execute(request).await {
                Outcome::Declined { reference, .. } => {
                    Outcome::declined(Arc::from("4242424242424242 has no funds"), reference)
                }
                other => other,
            }
        })
    }

    fn query<'a>(&'a self, request: &'a AttemptRequest) -> BoxFuture<'a, Outcome> {
        self.0.query(request)
    }

    fn cancel<'a>(&'a self, request: &'a AttemptRequest) -> BoxFuture<'a, Outcome> {
        self.0.cancel(request)
    }
}

#[test]
fn a_card_number_that_reaches_a_journal_is_caught() {
    let wiring = Wiring {
        provider: Box::new(|inner, _| Arc::new(Chatty(inner))),
        ..Wiring::default()
    };
    is_caught(&wiring, "has the number of a card in it");
}
