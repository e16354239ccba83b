//! The configured providers: adapters that charge, and readers of what they send by themselves.

use crate::vault;
use anyhow::Context as _;
use florin_adapters::card_vault::CardsLater;
use florin_adapters::providers::adyen::{AdyenConfig, AdyenNotices, AdyenProvider, ApiKey, HmacKey};
use florin_adapters::providers::stripe::{
    SecretKey, StripeConfig, StripeNotices, StripeProvider, WebhookSecret,
};
use florin_adapters::providers::{Keeping, Readers};
use florin_adapters::secrets::{Book, Terms};
use florin_config::{ProviderKind, Settings};
use florin_domain::ports::{Clock, NoticeReader, Provider};
use florin_domain::provider::ProviderId;
use std::collections::HashMap;
use std::sync::Arc;

/// The configured providers, in order of preference. Development takes no credentials of real money.
pub(crate) fn providers(settings: &Settings, development: bool) -> anyhow::Result<Providers> {
    let (book, cards) = (Arc::new(Book::default()), Arc::new(CardsLater::default()));
    let provider = |configured: &florin_config::ProviderSettings| -> anyhow::Result<Arc<dyn Provider>> {
        // The stage's limit holds for every provider; a provider may be given less.
        let request_timeout = configured
            .request_timeout
            .min(settings.actors.stages.authorization);
        let keeping = Keeping {
            connections_max: configured.keeping.connections_max,
            connections_for: configured.keeping.connections_for,
            addresses_for: configured.keeping.addresses_for,
        };
        match configured.kind {
            ProviderKind::Adyen => {
                let adyen = configured.adyen.as_ref().context("the merchant account")?;
                let key = ApiKey::new(configured.secret_key.expose());
                let account = adyen.merchant_account.as_str();
                let mut config = AdyenConfig::new(configured.base_url.clone(), account, key);
                config.request_timeout = request_timeout;
                config.keeping = keeping;
                let provider = AdyenProvider::new(configured.id, config)?;
                let provider = provider.with_credentials(Arc::clone(&book));
                Ok(Arc::new(provider.with_cards(Arc::clone(&cards) as _)))
            }
            ProviderKind::Stripe => {
                let key = SecretKey::new(configured.secret_key.expose());
                let mut config = StripeConfig::new(configured.base_url.clone(), key);
                config.request_timeout = request_timeout;
                config.keeping = keeping;
                let provider = StripeProvider::new(configured.id, config)?;
                let provider = provider.with_credentials(Arc::clone(&book));
                Ok(Arc::new(provider.with_cards(Arc::clone(&cards) as _)))
            }
        }
    };
    Ok(Providers {
        ports: settings
            .providers
            .iter()
            .map(provider)
            .collect::<anyhow::Result<_>>()?,
        book,
        cards,
        terms: vault::terms(settings, development),
        tells_locally: Some(development),
    })
}

/// Whom payments may be charged at, and under what.
pub(crate) struct Providers {
    pub(crate) ports: Vec<Arc<dyn Provider>>,
    pub(crate) book: Arc<Book>,
    /// Opened when the node starts.
    pub(crate) cards: Arc<CardsLater>,
    pub(crate) terms: HashMap<ProviderId, Terms>,
    /// Merchants are told by webhooks, in development also on this machine. Without it nobody is.
    pub(crate) tells_locally: Option<bool>,
}

impl Providers {
    /// Some that take no credentials of merchants, on a node that tells nobody.
    pub(crate) fn of(ports: Vec<Arc<dyn Provider>>) -> Self {
        Self {
            ports,
            book: Arc::default(),
            cards: Arc::default(),
            terms: HashMap::new(),
            tells_locally: None,
        }
    }
}

/// Who reads what the configured providers send by themselves, to the platform and to merchants.
pub(crate) fn notices(
    settings: &Settings,
    book: &Arc<Book>,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<Arc<dyn NoticeReader>> {
    let mut adyen = AdyenNotices::default().with_credentials(Arc::clone(book));
    let mut stripe = StripeNotices::new(clock).with_credentials(Arc::clone(book));
    for configured in &settings.providers {
        match (configured.kind, &configured.adyen) {
            (ProviderKind::Adyen, Some(account)) => {
                let key = HmacKey::from_hex(account.hmac_key.expose()).context("the HMAC key")?;
                adyen = adyen.with(configured.id, &account.merchant_account, key);
            }
            (ProviderKind::Stripe, _) => {
                let secrets = configured.webhook_secrets.iter();
                let secrets = secrets.map(|secret| WebhookSecret::new(secret.expose()));
                stripe = stripe.with(configured.id, configured.secret_key.expose(), secrets.collect());
            }
            (ProviderKind::Adyen, None) => {}
        }
    }
    let readers: Vec<Arc<dyn NoticeReader>> = vec![Arc::new(stripe), Arc::new(adyen)];
    Ok(Arc::new(Readers::new(readers)))
}
