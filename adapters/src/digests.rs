//! Digests that the edge needs: of idempotency keys, of requests, of API secrets.

use aws_lc_rs::digest::{Context, SHA256, digest};
use florin_domain::idempotency::{Fingerprint, KeyDigest};
use florin_domain::ids::MerchantId;

fn first_half(digest: &aws_lc_rs::digest::Digest) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&digest.as_ref()[..16]);
    half
}

/// Digest of (merchant, mode, key): no merchant can reach another's keys, and test keys are not live keys.
pub fn key_digest(merchant: MerchantId, livemode: bool, key: &str) -> KeyDigest {
    let mut context = Context::new(&SHA256);
    context.update(&merchant.bits().to_be_bytes());
    context.update(&[u8::from(livemode)]);
    context.update(key.as_bytes());
    KeyDigest(first_half(&context.finish()))
}

/// Digest of a request; every part is followed by its length, so that no two requests run together.
pub fn fingerprint(method: &str, path: &str, body: &[u8]) -> Fingerprint {
    let mut context = Context::new(&SHA256);
    for part in [method.as_bytes(), path.as_bytes(), body] {
        context.update(part);
        context.update(&(part.len() as u64).to_be_bytes());
    }
    Fingerprint(first_half(&context.finish()))
}

/// SHA-256 of an API secret. Secrets are long and random, so that no slow hash is needed.
pub fn secret_sha256(secret: &str) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, secret.as_bytes()).as_ref());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_that_earlier_versions_gave() {
        let merchant = MerchantId::from_bits(7);
        let test_key = key_digest(merchant, false, "order-1");
        assert_eq!(format!("{test_key:?}"), "e80f707f5d191f49d938bf8a8c08d06a");
        let live_key = key_digest(merchant, true, "order-1");
        assert_eq!(format!("{live_key:?}"), "fa4687944ca2eaf3e5347a567ddb2e65");
        let request = fingerprint("POST", "/v1/payments", b"{}");
        assert_eq!(format!("{request:?}"), "bfacf32b37714f528013afb8fa6bc921");
        assert_eq!(secret_sha256("sk_test_1")[..4], [0x28, 0xab, 0x62, 0xa8]);
    }

    #[test]
    fn the_parts_of_a_request_cannot_run_together() {
        let requests = [
            fingerprint("POST", "/v1/payments", b"{}"),
            fingerprint("POST", "/v1/payments{}", b""),
            fingerprint("POST/v1", "/payments", b"{}"),
            fingerprint("", "POST/v1/payments", b"{}"),
        ];
        for (at, request) in requests.iter().enumerate() {
            assert!(!requests[at + 1..].contains(request), "{at}");
        }
    }
}
