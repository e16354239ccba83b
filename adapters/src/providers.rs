//! Payment providers: one folder each, opened from their configuration.

pub mod adyen;
mod connection;
mod own;
pub mod stripe;

use adyen::{AdyenConfig, AdyenProvider};
use florin_domain::ports::Provider;
use florin_domain::provider::ProviderId;
use std::error::Error;
use std::sync::Arc;
use stripe::{StripeConfig, StripeProvider};
use thiserror::Error;

/// How to reach a provider, and as whom.
#[derive(Clone, Debug)]
pub enum ProviderConfig {
    /// Stripe, or a server that speaks its language.
    Stripe(StripeConfig),
    /// Adyen, or a server that speaks its language.
    Adyen(AdyenConfig),
}

/// Why the providers cannot be opened.
#[derive(Debug, Error)]
pub enum CatalogueError {
    /// Two entries have one name, so attempts could not tell them apart.
    #[error("provider {0} is configured twice")]
    Duplicate(ProviderId),
    /// One entry is unusable.
    #[error("provider {id} is not usable")]
    Config {
        /// Which.
        id: ProviderId,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
}

/// Opens every configured provider, in the order given. Nothing is sent yet.
pub fn catalogue(
    entries: impl IntoIterator<Item = (ProviderId, ProviderConfig)>,
) -> Result<Vec<Arc<dyn Provider>>, CatalogueError> {
    let mut opened: Vec<Arc<dyn Provider>> = Vec::new();
    for (id, config) in entries {
        if opened.iter().any(|provider| provider.capabilities().id == id) {
            return Err(CatalogueError::Duplicate(id));
        }
        let provider: Arc<dyn Provider> = match config {
            ProviderConfig::Stripe(config) => {
                let provider = StripeProvider::new(id, config);
                Arc::new(provider.map_err(|error| unusable(id, error))?)
            }
            ProviderConfig::Adyen(config) => {
                let provider = AdyenProvider::new(id, config);
                Arc::new(provider.map_err(|error| unusable(id, error))?)
            }
        };
        opened.push(provider);
    }
    Ok(opened)
}

fn unusable(id: ProviderId, error: impl Error + Send + Sync + 'static) -> CatalogueError {
    CatalogueError::Config {
        id,
        source: Box::new(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stripe::SecretKey;

    fn entry(name: &str, base_url: &str) -> (ProviderId, ProviderConfig) {
        let config = StripeConfig::new(base_url, SecretKey::new("sk_test_1"));
        (ProviderId::parse(name).unwrap(), ProviderConfig::Stripe(config))
    }

    #[test]
    fn providers_keep_their_order_and_their_names_are_unique() {
        let local = "http://127.0.0.1:9";
        let opened = catalogue([entry("stripe_b", local), entry("stripe_a", local)]).unwrap();
        let names: Vec<_> = opened
            .iter()
            .map(|provider| provider.capabilities().id.to_string())
            .collect();
        assert_eq!(names, ["stripe_b", "stripe_a"]);

        let twice = catalogue([entry("stripe", local), entry("stripe", local)]);
        assert!(matches!(twice, Err(CatalogueError::Duplicate(id)) if id.as_str() == "stripe"));

        let unusable = catalogue([entry("stripe", "127.0.0.1:9")]);
        assert!(matches!(unusable, Err(CatalogueError::Config { .. })));
    }
}
