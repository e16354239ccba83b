//! What must be known to reach Nameless.

use crate::providers::connection::{Endpoint, Keeping, SetupError, is_visible};
use http::HeaderValue;
use std::fmt;
use std::time::Duration;
use thiserror::Error;

pub use crate::providers::connection::{CONNECT_TIMEOUT, REQUEST_TIMEOUT};

/// An API key. It never shows itself.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// Takes the key as issued.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The `Authorization` header; its own `Debug` hides it, too.
    pub(super) fn into_header(self) -> Result<HeaderValue, ConfigError> {
        let mut header =
            HeaderValue::from_str(&format!("Bearer {}", self.0)).map_err(|_| ConfigError::ApiKey)?;
        header.set_sensitive(true);
        Ok(header)
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(***)")
    }
}

/// How to reach Nameless, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamelessConfig {
    /// Where it answers, or `http://...` for a sandbox.
    pub base_url: String,
    /// The account's key.
    pub api_key: ApiKey,
    /// The whole of one request, connecting included.
    pub request_timeout: Duration,
    /// Name resolution, TCP and TLS together.
    pub connect_timeout: Duration,
    /// Connections and addresses that are kept.
    pub keeping: Keeping,
}

impl NamelessConfig {
    /// Usual timeouts.
    pub fn new(base_url: impl Into<String>, api_key: ApiKey) -> Self {
        Self {
            base_url: base_url.into(),
            api_key,
            request_timeout: REQUEST_TIMEOUT,
            connect_timeout: CONNECT_TIMEOUT,
            keeping: Keeping::default(),
        }
    }

    pub(super) fn endpoint(&self) -> Result<Endpoint, ConfigError> {
        if !is_visible(&self.api_key.0) {
            return Err(ConfigError::ApiKey);
        }
        if self.request_timeout.is_zero() || self.connect_timeout.is_zero() {
            return Err(ConfigError::Timeout);
        }
        Endpoint::parse(&self.base_url).ok_or(ConfigError::BaseUrl)
    }
}

/// Why a configuration is unusable.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// No charge is written yet.
    #[error("this version cannot charge at nameless")]
    Unwritten,
    /// Not an address that paths can be added to.
    #[error("base_url must be http:// or https://, a host and at most a path")]
    BaseUrl,
    /// Empty, or cannot be a header value.
    #[error("api_key must be visible ASCII characters")]
    ApiKey,
    /// Zero would fail every request.
    #[error("timeouts must be longer than zero")]
    Timeout,
    /// Nothing can be sent.
    #[error(transparent)]
    Setup(#[from] SetupError),
}

#[cfg(test)]
mod tests {
    use super::super::client::Client;
    use super::*;

    #[test]
    fn what_is_unusable_is_named() {
        type Change = fn(&mut NamelessConfig);
        let good = || NamelessConfig::new("http://127.0.0.1:9/nameless", ApiKey::new("key_1"));
        assert_eq!(good().endpoint().unwrap().prefix, "/nameless");
        let table: [(Change, &str); 4] = [
            (|config| config.base_url = "nameless.example".to_owned(), "BaseUrl"),
            (|config| config.api_key = ApiKey::new(""), "ApiKey"),
            (|config| config.api_key = ApiKey::new("a\r\nb: c"), "ApiKey"),
            (|config| config.request_timeout = Duration::ZERO, "Timeout"),
        ];
        for (change, name) in table {
            let mut config = good();
            change(&mut config);
            assert_eq!(format!("{:?}", config.endpoint().unwrap_err()), name);
        }
        let client = Client::new(good()).unwrap();
        for shown in [format!("{:?}", good()), format!("{client:?}")] {
            assert!(!shown.contains("key_1"), "{shown}");
        }
    }
}
