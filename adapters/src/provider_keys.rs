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
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
            }
        }
        Arc::from(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use florin_domain::ids::{CaptureId, PaymentId};

    #[test]
    fn keys_are_those_that_earlier_versions_gave() {
        let keys = HmacProviderKeys::new(&[7; 32]);
        let payment = OperationId::Authorize(PaymentId::from_bits(7));
        assert_eq!(
            &*keys.derive(payment, 1),
            "flo_5a1399ca2395fabf3f8245a6a027dac7de288f42"
        );
    }

    #[test]
    fn operation_number_and_secret_each_change_the_key() {
        let keys = HmacProviderKeys::new(&[7; 32]);
        let (payment, capture) = (PaymentId::from_bits(7), CaptureId::from_bits(7));
        let first = keys.derive(OperationId::Authorize(payment), 1);
        assert_eq!(keys.derive(OperationId::Authorize(payment), 1), first);
        assert_ne!(keys.derive(OperationId::Authorize(payment), 2), first);
        assert_ne!(keys.derive(OperationId::Capture(capture), 1), first);
        assert_ne!(
            HmacProviderKeys::new(&[8; 32]).derive(OperationId::Authorize(payment), 1),
            first
        );
        assert!(!format!("{keys:?}").contains('7'));
    }
}
