//! Sections of providers: what one takes and costs and what is kept for it unless it says otherwise, and how it is shown.

use crate::checked::conflict;
use crate::error::ConfigError;
use crate::raw::{RawProvider, whole_ms};
use crate::secret::{HIDDEN, Secret};
use crate::settings::{KeepingSettings, ProviderKind, ProviderSettings};
use florin_actors::options::{Options, ProviderCaps, ProviderTerms};
use florin_domain::credentials::{HMAC_KEYS_MAX, SECRET_CHARS_MAX, SECRET_CHARS_MIN};
use florin_domain::time::Millis;
use std::time::Duration;

/// Requests under way and calls that may wait, by kind of provider (POOL-1, POOL-2).
const fn caps(kind: ProviderKind) -> ProviderCaps {
    let (permits, queue_max) = match kind {
        ProviderKind::Stripe => (100, 50),
        ProviderKind::Adyen => (80, 40),
    };
    ProviderCaps { permits, queue_max }
}

/// How long a provider may owe the end of what it has taken on, by kind of provider.
const fn overdue_after_s(kind: ProviderKind) -> u64 {
    const DAY_S: u64 = 24 * 3600;
    match kind {
        ProviderKind::Stripe => 10 * DAY_S,
        ProviderKind::Adyen => 3 * DAY_S,
    }
}

impl RawProvider {
    /// Its own word, else that of its kind.
    pub(crate) fn terms(&self) -> ProviderTerms {
        let usual = caps(self.kind);
        ProviderTerms {
            caps: ProviderCaps {
                permits: self.permits.unwrap_or(usual.permits),
                queue_max: self.queue_max.unwrap_or(usual.queue_max),
            },
            cost_bps: self
                .cost_bps
                .unwrap_or_else(|| Options::default().provider_terms.cost_bps),
            settles_within: Some(Millis::from_s(
                self.overdue_after_s.unwrap_or_else(|| overdue_after_s(self.kind)),
            )),
        }
    }

    /// Its own word, else that of its kind.
    pub(crate) fn keeping(&self) -> KeepingSettings {
        // Half of the requests that may be under way: 50 at Stripe, 40 at Adyen.
        let usual = caps(self.kind).permits / 2;
        KeepingSettings {
            connections_max: self.connections_kept_max.unwrap_or(usual),
            connections_for: Duration::from_millis(self.connection_idle_ms),
            addresses_for: Duration::from_millis(self.dns_cache_ms),
        }
    }
}

/// One secret, or several with commas between them.
pub(crate) fn webhook_secrets(raw: &RawProvider) -> Result<Vec<Secret>, ConfigError> {
    if raw.webhook_secrets.is_empty() {
        return Ok(Vec::new());
    }
    let secrets: Vec<&str> = raw.webhook_secrets.split(',').collect();
    let is_fit = |secret: &&str| (SECRET_CHARS_MIN..=SECRET_CHARS_MAX).contains(&secret.len());
    if secrets.len() > HMAC_KEYS_MAX || !secrets.iter().all(is_fit) {
        let why = "Stripe's webhook secrets have 8 to 512 characters, and there are at most four with commas between them";
        return Err(conflict(
            &format!("provider.{}.webhook_secrets", raw.id),
            &HIDDEN,
            why,
        ));
    }
    Ok(secrets
        .into_iter()
        .map(|secret| Secret::new(secret.to_owned()))
        .collect())
}

impl From<&ProviderSettings> for RawProvider {
    fn from(provider: &ProviderSettings) -> Self {
        let hidden_if = |is_given: bool| if is_given { HIDDEN } else { "" }.to_owned();
        let adyen = provider.adyen.as_ref();
        Self {
            kind: provider.kind,
            id: provider.id.as_str().to_owned(),
            base_url: provider.base_url.clone(),
            secret_key: hidden_if(adyen.is_none()),
            secret_key_file: String::new(),
            webhook_secrets: hidden_if(!provider.webhook_secrets.is_empty()),
            merchant_account: adyen.map_or_else(String::new, |adyen| adyen.merchant_account.clone()),
            api_key: hidden_if(adyen.is_some()),
            hmac_key: hidden_if(adyen.is_some()),
            request_timeout_ms: whole_ms(provider.request_timeout),
            permits: Some(provider.terms.caps.permits),
            queue_max: Some(provider.terms.caps.queue_max),
            connections_kept_max: Some(provider.keeping.connections_max),
            connection_idle_ms: whole_ms(provider.keeping.connections_for),
            dns_cache_ms: whole_ms(provider.keeping.addresses_for),
            cost_bps: Some(provider.terms.cost_bps),
            overdue_after_s: provider.terms.settles_within.map(|settle| settle.0 / 1000),
        }
    }
}
