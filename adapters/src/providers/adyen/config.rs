//! What must be known to reach Adyen.

use crate::providers::connection::{Endpoint, Keeping, SetupError, is_visible};

pub use crate::providers::connection::{CONNECT_TIMEOUT, REQUEST_TIMEOUT};
use http::HeaderValue;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use zeroize::Zeroizing;

/// An API key. It never shows itself.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// Takes the key as issued.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The `X-API-Key` header; its own `Debug` hides it, too.
    pub(super) fn into_header(self) -> Result<HeaderValue, ConfigError> {
        header(&self.0).ok_or(ConfigError::ApiKey)
    }
}

/// The `X-API-Key` header of a key; nothing if it cannot be one.
pub(super) fn header(key: &str) -> Option<HeaderValue> {
    let mut header = HeaderValue::from_str(key).ok()?;
    header.set_sensitive(true);
    Some(header)
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(***)")
    }
}

/// The key under which notifications are signed. It never shows itself.
#[derive(Clone, PartialEq, Eq)]
pub struct HmacKey(Zeroizing<Vec<u8>>);

impl HmacKey {
    /// Reads the 64 hexadecimal digits that Adyen shows.
    pub fn from_hex(text: &str) -> Option<Self> {
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        let digit = |byte: u8| {
            char::from(byte)
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        };
        let pairs = text.as_bytes().chunks_exact(2);
        pairs
            .map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?))
            .collect::<Option<Vec<u8>>>()
            .map(|bytes| Self(Zeroizing::new(bytes)))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HmacKey(***)")
    }
}

/// How to reach Adyen, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdyenConfig {
    /// `https://checkout-test.adyen.com`, the live address with its prefix, or `http://...` for a sandbox; without the version.
    pub base_url: String,
    /// The merchant account.
    pub merchant_account: Arc<str>,
    /// The key of its API user.
    pub api_key: ApiKey,
    /// The whole of one request, connecting included.
    pub request_timeout: Duration,
    /// Name resolution, TCP and TLS together.
    pub connect_timeout: Duration,
    /// Connections and addresses that are kept.
    pub keeping: Keeping,
}

impl AdyenConfig {
    /// Usual timeouts.
    pub fn new(base_url: impl Into<String>, merchant_account: &str, api_key: ApiKey) -> Self {
        Self {
            base_url: base_url.into(),
            merchant_account: Arc::from(merchant_account),
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
        if !is_visible(&self.merchant_account) {
            return Err(ConfigError::MerchantAccount);
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
    /// Not an address that paths can be added to.
    #[error("base_url must be http:// or https://, a host and at most a path")]
    BaseUrl,
    /// Empty, or cannot be a header value.
    #[error("api_key must be visible ASCII characters")]
    ApiKey,
    /// Empty, or no name.
    #[error("merchant_account must be visible ASCII characters")]
    MerchantAccount,
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
    fn what_is_unusable_is_named() {
        type Change = fn(&mut AdyenConfig);
        let good = || AdyenConfig::new("http://127.0.0.1:9/adyen", "ShopNL", ApiKey::new("AQE1"));
        assert_eq!(good().endpoint().unwrap().prefix, "/adyen");
        let table: [(Change, &str); 5] = [
            (
                |config| config.base_url = "checkout-test.adyen.com".to_owned(),
                "BaseUrl",
            ),
            (|config| config.api_key = ApiKey::new(""), "ApiKey"),
            (|config| config.api_key = ApiKey::new("a\r\nb: c"), "ApiKey"),
            (
                |config| config.merchant_account = Arc::from(""),
                "MerchantAccount",
            ),
            (|config| config.request_timeout = Duration::ZERO, "Timeout"),
        ];
        for (change, name) in table {
            let mut config = good();
            change(&mut config);
            assert_eq!(format!("{:?}", config.endpoint().unwrap_err()), name);
        }
        assert!(!format!("{:?}", good()).contains("AQE1"));
    }

    #[test]
    fn an_hmac_key_is_64_hexadecimal_digits_and_hides() {
        let digits = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056";
        let key = HmacKey::from_hex(digits).unwrap();
        assert_eq!(key.bytes()[..3], [0x44, 0x78, 0x2d]);
        assert_eq!(format!("{key:?}"), "HmacKey(***)");
        for bad in ["", &digits[1..], &digits.replace('F', "G")] {
            assert_eq!(HmacKey::from_hex(bad), None, "{bad}");
        }
    }
}
