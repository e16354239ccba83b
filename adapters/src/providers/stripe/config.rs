//! What must be known to reach Stripe.

use crate::providers::connection::{Endpoint, Keeping, SetupError, is_visible};

pub use crate::providers::connection::{CONNECT_TIMEOUT, REQUEST_TIMEOUT};
use http::HeaderValue;
use std::fmt;
use std::time::Duration;
use thiserror::Error;
use zeroize::Zeroizing;

/// Where Stripe listens.
pub const BASE_URL: &str = "https://api.stripe.com";
/// An API secret (`sk_...`). It never shows itself.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey(String);

impl SecretKey {
    /// Takes the secret as issued.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The `Authorization` header; its own `Debug` hides it, too.
    pub(super) fn into_bearer(self) -> Result<HeaderValue, ConfigError> {
        bearer(&self.0).ok_or(ConfigError::SecretKey)
    }
}

/// The `Authorization` header of a key; nothing if it cannot be one.
pub(super) fn bearer(key: &str) -> Option<HeaderValue> {
    let text = Zeroizing::new(format!("Bearer {key}"));
    let mut header = HeaderValue::from_str(&text).ok()?;
    header.set_sensitive(true);
    Some(header)
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(***)")
    }
}

/// How to reach Stripe, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StripeConfig {
    /// `https://api.stripe.com`, or `http://...` for a sandbox.
    pub base_url: String,
    /// The account's secret.
    pub secret_key: SecretKey,
    /// The whole of one request, connecting included.
    pub request_timeout: Duration,
    /// Name resolution, TCP and TLS together.
    pub connect_timeout: Duration,
    /// Connections and addresses that are kept.
    pub keeping: Keeping,
}

impl StripeConfig {
    /// Usual timeouts.
    pub fn new(base_url: impl Into<String>, secret_key: SecretKey) -> Self {
        Self {
            base_url: base_url.into(),
            secret_key,
            request_timeout: REQUEST_TIMEOUT,
            connect_timeout: CONNECT_TIMEOUT,
            keeping: Keeping::default(),
        }
    }

    pub(super) fn endpoint(&self) -> Result<Endpoint, ConfigError> {
        let secret = &self.secret_key.0;
        if !is_visible(secret) {
            return Err(ConfigError::SecretKey);
        }
        if self.request_timeout.is_zero() || self.connect_timeout.is_zero() {
            return Err(ConfigError::Timeout);
        }
        let endpoint = Endpoint::parse(&self.base_url).ok_or(ConfigError::BaseUrl)?;
        if endpoint.is_clear() && secret.contains("_live_") {
            return Err(ConfigError::LiveKeyInClear);
        }
        Ok(endpoint)
    }
}

/// Why a configuration is unusable.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// Not an address that paths can be added to.
    #[error("base_url must be http:// or https://, a host and at most a path")]
    BaseUrl,
    /// Empty, or cannot be a header value.
    #[error("secret_key must be visible ASCII characters")]
    SecretKey,
    /// A live secret would cross the network unencrypted.
    #[error("a live secret_key needs an https base_url")]
    LiveKeyInClear,
    /// Zero would fail every request.
    #[error("timeouts must be longer than zero")]
    Timeout,
    /// Nothing can be sent.
    #[error(transparent)]
    Setup(#[from] SetupError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart_and_unusable_ones_refused() {
        type Expected = Result<(&'static str, &'static str), &'static str>;
        let rows: &[(&str, &str, Expected)] = &[
            ("https://api.stripe.com", "sk_live_1", Ok(("api.stripe.com", ""))),
            ("https://api.stripe.com/", "sk_test_1", Ok(("api.stripe.com", ""))),
            (
                "http://127.0.0.1:4010/stripe/",
                "sk_test_1",
                Ok(("127.0.0.1:4010", "/stripe")),
            ),
            ("http://127.0.0.1:4010", "sk_live_1", Err("LiveKeyInClear")),
            ("http://127.0.0.1:4010", "rk_live_1", Err("LiveKeyInClear")),
            ("api.stripe.com", "sk_test_1", Err("BaseUrl")),
            ("/v1", "sk_test_1", Err("BaseUrl")),
            ("ftp://api.stripe.com", "sk_test_1", Err("BaseUrl")),
            ("https://api.stripe.com/?a=b", "sk_test_1", Err("BaseUrl")),
            ("https://user@api.stripe.com", "sk_test_1", Err("BaseUrl")),
            ("https://api.stripe.com", "", Err("SecretKey")),
            (
                "https://api.stripe.com",
                "sk_test_1\r\nHost: evil",
                Err("SecretKey"),
            ),
        ];
        for (base_url, secret, expected) in rows {
            let endpoint = StripeConfig::new(*base_url, SecretKey::new(*secret)).endpoint();
            match (endpoint, expected) {
                (Ok(endpoint), Ok((authority, prefix))) => {
                    assert_eq!(
                        (endpoint.authority.as_str(), &*endpoint.prefix),
                        (*authority, *prefix)
                    );
                }
                (Err(error), Err(name)) => assert_eq!(format!("{error:?}"), *name, "{base_url}"),
                (got, _) => panic!("{base_url} {secret}: {got:?}"),
            }
        }
    }

    #[test]
    fn a_timeout_of_zero_is_refused() {
        let mut config = StripeConfig::new(BASE_URL, SecretKey::new("sk_test_1"));
        config.request_timeout = Duration::ZERO;
        assert!(matches!(config.endpoint(), Err(ConfigError::Timeout)));
    }

    #[test]
    fn a_printed_configuration_hides_the_secret() {
        let config = StripeConfig::new(BASE_URL, SecretKey::new("sk_test_abc"));
        assert!(!format!("{config:?}").contains("abc"));
    }
}
