//! Provider keys: the same attempt always gives the same key, and nobody without the secret can guess one.

use aws_lc_rs::hmac;
use florin_domain::ids::OperationId;
use florin_domain::ports::ProviderKeys;
use florin_domain::provider::ProviderKey;
use std::fmt::Write;
use std::sync::Arc;

/// HMAC-SHA-256 of the operation and the attempt's number, 20 bytes of it in hexadecimal after `flo_`.
pub struct HmacProviderKeys(hmac::Key);

impl std::fmt::Debug for HmacProviderKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HmacProviderKeys(***)")
    }
}

impl HmacProviderKeys {
    /// Keys under this secret. Another secret gives other keys, so it must live as long as any open attempt.
    pub fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }
}

impl ProviderKeys for HmacProviderKeys {
    fn derive(&self, operation: OperationId, number: u32) -> ProviderKey {
        let mut text = String::with_capacity(44);
        write!(text, "{operation}|{number}").expect("writing to a string");
        let tag = hmac::sign(&self.0, text.as_bytes());
        text.clear();
        text.push_str("flo_");
        for byte in &tag.as_ref()[..20] {
            write!(text, "{byte:02x}").expect("writing to a string");
        }
        Arc::from(text)
    }
}
